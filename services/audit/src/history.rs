//! What a replay tells: one subject at a time, with the records of both sides and what each side knows of it.

use convenio_agreement::Pack;
use convenio_agreement::act::{Content, Kind};
use convenio_agreement::engine::Discrepancy;
use convenio_agreement::lifecycle::Role;
use convenio_agreement::view::{AgencyView, CrewView, OrderView, PlacementView};
use convenio_model::{RecordId, Ref};
use convenio_wire::exchange::v1::{Part, Statement};
use serde::Serialize;

use crate::replay::{Demand, Divergence, ReplayedAct};

/// An entry of a log.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Place {
    /// Origin of the log.
    pub origin: String,
    /// Index.
    pub index: u64,
}

/// Up to where the logs are replayed.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum At {
    /// All that the bundles hold.
    #[default]
    End,
    /// The first `size` entries of one log, and of its partner's what the issuer had judged when it issued the last of
    /// them (`peer`): the exchange as that issuer could know it.
    Index {
        /// Origin of the log.
        origin: String,
        /// Number of entries.
        size: u64,
    },
    /// In each log the entries before the first one whose log time is later, Unix ms.
    Time(u64),
}

/// When an entry came to be, as far as cosignatures bound it. Unix seconds by the cosigners' clocks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
pub struct TimeBounds {
    /// The log did not hold the entry when it was last cosigned without it.
    pub not_before: Option<u64>,
    /// The log held the entry when it was first cosigned with it; none if no cosigned checkpoint covers it.
    pub not_after: Option<u64>,
}

/// One entry of a verified log with all that belongs to it.
#[derive(Debug, Clone)]
pub struct EntryRecord {
    /// Where.
    pub place: Place,
    /// The entry's bytes, as hashed.
    pub bytes: Vec<u8>,
    /// Its statement.
    pub statement: Statement,
    /// Its parts with their salts in the order of the commitments; none where a bundle does not hold it.
    pub parts: Vec<Option<(Vec<u8>, Part)>>,
    /// Version of the issuer's key manifest that was valid at this index.
    pub key_version: u64,
    /// Bounds of its time.
    pub time: TimeBounds,
}

/// A RECORD in its place, judged.
#[derive(Debug, Clone)]
pub struct ReplayedRecord {
    /// Role of its issuer.
    pub issuer: Role,
    /// Where it stands.
    pub place: Place,
    /// The act with its outcome and, as `unentitled`, whether the rules gave it to its issuer by what it could know.
    pub act: ReplayedAct,
    /// Kind of the act.
    pub kind: Kind,
    /// Log time, Unix ms.
    pub time_ms: u64,
    /// When it happened, Unix ms.
    pub event_time_ms: u64,
    /// Whether it happened before the exchange began.
    pub historical: bool,
    /// Number that a transition takes.
    pub number: u64,
    /// Accepted state as its issuer knew it.
    pub known_state: String,
    /// Record that it corrects.
    pub supersedes: Option<RecordId>,
    /// Digest of the agreement version under which it was issued.
    pub digest: [u8; 32],
    /// Its messages, the lead first; those of erased parts are left out.
    pub content: Vec<Content>,
    /// Parts that no bundle holds, a bit each. With any, neither `unentitled` nor `divergence` is said: indeterminate.
    pub missing: u16,
    /// The OUTCOME that decided it.
    pub decided: Option<Place>,
    /// Where the partner decided otherwise than the rules say.
    pub divergence: Option<Divergence>,
}

/// What a side knows of a subject.
#[expect(clippy::large_enum_variant, reason = "nearly all are the largest, and few are held at a time")]
#[derive(Debug, Clone, PartialEq)]
pub enum SubjectView {
    /// Of a placement.
    Placement(PlacementView),
    /// Of a job order.
    Order(OrderView),
    /// Of an agency.
    Agency(AgencyView),
    /// Of a crew list.
    Crew(CrewView),
}

/// Everything that the logs say of one subject.
#[derive(Debug, Clone)]
pub struct History {
    /// Resource name: `placements/<uuid>`, `jobOrders/<uuid>`, `agencies/<uuid>`, `crews/<uuid>`.
    pub subject: String,
    /// Its records in replay order: each log in its own order, and each record after those of the partner that its issuer
    /// had judged.
    pub records: Vec<ReplayedRecord>,
    /// What the origin knows at the end; none if nothing.
    pub origin: Option<SubjectView>,
    /// What the destination knows at the end.
    pub destination: Option<SubjectView>,
    /// Contradictions of a placement that the records themselves show.
    pub discrepancies: Vec<Discrepancy>,
    /// How the sides differ where they must not.
    pub disagreement: Option<String>,
}

impl History {
    /// Id of the subject.
    #[must_use]
    pub fn id(&self) -> Option<Ref> {
        self.subject.split_once('/').and_then(|(_, id)| id.parse().ok())
    }

    /// What a side knows.
    #[must_use]
    pub fn side(&self, role: Role) -> Option<&SubjectView> {
        match role {
            Role::Origin => self.origin.as_ref(),
            Role::Destination => self.destination.as_ref(),
        }
    }

    /// Placement as a side knows it.
    #[must_use]
    pub fn placement(&self, role: Role) -> Option<&PlacementView> {
        match self.side(role) {
            Some(SubjectView::Placement(view)) => Some(view),
            _ => None,
        }
    }
}

/// A RECORD whose lead part is gone: not even its subject is known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ErasedRecord {
    /// Role of its issuer.
    pub issuer: Role,
    /// Where it stands.
    pub place: Place,
    /// Record.
    pub record_id: RecordId,
    /// Log time, Unix ms.
    pub time_ms: u64,
}

/// Receives a replay. Histories come one at a time, each subject once, in an order that is the same for the same bundles
/// but says nothing; whoever wants another order sorts what he keeps. Keep little: there may be millions.
pub trait Visit {
    /// Before the first history: the agreement and the demand for the seats of those orders that had more candidates
    /// than seats, by the destination.
    fn start(&mut self, _exchange: &Exchange, _oversubscribed: &[(Ref, Demand)]) {}

    /// One subject.
    fn history(&mut self, history: History);

    /// One RECORD that cannot be told to any subject.
    fn erased(&mut self, _record: ErasedRecord) {}
}

/// One agreement between two nodes, with the logs of both directions in all epochs.
#[derive(Debug, Clone)]
pub struct Exchange {
    /// The agreement version in force at the end.
    pub pack: Pack,
    /// Origins of the logs that the origin's node issued, by epoch.
    pub origin_logs: Vec<String>,
    /// Likewise of the destination.
    pub destination_logs: Vec<String>,
}

/// Counts of a replay.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
pub struct ReplaySummary {
    /// Placements.
    pub placements: u64,
    /// RECORDs replayed.
    pub records: u64,
    /// RECORDs that could not be judged because a part is erased.
    pub indeterminate: u64,
    /// Placements on which the sides differ where they must not.
    pub disagreements: u64,
}
