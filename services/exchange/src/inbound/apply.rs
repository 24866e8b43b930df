//! What follows from a judged entry besides its record: decisions about own acts, ratifications, the history.

use convenio_agreement::act::Detail;
use convenio_agreement::view::{RejectedAct, World};
use convenio_seal::key::PublicKey;
use convenio_seal::root::RootSet;
use convenio_seal::rotation::verify_revoke;
use convenio_store::{EntryHead, EventRow, LogId, LogRow, StoreError, Subject, ViewKind, Work};
use convenio_wire::MAX_OUTCOME;
use convenio_wire::exchange::v1::{Outcome, OutcomeDetail, Part, Revoke, statement::Body};
use convenio_wire::registry::v1::{PlacementEvent, Rejection};
use prost::Message;
use std::collections::HashMap;

use super::check::{Checked, Form};
use super::decide::{Refused, too_large};
use super::screen::subject_of;
use super::told;
use crate::core::{Core, Exchange};
use crate::learn::revocation_state;
use crate::order;
use crate::outbound::seal::{fresh_record_id, stage_statement};
use crate::world::load_more;

/// Applies an entry that is no RECORD, which stands at this epoch and index of the partner's logs.
pub(crate) async fn system(
    work: &mut Work,
    core: &Core,
    exchange: &Exchange,
    at: (u64, u64),
    world: &mut World,
    form: &Form,
) -> Result<(), StoreError> {
    match &form.statement.body {
        Some(Body::Outcome(outcome)) => decisions(work, exchange, world, outcome, &form.parts).await?,
        Some(Body::Revoke(revoke)) => echo(work, core, exchange, revoke).await?,
        Some(body @ (Body::Suspend(_) | Body::Resume(_) | Body::Terminate(_))) => {
            order::echo(work, core, exchange, at, body).await?;
        }
        // Keys and versions were learned when the entry was mirrored: the very batch that holds it must verify.
        _ => {}
    }
    Ok(())
}

/// A revocation by the partner's roots stands in this side's log too, once.
async fn echo(work: &mut Work, core: &Core, exchange: &Exchange, revoke: &Revoke) -> Result<(), StoreError> {
    if verify_revoke(revoke, &exchange.partner_roots).is_err() {
        return Ok(());
    }
    let state = revocation_state("echo", &revoke.payload);
    if work.state(&state).await?.is_some() {
        return Ok(());
    }
    work.put_state(&state, Some(Vec::new()));
    let id = fresh_record_id(&core.sealer);
    let body = Body::Revoke(by_roots(revoke, &exchange.partner_roots));
    stage_statement(work, &core.sealer, exchange, id, body, None, Vec::new()).map_err(too_large)
}

/// The revocation with one signature of each root and no others: an entry of this node's own must hold it.
fn by_roots(revoke: &Revoke, roots: &RootSet) -> Revoke {
    // Each of them has verified, or the revocation would not have.
    let first = |key: &PublicKey| revoke.signatures.iter().find(|one| one.key_id == key.key_id()).cloned();
    Revoke { payload: revoke.payload.clone(), signatures: roots.keys().iter().filter_map(first).collect() }
}

/// The partner decided own records of a range; a record is decided once.
async fn decisions(
    work: &mut Work,
    exchange: &Exchange,
    world: &mut World,
    outcome: &Outcome,
    parts: &[Part],
) -> Result<(), StoreError> {
    let Some(lane) = exchange.own_lanes().iter().find(|lane| lane.epoch == outcome.epoch).cloned() else {
        tracing::error!(partner = %exchange.partner_node, "an OUTCOME speaks of an epoch that is none");
        return Ok(());
    };
    let own = work.log(lane.log)?.clone();
    let inside = own.entangled <= outcome.begin && covered(outcome).is_some() && outcome.end <= own.size;
    // A range may leave out entries that need no answer, never a RECORD.
    if !inside || records_in(work, lane.log, own.entangled, outcome.begin).await? {
        tracing::error!(origin = %lane.origin, "an OUTCOME covers what it cannot");
        return Ok(());
    }
    let records = work.entry_heads(lane.log, outcome.begin, outcome.end).await?;
    let records: Vec<_> = records.into_iter().filter(|e| e.is_record).collect();
    let of_placements = records.iter().filter_map(placement).collect::<Vec<_>>();
    load_more(work, exchange, world, &of_placements, &[], &[]).await?;
    let details = details(parts);
    let reasons: HashMap<u64, String> = outcome.rejects.iter().map(|r| (r.index, told::reason(&r.reason))).collect();
    let mut rejected = 0;
    for record in &records {
        let decision = reasons.get(&record.index).map(|reason| {
            let detail = details.get(&record.index).cloned().unwrap_or_default();
            RejectedAct::new(record.record_id, reason, detail)
        });
        rejected += u64::from(decision.is_some());
        if let Some(why) = &decision {
            work.push_rejection(convenio_store::RejectionRow {
                log: lane.log,
                index: record.index,
                record_id: record.record_id,
                reason: why.reason.clone(),
            });
        }
        if let Some(id) = placement(record) {
            decision_event(work, exchange, id, record, decision.as_ref());
            let pack = exchange.own_version(lane.epoch, record.index);
            exchange.engine_of(pack).resolve(world, id, record.record_id, decision);
        }
    }
    let decided = own.decided + records.len() as u64;
    work.put_log(LogRow { decided, rejected: own.rejected + rejected, entangled: outcome.end, ..own });
    Ok(())
}

