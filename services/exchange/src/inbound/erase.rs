//! ERASE, from the other side: judged, carried out or put off, and answered; and the answers to own orders. An answer is
//! never answered.

use std::collections::HashMap;
use std::sync::Arc;

use convenio_agreement::pack::Pack;
use convenio_agreement::view::World;
use convenio_model::{RecordId, Ref};
use convenio_store::{Deed, Kind, LogId, StoreError, ViewKind, Work};
use convenio_wire::exchange::v1::{Erase, EraseAnswer, statement::Body};
use futures::FutureExt;
use prost::Message;

use super::check::Checked;
use super::told;
use crate::core::{Core, Exchange};
use crate::erase::state::{self, DUE, Due, ORDERED, Ordered};
use crate::erase::{Kept, Line, Place, commitments, erase, find, kept, record_id, statement_at};
use crate::outbound::seal::{fresh_record_id, stage_statement};
use crate::world::save_world;

/// It is gone here.
const ERASED: &str = "ERASED";
/// It is not, for the time being or for good.
const REFUSED: &str = "REFUSED";
/// Kept by minimum retention, by a hold, or for ever: which of them would tell too much.
const RETAINED: &str = "RETAINED";
/// Put-off orders that one pass looks at.
const PASS: u32 = 256;

/// Where the records stand that a batch of entries wants erased.
pub(crate) type Targets = HashMap<RecordId, Vec<(LogId, u64)>>;

/// Looks them up: a record is mirrored before the ERASE that names it.
pub(crate) async fn targets(core: &Core, checked: &[Checked]) -> Result<Targets, StoreError> {
    let mut found = Targets::new();
    for form in checked.iter().filter_map(|entry| entry.form.as_ref().ok()) {
        if let Some(Body::Erase(order)) = &form.statement.body
            && let Some(id) = record_id(&order.record_id)
        {
            found.insert(id, core.store.record(id).await?);
        }
    }
    Ok(found)
}

/// Judges an ERASE that was issued under `pack` and stages the answer.
pub(crate) async fn received(
    work: &mut Work,
    core: &Core,
    (exchange, pack): (&Exchange, &Pack),
    world: &mut World,
    order: &Erase,
    targets: &Targets,
) -> Result<(), StoreError> {
    let Some(id) = record_id(&order.record_id) else {
        tracing::error!(partner = %exchange.partner_node, "an ERASE names no record");
        return Ok(());
    };
    let at = targets.get(&id).map(Vec::as_slice).unwrap_or_default();
    let (word, reason) = judge(work, core, (exchange, pack), world, order, id, at).await?;
    answer(work, core, exchange, id, order.part, word, reason)
}

async fn judge(
    work: &mut Work,
    core: &Core,
    (exchange, pack): (&Exchange, &Pack),
    world: &mut World,
    order: &Erase,
    id: RecordId,
    at: &[(LogId, u64)],
) -> Result<(&'static str, &'static str), StoreError> {
    let theirs = exchange.peer_lanes();
    let mirrored: Vec<_> = at.iter().filter(|(log, _)| theirs.iter().any(|lane| lane.log == *log)).collect();
    if mirrored.is_empty() {
        let ours = at.iter().any(|(log, _)| exchange.lane_of(*log).is_some());
        return Ok((REFUSED, if ours { "NOT_ISSUER" } else { "NOT_FOUND" }));
    }
    let mut places = Vec::new();
    for (log, index) in mirrored {
        let said = statement_at(work, *log, *index).await?.unwrap_or_default();
        if (order.part as usize) < commitments(&said) {
            places.push(Place { log: *log, index: *index, part: order.part });
        }
    }
    if places.is_empty() {
        return Ok((REFUSED, "NOT_FOUND"));
    }
    if !pack.retention().is_ground(&order.ground) {
        return Ok((REFUSED, "GROUND"));
    }
    let path = state::path(DUE, exchange.pack().id(), id, order.part);
    let keeps = keeps(work, core, exchange, world, &places).await?;
    if keeps == Kept::Free {
        note(work, &places).await?;
        erase(work, &core.sealer, exchange, world, &places, Line::Erased).await?;
        work.put_state(&path, None);
        return Ok((ERASED, ""));
    }
    if keeps != Kept::ForEver {
        let due = Due { record_id: id.0.to_vec(), part: order.part, received_ms: core.sealer.clock.now_ms() };
        work.put_state(&path, Some(due.encode_to_vec()));
    }
    Ok((REFUSED, RETAINED))
}

