//! Ed25519 keys: PKCS#8 PEM files, SubjectPublicKeyInfo, key ids.

use std::fmt;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use aws_lc_rs::signature::{ED25519, Ed25519KeyPair, UnparsedPublicKey};
use convenio_model::Entropy;
use zeroize::{Zeroize, Zeroizing};

use crate::encoding::{base64, sha256, unbase64};
use crate::file::{create_secret, read_bounded};

/// Ending of the names of files that hold a private key; nothing so named may enter a repository or a bundle.
pub const KEY_FILE_SUFFIX: &str = ".sk.pem";

// The DER before the key itself, RFC 8410 §4 and §7; for Ed25519 nothing in it varies.
const SPKI_PREFIX: [u8; 12] = [0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0x00];
const PKCS8_PREFIX: [u8; 16] =
    [0x30, 0x2e, 0x02, 0x01, 0x00, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x04, 0x22, 0x04, 0x20];
const PEM_BEGIN: &str = "-----BEGIN PRIVATE KEY-----\n";
const PEM_END: &str = "\n-----END PRIVATE KEY-----";
const MAX_PEM: usize = 1024;

/// What is wrong with a key or its file.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    /// Not an Ed25519 private key in PKCS#8 version 1 PEM.
    #[error("not an Ed25519 private key in PKCS#8 PEM")]
    Private,
    /// Not an Ed25519 public key.
    #[error("not an Ed25519 public key")]
    Public,
    /// The name of a key file must end in `.sk.pem`.
    #[error("the name of a private key's file must end in `.sk.pem`")]
    FileName,
    /// Everybody on the machine may read the file.
    #[error("a private key's file is open to every user of the machine")]
    Permissions,
    /// The file exists already.
    #[error("a key file exists already and is never overwritten")]
    Exists,
    /// The file could not be read or written.
    #[error("key file: {0}")]
    Io(#[from] io::Error),
}

/// An Ed25519 private key. Its memory is cleared when it goes.
pub struct SigningKey {
    pair: Ed25519KeyPair,
    seed: Zeroizing<[u8; 32]>,
    public: PublicKey,
}

impl SigningKey {
    /// A new key from 32 bytes of `entropy`.
    #[must_use]
    pub fn generate(entropy: &dyn Entropy) -> Self {
        let mut seed = Zeroizing::new([0; 32]);
        entropy.fill(seed.as_mut_slice());
        Self::from_seed(&seed)
    }

    /// The key of a seed (RFC 8032 §5.1.5: every 32 bytes are one).
    #[must_use]
    pub fn from_seed(seed: &[u8; 32]) -> Self {
        use aws_lc_rs::signature::KeyPair;
        let pair = Ed25519KeyPair::from_seed_unchecked(seed).expect("every 32 bytes are an Ed25519 seed");
        let mut raw = [0; 32];
        raw.copy_from_slice(pair.public_key().as_ref());
        Self { pair, seed: Zeroizing::new(*seed), public: PublicKey(raw) }
    }

    /// Reads a PKCS#8 version 1 PEM text, as `openssl genpkey -algorithm ed25519` writes it.
    ///
    /// # Errors
    /// [`KeyError::Private`].
    pub fn from_pem(pem: &str) -> Result<Self, KeyError> {
        let body = pem.trim_end_matches('\n').strip_prefix(PEM_BEGIN).and_then(|rest| rest.strip_suffix(PEM_END));
        let der = Zeroizing::new(body.and_then(unbase64).ok_or(KeyError::Private)?);
        let seed: &[u8; 32] =
            der.strip_prefix(&PKCS8_PREFIX).and_then(|seed| seed.try_into().ok()).ok_or(KeyError::Private)?;
        Ok(Self::from_seed(seed))
    }

    /// The key as PKCS#8 version 1 PEM.
    #[must_use]
    pub fn to_pem(&self) -> Zeroizing<String> {
        let mut der = Zeroizing::new([0; 48]);
        der[..16].copy_from_slice(&PKCS8_PREFIX);
        der[16..].copy_from_slice(self.seed.as_slice());
        let mut body = base64(der.as_slice());
        let pem = Zeroizing::new(format!("{PEM_BEGIN}{body}{PEM_END}\n"));
        body.zeroize();
        pem
    }

