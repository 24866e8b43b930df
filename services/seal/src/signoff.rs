//! What offices of a party sign before its roots ratify, and whether it suffices.

use convenio_model::{RatificationRule, SignOffPolicy};
use convenio_wire::SIGN_OFF_TYPE;
use convenio_wire::agreement::v1::SignOff;
use convenio_wire::agreement::v1::sign_off::Decision;
use prost::Message;

use crate::canonical::{self, NotCanonical};
use crate::dsse::{DsseError, Envelope, pae};
use crate::key::{PublicKey, SigningKey};
use crate::name::{is_agreement, is_office, is_party};
use crate::root::{RatifiedBy, items};
use crate::trust::TrustedOffice;

/// Largest encoded sign-off, bytes.
pub const MAX_SIGN_OFF: usize = 1024;
/// How old a sign-off may be when the roots sign, milliseconds: half a year. What was agreed to longer ago is asked again.
pub const MAX_AGE_MS: u64 = 183 * 24 * 3600 * 1000;
/// How much later than the roots' signature a sign-off may claim to be, milliseconds: clocks of offline machines differ.
pub const MAX_SKEW_MS: u64 = 24 * 3600 * 1000;
/// Longest reason, bytes.
const MAX_REASON: usize = 500;
/// Longest function of an officer, bytes.
const MAX_ROLE: usize = 120;
/// Bytes of an Ed25519 signature.
const SIGNATURE: usize = 64;

/// A sign-off cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum SignOffError {
    /// Longer than [`MAX_SIGN_OFF`].
    #[error("a sign-off is longer than 1 KiB")]
    TooLarge,
    /// Not canonical.
    #[error("sign-off: {0}")]
    Encoding(#[from] NotCanonical),
    /// A field does not have its form.
    #[error("field `{0}` of a sign-off is malformed")]
    Field(&'static str),
    /// The envelope is not one with one good signature.
    #[error(transparent)]
    Dsse(#[from] DsseError),
}

/// A ratification does not count for want of sign-offs. Its stable reason is [`SignOffRefused::REASON`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SignOffRefused {
    /// The ratification does not say when the roots signed.
    #[error("a ratification that needs sign-offs does not say when it was signed")]
    NoTime,
    /// Too few offices agreed.
    #[error("{agreed} offices signed off, {needed} must")]
    TooFew {
        /// How many did.
        agreed: usize,
        /// How many must.
        needed: usize,
    },
    /// An office that must agree has not.
    #[error("the office `{0}` must sign off and has not")]
    Missing(String),
    /// An office that must agree objects.
    #[error("the office `{0}` objects")]
    Objected(String),
    /// A sign-off is of another agreement, digest or party.
    #[error("the sign-off of `{0}` is of another agreement, version or party")]
    Other(String),
    /// A sign-off that no key of its office signed.
    #[error("the sign-off of `{0}` is not signed by the key of that office")]
    Signature(String),
    /// The ratification names a key of an office that the trust file does not know.
    #[error("the key of the office `{0}` is not the one that the trust file names")]
    OtherKey(String),
    /// A sign-off too old, or later than the ratification.
    #[error("the sign-off of `{0}` is older than 183 days or later than the ratification")]
    Age(String),
    /// An item of the policy basis is missing and was not acknowledged.
    #[error("`{0}` is missing from the policy basis and was not acknowledged")]
    Unacknowledged(String),
}

impl SignOffRefused {
    /// Stable reason of every refusal of this kind.
    pub const REASON: &str = "SIGN_OFF";
}

/// A ratification by the right roots that does not count all the same.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Uncounted {
    /// For want of sign-offs.
    #[error(transparent)]
    SignOff(#[from] SignOffRefused),
    /// It says that it replaces another version than the pack does.
    #[error("it replaces another version than the pack does")]
    Amends,
    /// It is not in force yet.
    #[error("the party has put it off to a later time")]
    NotYet,
}

impl Uncounted {
    /// Stable reason.
    #[must_use]
    pub fn reason(&self) -> &'static str {
        match self {
            Self::SignOff(_) => SignOffRefused::REASON,
            Self::Amends => "AMENDS",
            Self::NotYet => "NOT_YET",
        }
    }
}

