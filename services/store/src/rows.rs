//! Rows, as the ports pass them. Bodies are encoded protobuf messages; the store does not look inside.

use convenio_model::{RecordId, Ref};

/// Kind of a registry record.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(u8)]
pub enum Kind {
    /// Agency.
    Agency = 1,
    /// Employer.
    Employer = 2,
    /// Job order.
    JobOrder = 3,
    /// Worker.
    Worker = 4,
    /// Contract.
    Contract = 5,
    /// Registry side of a placement, at the state that registered it.
    Placement = 6,
    /// Pairwise reference of a worker under one agreement; found by an external key, has no body.
    Pairwise = 7,
    /// Welfare contact that a consulate captured (origin only).
    WelfareContact = 8,
    /// Attempts that a gate refused here, counted for the auditor; issued nothing.
    Refusal = 9,
    /// Crew list.
    Crew = 10,
}

impl Kind {
    /// Every kind, ascending.
    pub const ALL: [Self; 10] = [
        Self::Agency,
        Self::Employer,
        Self::JobOrder,
        Self::Worker,
        Self::Contract,
        Self::Placement,
        Self::Pairwise,
        Self::WelfareContact,
        Self::Refusal,
        Self::Crew,
    ];
}

/// Key of a registry record.
pub type ResourceKey = (Kind, Ref);

/// A registry record of this state.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ResourceRow {
    /// Kind.
    pub kind: Kind,
    /// Identifier.
    pub id: Ref,
    /// Record it belongs to (a contract's placement), if any.
    pub parent: Option<Ref>,
    /// Grows with each change; the etag.
    pub revision: u64,
    /// Encoded registry message.
    pub body: Vec<u8>,
    /// Creation, Unix ms.
    pub created_ms: u64,
    /// Last change, Unix ms.
    pub updated_ms: u64,
}

/// Key of another system: (kind, system, value).
pub type ExternalKey = (Kind, String, String);

/// Key of a request: (caller, request id).
pub type RequestKey = (String, Ref);

/// A request that was answered; the same id again gives the same answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RequestRow {
    /// Caller and request id.
    pub key: RequestKey,
    /// Method.
    pub method: String,
    /// SHA-256 of the request without its id: the same id with another request is refused.
    pub fingerprint: [u8; 32],
    /// Encoded answer.
    pub response: Vec<u8>,
    /// When, Unix ms.
    pub time_ms: u64,
}

/// Kind of a view.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(u8)]
pub enum ViewKind {
    /// A placement.
    Placement = 1,
    /// A job order.
    Order = 2,
    /// An agency's licences.
    Agency = 3,
    /// A crew list.
    Crew = 4,
    /// The counter of a quota; never the subject of an entry.
    Quota = 5,
}

/// Key of a view: (agreement, kind, subject).
pub type ViewKey = (String, ViewKind, Ref);

/// What this node knows of a shared subject from both logs: a materialised replay.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ViewRow {
    /// Agreement, kind, subject.
    pub key: ViewKey,
    /// Accepted state, for lists.
    pub label: String,
    /// ISO 3166-2 subdivision of the workplace, for a consulate's district; empty if none.
    pub area: String,
    /// Grows with each change in this node; set by [`crate::Work`] on commit.
    pub change: u64,
    /// Encoded view.
    pub body: Vec<u8>,
}

/// An act or decision in a placement's history. Append-only.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EventRow {
    /// Position in this node's order; 0 until it is stored.
    pub ordinal: u64,
    /// Agreement.
    pub agreement: String,
    /// Placement.
    pub placement: Ref,
    /// Encoded `PlacementEvent`.
    pub body: Vec<u8>,
}

/// Number of a log in this database.
pub type LogId = i64;

/// Head of a log: an own one or the mirror of a partner's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogRow {
    /// Number; chosen by the caller as one past the largest.
    pub id: LogId,
    /// Origin.
    pub origin: String,
    /// Agreement.
    pub agreement: String,
    /// The other node.
    pub partner: String,
    /// Epoch.
    pub epoch: u64,
    /// True for a log that this node issues.
    pub own: bool,
    /// Entries.
    pub size: u64,
    /// Right-edge hashes for `size` (see `convenio_log::tree::Frontier`), 32 bytes each.
    pub peaks: Vec<u8>,
    /// Own log: entries that the partner's mirror cosigned. Mirror: entries judged and applied.
    pub settled: u64,
    /// RECORDs in it.
    pub records: u64,
    /// RECORDs decided (own: by the partner; mirror: here).
    pub decided: u64,
    /// RECORDs rejected.
    pub rejected: u64,
    /// RECORDs below `settled`.
    pub settled_records: u64,
    /// Last checkpoint with the mirror cosignature (own: the partner's; mirror: this node's); empty if none.
    pub cosigned: Vec<u8>,
    /// Size of that checkpoint.
    pub cosigned_size: u64,
    /// How far the other log has spoken of this one. Mirror: size of the last checkpoint that a PEER_CHECKPOINT of the
    /// own log entangles. Own log: end of the ranges that the partner's OUTCOMEs decided.
    pub entangled: u64,
    /// Empty, or why it is frozen.
    pub alarm: String,
    /// Its epoch is over: nothing is sequenced in it (own) or mirrored in it (mirror) any more.
    pub closed: bool,
    /// Time of the last entry or check, Unix ms.
    pub time_ms: u64,
}

/// Subject of a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Subject {
    /// Kind.
    pub kind: ViewKind,
    /// Reference.
    pub id: Ref,
}

