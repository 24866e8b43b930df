//! Who may do what (model: `gate`, `verdict`, `barred`).

use std::sync::Arc;

use convenio_agreement::act::Kind;
use convenio_agreement::lifecycle::{FactGate, Gate, GateDef, GateRule, Must, Role, StateId, Transition};
use convenio_model::Ref;

use super::{Act, Model, Placement, Said};

const LICENSED_AGENCY: i32 = 2;
const ACTIVE: i32 = 1;
/// Where all work of the runs is.
const AREA: &str = "CA-ON";

/// An act that is open to this side.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Open {
    /// Kind.
    pub kind: Kind,
    /// Number that it takes; 0 for a fact.
    pub number: u64,
    /// Accepted state that is known.
    pub known: String,
}

/// Whose facts count: everybody's, or only the judge's own.
#[derive(Clone, Copy)]
struct Eyes(Option<Role>);

impl Eyes {
    fn see(self, owner: Role) -> bool {
        self.0.is_none_or(|own| own == owner)
    }
}

impl Model {
    /// What this side may issue now, or why not: `NOT_GOVERNOR`, `SEQUENCE`, `GATE`, or the gate's name.
    ///
    /// # Errors
    /// Why not.
    pub fn gate(&self, name: &str, subject: Ref, said: &Said) -> Result<Open, String> {
        let (lifecycle, placement) = (self.lifecycle(), self.placement(subject));
        let known = lifecycle.state_name(placement.state).to_owned();
        if let Some(fact) = lifecycle.fact(name) {
            let early = fact.needs_stage.is_some_and(|stage| self.stage(&placement) < stage.index());
            if fact.by != self.me || early || placement.facts.len() >= lifecycle.max_facts {
                return Err("lifecycle".to_owned());
            }
            self.pass(&fact.gates, Eyes(None), subject, &placement, said)?;
            return Ok(Open { kind: Kind::Fact, number: 0, known });
        }
        let transition = lifecycle.transition(name).filter(|t| t.by == self.me).ok_or("unknown")?;
        let (state, number) = placement.effective();
        let (kind, from, number) = match self.governs(state, self.me) {
            true => (Kind::Transition, state, number),
            false => (Kind::Proposal, placement.state, placement.number),
        };
        legal(transition, from)?;
        if kind == Kind::Proposal && !placement.pending.is_empty() {
            return Err("undecided".to_owned());
        }
        self.pass(&transition.gates, Eyes(None), subject, &placement, said)?;
        Ok(Open { kind, number: number + 1, known })
    }

