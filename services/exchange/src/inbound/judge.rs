//! Judging: each mirrored entry in order, by the same rules that its issuer had to keep. Judging, applying, moving the
//! judged position and staging the OUTCOME are one transaction (model: `outcome_with_apply`).

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use convenio_agreement::act::{Content, Incoming, Kind};
use convenio_agreement::pack::Pack;
use convenio_agreement::view::World;
use convenio_model::{RecordId, Ref};
use convenio_store::{EntryRow, LogRow, PartRow, StoreError, Subject, ViewKind, Work};
use convenio_wire::MAX_OUTCOME;
use convenio_wire::exchange::v1::{Part, Statement, statement::Body};
use futures::FutureExt;

use super::apply;
use super::check::{Checked, Form, check, kind_of};
use super::decide::{self, Verdict};
use super::erase;
use super::screen::subject_of;
use crate::core::{Core, Exchange, released};
use crate::lane::Lane;
use crate::world::{load_crews, load_world, save_world};
use crate::writer::Heads;

/// Entries judged in one transaction at most.
const MAX_JUDGED: u64 = 512;
/// Wait after a failure of the database before the next attempt.
const RETRY: Duration = Duration::from_secs(5);

/// Judges what is mirrored, until the node stops.
pub(crate) async fn run(core: Arc<Core>, exchange: Arc<Exchange>) {
    let mut heads = core.heads();
    loop {
        let unjudged = |h: &Heads| {
            let waits = |lane: &Arc<Lane>| h.get(&lane.log).is_some_and(|head| head.size > head.settled);
            exchange.peer_lanes().iter().any(waits)
        };
        let stopped = heads.wait_for(unjudged).await.is_err();
        if stopped {
            return;
        }
        released(&core.controls.judge).await;
        if let Err(error) = judge_next(&core, &exchange).await {
            tracing::error!(partner = %exchange.partner_node, reason = %error, "entries were not judged");
            tokio::time::sleep(RETRY).await;
        }
    }
}

/// Judges the next mirrored entries in one transaction.
pub(crate) async fn judge_next(core: &Arc<Core>, exchange: &Arc<Exchange>) -> Result<(), StoreError> {
    let logs = core.store.logs().await?;
    let found = |id| logs.iter().find(|l| l.id == id);
    let lane = exchange.unjudged(|id| found(id).map(|l| (l.size, l.settled)));
    let mirror = found(lane.log).ok_or(StoreError::Corrupt("log"))?;
    let own = exchange.own();
    let frozen = found(own.log).is_some_and(|l| !l.alarm.is_empty() || l.closed);
    if frozen {
        // No OUTCOME can be appended; what is mirrored waits for the next epoch.
        return Err(StoreError::Failed("the own log is frozen".to_owned()));
    }
    let (begin, end) = (mirror.settled, mirror.size.min(mirror.settled + MAX_JUDGED));
    let entries = core.store.entries(lane.log, begin, end).await?;
    let parts = core.store.parts(lane.log, begin, end).await?;
    let mut checked = check_all(core, exchange, &lane, entries, parts.clone()).await?;
    checked.truncate(one_job(&checked));
    let end = begin + checked.len() as u64;
    if checked.iter().any(|entry| entry.form.as_ref().is_err_and(|reason| *reason == "PART_MISSING"))
        && core.store.parts(lane.log, begin, end).await? != parts
    {
        // Sealed under another key meanwhile: look again.
        return Ok(());
    }
    let targets = erase::targets(core, &checked).await?;
    let erases = !targets.is_empty();
    let (job_core, job_exchange, job_lane) = (core.clone(), exchange.clone(), lane.clone());
    core.write::<_, StoreError, _>(move |work| {
        async move {
            if work.log(job_lane.log)?.settled != begin {
                return Ok(());
            }
            judge(work, &job_core, &job_exchange, &job_lane, checked, &targets, end).await
        }
        .boxed()
    })
    .await?;
    if erases {
        crate::erase::order::carried_out(core).await;
    }
    Ok(())
}

