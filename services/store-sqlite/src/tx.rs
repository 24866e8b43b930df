//! The write transaction.

use std::fs::File;
use std::sync::Arc;

use async_trait::async_trait;
use convenio_model::{RecordId, Ref};
use convenio_store::{
    EntryHead, EntryRow, ExternalKey, LogId, LogRow, PartRow, RequestKey, RequestRow, ResourceKey, ResourceRow,
    StateRow, StoreError, SubjectKeyRow, TileRow, Tx, ViewKey, ViewRow, Writes,
};
use sqlx::{Sqlite, SqlitePool, Transaction};

use crate::error::{failed, uncertain};
use crate::sql::{log, registry, write};

/// Holds the write lock from the start: what it read cannot change before it commits, and it never has to start over.
/// Dropping it queues the ROLLBACK before anything else that its connection does.
pub(crate) struct SqliteTx {
    tx: Transaction<'static, Sqlite>,
    /// The file stays owned while a transaction is open, even if the store is dropped.
    _lock: Arc<File>,
}

impl SqliteTx {
    pub(crate) async fn begin(writer: &SqlitePool, lock: Arc<File>) -> Result<Self, StoreError> {
        Ok(Self { tx: writer.begin_with("BEGIN IMMEDIATE").await.map_err(failed)?, _lock: lock })
    }
}

#[async_trait]
impl Tx for SqliteTx {
    async fn resources(&mut self, keys: &[ResourceKey]) -> Result<Vec<ResourceRow>, StoreError> {
        registry::resources(&mut self.tx, keys).await
    }

    async fn externals(&mut self, keys: &[ExternalKey]) -> Result<Vec<(ExternalKey, Ref)>, StoreError> {
        registry::externals(&mut self.tx, keys).await
    }

    async fn externals_of(&mut self, key: ResourceKey) -> Result<Vec<ExternalKey>, StoreError> {
        registry::externals_of(&mut self.tx, key).await
    }

    async fn requests(&mut self, keys: &[RequestKey]) -> Result<Vec<RequestRow>, StoreError> {
        registry::requests(&mut self.tx, keys).await
    }

    async fn views(&mut self, keys: &[ViewKey]) -> Result<Vec<ViewRow>, StoreError> {
        registry::views(&mut self.tx, keys).await
    }

    async fn subject_keys(&mut self, subjects: &[Ref]) -> Result<Vec<SubjectKeyRow>, StoreError> {
        registry::subject_keys(&mut self.tx, subjects).await
    }

    async fn entry_heads(&mut self, log: LogId, begin: u64, end: u64) -> Result<Vec<EntryHead>, StoreError> {
        log::entry_heads(&mut self.tx, log, begin, end).await
    }

    async fn entries(&mut self, log: LogId, begin: u64, end: u64) -> Result<Vec<EntryRow>, StoreError> {
        log::entries(&mut self.tx, log, begin, end).await
    }

    async fn parts(&mut self, log: LogId, begin: u64, end: u64) -> Result<Vec<PartRow>, StoreError> {
        log::parts(&mut self.tx, log, begin, end).await
    }

    async fn accepted(
        &mut self,
        log: LogId,
        before: u64,
        ids: &[RecordId],
    ) -> Result<Vec<(RecordId, u64)>, StoreError> {
        log::accepted(&mut self.tx, log, before, ids).await
    }

    async fn leaves(&mut self, log: LogId, begin: u64, end: u64) -> Result<Vec<[u8; 32]>, StoreError> {
        log::leaves(&mut self.tx, log, begin, end).await
    }

    async fn tile(&mut self, log: LogId, level: u8, index: u64) -> Result<Option<TileRow>, StoreError> {
        log::tile(&mut self.tx, log, level, index).await
    }

    async fn logs(&mut self) -> Result<Vec<LogRow>, StoreError> {
        log::logs(&mut self.tx).await
    }

    async fn parts_of_key(&mut self, key_id: [u8; 16]) -> Result<Vec<PartRow>, StoreError> {
        log::parts_of_key(&mut self.tx, key_id).await
    }

    async fn states(&mut self, keys: &[String]) -> Result<Vec<StateRow>, StoreError> {
        registry::states(&mut self.tx, keys).await
    }

    async fn last_change(&mut self) -> Result<u64, StoreError> {
        registry::last_change(&mut self.tx).await
    }

    async fn commit(mut self: Box<Self>, writes: Writes) -> Result<(), StoreError> {
        write::apply(&mut self.tx, writes).await?;
        self.tx.commit().await.map_err(uncertain)
    }
}
