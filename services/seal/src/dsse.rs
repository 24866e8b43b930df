//! Dead Simple Signing Envelope, version 1 (secure-systems-lab/dsse, protocol.md and envelope.md).

use std::collections::HashSet;
use std::io;
use std::path::Path;

use convenio_wire::exchange::v1::Signature;
use serde::{Deserialize, Serialize};

use crate::encoding::{base64, hex32, unbase64};
use crate::file::read_bounded;
use crate::key::{PublicKey, SigningKey};

/// Largest envelope file, bytes.
pub const MAX_ENVELOPE: usize = 1024 * 1024;
/// Most signatures of one payload.
pub const MAX_SIGNATURES: usize = 32;

/// What is wrong with an envelope or its signatures.
#[derive(Debug, thiserror::Error)]
pub enum DsseError {
    /// Longer than [`MAX_ENVELOPE`].
    #[error("an envelope is longer than 1 MiB")]
    TooLarge,
    /// Not the JSON form of an envelope.
    #[error("not the JSON form of a DSSE envelope")]
    Json,
    /// A field does not have its form.
    #[error("field `{0}` of a DSSE envelope is malformed")]
    Field(&'static str),
    /// The payload is of another type than expected.
    #[error("the DSSE payload has another type")]
    PayloadType,
    /// More than [`MAX_SIGNATURES`].
    #[error("too many signatures")]
    TooManySignatures,
    /// A signature that names a known key does not verify.
    #[error("a signature of a known key does not verify")]
    BadSignature,
    /// Too few distinct known keys signed.
    #[error("{valid} of the known keys signed, {needed} must")]
    BelowThreshold {
        /// How many must sign.
        needed: usize,
        /// How many did.
        valid: usize,
    },
    /// The file could not be read.
    #[error("envelope file: {0}")]
    Io(#[from] io::Error),
}

/// The signed bytes: `"DSSEv1" SP len(type) SP type SP len(body) SP body`, byte lengths in decimal.
#[must_use]
pub fn pae(payload_type: &str, body: &[u8]) -> Vec<u8> {
    let mut out = format!("DSSEv1 {} {payload_type} {} ", payload_type.len(), body.len()).into_bytes();
    out.extend_from_slice(body);
    out
}

/// Signs `body` as a payload of `payload_type`.
#[must_use]
pub fn sign(payload_type: &str, body: &[u8], key: &SigningKey) -> Signature {
    Signature { key_id: key.public().key_id().to_vec(), sig: key.sign(&pae(payload_type, body)).to_vec() }
}

/// Demands signatures by at least `threshold` distinct ones of `keys`. Signatures that name other keys count for
/// nothing; one that names a known key and fails refuses the whole, as in a signed note.
///
/// # Errors
/// [`DsseError::BelowThreshold`] (also where the threshold is 0), [`DsseError::BadSignature`],
/// [`DsseError::TooManySignatures`].
pub fn verify_threshold(
    payload_type: &str,
    payload: &[u8],
    signatures: &[Signature],
    keys: &[PublicKey],
    threshold: usize,
) -> Result<(), DsseError> {
    if signatures.len() > MAX_SIGNATURES {
        return Err(DsseError::TooManySignatures);
    }
    let message = pae(payload_type, payload);
    let mut signers = HashSet::new();
    for signature in signatures {
        let Some(key) = keys.iter().find(|key| key.key_id() == signature.key_id[..]) else { continue };
        if !key.verify(&message, &signature.sig) {
            return Err(DsseError::BadSignature);
        }
        signers.insert(*key);
    }
    if threshold == 0 || signers.len() < threshold {
        return Err(DsseError::BelowThreshold { needed: threshold, valid: signers.len() });
    }
    Ok(())
}

/// A payload with its signatures, as a file holds it.
#[derive(Debug, Clone, PartialEq)]
pub struct Envelope {
    /// Media type of the payload.
    pub payload_type: String,
    /// The signed bytes.
    pub payload: Vec<u8>,
    /// The signatures, at most [`MAX_SIGNATURES`].
    pub signatures: Vec<Signature>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct EnvelopeJson {
    payload: String,
    #[serde(rename = "payloadType")]
    payload_type: String,
    signatures: Vec<SignatureJson>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct SignatureJson {
    keyid: String,
    sig: String,
}

impl Envelope {
    /// `payload` signed by each of `keys`.
    #[must_use]
    pub fn signed(payload_type: &str, payload: Vec<u8>, keys: &[&SigningKey]) -> Self {
        let signatures = keys.iter().map(|key| sign(payload_type, &payload, key)).collect();
        Self { payload_type: payload_type.into(), payload, signatures }
    }

    /// Reads the JSON form: `payload` and `sig` in canonical base64, `keyid` the 64 lower-case hexadecimal digits of
    /// SHA-256 of the key's SPKI. Unknown or repeated members are refused.
    ///
    /// # Errors
    /// [`DsseError`].
    pub fn parse(json: &[u8]) -> Result<Self, DsseError> {
        if json.len() > MAX_ENVELOPE {
            return Err(DsseError::TooLarge);
        }
        // The cause is left out: serde would quote what it found.
        let json: EnvelopeJson = serde_json::from_slice(json).map_err(|_| DsseError::Json)?;
        if json.signatures.len() > MAX_SIGNATURES {
            return Err(DsseError::TooManySignatures);
        }
        let payload = unbase64(&json.payload).ok_or(DsseError::Field("payload"))?;
        let signatures = json.signatures.iter().map(SignatureJson::read).collect::<Result<_, _>>()?;
        Ok(Self { payload_type: json.payload_type, payload, signatures })
    }

    /// Reads the file `path`.
    ///
    /// # Errors
    /// [`DsseError`].
    pub fn load(path: &Path) -> Result<Self, DsseError> {
        let json = read_bounded(path, MAX_ENVELOPE).map_err(|error| match error.kind() {
            io::ErrorKind::FileTooLarge => DsseError::TooLarge,
            _ => DsseError::Io(error),
        })?;
        Self::parse(&json)
    }

    /// The JSON form, with a final newline.
    #[must_use]
    pub fn to_json(&self) -> String {
        let signatures = self
            .signatures
            .iter()
            .map(|signature| SignatureJson { keyid: hex::encode(&signature.key_id), sig: base64(&signature.sig) })
            .collect();
        let json = EnvelopeJson { payload: base64(&self.payload), payload_type: self.payload_type.clone(), signatures };
        serde_json::to_string_pretty(&json).expect("strings always serialise") + "\n"
    }

    /// Demands the type and signatures by `threshold` distinct ones of `keys`; gives the payload.
    ///
    /// # Errors
    /// [`DsseError::PayloadType`] and those of [`verify_threshold`].
    pub fn verify(&self, payload_type: &str, keys: &[PublicKey], threshold: usize) -> Result<&[u8], DsseError> {
        self.expect_type(payload_type)?;
        verify_threshold(payload_type, &self.payload, &self.signatures, keys, threshold)?;
        Ok(&self.payload)
    }

    /// Demands the type alone.
    pub(crate) fn expect_type(&self, payload_type: &str) -> Result<(), DsseError> {
        (self.payload_type == payload_type).then_some(()).ok_or(DsseError::PayloadType)
    }
}

impl SignatureJson {
    fn read(&self) -> Result<Signature, DsseError> {
        let key_id = hex32(&self.keyid).ok_or(DsseError::Field("signatures.keyid"))?.to_vec();
        let sig = unbase64(&self.sig).ok_or(DsseError::Field("signatures.sig"))?;
        Ok(Signature { key_id, sig })
    }
}

#[cfg(test)]
mod tests;
