//! What is due to be erased, read beside a node or without one.

use convenio_exchange::erase::retention::{self, Due};
use convenio_store::StoreError;
use convenio_store_sqlite::SqliteStore;

use crate::config::Config;

/// What of every agreement's placements is due at `now_ms` and not yet ordered. Changes nothing.
///
/// # Errors
/// [`StoreError`].
pub async fn due(config: &Config, now_ms: u64) -> Result<Vec<Due>, StoreError> {
    let store = SqliteStore::open_read_only(&config.database).await?;
    let mut found = Vec::new();
    for (pack, _) in &config.agreements {
        found.extend(retention::due_in(store.as_ref(), pack, now_ms).await?);
    }
    store.close().await;
    Ok(found)
}