/// What the partner has erased here stands in the journal, as what this state erases does.
async fn note(work: &mut Work, places: &[Place]) -> Result<(), StoreError> {
    for place in places {
        let head = work.entry_heads(place.log, place.index, place.index + 1).await?.pop();
        let subject = head.and_then(|head| head.subject).filter(|subject| subject.kind == ViewKind::Placement);
        work.note(Deed::Erased, subject.map(|subject| (Kind::Placement, subject.id)));
    }
    Ok(())
}

/// What keeps any of these, if something does.
async fn keeps(
    work: &mut Work,
    core: &Core,
    exchange: &Exchange,
    world: &mut World,
    places: &[Place],
) -> Result<Kept, StoreError> {
    for place in places {
        let Some(found) = find(work, &core.sealer, *place).await? else { continue };
        let keeps = kept(work, &core.sealer, exchange, world, &found).await?;
        if keeps != Kept::Free {
            return Ok(keeps);
        }
    }
    Ok(Kept::Free)
}

fn answer(
    work: &mut Work,
    core: &Core,
    exchange: &Exchange,
    id: RecordId,
    part: u32,
    word: &str,
    reason: &str,
) -> Result<(), StoreError> {
    let body = EraseAnswer { record_id: id.0.to_vec(), part, answer: word.to_owned(), reason: reason.to_owned() };
    let own_id = fresh_record_id(&core.sealer);
    stage_statement(work, &core.sealer, exchange, own_id, Body::EraseAnswer(body), None, Vec::new())
        .map_err(|error| StoreError::Failed(error.to_string()))
}

/// Takes the partner's answer to an own order. ERASED is final.
pub(crate) async fn answered(
    work: &mut Work,
    core: &Core,
    exchange: &Exchange,
    said: &EraseAnswer,
) -> Result<(), StoreError> {
    let known = record_id(&said.record_id).map(|id| state::path(ORDERED, exchange.pack().id(), id, said.part));
    let row = match &known {
        Some(path) => work.state(path).await?,
        None => None,
    };
    let (Some(path), Some(row)) = (known, row) else {
        tracing::warn!(partner = %exchange.partner_node, "an answer to an ERASE that was not ordered");
        return Ok(());
    };
    let ordered = Ordered::decode(row.body.as_slice()).map_err(|_| StoreError::Corrupt("state"))?;
    let word = told::reason(&said.answer);
    if ordered.answer == ERASED || (word != ERASED && word != REFUSED) {
        return Ok(());
    }
    let reason = if said.reason.is_empty() { String::new() } else { told::reason(&said.reason) };
    let answered_ms = core.sealer.clock.now_ms();
    work.put_state(&path, Some(Ordered { answer: word, reason, answered_ms, ..ordered }.encode_to_vec()));
    Ok(())
}

/// Carries out what was put off and nothing keeps any more, and answers ERASED unasked.
pub(crate) async fn settle_due(core: &Arc<Core>, exchange: &Arc<Exchange>) -> Result<(), StoreError> {
    let prefix = format!("{DUE}{}/", exchange.pack().id());
    let mut after = String::new();
    loop {
        let rows = core.store.states(&prefix, &after, PASS).await?;
        let Some(last) = rows.last() else { return Ok(()) };
        after.clone_from(&last.key);
        for row in rows {
            let due = Due::decode(row.body.as_slice()).map_err(|_| StoreError::Corrupt("state"))?;
            let id = Ref::from_slice(&due.record_id).map_err(|_| StoreError::Corrupt("state"))?;
            settle_one(core, exchange, row.key, id, due.part).await?;
        }
    }
}

async fn settle_one(
    core: &Arc<Core>,
    exchange: &Arc<Exchange>,
    path: String,
    id: RecordId,
    part: u32,
) -> Result<(), StoreError> {
    let theirs = exchange.peer_lanes();
    let at = core.store.record(id).await?;
    let at = at.into_iter().filter(|(log, _)| theirs.iter().any(|lane| lane.log == *log));
    let places: Vec<_> = at.map(|(log, index)| Place { log, index, part }).collect();
    let (job_core, exchange) = (core.clone(), exchange.clone());
    core.write(move |work| {
        async move {
            let own = work.log(exchange.own().log)?;
            // Without an answer nothing is erased: the next epoch is to tell it.
            let frozen = !own.alarm.is_empty() || own.closed;
            if frozen || work.state(&path).await?.is_none() {
                return Ok(());
            }
            let mut world = World::default();
            if keeps(work, &job_core, &exchange, &mut world, &places).await? != Kept::Free {
                return Ok(());
            }
            note(work, &places).await?;
            erase(work, &job_core.sealer, &exchange, &mut world, &places, Line::Erased).await?;
            save_world(work, &exchange, &mut world);
            work.put_state(&path, None);
            answer(work, &job_core, &exchange, id, part, ERASED, "")
        }
        .boxed()
    })
    .await
}
