//! What the recipient and the auditor ask of a message that crossed.

use convenio_wire::MAX_PARTS;
use prost::Message;
use prost_reflect::DynamicMessage;

use super::codes;
use super::violation::{Violation, check, joined, unknown_fields};
use crate::lifecycle::StageId;
use crate::pack::Pack;

/// The message is not one that the agreement lets cross now. Field paths begin in the message.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AcceptError {
    /// The agreement has no such message that may cross.
    #[error("no such message may cross")]
    UnknownMessage,
    /// Does not decode, or is too large.
    #[error("does not decode")]
    Malformed,
    /// Holds fields that the message does not have, each as `<path>#<number>`.
    #[error("unknown fields: {}", joined(.0))]
    UnknownFields(Vec<String>),
    /// Decodes, but from other bytes than it encodes to.
    #[error("not in its canonical encoding")]
    NonCanonical,
    /// Holds fields that may not cross yet.
    #[error("fields that may not cross yet: {}", joined(.0))]
    Undisclosed(Vec<String>),
    /// Breaks the agreement's rules.
    #[error("{}", joined(.0))]
    Schema(Vec<Violation>),
}

impl AcceptError {
    /// The coarse reason that may stand in a log: `SCHEMA`, `NON_CANONICAL` or `UNDISCLOSED`.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::UnknownMessage | Self::Malformed | Self::Schema(_) => "SCHEMA",
            Self::UnknownFields(_) | Self::NonCanonical => "NON_CANONICAL",
            Self::Undisclosed(_) => "UNDISCLOSED",
        }
    }

    /// Paths of the fields concerned, for the erasable details of an outcome.
    #[must_use]
    pub fn paths(&self) -> Vec<String> {
        match self {
            Self::UnknownFields(paths) | Self::Undisclosed(paths) => paths.clone(),
            Self::Schema(violations) => violations.iter().map(|v| v.path.clone()).collect(),
            Self::UnknownMessage | Self::Malformed | Self::NonCanonical => Vec::new(),
        }
    }
}

impl Pack {
    /// Decodes a message that crossed at `stage`: known, canonical, nothing in it unknown or not yet
    /// disclosed, within the agreement's rules. The same code decides at the recipient and in the audit.
    ///
    /// # Errors
    /// [`AcceptError`], the first in the order of its variants.
    pub fn accept(&self, full_name: &str, bytes: &[u8], stage: StageId) -> Result<DynamicMessage, AcceptError> {
        let message = self.disclosed(full_name, bytes, stage)?;
        let mut violations = check(self.validator(), &message);
        violations.extend(self.message(full_name).map(|plan| codes::check(plan, &message)).unwrap_or_default());
        if violations.is_empty() { Ok(message) } else { Err(AcceptError::Schema(violations)) }
    }

    /// As [`Pack::accept`] without the agreement's rules: what may be stored before it is judged.
    ///
    /// # Errors
    /// [`AcceptError`], never [`AcceptError::Schema`].
    pub fn disclosed(&self, full_name: &str, bytes: &[u8], stage: StageId) -> Result<DynamicMessage, AcceptError> {
        let plan = self.message(full_name).ok_or(AcceptError::UnknownMessage)?;
        if bytes.len() > MAX_PARTS {
            return Err(AcceptError::Malformed);
        }
        let message = DynamicMessage::decode(plan.descriptor.clone(), bytes).map_err(|_| AcceptError::Malformed)?;
        let unknown = unknown_fields(&message);
        if !unknown.is_empty() {
            return Err(AcceptError::UnknownFields(unknown));
        }
        if message.encode_to_vec() != bytes {
            return Err(AcceptError::NonCanonical);
        }
        let early = plan.fields.iter().filter(|field| field.stage > stage);
        let early: Vec<String> =
            early.filter(|field| message.has_field(&field.field)).map(|field| field.field.name().to_owned()).collect();
        if early.is_empty() { Ok(message) } else { Err(AcceptError::Undisclosed(early)) }
    }
}
