//! Who calls, as the certificate and the call's metadata say.

use std::fmt;

use convenio_exchange::journal::Actor;

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

    /// The caller of a method, named by its service and itself or its request, as the journal names both: `Worker`,
    /// `GetWorkerRequest` is `WorkerService.GetWorker`.
    #[must_use]
    pub fn acting(&self, service: &str, method: &str) -> Actor {
        let post = self.post.iter().map(|post| format!("/{post}"));
        Actor {
            caller: self.id(),
            office: std::iter::once(self.organisation.clone()).chain(post).collect(),
            purpose: self.purpose.clone().unwrap_or_default(),
            method: format!("{service}Service.{}", method.strip_suffix("Request").unwrap_or(method)),
        }
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
