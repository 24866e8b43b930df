//! Judging: each mirrored entry in order, by the same rules that its issuer had to keep. Judging, applying, moving the
//! judged position and staging the OUTCOME are one transaction (model: `outcome_with_apply`).

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use convenio_agreement::act::{Content, Incoming, Kind};
use convenio_agreement::view::World;
use convenio_model::{RecordId, Ref};
use convenio_store::{EntryRow, LogRow, PartRow, StoreError, Subject, ViewKind, Work};
use convenio_wire::exchange::v1::{Part, statement::Body};
use futures::FutureExt;

use super::apply;
use super::check::{Checked, Form, check, kind_of};
use super::decide::{self, Verdict};
use super::screen::subject_of;
use crate::core::{Core, Exchange, Learned, released};
use crate::world::{load_world, save_world};
use crate::writer::Heads;

/// Entries judged in one transaction at most.
const MAX_JUDGED: u64 = 512;
/// Wait after a failure of the database before the next attempt.
const RETRY: Duration = Duration::from_secs(5);

/// Judges what is mirrored, until the node stops.
pub(crate) async fn run(core: Arc<Core>, exchange: Arc<Exchange>) {
    let mut heads = core.heads();
    loop {
        let unjudged = |h: &Heads| h.get(&exchange.peer_log).is_some_and(|head| head.size > head.settled);
        let stopped = heads.wait_for(unjudged).await.is_err();
        if stopped {
            return;
        }
        released(&core.controls.judge).await;
        if let Err(error) = judge_next(&core, &exchange).await {
            tracing::error!(origin = %exchange.peer_origin, reason = %error, "entries were not judged");
            tokio::time::sleep(RETRY).await;
        }
    }
}

/// Judges the next mirrored entries in one transaction.
pub(crate) async fn judge_next(core: &Arc<Core>, exchange: &Arc<Exchange>) -> Result<(), StoreError> {
    let logs = core.store.logs().await?;
    let mirror = logs.iter().find(|l| l.id == exchange.peer_log).ok_or(StoreError::Corrupt("log"))?;
    let frozen = logs.iter().any(|l| l.id == exchange.own_log && !l.alarm.is_empty());
    if frozen {
        // No OUTCOME can be appended; what is mirrored waits for the next epoch.
        return Err(StoreError::Failed("the own log is frozen".to_owned()));
    }
    let (begin, end) = (mirror.settled, mirror.size.min(mirror.settled + MAX_JUDGED));
    let entries = core.store.entries(exchange.peer_log, begin, end).await?;
    let parts = core.store.parts(exchange.peer_log, begin, end).await?;
    let checked = check_all(core, exchange, entries, parts).await?;
    let (job_core, job_exchange) = (core.clone(), exchange.clone());
    let learned = core
        .write::<_, StoreError, _>(move |work| {
            async move {
                if work.log(job_exchange.peer_log)?.settled != begin {
                    return Ok(None);
                }
                judge(work, &job_core, &job_exchange, checked, end).await.map(Some)
            }
            .boxed()
        })
        .await?;
    if let Some(learned) = learned {
        exchange.learn(|known| *known = learned);
    }
    Ok(())
}

/// Checks the form of the entries on two threads beside the writer.
async fn check_all(
    core: &Arc<Core>,
    exchange: &Arc<Exchange>,
    entries: Vec<EntryRow>,
    parts: Vec<PartRow>,
) -> Result<Vec<Checked>, StoreError> {
    let keys = exchange.partner_keys().ok_or(StoreError::Corrupt("mirror without keys"))?;
    let (core, exchange) = (core.clone(), exchange.clone());
    let work = move || {
        let of = |row: &EntryRow| {
            let from = parts.partition_point(|p| p.index < row.index);
            let to = parts.partition_point(|p| p.index <= row.index);
            check(&core, &exchange, &keys, row, &parts[from..to])
        };
        let (left, right) = entries.split_at(entries.len() / 2);
        std::thread::scope(|scope| {
            let left = scope.spawn(|| left.iter().map(of).collect::<Result<Vec<_>, _>>());
            let right = right.iter().map(of).collect::<Result<Vec<_>, _>>();
            let mut all = left.join().map_err(|_| StoreError::Failed("a check failed".to_owned()))??;
            all.extend(right?);
            Ok(all)
        })
    };
    tokio::task::spawn_blocking(work).await.map_err(|_| StoreError::Failed("a check failed".to_owned()))?
}

async fn judge(
    work: &mut Work,
    core: &Core,
    exchange: &Exchange,
    checked: Vec<Checked>,
    end: u64,
) -> Result<Learned, StoreError> {
    let mut learned = exchange.learned();
    let mut seen = duplicates(work, exchange, &checked, end).await?;
    let mut world = load_subjects(work, exchange, &checked).await?;
    let mut verdicts = Vec::new();
    for entry in &checked {
        let position = Position { peer_size: work.log(exchange.own_log)?.size, active: learned.active };
        match &entry.form {
            Ok(form) if matches!(form.statement.body, Some(Body::Record(_))) => {
                let verdict = record(work, core, exchange, &mut world, entry, form, &position, &mut seen);
                verdicts.push(Verdict { index: entry.index, record_id: entry.record_id, refused: verdict.err() });
            }
            Ok(form) => apply::system(work, exchange, &mut world, form, &mut learned).await?,
            Err(reason) if entry.is_record => {
                let refused = Some(decide::Refused::plain(reason));
                verdicts.push(Verdict { index: entry.index, record_id: entry.record_id, refused });
            }
            Err(reason) => {
                tracing::error!(origin = %exchange.peer_origin, index = entry.index, reason, "an entry is void");
            }
        }
    }
    save_world(work, exchange, &mut world);
    let log = work.log(exchange.peer_log)?.clone();
    let begin = log.settled;
    work.put_log(LogRow { settled: end, ..log });
    decide::outcome(work, core, exchange, begin, end, &verdicts).await?;
    Ok(learned)
}

