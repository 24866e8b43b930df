//! The node's keys as signers and verifiers of C2SP notes, under the names that the exchange gives them.

use convenio_log::{NoteSigner, SignatureType, VerifierKey};
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
