//! New operational keys and revoked ones, as roots sign them: a key can authorise neither its successor nor its own end.

use convenio_wire::exchange::v1::{KeyManifest, KeyRevocation, KeyRotate, Revoke};
use convenio_wire::{KEYS_TYPE, REVOCATION_TYPE};
use prost::Message;

use crate::canonical;
use crate::dsse::Envelope;
use crate::epoch::MAX_REASON;
use crate::key::SigningKey;
use crate::manifest::{MAX_MANIFEST, ManifestKeys, USES};
use crate::name::{is_node, is_party};
use crate::origin::LogOrigin;
use crate::root::{RootError, RootSet};

/// Largest encoded revocation, bytes.
pub const MAX_REVOCATION: usize = 2 * 1024;

/// Signs a manifest that replaces another with root keys.
///
/// # Errors
/// [`RootError`] if the manifest would not be read, whoever signs it.
pub fn sign_keys(manifest: &KeyManifest, keys: &[&SigningKey]) -> Result<Envelope, RootError> {
    let payload = manifest.encode_to_vec();
    ManifestKeys::parse(&payload)?;
    Ok(Envelope::signed(KEYS_TYPE, payload, keys))
}

/// The entry body of a file that [`sign_keys`] made; signatures are not verified.
///
/// # Errors
/// [`RootError`].
pub fn key_rotate_from(envelope: &Envelope) -> Result<KeyRotate, RootError> {
    envelope.expect_type(KEYS_TYPE)?;
    if envelope.payload.len() > MAX_MANIFEST {
        return Err(RootError::TooLarge);
    }
    ManifestKeys::parse(&envelope.payload)?;
    Ok(KeyRotate { key_manifest: envelope.payload.clone(), root_signatures: envelope.signatures.clone() })
}

/// Verifies new keys against the roots of their party.
///
/// # Errors
/// [`RootError`].
pub fn verify_key_rotate(rotate: &KeyRotate, roots: &RootSet) -> Result<ManifestKeys, RootError> {
    let keys = ManifestKeys::parse(&rotate.key_manifest)?;
    roots.verify(KEYS_TYPE, &rotate.key_manifest, &rotate.root_signatures)?;
    if keys.party != roots.party() {
        return Err(RootError::Mismatch("key_manifest.party"));
    }
    Ok(keys)
}

/// Signs a revocation with root keys.
///
/// # Errors
/// [`RootError`] if the revocation would not be read, whoever signs it.
pub fn sign_revocation(revocation: &KeyRevocation, keys: &[&SigningKey]) -> Result<Envelope, RootError> {
    let payload = revocation.encode_to_vec();
    read(&payload)?;
    Ok(Envelope::signed(REVOCATION_TYPE, payload, keys))
}

/// The entry body of a revocation file; signatures are not verified.
///
/// # Errors
/// [`RootError`].
pub fn revoke_from(envelope: &Envelope) -> Result<Revoke, RootError> {
    envelope.expect_type(REVOCATION_TYPE)?;
    read(&envelope.payload)?;
    Ok(Revoke { payload: envelope.payload.clone(), signatures: envelope.signatures.clone() })
}

/// The file form of an entry's revocation.
#[must_use]
pub fn revocation_envelope(revoke: &Revoke) -> Envelope {
    Envelope {
        payload_type: REVOCATION_TYPE.into(),
        payload: revoke.payload.clone(),
        signatures: revoke.signatures.clone(),
    }
}

/// Verifies a revocation against the roots of the key's party.
///
/// # Errors
/// [`RootError`].
pub fn verify_revoke(revoke: &Revoke, roots: &RootSet) -> Result<KeyRevocation, RootError> {
    let said = read(&revoke.payload)?;
    roots.verify(REVOCATION_TYPE, &revoke.payload, &revoke.signatures)?;
    if said.party != roots.party() {
        return Err(RootError::Mismatch("party"));
    }
    Ok(said)
}

fn read(payload: &[u8]) -> Result<KeyRevocation, RootError> {
    if payload.len() > MAX_REVOCATION {
        return Err(RootError::TooLarge);
    }
    let said: KeyRevocation = canonical::decode(payload)?;
    let field = |good: bool, name| if good { Ok(()) } else { Err(RootError::Field(name)) };
    field(is_party(&said.party), "party")?;
    field(is_node(&said.node), "node")?;
    field(said.key_id.len() == 32, "key_id")?;
    field(USES.contains(&said.r#use.as_str()), "use")?;
    field(said.log_origin.parse::<LogOrigin>().is_ok(), "log_origin")?;
    field(said.last_good_size <= i64::MAX as u64, "last_good_size")?;
    field(said.last_good_root.len() == if said.last_good_size == 0 { 0 } else { 32 }, "last_good_root")?;
    field(said.reason.len() <= MAX_REASON && !said.reason.chars().any(char::is_control), "reason")?;
    Ok(said)
}

#[cfg(test)]
mod tests;
