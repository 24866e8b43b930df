//! The store: its connections, and reading.

use std::fs::File;
use std::path::Path;
use std::sync::Arc;

use async_trait::async_trait;
use convenio_model::{RecordId, Ref};
use convenio_store::{
    CheckpointRow, EntryRow, EventRow, ExternalKey, Kind, LogId, LogRow, PartRow, RejectionRow, RequestKey, RequestRow,
    ResourceKey, ResourceRow, StateRow, Store, StoreError, SubjectKeyRow, TileRow, Tx, ViewKey, ViewKind, ViewRow,
};
use sqlx::pool::PoolConnection;
use sqlx::{Sqlite, SqlitePool};

use crate::error::{failed, refused};
use crate::file::{self, Found};
use crate::open;
use crate::sql::{log, registry};
use crate::tx::SqliteTx;

/// A node's database in one file.
pub struct SqliteStore {
    readers: SqlitePool,
    /// Absent if opened for reading only.
    writer: Option<Writer>,
}

struct Writer {
    pool: SqlitePool,
    /// Held as long as anything may write.
    lock: Arc<File>,
}

impl SqliteStore {
    /// Opens the database of `node` at `path`, made if there is none, and owns it until the store is dropped.
    ///
    /// # Errors
    /// [`StoreError::Unusable`], which names the file, if it is not a database of this program and node, is damaged,
    /// locked, in use by another process or of a newer version. A file that is refused as foreign is left as it is.
    pub async fn open(path: &Path, node: &str) -> Result<Arc<Self>, StoreError> {
        let found = file::inspect(path)?;
        let lock = Arc::new(file::own(path)?);
        if found == Found::Ours {
            open::check_owner(path, node).await?;
        }
        open::prepare(path, node, found == Found::Nothing).await?;
        let pool = open::writer(path).await?;
        let readers = open::readers(path).await?;
        Ok(Arc::new(Self { readers, writer: Some(Writer { pool, lock }) }))
    }

    /// Opens the database at `path` for reading, also while its node runs.
    ///
    /// # Errors
    /// [`StoreError::Unusable`], which names the file.
    pub async fn open_read_only(path: &Path) -> Result<Arc<Self>, StoreError> {
        if file::inspect(path)? == Found::Nothing {
            return Err(refused(path, "does not exist or is empty"));
        }
        let readers = open::readers(path).await?;
        open::check_schema(path, &readers).await?;
        Ok(Arc::new(Self { readers, writer: None }))
    }

    /// Opens the database at `path` for reading as it is now, whatever is written meanwhile. One statement at a time; not
    /// for long, for the file cannot shrink until it is closed.
    ///
    /// # Errors
    /// [`StoreError::Unusable`], which names the file.
    pub async fn open_snapshot(path: &Path) -> Result<Arc<Self>, StoreError> {
        let readers = open::snapshot(path).await?;
        open::check_schema(path, &readers).await?;
        Ok(Arc::new(Self { readers, writer: None }))
    }

    /// Waits for what runs, then closes the file. What is dropped without this is as durable, and slower to open.
    pub async fn close(&self) {
        self.readers.close().await;
        if let Some(writer) = &self.writer {
            writer.pool.close().await;
        }
    }

    async fn reader(&self) -> Result<PoolConnection<Sqlite>, StoreError> {
        self.readers.acquire().await.map_err(failed)
    }
}

#[async_trait]
impl Store for SqliteStore {
    async fn begin(&self) -> Result<Box<dyn Tx>, StoreError> {
        let Some(writer) = &self.writer else {
            return Err(StoreError::Failed("the database is opened for reading only".to_owned()));
        };
        Ok(Box::new(SqliteTx::begin(&writer.pool, Arc::clone(&writer.lock)).await?))
    }

    async fn resource(&self, key: ResourceKey) -> Result<Option<ResourceRow>, StoreError> {
        Ok(registry::resources(&mut *self.reader().await?, &[key]).await?.pop())
    }

    async fn resources(&self, kind: Kind, after: Option<Ref>, limit: u32) -> Result<Vec<ResourceRow>, StoreError> {
        registry::resource_page(&mut *self.reader().await?, kind, after, limit).await
    }

    async fn children(&self, kind: Kind, parent: Ref, limit: u32) -> Result<Vec<ResourceRow>, StoreError> {
        registry::children(&mut *self.reader().await?, kind, parent, limit).await
    }

