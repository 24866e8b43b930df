//! Who a caller is, as its certificate says: `spiffe://<trust domain>/<role>/<organisation>[/<post>]`.

use std::fmt;
use std::str::FromStr;

/// Longest trust domain, that of a DNS name (RFC 1035 §2.3.4).
const MAX_TRUST_DOMAIN: usize = 253;
/// Longest path segment.
const MAX_SEGMENT: usize = 63;
const SCHEME: &str = "spiffe://";

/// Who a certificate names, from its only URI subject alternative name (SPIFFE X509-SVID §2).
///
/// A value that exists is well formed: segments are of lower-case letters, digits, `.` and `-`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Identity {
    /// The state's domain, e.g. `sv.example`; its own authority alone may issue names under it.
    pub trust_domain: String,
    /// What the holder does: `node`, `integration`, `operator`, `auditor`, `ministry`, `consulate`,
    /// `witness`, `agency`.
    pub role: String,
    /// The organisation within the state; for a node, the state itself.
    pub organisation: String,
    /// The consular post or district, for the roles that are bound to one.
    pub post: Option<String>,
}

/// Why a certificate names nobody. Carries no content of the certificate.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum IdentityError {
    /// The bytes are not one X.509 certificate.
    #[error("not an X.509 certificate, or a truncated one")]
    Malformed,
    /// There is no URI subject alternative name.
    #[error("no URI subject alternative name")]
    NoUri,
    /// There is more than one URI subject alternative name.
    #[error("more than one URI subject alternative name")]
    SeveralUris,
    /// The URI does not start with `spiffe://`.
    #[error("the URI is not a SPIFFE id")]
    NotSpiffe,
    /// Not `<trust domain>/<role>/<organisation>[/<post>]`.
    #[error("the SPIFFE id is not spiffe://<trust domain>/<role>/<organisation>[/<post>]")]
    Shape,
    /// A segment is empty, too long, made of dots, or has a character outside `[a-z0-9.-]`.
    #[error("a segment of the SPIFFE id is empty, too long or has a character outside [a-z0-9.-]")]
    Segment,
}

impl IdentityError {
    /// Stable reason code, for logs.
    pub fn reason(self) -> &'static str {
        match self {
            Self::Malformed => "CERTIFICATE_MALFORMED",
            Self::NoUri => "SPIFFE_ID_MISSING",
            Self::SeveralUris => "SPIFFE_ID_AMBIGUOUS",
            Self::NotSpiffe | Self::Shape | Self::Segment => "SPIFFE_ID_INVALID",
        }
    }
}

impl Identity {
    /// The role of a state's node.
    pub const NODE: &'static str = "node";
}

impl FromStr for Identity {
    type Err = IdentityError;

    fn from_str(uri: &str) -> Result<Self, IdentityError> {
        let path = uri.strip_prefix(SCHEME).ok_or(IdentityError::NotSpiffe)?;
        // One more than a well-formed id has: what is beyond makes the id ill-formed.
        let mut segments = path.splitn(5, '/');
        let (Some(trust_domain), Some(role), Some(organisation), post, None) =
            (segments.next(), segments.next(), segments.next(), segments.next(), segments.next())
        else {
            return Err(IdentityError::Shape);
        };
        Ok(Self {
            trust_domain: segment(trust_domain, MAX_TRUST_DOMAIN)?,
            role: segment(role, MAX_SEGMENT)?,
            organisation: segment(organisation, MAX_SEGMENT)?,
            post: post.map(|post| segment(post, MAX_SEGMENT)).transpose()?,
        })
    }
}

impl fmt::Display for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{SCHEME}{}/{}/{}", self.trust_domain, self.role, self.organisation)?;
        self.post.iter().try_for_each(|post| write!(f, "/{post}"))
    }
}

fn segment(text: &str, longest: usize) -> Result<String, IdentityError> {
    let allowed = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'.' || b == b'-';
    // Segments of dots alone are relative paths: SPIFFE-ID §2.2 forbids `.` and `..`.
    let fits = (1..=longest).contains(&text.len()) && text.bytes().all(allowed) && !text.bytes().all(|b| b == b'.');
    if fits { Ok(text.to_owned()) } else { Err(IdentityError::Segment) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_well_formed_id_reads_back_as_written() {
        for id in ["spiffe://sv.example/node/sv", "spiffe://sv.example/consulate/mre/toronto"] {
            assert_eq!(id.parse::<Identity>().expect(id).to_string(), id);
        }
    }

    #[test]
    fn anything_else_is_refused_with_its_reason() {
        let long = format!("spiffe://sv.example/node/{}", "a".repeat(64));
        let cases = [
            ("https://sv.example/node/sv", IdentityError::NotSpiffe),
            ("SPIFFE://sv.example/node/sv", IdentityError::NotSpiffe),
            ("spiffe://sv.example", IdentityError::Shape),
            ("spiffe://sv.example/node", IdentityError::Shape),
            ("spiffe://sv.example/node/sv/a/b", IdentityError::Shape),
            ("spiffe://sv.example/node/sv/", IdentityError::Segment),
            ("spiffe:///node/sv", IdentityError::Segment),
            ("spiffe://sv.example/Node/sv", IdentityError::Segment),
            ("spiffe://sv.example/node/../x", IdentityError::Segment),
            ("spiffe://sv.example/node/s%76", IdentityError::Segment),
            ("spiffe://sv.example/node/sv?x=1", IdentityError::Segment),
            ("spiffe://sv.example:443/node/sv", IdentityError::Segment),
            ("spiffe://user@sv.example/node/sv", IdentityError::Segment),
            ("spiffe://sv.example/node/s\u{f1}", IdentityError::Segment),
            (long.as_str(), IdentityError::Segment),
        ];
        for (id, expected) in cases {
            assert_eq!(id.parse::<Identity>(), Err(expected), "{id}");
        }
    }
}
