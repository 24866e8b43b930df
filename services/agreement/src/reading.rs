//! Small questions that the engine and the exchange ask of a pack.

use prost_reflect::DynamicMessage;

use crate::lifecycle::ActDef;
use crate::pack::Pack;
use crate::plan::Doc;

impl Pack {
    /// What a stored message of this agreement says; None if it does not decode.
    #[must_use]
    pub fn read(&self, full_name: &str, bytes: &[u8]) -> Option<Doc> {
        let message = self.message(full_name)?;
        let message = DynamicMessage::decode(message.descriptor.clone(), bytes).ok()?;
        Some(self.semantic(full_name, &message))
    }

    /// As [`Self::read`], of terms that a view keeps; None also once they were erased: terms that name no wage are none.
    #[must_use]
    pub fn read_kept(&self, full_name: &str, bytes: &[u8]) -> Option<Doc> {
        if bytes.is_empty() { None } else { self.read(full_name, bytes) }
    }

    /// Retention class of a message; empty if this agreement has no such message.
    #[must_use]
    pub fn class_of(&self, full_name: &str) -> &str {
        self.message(full_name).map_or("", |m| m.class.as_str())
    }

    /// Whether a message leads a fact that carries terms of employment.
    #[must_use]
    pub fn carries_terms(&self, full_name: &str) -> bool {
        matches!(self.lifecycle().act_of_lead(full_name), Some(ActDef::Fact(fact)) if fact.terms.is_some())
    }

    /// Whether the kind of recruiter with this number may recruit under the agreement.
    #[must_use]
    pub fn allows_recruiter(&self, kind: i64) -> bool {
        let kind = i32::try_from(kind).ok().and_then(|kind| kind.try_into().ok());
        kind.is_some_and(|kind| self.config().allows(kind))
    }
}
