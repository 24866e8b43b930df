//! What a node knows, rebuilt from both logs and nothing else (model: `fold`): own entries in order, each after the partner's
//! entries below its `peer` position. The judged position and the decisions come from the own OUTCOMEs (model:
//! `decided_from_log`), never from a backup. Nothing is judged anew: what an own OUTCOME accepted is applied.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

use convenio_agreement::act::{Content, Incoming, Kind};
use convenio_agreement::lifecycle::StageId;
use convenio_agreement::pack::Pack;
use convenio_agreement::view::{RejectedAct, World};
use convenio_model::{RecordId, Ref};
use convenio_store::{EventRow, RejectionRow, StoreError, Subject, ViewKind};
use convenio_wire::exchange::v1::{Outcome, OutcomeDetail, Part, statement::Body};
use convenio_wire::registry::v1::{PlacementEvent, Rejection};
use prost::Message;

use super::client::Tail;
use super::erasures::Erasures;
use super::walk::{At, Step, Walk};
use crate::core::{Core, Exchange};
use crate::inbound::apply::covered;
use crate::inbound::check::kind_of;
use crate::inbound::screen::subject_of;
use crate::inbound::told;

/// What both logs say, apart from the views.
#[derive(Debug, Default)]
pub(super) struct Sums {
    /// How far the partner's logs were judged: epoch and size.
    pub judged: At,
    /// The same by the own entries that were mirrored.
    pub judged_mirrored: At,
    /// RECORDs of the own logs that were decided, rejected, and where the ranges end; by epoch.
    pub own: BTreeMap<u64, Decided>,
    /// The same of the partner's logs.
    pub peer: BTreeMap<u64, Decided>,
    /// How far the own PEER_CHECKPOINTs reach, by epoch, with each of them: size and root.
    pub entangled: BTreeMap<u64, Vec<(u64, [u8; 32])>>,
    /// Rejections: own log or not, epoch.
    pub rejections: Vec<(bool, u64, RejectionRow)>,
    /// History of the placements.
    pub events: Vec<EventRow>,
    /// RECORDs whose parts are not all there.
    pub bare: u64,
    /// What was ordered to be erased, by whom, and what was answered.
    pub erasures: Erasures,
}

/// Decisions about one log.
#[derive(Debug, Default, Clone, Copy)]
pub(super) struct Decided {
    pub decided: u64,
    pub rejected: u64,
    pub end: u64,
}

pub(super) struct Replay<'a> {
    exchange: &'a Exchange,
    pub world: World,
    pub sums: Sums,
    /// Own OUTCOMEs, by epoch of the partner's log, ascending.
    outcomes: HashMap<u64, Vec<Outcome>>,
    /// RECORDs of the own logs that the partner has not decided: (epoch, index).
    waiting: BTreeMap<At, (RecordId, Option<Subject>, Option<Part>)>,
    /// Sizes of the own logs so far, by epoch.
    reached: BTreeMap<u64, u64>,
    /// Own entries that are not issued again.
    dropped: HashSet<At>,
}

impl<'a> Replay<'a> {
    /// Reads the own entries once, for the OUTCOMEs and positions among them.
    pub(super) async fn begin(exchange: &'a Exchange, mut own: Walk, tail: &Tail) -> Result<Self, StoreError> {
        let mut sums = Sums { judged: (1, 0), judged_mirrored: (1, 0), ..Sums::default() };
        let mut outcomes: HashMap<u64, Vec<Outcome>> = HashMap::new();
        while let Some(step) = own.next().await? {
            if tail.dropped.contains(&step.at) {
                continue;
            }
            if let Some(peer) = &step.statement.peer {
                sums.judged = sums.judged.max((peer.epoch, peer.size));
                if !tail.holds(&step.at) {
                    sums.judged_mirrored = sums.judged;
                }
            }
            match step.statement.body {
                Some(Body::Outcome(outcome)) => outcomes.entry(outcome.epoch).or_default().push(outcome),
                Some(Body::PeerCheckpoint(point)) => entangled(&mut sums, exchange, &point.note),
                Some(Body::Erase(order)) => sums.erasures.ordered(&order, step.record_id, step.statement.time_ms),
                Some(Body::EraseAnswer(said)) => sums.erasures.said(&said),
                _ => {}
            }
        }
        outcomes.values_mut().for_each(|of_epoch| of_epoch.sort_by_key(|outcome| outcome.begin));
        let (world, dropped) = (World::default(), tail.dropped.clone());
        Ok(Self { exchange, world, sums, outcomes, waiting: BTreeMap::new(), reached: BTreeMap::new(), dropped })
    }

    /// Replays both sides.
    pub(super) async fn run(&mut self, mut own: Walk, mut peer: Walk) -> Result<(), StoreError> {
        while let Some(step) = own.next().await? {
            if self.dropped.contains(&step.at) {
                continue;
            }
            let seen = step.statement.peer.as_ref().map_or((1, 0), |peer| (peer.epoch, peer.size));
            self.absorb(&mut peer, seen).await?;
            self.reached.insert(step.at.0, step.at.1 + 1);
            self.own(&step);
        }
        let judged = self.sums.judged;
        self.absorb(&mut peer, judged).await
    }

