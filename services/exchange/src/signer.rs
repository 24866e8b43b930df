//! The node's keys as signers and verifiers of C2SP notes, under the names that the exchange gives them.

use convenio_log::{NoteSigner, SignatureType, SignedCheckpoint, VerifierKey, cosignature};
use convenio_seal::key::{PublicKey, SigningKey};

/// A key that signs notes under a name.
pub(crate) struct Named<'k> {
    pub name: &'k str,
    pub key: &'k SigningKey,
}

impl NoteSigner for Named<'_> {
    fn name(&self) -> &str {
        self.name
    }

    fn public_key(&self) -> [u8; 32] {
        self.key.public().raw()
    }

    fn sign(&self, message: &[u8]) -> [u8; 64] {
        self.key.sign(message)
    }
}

/// The checkpoint with nothing but a line of the log and one of a cosigner that verify: what is kept of what the partner sent,
/// whose note may hold lines by anyone and of any length. None without such a line of the log.
pub(crate) fn verified(
    note: &SignedCheckpoint,
    logs: &[VerifierKey],
    cosigners: &[VerifierKey],
) -> Option<SignedCheckpoint> {
    let log = logs.iter().find(|key| note.verify_log(key).is_ok())?;
    let cosigner = cosigners.iter().find(|key| cosignature::verify(note, key).is_ok());
    let lines: Vec<&VerifierKey> = [log].into_iter().chain(cosigner).collect();
    Some(note.only_by(lines))
}

/// Name of a node's mirror cosigner.
pub(crate) fn mirror_name(node: &str, version: u64) -> String {
    format!("{node}/mirror/{version}")
}

/// Name of a node's witness.
pub(crate) fn witness_name(node: &str, version: u64) -> String {
    format!("{node}/witness/{version}")
}

/// Verifier of a log's checkpoints: the key's name is the origin.
pub(crate) fn log_key(origin: &str, key: &PublicKey) -> Option<VerifierKey> {
    VerifierKey::new(origin, SignatureType::Ed25519, key.raw()).ok()
}

/// Verifier of a node's mirror cosignatures.
pub(crate) fn mirror_key(node: &str, version: u64, key: &PublicKey) -> Option<VerifierKey> {
    VerifierKey::new(mirror_name(node, version), SignatureType::CosignatureV1, key.raw()).ok()
}
