//! What one party knows of the shared subjects: a replay of both logs, kept up to date entry by entry.
//!
//! A node stores these views beside its logs; the audit and the tests rebuild them from the logs alone. They are
//! seen from one side: that side's own undecided acts are *pending*, the other side's acts appear once judged.

mod world;

use convenio_model::{RecordId, Ref};

pub use world::{Shared, World};

/// Placement, as one side knows it.
#[derive(Clone, PartialEq, prost::Message)]
pub struct PlacementView {
    /// State that both sides accepted.
    #[prost(string, tag = "1")]
    pub state: String,
    /// Its number; 0 before the first crossing was accepted.
    #[prost(uint64, tag = "2")]
    pub number: u64,
    /// Highest disclosure stage of any accepted state.
    #[prost(uint32, tag = "3")]
    pub reached: u32,
    /// Own transitions and proposals without a decision, oldest first.
    #[prost(message, repeated, tag = "4")]
    pub pending: Vec<Pending>,
    /// Facts, in the order in which they became known.
    #[prost(message, repeated, tag = "5")]
    pub facts: Vec<FactView>,
    /// Job order, 16 bytes; empty if unknown.
    #[prost(bytes = "vec", tag = "6")]
    pub order: Vec<u8>,
    /// Number of `RecruiterKind`.
    #[prost(int32, tag = "7")]
    pub recruiter: i32,
    /// Agency, 16 bytes; empty if none.
    #[prost(bytes = "vec", tag = "8")]
    pub agency: Vec<u8>,
    /// Pairwise reference of the worker.
    #[prost(string, tag = "9")]
    pub worker_ref: String,
    /// Terms that the destination authored, the latest last.
    #[prost(message, repeated, tag = "10")]
    pub authored: Vec<TermsView>,
    /// Terms of the contract that both sides accepted.
    #[prost(message, optional, tag = "11")]
    pub agreed: Option<TermsView>,
    /// Terms seen in use.
    #[prost(message, repeated, tag = "12")]
    pub observed: Vec<TermsView>,
    /// Own last rejected act, until another one is accepted.
    #[prost(message, optional, tag = "13")]
    pub rejected: Option<RejectedAct>,
    /// Order in which this placement counts as holding a seat, 16 bytes; empty if it holds none.
    #[prost(bytes = "vec", tag = "14")]
    pub seat_in: Vec<u8>,
    /// When it came into its state, as the act that led there tells, Unix ms; 0 before the first crossing.
    #[prost(uint64, tag = "15")]
    pub since_ms: u64,
    /// What was paid, the latest last.
    #[prost(message, repeated, tag = "16")]
    pub paid: Vec<TermsView>,
    /// The acceptance that stands.
    #[prost(message, optional, tag = "17")]
    pub countersigned: Option<Countersigned>,
    /// Accepted transitions that a deadline counts from, the last of each name.
    #[prost(message, repeated, tag = "18")]
    pub times: Vec<ActTime>,
    /// Latest event of any accepted transition, Unix ms.
    #[prost(uint64, tag = "19")]
    pub latest_ms: u64,
    /// How the worker came, where a message told it.
    #[prost(message, optional, tag = "40")]
    pub came: Option<Came>,
}

/// When a transition happened.
#[derive(Clone, PartialEq, prost::Message)]
pub struct ActTime {
    /// Transition.
    #[prost(string, tag = "1")]
    pub act: String,
    /// When, Unix ms.
    #[prost(uint64, tag = "2")]
    pub event_time_ms: u64,
    /// Record, 16 bytes.
    #[prost(bytes = "vec", tag = "3")]
    pub record_id: Vec<u8>,
}

/// What a countersignature says of a contract's text.
#[derive(Clone, PartialEq, prost::Message)]
pub struct Countersigned {
    /// Record, 16 bytes.
    #[prost(bytes = "vec", tag = "1")]
    pub record_id: Vec<u8>,
    /// `contracts/<uuid>`.
    #[prost(string, tag = "2")]
    pub contract: String,
    /// SHA-256 of the text as the countersigning state holds it; empty if it does not say.
    #[prost(bytes = "vec", tag = "3")]
    pub text_sha256: Vec<u8>,
    /// SHA-256 of the text that the worker accepted; empty if it does not say.
    #[prost(bytes = "vec", tag = "4")]
    pub accepted_sha256: Vec<u8>,
}

