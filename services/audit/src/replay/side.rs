//! The fold of one side.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use convenio_agreement::Pack;
use convenio_agreement::act::{Incoming, Kind, Local, Prepared};
use convenio_agreement::engine::Engine;
use convenio_agreement::lifecycle::{ActDef, Gate, Role, StageId};
use convenio_agreement::view::{RejectedAct, World};
use convenio_model::{RecordId, Ref};
use convenio_wire::exchange::v1::{Outcome, OutcomeDetail, statement::Body};
use prost::Message;

use super::Source;
use super::act::{ActOutcome, Read, ReplayedAct, read};
use super::cursor::{Cursor, Item};

/// Reasons that the engine gives: those a replay must come to as well.
const ENGINE_REASONS: [&str; 4] = ["GATE", "NOT_GOVERNOR", "SEQUENCE", "QUOTA"];

/// What one side saw and did.
pub struct Side {
    /// Its role.
    pub role: Role,
    /// Its party.
    pub party: String,
    /// Origin of its log.
    pub log: String,
    /// What it knows at the end.
    pub world: World,
    /// Its RECORDs, in order.
    pub acts: Vec<ReplayedAct>,
    /// Its decisions that the rules do not give.
    pub divergences: Vec<Divergence>,
    /// RECORDs of either log that could not be replayed, because a part is erased.
    pub erased: u64,
    /// Demand for the seats of each order, as this side sees it.
    pub demand: BTreeMap<Ref, Demand>,
    by_record: HashMap<RecordId, usize>,
}

/// A decision of this side that the rules do not give.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Divergence {
    /// Index in the partner's log.
    pub index: u64,
    /// Subject.
    pub subject: String,
    /// What was decided: `ACCEPTED` or the reason.
    pub decided: String,
    /// What the rules say.
    pub replayed: String,
}

/// Placements that want a seat of one order.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Demand {
    /// Placements that ever waited for a seat.
    pub nominated: BTreeSet<Ref>,
    /// Placements that ever held one.
    pub allocated: BTreeSet<Ref>,
    /// Placements that want or hold one now.
    pub present: BTreeSet<Ref>,
    /// Most of them at one time, beyond the seats of that time.
    pub excess: u64,
    /// Seats at that time.
    pub seats: u32,
}

impl Side {
    /// Index of an own record.
    #[must_use]
    pub fn index_of(&self, record: RecordId) -> Option<u64> {
        self.by_record.get(&record).map(|at| self.acts[*at].index)
    }

    /// An own act by its record.
    #[must_use]
    pub fn act(&self, record: RecordId) -> Option<&ReplayedAct> {
        self.by_record.get(&record).map(|at| &self.acts[*at])
    }
}

struct Fold<'p> {
    pack: &'p Pack,
    engine: Engine<'p>,
    side: Side,
    decided: Decided,
    by_index: HashMap<u64, usize>,
    waiting: Vec<String>,
    tracked: HashMap<Ref, Ref>,
}

/// Folds both logs for the party in `role`, whose own log is `own`.
pub(super) fn fold(pack: &Pack, role: Role, own: Source<'_>, peer: Source<'_>) -> Side {
    let lifecycle = pack.lifecycle();
    let seats = lifecycle.transitions.iter().filter(|t| t.gates.contains(&Gate::SeatFree));
    let waiting = seats.flat_map(|t| &t.from).map(|state| lifecycle.state_name(*state).to_owned()).collect();
    let side = Side {
        role,
        party: pack.party(role).id.clone(),
        log: own.log.line().name.clone(),
        world: World::default(),
        acts: Vec::new(),
        divergences: Vec::new(),
        erased: 0,
        demand: BTreeMap::new(),
        by_record: HashMap::new(),
    };
    let mut fold = Fold {
        pack,
        engine: Engine::new(pack, role),
        side,
        decided: Decided::new(own, peer.log.line().origin.epoch),
        by_index: HashMap::new(),
        waiting,
        tracked: HashMap::new(),
    };
    let epoch = peer.log.line().origin.epoch;
    let (mut own, mut peer) = (Cursor::new(own), Cursor::new(peer));
    while let Some(item) = own.advance() {
        let seen = item.statement.peer.as_ref().filter(|p| p.epoch == epoch).map_or(0, |p| p.size);
        while let Some(item) = peer.below(seen) {
            fold.absorb(&item);
        }
        fold.issue(&item);
    }
    while let Some(item) = peer.advance() {
        fold.absorb(&item);
    }
    fold.side.world.take_changed();
    fold.side
}

