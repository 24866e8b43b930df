//! Key ids and verifier keys, signed-note §Signatures and §Verifier keys.

use std::fmt;
use std::str::FromStr;

use aws_lc_rs::signature::{ED25519, UnparsedPublicKey};

use super::{NoteError, NoteSigner, SIGNATURE_LEN};
use crate::{cosignature, encoding, hash::sha256};

/// Bytes of a key id.
pub const KEY_ID_LEN: usize = 4;

/// Bytes of an Ed25519 public key.
pub const PUBLIC_KEY_LEN: usize = 32;

/// The short, not collision-resistant name of a key; big-endian.
pub type KeyId = [u8; KEY_ID_LEN];

/// Why a verifier key was refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum VkeyError {
    /// Not `name+hex8+base64`.
    #[error("verifier key is not <name>+<8 hex digits>+<base64>")]
    Syntax,
    /// The key id is not that of the name, type and key.
    #[error("verifier key's id does not match its name and key")]
    KeyId,
    /// A signature type other than 0x01 and 0x04.
    #[error("signature type 0x{0:02x} is not supported")]
    SignatureType(u8),
    /// The key's length is not its type's.
    #[error("verifier key has a wrong length")]
    KeyLength,
}

/// What a key signs and how (signed-note §Signature types).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum SignatureType {
    /// 0x01: Ed25519 over the note's text. Logs sign so.
    Ed25519 = 0x01,
    /// 0x04: timestamped Ed25519 cosignature/v1. Mirrors and witnesses sign so.
    CosignatureV1 = 0x04,
}

impl TryFrom<u8> for SignatureType {
    type Error = VkeyError;

    fn try_from(byte: u8) -> Result<Self, VkeyError> {
        match byte {
            0x01 => Ok(Self::Ed25519),
            0x04 => Ok(Self::CosignatureV1),
            other => Err(VkeyError::SignatureType(other)),
        }
    }
}

/// A public key under the name and with the type that a verifier knows it by.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct VerifierKey {
    name: String,
    signature_type: SignatureType,
    key_id: KeyId,
    public_key: [u8; PUBLIC_KEY_LEN],
}

impl VerifierKey {
    /// A key of that name.
    ///
    /// # Errors
    /// [`NoteError::KeyName`].
    pub fn new(
        name: impl Into<String>,
        signature_type: SignatureType,
        public_key: [u8; PUBLIC_KEY_LEN],
    ) -> Result<Self, NoteError> {
        let name = name.into();
        check_name(&name)?;
        let key_id = key_id(&name, signature_type as u8, &public_key);
        Ok(Self { name, signature_type, key_id, public_key })
    }

    /// The key that verifies what `signer` signs as that type.
    ///
    /// # Errors
    /// [`NoteError::KeyName`].
    pub fn of<S: NoteSigner + ?Sized>(signer: &S, signature_type: SignatureType) -> Result<Self, NoteError> {
        Self::new(signer.name(), signature_type, signer.public_key())
    }

    /// Key name; for a log, its origin.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// What the key signs.
    #[must_use]
    pub fn signature_type(&self) -> SignatureType {
        self.signature_type
    }

    /// Key id, as it stands in signature lines.
    #[must_use]
    pub fn key_id(&self) -> KeyId {
        self.key_id
    }

    /// The raw Ed25519 public key.
    #[must_use]
    pub fn public_key(&self) -> &[u8; PUBLIC_KEY_LEN] {
        &self.public_key
    }

    /// Verifies one signature (without its key id) over a note's text; returns the cosigner's
    /// time in Unix seconds if the type carries one.
    ///
    /// # Errors
    /// [`NoteError::BadSignature`].
    pub fn verify(&self, text: &str, signature: &[u8]) -> Result<Option<u64>, NoteError> {
        let bad = || NoteError::BadSignature(self.name.clone());
        match self.signature_type {
            SignatureType::Ed25519 => {
                let genuine = self.verifies(text.as_bytes(), signature);
                if genuine { Ok(None) } else { Err(bad()) }
            }
            SignatureType::CosignatureV1 => {
                let (time, message, raw) = cosignature::signed(text, signature).ok_or_else(bad)?;
                if self.verifies(&message, raw) { Ok(Some(time)) } else { Err(bad()) }
            }
        }
    }

    fn verifies(&self, message: &[u8], signature: &[u8]) -> bool {
        signature.len() == SIGNATURE_LEN
            && UnparsedPublicKey::new(&ED25519, &self.public_key).verify(message, signature).is_ok()
    }
}

impl fmt::Display for VerifierKey {
    /// The vkey, `name+hex8+base64`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut typed = [self.signature_type as u8; 1 + PUBLIC_KEY_LEN];
        typed[1..].copy_from_slice(&self.public_key);
        let id = u32::from_be_bytes(self.key_id);
        write!(f, "{}+{id:08x}+{}", self.name, encoding::base64(&typed))
    }
}

impl fmt::Debug for VerifierKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for VerifierKey {
    type Err = VkeyError;

    fn from_str(vkey: &str) -> Result<Self, VkeyError> {
        let (name, rest) = vkey.split_once('+').ok_or(VkeyError::Syntax)?;
        let (id, encoded) = rest.split_once('+').ok_or(VkeyError::Syntax)?;
        let lower_hex = |byte: u8| byte.is_ascii_digit() || matches!(byte, b'a'..=b'f');
        if id.len() != 2 * KEY_ID_LEN || !id.bytes().all(lower_hex) {
            return Err(VkeyError::Syntax);
        }
        let id = u32::from_str_radix(id, 16).map_err(|_| VkeyError::Syntax)?;
        let typed = encoding::unbase64(encoded).ok_or(VkeyError::Syntax)?;
        let (signature_type, public_key) = typed.split_first().ok_or(VkeyError::KeyLength)?;
        let signature_type = SignatureType::try_from(*signature_type)?;
        let public_key = public_key.try_into().map_err(|_| VkeyError::KeyLength)?;
        let key = Self::new(name, signature_type, public_key).map_err(|_| VkeyError::Syntax)?;
        if key.key_id == id.to_be_bytes() { Ok(key) } else { Err(VkeyError::KeyId) }
    }
}

/// `SHA-256(name || 0x0A || type || public key)[:4]` (signed-note §Signatures).
#[must_use]
pub fn key_id(name: &str, signature_type: u8, public_key: &[u8]) -> KeyId {
    let message = [name.as_bytes(), b"\n", &[signature_type], public_key].concat();
    let [a, b, c, d, ..] = *sha256(&message).as_bytes();
    [a, b, c, d]
}

/// Checks a key name: not empty, no Unicode space, no plus, no control character.
///
/// # Errors
/// [`NoteError::KeyName`].
pub fn check_name(name: &str) -> Result<(), NoteError> {
    let bad = |c: char| c.is_whitespace() || c.is_control() || c == '+';
    if name.is_empty() || name.contains(bad) { Err(NoteError::KeyName) } else { Ok(()) }
}