/// How a worker came to a placement: by which route, with which crew, with how many others.
#[derive(Clone, PartialEq, prost::Message)]
pub struct Came {
    /// Number of `EntryRoute`.
    #[prost(int32, tag = "1")]
    pub route: i32,
    /// Crew list, 16 bytes; empty if none.
    #[prost(bytes = "vec", tag = "2")]
    pub crew: Vec<u8>,
    /// Adults who travel along.
    #[prost(int32, tag = "3")]
    pub adults: i32,
    /// Minors who travel along.
    #[prost(int32, tag = "4")]
    pub minors: i32,
}

/// An own act that the partner has not decided.
#[derive(Clone, PartialEq, prost::Message)]
pub struct Pending {
    /// Record, 16 bytes.
    #[prost(bytes = "vec", tag = "1")]
    pub record_id: Vec<u8>,
    /// Transition.
    #[prost(string, tag = "2")]
    pub act: String,
    /// True for a proposal.
    #[prost(bool, tag = "3")]
    pub proposal: bool,
    /// State it leads to.
    #[prost(string, tag = "4")]
    pub to: String,
    /// Number it takes.
    #[prost(uint64, tag = "5")]
    pub number: u64,
    /// Contract that it countersigns; empty if none.
    #[prost(string, tag = "6")]
    pub contract: String,
    /// What it says of the contract's text.
    #[prost(message, optional, tag = "9")]
    pub countersigned: Option<Countersigned>,
    /// Job order, recruiter and agency before it, to which a rejection returns.
    #[prost(message, optional, tag = "7")]
    pub prior: Option<Parties>,
    /// When it happened, Unix ms.
    #[prost(uint64, tag = "8")]
    pub event_time_ms: u64,
}

/// Job order, recruiter and agency of a placement.
#[derive(Clone, PartialEq, prost::Message)]
pub struct Parties {
    /// Job order, 16 bytes; empty if unknown.
    #[prost(bytes = "vec", tag = "1")]
    pub order: Vec<u8>,
    /// Number of `RecruiterKind`.
    #[prost(int32, tag = "2")]
    pub recruiter: i32,
    /// Agency, 16 bytes; empty if none.
    #[prost(bytes = "vec", tag = "3")]
    pub agency: Vec<u8>,
}

/// A fact.
#[derive(Clone, PartialEq, prost::Message)]
pub struct FactView {
    /// Name.
    #[prost(string, tag = "1")]
    pub name: String,
    /// True if the origin owns it.
    #[prost(bool, tag = "2")]
    pub by_origin: bool,
    /// Record, 16 bytes.
    #[prost(bytes = "vec", tag = "3")]
    pub record_id: Vec<u8>,
    /// When it happened, Unix ms.
    #[prost(uint64, tag = "4")]
    pub event_time_ms: u64,
    /// The state that its issuer knew.
    #[prost(string, tag = "5")]
    pub known_state: String,
    /// Own facts: the partner has not decided yet.
    #[prost(bool, tag = "6")]
    pub undecided: bool,
}

/// Terms, as the agreement's message that carried them.
#[derive(Clone, PartialEq, prost::Message)]
pub struct TermsView {
    /// Record, 16 bytes.
    #[prost(bytes = "vec", tag = "1")]
    pub record_id: Vec<u8>,
    /// Full name of the message.
    #[prost(string, tag = "2")]
    pub message_name: String,
    /// The message; empty once it was erased.
    #[prost(bytes = "vec", tag = "3")]
    pub message: Vec<u8>,
    /// `contracts/<uuid>` where the message names it.
    #[prost(string, tag = "4")]
    pub contract: String,
}

/// An own act that was rejected.
#[derive(Clone, PartialEq, prost::Message)]
pub struct RejectedAct {
    /// Record, 16 bytes.
    #[prost(bytes = "vec", tag = "1")]
    pub record_id: Vec<u8>,
    /// Transition or fact; empty if no longer known.
    #[prost(string, tag = "2")]
    pub act: String,
    /// Coarse reason.
    #[prost(string, tag = "3")]
    pub reason: String,
    /// Gate.
    #[prost(string, tag = "4")]
    pub gate: String,
    /// Fields.
    #[prost(string, repeated, tag = "5")]
    pub field_paths: Vec<String>,
    /// Clause.
    #[prost(string, tag = "6")]
    pub clause: String,
    /// Fact.
    #[prost(string, tag = "7")]
    pub fact: String,
}

