//! The lifecycle of placements under an agreement: validated data, by index.

mod build;
mod gate;

use std::collections::HashMap;
use std::sync::Arc;

use serde::Deserialize;

use crate::config::DeadlineConfig;

pub use gate::{FactGate, Gate, GateDef, GateRule, Must, UnknownGate, built_in_gates};

/// A state of the lifecycle, by its place in `agreement.toml`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct StateId(pub(crate) u8);

/// A disclosure stage; the order is that of disclosure.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct StageId(pub(crate) u8);

impl StateId {
    /// Place in [`Lifecycle::states`].
    #[must_use]
    pub fn index(self) -> usize {
        usize::from(self.0)
    }
}

impl StageId {
    /// The stage that comes first.
    pub const FIRST: Self = Self(0);

    /// Place in [`Lifecycle::stages`].
    #[must_use]
    pub fn index(self) -> usize {
        usize::from(self.0)
    }
}

/// What a state is in the agreement.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Role {
    /// Workers leave it.
    Origin,
    /// Workers come to it.
    Destination,
}

impl Role {
    /// The partner's.
    #[must_use]
    pub fn other(self) -> Self {
        match self {
            Self::Origin => Self::Destination,
            Self::Destination => Self::Origin,
        }
    }

    /// As `agreement.toml` writes it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Origin => "origin",
            Self::Destination => "destination",
        }
    }
}

/// A state of a placement.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct State {
    /// Name, for example `NOMINATED`.
    pub name: String,
    /// Who decides transitions out of it.
    pub governor: Role,
    /// Disclosure stage that it reaches.
    pub stage: StageId,
}

/// A change of state.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Transition {
    /// Name, for example `nominate`.
    pub name: String,
    /// States it leaves.
    pub from: Vec<StateId>,
    /// State it reaches.
    pub to: StateId,
    /// Who acts; if not the governor of the present state, it proposes.
    pub by: Role,
    /// Full names of the messages of its record, the lead first. Empty for an act before the first
    /// crossing, which stays at home.
    pub messages: Vec<Arc<str>>,
    /// Conditions.
    pub gates: Vec<Arc<GateDef>>,
}

impl Transition {
    /// Whether it stays at home.
    #[must_use]
    pub fn is_local(&self) -> bool {
        self.messages.is_empty()
    }
}

/// Something that only its owner can state; never refused on the merits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fact {
    /// Name, for example `departed`.
    pub name: String,
    /// Its owner.
    pub by: Role,
    /// Full names of the messages of its record, the lead first; at least one.
    pub messages: Vec<Arc<str>>,
    /// Stage that must have been reached; binds the issuer only.
    pub needs_stage: Option<StageId>,
    /// Stage that it reaches.
    pub stage: Option<StageId>,
    /// Conditions; bind the issuer only.
    pub gates: Vec<Arc<GateDef>>,
    /// Alert unless the placement is in one of these; empty for no alert.
    pub alert_unless: Vec<StateId>,
    /// Whether its lead message carries terms of employment.
    pub terms: Option<Terms>,
}

/// Where terms of employment come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Terms {
    /// From the destination, which authors the contract.
    Authored,
    /// From where the worker works, as a consulate saw it (contrato observado).
    Observed,
    /// From what was paid, as a pay slip or a ledger shows it (pago observado).
    Paid,
}

/// State of what is no placement.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Notice {
    /// Name, for example `job_order`.
    pub name: String,
    /// Who may issue it.
    pub by: Vec<Role>,
    /// Full name of its message.
    pub message: Arc<str>,
    /// Kind of record it is about.
    pub subject: Subject,
}

/// Kind of record that a notice is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Deserialize)]
pub enum Subject {
    /// Job orders.
    #[serde(rename = "jobOrders")]
    JobOrders,
    /// Agencies.
    #[serde(rename = "agencies")]
    Agencies,
    /// Crew lists.
    #[serde(rename = "crews")]
    Crews,
}

impl Subject {
    /// Collection of its resource names.
    #[must_use]
    pub fn collection(self) -> &'static str {
        match self {
            Self::JobOrders => "jobOrders",
            Self::Agencies => "agencies",
            Self::Crews => "crews",
        }
    }
}

/// What a record does, as its lead message tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ActDef<'a> {
    /// Changes a placement's state.
    Transition(&'a Transition),
    /// States a fact.
    Fact(&'a Fact),
    /// Tells the state of another record.
    Notice(&'a Notice),
}

impl<'a> ActDef<'a> {
    /// Name of the act.
    #[must_use]
    pub fn name(self) -> &'a str {
        match self {
            Self::Transition(act) => &act.name,
            Self::Fact(act) => &act.name,
            Self::Notice(act) => &act.name,
        }
    }

    /// Full names of the messages of its record, the lead first.
    #[must_use]
    pub fn messages(self) -> &'a [Arc<str>] {
        match self {
            Self::Transition(act) => &act.messages,
            Self::Fact(act) => &act.messages,
            Self::Notice(act) => std::slice::from_ref(&act.message),
        }
    }

    /// Its conditions; a notice has none.
    #[must_use]
    pub fn gates(self) -> &'a [Arc<GateDef>] {
        match self {
            Self::Transition(act) => &act.gates,
            Self::Fact(act) => &act.gates,
            Self::Notice(_) => &[],
        }
    }

    /// Whether this built-in gate is among its conditions.
    #[must_use]
    pub fn asks(self, gate: Gate) -> bool {
        self.gates().iter().any(|own| own.is(gate))
    }

    /// Whether a party of this role may issue it.
    #[must_use]
    pub fn may_be_by(self, role: Role) -> bool {
        match self {
            Self::Transition(act) => act.by == role,
            Self::Fact(act) => act.by == role,
            Self::Notice(act) => act.by.contains(&role),
        }
    }
}

