//! The small model: what one side must know of placements, orders and agencies, folded from the logs alone by rules that
//! are written here a second time, after the executable model of the exchange (`fold`, `gate`, `verdict`), over the same
//! lifecycle data. It shares no rule with the engine: only how a message's fields are read.

mod gates;
mod said;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use convenio_agreement::Pack;
use convenio_agreement::act::Kind;
use convenio_agreement::lifecycle::{Lifecycle, Role, StateId, Terms as TermsKind};
use convenio_model::Ref;

pub use gates::Open;
pub(super) use said::named;
pub use said::{Act, Said};

/// One side's knowledge of one agreement.
#[derive(Clone)]
pub struct Model {
    pack: Arc<Pack>,
    me: Role,
    /// Placements that crossed, or that this side has begun to move.
    pub placements: BTreeMap<Ref, Placement>,
    /// Job orders.
    pub orders: BTreeMap<Ref, Order>,
    /// Licence states of agencies: the origin's, the destination's.
    pub agencies: BTreeMap<Ref, [i32; 2]>,
}

/// A placement.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Placement {
    /// Accepted state.
    pub state: StateId,
    /// Accepted number.
    pub number: u64,
    /// Furthest stage of an accepted state.
    pub reached: usize,
    /// Own acts without a decision, in log order.
    pub pending: Vec<Pending>,
    /// Facts, as they became known.
    pub facts: Vec<Fact>,
    /// What the origin chose.
    pub parties: Parties,
    /// Contracts that the destination authored.
    pub authored: Vec<Terms>,
    /// The one that both accepted.
    pub agreed: Option<Terms>,
    /// Contracts seen in use.
    pub observed: Vec<Terms>,
}

/// Job order, recruiter and agency.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Parties {
    /// Job order.
    pub order: Option<Ref>,
    /// Number of `RecruiterKind`.
    pub recruiter: i32,
    /// Agency.
    pub agency: Option<Ref>,
}

/// An own act without a decision.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pending {
    /// Record.
    pub record: Ref,
    /// True for a proposal.
    pub proposal: bool,
    /// State that it leads to.
    pub to: StateId,
    /// Number that it takes.
    pub number: u64,
    contract: String,
    /// What a rejection returns to, if the act chose anew.
    prior: Option<Parties>,
}

/// A fact.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fact {
    /// Name.
    pub name: String,
    /// True if the origin owns it.
    pub by_origin: bool,
    /// Record.
    pub record: Ref,
    /// Accepted state that its issuer knew.
    pub known: String,
    /// Own, and not decided.
    pub undecided: bool,
}

/// Terms of a contract, as far as runs vary them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Terms {
    record: Ref,
    contract: String,
    wage: i64,
}

/// A job order.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Order {
    /// Takes nominations.
    pub open: bool,
    /// Seats.
    pub seats: u64,
    /// Wage in minor units; none while no notice has come.
    pub wage: Option<i64>,
}

impl Model {
    /// Nothing is known.
    #[must_use]
    pub fn new(pack: Arc<Pack>, me: Role) -> Self {
        Self { pack, me, placements: BTreeMap::new(), orders: BTreeMap::new(), agencies: BTreeMap::new() }
    }

    fn lifecycle(&self) -> &Lifecycle {
        self.pack.lifecycle()
    }

    fn unknown(&self) -> Placement {
        Placement {
            state: self.lifecycle().first_crossing,
            number: 0,
            reached: 0,
            pending: Vec::new(),
            facts: Vec::new(),
            parties: Parties::default(),
            authored: Vec::new(),
            agreed: None,
            observed: Vec::new(),
        }
    }

    /// The placement, known or not.
    #[must_use]
    pub fn placement(&self, id: Ref) -> Placement {
        self.placements.get(&id).cloned().unwrap_or_else(|| self.unknown())
    }

    /// An own act was issued: it counts here at once.
    pub fn issue(&mut self, act: &Act) {
        if act.kind == Kind::Notice {
            return self.notice(act, self.me);
        }
        let mut placement = self.placement(act.subject);
        let prior = placement.parties.clone();
        placement.choose(&act.said);
        let prior = (prior != placement.parties).then_some(prior);
        if act.kind == Kind::Fact {
            self.fact(&mut placement, act, self.me, true);
        } else if let Some(transition) = self.lifecycle().transition(&act.name) {
            placement.pending.push(Pending {
                record: act.record,
                proposal: act.kind == Kind::Proposal,
                to: transition.to,
                number: act.number,
                contract: act.said.contract.clone(),
                prior,
            });
        }
        self.placements.insert(act.subject, placement);
    }

    /// An act of the other side was accepted here.
    pub fn accept(&mut self, act: &Act) {
        if act.kind == Kind::Notice {
            return self.notice(act, self.me.other());
        }
        let mut placement = self.placement(act.subject);
        placement.choose(&act.said);
        if act.kind == Kind::Fact {
            self.fact(&mut placement, act, self.me.other(), false);
        } else if let Some(transition) = self.lifecycle().transition(&act.name) {
            self.moved(&mut placement, transition.to, act.number, &act.said.contract);
        }
        self.placements.insert(act.subject, placement);
    }

