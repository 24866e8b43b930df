//! Ed25519 cosignatures (type 0x04), C2SP tlog-cosignature §Format and §Ed25519 signed message.
//!
//! The signed message does not hold the cosigner's name: a mirror and a witness need different
//! keys, not only different names.

use crate::note::{NoteError, SIGNATURE_LEN};
use crate::{MAX_SIZE, NoteSignature, NoteSigner, SignatureType, SignedCheckpoint, VerifierKey};

/// Bytes of a cosignature: the time and the signature.
pub const COSIGNATURE_LEN: usize = 8 + SIGNATURE_LEN;

/// Why a checkpoint could not be cosigned, or a cosignature not be accepted.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CosignatureError {
    /// Time above 2^63 − 1.
    #[error("cosignature time is above 2^63 - 1")]
    Time,
    /// The key is not of type 0x04.
    #[error("the key is not a cosigner's")]
    KeyType,
    /// The signature does not verify, is missing, or cannot be added.
    #[error(transparent)]
    Note(#[from] NoteError),
}

/// The bytes that a cosigner signs at `time` (Unix seconds) for a checkpoint's note text.
#[must_use]
pub fn message(time: u64, text: &str) -> Vec<u8> {
    format!("cosignature/v1\ntime {time}\n{text}").into_bytes()
}

/// Cosigns a checkpoint at `time` (Unix seconds) and returns the signature line. The caller has
/// checked what its cosignature states.
///
/// # Errors
/// [`CosignatureError`].
pub fn cosign<S: NoteSigner + ?Sized>(
    checkpoint: &SignedCheckpoint,
    cosigner: &S,
    time: u64,
) -> Result<NoteSignature, CosignatureError> {
    if time > MAX_SIZE {
        return Err(CosignatureError::Time);
    }
    let key = VerifierKey::of(cosigner, SignatureType::CosignatureV1)?;
    let signature = cosigner.sign(&message(time, checkpoint.note().text()));
    let mut bytes = Vec::with_capacity(COSIGNATURE_LEN);
    bytes.extend_from_slice(&time.to_be_bytes());
    bytes.extend_from_slice(&signature);
    Ok(NoteSignature::new(&key, bytes))
}

/// Cosigns a checkpoint at `time` (Unix seconds) and appends the line to it.
///
/// # Errors
/// [`CosignatureError`].
pub fn append<S: NoteSigner + ?Sized>(
    checkpoint: &mut SignedCheckpoint,
    cosigner: &S,
    time: u64,
) -> Result<(), CosignatureError> {
    let line = cosign(checkpoint, cosigner, time)?;
    Ok(checkpoint.add(line)?)
}

/// Verifies the cosignatures of one cosigner on a checkpoint; returns the latest time (Unix
/// seconds) that it states.
///
/// # Errors
/// [`CosignatureError`]; [`NoteError::NoKnownSignature`] if that cosigner has no line.
pub fn verify(checkpoint: &SignedCheckpoint, cosigner: &VerifierKey) -> Result<u64, CosignatureError> {
    if cosigner.signature_type() != SignatureType::CosignatureV1 {
        return Err(CosignatureError::KeyType);
    }
    let verified = checkpoint.note().verify([cosigner])?;
    let latest = verified.iter().filter_map(|signature| signature.timestamp).max();
    Ok(latest.ok_or(NoteError::NoKnownSignature)?)
}

/// Takes a cosignature apart: its time, the message signed and the raw signature.
pub(crate) fn signed<'s>(text: &str, cosignature: &'s [u8]) -> Option<(u64, Vec<u8>, &'s [u8])> {
    let (time, signature) = cosignature.split_first_chunk()?;
    let time = u64::from_be_bytes(*time);
    if time > MAX_SIZE || signature.len() != SIGNATURE_LEN {
        return None;
    }
    Some((time, message(time, text), signature))
}

#[cfg(test)]
mod tests;
