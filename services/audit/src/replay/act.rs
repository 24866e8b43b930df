//! A RECORD read as an act of the agreement.

use convenio_agreement::Pack;
use convenio_agreement::act::{Content, Detail, Kind};
use convenio_agreement::lifecycle::ActDef;
use convenio_model::{RecordId, Ref};
use convenio_wire::exchange::v1::{ActKind, Part};
use prost::Message;

use super::spool::Spooled;

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
        /// Gate, clause, fact and fields, from the OUTCOME's erasable part; empty if it is erased or no gate refused.
        detail: Detail,
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
    /// Why its issuer was not entitled to it by what it had seen; where no gate refuses, the reason stands as the gate.
    pub unentitled: Option<Detail>,
    /// Decision.
    pub outcome: ActOutcome,
}

/// A RECORD whose lead part is there.
pub(super) struct Read<'p> {
    /// The agreement version under which it was issued.
    pub(super) pack: &'p Pack,
    pub(super) def: ActDef<'p>,
    pub(super) record_id: RecordId,
    pub(super) kind: Kind,
    pub(super) subject: Ref,
    pub(super) subject_ref: String,
    pub(super) number: u64,
    pub(super) event_time_ms: u64,
    pub(super) historical: bool,
    pub(super) supersedes: Option<RecordId>,
    pub(super) known_state: String,
    /// Of the parts that are there.
    pub(super) content: Vec<Content>,
    /// Whether all are.
    pub(super) whole: bool,
}

/// Reads a RECORD; none if its lead part is gone or the agreement does not know it. `wanted` tells which messages are
/// looked into.
pub(super) fn read<'p>(pack: &'p Pack, spooled: &Spooled, wanted: impl Fn(&str) -> bool) -> Option<Read<'p>> {
    let decode = |part: &Vec<u8>| (!part.is_empty()).then(|| Part::decode(part.as_slice()).ok()).flatten();
    let lead = decode(spooled.parts.first()?)?;
    let def = pack.lifecycle().act_of_lead(&lead.message_name)?;
    let subject = lead.subject_ref.split_once('/').and_then(|(_, id)| id.parse().ok())?;
    let kind = match lead.act_kind() {
        ActKind::Transition => Kind::Transition,
        ActKind::Proposal => Kind::Proposal,
        ActKind::Fact => Kind::Fact,
        ActKind::Notice => Kind::Notice,
        ActKind::Unspecified => return None,
    };
    let notice = kind == Kind::Notice;
    let mut content = Vec::with_capacity(spooled.parts.len());
    let mut whole = true;
    let message = |part: Part| (part.message_name, part.message);
    let first = Some((lead.message_name.clone(), lead.message.clone()));
    let others = spooled.parts.iter().skip(1).map(|part| decode(part).map(message));
    for part in std::iter::once(first).chain(others) {
        let Some((message_name, message)) = part else {
            whole = false;
            continue;
        };
        if notice || wanted(&message_name) {
            let doc = pack.read(&message_name, &message)?;
            content.push(Content { message_name, message, doc });
        }
    }
    Some(Read {
        pack,
        def,
        record_id: Ref::from_slice(&spooled.record_id).ok()?,
        kind,
        subject,
        subject_ref: lead.subject_ref,
        number: lead.placement_sequence,
        event_time_ms: lead.event_time_ms,
        historical: lead.historical,
        supersedes: Ref::from_slice(&lead.supersedes).ok(),
        known_state: lead.known_state,
        content,
        whole,
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
