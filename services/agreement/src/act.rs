//! One act: what its issuer wants, what a record carries, and why it is refused.

use std::fmt;

use convenio_model::{RecordId, Ref};
use convenio_wire::exchange::v1::RejectDetail;

use crate::lifecycle::{Gate, Role, StageId};
use crate::plan::Doc;

/// Whether an act is its issuer's to decide.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Transition by the governor.
    Transition,
    /// Proposal to the governor.
    Proposal,
    /// Fact that its owner states.
    Fact,
    /// State of a subject that is no placement.
    Notice,
    /// Transition before the first crossing; leaves no record.
    Local,
}

/// One message of an act, read.
#[derive(Debug, Clone)]
pub struct Content {
    /// Full name of the message.
    pub message_name: String,
    /// The message, encoded.
    pub message: Vec<u8>,
    /// Its values by the registry path that they come from.
    pub doc: Doc,
}

/// An act that the lifecycle allows, before its gates.
#[derive(Debug, Clone)]
pub struct Prepared {
    /// Transition or fact.
    pub act: String,
    /// Placement.
    pub placement: Ref,
    /// Kind.
    pub kind: Kind,
    /// State that a transition leads to; empty for a fact.
    pub to: String,
    /// Number that a transition takes; 0 for a fact.
    pub number: u64,
    /// Stage at which its messages are projected.
    pub stage: StageId,
    /// Accepted state, as known now.
    pub known_state: String,
}

/// An act that arrived, its form checked.
#[derive(Debug, Clone)]
pub struct Incoming<'a> {
    /// Record.
    pub record_id: RecordId,
    /// Role of its issuer in the agreement.
    pub issuer: Role,
    /// Transition, fact or notice.
    pub act: &'a str,
    /// Kind that the issuer declares.
    pub kind: Kind,
    /// Subject.
    pub subject: Ref,
    /// Number.
    pub number: u64,
    /// When it happened, Unix ms.
    pub event_time_ms: u64,
    /// Accepted state that the issuer knew.
    pub known_state: &'a str,
    /// Its messages, in order.
    pub content: &'a [Content],
}

/// What only the issuer's own registry can tell; a judge does not ask it.
#[derive(Debug, Clone, Copy, Default)]
pub struct Local {
    /// The worker's consent for this agreement stands.
    pub consent: bool,
    /// The worker is old enough at the event's time.
    pub of_age: bool,
    /// The return programme was shown.
    pub return_offer_shown: bool,
    /// All mandatory orientation modules are done.
    pub all_modules: bool,
}

/// What a refusal tells besides its coarse reason. Names and paths, never a value; it is erasable.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Detail {
    /// Gate that refused; `lifecycle` where there is no such step; empty if none did.
    pub gate: String,
    /// Legal key of the clause that it carries out; may be empty.
    pub clause: String,
    /// Fact that is missing, or that must not stand; may be empty.
    pub fact: String,
    /// Fields concerned, in registry terms.
    pub field_paths: Vec<String>,
}

impl From<RejectDetail> for Detail {
    fn from(told: RejectDetail) -> Self {
        Self { gate: told.gate, clause: told.clause, fact: told.fact, field_paths: told.field_paths }
    }
}

/// Gate, then its clause in brackets and its fact, where there are any: `caq [accord-22] caq_granted`.
impl fmt::Display for Detail {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.gate)?;
        if !self.clause.is_empty() {
            write!(f, " [{}]", self.clause)?;
        }
        if !self.fact.is_empty() {
            write!(f, " {}", self.fact)?;
        }
        Ok(())
    }
}

/// Why an act is refused: at the issuer an answer, at the judge a rejection.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// The agreement names no such act, or it is not this state's.
    #[error("the agreement gives this state no act `{0}`")]
    UnknownAct(String),
    /// Only the other state may do that now, and a proposal is not possible either.
    #[error("not the governor's act in state {0}")]
    NotGovernor(String),
    /// The number is not the next one.
    #[error("the placement has moved on")]
    Sequence,
    /// An own act waits for the partner's decision.
    #[error("an earlier act waits for the partner's decision")]
    Undecided,
    /// The lifecycle has no such transition from this state, or the stage is not reached.
    #[error("not possible in state {state}")]
    Lifecycle {
        /// Present state.
        state: String,
    },
    /// A gate refused.
    #[error("gate {} refused", .0.gate)]
    Gate(Detail),
    /// More facts than a placement may have.
    #[error("too many facts for one placement")]
    Quota,
}

impl Refusal {
    /// Coarse stable reason, as it stands in a log.
    #[must_use]
    pub fn reason(&self) -> &'static str {
        match self {
            Self::UnknownAct(_) => "SCHEMA",
            Self::NotGovernor(_) => "NOT_GOVERNOR",
            Self::Sequence | Self::Undecided => "SEQUENCE",
            Self::Lifecycle { .. } | Self::Gate { .. } => "GATE",
            Self::Quota => "QUOTA",
        }
    }

    /// The built-in gate that refused, if one did.
    #[must_use]
    pub fn built_in(&self) -> Option<Gate> {
        match self {
            Self::Gate(detail) => detail.gate.parse().ok(),
            _ => None,
        }
    }

    /// Gate that refused; empty if none did.
    #[must_use]
    pub fn gate(&self) -> &str {
        match self {
            Self::Lifecycle { .. } => "lifecycle",
            Self::Gate(detail) => &detail.gate,
            _ => "",
        }
    }

    /// What is told besides the reason.
    #[must_use]
    pub fn detail(&self) -> Detail {
        match self {
            Self::Lifecycle { .. } => Detail { gate: "lifecycle".to_owned(), ..Detail::default() },
            Self::Gate(detail) => detail.clone(),
            _ => Detail::default(),
        }
    }
}
