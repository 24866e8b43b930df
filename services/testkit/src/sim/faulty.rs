//! The database of a run, which may fail: before a commit, or in doubt after it, or by a lie about its durability. What it
//! does otherwise is what the real one does.

use std::sync::Arc;

use async_trait::async_trait;
use convenio_model::{RecordId, Ref};
use convenio_store::{
    CheckpointRow, EntryHead, EntryRow, EventRow, ExternalKey, Kind, LogId, LogRow, PartRow, RejectionRow, RequestKey,
    RequestRow, ResourceKey, ResourceRow, StateRow, Store, StoreError, SubjectKeyRow, TileRow, Tx, ViewKey, ViewKind,
    ViewRow, Writes,
};
use convenio_store_sqlite::SqliteStore;
use parking_lot::Mutex;

/// What becomes of the next commit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// It fails and nothing is stored.
    Failed,
    /// Nothing is stored, and nobody can tell.
    UncertainBefore,
    /// It is stored, and nobody can tell.
    UncertainAfter,
    /// Nothing is stored, and it says that it is: no real database may do that.
    Lie,
}

/// The faults that a run has planned for one database.
#[derive(Debug, Default)]
pub struct Faults(Mutex<Planned>);

#[derive(Debug, Default)]
struct Planned {
    next: Option<Fault>,
    struck: bool,
    blind: u32,
}

impl Faults {
    /// The next commit meets this fault.
    pub fn plan(&self, fault: Fault) {
        *self.0.lock() = Planned { next: Some(fault), ..Planned::default() };
    }

    /// The next so many readings of leaves, which the writer needs after a failed commit, fail.
    pub fn blind(&self, times: u32) {
        self.0.lock().blind = times;
    }

    fn sees(&self) -> Result<(), StoreError> {
        let mut planned = self.0.lock();
        if planned.blind == 0 {
            return Ok(());
        }
        planned.blind -= 1;
        Err(StoreError::Failed("planned".to_owned()))
    }

    /// Forgets what was planned; true if it has struck.
    pub fn end(&self) -> bool {
        std::mem::take(&mut *self.0.lock()).struck
    }

    fn strike(&self) -> Option<Fault> {
        let mut planned = self.0.lock();
        let fault = planned.next.take();
        planned.struck |= fault.is_some();
        fault
    }
}

/// A store that meets its faults.
pub struct FaultyStore {
    inner: Arc<SqliteStore>,
    faults: Arc<Faults>,
}

impl FaultyStore {
    /// Over a real one.
    #[must_use]
    pub fn new(inner: Arc<SqliteStore>, faults: Arc<Faults>) -> Self {
        Self { inner, faults }
    }
}

struct FaultyTx {
    inner: Box<dyn Tx>,
    faults: Arc<Faults>,
}

#[async_trait]
impl Store for FaultyStore {
    async fn begin(&self) -> Result<Box<dyn Tx>, StoreError> {
        Ok(Box::new(FaultyTx { inner: self.inner.begin().await?, faults: self.faults.clone() }))
    }
    async fn resource(&self, key: ResourceKey) -> Result<Option<ResourceRow>, StoreError> {
        self.inner.resource(key).await
    }
    async fn resources(&self, kind: Kind, after: Option<Ref>, limit: u32) -> Result<Vec<ResourceRow>, StoreError> {
        self.inner.resources(kind, after, limit).await
    }
    async fn children(&self, kind: Kind, parent: Ref, limit: u32) -> Result<Vec<ResourceRow>, StoreError> {
        self.inner.children(kind, parent, limit).await
    }
    async fn external(&self, key: &ExternalKey) -> Result<Option<Ref>, StoreError> {
        self.inner.external(key).await
    }
    async fn request(&self, key: &RequestKey) -> Result<Option<RequestRow>, StoreError> {
        self.inner.request(key).await
    }
    async fn view(&self, key: &ViewKey) -> Result<Option<ViewRow>, StoreError> {
        self.inner.view(key).await
    }
    async fn views_of(&self, kind: ViewKind, id: Ref) -> Result<Vec<ViewRow>, StoreError> {
        self.inner.views_of(kind, id).await
    }
    async fn views(
        &self,
        kind: ViewKind,
        agreement: &str,
        label: &str,
        after: Option<Ref>,
        limit: u32,
    ) -> Result<Vec<ViewRow>, StoreError> {
        self.inner.views(kind, agreement, label, after, limit).await
    }
    async fn views_changed(
        &self,
        kind: ViewKind,
        areas: &[String],
        change: u64,
        limit: u32,
    ) -> Result<Vec<ViewRow>, StoreError> {
        self.inner.views_changed(kind, areas, change, limit).await
    }
    async fn events(&self, placement: Ref, after: u64, limit: u32) -> Result<Vec<EventRow>, StoreError> {
        self.inner.events(placement, after, limit).await
    }
    async fn logs(&self) -> Result<Vec<LogRow>, StoreError> {
        self.inner.logs().await
    }
    async fn entries(&self, log: LogId, begin: u64, end: u64) -> Result<Vec<EntryRow>, StoreError> {
        self.inner.entries(log, begin, end).await
    }
    async fn parts(&self, log: LogId, begin: u64, end: u64) -> Result<Vec<PartRow>, StoreError> {
        self.inner.parts(log, begin, end).await
    }
    async fn leaves(&self, log: LogId, begin: u64, end: u64) -> Result<Vec<[u8; 32]>, StoreError> {
        self.faults.sees()?;
        self.inner.leaves(log, begin, end).await
    }
    async fn tile(&self, log: LogId, level: u8, index: u64) -> Result<Option<TileRow>, StoreError> {
        self.inner.tile(log, level, index).await
    }
    async fn checkpoint_at_most(&self, log: LogId, size: u64) -> Result<Option<CheckpointRow>, StoreError> {
        self.inner.checkpoint_at_most(log, size).await
    }
    async fn kept_checkpoints(&self, log: LogId) -> Result<Vec<CheckpointRow>, StoreError> {
        self.inner.kept_checkpoints(log).await
    }
    async fn record(&self, id: RecordId) -> Result<Vec<(LogId, u64)>, StoreError> {
        self.inner.record(id).await
    }
    async fn rejections(&self, log: LogId) -> Result<Vec<RejectionRow>, StoreError> {
        self.inner.rejections(log).await
    }
    async fn subject_keys(&self, subjects: &[Ref]) -> Result<Vec<SubjectKeyRow>, StoreError> {
        self.inner.subject_keys(subjects).await
    }
    async fn parts_of_key(&self, key_id: [u8; 16]) -> Result<Vec<PartRow>, StoreError> {
        self.inner.parts_of_key(key_id).await
    }
    async fn state(&self, key: &str) -> Result<Option<StateRow>, StoreError> {
        self.inner.state(key).await
    }
    async fn states(&self, prefix: &str, after: &str, limit: u32) -> Result<Vec<StateRow>, StoreError> {
        self.inner.states(prefix, after, limit).await
    }
}

