//! Ordering an erasure: by whoever issued the record, nobody else.

use std::sync::Arc;

use convenio_agreement::view::World;
use convenio_model::{RecordId, Ref};
use convenio_store::{EntryHead, StoreError, Subject, ViewKind, Work};
use convenio_wire::exchange::v1::{Erase, statement::Body};
use prost::Message;

pub use super::state::Ordered;
use super::state::{self, ORDERED};
use super::{Kept, Line, Place, commitments, erase, find, kept, statement_at};
use crate::core::{Core, Exchange};
use crate::error::IssueError;
use crate::outbound::seal::{fresh_record_id, stage_statement};
use crate::world::save_world;

/// Parts of one order at most.
pub const MAX_PARTS_OF_ORDER: usize = 1024;

/// Nothing was ordered; nothing has changed.
#[derive(Debug, thiserror::Error)]
pub enum EraseError {
    /// No such record, or none of its parts is of that class.
    #[error("no such part")]
    NotFound,
    /// The partner issued the record; only it may order the erasure.
    #[error("the partner issued the record")]
    NotIssuer,
    /// Not a ground of the pack.
    #[error("not a ground of this agreement")]
    Ground,
    /// The class is kept for ever.
    #[error("the class is kept for ever")]
    ForEver,
    /// Minimum retention has not passed.
    #[error("minimum retention has not passed")]
    TooEarly,
    /// A hold stands.
    #[error("a hold stands")]
    Held,
    /// More parts than one order takes.
    #[error("more parts than one order takes")]
    TooMany,
    /// The log does not take it.
    #[error(transparent)]
    Issue(#[from] IssueError),
}

impl From<StoreError> for EraseError {
    fn from(error: StoreError) -> Self {
        Self::Issue(IssueError::Store(error))
    }
}

/// A record of this node, wherever it stands in its own logs.
#[derive(Debug, Clone)]
pub struct OwnRecord {
    id: RecordId,
    places: Vec<(convenio_store::LogId, u64)>,
}

/// What is to be erased of some records.
#[derive(Debug, Clone, Copy)]
pub enum Which<'a> {
    /// One part.
    Part(u32),
    /// Every part.
    All,
    /// Every part of one class.
    Class(&'a str),
}

/// Looks up a record of this node. Only what was committed is found.
///
/// # Errors
/// [`EraseError::NotFound`], [`EraseError::NotIssuer`].
pub async fn own_record(core: &Core, exchange: &Exchange, id: RecordId) -> Result<OwnRecord, EraseError> {
    let places = core.store.record(id).await?;
    let lanes = exchange.own_lanes();
    let own: Vec<_> = places.iter().filter(|(log, _)| lanes.iter().any(|lane| lane.log == *log)).copied().collect();
    match (own.is_empty(), places.iter().any(|(log, _)| exchange.lane_of(*log).is_some())) {
        (false, _) => Ok(OwnRecord { id, places: own }),
        (true, true) => Err(EraseError::NotIssuer),
        (true, false) => Err(EraseError::NotFound),
    }
}

/// Orders and carries out, in the job's transaction, the erasure of parts of own records: all of it or nothing. What was
/// ordered before is not ordered again. The caller runs [`carried_out`] once the job is committed.
///
/// # Errors
/// [`EraseError`].
pub async fn order(
    work: &mut Work,
    core: &Core,
    exchange: &Exchange,
    records: &[OwnRecord],
    which: Which<'_>,
    ground: &str,
) -> Result<Vec<Ordered>, EraseError> {
    if !exchange.pack().retention().is_ground(ground) {
        return Err(EraseError::Ground);
    }
    let mut world = World::default();
    let mut ordered = Vec::new();
    for record in records {
        ordered.extend(of_record(work, core, exchange, &mut world, record, which, ground).await?);
        if ordered.len() > MAX_PARTS_OF_ORDER {
            return Err(EraseError::TooMany);
        }
    }
    if ordered.is_empty() {
        return Err(EraseError::NotFound);
    }
    save_world(work, exchange, &mut world);
    Ok(ordered)
}

/// After the commit of an order: its data keys are destroyed. Where that fails, it is tried again later.
pub async fn carried_out(core: &Arc<Core>) {
    if let Err(error) = super::shred::run(core).await {
        tracing::error!(reason = %error, "data keys are still to be destroyed");
    }
}

async fn of_record(
    work: &mut Work,
    core: &Core,
    exchange: &Exchange,
    world: &mut World,
    record: &OwnRecord,
    which: Which<'_>,
    ground: &str,
) -> Result<Vec<Ordered>, EraseError> {
    let Some((log, index)) = record.places.first().copied() else { return Err(EraseError::NotFound) };
    let said = statement_at(work, log, index).await?.unwrap_or_default();
    let parts = u32::try_from(commitments(&said)).unwrap_or(u32::MAX);
    if let Which::Part(part) = which
        && part >= parts
    {
        return Err(EraseError::NotFound);
    }
    let mut all = Vec::new();
    for part in (0..parts).filter(|part| !matches!(which, Which::Part(only) if only != *part)) {
        all.extend(one(work, core, exchange, world, record, part, which, ground).await?);
    }
    Ok(all)
}

#[allow(clippy::too_many_arguments)] // one part, with all that its order names
async fn one(
    work: &mut Work,
    core: &Core,
    exchange: &Exchange,
    world: &mut World,
    record: &OwnRecord,
    part: u32,
    which: Which<'_>,
    ground: &str,
) -> Result<Option<Ordered>, EraseError> {
    let path = state::path(ORDERED, exchange.pack().id(), record.id, part);
    if let Some(row) = work.state(&path).await? {
        let known = Ordered::decode(row.body.as_slice()).map_err(|_| StoreError::Corrupt("state"))?;
        return Ok(Some(known).filter(|known| !matches!(which, Which::Class(class) if class != known.class)));
    }
    let places: Vec<_> = record.places.iter().map(|(log, index)| Place { log: *log, index: *index, part }).collect();
    let mut class = String::new();
    let mut head: Option<EntryHead> = None;
    for place in &places {
        let Some(found) = find(work, &core.sealer, *place).await? else { continue };
        if matches!(which, Which::Class(class) if class != found.class()) {
            return Ok(None);
        }
        match kept(work, &core.sealer, exchange, world, &found).await? {
            Kept::Free => {}
            Kept::ForEver => return Err(EraseError::ForEver),
            Kept::TooEarly => return Err(EraseError::TooEarly),
            Kept::Held => return Err(EraseError::Held),
        }
        found.class().clone_into(&mut class);
        head = Some(found.head);
    }
    if head.is_none() && matches!(which, Which::Class(_)) {
        return Ok(None); // dropped or destroyed before; nothing tells its class
    }
    erase(work, &core.sealer, exchange, world, &places, Line::Ordered(ground)).await?;
    let erase_id = fresh_record_id(&core.sealer);
    let body = Body::Erase(Erase { record_id: record.id.0.to_vec(), part, ground: ground.to_owned() });
    stage_statement(work, &core.sealer, exchange, erase_id, body, None, Vec::new())?;
    let ordered = Ordered {
        agreement: exchange.pack().id().to_owned(),
        record_id: record.id.0.to_vec(),
        part,
        subject: head.and_then(|head| head.subject).map(subject_name).unwrap_or_default(),
        class,
        ground: ground.to_owned(),
        erase_id: erase_id.0.to_vec(),
        ordered_ms: core.sealer.clock.now_ms(),
        ..Ordered::default()
    };
    work.put_state(&path, Some(ordered.encode_to_vec()));
    Ok(Some(ordered))
}

/// Name of a subject.
pub(crate) fn subject_name(subject: Subject) -> String {
    let collection = match subject.kind {
        ViewKind::Placement => "placements",
        ViewKind::Order => "jobOrders",
        ViewKind::Agency => "agencies",
        ViewKind::Crew => "crews",
        ViewKind::Quota => "quotas",
    };
    format!("{collection}/{}", subject.id)
}

/// How far an erasure has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Progress {
    /// Ordered, and gone here; the partner does not hold the ERASE yet.
    Ordered,
    /// The partner's mirror holds the ERASE.
    Delivered,
    /// Gone on both sides.
    Erased,
    /// The partner keeps it for the time being, or for good.
    Refused,
    /// No answer by the agreement's deadline.
    Overdue,
}

