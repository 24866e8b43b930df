//! The ports.

use async_trait::async_trait;
use convenio_model::{RecordId, Ref};

use crate::rows::{
    CheckpointRow, EntryHead, EntryRow, EventRow, ExternalKey, Kind, LogId, LogRow, PartRow, RejectionRow, RequestKey,
    RequestRow, ResourceKey, ResourceRow, StateRow, SubjectKeyRow, TileRow, ViewKey, ViewKind, ViewRow, Writes,
};

/// The database did not do what was asked. Never carries a value of a row.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The file or server cannot be used; the text names it and says why.
    #[error("{0}")]
    Unusable(String),
    /// The statement failed; nothing of the transaction is stored.
    #[error("database: {0}")]
    Failed(String),
    /// The commit may or may not have happened: look, then go on.
    #[error("the outcome of a commit is unknown: {0}")]
    Uncertain(String),
    /// A row cannot be what this node wrote.
    #[error("corrupt row in {0}")]
    Corrupt(&'static str),
}

/// Reading, on connections apart from the writer's. Sees committed rows only.
#[async_trait]
pub trait Store: Send + Sync + 'static {
    /// Opens the one write transaction. The caller holds at most one at a time.
    async fn begin(&self) -> Result<Box<dyn Tx>, StoreError>;
    /// One registry record.
    async fn resource(&self, key: ResourceKey) -> Result<Option<ResourceRow>, StoreError>;
    /// Records of a kind with id above `after`, ascending by id, at most `limit`.
    async fn resources(&self, kind: Kind, after: Option<Ref>, limit: u32) -> Result<Vec<ResourceRow>, StoreError>;
    /// Records of a kind that belong to `parent`, ascending by creation then id, at most `limit`.
    async fn children(&self, kind: Kind, parent: Ref, limit: u32) -> Result<Vec<ResourceRow>, StoreError>;
    /// Record that another system's key points to.
    async fn external(&self, key: &ExternalKey) -> Result<Option<Ref>, StoreError>;
    /// An answered request.
    async fn request(&self, key: &RequestKey) -> Result<Option<RequestRow>, StoreError>;
    /// One view.
    async fn view(&self, key: &ViewKey) -> Result<Option<ViewRow>, StoreError>;
    /// Views of one subject under any agreement.
    async fn views_of(&self, kind: ViewKind, id: Ref) -> Result<Vec<ViewRow>, StoreError>;
    /// Views of a kind with subject above `after`, ascending, at most `limit`; empty filters match all.
    async fn views(
        &self,
        kind: ViewKind,
        agreement: &str,
        label: &str,
        after: Option<Ref>,
        limit: u32,
    ) -> Result<Vec<ViewRow>, StoreError>;
    /// Views of a kind changed after `change`, of one of `areas` (none match no areas), ascending by change, at most
    /// `limit`.
    async fn views_changed(
        &self,
        kind: ViewKind,
        areas: &[String],
        change: u64,
        limit: u32,
    ) -> Result<Vec<ViewRow>, StoreError>;
    /// Events of a placement with ordinal above `after`, ascending, at most `limit`.
    async fn events(&self, placement: Ref, after: u64, limit: u32) -> Result<Vec<EventRow>, StoreError>;
    /// All log heads.
    async fn logs(&self) -> Result<Vec<LogRow>, StoreError>;
    /// Entries of `[begin, end)`, ascending.
    async fn entries(&self, log: LogId, begin: u64, end: u64) -> Result<Vec<EntryRow>, StoreError>;
    /// Parts of entries of `[begin, end)`, ascending by (index, part).
    async fn parts(&self, log: LogId, begin: u64, end: u64) -> Result<Vec<PartRow>, StoreError>;
    /// Leaf hashes of `[begin, end)`, ascending.
    async fn leaves(&self, log: LogId, begin: u64, end: u64) -> Result<Vec<[u8; 32]>, StoreError>;
    /// A full tile.
    async fn tile(&self, log: LogId, level: u8, index: u64) -> Result<Option<TileRow>, StoreError>;
    /// The largest committed head with size at most `size`.
    async fn checkpoint_at_most(&self, log: LogId, size: u64) -> Result<Option<CheckpointRow>, StoreError>;
    /// Kept checkpoints (those with a note), ascending.
    async fn kept_checkpoints(&self, log: LogId) -> Result<Vec<CheckpointRow>, StoreError>;
    /// Where a record stands: (log, index), in any log below its head.
    async fn record(&self, id: RecordId) -> Result<Vec<(LogId, u64)>, StoreError>;
    /// Rejected records of a log, ascending.
    async fn rejections(&self, log: LogId) -> Result<Vec<RejectionRow>, StoreError>;
    /// Data keys of subjects.
    async fn subject_keys(&self, subjects: &[Ref]) -> Result<Vec<SubjectKeyRow>, StoreError>;
    /// Parts in any log that this data key seals, ascending by (log, index, part).
    async fn parts_of_key(&self, key_id: [u8; 16]) -> Result<Vec<PartRow>, StoreError>;
    /// One state.
    async fn state(&self, key: &str) -> Result<Option<StateRow>, StoreError>;
    /// States whose key begins with `prefix` and is above `after`, ascending, at most `limit`.
    async fn states(&self, prefix: &str, after: &str, limit: u32) -> Result<Vec<StateRow>, StoreError>;
}

