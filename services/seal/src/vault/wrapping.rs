//! The key that wraps the data keys.

use std::fmt;
use std::io;
use std::path::Path;

use convenio_model::Entropy;
use zeroize::Zeroizing;

use super::VaultError;
use crate::file::{create_secret, read_bounded};

/// The key-encryption key. A file of 32 bytes stands in for the PKCS#11 token or HSM that a state would use: it keeps
/// the data keys useless to who has only the vault's file, not to who has the whole machine.
pub struct WrappingKey(pub(super) Zeroizing<[u8; 32]>);

impl WrappingKey {
    /// From bytes that the caller keeps elsewhere.
    #[must_use]
    pub fn from_bytes(bytes: &[u8; 32]) -> Self {
        Self(Zeroizing::new(*bytes))
    }

    /// Reads a file of exactly 32 bytes.
    ///
    /// # Errors
    /// [`VaultError::WrappingKey`] if it is missing or of another length, [`VaultError::Io`].
    pub fn load(path: &Path) -> Result<Self, VaultError> {
        let content = read_bounded(path, 32).map_err(|error| match error.kind() {
            io::ErrorKind::NotFound | io::ErrorKind::FileTooLarge => VaultError::WrappingKey,
            _ => VaultError::Io(error),
        })?;
        let bytes: &[u8; 32] = content.as_slice().try_into().map_err(|_| VaultError::WrappingKey)?;
        Ok(Self::from_bytes(bytes))
    }

    /// Makes a key and its file, mode 0600; an existing file is not overwritten.
    ///
    /// # Errors
    /// [`VaultError::Io`].
    pub fn create(path: &Path, entropy: &dyn Entropy) -> Result<Self, VaultError> {
        let mut key = Zeroizing::new([0; 32]);
        entropy.fill(key.as_mut_slice());
        create_secret(path, key.as_slice())?;
        Ok(Self(key))
    }
}

impl fmt::Debug for WrappingKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("WrappingKey(secret)")
    }
}