/// An entry of a log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EntryRow {
    /// Log.
    pub log: LogId,
    /// Index.
    pub index: u64,
    /// Record id of its statement.
    pub record_id: RecordId,
    /// True for a RECORD.
    pub is_record: bool,
    /// Subject of a RECORD, where it is known.
    pub subject: Option<Subject>,
    /// Leaf hash.
    pub leaf: [u8; 32],
    /// The entry, exactly as issued or received.
    pub bytes: Vec<u8>,
}

/// An entry without its bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EntryHead {
    /// Index.
    pub index: u64,
    /// Record id.
    pub record_id: RecordId,
    /// True for a RECORD.
    pub is_record: bool,
    /// Subject.
    pub subject: Option<Subject>,
}

impl EntryRow {
    /// The entry without its bytes.
    #[must_use]
    pub fn head(&self) -> EntryHead {
        EntryHead { index: self.index, record_id: self.record_id, is_record: self.is_record, subject: self.subject }
    }
}

/// A part at rest: sealed with its subject's data key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PartRow {
    /// Log.
    pub log: LogId,
    /// Index of the entry.
    pub index: u64,
    /// Position in the record.
    pub part: u32,
    /// Data key.
    pub key_id: [u8; 16],
    /// Nonce, ciphertext, tag of an encoded `SaltedPart`.
    pub sealed: Vec<u8>,
}

/// Data key of a subject.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SubjectKeyRow {
    /// Subject.
    pub subject: Ref,
    /// Data key in the vault.
    pub key_id: [u8; 16],
}

/// A small durable fact of the node that is no record: what its witness cosigned, a challenge it gave, an epoch it
/// granted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StateRow {
    /// Path, for example `witness/<hex sha256 of an origin>`.
    pub key: String,
    /// Value, in the form of whoever owns the path.
    pub body: Vec<u8>,
}

/// A full tile of hashes. Append-only.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TileRow {
    /// Log.
    pub log: LogId,
    /// Level.
    pub level: u8,
    /// Index in the level.
    pub index: u64,
    /// 256 hashes, 8,192 bytes.
    pub hashes: Vec<u8>,
}

/// A head that was committed: only such a one is ever signed. Unique by (log, size); never changed, save that a row
/// without a note gains one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CheckpointRow {
    /// Log.
    pub log: LogId,
    /// Size.
    pub size: u64,
    /// Root.
    pub root: [u8; 32],
    /// Note with cosignatures where it is kept (at most one a minute, and referenced ones); empty otherwise.
    pub note: Vec<u8>,
}

/// A rejected RECORD. Append-only.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RejectionRow {
    /// Log that holds the record.
    pub log: LogId,
    /// Index.
    pub index: u64,
    /// Record.
    pub record_id: RecordId,
    /// Coarse reason.
    pub reason: String,
}

/// Everything one commit writes.
#[derive(Debug, Clone, Default)]
pub struct Writes {
    /// Inserted, or replaced by (kind, id).
    pub resources: Vec<ResourceRow>,
    /// External keys that stop pointing anywhere; applied before `external_put`.
    pub external_delete: Vec<ExternalKey>,
    /// External keys; a key that is stored with another record fails the commit.
    pub external_put: Vec<(ExternalKey, Ref)>,
    /// Answered requests.
    pub requests: Vec<RequestRow>,
    /// Inserted, or replaced by key.
    pub views: Vec<ViewRow>,
    /// Appended.
    pub events: Vec<EventRow>,
    /// Inserted, or replaced by id.
    pub logs: Vec<LogRow>,
    /// Logs of which everything past their head goes, entries, parts and rejections: what never became part of them;
    /// applied after `logs`. What is below a head never goes.
    pub cut: Vec<LogId>,
    /// Appended.
    pub entries: Vec<EntryRow>,
    /// Stored parts (log, index, part) that go; applied before `parts`, so that one can be put back re-sealed.
    pub part_replaced: Vec<(LogId, u64, u32)>,
    /// Appended.
    pub parts: Vec<PartRow>,
    /// Entries (log, index) whose parts go, those of this commit among them.
    pub part_delete: Vec<(LogId, u64)>,
    /// Appended.
    pub tiles: Vec<TileRow>,
    /// Appended; a row that is stored with the same root gains the note if it has none.
    pub checkpoints: Vec<CheckpointRow>,
    /// Appended.
    pub rejections: Vec<RejectionRow>,
    /// Subjects whose data key is forgotten; applied before `subject_keys`.
    pub subject_key_delete: Vec<Ref>,
    /// Appended.
    pub subject_keys: Vec<SubjectKeyRow>,
    /// States that go; applied before `states`.
    pub state_delete: Vec<String>,
    /// Inserted, or replaced by key.
    pub states: Vec<StateRow>,
}

impl Writes {
    /// True if there is nothing to write.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.resources.is_empty()
            && self.external_delete.is_empty()
            && self.external_put.is_empty()
            && self.requests.is_empty()
            && self.views.is_empty()
            && self.events.is_empty()
            && self.logs.is_empty()
            && self.cut.is_empty()
            && self.entries.is_empty()
            && self.parts.is_empty()
            && self.part_replaced.is_empty()
            && self.part_delete.is_empty()
            && self.tiles.is_empty()
            && self.checkpoints.is_empty()
            && self.rejections.is_empty()
            && self.subject_key_delete.is_empty()
            && self.subject_keys.is_empty()
            && self.state_delete.is_empty()
            && self.states.is_empty()
    }
}
