//! The opening of an epoch: roots say which keys act in a log, and where the previous epoch ended.

use convenio_wire::EPOCH_TYPE;
use convenio_wire::exchange::v1::{EpochAuthorisation, EpochOpen};
use prost::Message;

use crate::canonical;
use crate::dsse::Envelope;
use crate::key::SigningKey;
use crate::manifest::{MAX_MANIFEST, ManifestKeys};
use crate::origin::LogOrigin;
use crate::root::{RootError, RootSet};

/// Longest reason, bytes.
pub const MAX_REASON: usize = 256;
/// Largest encoded authorisation, bytes.
pub const MAX_AUTHORISATION: usize = MAX_MANIFEST + 1024;

/// Signs an authorisation with root keys.
///
/// # Errors
/// [`RootError`] if the authorisation would not be read, whoever signs it.
pub fn authorise_epoch(authorisation: &EpochAuthorisation, keys: &[&SigningKey]) -> Result<Envelope, RootError> {
    let payload = authorisation.encode_to_vec();
    read(&payload)?;
    Ok(Envelope::signed(EPOCH_TYPE, payload, keys))
}

/// The log that an authorisation file opens and the body of its first entry; signatures are not verified.
///
/// # Errors
/// [`RootError`].
pub fn epoch_open_from(envelope: &Envelope) -> Result<(LogOrigin, EpochOpen), RootError> {
    envelope.expect_type(EPOCH_TYPE)?;
    let (said, origin, _) = read(&envelope.payload)?;
    let open = EpochOpen {
        epoch: said.epoch,
        prev_size: said.prev_size,
        prev_root: said.prev_root,
        reason: said.reason,
        key_manifest: said.key_manifest,
        root_signatures: envelope.signatures.clone(),
    };
    Ok((origin, open))
}

/// The file form of what opens the log `log_origin`.
#[must_use]
pub fn epoch_envelope(open: &EpochOpen, log_origin: &str) -> Envelope {
    Envelope {
        payload_type: EPOCH_TYPE.into(),
        payload: authorisation(open, log_origin).encode_to_vec(),
        signatures: open.root_signatures.clone(),
    }
}

/// Verifies what opens the log `log_origin` against the issuer's roots: signatures, that the origin carries the epoch and
/// the manifest's node, that the manifest is the roots' party's, and that epoch 1 alone has no predecessor.
///
/// # Errors
/// [`RootError`].
pub fn verify_epoch_open(open: &EpochOpen, log_origin: &str, roots: &RootSet) -> Result<ManifestKeys, RootError> {
    let payload = authorisation(open, log_origin).encode_to_vec();
    let (_, _, keys) = read(&payload)?;
    roots.verify(EPOCH_TYPE, &payload, &open.root_signatures)?;
    if keys.party != roots.party() {
        return Err(RootError::Mismatch("key_manifest.party"));
    }
    Ok(keys)
}

fn authorisation(open: &EpochOpen, log_origin: &str) -> EpochAuthorisation {
    EpochAuthorisation {
        log_origin: log_origin.into(),
        epoch: open.epoch,
        prev_size: open.prev_size,
        prev_root: open.prev_root.clone(),
        reason: open.reason.clone(),
        key_manifest: open.key_manifest.clone(),
    }
}

fn read(payload: &[u8]) -> Result<(EpochAuthorisation, LogOrigin, ManifestKeys), RootError> {
    if payload.len() > MAX_AUTHORISATION {
        return Err(RootError::TooLarge);
    }
    let said: EpochAuthorisation = canonical::decode(payload)?;
    let origin: LogOrigin = said.log_origin.parse().map_err(|_| RootError::Field("log_origin"))?;
    if said.reason.len() > MAX_REASON || said.reason.chars().any(char::is_control) {
        return Err(RootError::Field("reason"));
    }
    if origin.epoch != said.epoch {
        return Err(RootError::Mismatch("epoch"));
    }
    if said.prev_size > i64::MAX as u64 || (said.epoch == 1 && said.prev_size != 0) {
        return Err(RootError::Field("prev_size"));
    }
    if said.prev_root.len() != if said.epoch == 1 { 0 } else { 32 } {
        return Err(RootError::Field("prev_root"));
    }
    let keys = ManifestKeys::parse(&said.key_manifest)?;
    if keys.node != origin.issuer {
        return Err(RootError::Mismatch("key_manifest.node"));
    }
    Ok((said, origin, keys))
}

#[cfg(test)]
mod tests;
