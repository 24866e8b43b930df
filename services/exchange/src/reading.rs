//! Reading a stored log with its parts opened, for exports and auditors.

use convenio_seal::vault::Vault;
use convenio_store::{EntryRow, LogId, Store, StoreError};
use convenio_wire::exchange::v1::EntryParts;

use crate::core::Core;
use crate::parts::opened;

/// Entries of `[begin, end)` of a log with the salts and parts that are still there; an entry without any has none.
///
/// # Errors
/// The database's.
pub async fn entries_with_parts(
    core: &Core,
    log: LogId,
    begin: u64,
    end: u64,
) -> Result<Vec<(EntryRow, EntryParts)>, StoreError> {
    let rows = core.store.entries(log, begin, end).await?;
    let mut parts = parts_of(core.store.as_ref(), &core.sealer.vault, log, &rows).await?.into_iter().peekable();
    let with_parts = |row: EntryRow| {
        let own = parts.next_if(|entry| entry.index == row.index);
        let own = own.unwrap_or(EntryParts { index: row.index, parts: Vec::new() });
        (row, own)
    };
    Ok(rows.into_iter().map(with_parts).collect())
}

/// Salts and parts of these entries, which follow each other; what was erased or dropped is empty, and an entry of which
/// nothing is left is absent.
pub(crate) async fn parts_of(
    store: &dyn Store,
    vault: &Vault,
    log: LogId,
    rows: &[EntryRow],
) -> Result<Vec<EntryParts>, StoreError> {
    let (Some(first), Some(last)) = (rows.first(), rows.last()) else { return Ok(Vec::new()) };
    let mut all = opened(store, vault, log, rows, first.index, last.index + 1).await?;
    all.retain(|entry| entry.parts.iter().any(|part| !part.part.is_empty()));
    Ok(all)
}
