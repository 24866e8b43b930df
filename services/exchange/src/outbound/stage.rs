//! Staging: gates, numbers, the peer position and the active digest are read inside the transaction that stages the
//! signed statement with its parts and the changed views (model: `gates_in_txn`). Once it commits, the RPC may answer.

use convenio_agreement::act::{Content, Kind, Local, Prepared, Refusal};
use convenio_agreement::lifecycle::{self, ActDef, StageId};
use convenio_agreement::plan::Sources;
use convenio_agreement::view::World;
use convenio_model::{RecordId, Ref};
use convenio_store::{EventRow, Subject, ViewKind, Work};
use convenio_wire::exchange::v1::{ActKind, Part, Record, statement::Body};
use convenio_wire::registry::v1::PlacementEvent;
use prost::Message;

use super::project::project;
use super::seal::{PartDraft, fresh_record_id, seal_parts, stage_statement};
use crate::core::{Core, Exchange};
use crate::error::IssueError;
use crate::world::{load_crews, load_world, save_world};

/// An act on a placement that a registry use case wants.
pub struct ActRequest<'a> {
    /// Placement.
    pub placement: Ref,
    /// Transition or fact.
    pub act: &'a str,
    /// Registry records that the messages are built from.
    pub sources: &'a Sources,
    /// What only the registry can tell the gates.
    pub local: Local,
    /// When it happened, Unix ms.
    pub event_time_ms: u64,
    /// Happened before the exchange began.
    pub historical: bool,
}

/// An act that was staged.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Issued {
    /// Record; none for a local transition.
    pub record_id: Option<RecordId>,
    /// Kind.
    pub kind: Kind,
    /// Number that it takes; 0 for a fact.
    pub number: u64,
    /// State that it leads to; empty for a fact.
    pub to: String,
}

/// Prepares, projects, permits, seals and stages one act, and applies it to this side's views.
///
/// # Errors
/// [`IssueError`]; nothing has changed.
pub async fn issue_act(
    work: &mut Work,
    core: &Core,
    exchange: &Exchange,
    request: ActRequest<'_>,
) -> Result<Issued, IssueError> {
    unfrozen(work, exchange)?;
    let mut world = load_world(work, exchange, &[request.placement], &[], &[]).await?;
    let prepared = exchange.engine().prepare(&world, request.placement, request.act)?;
    if prepared.kind != Kind::Local {
        in_force(work, core, exchange, exchange.pack().lifecycle().act(request.act))?;
    }
    let names = messages_of(exchange, request.act);
    let content = project(exchange.pack(), names.iter().map(String::as_str), request.sources, prepared.stage)?;
    load_named(work, exchange, &mut world, &content).await?;
    exchange.engine().permit(&world, &prepared, request.event_time_ms, &content, &request.local)?;

    let record_id = fresh_record_id(&core.sealer);
    let crosses = prepared.kind != Kind::Local;
    if crosses {
        let parts = parts_of(exchange, &prepared, &content, &request);
        let subject = Subject { kind: ViewKind::Placement, id: request.placement };
        stage_record(work, core, exchange, record_id, parts, subject).await?;
    }
    exchange.engine().apply_own(&mut world, &prepared, record_id, request.event_time_ms, &content);
    save_world(work, exchange, &mut world);
    push_event(work, core, exchange, &prepared, record_id, &request);
    let record_id = crosses.then_some(record_id);
    Ok(Issued { record_id, kind: prepared.kind, number: prepared.number, to: prepared.to })
}

/// Stages the state of a job order, a licence or a crew list.
///
/// # Errors
/// [`IssueError`]; nothing has changed.
#[allow(clippy::too_many_arguments)] // the act, flat: subject, what it is built from, when
pub async fn issue_notice(
    work: &mut Work,
    core: &Core,
    exchange: &Exchange,
    notice: &str,
    subject: Ref,
    sources: &Sources,
    event_time_ms: u64,
    historical: bool,
) -> Result<RecordId, IssueError> {
    unfrozen(work, exchange)?;
    let def = exchange
        .pack()
        .lifecycle()
        .notice(notice)
        .filter(|n| n.by.contains(&exchange.me))
        .ok_or_else(|| Refusal::UnknownAct(notice.to_owned()))?;
    let (kind, orders, agencies, crews) = match def.subject {
        lifecycle::Subject::JobOrders => (ViewKind::Order, vec![subject], Vec::new(), Vec::new()),
        lifecycle::Subject::Agencies => (ViewKind::Agency, Vec::new(), vec![subject], Vec::new()),
        lifecycle::Subject::Crews => (ViewKind::Crew, Vec::new(), Vec::new(), vec![subject]),
    };
    in_force(work, core, exchange, Some(ActDef::Notice(def)))?;
    let content = project(exchange.pack(), [def.message.as_ref()], sources, StageId::FIRST)?;
    let mut world = load_world(work, exchange, &[], &orders, &agencies).await?;
    load_crews(work, exchange, &mut world, &crews).await?;
    let record_id = fresh_record_id(&core.sealer);
    let name = format!("{}/{subject}", def.subject.collection());
    let parts = content.iter().map(|c| PartDraft {
        part: Part {
            subject_ref: name.clone(),
            event_time_ms,
            historical,
            act_kind: ActKind::Notice.into(),
            ..part_of(exchange, c)
        },
        subject,
    });
    stage_record(work, core, exchange, record_id, parts.collect(), Subject { kind, id: subject }).await?;
    exchange.engine().take_notice(&mut world, notice, exchange.me, subject, record_id, &content);
    save_world(work, exchange, &mut world);
    Ok(record_id)
}