/// The write transaction: bulk loads, then one commit. Dropping it rolls back.
#[async_trait]
pub trait Tx: Send {
    /// Records that exist among `keys`.
    async fn resources(&mut self, keys: &[ResourceKey]) -> Result<Vec<ResourceRow>, StoreError>;
    /// External keys that exist among `keys`.
    async fn externals(&mut self, keys: &[ExternalKey]) -> Result<Vec<(ExternalKey, Ref)>, StoreError>;
    /// External keys that point to a record.
    async fn externals_of(&mut self, key: ResourceKey) -> Result<Vec<ExternalKey>, StoreError>;
    /// Requests that were answered among `keys`.
    async fn requests(&mut self, keys: &[RequestKey]) -> Result<Vec<RequestRow>, StoreError>;
    /// Views that exist among `keys`.
    async fn views(&mut self, keys: &[ViewKey]) -> Result<Vec<ViewRow>, StoreError>;
    /// Data keys that exist among `subjects`.
    async fn subject_keys(&mut self, subjects: &[Ref]) -> Result<Vec<SubjectKeyRow>, StoreError>;
    /// Heads of entries of `[begin, end)`, ascending.
    async fn entry_heads(&mut self, log: LogId, begin: u64, end: u64) -> Result<Vec<EntryHead>, StoreError>;
    /// Entries of `[begin, end)` with bytes, ascending.
    async fn entries(&mut self, log: LogId, begin: u64, end: u64) -> Result<Vec<EntryRow>, StoreError>;
    /// Parts of entries of `[begin, end)`, ascending by (index, part).
    async fn parts(&mut self, log: LogId, begin: u64, end: u64) -> Result<Vec<PartRow>, StoreError>;
    /// Which of `ids` stand in `log` below `before` and were not rejected, each with its index.
    async fn accepted(&mut self, log: LogId, before: u64, ids: &[RecordId])
    -> Result<Vec<(RecordId, u64)>, StoreError>;
    /// Leaf hashes of `[begin, end)`, ascending.
    async fn leaves(&mut self, log: LogId, begin: u64, end: u64) -> Result<Vec<[u8; 32]>, StoreError>;
    /// A full tile.
    async fn tile(&mut self, log: LogId, level: u8, index: u64) -> Result<Option<TileRow>, StoreError>;
    /// All log heads.
    async fn logs(&mut self) -> Result<Vec<LogRow>, StoreError>;
    /// Parts in any log that this data key seals, ascending by (log, index, part).
    async fn parts_of_key(&mut self, key_id: [u8; 16]) -> Result<Vec<PartRow>, StoreError>;
    /// States that exist among `keys`.
    async fn states(&mut self, keys: &[String]) -> Result<Vec<StateRow>, StoreError>;
    /// The largest `change` of any view.
    async fn last_change(&mut self) -> Result<u64, StoreError>;
    /// Stores everything durably, or nothing.
    async fn commit(self: Box<Self>, writes: Writes) -> Result<(), StoreError>;
}
