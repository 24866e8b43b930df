//! What a node shows an auditor who is connected: pages of a log, each in the journal before it is shown, and proofs.

use convenio_log::tile::{consistency_tiles, inclusion_tiles};
use convenio_log::{Hash, SignedCheckpoint, proof};
use convenio_store::{Deed, EntryRow, Kind, LogRange, LogRow, ResourceKey, StoreError, ViewKind};
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

/// Says in the journal that `actor` lists the logs, or exports them.
///
/// # Errors
/// The database's: then nothing may be shown.
pub async fn journalled(core: &Core, actor: Actor, deed: Deed) -> Result<(), StoreError> {
    let noted = core.write_as::<_, StoreError, _>(actor, move |work| {
        work.note(deed, []);
        std::future::ready(Ok(())).boxed()
    });
    noted.await
}

/// Says in the journal that `actor` reads these entries of a log, and whom they concern.
///
/// # Errors
/// The database's: then nothing may be shown.
pub async fn journalled_range(
    core: &Core,
    actor: Actor,
    range: LogRange,
    concerned: Vec<ResourceKey>,
) -> Result<(), StoreError> {
    let noted = core.write_as::<_, StoreError, _>(actor, move |work| {
        work.note(Deed::Read, concerned);
        work.note_range(range);
        std::future::ready(Ok(())).boxed()
    });
    noted.await
}

/// What is shown of each entry, and what of that the journal has to be told page by page.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Showing {
    /// The parts too: whom they concern stands in the journal before the page is shown.
    pub with_parts: bool,
    /// Nobody knew beforehand where it ends: each page's range stands in the journal before it is shown.
    pub follow: bool,
}

/// The page that begins at `first` and ends before `end` at the latest, which must be within the log.
///
/// # Errors
/// The database's.
pub async fn page(
    core: &Core,
    actor: &Actor,
    log: &LogRow,
    first: u64,
    end: u64,
    showing: Showing,
) -> Result<Page, StoreError> {
    let end = end.min(first.saturating_add(PAGE)).min(extent(log));
    let range = LogRange { origin: log.origin.clone(), begin: first, end };
    if !showing.with_parts {
        if showing.follow {
            journalled_range(core, actor.clone(), range, Vec::new()).await?;
        }
        return Ok(Page { rows: core.store.entries(log.id, first, end).await?, parts: Vec::new() });
    }
    let read = entries_with_parts(core, log.id, first, end).await?;
    let concerned: Vec<ResourceKey> = read.iter().filter_map(|(row, _)| concerned(row)).collect();
    journalled_range(core, actor.clone(), range, concerned).await?;
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
        ViewKind::Crew => Kind::Crew,
        ViewKind::Quota => return None,
    };
    Some((kind, subject.id))
}