/// Which list of acts, and where in it.
#[derive(Debug, Clone, Copy)]
enum ActRef {
    Transition(usize),
    Fact(usize),
    Notice(usize),
}

/// The lifecycle of an agreement. Every index in it is valid.
#[derive(Debug, Clone)]
pub struct Lifecycle {
    /// Names of the disclosure stages, in order.
    pub stages: Vec<String>,
    /// States.
    pub states: Vec<State>,
    /// Transitions.
    pub transitions: Vec<Transition>,
    /// Facts.
    pub facts: Vec<Fact>,
    /// Notices.
    pub notices: Vec<Notice>,
    /// State of a new placement.
    pub initial: StateId,
    /// State in which a placement crosses for the first time.
    pub first_crossing: StateId,
    /// States that hold a seat, …
    pub holds_seat: Vec<StateId>,
    /// … unless one of these facts stands.
    pub frees_seat: Vec<String>,
    /// Pairs of facts that cannot both be true.
    pub contradictions: Vec<(String, String)>,
    /// Time that may pass between an act and a fact.
    pub deadlines: Vec<DeadlineConfig>,
    /// Most facts that one placement may have.
    pub max_facts: usize,
    leads: HashMap<Arc<str>, ActRef>,
    names: HashMap<String, ActRef>,
}

impl Lifecycle {
    /// The act that a record does whose first part is `message`, by full name.
    #[must_use]
    pub fn act_of_lead(&self, message: &str) -> Option<ActDef<'_>> {
        self.leads.get(message).map(|act| self.resolve(*act))
    }

    /// The act of this name; transitions, facts and notices share one space of names.
    #[must_use]
    pub fn act(&self, name: &str) -> Option<ActDef<'_>> {
        self.names.get(name).map(|act| self.resolve(*act))
    }

    /// The transition of this name.
    #[must_use]
    pub fn transition(&self, name: &str) -> Option<&Transition> {
        match self.act(name) {
            Some(ActDef::Transition(act)) => Some(act),
            _ => None,
        }
    }

    /// The fact of this name.
    #[must_use]
    pub fn fact(&self, name: &str) -> Option<&Fact> {
        match self.act(name) {
            Some(ActDef::Fact(act)) => Some(act),
            _ => None,
        }
    }

    /// The notice of this name.
    #[must_use]
    pub fn notice(&self, name: &str) -> Option<&Notice> {
        match self.act(name) {
            Some(ActDef::Notice(act)) => Some(act),
            _ => None,
        }
    }

    /// The state of this name.
    #[must_use]
    pub fn state(&self, name: &str) -> Option<StateId> {
        let index = self.states.iter().position(|state| state.name == name)?;
        u8::try_from(index).ok().map(StateId)
    }

    /// The stage of this name.
    #[must_use]
    pub fn stage(&self, name: &str) -> Option<StageId> {
        let index = self.stages.iter().position(|stage| stage == name)?;
        u8::try_from(index).ok().map(StageId)
    }

    /// Name of a state.
    ///
    /// # Panics
    /// As [`Self::state_at`].
    #[must_use]
    pub fn state_name(&self, id: StateId) -> &str {
        &self.state_at(id).name
    }

    /// The state itself.
    ///
    /// # Panics
    /// For an id of another agreement's lifecycle with more states.
    #[must_use]
    pub fn state_at(&self, id: StateId) -> &State {
        &self.states[id.index()]
    }

    /// Name of a stage.
    ///
    /// # Panics
    /// For an id of another agreement's lifecycle with more stages.
    #[must_use]
    pub fn stage_name(&self, id: StageId) -> &str {
        &self.stages[id.index()]
    }

    /// Who decides transitions out of a state.
    #[must_use]
    pub fn governor(&self, id: StateId) -> Role {
        self.state_at(id).governor
    }

    /// Whether a placement in this state holds a seat, as long as no fact frees it.
    #[must_use]
    pub fn holds_seat(&self, id: StateId) -> bool {
        self.holds_seat.contains(&id)
    }

    fn resolve(&self, act: ActRef) -> ActDef<'_> {
        match act {
            ActRef::Transition(index) => ActDef::Transition(&self.transitions[index]),
            ActRef::Fact(index) => ActDef::Fact(&self.facts[index]),
            ActRef::Notice(index) => ActDef::Notice(&self.notices[index]),
        }
    }
}
