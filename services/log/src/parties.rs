//! A log, a mirror and a witness with fixed keys, for the tests.

use aws_lc_rs::signature::Ed25519KeyPair;

use crate::{Checkpoint, Ed25519Signer, MemoryTree, SignatureType, SignedCheckpoint, VerifierKey, cosignature, naive};

pub(crate) const ORIGIN: &str = "node.sv.example/agreements/sv-ca/to/node.ca.example/1";
pub(crate) const TIME: u64 = 1_711_000_000;

pub(crate) fn signer(name: &str, seed: u8) -> Ed25519Signer {
    Ed25519Signer::new(name, Ed25519KeyPair::from_seed_unchecked(&[seed; 32]).unwrap()).unwrap()
}

pub(crate) fn log() -> Ed25519Signer {
    signer(ORIGIN, 1)
}

pub(crate) fn mirror() -> Ed25519Signer {
    signer("node.ca.example/mirror/1", 2)
}

pub(crate) fn witness() -> Ed25519Signer {
    signer("node.ca.example/witness/1", 3)
}

pub(crate) fn log_key() -> VerifierKey {
    VerifierKey::of(&log(), SignatureType::Ed25519).unwrap()
}

pub(crate) fn mirror_key() -> VerifierKey {
    VerifierKey::of(&mirror(), SignatureType::CosignatureV1).unwrap()
}

pub(crate) fn witness_key() -> VerifierKey {
    VerifierKey::of(&witness(), SignatureType::CosignatureV1).unwrap()
}

/// A tree of `size` leaves and its checkpoint, signed and mirror-cosigned.
pub(crate) fn cosigned(size: u32) -> (MemoryTree, SignedCheckpoint) {
    let tree: MemoryTree = naive::leaves(size).into_iter().collect();
    let checkpoint = Checkpoint::new(ORIGIN, tree.size(), tree.root()).unwrap();
    let mut signed = checkpoint.sign(&log()).unwrap();
    cosignature::append(&mut signed, &mirror(), TIME).unwrap();
    (tree, signed)
}