    /// What this side must decide of an act of the other one, or the coarse reason of its rejection.
    ///
    /// # Errors
    /// The reason.
    pub fn verdict(&self, act: &Act) -> Result<(), &'static str> {
        let (lifecycle, issuer) = (self.lifecycle(), self.me.other());
        if act.kind == Kind::Notice {
            let ours = lifecycle.notice(&act.name).is_some_and(|notice| notice.by.contains(&issuer));
            return if ours { Ok(()) } else { Err("NOT_GOVERNOR") };
        }
        let placement = self.placement(act.subject);
        if act.kind == Kind::Fact {
            return match lifecycle.fact(&act.name) {
                Some(fact) if fact.by != issuer => Err("NOT_GOVERNOR"),
                Some(_) if placement.facts.len() >= lifecycle.max_facts => Err("QUOTA"),
                Some(_) => Ok(()),
                None => Err("SCHEMA"),
            };
        }
        let Some(transition) = lifecycle.transition(&act.name) else { return Err("SCHEMA") };
        let proposed = act.kind == Kind::Proposal;
        let (state, number) = if proposed { placement.effective() } else { (placement.state, placement.number) };
        let governor = if proposed { self.me } else { issuer };
        if transition.by != issuer || !self.governs(state, governor) {
            return Err("NOT_GOVERNOR");
        }
        if act.number != number + 1 {
            return Err("SEQUENCE");
        }
        let eyes = Eyes((!proposed).then_some(self.me));
        let passed = legal(transition, state)
            .and_then(|()| self.pass(&transition.gates, eyes, act.subject, &placement, &act.said));
        passed.map_err(|_| "GATE")
    }

    fn governs(&self, state: StateId, role: Role) -> bool {
        self.lifecycle().state_at(state).governor == role
    }

    /// Disclosure stage that accepted states and decided facts have reached.
    fn stage(&self, placement: &Placement) -> usize {
        let facts = placement.facts.iter().filter(|f| !f.undecided);
        let stages = facts.filter_map(|f| Some(self.lifecycle().fact(&f.name)?.stage?.index()));
        stages.max().unwrap_or(0).max(placement.reached)
    }

    fn pass(
        &self,
        gates: &[Arc<GateDef>],
        eyes: Eyes,
        id: Ref,
        placement: &Placement,
        said: &Said,
    ) -> Result<(), String> {
        let open = |gate: &GateDef| match &gate.rule {
            GateRule::BuiltIn(gate) => self.open(*gate, eyes, id, placement, said),
            GateRule::Fact(gate) => self.about(gate, eyes, placement),
        };
        let closed = gates.iter().find(|gate| !open(gate));
        closed.map_or(Ok(()), |gate| Err(gate.name.clone()))
    }

    /// A condition about a fact, without time; of the exceptions the runs know that for another area.
    fn about(&self, gate: &FactGate, eyes: Eyes, placement: &Placement) -> bool {
        let areas = &gate.only_if.areas;
        if !areas.is_empty() && !areas.iter().any(|area| area == AREA) {
            return true;
        }
        let role = |by_origin| if by_origin { Role::Origin } else { Role::Destination };
        let count = placement.facts.iter().filter(|f| f.name == gate.fact && eyes.see(role(f.by_origin))).count();
        let owner = self.lifecycle().fact(&gate.fact).map(|fact| fact.by);
        match gate.must {
            Must::Stand => count > 0 || !owner.is_some_and(|owner| eyes.see(owner)),
            Must::NotStand => count == 0,
            Must::AtMost(most) => count <= most as usize,
        }
    }

    fn open(&self, gate: Gate, eyes: Eyes, id: Ref, placement: &Placement, said: &Said) -> bool {
        let order = said.order.or(placement.parties.order).and_then(|id| self.orders.get(&id));
        match gate {
            // What only the issuer's registry knows; the runs keep or break it by their own acts.
            Gate::Consent | Gate::MinimumAge | Gate::MandatoryModules | Gate::ReturnOfferShown => true,
            Gate::ReasonGiven => said.reason,
            Gate::RecruiterAllowed => {
                let (kind, agency) = self.recruited(placement, said);
                (1..=3).contains(&kind) && (kind == LICENSED_AGENCY) == agency.is_some()
            }
            Gate::AgencyTwoLicences => {
                let (kind, agency) = self.recruited(placement, said);
                let licences = agency.and_then(|id| self.agencies.get(&id)).copied().unwrap_or_default();
                let owners = [Role::Origin, Role::Destination].into_iter().zip(licences);
                kind != LICENSED_AGENCY || owners.into_iter().all(|(owner, state)| !eyes.see(owner) || state == ACTIVE)
            }
            Gate::OrderOpen => !eyes.see(Role::Destination) || order.is_some_and(|o| o.open),
            Gate::SeatFree => !eyes.see(Role::Destination) || self.seat_free(id, placement, said),
            Gate::ContractAuthored => {
                let latest = placement.authored.last();
                latest.is_some_and(|t| !t.contract.is_empty() && t.contract == said.contract)
            }
            // The runs stay within what the agreement limits.
            Gate::QuotaFree | Gate::WithinStay | Gate::SectorAllowed | Gate::FeesLawful => true,
            Gate::TermsNotWorse => {
                let offered = said.wage.or_else(|| placement.authored.last().map(|t| t.wage));
                let agreed = order.and_then(|o| o.wage);
                !eyes.see(Role::Destination) || offered.zip(agreed).is_some_and(|(offered, agreed)| offered >= agreed)
            }
        }
    }

    fn seat_free(&self, id: Ref, placement: &Placement, said: &Said) -> bool {
        let Some(order) = said.order.or(placement.parties.order) else { return false };
        let here = self.placements.get(&id).is_some_and(|p| p.parties.order == Some(order) && self.holds(p));
        here || self.orders.get(&order).is_some_and(|o| self.held(order) < o.seats)
    }

    fn recruited(&self, placement: &Placement, said: &Said) -> (i32, Option<Ref>) {
        match said.recruiter {
            Some(kind) => (kind, said.agency),
            None => (placement.parties.recruiter, placement.parties.agency),
        }
    }
}

fn legal(transition: &Transition, from: StateId) -> Result<(), String> {
    if transition.from.contains(&from) { Ok(()) } else { Err("lifecycle".to_owned()) }
}
