//! Reading a stored log with its parts opened, for exports and auditors.

use convenio_seal::vault::{Vault, VaultError};
use convenio_store::{EntryRow, LogId, PartRow, Store, StoreError};
use convenio_wire::exchange::v1::{EntryParts, SaltedPart};
use prost::Message;

use crate::core::Core;
use crate::inbound::mirror::is_marker;
use crate::outbound::seal::open_part;
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
    let mut all = match opened(store, vault, log, rows, first.index, last.index + 1).await {
        Ok(all) => all,
        Err(error) => {
            tracing::error!(log, first = first.index, reason = %error, "parts are not what was sealed");
            salvaged(store, vault, rows, log).await?
        }
    };
    all.retain(|entry| entry.parts.iter().any(|part| !part.part.is_empty()));
    Ok(all)
}

/// What is left of parts some of which were changed behind the service: they do not stop whoever exports, and that they are
/// missing is for the auditor to find.
async fn salvaged(
    store: &dyn Store,
    vault: &Vault,
    rows: &[EntryRow],
    log: LogId,
) -> Result<Vec<EntryParts>, StoreError> {
    let (begin, end) = (rows[0].index, rows[rows.len() - 1].index + 1);
    let mut all: Vec<EntryParts> = Vec::new();
    for part in store.parts(log, begin, end).await? {
        let at = usize::try_from(part.index - begin).unwrap_or(usize::MAX);
        let row = rows.get(at).ok_or(StoreError::Corrupt("part"))?;
        let salted = if is_marker(&part) { None } else { held(vault, row, &part)? };
        if all.last().is_none_or(|last| last.index != part.index) {
            all.push(EntryParts { index: part.index, parts: Vec::new() });
        }
        if let Some(last) = all.last_mut() {
            last.parts.push(salted.unwrap_or_else(SaltedPart::default));
        }
    }
    Ok(all)
}

fn held(vault: &Vault, row: &EntryRow, part: &PartRow) -> Result<Option<SaltedPart>, StoreError> {
    match open_part(vault, part.key_id, row.record_id, part.part as usize, &part.sealed) {
        Ok(plain) => Ok(SaltedPart::decode(plain.as_slice()).ok()),
        Err(VaultError::Destroyed | VaultError::Sealed | VaultError::UnknownKey | VaultError::Damaged) => Ok(None),
        Err(error) => Err(StoreError::Failed(format!("data keys: {error}"))),
    }
}
