//! Erasure: the content of a part goes, with the data key that sealed it; the entry, its signature and its commitment stay.
//!
//! An order ([`order`]) erases at its issuer and stands in the log as ERASE; the recipient answers (`inbound::erase`). In
//! one transaction the part's row becomes a mark, the views forget what they copied, what shared the data key is sealed
//! anew under another, and a row `shred/<key>` tells which key is to be destroyed. Only after that commit is the erasure
//! written to the ledger beside the vault and the key destroyed ([`shred`]): a crash in between repeats it.

pub mod hold;
mod journalled;
pub mod order;
pub(crate) mod restore;
pub mod retention;
pub(crate) mod shred;
pub(crate) mod state;

use std::collections::BTreeMap;

use convenio_agreement::view::World;
use convenio_model::{RecordId, Ref};
use convenio_seal::statement::claimed_statement;
use convenio_store::{EntryHead, LogId, PartRow, StoreError, Subject, ViewKind, Work};
use convenio_wire::exchange::v1::{Part, Statement, statement::Body};
use prost::Message;

use crate::core::Exchange;
use crate::inbound::mirror::{MARKER, is_marker};
use crate::outbound::seal::{Sealer, data_key_of, from_rest, keyed, reseal};
use crate::world::{load_crews, load_more};
use state::Shred;

/// What stands in the place of an erased part.
pub(crate) const ERASED: &[u8] = b"ERASED";

/// One part of one entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Place {
    pub log: LogId,
    pub index: u64,
    pub part: u32,
}

/// A part that is still there.
pub(crate) struct Found {
    pub head: EntryHead,
    pub row: PartRow,
    /// Its header; none where its key is gone.
    pub header: Option<Part>,
}

impl Found {
    /// Retention class; empty where nothing tells it.
    pub fn class(&self) -> &str {
        self.header.as_ref().map_or("", |part| part.retention_class.as_str())
    }

    /// Name of its message; none where nothing tells it.
    pub fn message_name(&self) -> Option<&str> {
        self.header.as_ref().map(|part| part.message_name.as_str())
    }
}

/// The part at `place`; none if it is erased, was dropped, or never was.
pub(crate) async fn find(work: &mut Work, sealer: &Sealer, place: Place) -> Result<Option<Found>, StoreError> {
    let rows = work.parts(place.log, place.index, place.index + 1).await?;
    let row = rows.into_iter().find(|row| row.part == place.part);
    let Some(row) = row.filter(|row| !is_marker(row)) else { return Ok(None) };
    let head = work.entry_heads(place.log, place.index, place.index + 1).await?.pop();
    let head = head.ok_or(StoreError::Corrupt("entry"))?;
    let salted = from_rest(&sealer.vault, row.key_id, head.record_id, row.part as usize, &row.sealed)?;
    let header = salted.and_then(|salted| Part::decode(salted.part.as_slice()).ok());
    Ok(Some(Found { head, row, header }))
}

/// What the ledger is to tell of an erasure.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Line<'a> {
    /// Nothing: it tells it already, or nobody ordered it.
    None,
    /// That the part is erased.
    Erased,
    /// That, and the ground on which this node ordered it.
    Ordered(&'a str),
}

/// Erases what is still there of `places`, in the job's transaction. The caller saves `world` and, once the job is committed,
/// runs [`shred::run`].
pub(crate) async fn erase(
    work: &mut Work,
    sealer: &Sealer,
    exchange: &Exchange,
    world: &mut World,
    places: &[Place],
    line: Line<'_>,
) -> Result<(), StoreError> {
    let mut keys = BTreeMap::<[u8; 16], Shred>::new();
    for place in places {
        let Some(found) = find(work, sealer, *place).await? else { continue };
        work.drop_part(place.log, place.index, place.part);
        let (log, index, part) = (place.log, place.index, place.part);
        work.push_part(PartRow { log, index, part, key_id: MARKER, sealed: ERASED.to_vec() });
        forget(work, exchange, world, &found.head, found.message_name()).await?;
        let shred = keys.entry(found.row.key_id).or_default();
        if let Some(header) = &found.header {
            let subject = found.head.subject.map_or(found.head.record_id, |s| s.id);
            shred.keyed = keyed(subject, &header.retention_class).0.to_vec();
        }
        shred.lines.extend(restore::erased_line(exchange, *place, &found, sealer.clock.now_ms(), line));
    }
    for (key, mut shred) in keys {
        shred.rekeyed = rekey(work, sealer, key, &shred).await?;
        work.put_state(&shred::path(key), Some(shred.encode_to_vec()));
    }
    Ok(())
}

