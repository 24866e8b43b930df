//! Who may do what now, and what follows from it. Pure: the same code decides at the issuer, at the recipient and in
//! the audit. The rules are those of the executable model of the exchange; its names are cited.

mod apply;
mod discrepancy;
mod forget;
mod gates;
mod lawful;
mod look;
mod resolve;

use convenio_model::Ref;

pub use discrepancy::Discrepancy;

use gates::Asked;

use crate::act::{Content, Incoming, Kind, Local, Prepared, Refusal};
use crate::lifecycle::{ActDef, Role, StageId, StateId, Transition};
use crate::pack::Pack;
use crate::view::{PlacementView, World};

/// Whose facts a gate may look at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Knows {
    /// Everything known here: the issuer, and the governor who judges a proposal.
    All,
    /// Only what this role owns: the recipient of a governor's transition refuses on nothing else.
    OwnedBy(Role),
}

/// The rules of one agreement, seen by one of its parties.
#[derive(Debug, Clone, Copy)]
pub struct Engine<'a> {
    pack: &'a Pack,
    me: Role,
}

impl<'a> Engine<'a> {
    /// The rules of `pack` for the party in role `me`.
    #[must_use]
    pub fn new(pack: &'a Pack, me: Role) -> Self {
        Self { pack, me }
    }

    /// What the lifecycle says of `act` now: kind, number, and the stage for its messages (model: `gate`).
    ///
    /// # Errors
    /// The refusal that the caller answers with; nothing has changed.
    pub fn prepare(&self, world: &World, placement: Ref, act: &str) -> Result<Prepared, Refusal> {
        let lifecycle = self.pack.lifecycle();
        let unknown = PlacementView::unknown(lifecycle.state_name(lifecycle.first_crossing));
        let view = world.placement(placement).unwrap_or(&unknown);
        if let Some(fact) = lifecycle.fact(act).filter(|f| f.by == self.me) {
            let stage = self.stage(view);
            if fact.needs_stage.is_some_and(|needed| stage < needed) {
                return Err(Refusal::Lifecycle { state: view.state.clone() });
            }
            if view.facts.len() >= lifecycle.max_facts {
                return Err(Refusal::Quota);
            }
            let stage = fact.stage.map_or(stage, |own| own.max(stage));
            return Ok(self.prepared(view, placement, act, Kind::Fact, String::new(), 0, stage));
        }
        let transition =
            lifecycle.transition(act).filter(|t| t.by == self.me).ok_or_else(|| Refusal::UnknownAct(act.to_owned()))?;
        self.prepare_transition(view, placement, transition)
    }

    fn prepare_transition(
        &self,
        view: &PlacementView,
        placement: Ref,
        transition: &Transition,
    ) -> Result<Prepared, Refusal> {
        let lifecycle = self.pack.lifecycle();
        let to = lifecycle.state_name(transition.to).to_owned();
        let (state, number) = view.effective();
        let id = self.state(state)?;
        if lifecycle.governor(id) == self.me {
            self.legal(transition, id)?;
            if transition.messages.is_empty() {
                return Ok(self.prepared(view, placement, &transition.name, Kind::Local, to, 0, StageId::FIRST));
            }
            let stage = lifecycle.state_at(transition.to).stage.max(self.stage(view));
            return Ok(self.prepared(view, placement, &transition.name, Kind::Transition, to, number + 1, stage));
        }
        // A proposal starts from the accepted state and discloses nothing that state does not (model: "P").
        self.legal(transition, self.state(&view.state)?)?;
        if !view.pending.is_empty() {
            return Err(Refusal::Undecided);
        }
        let stage = self.stage(view);
        Ok(self.prepared(view, placement, &transition.name, Kind::Proposal, to, view.number + 1, stage))
    }

    #[allow(clippy::too_many_arguments)] // one constructor of a plain record
    fn prepared(
        &self,
        view: &PlacementView,
        placement: Ref,
        act: &str,
        kind: Kind,
        to: String,
        number: u64,
        stage: StageId,
    ) -> Prepared {
        // Before the first crossing is accepted a placement's state is the origin's alone: nothing tells it.
        let lifecycle = self.pack.lifecycle();
        let shared = if view.number == 0 { lifecycle.state_name(lifecycle.first_crossing) } else { &view.state };
        let known_state = shared.to_owned();
        Prepared { act: act.to_owned(), placement, kind, to, number, stage, known_state }
    }