/// Demands of a ratification what the version that it names demands of its party. `known` are the keys of offices that
/// the trust file names, `at_ms` when it is to count (Unix milliseconds; `None` leaves that open). The signatures of the
/// roots are not looked at.
///
/// # Errors
/// [`Uncounted`].
pub fn check_counts(
    ratified: &RatifiedBy,
    rule: &RatificationRule,
    known: &[TrustedOffice],
    at_ms: Option<u64>,
) -> Result<(), Uncounted> {
    if ratified.grounds.amends.is_some_and(|amends| rule.amends != Some(amends)) {
        return Err(Uncounted::Amends);
    }
    if at_ms.is_some_and(|at| at < ratified.grounds.not_before_ms) {
        return Err(Uncounted::NotYet);
    }
    Ok(check_sign_offs(ratified, rule.sign_off.as_ref(), known)?)
}

/// What an office says of one version of an agreement.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OfficeSaid {
    /// Agreement id.
    pub agreement: String,
    /// Digest of the pack.
    pub digest: [u8; 32],
    /// Party of the office.
    pub party: String,
    /// The office.
    pub office: String,
    /// Function of the officer; never a name.
    pub officer_role: String,
    /// When, Unix milliseconds.
    pub time_ms: u64,
    /// `None` if the office agrees; why, if it objects.
    pub objection: Option<String>,
    /// Items of the policy basis that it knows to be missing, ascending.
    pub acknowledged: Vec<String>,
}

impl OfficeSaid {
    /// The bytes that are signed.
    #[must_use]
    pub fn to_payload(&self) -> Vec<u8> {
        let decision = if self.objection.is_some() { Decision::Objected } else { Decision::Agreed };
        SignOff {
            agreement: self.agreement.clone(),
            digest: self.digest.to_vec(),
            party: self.party.clone(),
            office: self.office.clone(),
            officer_role: self.officer_role.clone(),
            time_ms: self.time_ms,
            decision: decision.into(),
            reason: self.objection.clone().unwrap_or_default(),
            acknowledged: self.acknowledged.clone(),
        }
        .encode_to_vec()
    }

    /// Reads the signed bytes; whether anybody signed them is not looked at.
    ///
    /// # Errors
    /// [`SignOffError`].
    pub fn parse(payload: &[u8]) -> Result<Self, SignOffError> {
        if payload.len() > MAX_SIGN_OFF {
            return Err(SignOffError::TooLarge);
        }
        let said: SignOff = canonical::decode(payload)?;
        let field = |good: bool, name| if good { Ok(()) } else { Err(SignOffError::Field(name)) };
        let plain = |text: &str, most: usize| text.len() <= most && !text.chars().any(char::is_control);
        field(is_agreement(&said.agreement), "agreement")?;
        let digest = said.digest.as_slice().try_into().map_err(|_| SignOffError::Field("digest"))?;
        field(is_party(&said.party), "party")?;
        field(is_office(&said.office), "office")?;
        field(plain(&said.officer_role, MAX_ROLE), "officer_role")?;
        field(said.time_ms > 0 && said.time_ms <= i64::MAX as u64, "time_ms")?;
        field(plain(&said.reason, MAX_REASON), "reason")?;
        let objects = match Decision::try_from(said.decision) {
            Ok(Decision::Agreed) => false,
            Ok(Decision::Objected) => true,
            _ => return Err(SignOffError::Field("decision")),
        };
        field(objects != said.reason.is_empty(), "reason")?;
        Ok(Self {
            agreement: said.agreement,
            digest,
            party: said.party,
            office: said.office,
            officer_role: said.officer_role,
            time_ms: said.time_ms,
            objection: objects.then_some(said.reason),
            acknowledged: items(&said.acknowledged).ok_or(SignOffError::Field("acknowledged"))?,
        })
    }
}

/// A sign-off with its signature, as a ratification holds it. The signature is not verified yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SaidBy {
    /// What the office says.
    pub said: OfficeSaid,
    /// The signed bytes.
    pub payload: Vec<u8>,
    /// The signature.
    pub sig: Vec<u8>,
}

