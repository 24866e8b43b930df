//! The parts of stored entries, opened as they travel and as a full bundle holds them.

use convenio_seal::vault::Vault;
use convenio_store::{EntryRow, LogId, PartRow, Store, StoreError};
use convenio_wire::exchange::v1::{EntryParts, SaltedPart};

use crate::inbound::mirror::is_marker;
use crate::outbound::seal::from_rest;

/// How often rows are read again that were sealed under another key meanwhile.
const ATTEMPTS: usize = 8;

/// The parts of `rows`, the entries of `[begin, end)`; one that was erased or dropped is empty.
pub(crate) async fn opened(
    store: &dyn Store,
    vault: &Vault,
    log: LogId,
    rows: &[EntryRow],
    begin: u64,
    end: u64,
) -> Result<Vec<EntryParts>, StoreError> {
    let mut stored = store.parts(log, begin, end).await?;
    for _ in 0..ATTEMPTS {
        let (parts, unread) = open(vault, rows, begin, &stored)?;
        if !unread {
            return Ok(parts);
        }
        let again = store.parts(log, begin, end).await?;
        if again == stored {
            return Ok(parts); // destroyed
        }
        stored = again;
    }
    Err(StoreError::Failed("parts are sealed anew again and again".to_owned()))
}

/// The parts, and whether the key of any is destroyed.
fn open(
    vault: &Vault,
    rows: &[EntryRow],
    begin: u64,
    stored: &[PartRow],
) -> Result<(Vec<EntryParts>, bool), StoreError> {
    let (mut opened, mut unread) = (Vec::<EntryParts>::new(), false);
    for part in stored {
        let at = usize::try_from(part.index - begin).unwrap_or(usize::MAX);
        let row = rows.get(at).ok_or(StoreError::Corrupt("part"))?;
        let mut salted = None;
        if !is_marker(part) {
            salted = from_rest(vault, part.key_id, row.record_id, part.part as usize, &part.sealed)?;
            unread |= salted.is_none();
        }
        if opened.last().is_none_or(|last| last.index != part.index) {
            opened.push(EntryParts { index: part.index, parts: Vec::new() });
        }
        if let Some(last) = opened.last_mut() {
            last.parts.push(salted.unwrap_or_else(SaltedPart::default));
        }
    }
    Ok((opened, unread))
}