/// Where both logs stand at one entry.
struct Position {
    peer_size: u64,
    active: bool,
}

#[allow(clippy::too_many_arguments)] // one entry with all that a verdict may look at
fn record(
    work: &mut Work,
    core: &Core,
    exchange: &Exchange,
    world: &mut World,
    entry: &Checked,
    form: &Form,
    position: &Position,
    seen: &mut HashSet<RecordId>,
) -> Result<(), decide::Refused> {
    let plain = |reason| Err(decide::Refused::plain(reason));
    if !position.active {
        return plain("NOT_IN_FORCE");
    }
    if form.statement.peer.as_ref().is_none_or(|p| p.size > position.peer_size) {
        return plain("PEER_POSITION");
    }
    if !seen.insert(entry.record_id) {
        return plain("DUPLICATE");
    }
    let verdict = verdict(exchange, world, entry, form);
    if verdict.is_err() {
        seen.remove(&entry.record_id);
    }
    if verdict.as_ref().is_err_and(|refused| refused.reason == "UNDISCLOSED") {
        work.drop_parts(exchange.peer_log, entry.index);
    }
    apply::event(work, core, exchange, entry, form, verdict.as_ref().err());
    verdict
}

/// Stage, schema, lifecycle, gates; on success the record is applied.
fn verdict(exchange: &Exchange, world: &mut World, entry: &Checked, form: &Form) -> Result<(), decide::Refused> {
    let engine = exchange.engine();
    let lead = form.parts.first().ok_or_else(|| decide::Refused::plain("SCHEMA"))?;
    let act = exchange.pack.lifecycle().act_of_lead(&lead.message_name);
    let act = act.ok_or_else(|| decide::Refused::plain("SCHEMA"))?.name();
    let (kind, subject) = (kind_of(lead), subject_of(&lead.subject_ref));
    let (Some(kind), Some(subject)) = (kind, subject) else { return Err(decide::Refused::plain("SCHEMA")) };
    if (kind == Kind::Notice) == (subject.kind == ViewKind::Placement) {
        return Err(decide::Refused::plain("SCHEMA"));
    }
    let stage = engine.stage_of(world, subject.id, act, kind);
    let content = content(exchange, &form.parts, stage)?;
    let incoming = Incoming {
        record_id: entry.record_id,
        issuer: exchange.me.other(),
        act,
        kind,
        subject: subject.id,
        number: lead.placement_sequence,
        event_time_ms: lead.event_time_ms,
        known_state: &lead.known_state,
        content: &content,
    };
    engine.judge(world, &incoming).map_err(|refusal| decide::Refused::from(&refusal))?;
    engine.apply_peer(world, &incoming);
    Ok(())
}

fn content(
    exchange: &Exchange,
    parts: &[Part],
    stage: convenio_agreement::lifecycle::StageId,
) -> Result<Vec<Content>, decide::Refused> {
    parts
        .iter()
        .map(|part| {
            let message = exchange.pack.accept(&part.message_name, &part.message, stage);
            let message = message.map_err(|error| decide::Refused::of_message(&error))?;
            let doc = exchange.pack.semantic(&part.message_name, &message);
            Ok(Content { message_name: part.message_name.clone(), message: part.message.clone(), doc })
        })
        .collect()
}

/// Record ids of this batch that were accepted before.
async fn duplicates(
    work: &mut Work,
    exchange: &Exchange,
    checked: &[Checked],
    end: u64,
) -> Result<HashSet<RecordId>, StoreError> {
    let begin = checked.first().map_or(end, |c| c.index);
    let ids: Vec<_> = checked.iter().filter(|c| c.is_record).map(|c| c.record_id).collect();
    work.accepted(exchange.peer_log, begin, &ids).await
}

async fn load_subjects(work: &mut Work, exchange: &Exchange, checked: &[Checked]) -> Result<World, StoreError> {
    let (mut placements, mut orders, mut agencies) = (Vec::new(), Vec::new(), Vec::new());
    for form in checked.iter().filter_map(|c| c.form.as_ref().ok()) {
        for part in &form.parts {
            match subject_of(&part.subject_ref) {
                Some(Subject { kind: ViewKind::Placement, id }) => placements.push(id),
                Some(Subject { kind: ViewKind::Order, id }) => orders.push(id),
                Some(Subject { kind: ViewKind::Agency, id }) => agencies.push(id),
                None => {}
            }
            if let Some(doc) = exchange.pack.read(&part.message_name, &part.message) {
                let (more_orders, more_agencies) = named_in(&doc);
                orders.extend(more_orders);
                agencies.extend(more_agencies);
            }
        }
    }
    load_world(work, exchange, &placements, &orders, &agencies).await
}

/// Orders and agencies that messages name.
pub(crate) fn named(content: &[Content]) -> (Vec<Ref>, Vec<Ref>) {
    let (mut orders, mut agencies) = (Vec::new(), Vec::new());
    for content in content {
        let (order, agency) = named_in(&content.doc);
        orders.extend(order);
        agencies.extend(agency);
    }
    (orders, agencies)
}

fn named_in(doc: &convenio_agreement::plan::Doc) -> (Option<Ref>, Option<Ref>) {
    let named = |path: &str| subject_of(doc.text(path)?).map(|s| s.id);
    (named("placement.job_order"), named("placement.agency"))
}