impl SaidBy {
    pub(crate) fn read(payload: Vec<u8>, sig: Vec<u8>) -> Result<Self, SignOffError> {
        if sig.len() != SIGNATURE {
            return Err(SignOffError::Field("sig"));
        }
        Ok(Self { said: OfficeSaid::parse(&payload)?, payload, sig })
    }

    /// Whether `key` signed it.
    #[must_use]
    pub fn is_by(&self, key: &PublicKey) -> bool {
        key.verify(&pae(SIGN_OFF_TYPE, &self.payload), &self.sig)
    }
}

/// Signs a sign-off with the key of its office.
///
/// # Errors
/// [`SignOffError`] if it would not be read.
pub fn sign_off(said: &OfficeSaid, key: &SigningKey) -> Result<Envelope, SignOffError> {
    let payload = said.to_payload();
    OfficeSaid::parse(&payload)?;
    Ok(Envelope::signed(SIGN_OFF_TYPE, payload, &[key]))
}

/// Reads a file that [`sign_off`] made: one signature, not verified yet.
///
/// # Errors
/// [`SignOffError`].
pub fn sign_off_from(envelope: &Envelope) -> Result<SaidBy, SignOffError> {
    envelope.expect_type(SIGN_OFF_TYPE)?;
    let [signature] = envelope.signatures.as_slice() else { return Err(SignOffError::Field("signatures")) };
    SaidBy::read(envelope.payload.clone(), signature.sig.clone())
}

/// Demands what the agreement demands of a party's offices before its ratification counts: `policy` of the version that it
/// names, `None` where the pack asks for nothing. Where `known` has keys of an office, the ratification must name one of
/// them. The signatures of the roots are not looked at.
///
/// # Errors
/// [`SignOffRefused`].
pub fn check_sign_offs(
    ratified: &RatifiedBy,
    policy: Option<&SignOffPolicy>,
    known: &[TrustedOffice],
) -> Result<(), SignOffRefused> {
    let Some(policy) = policy else { return Ok(()) };
    if ratified.grounds.time_ms == 0 {
        return Err(SignOffRefused::NoTime);
    }
    let listed = ratified.grounds.sign_offs.iter().filter(|by| policy.offices.contains(&by.said.office));
    let mut agreed = Vec::new();
    for by in listed {
        check_one(ratified, by, known)?;
        match by.said.objection {
            None => agreed.push(&by.said.office),
            Some(_) if policy.must.contains(&by.said.office) => {
                return Err(SignOffRefused::Objected(by.said.office.clone()));
            }
            Some(_) => {}
        }
    }
    if let Some(missing) = policy.must.iter().find(|office| !agreed.contains(office)) {
        return Err(SignOffRefused::Missing(missing.clone()));
    }
    let needed = policy.k.max(1);
    if agreed.len() < needed {
        return Err(SignOffRefused::TooFew { agreed: agreed.len(), needed });
    }
    match policy.missing.iter().find(|item| !ratified.grounds.acknowledged.contains(item)) {
        Some(item) => Err(SignOffRefused::Unacknowledged(item.clone())),
        None => Ok(()),
    }
}

fn check_one(ratified: &RatifiedBy, by: &SaidBy, known: &[TrustedOffice]) -> Result<(), SignOffRefused> {
    let (said, office) = (&by.said, || by.said.office.clone());
    let same = said.agreement == ratified.agreement && said.digest == ratified.digest;
    if !same || said.party != ratified.party() {
        return Err(SignOffRefused::Other(office()));
    }
    let key = ratified.grounds.key_of(&said.office).filter(|key| by.is_by(key));
    let key = key.ok_or_else(|| SignOffRefused::Signature(office()))?;
    let mut lines = known.iter().filter(|line| line.party == said.party && line.office == said.office).peekable();
    if lines.peek().is_some() && !lines.any(|line| line.key == *key) {
        return Err(SignOffRefused::OtherKey(office()));
    }
    let time_ms = ratified.grounds.time_ms;
    if said.time_ms > time_ms.saturating_add(MAX_SKEW_MS) || said.time_ms < time_ms.saturating_sub(MAX_AGE_MS) {
        return Err(SignOffRefused::Age(office()));
    }
    Ok(())
}

#[cfg(test)]
mod tests;