impl Fold<'_> {
    /// An own entry.
    fn issue(&mut self, item: &Item) {
        if !matches!(item.statement.body, Some(Body::Record(_))) {
            return;
        }
        let pack = self.pack;
        let Some(act) = read(pack, item) else {
            self.side.erased += 1;
            return;
        };
        let mut kept = self.kept(&act, item.index);
        if let ActDef::Notice(notice) = act.def {
            let world = &mut self.side.world;
            self.engine.take_notice(world, &notice.name, self.side.role, act.subject, act.record_id, &act.content);
        } else {
            let prepared = self.prepared(&act);
            kept.unentitled = self.unentitled(&prepared, &act);
            self.engine.apply_own(&mut self.side.world, &prepared, act.record_id, act.event_time_ms, &act.content);
            self.track(act.subject);
        }
        let at = self.side.acts.len();
        self.by_index.insert(item.index, at);
        self.side.by_record.insert(act.record_id, at);
        self.side.acts.push(kept);
    }

    fn kept(&self, act: &Read<'_>, index: u64) -> ReplayedAct {
        let view = self.side.world.placement(act.subject);
        let pending = view.and_then(|view| view.pending.iter().rev().find(|p| !p.proposal));
        ReplayedAct {
            index,
            record_id: act.record_id,
            act: act.def.name().to_owned(),
            subject: act.subject_ref.clone(),
            agency: act.named("placement.agency", "agencies").or_else(|| view?.agency_ref()),
            order: act.named("placement.job_order", "jobOrders").or_else(|| view?.order_ref()),
            licence: act.content.iter().find_map(|content| content.doc.enum_number("licence.state")),
            built_on: pending.and_then(|pending| Ref::from_slice(&pending.record_id).ok()),
            unentitled: None,
            outcome: ActOutcome::Undecided,
        }
    }

    /// The act as its issuer declared it.
    fn prepared(&self, act: &Read<'_>) -> Prepared {
        let to = match act.def {
            ActDef::Transition(transition) => self.pack.lifecycle().state_name(transition.to).to_owned(),
            ActDef::Fact(_) | ActDef::Notice(_) => String::new(),
        };
        Prepared {
            act: act.def.name().to_owned(),
            placement: act.subject,
            kind: act.kind,
            to,
            number: act.number,
            stage: StageId::FIRST,
            known_state: act.known_state.clone(),
        }
    }

    /// Whether the rules gave the issuer this act; what only its registry can tell is taken as true.
    fn unentitled(&self, declared: &Prepared, act: &Read<'_>) -> Option<String> {
        let world = &self.side.world;
        let open = match self.engine.prepare(world, declared.placement, &declared.act) {
            Ok(open) => open,
            Err(refusal) => return Some(name_of(refusal.gate(), refusal.reason())),
        };
        if (open.kind, open.number, &open.known_state) != (declared.kind, declared.number, &declared.known_state) {
            return Some("SEQUENCE".to_owned());
        }
        let local = Local { consent: true, of_age: true, return_offer_shown: true, all_modules: true };
        let refusal = self.engine.permit(world, &open, &act.content, &local).err()?;
        Some(name_of(refusal.gate(), refusal.reason()))
    }

    /// An entry of the partner.
    fn absorb(&mut self, item: &Item) {
        match &item.statement.body {
            Some(Body::Record(_)) => self.judge(item),
            Some(Body::Outcome(outcome)) => self.resolve(outcome, item),
            _ => {}
        }
    }

    fn judge(&mut self, item: &Item) {
        let Some(decision) = self.decided.of(item.index) else { return };
        let decision = decision.map(str::to_owned);
        let engine_reason = decision.as_deref().is_some_and(|reason| ENGINE_REASONS.contains(&reason));
        if decision.is_some() && !engine_reason {
            return;
        }
        let pack = self.pack;
        let Some(act) = read(pack, item) else {
            self.side.erased += 1;
            return;
        };
        let incoming = Incoming {
            record_id: act.record_id,
            issuer: self.side.role.other(),
            act: act.def.name(),
            kind: act.kind,
            subject: act.subject,
            number: act.number,
            event_time_ms: act.event_time_ms,
            known_state: &act.known_state,
            content: &act.content,
        };
        let replayed = self.verdict(&act, &incoming);
        if replayed.as_ref().err() != decision.as_ref() {
            self.side.divergences.push(Divergence {
                index: item.index,
                subject: act.subject_ref.clone(),
                decided: decision.clone().unwrap_or_else(|| "ACCEPTED".to_owned()),
                replayed: replayed.err().unwrap_or_else(|| "ACCEPTED".to_owned()),
            });
        }
        if decision.is_none() {
            self.engine.apply_peer(&mut self.side.world, &incoming);
            if act.kind != Kind::Notice {
                self.track(act.subject);
            }
        }
    }

    /// What a node of this side had to decide.
    fn verdict(&self, act: &Read<'_>, incoming: &Incoming<'_>) -> Result<(), String> {
        let stage = self.engine.stage_of(&self.side.world, incoming.subject, incoming.act, incoming.kind);
        for content in &act.content {
            let accepted = self.pack.accept(&content.message_name, &content.message, stage);
            accepted.map_err(|error| error.code().to_owned())?;
        }
        self.engine.judge(&self.side.world, incoming).map_err(|refusal| refusal.reason().to_owned())
    }

    /// The partner's decisions about own records.
    fn resolve(&mut self, outcome: &Outcome, item: &Item) {
        let detail = item.parts.first().and_then(Option::as_ref);
        let detail = detail.and_then(|part| OutcomeDetail::decode(part.message.as_slice()).ok()).unwrap_or_default();
        for index in outcome.begin..outcome.end {
            let Some(at) = self.by_index.get(&index).copied() else { continue };
            let reject = outcome.rejects.binary_search_by_key(&index, |reject| reject.index);
            let decision = match reject {
                Err(_) => ActOutcome::Accepted,
                Ok(reject) => {
                    let found = detail.rejects.iter().find(|detail| detail.index == index).cloned().unwrap_or_default();
                    let reason = outcome.rejects[reject].reason.clone();
                    ActOutcome::Rejected { reason, gate: found.gate, field_paths: found.field_paths }
                }
            };
            let act = &mut self.side.acts[at];
            act.outcome = decision.clone();
            let (record, subject) = (act.record_id, act.subject.clone());
            let Some(placement) = subject.strip_prefix("placements/").and_then(|id| id.parse().ok()) else { continue };
            let decision = match decision {
                ActOutcome::Rejected { reason, gate, field_paths } => {
                    Err(RejectedAct::new(record, &reason, &gate, &field_paths))
                }
                ActOutcome::Accepted | ActOutcome::Undecided => Ok(()),
            };
            self.engine.resolve(&mut self.side.world, placement, record, decision);
            self.track(placement);
        }
    }

    /// Keeps the demand for seats up to date after a placement changed.
    fn track(&mut self, placement: Ref) {
        let Some(view) = self.side.world.placement(placement) else { return };
        let Some(order) = view.order_ref() else { return };
        if let Some(before) = self.tracked.insert(placement, order)
            && before != order
        {
            self.side.demand.entry(before).or_default().present.remove(&placement);
        }
        let (state, _) = view.effective();
        let freed = self.pack.lifecycle().frees_seat.iter().any(|fact| view.has(fact));
        let holds = !freed && !view.seat_in.is_empty();
        let waits = !freed && self.waiting.iter().any(|waiting| waiting == state);
        let demand = self.side.demand.entry(order).or_default();
        if waits {
            demand.nominated.insert(placement);
        }
        if holds {
            demand.allocated.insert(placement);
        }
        if !(waits || holds) {
            demand.present.remove(&placement);
            return;
        }
        demand.present.insert(placement);
        let seats = self.side.world.order(order).map_or(0, |order| order.seats);
        let excess = (demand.present.len() as u64).saturating_sub(u64::from(seats));
        if excess > demand.excess {
            demand.excess = excess;
            demand.seats = seats;
        }
    }
}

fn name_of(gate: String, reason: &str) -> String {
    if gate.is_empty() { reason.to_owned() } else { gate }
}

/// This side's own decisions about the partner's log, as far as it is replayed.
struct Decided {
    ranges: Vec<(u64, u64)>,
    rejects: HashMap<u64, String>,
}

impl Decided {
    fn new(own: Source<'_>, epoch: u64) -> Self {
        let mut decided = Self { ranges: Vec::new(), rejects: HashMap::new() };
        for (at, statement) in own.log.scanned.all_specials().filter_map(Result::ok) {
            let Some(Body::Outcome(outcome)) = statement.body else { continue };
            if at >= own.limit || outcome.epoch != epoch {
                continue;
            }
            decided.ranges.push((outcome.begin, outcome.end));
            decided.rejects.extend(outcome.rejects.iter().map(|reject| (reject.index, reject.reason.clone())));
        }
        decided
    }

    /// None if undecided, else why it was rejected, if it was.
    fn of(&self, index: u64) -> Option<Option<&str>> {
        let after = self.ranges.partition_point(|(begin, _)| *begin <= index);
        let (_, end) = self.ranges.get(after.checked_sub(1)?)?;
        (index < *end).then(|| self.rejects.get(&index).map(String::as_str))
    }
}