    async fn absorb(&mut self, peer: &mut Walk, end: At) -> Result<(), StoreError> {
        while peer.peek().await?.is_some_and(|at| at < end) {
            let Some(step) = peer.next().await? else { break };
            match &step.statement.body {
                Some(Body::Outcome(outcome)) => self.decisions(outcome, step.parts.as_deref().unwrap_or_default()),
                Some(Body::Erase(order)) => self.sums.erasures.asked(order, step.statement.time_ms),
                Some(Body::EraseAnswer(said)) => self.sums.erasures.answered(said, step.statement.time_ms),
                _ if step.is_record => self.judged(&step),
                _ => {}
            }
        }
        Ok(())
    }

    fn own(&mut self, step: &Step) {
        if !step.is_record {
            return;
        }
        self.sums.bare += u64::from(!step.whole);
        let lead = step.parts.as_ref().and_then(|parts| parts.first());
        let subject = lead.and_then(|lead| subject_of(&lead.subject_ref));
        self.waiting.insert(step.at, (step.record_id, subject, lead.cloned()));
        // An own act whose leading part was erased left nothing that could be replayed.
        let Some(parts) = step.parts.as_deref() else { return };
        let pack = self.pack(step);
        let Some((lead, act, kind, id)) = act(pack, parts) else { return };
        let engine = self.exchange.engine_of(pack);
        if kind == Kind::Notice {
            let Some(content) = contents(pack, parts, StageId::FIRST) else { return };
            engine.take_notice(&mut self.world, &act, self.exchange.me, id, step.record_id, &content);
        } else {
            let Ok(prepared) = engine.prepare(&self.world, id, &act) else { return };
            let Some(content) = contents(pack, parts, prepared.stage) else { return };
            engine.apply_own(&mut self.world, &prepared, step.record_id, lead.event_time_ms, &content);
            let event =
                PlacementEvent { to_state: prepared.to, ..self.event(&self.exchange.own_party, &act, step, lead) };
            self.push(id, event);
        }
    }

    /// A RECORD of the partner, as the own OUTCOME decided it.
    fn judged(&mut self, step: &Step) {
        let (epoch, index) = step.at;
        let outcomes = self.outcomes.get(&epoch).map(Vec::as_slice).unwrap_or_default();
        let at = outcomes.partition_point(|outcome| outcome.end <= index);
        let Some(outcome) = outcomes.get(at).filter(|outcome| outcome.begin <= index) else { return };
        let reason = outcome.rejects.iter().find(|reject| reject.index == index).map(|reject| reject.reason.clone());
        let end = outcome.end;
        let sum = self.sums.peer.entry(epoch).or_default();
        sum.decided += 1;
        sum.rejected += u64::from(reason.is_some());
        sum.end = sum.end.max(end);
        if let Some(reason) = &reason {
            let row = RejectionRow { log: 0, index, record_id: step.record_id, reason: reason.clone() };
            self.sums.rejections.push((false, epoch, row));
        }
        let Some(parts) = step.parts.as_deref() else { return };
        let pack = self.pack(step);
        let Some((lead, act, kind, id)) = act(pack, parts) else { return };
        if reason.is_none() {
            let stage = self.exchange.engine_of(pack).stage_of(&self.world, id, &act, kind);
            let Some(content) = contents(pack, parts, stage) else { return };
            let incoming = Incoming {
                record_id: step.record_id,
                issuer: self.exchange.me.other(),
                act: &act,
                kind,
                subject: id,
                number: lead.placement_sequence,
                event_time_ms: lead.event_time_ms,
                known_state: &lead.known_state,
                content: &content,
            };
            self.exchange.engine_of(pack).apply_peer(&mut self.world, &incoming);
        }
        if kind != Kind::Notice {
            let to = pack.lifecycle().transition(&act);
            let to_state = to.map(|t| pack.lifecycle().state_name(t.to).to_owned()).unwrap_or_default();
            let decision = if reason.is_some() { "REJECTED" } else { "ACCEPTED" }.to_owned();
            let rejection = reason.map(|reason| Rejection { act: act.clone(), reason, ..Rejection::default() });
            let event = self.event(&self.exchange.partner_party, &act, step, lead);
            self.push(id, PlacementEvent { to_state, decision, rejection, ..event });
        }
    }