#[async_trait]
impl Tx for FaultyTx {
    async fn resources(&mut self, keys: &[ResourceKey]) -> Result<Vec<ResourceRow>, StoreError> {
        self.inner.resources(keys).await
    }
    async fn externals(&mut self, keys: &[ExternalKey]) -> Result<Vec<(ExternalKey, Ref)>, StoreError> {
        self.inner.externals(keys).await
    }
    async fn externals_of(&mut self, key: ResourceKey) -> Result<Vec<ExternalKey>, StoreError> {
        self.inner.externals_of(key).await
    }
    async fn requests(&mut self, keys: &[RequestKey]) -> Result<Vec<RequestRow>, StoreError> {
        self.inner.requests(keys).await
    }
    async fn views(&mut self, keys: &[ViewKey]) -> Result<Vec<ViewRow>, StoreError> {
        self.inner.views(keys).await
    }
    async fn subject_keys(&mut self, subjects: &[Ref]) -> Result<Vec<SubjectKeyRow>, StoreError> {
        self.inner.subject_keys(subjects).await
    }
    async fn entry_heads(&mut self, log: LogId, begin: u64, end: u64) -> Result<Vec<EntryHead>, StoreError> {
        self.inner.entry_heads(log, begin, end).await
    }
    async fn entries(&mut self, log: LogId, begin: u64, end: u64) -> Result<Vec<EntryRow>, StoreError> {
        self.inner.entries(log, begin, end).await
    }
    async fn parts(&mut self, log: LogId, begin: u64, end: u64) -> Result<Vec<PartRow>, StoreError> {
        self.inner.parts(log, begin, end).await
    }
    async fn accepted(
        &mut self,
        log: LogId,
        before: u64,
        ids: &[RecordId],
    ) -> Result<Vec<(RecordId, u64)>, StoreError> {
        self.inner.accepted(log, before, ids).await
    }
    async fn leaves(&mut self, log: LogId, begin: u64, end: u64) -> Result<Vec<[u8; 32]>, StoreError> {
        self.inner.leaves(log, begin, end).await
    }
    async fn tile(&mut self, log: LogId, level: u8, index: u64) -> Result<Option<TileRow>, StoreError> {
        self.inner.tile(log, level, index).await
    }
    async fn logs(&mut self) -> Result<Vec<LogRow>, StoreError> {
        self.inner.logs().await
    }
    async fn parts_of_key(&mut self, key_id: [u8; 16]) -> Result<Vec<PartRow>, StoreError> {
        self.inner.parts_of_key(key_id).await
    }
    async fn states(&mut self, keys: &[String]) -> Result<Vec<StateRow>, StoreError> {
        self.inner.states(keys).await
    }
    async fn last_change(&mut self) -> Result<u64, StoreError> {
        self.inner.last_change().await
    }
    async fn commit(self: Box<Self>, writes: Writes) -> Result<(), StoreError> {
        match self.faults.strike() {
            None => self.inner.commit(writes).await,
            Some(Fault::Failed) => Err(StoreError::Failed("planned".to_owned())),
            Some(Fault::UncertainBefore) => Err(StoreError::Uncertain("planned".to_owned())),
            Some(Fault::UncertainAfter) => {
                self.inner.commit(writes).await?;
                Err(StoreError::Uncertain("planned".to_owned()))
            }
            Some(Fault::Lie) => Ok(()),
        }
    }
}
