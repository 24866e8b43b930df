//! Root keys of a party and the ratifications they sign.

mod grounds;

use convenio_wire::RATIFICATION_TYPE;
use convenio_wire::agreement::v1::Ratification;
use convenio_wire::exchange::v1::{Ratify, Signature};
use prost::Message;

use crate::canonical::{self, NotCanonical};
use crate::dsse::{DsseError, Envelope, verify_threshold};
use crate::key::{PublicKey, SigningKey};
use crate::manifest::ManifestError;
use crate::name::{is_agreement, is_node, is_party};

/// Most root keys of one party.
pub const MAX_ROOTS: usize = 16;
/// Largest encoded ratification, bytes.
pub const MAX_RATIFICATION: usize = 16 * 1024;

pub use grounds::Grounds;
pub(crate) use grounds::items;

/// What is wrong with roots or with what they signed.
#[derive(Debug, thiserror::Error)]
pub enum RootError {
    /// Not a set of 1 to 16 distinct keys with a threshold of 1 to their number.
    #[error("not a set of 1 to 16 distinct root keys with a threshold they can reach")]
    Set,
    /// The signed payload is longer than its kind allows.
    #[error("a payload signed by roots is too long")]
    TooLarge,
    /// The payload is not canonical.
    #[error("payload signed by roots: {0}")]
    Encoding(#[from] NotCanonical),
    /// A field does not have its form.
    #[error("field `{0}` of a payload signed by roots is malformed")]
    Field(&'static str),
    /// The payload speaks of another party, node, origin or epoch than expected.
    #[error("field `{0}` of a payload signed by roots is not the expected one")]
    Mismatch(&'static str),
    /// The payload names other roots than those trusted.
    #[error("a ratification names other root keys than those trusted")]
    OtherRoots,
    /// The key manifest inside is malformed.
    #[error(transparent)]
    Manifest(#[from] ManifestError),
    /// The signatures or the envelope are not good.
    #[error(transparent)]
    Dsse(#[from] DsseError),
}

/// The root keys of a party: `threshold` of them act together.
#[derive(Debug, Clone)]
pub struct RootSet {
    party: String,
    threshold: usize,
    keys: Vec<PublicKey>,
}

impl RootSet {
    /// A set of 1 to [`MAX_ROOTS`] distinct keys, of which `threshold` (1 to their number) must sign.
    ///
    /// # Errors
    /// [`RootError::Set`], or [`RootError::Field`] for a party's name.
    pub fn new(party: &str, threshold: usize, keys: Vec<PublicKey>) -> Result<Self, RootError> {
        if !is_party(party) {
            return Err(RootError::Field("party"));
        }
        let distinct = keys.iter().enumerate().all(|(at, key)| !keys[..at].contains(key));
        if keys.is_empty() || keys.len() > MAX_ROOTS || !distinct || threshold == 0 || threshold > keys.len() {
            return Err(RootError::Set);
        }
        Ok(Self { party: party.into(), threshold, keys })
    }

    /// The set of a party that has no roots yet: nothing verifies under it.
    ///
    /// # Errors
    /// [`RootError::Field`] for a party's name.
    pub fn none(party: &str) -> Result<Self, RootError> {
        if !is_party(party) {
            return Err(RootError::Field("party"));
        }
        Ok(Self { party: party.into(), threshold: 1, keys: Vec::new() })
    }

    /// Party, for example `sv`.
    #[must_use]
    pub fn party(&self) -> &str {
        &self.party
    }

    /// How many must sign.
    #[must_use]
    pub fn threshold(&self) -> usize {
        self.threshold
    }

    /// The keys, in the order given.
    #[must_use]
    pub fn keys(&self) -> &[PublicKey] {
        &self.keys
    }

    /// Demands signatures by the threshold of these roots.
    ///
    /// # Errors
    /// Those of [`verify_threshold`].
    pub fn verify(&self, payload_type: &str, payload: &[u8], signatures: &[Signature]) -> Result<(), DsseError> {
        verify_threshold(payload_type, payload, signatures, &self.keys, self.threshold)
    }
}

/// Two sets are equal if they would accept the same signatures: the order of the keys says nothing.
impl PartialEq for RootSet {
    fn eq(&self, other: &Self) -> bool {
        self.party == other.party
            && self.threshold == other.threshold
            && self.keys.len() == other.keys.len()
            && self.keys.iter().all(|key| other.keys.contains(key))
    }
}

impl Eq for RootSet {}

/// What a ratification says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RatifiedBy {
    /// Agreement id, for example `sv-ca`.
    pub agreement: String,
    /// Digest of the pack.
    pub digest: [u8; 32],
    /// Node of the party.
    pub node: String,
    /// The party's roots; they also name the party.
    pub roots: RootSet,
    /// What the party had before it ratified; nothing in the first form of a ratification.
    pub grounds: Grounds,
}

impl RatifiedBy {
    /// A ratification of the first form: of a version that no office signs off.
    #[must_use]
    pub fn new(agreement: &str, digest: [u8; 32], node: &str, roots: RootSet) -> Self {
        Self { agreement: agreement.into(), digest, node: node.into(), roots, grounds: Grounds::default() }
    }

    /// Party that ratifies.
    #[must_use]
    pub fn party(&self) -> &str {
        &self.roots.party
    }

    /// The bytes that are signed: an encoded `convenio.agreement.v1.Ratification`.
    #[must_use]
    pub fn to_payload(&self) -> Vec<u8> {
        let first = Ratification {
            agreement: self.agreement.clone(),
            digest: self.digest.to_vec(),
            party: self.roots.party.clone(),
            node: self.node.clone(),
            root_spkis: self.roots.keys.iter().map(|key| key.spki_der().to_vec()).collect(),
            // At most MAX_ROOTS.
            threshold: self.roots.threshold as u32,
            ..Ratification::default()
        };
        self.grounds.enter(first).encode_to_vec()
    }

    /// Reads the signed bytes; whether anybody signed them is not looked at.
    ///
    /// # Errors
    /// [`RootError`].
    pub fn parse(payload: &[u8]) -> Result<Self, RootError> {
        if payload.len() > MAX_RATIFICATION {
            return Err(RootError::TooLarge);
        }
        let said: Ratification = canonical::decode(payload)?;
        if !is_agreement(&said.agreement) {
            return Err(RootError::Field("agreement"));
        }
        if !is_node(&said.node) {
            return Err(RootError::Field("node"));
        }
        let digest = said.digest.as_slice().try_into().map_err(|_| RootError::Field("digest"))?;
        let keys = said.root_spkis.iter().map(|spki| PublicKey::from_spki_der(spki)).collect::<Result<_, _>>();
        let keys = keys.map_err(|_| RootError::Field("root_spkis"))?;
        let roots = RootSet::new(&said.party, said.threshold as usize, keys)?;
        let grounds = Grounds::read(&said, &roots)?;
        Ok(Self { agreement: said.agreement, digest, node: said.node, roots, grounds })
    }
}

/// Signs a ratification with some or all of its roots.
///
/// # Errors
/// [`RootError`] if the ratification itself would not be read, or a key is none of its roots.
pub fn sign_ratification(said: &RatifiedBy, keys: &[&SigningKey]) -> Result<Envelope, RootError> {
    let payload = said.to_payload();
    RatifiedBy::parse(&payload)?;
    if !keys.iter().all(|key| said.roots.keys.contains(&key.public())) {
        return Err(RootError::OtherRoots);
    }
    Ok(Envelope::signed(RATIFICATION_TYPE, payload, keys))
}

/// Verifies a ratification against roots that are trusted from elsewhere (trust file, ratification files). It must name
/// the same roots: exchanging roots is no business of a ratification.
///
/// # Errors
/// [`RootError`].
pub fn verify_ratify(ratify: &Ratify, roots: &RootSet) -> Result<RatifiedBy, RootError> {
    roots.verify(RATIFICATION_TYPE, &ratify.payload, &ratify.signatures)?;
    let said = RatifiedBy::parse(&ratify.payload)?;
    if said.roots.party != roots.party {
        return Err(RootError::Mismatch("party"));
    }
    if said.roots != *roots {
        return Err(RootError::OtherRoots);
    }
    Ok(said)
}

/// Reads a ratification and verifies it against the roots it names itself. This proves that whoever holds those keys
/// signed, not whose they are: only for files that an officer has placed, or to show what must be compared by hand.
///
/// # Errors
/// [`RootError`].
pub fn self_described_roots(ratify: &Ratify) -> Result<RatifiedBy, RootError> {
    let roots = RatifiedBy::parse(&ratify.payload)?.roots;
    verify_ratify(ratify, &roots)
}

/// The entry body of a ratification file; signatures are not verified.
///
/// # Errors
/// [`DsseError::PayloadType`], or [`RootError`] if the payload is malformed.
pub fn ratify_from(envelope: &Envelope) -> Result<Ratify, RootError> {
    envelope.expect_type(RATIFICATION_TYPE)?;
    RatifiedBy::parse(&envelope.payload)?;
    Ok(Ratify { payload: envelope.payload.clone(), signatures: envelope.signatures.clone() })
}

/// The file form of an entry's ratification.
#[must_use]
pub fn ratify_envelope(ratify: &Ratify) -> Envelope {
    Envelope {
        payload_type: RATIFICATION_TYPE.into(),
        payload: ratify.payload.clone(),
        signatures: ratify.signatures.clone(),
    }
}

#[cfg(test)]
mod tests;