    /// The partner's decisions about own records: each is decided once, in order (`inbound::apply`). One that covers what it
    /// cannot is void.
    fn decisions(&mut self, outcome: &Outcome, parts: &[Part]) {
        let Some(size) = self.reached.get(&outcome.epoch) else { return };
        let sum = self.sums.own.entry(outcome.epoch).or_default();
        let inside = sum.end <= outcome.begin && covered(outcome).is_some() && outcome.end <= *size;
        let left_out = |begin| self.waiting.range((outcome.epoch, begin)..(outcome.epoch, outcome.begin)).next();
        if !inside || left_out(sum.end).is_some() {
            return;
        }
        sum.end = outcome.end;
        let detail = parts.first().and_then(|part| OutcomeDetail::decode(part.message.as_slice()).ok());
        let details = detail.unwrap_or_default().rejects;
        let range = (outcome.epoch, outcome.begin)..(outcome.epoch, outcome.end);
        let decided: Vec<_> = self.waiting.range(range).map(|(at, _)| *at).collect();
        for at in decided {
            let Some((record_id, subject, lead)) = self.waiting.remove(&at) else { continue };
            let reject = outcome.rejects.iter().find(|reject| reject.index == at.1);
            let why = reject.map(|reject| {
                let detail = details.iter().find(|detail| detail.index == at.1).cloned().unwrap_or_default();
                RejectedAct::new(record_id, &told::reason(&reject.reason), told::detail(detail))
            });
            let sum = self.sums.own.entry(at.0).or_default();
            sum.decided += 1;
            sum.rejected += u64::from(why.is_some());
            if let Some(why) = &why {
                let row = RejectionRow { log: 0, index: at.1, record_id, reason: why.reason.clone() };
                self.sums.rejections.push((true, at.0, row));
            }
            let placement = subject.filter(|subject| subject.kind == ViewKind::Placement);
            let (Some(Subject { id, .. }), Some(_)) = (placement, lead) else { continue };
            self.decision_event(id, record_id, why.as_ref());
            let pack = self.exchange.own_version(at.0, at.1);
            self.exchange.engine_of(pack).resolve(&mut self.world, id, record_id, why);
        }
    }

    fn decision_event(&mut self, id: Ref, record_id: RecordId, why: Option<&RejectedAct>) {
        let event = PlacementEvent {
            party: self.exchange.partner_party.clone(),
            act: "decision".to_owned(),
            record_id: hex::encode(record_id.0),
            decision: if why.is_some() { "REJECTED" } else { "ACCEPTED" }.to_owned(),
            rejection: why.map(crate::inbound::apply::rejection),
            ..PlacementEvent::default()
        };
        self.push(id, event);
    }

    fn event(&self, party: &str, act: &str, step: &Step, lead: &Part) -> PlacementEvent {
        PlacementEvent {
            party: party.to_owned(),
            act: act.to_owned(),
            sequence: i64::try_from(lead.placement_sequence).unwrap_or(i64::MAX),
            record_id: hex::encode(step.record_id.0),
            event_time_ms: i64::try_from(lead.event_time_ms).unwrap_or(i64::MAX),
            record_time_ms: i64::try_from(step.statement.time_ms).unwrap_or(i64::MAX),
            historical: lead.historical,
            ..PlacementEvent::default()
        }
    }

    fn push(&mut self, placement: Ref, event: PlacementEvent) {
        let agreement = self.exchange.pack().id().to_owned();
        self.sums.events.push(EventRow { ordinal: 0, agreement, placement, body: event.encode_to_vec() });
    }

    /// The version under which an entry was issued.
    fn pack(&self, step: &Step) -> &'a Pack {
        self.exchange.version(&step.statement.agreement_digest).unwrap_or_else(|| self.exchange.pack())
    }
}

fn act<'p>(pack: &Pack, parts: &'p [Part]) -> Option<(&'p Part, String, Kind, Ref)> {
    let lead = parts.first()?;
    let act = pack.lifecycle().act_of_lead(&lead.message_name)?.name().to_owned();
    Some((lead, act, kind_of(lead)?, subject_of(&lead.subject_ref)?.id))
}

/// A PEER_CHECKPOINT of the own log: what the partner's log must contain.
fn entangled(sums: &mut Sums, exchange: &Exchange, note: &[u8]) {
    let Ok(note) = convenio_log::SignedCheckpoint::parse(note) else { return };
    let head = note.checkpoint();
    let lanes = exchange.peer_lanes();
    let Some(lane) = lanes.iter().find(|lane| lane.origin == head.origin()) else { return };
    sums.entangled.entry(lane.epoch).or_default().push((head.size(), *head.root().as_bytes()));
}

fn contents(pack: &Pack, parts: &[Part], stage: StageId) -> Option<Vec<Content>> {
    let one = |part: &Part| {
        let message = pack.accept(&part.message_name, &part.message, stage).ok()?;
        let doc = pack.semantic(&part.message_name, &message);
        Some(Content { message_name: part.message_name.clone(), message: part.message.clone(), doc })
    };
    parts.iter().map(one).collect()
}

/// Events of the history that a database holds already: (placement, act, record).
pub(super) async fn told_before(
    core: &Arc<Core>,
    events: &[EventRow],
) -> Result<HashSet<(Ref, String, String)>, StoreError> {
    let placements: HashSet<Ref> = events.iter().map(|event| event.placement).collect();
    let mut found = HashSet::new();
    for placement in placements {
        let mut after = 0;
        loop {
            let page = core.store.events(placement, after, 1000).await?;
            let Some(last) = page.last() else { break };
            after = last.ordinal;
            found.extend(page.iter().filter_map(key_of));
        }
    }
    Ok(found)
}

/// What tells an event from every other.
pub(super) fn key_of(event: &EventRow) -> Option<(Ref, String, String)> {
    let said = PlacementEvent::decode(event.body.as_slice()).ok()?;
    Some((event.placement, said.act, said.record_id))
}