/// How far an erasure has come now.
///
/// # Errors
/// The database's.
pub async fn progress(core: &Core, exchange: &Exchange, ordered: &Ordered) -> Result<Progress, StoreError> {
    let id = Ref::from_slice(&ordered.erase_id).unwrap_or_default();
    let logs = core.store.logs().await?;
    let places = core.store.record(id).await?;
    let settled = |log, index| logs.iter().any(|row| row.id == log && row.own && index < row.settled);
    let delivered = places.iter().any(|(log, index)| settled(*log, *index));
    let days = u64::from(exchange.pack().retention().erase_answer_days);
    let deadline = ordered.ordered_ms.saturating_add(days * 86_400_000);
    Ok(match ordered.answer.as_str() {
        "ERASED" if delivered => Progress::Erased,
        "REFUSED" => Progress::Refused,
        _ if core.sealer.clock.now_ms() > deadline => Progress::Overdue,
        _ if delivered => Progress::Delivered,
        _ => Progress::Ordered,
    })
}

/// One erasure.
///
/// # Errors
/// The database's.
pub async fn ordered(
    core: &Core,
    exchange: &Exchange,
    record: RecordId,
    part: u32,
) -> Result<Option<Ordered>, StoreError> {
    let row = core.store.state(&state::path(ORDERED, exchange.pack().id(), record, part)).await?;
    row.map(|row| Ordered::decode(row.body.as_slice()).map_err(|_| StoreError::Corrupt("state"))).transpose()
}

/// Erasures of an agreement after `(record, part)`, in the order of their ids; at most `limit`.
///
/// # Errors
/// The database's.
pub async fn list(
    core: &Core,
    exchange: &Exchange,
    after: Option<(RecordId, u32)>,
    limit: u32,
) -> Result<Vec<Ordered>, StoreError> {
    let prefix = format!("{ORDERED}{}/", exchange.pack().id());
    let after = after.map(|(id, part)| state::path(ORDERED, exchange.pack().id(), id, part)).unwrap_or_default();
    let rows = core.store.states(&prefix, &after, limit).await?;
    let decode = |body: &[u8]| Ordered::decode(body).map_err(|_| StoreError::Corrupt("state"));
    rows.iter().map(|row| decode(&row.body)).collect()
}