/// Job order, as one side knows it.
#[derive(Clone, PartialEq, prost::Message)]
pub struct OrderView {
    /// Takes nominations.
    #[prost(bool, tag = "1")]
    pub open: bool,
    /// Seats asked for.
    #[prost(uint32, tag = "2")]
    pub seats: u32,
    /// Seats held.
    #[prost(uint32, tag = "3")]
    pub held: u32,
    /// The notice: full name of the message.
    #[prost(string, tag = "4")]
    pub message_name: String,
    /// The notice; empty once it was erased.
    #[prost(bytes = "vec", tag = "5")]
    pub message: Vec<u8>,
    /// Record of the notice, 16 bytes.
    #[prost(bytes = "vec", tag = "6")]
    pub record_id: Vec<u8>,
    /// ISO 3166-2 subdivision of the workplace.
    #[prost(string, tag = "7")]
    pub area: String,
    /// Quotas whose scope covers it, by the version of the agreement under which its notice was given.
    #[prost(string, repeated, tag = "8")]
    pub quotas: Vec<String>,
}

/// A quota, as one side knows it.
#[derive(Clone, PartialEq, prost::Message)]
pub struct QuotaView {
    /// Name.
    #[prost(string, tag = "1")]
    pub name: String,
    /// Placements that hold a seat of an order in its scope.
    #[prost(uint32, tag = "2")]
    pub held: u32,
}

/// Under which reference the counter of a quota is kept: its name is unique in the agreement.
#[must_use]
pub fn quota_ref(name: &str) -> Ref {
    let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, name.as_bytes());
    let mut id = [0; 16];
    id.copy_from_slice(&digest.as_ref()[..16]);
    Ref(id)
}

/// Agency, as one side knows it.
#[derive(Clone, PartialEq, prost::Message)]
pub struct AgencyView {
    /// Licences, one for each (owner, jurisdiction).
    #[prost(message, repeated, tag = "1")]
    pub licences: Vec<LicenceView>,
    /// Legal name.
    #[prost(string, tag = "2")]
    pub legal_name: String,
}

/// Licence of an agency.
#[derive(Clone, PartialEq, prost::Message)]
pub struct LicenceView {
    /// True if the origin owns it.
    #[prost(bool, tag = "1")]
    pub by_origin: bool,
    /// ISO 3166 code.
    #[prost(string, tag = "2")]
    pub jurisdiction: String,
    /// Number.
    #[prost(string, tag = "3")]
    pub number: String,
    /// Number of `LicenceState`.
    #[prost(int32, tag = "4")]
    pub state: i32,
    /// Record, 16 bytes.
    #[prost(bytes = "vec", tag = "5")]
    pub record_id: Vec<u8>,
    /// Ground of its state.
    #[prost(string, tag = "6")]
    pub reason_code: String,
}

/// Crew list, as one side knows it: what each state told last.
#[derive(Clone, PartialEq, prost::Message)]
pub struct CrewView {
    /// At most one of each state, the origin's first.
    #[prost(message, repeated, tag = "1")]
    pub said: Vec<CrewSaid>,
}

/// What one state told of a crew list.
#[derive(Clone, PartialEq, prost::Message)]
pub struct CrewSaid {
    /// True if the origin told it.
    #[prost(bool, tag = "1")]
    pub by_origin: bool,
    /// The notice: full name of the message.
    #[prost(string, tag = "2")]
    pub message_name: String,
    /// The notice; empty once it was erased.
    #[prost(bytes = "vec", tag = "3")]
    pub message: Vec<u8>,
    /// Record of the notice, 16 bytes.
    #[prost(bytes = "vec", tag = "4")]
    pub record_id: Vec<u8>,
}

impl PlacementView {
    /// A placement of which nothing is known.
    #[must_use]
    pub fn unknown(first_crossing: &str) -> Self {
        Self { state: first_crossing.to_owned(), ..Self::default() }
    }

    /// State and number with this side's own undecided transitions; proposals do not count.
    #[must_use]
    pub fn effective(&self) -> (&str, u64) {
        self.pending
            .iter()
            .rev()
            .find(|p| !p.proposal)
            .map_or((self.state.as_str(), self.number), |p| (p.to.as_str(), p.number))
    }

    /// Whether `fact` is known.
    #[must_use]
    pub fn has(&self, fact: &str) -> bool {
        self.facts.iter().any(|f| f.name == fact)
    }

    /// Job order, recruiter and agency.
    #[must_use]
    pub fn parties(&self) -> Parties {
        Parties { order: self.order.clone(), recruiter: self.recruiter, agency: self.agency.clone() }
    }

    /// Job order, if known.
    #[must_use]
    pub fn order_ref(&self) -> Option<Ref> {
        Ref::from_slice(&self.order).ok()
    }

    /// Agency, if there is one.
    #[must_use]
    pub fn agency_ref(&self) -> Option<Ref> {
        Ref::from_slice(&self.agency).ok()
    }
}

/// Whether `bytes` are `id`.
#[must_use]
pub(crate) fn is(bytes: &[u8], id: RecordId) -> bool {
    bytes == id.0
}
