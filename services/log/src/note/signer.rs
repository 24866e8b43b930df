//! Who signs notes. Keys come from outside; nothing here makes or reads one.

use std::fmt;

use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair as _};

use super::{NoteError, PUBLIC_KEY_LEN, check_name};

/// Bytes of an Ed25519 signature.
pub const SIGNATURE_LEN: usize = 64;

/// An Ed25519 key under a name, wherever it is kept.
pub trait NoteSigner: Send + Sync {
    /// The key's name.
    fn name(&self) -> &str;

    /// The raw Ed25519 public key.
    fn public_key(&self) -> [u8; PUBLIC_KEY_LEN];

    /// The Ed25519 signature (RFC 8032) of exactly these bytes.
    fn sign(&self, message: &[u8]) -> [u8; SIGNATURE_LEN];
}

/// A signer whose key is in memory.
pub struct Ed25519Signer {
    name: String,
    key: Ed25519KeyPair,
}

impl Ed25519Signer {
    /// Signs with `key` under `name`.
    ///
    /// # Errors
    /// [`NoteError::KeyName`].
    pub fn new(name: impl Into<String>, key: Ed25519KeyPair) -> Result<Self, NoteError> {
        let name = name.into();
        check_name(&name)?;
        Ok(Self { name, key })
    }
}

impl NoteSigner for Ed25519Signer {
    fn name(&self) -> &str {
        &self.name
    }

    fn public_key(&self) -> [u8; PUBLIC_KEY_LEN] {
        let key = self.key.public_key().as_ref();
        key.try_into().expect("an Ed25519 public key has 32 bytes")
    }

    fn sign(&self, message: &[u8]) -> [u8; SIGNATURE_LEN] {
        let signature = self.key.sign(message);
        signature.as_ref().try_into().expect("an Ed25519 signature has 64 bytes")
    }
}

impl fmt::Debug for Ed25519Signer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Ed25519Signer").field("name", &self.name).finish_non_exhaustive()
    }
}