/// How many entries an OUTCOME covers; none if that is more than one may, or its range is none.
pub(crate) fn covered(outcome: &Outcome) -> Option<u64> {
    outcome.end.checked_sub(outcome.begin).filter(|count| *count <= MAX_OUTCOME)
}

/// Whether a RECORD stands in `[begin, end)`.
async fn records_in(work: &mut Work, log: LogId, mut begin: u64, end: u64) -> Result<bool, StoreError> {
    while begin < end {
        let page = end.min(begin + MAX_OUTCOME);
        if work.entry_heads(log, begin, page).await?.iter().any(|head| head.is_record) {
            return Ok(true);
        }
        begin = page;
    }
    Ok(false)
}

fn placement(head: &EntryHead) -> Option<convenio_model::Ref> {
    head.subject.filter(|s| s.kind == ViewKind::Placement).map(|s| s.id)
}

fn details(parts: &[Part]) -> HashMap<u64, Detail> {
    let decoded = parts.first().and_then(|p| OutcomeDetail::decode(p.message.as_slice()).ok());
    let rejects = decoded.map(|d| d.rejects).unwrap_or_default();
    rejects.into_iter().map(|r| (r.index, told::detail(r))).collect()
}

/// A rejection, as the registry tells it.
#[must_use]
pub fn rejection(why: &RejectedAct) -> Rejection {
    Rejection {
        act: why.act.clone(),
        reason: why.reason.clone(),
        gate: why.gate.clone(),
        field_paths: why.field_paths.clone(),
        clause: why.clause.clone(),
        fact: why.fact.clone(),
    }
}

fn decision_event(
    work: &mut Work,
    exchange: &Exchange,
    placement: convenio_model::Ref,
    record: &EntryHead,
    rejected: Option<&RejectedAct>,
) {
    let event = PlacementEvent {
        party: exchange.partner_party.clone(),
        act: "decision".to_owned(),
        record_id: hex::encode(record.record_id.0),
        decision: if rejected.is_some() { "REJECTED" } else { "ACCEPTED" }.to_owned(),
        rejection: rejected.map(rejection),
        ..PlacementEvent::default()
    };
    let agreement = exchange.pack().id().to_owned();
    work.push_event(EventRow { ordinal: 0, agreement, placement, body: event.encode_to_vec() });
}

/// The partner's act with this side's decision, in the placement's history.
pub(crate) fn event(
    work: &mut Work,
    core: &Core,
    exchange: &Exchange,
    entry: &Checked,
    form: &Form,
    refused: Option<&Refused>,
) {
    let Some(lead) = form.parts.first() else { return };
    let Some(Subject { kind: ViewKind::Placement, id }) = subject_of(&lead.subject_ref) else { return };
    let lifecycle = exchange.version(&form.statement.agreement_digest).unwrap_or_else(|| exchange.pack()).lifecycle();
    let act = lifecycle.act_of_lead(&lead.message_name).map(|a| a.name().to_owned()).unwrap_or_default();
    let to = lifecycle.transition(&act).map(|t| lifecycle.state_name(t.to).to_owned()).unwrap_or_default();
    let event = PlacementEvent {
        party: exchange.partner_party.clone(),
        to_state: to,
        sequence: i64::try_from(lead.placement_sequence).unwrap_or(i64::MAX),
        record_id: hex::encode(entry.record_id.0),
        event_time_ms: i64::try_from(lead.event_time_ms).unwrap_or(i64::MAX),
        record_time_ms: i64::try_from(core.sealer.clock.now_ms()).unwrap_or(i64::MAX),
        historical: lead.historical,
        decision: if refused.is_some() { "REJECTED" } else { "ACCEPTED" }.to_owned(),
        rejection: refused.map(|why| {
            let rejected = RejectedAct::new(entry.record_id, why.reason, why.detail.clone());
            rejection(&RejectedAct { act: act.clone(), ..rejected })
        }),
        act,
    };
    let agreement = exchange.pack().id().to_owned();
    work.push_event(EventRow { ordinal: 0, agreement, placement: id, body: event.encode_to_vec() });
}
