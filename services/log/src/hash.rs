//! Merkle tree hashing, RFC 6962 §2.1 with SHA-256.

use std::fmt;

use aws_lc_rs::digest::{Context, SHA256, digest};

/// Bytes of a hash.
pub const HASH_LEN: usize = 32;

/// Leaves at most this long are hashed from the stack in one call.
const INLINE_LEAF: usize = 1024;

/// A SHA-256 value: a leaf, an inner node or a root.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Hash([u8; HASH_LEN]);

impl Hash {
    /// The 32 bytes.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; HASH_LEN] {
        &self.0
    }
}

impl From<[u8; HASH_LEN]> for Hash {
    fn from(bytes: [u8; HASH_LEN]) -> Self {
        Self(bytes)
    }
}

impl TryFrom<&[u8]> for Hash {
    type Error = std::array::TryFromSliceError;

    fn try_from(bytes: &[u8]) -> Result<Self, Self::Error> {
        bytes.try_into().map(Self)
    }
}

impl From<Hash> for [u8; HASH_LEN] {
    fn from(hash: Hash) -> Self {
        hash.0
    }
}

impl AsRef<[u8]> for Hash {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Display for Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// The hash of a log entry, `SHA-256(0x00 || entry)` (RFC 6962 §2.1).
#[must_use]
pub fn leaf_hash(entry: &[u8]) -> Hash {
    if entry.len() <= INLINE_LEAF {
        let mut prefixed = [0u8; INLINE_LEAF + 1];
        prefixed[1..=entry.len()].copy_from_slice(entry);
        return sha256(&prefixed[..=entry.len()]);
    }
    let mut context = Context::new(&SHA256);
    context.update(&[0x00]);
    context.update(entry);
    from_digest(context.finish().as_ref())
}

/// The hash of an inner node, `SHA-256(0x01 || left || right)` (RFC 6962 §2.1).
#[must_use]
pub fn node_hash(left: &Hash, right: &Hash) -> Hash {
    let mut message = [0x01u8; 1 + 2 * HASH_LEN];
    message[1..=HASH_LEN].copy_from_slice(&left.0);
    message[HASH_LEN + 1..].copy_from_slice(&right.0);
    sha256(&message)
}

/// The root of the tree without leaves, `SHA-256("")` (RFC 6962 §2.1).
#[must_use]
pub fn empty_root() -> Hash {
    sha256(&[])
}

/// Plain SHA-256, as key ids use it.
pub(crate) fn sha256(message: &[u8]) -> Hash {
    from_digest(digest(&SHA256, message).as_ref())
}

fn from_digest(bytes: &[u8]) -> Hash {
    Hash(bytes.try_into().expect("SHA-256 yields 32 bytes"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_values() {
        // SHA-256 of "" and of 0x00, computed with sha256sum.
        assert_eq!(empty_root().to_string(), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
        assert_eq!(leaf_hash(b"").to_string(), "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d");
    }

    #[test]
    fn inline_and_streamed_leaves_agree() {
        for len in [0, 1, 1023, 1024, 1025, 65_535] {
            let entry = vec![7u8; len];
            let mut message = vec![0u8];
            message.extend_from_slice(&entry);
            assert_eq!(leaf_hash(&entry), sha256(&message), "{len}");
        }
    }

    #[test]
    fn debug_is_hex() {
        assert_eq!(format!("{:?}", Hash::from([0xab; 32])), "ab".repeat(32));
    }
}
