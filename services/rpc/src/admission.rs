//! Whether a call is let in, decided before any handler runs.

use std::sync::Arc;

use convenio_model::Identity;
use convenio_registry::{Caller, RegistryError};
use http::{Extensions, HeaderMap};
use tonic::{Code, Request, Status};

use crate::access::{Rule, Side};
use crate::principals::{NoStanding, Principals, Standing};
use crate::status;

/// Metadata that says what for.
const PURPOSE: &str = "convenio-purpose";

/// A caller that was let in, in the request's extensions.
#[derive(Debug)]
pub(crate) struct Admitted {
    /// Who, and what for.
    pub caller: Caller,
    /// Where it stands.
    pub standing: Standing,
}

/// Lets the caller of a method in, or says why not.
pub(crate) fn admit(
    principals: &Principals,
    rule: Option<&'static Rule>,
    identity: Option<&Identity>,
    headers: &HeaderMap,
) -> Result<Admitted, Status> {
    let identity = identity.ok_or_else(|| {
        status::refusal(Code::Unauthenticated, "UNAUTHENTICATED", "no client certificate names a caller")
    })?;
    let rule = rule.ok_or_else(|| denied("nobody may call this method"))?;
    let standing = principals.standing(identity).map_err(|why| {
        denied(match why {
            NoStanding::TrustDomain => "the certificate is neither this state's nor a partner's",
            NoStanding::Post => "the certificate's post is not in the table of principals",
            NoStanding::Agreements => "no agreement is left for this certificate at its post",
        })
    })?;
    let roles = match (&standing, rule.side) {
        (_, Side::Either) | (Standing::Own { .. }, Side::Own) | (Standing::Partner { .. }, Side::Partner) => rule.roles,
        (Standing::Partner { .. }, Side::Own) => rule.partner,
        (Standing::Own { .. }, Side::Partner) => &[],
    };
    if !roles.contains(&identity.role.as_str()) {
        return Err(denied("this method is not for the certificate's state and role"));
    }
    if !rule.by_agreement && standing.agreements().is_some() {
        return Err(denied("this method is not for certificates that are limited to agreements"));
    }
    let purpose = purpose(headers)?;
    if rule.purpose && purpose.is_none() {
        return Err(status::from_registry(&RegistryError::PurposeRequired));
    }
    Ok(Admitted { caller: caller(identity, purpose), standing })
}

/// The caller that was let in, and the message.
pub(crate) fn open<T>(mut request: Request<T>) -> Result<(Arc<Admitted>, T), Status> {
    let admitted = request.extensions_mut().remove::<Arc<Admitted>>();
    // Only a service that was wired without its guard gets here without one.
    let admitted = admitted.ok_or_else(status::internal)?;
    Ok((admitted, request.into_inner()))
}

/// Refuses, without saying more than that.
pub(crate) fn denied(message: &str) -> Status {
    status::refusal(Code::PermissionDenied, "PERMISSION_DENIED", message)
}

impl Admitted {
    /// Puts it where [`open`] finds it.
    pub(crate) fn enter(self, extensions: &mut Extensions) {
        extensions.insert(Arc::new(self));
    }

    /// Refuses what belongs to an agreement outside the caller's limit.
    pub(crate) fn check_agreement(&self, agreement: &str) -> Result<(), Status> {
        let allowed = self.standing.agreements().is_none_or(|only| only.iter().any(|one| one == agreement));
        allowed.then_some(()).ok_or_else(|| denied("the certificate is not for this agreement"))
    }
}

impl Standing {
    /// Agreements that a caller of this state is limited to.
    pub(crate) fn agreements(&self) -> Option<&[String]> {
        match self {
            Self::Own { agreements, .. } => agreements.as_deref(),
            Self::Partner { .. } => None,
        }
    }
}

fn caller(identity: &Identity, purpose: Option<String>) -> Caller {
    Caller {
        trust_domain: identity.trust_domain.clone(),
        role: identity.role.clone(),
        organisation: identity.organisation.clone(),
        post: identity.post.clone(),
        purpose,
    }
}

/// The purpose, if any: one token of 3 to 40 of `[a-z_-]`, so that it can stand in a journal as it is.
fn purpose(headers: &HeaderMap) -> Result<Option<String>, Status> {
    let mut values = headers.get_all(PURPOSE).iter();
    let Some(value) = values.next() else { return Ok(None) };
    let token = |b: &u8| b.is_ascii_lowercase() || *b == b'_' || *b == b'-';
    let text = value.to_str().ok().filter(|text| (3..=40).contains(&text.len()) && text.as_bytes().iter().all(token));
    match (text, values.next()) {
        (Some(text), None) => Ok(Some(text.to_owned())),
        _ => Err(status::bad_field(PURPOSE, "must be one token of 3 to 40 lower-case letters, '_' and '-'")),
    }
}