    /// The gates of a prepared act that happened at `event_time_ms`, with its messages as projected.
    ///
    /// # Errors
    /// The first gate that refuses.
    pub fn permit(
        &self,
        world: &World,
        prepared: &Prepared,
        event_time_ms: u64,
        content: &[Content],
        local: &Local,
    ) -> Result<(), Refusal> {
        let gates = self.pack.lifecycle().act(&prepared.act).map(ActDef::gates).unwrap_or_default();
        let (placement, act) = (prepared.placement, prepared.act.as_str());
        let asked = Asked { placement, act, at_ms: event_time_ms, content, local: Some(local) };
        self.pass(world, gates, Knows::All, &asked)
    }

    /// The verdict on an act that arrived (model: `verdict`).
    ///
    /// # Errors
    /// The refusal to be written to the OUTCOME.
    pub fn judge(&self, world: &World, act: &Incoming<'_>) -> Result<(), Refusal> {
        let lifecycle = self.pack.lifecycle();
        if act.kind == Kind::Notice {
            let notice = lifecycle.notice(act.act).ok_or_else(|| Refusal::UnknownAct(act.act.to_owned()))?;
            return if notice.by.contains(&act.issuer) { Ok(()) } else { Err(Refusal::NotGovernor(String::new())) };
        }
        let unknown = PlacementView::unknown(lifecycle.state_name(lifecycle.first_crossing));
        let view = world.placement(act.subject).unwrap_or(&unknown);
        if act.kind == Kind::Fact {
            let fact = lifecycle.fact(act.act).ok_or_else(|| Refusal::UnknownAct(act.act.to_owned()))?;
            return match fact.by == act.issuer {
                false => Err(Refusal::NotGovernor(view.state.clone())),
                true if view.facts.len() >= lifecycle.max_facts => Err(Refusal::Quota),
                true => Ok(()), // a fact is never refused on the merits
            };
        }
        let transition = lifecycle.transition(act.act).ok_or_else(|| Refusal::UnknownAct(act.act.to_owned()))?;
        let proposal = act.kind == Kind::Proposal;
        let (state, number) = if proposal { view.effective() } else { (view.state.as_str(), view.number) };
        let id = self.state(state)?;
        let governor = if proposal { self.me } else { act.issuer };
        if transition.by != act.issuer || lifecycle.governor(id) != governor {
            return Err(Refusal::NotGovernor(state.to_owned()));
        }
        if act.number != number + 1 {
            return Err(Refusal::Sequence);
        }
        self.legal(transition, id)?;
        let knows = if proposal { Knows::All } else { Knows::OwnedBy(self.me) };
        let (placement, at_ms, content) = (act.subject, act.event_time_ms, act.content);
        self.pass(world, &transition.gates, knows, &Asked { placement, act: act.act, at_ms, content, local: None })
    }

    /// Stage up to which an act that arrived may disclose.
    #[must_use]
    pub fn stage_of(&self, world: &World, placement: Ref, act: &str, kind: Kind) -> StageId {
        let lifecycle = self.pack.lifecycle();
        let reached = world.placement(placement).map_or(StageId::FIRST, |view| self.stage(view));
        let own = match kind {
            Kind::Transition => lifecycle.transition(act).map(|t| lifecycle.state_at(t.to).stage),
            Kind::Fact => lifecycle.fact(act).and_then(|f| f.stage),
            Kind::Proposal | Kind::Notice | Kind::Local => None,
        };
        own.map_or(reached, |own| own.max(reached))
    }

    /// Disclosure stage that a placement has reached by accepted states and decided facts.
    #[must_use]
    pub fn stage(&self, view: &PlacementView) -> StageId {
        let facts = view.facts.iter().filter(|f| !f.undecided);
        let of_facts = facts.filter_map(|f| self.pack.lifecycle().fact(&f.name)?.stage).max().unwrap_or(StageId::FIRST);
        of_facts.max(self.reached(view))
    }

    /// Stages are few; one that this pack does not know counts as none.
    fn reached(&self, view: &PlacementView) -> StageId {
        let lifecycle = self.pack.lifecycle();
        let name = lifecycle.stages.get(view.reached as usize);
        name.and_then(|name| lifecycle.stage(name)).unwrap_or(StageId::FIRST)
    }

    fn state(&self, name: &str) -> Result<StateId, Refusal> {
        self.pack.lifecycle().state(name).ok_or_else(|| Refusal::Lifecycle { state: name.to_owned() })
    }

    fn legal(&self, transition: &Transition, from: StateId) -> Result<(), Refusal> {
        if transition.from.contains(&from) {
            return Ok(());
        }
        Err(Refusal::Lifecycle { state: self.pack.lifecycle().state_name(from).to_owned() })
    }
}
