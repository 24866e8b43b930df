//! What follows from an act: the fold of the model (`accept`, `resolve`, `take_fact`).

use convenio_model::{RecordId, Ref};

use super::Engine;
use super::resolve::Accepted;
use crate::act::{Content, Incoming, Kind, Prepared};
use crate::lifecycle::{Role, Subject, Terms};
use crate::view::{
    Came, Countersigned, CrewSaid, CrewView, FactView, LicenceView, OrderView, Pending, PlacementView, TermsView, World,
};

/// `RecruiterKind`, `JobOrderState` and the like come as numbers of their enums.
const ORDER_OPEN: i32 = 1;

impl Engine<'_> {
    /// An own act was staged as `record_id`.
    pub fn apply_own(
        &self,
        world: &mut World,
        prepared: &Prepared,
        record_id: RecordId,
        event_time_ms: u64,
        content: &[Content],
    ) {
        let first = self.pack.lifecycle().state_name(self.pack.lifecycle().first_crossing);
        let view = world.placement_mut(prepared.placement, first);
        let prior = view.parties();
        self.absorb_content(view, content);
        let prior = (prior != view.parties()).then_some(prior);
        match prepared.kind {
            Kind::Local => view.state.clone_from(&prepared.to),
            Kind::Notice => {}
            Kind::Fact => {
                self.take_terms(view, &prepared.act, record_id, content);
                view.facts.push(FactView {
                    name: prepared.act.clone(),
                    by_origin: self.me == Role::Origin,
                    record_id: record_id.0.to_vec(),
                    event_time_ms,
                    known_state: prepared.known_state.clone(),
                    undecided: true,
                });
            }
            Kind::Transition | Kind::Proposal => view.pending.push(Pending {
                record_id: record_id.0.to_vec(),
                act: prepared.act.clone(),
                proposal: prepared.kind == Kind::Proposal,
                to: prepared.to.clone(),
                number: prepared.number,
                contract: contract_of(content),
                countersigned: countersigned(record_id, content),
                prior,
                event_time_ms,
            }),
        }
        self.count_seat(world, prepared.placement);
    }

    /// An act of the other side was judged and accepted.
    pub fn apply_peer(&self, world: &mut World, act: &Incoming<'_>) {
        if act.kind == Kind::Notice {
            return self.take_notice(world, act.act, act.issuer, act.subject, act.record_id, act.content);
        }
        let first = self.pack.lifecycle().state_name(self.pack.lifecycle().first_crossing);
        let view = world.placement_mut(act.subject, first);
        self.absorb_content(view, act.content);
        if act.kind == Kind::Fact {
            self.take_terms(view, act.act, act.record_id, act.content);
            view.facts.push(FactView {
                name: act.act.to_owned(),
                by_origin: act.issuer == Role::Origin,
                record_id: act.record_id.0.to_vec(),
                event_time_ms: act.event_time_ms,
                known_state: act.known_state.to_owned(),
                undecided: false,
            });
        } else if let Some(transition) = self.pack.lifecycle().transition(act.act) {
            self.accept(
                view,
                Accepted {
                    record_id: &act.record_id.0,
                    act: act.act,
                    to: self.pack.lifecycle().state_name(transition.to),
                    number: act.number,
                    event_time_ms: act.event_time_ms,
                    contract: &contract_of(act.content),
                    countersigned: countersigned(act.record_id, act.content),
                },
            );
        }
        self.count_seat(world, act.subject);
    }

    /// The state of a job order, a licence or a crew list, by its owner; the latest in log order stands.
    pub fn take_notice(
        &self,
        world: &mut World,
        notice: &str,
        owner: Role,
        subject: Ref,
        record_id: RecordId,
        content: &[Content],
    ) {
        let Some(kind) = self.pack.lifecycle().notice(notice).map(|n| n.subject) else { return };
        let Some(lead) = content.first() else { return };
        match kind {
            Subject::JobOrders => self.take_order(world, subject, record_id, lead),
            Subject::Agencies => {
                let agency = world.agency_mut(subject);
                let licence = licence_of(owner, record_id, lead);
                agency.legal_name = lead.doc.text("agency.legal_name").unwrap_or_default().to_owned();
                agency.licences.retain(|l| l.by_origin != licence.by_origin || l.jurisdiction != licence.jurisdiction);
                agency.licences.push(licence);
            }
            Subject::Crews => take_crew(world.crew_mut(subject), owner, record_id, lead),
        }
    }

    fn absorb_content(&self, view: &mut PlacementView, content: &[Content]) {
        for doc in content.iter().map(|c| &c.doc) {
            if let Some(order) = named(doc.text("placement.job_order"), "jobOrders/") {
                view.order = order.0.to_vec();
            }
            if let Some(kind) = doc.enum_number("placement.recruiter_kind") {
                view.recruiter = kind;
                view.agency =
                    named(doc.text("placement.agency"), "agencies/").map(|a| a.0.to_vec()).unwrap_or_default();
            }
            if let Some(worker) = doc.text("placement.worker_ref").filter(|w| !w.is_empty()) {
                worker.clone_into(&mut view.worker_ref);
            }
            if let Some(route) = doc.enum_number("placement.entry_route") {
                let count = |path| doc.int(path).and_then(|n| i32::try_from(n).ok()).unwrap_or_default();
                view.came = Some(Came {
                    route,
                    crew: named(doc.text("placement.crew"), "crews/").map(|crew| crew.0.to_vec()).unwrap_or_default(),
                    adults: count("placement.accompanying_adults"),
                    minors: count("placement.accompanying_minors"),
                });
            }
        }
    }

    fn take_terms(&self, view: &mut PlacementView, fact: &str, record_id: RecordId, content: &[Content]) {
        let Some(terms) = self.pack.lifecycle().fact(fact).and_then(|f| f.terms) else { return };
        let Some(lead) = content.first() else { return };
        let taken = TermsView {
            record_id: record_id.0.to_vec(),
            message_name: lead.message_name.clone(),
            message: lead.message.clone(),
            contract: contract_of(content),
        };
        match terms {
            Terms::Authored => view.authored.push(taken),
            Terms::Observed => view.observed.push(taken),
            Terms::Paid => view.paid.push(taken),
        }
    }

    /// Keeps `held` of the orders and of the quotas that cover them true: a seat counts while any accepted, effective or undecided own state holds one,
    /// so that it is free again only once its release was accepted, or by a fact (model: `seat_freed_on_accept`).
    pub(super) fn count_seat(&self, world: &mut World, placement: Ref) {
        let Some(view) = world.placement(placement) else { return };
        let now = if self.holds_seat(view) { view.order.clone() } else { Vec::new() };
        if now == view.seat_in {
            return;
        }
        let first = self.pack.lifecycle().state_name(self.pack.lifecycle().first_crossing);
        let before = std::mem::replace(&mut world.placement_mut(placement, first).seat_in, now.clone());
        for (order, change) in [(before, -1), (now, 1)] {
            let Ok(order) = Ref::from_slice(&order) else { continue };
            let order = world.order_mut(order);
            order.held = order.held.saturating_add_signed(change);
            for quota in order.quotas.clone() {
                let quota = world.quota_mut(&quota);
                quota.held = quota.held.saturating_add_signed(change);
            }
        }
    }

    /// The state of an order; what it holds is counted anew in the quotas that cover it now.
    fn take_order(&self, world: &mut World, id: Ref, record_id: RecordId, lead: &Content) {
        let order = world.order_mut(id);
        take_order(order, record_id, lead);
        let now = self.quotas_of(&lead.doc, &order.area);
        let before = std::mem::replace(&mut order.quotas, now.clone());
        let held = order.held;
        for name in before.iter().filter(|name| !now.contains(name)) {
            let quota = world.quota_mut(name);
            quota.held = quota.held.saturating_sub(held);
        }
        for name in now.iter().filter(|name| !before.contains(name)) {
            world.quota_mut(name).held += held;
        }
    }

    fn holds_seat(&self, view: &PlacementView) -> bool {
        let lifecycle = self.pack.lifecycle();
        let holds = |name: &str| lifecycle.state(name).is_some_and(|s| lifecycle.holds_seat(s));
        let any = holds(&view.state) || view.pending.iter().any(|p| !p.proposal && holds(&p.to));
        any && !lifecycle.frees_seat.iter().any(|fact| view.has(fact))
    }
}

