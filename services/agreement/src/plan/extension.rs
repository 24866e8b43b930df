//! What only one agreement knows about a record.

use prost::Message;
use prost_reflect::{DynamicMessage, MessageDescriptor, Value};
use prost_types::Any;

use super::source::{Root, Sources, present};
use super::violation::{Violation, check, joined, unknown_fields};
use crate::pack::Pack;

/// An extension that the agreement does not allow.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ExtensionError {
    /// The agreement does not extend this record.
    #[error("the agreement does not extend `{0}`")]
    NotExtended(Root),
    /// Another message than the agreement's.
    #[error("{of}.agreement_data: is not of type `{expected}`")]
    WrongType {
        /// The record.
        of: Root,
        /// Full name of the message expected.
        expected: String,
    },
    /// Does not decode, or decodes from other bytes than it encodes to.
    #[error("{0}.agreement_data: malformed")]
    Malformed(Root),
    /// Holds fields that the message does not have.
    #[error("unknown fields: {}", joined(.0))]
    UnknownFields(Vec<String>),
    /// Breaks its rules.
    #[error("{}", joined(.0))]
    Invalid(Vec<Violation>),
}

impl Pack {
    /// Checks what is to be stored in `agreement_data` of a record: the agreement's own message, of type
    /// `type.googleapis.com/<full name>`, canonical, without unknown fields, within its rules. Paths begin
    /// at the record, for example `job_order.agreement_data.noc.list`.
    ///
    /// # Errors
    /// [`ExtensionError`].
    pub fn check_extension(&self, of: Root, any: &Any) -> Result<(), ExtensionError> {
        let descriptor = self.extension(of).ok_or(ExtensionError::NotExtended(of))?;
        let message = decode(of, descriptor, &any.type_url, &any.value)?;
        let path = |rest: &str| format!("{of}.agreement_data.{rest}");
        let unknown = unknown_fields(&message);
        if !unknown.is_empty() {
            let paths = unknown.iter().map(|rest| path(rest)).collect();
            return Err(ExtensionError::UnknownFields(paths));
        }
        if message.encode_to_vec() != any.value {
            return Err(ExtensionError::Malformed(of));
        }
        let mut violations = check(self.validator(), &message);
        for violation in &mut violations {
            violation.path = path(&violation.path);
        }
        if violations.is_empty() { Ok(()) } else { Err(ExtensionError::Invalid(violations)) }
    }

    /// This agreement's extension of a record among the sources; `None` if there is none.
    pub(super) fn extension_of(&self, sources: &Sources, of: Root) -> Result<Option<DynamicMessage>, ExtensionError> {
        let descriptor = self.extension(of).ok_or(ExtensionError::NotExtended(of))?;
        let Some((record, field)) = sources.record(of).zip(of.agreement_data()) else {
            return Ok(None);
        };
        let entries = present(record, &field).and_then(Value::as_list).unwrap_or_default();
        let text = |message: &DynamicMessage, name: &str| match message.get_field_by_name(name) {
            Some(value) => value.as_str().map(str::to_owned).unwrap_or_default(),
            None => String::new(),
        };
        let own = entries.iter().filter_map(Value::as_message).find(|entry| text(entry, "agreement") == self.id());
        let Some(any) = own.and_then(|entry| entry.get_field_by_name("value")) else {
            return Ok(None);
        };
        let any = any.as_message().ok_or(ExtensionError::Malformed(of))?;
        let bytes = any.get_field_by_name("value").and_then(|value| value.as_bytes().cloned());
        let bytes = bytes.unwrap_or_default();
        decode(of, descriptor, &text(any, "type_url"), &bytes).map(Some)
    }
}

fn decode(
    of: Root,
    descriptor: &MessageDescriptor,
    type_url: &str,
    bytes: &[u8],
) -> Result<DynamicMessage, ExtensionError> {
    let expected = descriptor.full_name();
    if type_url.strip_prefix("type.googleapis.com/") != Some(expected) {
        return Err(ExtensionError::WrongType { of, expected: expected.to_owned() });
    }
    DynamicMessage::decode(descriptor.clone(), bytes).map_err(|_| ExtensionError::Malformed(of))
}
