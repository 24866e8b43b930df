//! The C2SP transparency log: hashes, trees, tiles, proofs, notes, checkpoints, cosignatures,
//! receipts and policies. Pure: no IO, no clock, no randomness.
//!
//! One module for each specification. All of them were read in C2SP at commit
//! `5ba5ee830903e91240fc6f9f3a7a9293d49e69c9` (2026-07-22); hashing is RFC 6962 §2.1 with SHA-256.
//!
//! Parsing is strict everywhere: whatever parses is exactly what the same value encodes to, save
//! for the policy file, whose format allows comments and free spacing.
#![cfg_attr(test, allow(clippy::unwrap_used))]

pub mod checkpoint;
pub mod cosignature;
mod encoding;
pub mod hash;
pub mod note;
pub mod policy;
pub mod proof;
pub mod tile;
pub mod tlog_proof;
pub mod tree;
pub mod witness;

#[cfg(test)]
mod naive;
#[cfg(test)]
mod parties;

pub use checkpoint::{Checkpoint, SignedCheckpoint};
pub use hash::{Hash, empty_root, leaf_hash, node_hash};
pub use note::{Ed25519Signer, Note, NoteSignature, NoteSigner, SignatureType, VerifierKey};
pub use policy::Policy;
pub use proof::HashSource;
pub use tile::{EntryTile, Tile, TileBuilder, TileReader, TileSource};
pub use tlog_proof::TlogProof;
pub use tree::{Frontier, MemoryTree};

/// The largest tree size and timestamp that any format here carries, 2^63 − 1
/// (tlog-cosignature §Format; tree sizes follow the same bound).
pub const MAX_SIZE: u64 = i64::MAX as u64;
