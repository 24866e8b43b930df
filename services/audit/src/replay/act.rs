//! A RECORD read as an act of the agreement.

use convenio_agreement::Pack;
use convenio_agreement::act::{Content, Kind};
use convenio_agreement::lifecycle::ActDef;
use convenio_model::{RecordId, Ref};
use convenio_wire::exchange::v1::{ActKind, Part, statement::Body};

use super::cursor::Item;

/// What the partner made of an act.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ActOutcome {
    /// Nothing yet.
    Undecided,
    /// Accepted.
    Accepted,
    /// Rejected.
    Rejected {
        /// Coarse reason, from the log.
        reason: String,
        /// Gate, from the OUTCOME's erasable part; empty if it is erased or no gate refused.
        gate: String,
        /// Fields concerned, likewise.
        field_paths: Vec<String>,
    },
}

/// An act of one side, as its log tells it.
#[derive(Debug, Clone)]
pub struct ReplayedAct {
    /// Index in its issuer's log.
    pub index: u64,
    /// Record.
    pub record_id: RecordId,
    /// Transition, fact or notice; empty if its parts are erased.
    pub act: String,
    /// Resource name of its subject; empty likewise.
    pub subject: String,
    /// Agency that it names, or that its placement has.
    pub agency: Option<Ref>,
    /// Job order likewise.
    pub order: Option<Ref>,
    /// State that a notice of a licence tells, by number.
    pub licence: Option<i32>,
    /// An own undecided act of the placement on which it was built.
    pub built_on: Option<RecordId>,
    /// Why its issuer was not entitled to it by what it had seen; the gate or the reason.
    pub unentitled: Option<String>,
    /// Decision.
    pub outcome: ActOutcome,
}

/// A RECORD whose parts are all there and of one act.
pub(super) struct Read<'p> {
    pub(super) def: ActDef<'p>,
    pub(super) record_id: RecordId,
    pub(super) kind: Kind,
    pub(super) subject: Ref,
    pub(super) subject_ref: String,
    pub(super) number: u64,
    pub(super) event_time_ms: u64,
    pub(super) known_state: String,
    pub(super) content: Vec<Content>,
}

/// Reads a RECORD; none if a part is erased or the agreement does not know it.
pub(super) fn read<'p>(pack: &'p Pack, item: &Item) -> Option<Read<'p>> {
    let Some(Body::Record(record)) = &item.statement.body else { return None };
    let parts: Vec<&Part> = item.parts.iter().flatten().collect();
    if parts.len() != record.commitments.len() {
        return None;
    }
    let lead = *parts.first()?;
    let def = pack.lifecycle().act_of_lead(&lead.message_name)?;
    let subject = lead.subject_ref.split_once('/').and_then(|(_, id)| id.parse().ok())?;
    let content = parts.iter().map(|part| {
        let doc = pack.read(&part.message_name, &part.message)?;
        Some(Content { message_name: part.message_name.clone(), message: part.message.clone(), doc })
    });
    Some(Read {
        def,
        record_id: Ref::from_slice(&item.statement.record_id).ok()?,
        kind: match lead.act_kind() {
            ActKind::Transition => Kind::Transition,
            ActKind::Proposal => Kind::Proposal,
            ActKind::Fact => Kind::Fact,
            ActKind::Notice => Kind::Notice,
            ActKind::Unspecified => return None,
        },
        subject,
        subject_ref: lead.subject_ref.clone(),
        number: lead.placement_sequence,
        event_time_ms: lead.event_time_ms,
        known_state: lead.known_state.clone(),
        content: content.collect::<Option<_>>()?,
    })
}

impl Read<'_> {
    /// The first text that one of its messages has for a registry path.
    pub(super) fn text(&self, path: &str) -> Option<&str> {
        self.content.iter().find_map(|content| content.doc.text(path))
    }

    /// The reference that a message names in `collection`.
    pub(super) fn named(&self, path: &str, collection: &str) -> Option<Ref> {
        self.text(path)?.strip_prefix(collection)?.strip_prefix('/')?.parse().ok()
    }
}