    /// The other side decided an own record.
    pub fn resolve(&mut self, subject: Ref, record: Ref, accepted: bool) {
        let Some(mut placement) = self.placements.remove(&subject) else { return };
        if let Some(at) = placement.pending.iter().position(|p| p.record == record) {
            let act = placement.pending.remove(at);
            if accepted {
                self.moved(&mut placement, act.to, act.number, &act.contract);
            } else {
                let built_on = |later: &Pending| !act.proposal && later.number > act.number;
                let later = placement.pending.split_off(at);
                placement.pending.extend(later.into_iter().filter(|later| !built_on(later)));
                placement.parties = act.prior.unwrap_or(placement.parties);
            }
        } else if let Some(at) = placement.facts.iter().position(|f| f.undecided && f.record == record) {
            if accepted {
                placement.facts[at].undecided = false;
            } else {
                placement.facts.remove(at);
                placement.authored.retain(|t| t.record != record);
                placement.observed.retain(|t| t.record != record);
            }
        }
        self.placements.insert(subject, placement);
    }

    fn moved(&self, placement: &mut Placement, to: StateId, number: u64, contract: &str) {
        (placement.state, placement.number) = (to, number);
        placement.reached = placement.reached.max(self.lifecycle().state_at(to).stage.index());
        if !contract.is_empty() {
            placement.agreed = placement.authored.iter().rev().find(|t| t.contract == contract).cloned();
        }
    }

    fn fact(&self, placement: &mut Placement, act: &Act, owner: Role, undecided: bool) {
        let terms =
            Terms { record: act.record, contract: act.said.contract.clone(), wage: act.said.wage.unwrap_or_default() };
        match self.lifecycle().fact(&act.name).and_then(|fact| fact.terms) {
            Some(TermsKind::Authored) => placement.authored.push(terms),
            Some(TermsKind::Observed | TermsKind::Paid) => placement.observed.push(terms),
            None => {}
        }
        let by_origin = owner == Role::Origin;
        let (name, known) = (act.name.clone(), act.known.clone());
        placement.facts.push(Fact { name, by_origin, record: act.record, known, undecided });
    }

    fn notice(&mut self, act: &Act, owner: Role) {
        if let Some(licence) = act.said.licence {
            self.agencies.entry(act.subject).or_default()[usize::from(owner == Role::Destination)] = licence;
        }
        if let (Some(open), Some(seats)) = (act.said.open, act.said.seats) {
            self.orders.insert(act.subject, Order { open, seats, wage: act.said.wage });
        }
    }

    /// Whether a fact of this name stands already.
    #[must_use]
    pub fn stated(&self, id: Ref, fact: &str) -> bool {
        self.placements.get(&id).is_some_and(|p| p.has(fact))
    }

    /// Seats of an order that are taken, as this side must count them: a placement holds one while any state that is
    /// accepted or under way holds one, unless a fact frees it (`seat_freed_on_accept`).
    #[must_use]
    pub fn held(&self, order: Ref) -> u64 {
        self.placements.values().filter(|p| p.parties.order == Some(order) && self.holds(p)).count() as u64
    }

    fn holds(&self, placement: &Placement) -> bool {
        let lifecycle = self.lifecycle();
        let under_way = placement.pending.iter().filter(|p| !p.proposal).map(|p| p.to);
        let holds = under_way.chain([placement.state]).any(|state| lifecycle.holds_seat.contains(&state));
        holds && !lifecycle.frees_seat.iter().any(|fact| placement.has(fact))
    }

    /// What both sides must derive alike of a placement: contradictions, alerts, worse contracts.
    #[must_use]
    pub fn discrepancies(&self, placement: &Placement) -> BTreeSet<(&'static str, String)> {
        let lifecycle = self.lifecycle();
        let both = |(a, b): &&(String, String)| placement.has(a) && placement.has(b);
        let contradictions = lifecycle.contradictions.iter().filter(both);
        let mut found: BTreeSet<_> =
            contradictions.map(|(a, b)| ("contradictory_facts", format!("{a}, {b}"))).collect();
        for fact in &placement.facts {
            let Some(def) = lifecycle.fact(&fact.name) else { continue };
            let allowed = || def.alert_unless.iter().any(|state| lifecycle.state_name(*state) == fact.known);
            if !def.alert_unless.is_empty() && !allowed() {
                found.insert(("fact_without_readiness", fact.name.clone()));
            }
        }
        if let Some(agreed) = &placement.agreed
            && placement.observed.iter().any(|observed| observed.wage < agreed.wage)
        {
            found.insert(("contract_substitution", "contract.terms.wage_rate".to_owned()));
        }
        found
    }
}

impl Placement {
    /// State and number with own transitions under way; proposals do not count.
    #[must_use]
    pub fn effective(&self) -> (StateId, u64) {
        let last = self.pending.iter().rev().find(|p| !p.proposal);
        last.map_or((self.state, self.number), |p| (p.to, p.number))
    }

    /// Name of the contract that was authored last; empty if none.
    #[must_use]
    pub fn latest(&self) -> &str {
        self.authored.last().map(|t| t.contract.as_str()).unwrap_or_default()
    }

    fn has(&self, fact: &str) -> bool {
        self.facts.iter().any(|f| f.name == fact)
    }

    fn choose(&mut self, said: &Said) {
        self.parties.order = said.order.or(self.parties.order);
        if let Some(recruiter) = said.recruiter {
            (self.parties.recruiter, self.parties.agency) = (recruiter, said.agency);
        }
    }
}