    async fn external(&self, key: &ExternalKey) -> Result<Option<Ref>, StoreError> {
        let found = registry::externals(&mut *self.reader().await?, std::slice::from_ref(key)).await?;
        Ok(found.into_iter().next().map(|(_, id)| id))
    }

    async fn request(&self, key: &RequestKey) -> Result<Option<RequestRow>, StoreError> {
        Ok(registry::requests(&mut *self.reader().await?, std::slice::from_ref(key)).await?.pop())
    }

    async fn view(&self, key: &ViewKey) -> Result<Option<ViewRow>, StoreError> {
        Ok(registry::views(&mut *self.reader().await?, std::slice::from_ref(key)).await?.pop())
    }

    async fn views_of(&self, kind: ViewKind, id: Ref) -> Result<Vec<ViewRow>, StoreError> {
        registry::views_of(&mut *self.reader().await?, kind, id).await
    }

    async fn views(
        &self,
        kind: ViewKind,
        agreement: &str,
        label: &str,
        after: Option<Ref>,
        limit: u32,
    ) -> Result<Vec<ViewRow>, StoreError> {
        registry::view_page(&mut *self.reader().await?, kind, agreement, label, after, limit).await
    }

    async fn views_changed(
        &self,
        kind: ViewKind,
        areas: &[String],
        change: u64,
        limit: u32,
    ) -> Result<Vec<ViewRow>, StoreError> {
        registry::views_changed(&mut *self.reader().await?, kind, areas, change, limit).await
    }

    async fn events(&self, placement: Ref, after: u64, limit: u32) -> Result<Vec<EventRow>, StoreError> {
        registry::events(&mut *self.reader().await?, placement, after, limit).await
    }

    async fn logs(&self) -> Result<Vec<LogRow>, StoreError> {
        log::logs(&mut *self.reader().await?).await
    }

    async fn entries(&self, log: LogId, begin: u64, end: u64) -> Result<Vec<EntryRow>, StoreError> {
        log::entries(&mut *self.reader().await?, log, begin, end).await
    }

    async fn parts(&self, log: LogId, begin: u64, end: u64) -> Result<Vec<PartRow>, StoreError> {
        log::parts(&mut *self.reader().await?, log, begin, end).await
    }

    async fn leaves(&self, log: LogId, begin: u64, end: u64) -> Result<Vec<[u8; 32]>, StoreError> {
        log::leaves(&mut *self.reader().await?, log, begin, end).await
    }

    async fn tile(&self, log: LogId, level: u8, index: u64) -> Result<Option<TileRow>, StoreError> {
        log::tile(&mut *self.reader().await?, log, level, index).await
    }

    async fn checkpoint_at_most(&self, log: LogId, size: u64) -> Result<Option<CheckpointRow>, StoreError> {
        log::checkpoint_at_most(&mut *self.reader().await?, log, size).await
    }

    async fn kept_checkpoints(&self, log: LogId) -> Result<Vec<CheckpointRow>, StoreError> {
        log::kept_checkpoints(&mut *self.reader().await?, log).await
    }

    async fn record(&self, id: RecordId) -> Result<Vec<(LogId, u64)>, StoreError> {
        log::record(&mut *self.reader().await?, id).await
    }

    async fn rejections(&self, log: LogId) -> Result<Vec<RejectionRow>, StoreError> {
        log::rejections(&mut *self.reader().await?, log).await
    }

    async fn subject_keys(&self, subjects: &[Ref]) -> Result<Vec<SubjectKeyRow>, StoreError> {
        registry::subject_keys(&mut *self.reader().await?, subjects).await
    }

    async fn parts_of_key(&self, key_id: [u8; 16]) -> Result<Vec<PartRow>, StoreError> {
        log::parts_of_key(&mut *self.reader().await?, key_id).await
    }

    async fn state(&self, key: &str) -> Result<Option<StateRow>, StoreError> {
        Ok(registry::states(&mut *self.reader().await?, &[key.to_owned()]).await?.pop())
    }

    async fn states(&self, prefix: &str, after: &str, limit: u32) -> Result<Vec<StateRow>, StoreError> {
        registry::state_page(&mut *self.reader().await?, prefix, after, limit).await
    }
}
