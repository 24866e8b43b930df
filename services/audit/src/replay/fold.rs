//! One subject, folded as one side saw it.

use std::collections::BTreeMap;

use convenio_agreement::Pack;
use convenio_agreement::act::{Detail, Incoming, Kind, Local, Prepared, Refusal};
use convenio_agreement::engine::Engine;
use convenio_agreement::lifecycle::{ActDef, Gate, Role, StageId};
use convenio_agreement::standing::{Given, OUT_OF_VALIDITY, SUSPENDED, TERMINATED};
use convenio_agreement::view::{RejectedAct, World};
use convenio_model::Ref;

use super::act::{Read, ReplayedAct};
use super::spool::{OrderEvent, Spooled};
use super::timeline::{Shared, side};
use super::{ActOutcome, Divergence};

/// Reasons that the engine gives: those a replay must come to as well.
const ENGINE_REASONS: [&str; 7] = ["GATE", "NOT_GOVERNOR", "SEQUENCE", "QUOTA", SUSPENDED, TERMINATED, OUT_OF_VALIDITY];

/// What the parties ordered, each with the step from which one side knows it.
pub(super) type Orders = Vec<(u64, Given)>;

/// A RECORD, spooled and read.
pub(super) struct Case<'p> {
    pub(super) spooled: Spooled,
    /// None where its lead part is gone, or the agreement does not know it.
    pub(super) read: Option<Read<'p>>,
}

/// What a fold of one side tells of a record.
#[derive(Debug, Clone, Default)]
pub(super) struct Verdict {
    pub(super) act: Option<ReplayedAct>,
    pub(super) divergence: Option<Divergence>,
}

/// What happens to a record at one side.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum What {
    Issued,
    Judged,
    Resolved,
}

/// The fold of one subject at one side.
pub(super) struct Fold<'f> {
    pub(super) packs: &'f BTreeMap<[u8; 32], Pack>,
    pub(super) last: &'f Pack,
    pub(super) role: Role,
    pub(super) world: World,
    /// Orders, seats and agencies as this side knew them; without it nothing is judged.
    pub(super) shared: Option<&'f Shared>,
    /// What the parties ordered, as each side knew it; the origin's first.
    pub(super) orders: Option<&'f [Orders; 2]>,
    /// Where changes of orders go, if they are asked for.
    pub(super) events: Option<Vec<OrderEvent>>,
    seat: Option<Ref>,
    wants: Option<(Ref, bool, bool)>,
}

impl<'f> Fold<'f> {
    pub(super) fn new(
        packs: &'f BTreeMap<[u8; 32], Pack>,
        last: &'f Pack,
        role: Role,
        shared: Option<&'f Shared>,
    ) -> Self {
        let (events, world) = (shared.is_none().then(Vec::new), World::default());
        Self { packs, last, role, world, shared, orders: None, events, seat: None, wants: None }
    }