async fn stage_record(
    work: &mut Work,
    core: &Core,
    exchange: &Exchange,
    record_id: RecordId,
    parts: Vec<PartDraft>,
    subject: Subject,
) -> Result<(), IssueError> {
    let sealed = seal_parts(work, &core.sealer, record_id, parts).await?;
    let body = Body::Record(Record { commitments: sealed.commitments });
    stage_statement(work, &core.sealer, exchange, record_id, body, Some(subject), sealed.stored)
}

fn unfrozen(work: &Work, exchange: &Exchange) -> Result<(), IssueError> {
    let alarm = &work.log(exchange.own().log)?.alarm;
    if alarm.is_empty() { Ok(()) } else { Err(IssueError::Frozen(alarm.clone())) }
}

/// An act that crosses needs an agreement in force: within its days, not suspended, not terminated.
fn in_force(work: &Work, core: &Core, exchange: &Exchange, act: Option<ActDef<'_>>) -> Result<(), IssueError> {
    let now_ms = core.sealer.clock.now_ms();
    let halts = act.map(|act| exchange.halts_own(work, act, now_ms)).transpose()?.flatten();
    halts.map_or(Ok(()), |reason| Err(IssueError::Halted(reason)))
}

fn messages_of(exchange: &Exchange, act: &str) -> Vec<String> {
    let act = exchange.pack().lifecycle().act(act);
    act.map(|a| a.messages().iter().map(|m| m.to_string()).collect()).unwrap_or_default()
}

/// Subjects that the messages name and the placement did not know yet: an order, an agency.
async fn load_named(
    work: &mut Work,
    exchange: &Exchange,
    world: &mut World,
    content: &[Content],
) -> Result<(), IssueError> {
    let (orders, agencies) = crate::inbound::judge::named(content);
    crate::world::load_more(work, exchange, world, &[], &orders, &agencies).await?;
    Ok(())
}

fn parts_of(exchange: &Exchange, prepared: &Prepared, content: &[Content], request: &ActRequest<'_>) -> Vec<PartDraft> {
    let kind = match prepared.kind {
        Kind::Transition => ActKind::Transition,
        Kind::Proposal => ActKind::Proposal,
        Kind::Fact => ActKind::Fact,
        Kind::Notice | Kind::Local => ActKind::Unspecified,
    };
    let draft = |c: &Content| PartDraft {
        part: Part {
            subject_ref: format!("placements/{}", prepared.placement),
            event_time_ms: request.event_time_ms,
            historical: request.historical,
            placement_sequence: prepared.number,
            act_kind: kind.into(),
            known_state: prepared.known_state.clone(),
            ..part_of(exchange, c)
        },
        subject: prepared.placement,
    };
    content.iter().map(draft).collect()
}

fn part_of(exchange: &Exchange, content: &Content) -> Part {
    Part {
        agreement_digest: exchange.pack().digest().to_vec(),
        message_name: content.message_name.clone(),
        retention_class: exchange.pack().class_of(&content.message_name).to_owned(),
        message: content.message.clone(),
        ..Part::default()
    }
}

fn push_event(
    work: &mut Work,
    core: &Core,
    exchange: &Exchange,
    prepared: &Prepared,
    record_id: RecordId,
    request: &ActRequest<'_>,
) {
    let event = PlacementEvent {
        party: exchange.own_party.clone(),
        act: prepared.act.clone(),
        to_state: prepared.to.clone(),
        sequence: i64::try_from(prepared.number).unwrap_or(i64::MAX),
        record_id: hex::encode(record_id.0),
        event_time_ms: i64::try_from(request.event_time_ms).unwrap_or(i64::MAX),
        record_time_ms: i64::try_from(core.sealer.clock.now_ms()).unwrap_or(i64::MAX),
        historical: request.historical,
        decision: String::new(),
        rejection: None,
    };
    let agreement = exchange.pack().id().to_owned();
    work.push_event(EventRow { ordinal: 0, agreement, placement: prepared.placement, body: event.encode_to_vec() });
}