    /// Reads a key file.
    ///
    /// # Errors
    /// [`KeyError`]; also if every user of the machine may read the file.
    pub fn load(path: &Path) -> Result<Self, KeyError> {
        check_name(path)?;
        if std::fs::metadata(path)?.mode() & 0o007 != 0 {
            return Err(KeyError::Permissions);
        }
        let content = read_bounded(path, MAX_PEM)?;
        Self::from_pem(std::str::from_utf8(&content).map_err(|_| KeyError::Private)?)
    }

    /// Writes a key file with mode 0600, durably.
    ///
    /// # Errors
    /// [`KeyError::FileName`], [`KeyError::Exists`] (nothing is overwritten), [`KeyError::Io`].
    pub fn store(&self, path: &Path) -> Result<(), KeyError> {
        check_name(path)?;
        create_secret(path, self.to_pem().as_bytes()).map_err(|error| match error.kind() {
            io::ErrorKind::AlreadyExists => KeyError::Exists,
            _ => KeyError::Io(error),
        })
    }

    /// Signs `message` (RFC 8032 Ed25519, deterministic).
    #[must_use]
    pub fn sign(&self, message: &[u8]) -> [u8; 64] {
        let mut out = [0; 64];
        out.copy_from_slice(self.pair.sign(message).as_ref());
        out
    }

    /// The public half.
    #[must_use]
    pub fn public(&self) -> PublicKey {
        self.public
    }
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SigningKey({}, secret)", hex::encode(self.public.key_id()))
    }
}

fn check_name(path: &Path) -> Result<(), KeyError> {
    let named = path.file_name().and_then(|name| name.to_str()).is_some_and(|name| name.ends_with(KEY_FILE_SUFFIX));
    named.then_some(()).ok_or(KeyError::FileName)
}

/// An Ed25519 public key.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct PublicKey([u8; 32]);

impl PublicKey {
    /// From the 32 bytes of RFC 8032 §5.1.2. Whether they are a point of the curve shows when a signature is verified.
    #[must_use]
    pub fn from_raw(raw: [u8; 32]) -> Self {
        Self(raw)
    }

    /// From a SubjectPublicKeyInfo in DER, exactly the 44 bytes of RFC 8410 §4.
    ///
    /// # Errors
    /// [`KeyError::Public`].
    pub fn from_spki_der(der: &[u8]) -> Result<Self, KeyError> {
        let raw = der.strip_prefix(&SPKI_PREFIX).and_then(|raw| raw.try_into().ok()).ok_or(KeyError::Public)?;
        Ok(Self(raw))
    }

    /// From canonical base64 of [`Self::spki_der`], as it stands in the trust file.
    ///
    /// # Errors
    /// [`KeyError::Public`].
    pub fn from_spki_base64(text: &str) -> Result<Self, KeyError> {
        if text.len() != 60 {
            return Err(KeyError::Public);
        }
        Self::from_spki_der(&unbase64(text).ok_or(KeyError::Public)?)
    }

    /// SubjectPublicKeyInfo in DER, 44 bytes.
    #[must_use]
    pub fn spki_der(&self) -> [u8; 44] {
        let mut der = [0; 44];
        der[..12].copy_from_slice(&SPKI_PREFIX);
        der[12..].copy_from_slice(&self.0);
        der
    }

    /// [`Self::spki_der`] in base64.
    #[must_use]
    pub fn spki_base64(&self) -> String {
        base64(&self.spki_der())
    }

    /// The 32 bytes.
    #[must_use]
    pub fn raw(&self) -> [u8; 32] {
        self.0
    }

    /// SHA-256 of [`Self::spki_der`]: how signatures name the key.
    #[must_use]
    pub fn key_id(&self) -> [u8; 32] {
        sha256(&self.spki_der())
    }

    /// Whether `signature` (64 bytes; others never verify) is one of this key over `message`.
    #[must_use]
    pub fn verify(&self, message: &[u8], signature: &[u8]) -> bool {
        UnparsedPublicKey::new(&ED25519, self.0).verify(message, signature).is_ok()
    }
}

impl fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PublicKey({})", hex::encode(self.key_id()))
    }
}

#[cfg(test)]
mod tests;