    /// Folds the records; `told` gets after each step the step and the world, and returns what each record comes to.
    pub(super) fn run(&mut self, cases: &[Case<'_>], mut told: impl FnMut(u64, &World)) -> Vec<Verdict> {
        let mut verdicts = vec![Verdict::default(); cases.len()];
        for (step, _, at, what) in self.order(cases) {
            let case = &cases[at];
            let Some(read) = &case.read else { continue };
            match what {
                What::Issued => verdicts[at].act = Some(self.issue(case, read, step)),
                What::Judged => verdicts[at].divergence = self.judge(case, read, step),
                What::Resolved => self.resolve(case, read, step),
            }
            told(step, &self.world);
            self.world.take_changed();
        }
        verdicts
    }

    /// Everything that happens here, in the order of this side's steps.
    fn order(&self, cases: &[Case<'_>]) -> Vec<(u64, u64, usize, What)> {
        let mut all = Vec::with_capacity(cases.len() * 2);
        for (at, case) in cases.iter().enumerate() {
            let of = &case.spooled;
            let own = of.by_origin == (self.role == Role::Origin);
            if own {
                all.push((of.own_step, of.index, at, What::Issued));
                if let Some(decision) = &of.decision {
                    all.push((decision.step, of.index, at, What::Resolved));
                }
            } else if of.decision.is_some() {
                all.push((of.peer_step, of.index, at, What::Judged));
            }
        }
        all.sort_unstable();
        all
    }

    fn engine(&self, case: &Case<'_>) -> Engine<'f> {
        let pack = <[u8; 32]>::try_from(case.spooled.digest.as_slice()).ok().and_then(|digest| self.packs.get(&digest));
        Engine::new(pack.unwrap_or(self.last), self.role)
    }

    /// Why an act was not in force for its issuer: everything before it at that side is what its issuer knew.
    fn halts(&self, case: &Case<'_>, read: &Read<'_>) -> Option<&'static str> {
        let of = &case.spooled;
        let orders = self.orders.map_or(&[][..], |sides| &sides[usize::from(!of.by_origin)]);
        let known = orders.iter().filter(|(step, _)| *step < of.own_step).map(|(_, given)| given);
        read.pack.halts(known, read.def, of.time_ms)
    }

    /// Puts orders and agencies as they stood here before a step beside what is known of the subject.
    fn surround(&mut self, read: &Read<'_>, step: u64) {
        let Some(shared) = self.shared else { return };
        let view = self.world.placement(read.subject);
        let seat = view.and_then(|view| Ref::from_slice(&view.seat_in).ok());
        let orders = [read.named("placement.job_order", "jobOrders"), view.and_then(|view| view.order_ref()), seat];
        let agencies = [read.named("placement.agency", "agencies"), view.and_then(|view| view.agency_ref())];
        for id in orders.into_iter().flatten() {
            let held = shared.held(id, step);
            if let Some(known) = shared.order(id, step) {
                let order = self.world.order_mut(id);
                if order.record_id != known.record_id {
                    order.clone_from(known);
                }
                order.held = held;
            } else if held > 0 {
                self.world.order_mut(id).held = held;
            }
        }
        for quota in &read.pack.config().quotas {
            self.world.quota_mut(&quota.name).held = shared.quota(&quota.name, step);
        }
        for id in agencies.into_iter().flatten() {
            if let Some(known) = shared.agency(id, step) {
                self.world.agency_mut(id).clone_from(known);
            }
        }
    }

    fn issue(&mut self, case: &Case<'_>, read: &Read<'_>, step: u64) -> ReplayedAct {
        self.surround(read, step);
        let engine = self.engine(case);
        let mut kept = self.kept(case, read);
        if let ActDef::Notice(notice) = read.def {
            let world = &mut self.world;
            engine.take_notice(world, &notice.name, self.role, read.subject, read.record_id, &read.content);
        } else {
            let prepared = prepared(read);
            if self.shared.is_some() && read.whole {
                let halts =
                    self.halts(case, read).map(|reason| Detail { gate: reason.to_owned(), ..Detail::default() });
                kept.unentitled = halts.or_else(|| unentitled(&engine, &self.world, &prepared, read));
            }
            engine.apply_own(&mut self.world, &prepared, read.record_id, read.event_time_ms, &read.content);
            self.changed(read.subject, step, case.spooled.index);
        }
        kept
    }

    fn kept(&self, case: &Case<'_>, read: &Read<'_>) -> ReplayedAct {
        let view = self.world.placement(read.subject);
        let pending = view.and_then(|view| view.pending.iter().rev().find(|p| !p.proposal));
        let outcome = match &case.spooled.decision {
            None => ActOutcome::Undecided,
            Some(decision) if decision.reason.is_empty() => ActOutcome::Accepted,
            Some(decision) => ActOutcome::Rejected { reason: decision.reason.clone(), detail: decision.detail() },
        };
        ReplayedAct {
            index: case.spooled.index,
            record_id: read.record_id,
            act: read.def.name().to_owned(),
            subject: read.subject_ref.clone(),
            agency: read.named("placement.agency", "agencies").or_else(|| view?.agency_ref()),
            order: read.named("placement.job_order", "jobOrders").or_else(|| view?.order_ref()),
            licence: read.content.iter().find_map(|content| content.doc.enum_number("licence.state")),
            built_on: pending.and_then(|pending| Ref::from_slice(&pending.record_id).ok()),
            unentitled: None,
            outcome,
        }
    }

    fn judge(&mut self, case: &Case<'_>, read: &Read<'_>, step: u64) -> Option<Divergence> {
        let decision = case.spooled.decision.as_ref()?;
        let rejected = (!decision.reason.is_empty()).then_some(decision.reason.as_str());
        if rejected.is_some_and(|reason| !ENGINE_REASONS.contains(&reason)) {
            return None;
        }
        self.surround(read, step);
        let engine = self.engine(case);
        let incoming = Incoming {
            record_id: read.record_id,
            issuer: self.role.other(),
            act: read.def.name(),
            kind: read.kind,
            subject: read.subject,
            number: read.number,
            event_time_ms: read.event_time_ms,
            known_state: &read.known_state,
            content: &read.content,
        };
        let mut divergence = None;
        if self.shared.is_some() && read.whole {
            let replayed = match self.halts(case, read) {
                Some(reason) => Err(reason.to_owned()),
                None => verdict(read.pack, &engine, &self.world, read, &incoming),
            };
            if replayed.as_ref().err().map(String::as_str) != rejected {
                divergence = Some(Divergence {
                    index: case.spooled.index,
                    subject: read.subject_ref.clone(),
                    decided: rejected.unwrap_or("ACCEPTED").to_owned(),
                    replayed: replayed.err().unwrap_or_else(|| "ACCEPTED".to_owned()),
                });
            }
        }
        if rejected.is_none() {
            engine.apply_peer(&mut self.world, &incoming);
            if read.kind != Kind::Notice {
                self.changed(read.subject, step, case.spooled.index);
            }
        }
        divergence
    }

    fn resolve(&mut self, case: &Case<'_>, read: &Read<'_>, step: u64) {
        let Some(decision) = &case.spooled.decision else { return };
        if !read.subject_ref.starts_with("placements/") {
            return;
        }
        let told = match decision.reason.as_str() {
            "" => None,
            reason => Some(RejectedAct::new(read.record_id, reason, decision.detail())),
        };
        self.engine(case).resolve(&mut self.world, read.subject, read.record_id, told);
        self.changed(read.subject, step, case.spooled.index);
    }

    /// Tells of seats and demand that a step changed.
    fn changed(&mut self, placement: Ref, step: u64, index: u64) {
        let Some(events) = &mut self.events else { return };
        let Some(view) = self.world.placement(placement) else { return };
        let at_origin = self.role == Role::Origin;
        let event =
            |order: Ref| OrderEvent { order: order.0.to_vec(), at_origin, step, index, ..OrderEvent::default() };
        let seat = Ref::from_slice(&view.seat_in).ok();
        if seat != self.seat {
            events.extend(self.seat.map(|order| OrderEvent { seats: -1, ..event(order) }));
            events.extend(seat.map(|order| OrderEvent { seats: 1, ..event(order) }));
            self.seat = seat;
        }
        if side(self.role) == 0 {
            return;
        }
        let Some(order) = view.order_ref() else { return };
        let lifecycle = self.last.lifecycle();
        let (state, _) = view.effective();
        let freed = lifecycle.frees_seat.iter().any(|fact| view.has(fact));
        let waiting = lifecycle.transitions.iter().filter(|t| ActDef::Transition(t).asks(Gate::SeatFree));
        let waiting = waiting.flat_map(|t| &t.from).any(|waiting| lifecycle.state_name(*waiting) == state);
        let wants = (order, !freed && waiting, !freed && !view.seat_in.is_empty());
        if self.wants == Some(wants) && !(wants.1 || wants.2) {
            return;
        }
        let of = |(order, waits, holds): (Ref, bool, bool)| OrderEvent {
            placement: placement.0.to_vec(),
            waits,
            holds,
            ..event(order)
        };
        if let Some(before) = self.wants.filter(|before| before.0 != order) {
            events.push(of((before.0, false, false)));
        }
        events.push(of(wants));
        self.wants = Some(wants);
    }
}

/// The act as its issuer declared it.
fn prepared(read: &Read<'_>) -> Prepared {
    let to = match read.def {
        ActDef::Transition(transition) => read.pack.lifecycle().state_name(transition.to).to_owned(),
        ActDef::Fact(_) | ActDef::Notice(_) => String::new(),
    };
    Prepared {
        act: read.def.name().to_owned(),
        placement: read.subject,
        kind: read.kind,
        to,
        number: read.number,
        stage: StageId::FIRST,
        known_state: read.known_state.clone(),
    }
}

/// Whether the rules gave the issuer this act; what only its registry can tell is taken as true.
fn unentitled(engine: &Engine<'_>, world: &World, declared: &Prepared, read: &Read<'_>) -> Option<Detail> {
    let open = match engine.prepare(world, declared.placement, &declared.act) {
        Ok(open) => open,
        Err(refusal) => return Some(named(&refusal)),
    };
    if (open.kind, open.number, &open.known_state) != (declared.kind, declared.number, &declared.known_state) {
        return Some(named(&Refusal::Sequence));
    }
    let local = Local { consent: true, of_age: true, return_offer_shown: true, all_modules: true };
    let refusal = engine.permit(world, &open, read.event_time_ms, &read.content, &local).err()?;
    Some(named(&refusal))
}

/// What a node of this side had to decide.
fn verdict(
    pack: &Pack,
    engine: &Engine<'_>,
    world: &World,
    read: &Read<'_>,
    incoming: &Incoming<'_>,
) -> Result<(), String> {
    let stage = engine.stage_of(world, incoming.subject, incoming.act, incoming.kind);
    for content in &read.content {
        let accepted = pack.accept(&content.message_name, &content.message, stage);
        accepted.map_err(|error| error.code().to_owned())?;
    }
    engine.judge(world, incoming).map_err(|refusal| refusal.reason().to_owned())
}

fn named(refusal: &Refusal) -> Detail {
    let detail = refusal.detail();
    if detail.gate.is_empty() { Detail { gate: refusal.reason().to_owned(), ..detail } } else { detail }
}