fn named(name: Option<&str>, collection: &str) -> Option<Ref> {
    name?.strip_prefix(collection)?.parse().ok()
}

fn contract_of(content: &[Content]) -> String {
    content.iter().find_map(|c| c.doc.text("contract.name")).unwrap_or_default().to_owned()
}

/// What an act says of the contract's text, if it names one.
fn countersigned(record_id: RecordId, content: &[Content]) -> Option<Countersigned> {
    let contract = contract_of(content);
    let bytes = |path: &str| content.iter().find_map(|c| c.doc.bytes(path)).unwrap_or_default().to_vec();
    let (text_sha256, accepted_sha256) = (bytes("contract.text_sha256"), bytes("event.text_sha256"));
    let named_text = !text_sha256.is_empty() || !accepted_sha256.is_empty();
    let says = !contract.is_empty() && named_text;
    says.then(|| Countersigned { record_id: record_id.0.to_vec(), contract, text_sha256, accepted_sha256 })
}

fn take_order(order: &mut OrderView, record_id: RecordId, lead: &Content) {
    order.open = lead.doc.enum_number("job_order.state") == Some(ORDER_OPEN);
    order.seats = lead.doc.int("job_order.seats").and_then(|n| u32::try_from(n).ok()).unwrap_or_default();
    order.area =
        lead.doc.place("job_order.place").map(|(_, subdivision, _)| subdivision.to_owned()).unwrap_or_default();
    order.message_name.clone_from(&lead.message_name);
    order.message.clone_from(&lead.message);
    order.record_id = record_id.0.to_vec();
}

fn take_crew(crew: &mut CrewView, owner: Role, record_id: RecordId, lead: &Content) {
    let by_origin = owner == Role::Origin;
    crew.said.retain(|said| said.by_origin != by_origin);
    crew.said.push(CrewSaid {
        by_origin,
        message_name: lead.message_name.clone(),
        message: lead.message.clone(),
        record_id: record_id.0.to_vec(),
    });
    // Which log is judged first differs from side to side: the order of two voices must not.
    crew.said.sort_by_key(|said| !said.by_origin);
}

fn licence_of(owner: Role, record_id: RecordId, lead: &Content) -> LicenceView {
    let text = |path: &str| lead.doc.text(path).unwrap_or_default().to_owned();
    LicenceView {
        by_origin: owner == Role::Origin,
        jurisdiction: text("licence.jurisdiction"),
        number: text("licence.number"),
        state: lead.doc.enum_number("licence.state").unwrap_or_default(),
        record_id: record_id.0.to_vec(),
        reason_code: text("event.reason_code"),
    }
}