/// Seals under a fresh key what else `key` seals, and lets the subject go on with that one. False if that has to wait for
/// the group's commit: what is staged in it has no row yet.
pub(crate) async fn rekey(work: &mut Work, sealer: &Sealer, key: [u8; 16], shred: &Shred) -> Result<bool, StoreError> {
    // Without its subject nothing can be opened any more: the key was destroyed before.
    let Ok(subject) = Ref::from_slice(&shred.keyed) else { return Ok(true) };
    if work.subject_key(subject).await? == Some(key) {
        work.drop_subject_key(subject);
    }
    if work.staged().any(|entry| entry.parts.iter().any(|part| part.key_id == key)) {
        return Ok(false);
    }
    for row in work.parts_of_key(key).await? {
        let head = work.entry_heads(row.log, row.index, row.index + 1).await?.pop();
        let record_id = head.ok_or(StoreError::Corrupt("entry"))?.record_id;
        let fresh = data_key_of(work, sealer, subject).await?;
        let Some(stored) = reseal(sealer, &row, record_id, fresh)? else { continue };
        work.drop_part(row.log, row.index, row.part);
        work.push_part(PartRow { key_id: stored.key_id, sealed: stored.sealed, ..row });
    }
    Ok(true)
}

/// Lets the views forget what they copied from a part.
pub(crate) async fn forget(
    work: &mut Work,
    exchange: &Exchange,
    world: &mut World,
    head: &EntryHead,
    message_name: Option<&str>,
) -> Result<(), StoreError> {
    match head.subject {
        Some(Subject { kind: ViewKind::Placement, id }) => {
            load_more(work, exchange, world, &[id], &[], &[]).await?;
            exchange.engine().forget_placement(world, id, head.record_id, message_name);
        }
        Some(Subject { kind: ViewKind::Order, id }) => {
            load_more(work, exchange, world, &[], &[id], &[]).await?;
            exchange.engine().forget_order(world, id, head.record_id);
        }
        Some(Subject { kind: ViewKind::Crew, id }) => {
            load_crews(work, exchange, world, &[id]).await?;
            exchange.engine().forget_crew(world, id, head.record_id);
        }
        // Licences are public.
        Some(Subject { kind: ViewKind::Agency | ViewKind::Quota, .. }) | None => {}
    }
    Ok(())
}

/// Whether something keeps a part that is to be erased.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kept {
    /// Nothing.
    Free,
    /// Its class is kept for ever.
    ForEver,
    /// Minimum retention has not passed.
    TooEarly,
    /// A hold.
    Held,
}

/// Whether something keeps a part now.
pub(crate) async fn kept(
    work: &mut Work,
    sealer: &Sealer,
    exchange: &Exchange,
    world: &mut World,
    found: &Found,
) -> Result<Kept, StoreError> {
    use convenio_agreement::retention::Kept as Rule;
    let now_ms = sealer.clock.now_ms();
    // By the version under which it crossed.
    let said = found.header.as_ref().and_then(|part| exchange.version(&part.agreement_digest));
    let pack = said.unwrap_or_else(|| exchange.pack());
    let ended = match found.head.subject {
        Some(Subject { kind: ViewKind::Placement, id }) => {
            load_more(work, exchange, world, &[id], &[], &[]).await?;
            world.placement(id).and_then(|view| pack.ended_ms(view))
        }
        _ => statement_at(work, found.row.log, found.row.index).await?.map(|said| said.time_ms),
    };
    let rule = pack.kept(found.class(), ended);
    if rule == Rule::ForEver {
        return Ok(Kept::ForEver);
    }
    if !rule.is_free(now_ms) {
        return Ok(Kept::TooEarly);
    }
    let held = match found.head.subject {
        Some(Subject { kind: ViewKind::Placement, id }) => {
            hold::stands(work, exchange, id, found.class(), now_ms).await?
        }
        _ => false,
    };
    Ok(if held { Kept::Held } else { Kept::Free })
}

/// What an entry says.
pub(crate) async fn statement_at(work: &mut Work, log: LogId, index: u64) -> Result<Option<Statement>, StoreError> {
    let entry = work.entries(log, index, index + 1).await?.pop();
    Ok(entry.and_then(|entry| claimed_statement(&entry.bytes)))
}

/// How many parts an entry commits to.
pub(crate) fn commitments(statement: &Statement) -> usize {
    match &statement.body {
        Some(Body::Record(record)) => record.commitments.len(),
        Some(Body::Outcome(outcome)) => outcome.commitments.len(),
        _ => 0,
    }
}

/// A record id in a message of the contract.
pub(crate) fn record_id(bytes: &[u8]) -> Option<RecordId> {
    Ref::from_slice(bytes).ok()
}
