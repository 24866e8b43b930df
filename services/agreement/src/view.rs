//! What one party knows of the shared subjects: a replay of both logs, kept up to date entry by entry.
//!
//! A node stores these views beside its logs; the audit and the tests rebuild them from the logs alone. They are
//! seen from one side: that side's own undecided acts are *pending*, the other side's acts appear once judged.

use std::collections::{BTreeSet, HashMap};

use convenio_model::{RecordId, Ref};

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

/// The views that a decision needs, loaded by the caller, and which of them it changed.
#[derive(Debug, Default, Clone)]
pub struct World {
    placements: HashMap<Ref, PlacementView>,
    orders: HashMap<Ref, OrderView>,
    agencies: HashMap<Ref, AgencyView>,
    crews: HashMap<Ref, CrewView>,
    changed: BTreeSet<(Shared, Ref)>,
}

/// Kind of a shared subject.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Shared {
    /// Placement.
    Placement,
    /// Job order.
    Order,
    /// Agency.
    Agency,
    /// Crew list.
    Crew,
}

impl World {
    /// Placement, if known.
    #[must_use]
    pub fn placement(&self, id: Ref) -> Option<&PlacementView> {
        self.placements.get(&id)
    }

    /// Job order, if known.
    #[must_use]
    pub fn order(&self, id: Ref) -> Option<&OrderView> {
        self.orders.get(&id)
    }

    /// Agency, if known.
    #[must_use]
    pub fn agency(&self, id: Ref) -> Option<&AgencyView> {
        self.agencies.get(&id)
    }

    /// Crew list, if known.
    #[must_use]
    pub fn crew(&self, id: Ref) -> Option<&CrewView> {
        self.crews.get(&id)
    }

    /// Adds a view as it is stored; one that is here already stays.
    pub fn load_placement(&mut self, id: Ref, view: PlacementView) {
        self.placements.entry(id).or_insert(view);
    }

    /// As [`World::load_placement`].
    pub fn load_order(&mut self, id: Ref, view: OrderView) {
        self.orders.entry(id).or_insert(view);
    }

    /// As [`World::load_placement`].
    pub fn load_agency(&mut self, id: Ref, view: AgencyView) {
        self.agencies.entry(id).or_insert(view);
    }

    /// As [`World::load_placement`].
    pub fn load_crew(&mut self, id: Ref, view: CrewView) {
        self.crews.entry(id).or_insert(view);
    }

    /// Placement to be changed; `first_crossing` is the state of an unknown one.
    pub fn placement_mut(&mut self, id: Ref, first_crossing: &str) -> &mut PlacementView {
        self.changed.insert((Shared::Placement, id));
        self.placements.entry(id).or_insert_with(|| PlacementView::unknown(first_crossing))
    }

    /// Job order to be changed.
    pub fn order_mut(&mut self, id: Ref) -> &mut OrderView {
        self.changed.insert((Shared::Order, id));
        self.orders.entry(id).or_default()
    }

    /// Agency to be changed.
    pub fn agency_mut(&mut self, id: Ref) -> &mut AgencyView {
        self.changed.insert((Shared::Agency, id));
        self.agencies.entry(id).or_default()
    }

    /// Crew list to be changed.
    pub fn crew_mut(&mut self, id: Ref) -> &mut CrewView {
        self.changed.insert((Shared::Crew, id));
        self.crews.entry(id).or_default()
    }

    /// Subjects changed since the last call.
    pub fn take_changed(&mut self) -> BTreeSet<(Shared, Ref)> {
        std::mem::take(&mut self.changed)
    }

    /// Every placement, in no order.
    pub fn placements(&self) -> impl Iterator<Item = (Ref, &PlacementView)> {
        self.placements.iter().map(|(id, view)| (*id, view))
    }

    /// Every job order, in no order.
    pub fn orders(&self) -> impl Iterator<Item = (Ref, &OrderView)> {
        self.orders.iter().map(|(id, view)| (*id, view))
    }

    /// Every crew list, in no order.
    pub fn crews(&self) -> impl Iterator<Item = (Ref, &CrewView)> {
        self.crews.iter().map(|(id, view)| (*id, view))
    }

    /// Every agency, in no order.
    pub fn agencies(&self) -> impl Iterator<Item = (Ref, &AgencyView)> {
        self.agencies.iter().map(|(id, view)| (*id, view))
    }
}

/// Whether `bytes` are `id`.
#[must_use]
pub(crate) fn is(bytes: &[u8], id: RecordId) -> bool {
    bytes == id.0
}
