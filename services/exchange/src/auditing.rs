//! What a node shows an auditor who is connected: pages of a log, each in the journal before it is shown, and proofs.

use convenio_log::tile::{consistency_tiles, inclusion_tiles};
use convenio_log::{Hash, SignedCheckpoint, proof};
use convenio_store::{Deed, EntryRow, Kind, LogRow, ResourceKey, StoreError, ViewKind};
use convenio_wire::exchange::v1::EntryParts;
use futures::FutureExt;

use crate::core::Core;
use crate::journal::Actor;
use crate::publish::{checkpoint, extent};
use crate::reading::entries_with_parts;
use crate::tiles;

/// Most entries of a page: all whom they concern can be named in one entry of the journal.
pub const PAGE: u64 = 100;

/// Entries of a log, from the first one asked for.
#[derive(Debug, Clone, Default)]
pub struct Page {
    /// Entries.
    pub rows: Vec<EntryRow>,
    /// Salts and parts, of those entries of which something is left; empty if none were asked for.
    pub parts: Vec<EntryParts>,
}

/// Proofs under the latest checkpoint of a log.
#[derive(Debug, Clone)]
pub struct Proofs {
    /// The checkpoint, with every cosignature held.
    pub checkpoint: String,
    /// Leaf hash of the entry.
    pub leaf: [u8; 32],
    /// Its inclusion.
    pub inclusion: Vec<Hash>,
    /// Consistency with the earlier size.
    pub consistency: Vec<Hash>,
}

/// Says in the journal that `actor` read something of the logs in which nobody is named, or exported them.
///
/// # Errors
/// The database's: then nothing may be shown.
pub async fn journalled(core: &Core, actor: Actor, deed: Deed) -> Result<(), StoreError> {
    note(core, actor, deed, Vec::new()).await
}

/// The page that begins at `first` and ends before `end` at the latest, which must be within the log. With parts, whom they
/// concern stands in the journal first.
///
/// # Errors
/// The database's.
pub async fn page(
    core: &Core,
    actor: &Actor,
    log: &LogRow,
    first: u64,
    end: u64,
    with_parts: bool,
) -> Result<Page, StoreError> {
    let end = end.min(first.saturating_add(PAGE)).min(extent(log));
    if !with_parts {
        return Ok(Page { rows: core.store.entries(log.id, first, end).await?, parts: Vec::new() });
    }
    let read = entries_with_parts(core, log.id, first, end).await?;
    let concerned: Vec<ResourceKey> = read.iter().filter_map(|(row, _)| concerned(row)).collect();
    note(core, actor.clone(), Deed::Read, concerned).await?;
    let (rows, parts): (Vec<_>, Vec<EntryParts>) = read.into_iter().unzip();
    Ok(Page { rows, parts: parts.into_iter().filter(|entry| !entry.parts.is_empty()).collect() })
}

/// Proofs of the entry at `index`, and that the log goes on from `old` entries; none if the log has no checkpoint that covers
/// both.
///
/// # Errors
/// The database's.
pub async fn proofs(core: &Core, log: &LogRow, index: u64, old: u64) -> Result<Option<Proofs>, StoreError> {
    let corrupt = || StoreError::Corrupt("tile");
    let Some(checkpoint) = checkpoint(core, log).await? else { return Ok(None) };
    let note = SignedCheckpoint::parse(checkpoint.as_bytes()).map_err(|_| StoreError::Corrupt("checkpoint"))?;
    let size = note.checkpoint().size();
    if index >= size || old > size {
        return Ok(None);
    }
    let mut needed = inclusion_tiles(index, size).map_err(|_| corrupt())?;
    needed.extend(consistency_tiles(old, size).map_err(|_| corrupt())?);
    let loaded = tiles::load(core.store.as_ref(), log.id, needed).await?;
    let reader = tiles::reader(&loaded, size);
    let inclusion = proof::inclusion(&reader, index, size).map_err(|_| corrupt())?;
    let consistency = proof::consistency(&reader, old, size).map_err(|_| corrupt())?;
    let leaf = core.store.entries(log.id, index, index + 1).await?.pop().ok_or_else(corrupt)?.leaf;
    Ok(Some(Proofs { checkpoint, leaf, inclusion, consistency }))
}

/// The record of the registry that an entry concerns.
fn concerned(row: &EntryRow) -> Option<ResourceKey> {
    let subject = row.subject?;
    let kind = match subject.kind {
        ViewKind::Placement => Kind::Placement,
        ViewKind::Order => Kind::JobOrder,
        ViewKind::Agency => Kind::Agency,
    };
    Some((kind, subject.id))
}

async fn note(core: &Core, actor: Actor, deed: Deed, rows: Vec<ResourceKey>) -> Result<(), StoreError> {
    let noted = core.write_as::<_, StoreError, _>(actor, move |work| {
        work.note(deed, rows);
        std::future::ready(Ok(())).boxed()
    });
    noted.await
}
