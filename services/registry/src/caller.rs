//! Who calls, as the certificate and the call's metadata say.

use std::fmt;

use crate::error::RegistryError;

/// A caller whose right to the method was checked already.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Caller {
    /// Trust domain of its state, for example `sv.example`.
    pub trust_domain: String,
    /// Role, for example `integration` or `consulate`.
    pub role: String,
    /// Organisation.
    pub organisation: String,
    /// Consular post, if it is bound to one.
    pub post: Option<String>,
    /// Why it asks, from the call's metadata.
    pub purpose: Option<String>,
}

impl Caller {
    /// The caller's SPIFFE id. Request ids are unique within it; the purpose is no part of it.
    #[must_use]
    pub fn id(&self) -> String {
        self.to_string()
    }

    pub(crate) fn with_purpose(&self) -> Result<(), RegistryError> {
        match &self.purpose {
            Some(purpose) if !purpose.is_empty() => Ok(()),
            _ => Err(RegistryError::PurposeRequired),
        }
    }
}

impl fmt::Display for Caller {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "spiffe://{}/{}/{}", self.trust_domain, self.role, self.organisation)?;
        self.post.iter().try_for_each(|post| write!(f, "/{post}"))
    }
}