/// How many of these entries one transaction judges: the OUTCOMEs among them load what they decide, all together no more than
/// one may cover.
fn one_job(checked: &[Checked]) -> usize {
    let mut room = MAX_OUTCOME;
    let fits = checked.iter().take_while(|entry| {
        let covered = match entry.form.as_ref().ok().and_then(|form| form.statement.body.as_ref()) {
            Some(Body::Outcome(outcome)) => apply::covered(outcome).unwrap_or(0),
            _ => 0,
        };
        let fits = covered <= room;
        room = room.saturating_sub(covered);
        fits
    });
    fits.count()
}

/// Checks the form of the entries on two threads beside the writer.
async fn check_all(
    core: &Arc<Core>,
    exchange: &Arc<Exchange>,
    lane: &Arc<Lane>,
    entries: Vec<EntryRow>,
    parts: Vec<PartRow>,
) -> Result<Vec<Checked>, StoreError> {
    let known = exchange.known(lane.epoch);
    let revoked = exchange.partner_revoked();
    let (core, exchange, lane) = (core.clone(), exchange.clone(), lane.clone());
    let work = move || {
        let of = |row: &EntryRow| {
            let from = parts.partition_point(|p| p.index < row.index);
            let to = parts.partition_point(|p| p.index <= row.index);
            check(&core, &exchange, &lane, (&known, &revoked), row, &parts[from..to])
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
    lane: &Lane,
    checked: Vec<Checked>,
    targets: &erase::Targets,
    end: u64,
) -> Result<(), StoreError> {
    let mut seen = duplicates(work, exchange, lane, &checked, end).await?;
    let mut world = load_subjects(work, exchange, &checked).await?;
    let mut verdicts = Vec::new();
    for entry in &checked {
        let inside = inside(work, exchange, entry)?;
        match &entry.form {
            Ok(form) if matches!(form.statement.body, Some(Body::Record(_))) => {
                let verdict = record(work, core, exchange, lane, &mut world, entry, form, inside, &mut seen);
                verdicts.push(Verdict { index: entry.index, record_id: entry.record_id, refused: verdict.err() });
            }
            Ok(Form { statement: statement @ Statement { body: Some(Body::Erase(order)), .. }, .. }) => {
                let pack = exchange.version(&statement.agreement_digest).unwrap_or_else(|| exchange.pack());
                erase::received(work, core, (exchange, pack), &mut world, order, targets).await?;
            }
            Ok(Form { statement: Statement { body: Some(Body::EraseAnswer(said)), .. }, .. }) => {
                erase::answered(work, core, exchange, said).await?;
            }
            Ok(form) => apply::system(work, core, exchange, (lane.epoch, entry.index), &mut world, form).await?,
            Err(reason) if entry.is_record => {
                let refused = Some(decide::Refused::plain(reason));
                verdicts.push(Verdict { index: entry.index, record_id: entry.record_id, refused });
            }
            Err(reason) => {
                tracing::error!(origin = %lane.origin, index = entry.index, reason, "an entry is void");
            }
        }
    }
    save_world(work, exchange, &mut world);
    let log = work.log(lane.log)?.clone();
    let begin = log.settled;
    work.put_log(LogRow { settled: end, ..log });
    decide::outcome(work, core, exchange, lane, begin, end, &verdicts).await
}

/// Whether an entry's `peer` is a position that a log of this node has reached.
fn inside(work: &Work, exchange: &Exchange, entry: &Checked) -> Result<bool, StoreError> {
    let Some(said) = entry.form.as_ref().ok().and_then(|form| form.statement.peer) else { return Ok(false) };
    let lanes = exchange.own_lanes();
    let Some(lane) = lanes.iter().find(|lane| lane.epoch == said.epoch) else { return Ok(false) };
    Ok(said.size <= work.log(lane.log)?.size)
}

#[allow(clippy::too_many_arguments)] // one entry with all that a verdict may look at
fn record(
    work: &mut Work,
    core: &Core,
    exchange: &Exchange,
    lane: &Lane,
    world: &mut World,
    entry: &Checked,
    form: &Form,
    inside: bool,
    seen: &mut HashSet<RecordId>,
) -> Result<(), decide::Refused> {
    let plain = |reason| Err(decide::Refused::plain(reason));
    if !inside {
        return plain("PEER_POSITION");
    }
    if !seen.insert(entry.record_id) {
        return plain("DUPLICATE");
    }
    let verdict = match exchange.version(&form.statement.agreement_digest) {
        Some(pack) => verdict(exchange, pack, lane, world, entry, form),
        None => plain("NOT_IN_FORCE"), // not reached: the form was checked under it
    };
    if verdict.is_err() {
        seen.remove(&entry.record_id);
    }
    if verdict.as_ref().is_err_and(|refused| refused.reason == "UNDISCLOSED") {
        work.drop_parts(lane.log, entry.index);
    }
    apply::event(work, core, exchange, entry, form, verdict.as_ref().err());
    verdict
}

/// In force, stage, schema, lifecycle, gates; on success the record is applied.
fn verdict(
    exchange: &Exchange,
    pack: &Pack,
    lane: &Lane,
    world: &mut World,
    entry: &Checked,
    form: &Form,
) -> Result<(), decide::Refused> {
    let engine = exchange.engine_of(pack);
    let lead = form.parts.first().ok_or_else(|| decide::Refused::plain("SCHEMA"))?;
    let act = pack.lifecycle().act_of_lead(&lead.message_name);
    let def = act.ok_or_else(|| decide::Refused::plain("SCHEMA"))?;
    let act = def.name();
    let (kind, subject) = (kind_of(lead), subject_of(&lead.subject_ref));
    let (Some(kind), Some(subject)) = (kind, subject) else { return Err(decide::Refused::plain("SCHEMA")) };
    if (kind == Kind::Notice) == (subject.kind == ViewKind::Placement) {
        return Err(decide::Refused::plain("SCHEMA"));
    }
    if let Some(reason) = exchange.halts_peer(pack, def, (lane.epoch, entry.index), &form.statement) {
        return Err(decide::Refused::plain(reason));
    }
    let stage = engine.stage_of(world, subject.id, act, kind);
    let content = content(pack, &form.parts, stage)?;
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
    pack: &Pack,
    parts: &[Part],
    stage: convenio_agreement::lifecycle::StageId,
) -> Result<Vec<Content>, decide::Refused> {
    parts
        .iter()
        .map(|part| {
            let message = pack.accept(&part.message_name, &part.message, stage);
            let message = message.map_err(|error| decide::Refused::of_message(&error))?;
            let doc = pack.semantic(&part.message_name, &message);
            Ok(Content { message_name: part.message_name.clone(), message: part.message.clone(), doc })
        })
        .collect()
}

/// Record ids of this batch that were accepted before, in this epoch or an earlier one.
async fn duplicates(
    work: &mut Work,
    exchange: &Exchange,
    lane: &Lane,
    checked: &[Checked],
    end: u64,
) -> Result<HashSet<RecordId>, StoreError> {
    let begin = checked.first().map_or(end, |c| c.index);
    let ids: Vec<_> = checked.iter().filter(|c| c.is_record).map(|c| c.record_id).collect();
    let mut seen = work.accepted(lane.log, begin, &ids).await?;
    for earlier in exchange.peer_lanes().iter().filter(|earlier| earlier.epoch < lane.epoch) {
        let size = work.log(earlier.log)?.size;
        seen.extend(work.accepted(earlier.log, size, &ids).await?);
    }
    Ok(seen)
}

async fn load_subjects(work: &mut Work, exchange: &Exchange, checked: &[Checked]) -> Result<World, StoreError> {
    let (mut placements, mut orders, mut agencies) = (Vec::new(), Vec::new(), Vec::new());
    let mut crews = Vec::new();
    for form in checked.iter().filter_map(|c| c.form.as_ref().ok()) {
        for part in &form.parts {
            match subject_of(&part.subject_ref) {
                Some(Subject { kind: ViewKind::Placement, id }) => placements.push(id),
                Some(Subject { kind: ViewKind::Order, id }) => orders.push(id),
                Some(Subject { kind: ViewKind::Agency, id }) => agencies.push(id),
                Some(Subject { kind: ViewKind::Crew, id }) => crews.push(id),
                Some(Subject { kind: ViewKind::Quota, .. }) | None => {}
            }
            if let Some(doc) = exchange.reader(&part.message_name).read(&part.message_name, &part.message) {
                let (more_orders, more_agencies) = named_in(&doc);
                orders.extend(more_orders);
                agencies.extend(more_agencies);
            }
        }
    }
    let mut world = load_world(work, exchange, &placements, &orders, &agencies).await?;
    load_crews(work, exchange, &mut world, &crews).await?;
    Ok(world)
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
