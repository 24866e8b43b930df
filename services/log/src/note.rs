//! Signed notes, C2SP signed-note v1.0.0 §Format and §Signatures.

mod key;
mod signer;

pub use key::{KEY_ID_LEN, KeyId, PUBLIC_KEY_LEN, SignatureType, VerifierKey, VkeyError, check_name, key_id};
pub use signer::{Ed25519Signer, NoteSigner, SIGNATURE_LEN};

use std::fmt;

use crate::encoding;

/// Signature lines accepted in one note (signed-note asks for at least 16).
pub const MAX_SIGNATURES: usize = 200;

/// Bytes accepted of one note: room for a hundred ML-DSA-44 signatures.
pub const MAX_NOTE_LEN: usize = 512 * 1024;

/// What begins a signature line: an em dash and a space.
const SIGNATURE_PREFIX: &str = "\u{2014} ";

/// Why a note was refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum NoteError {
    /// Longer than [`MAX_NOTE_LEN`].
    #[error("note is above {MAX_NOTE_LEN} bytes")]
    TooLong,
    /// Not UTF-8.
    #[error("note is not UTF-8")]
    NotUtf8,
    /// A control character other than newline.
    #[error("note holds a control character")]
    ControlCharacter,
    /// No blank line before the signatures, or no newline at the end.
    #[error("note is not text, a blank line and signature lines")]
    Malformed,
    /// A signature line that is not `— <name> <base64>`.
    #[error("signature line {0} is malformed")]
    SignatureLine(usize),
    /// More than [`MAX_SIGNATURES`] signature lines.
    #[error("note has more than {MAX_SIGNATURES} signatures")]
    TooManySignatures,
    /// A key name that is empty or holds a space, a plus or a control character.
    #[error("key name is empty or holds a space, plus or control character")]
    KeyName,
    /// A signature under a known key does not verify.
    #[error("the signature of {0} does not verify")]
    BadSignature(String),
    /// No signature is by a known key.
    #[error("no signature is by a known key")]
    NoKnownSignature,
}

/// One signature line: the key's name and id, and the signature's bytes, which the key's type
/// gives their meaning.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NoteSignature {
    name: String,
    key_id: KeyId,
    signature: Vec<u8>,
}

impl NoteSignature {
    /// A line for these bytes, at least one, under `key`.
    pub(crate) fn new(key: &VerifierKey, signature: Vec<u8>) -> Self {
        Self { name: key.name().to_owned(), key_id: key.key_id(), signature }
    }

    /// The key's name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The key's id.
    #[must_use]
    pub fn key_id(&self) -> KeyId {
        self.key_id
    }

    /// The signature, without the key id.
    #[must_use]
    pub fn signature(&self) -> &[u8] {
        &self.signature
    }

    /// Whether the line is under this key: the same name and the same id.
    #[must_use]
    pub fn is_by(&self, key: &VerifierKey) -> bool {
        self.key_id == key.key_id() && self.name == key.name()
    }

    /// Reads one line, its newline included.
    ///
    /// # Errors
    /// [`NoteError::SignatureLine`].
    pub fn parse_line(line: &str) -> Result<Self, NoteError> {
        let line = line.strip_suffix('\n').ok_or(NoteError::SignatureLine(1))?;
        Self::parse(line).ok_or(NoteError::SignatureLine(1))
    }

    fn parse(line: &str) -> Option<Self> {
        let (name, encoded) = line.strip_prefix(SIGNATURE_PREFIX)?.split_once(' ')?;
        check_name(name).ok()?;
        let bytes = encoding::unbase64(encoded)?;
        let (key_id, signature) = bytes.split_first_chunk::<KEY_ID_LEN>()?;
        if signature.is_empty() {
            return None;
        }
        let signature = signature.to_vec();
        Some(Self { name: name.to_owned(), key_id: *key_id, signature })
    }
}

impl fmt::Display for NoteSignature {
    /// The line, its newline included.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut bytes = Vec::with_capacity(KEY_ID_LEN + self.signature.len());
        bytes.extend_from_slice(&self.key_id);
        bytes.extend_from_slice(&self.signature);
        writeln!(f, "{SIGNATURE_PREFIX}{} {}", self.name, encoding::base64(&bytes))
    }
}

/// A signature of a note that verified.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct VerifiedSignature<'k> {
    /// The known key that signed.
    pub key: &'k VerifierKey,
    /// Seconds since the Unix epoch at which a cosigner signed; none for a plain signature.
    pub timestamp: Option<u64>,
}

/// A text with its signature lines. Nothing in it is trusted before [`Note::verify`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Note {
    text: String,
    signatures: Vec<NoteSignature>,
}

impl Note {
    /// A note yet without signatures; `text` ends in a newline.
    ///
    /// # Errors
    /// [`NoteError`] if the text cannot stand in a note.
    pub fn new(text: impl Into<String>) -> Result<Self, NoteError> {
        let text = text.into();
        if text.len() > MAX_NOTE_LEN {
            return Err(NoteError::TooLong);
        }
        check_characters(&text)?;
        if !text.ends_with('\n') {
            return Err(NoteError::Malformed);
        }
        Ok(Self { text, signatures: Vec::new() })
    }

    /// Reads a note with at least one signature line.
    ///
    /// # Errors
    /// [`NoteError`] if it is not exactly what a note is written as.
    pub fn parse(bytes: &[u8]) -> Result<Self, NoteError> {
        if bytes.len() > MAX_NOTE_LEN {
            return Err(NoteError::TooLong);
        }
        let note = std::str::from_utf8(bytes).map_err(|_| NoteError::NotUtf8)?;
        check_characters(note)?;
        // The last empty line parts text and signatures: the text may hold empty lines too.
        let blank = note.rfind("\n\n").ok_or(NoteError::Malformed)?;
        let (text, lines) = (&note[..=blank], &note[blank + 2..]);
        let lines = lines.strip_suffix('\n').ok_or(NoteError::Malformed)?;
        let mut signatures = Vec::new();
        for (index, line) in lines.split('\n').enumerate() {
            if index == MAX_SIGNATURES {
                return Err(NoteError::TooManySignatures);
            }
            let signature = NoteSignature::parse(line);
            signatures.push(signature.ok_or(NoteError::SignatureLine(index + 1))?);
        }
        Ok(Self { text: text.to_owned(), signatures })
    }

    /// The signed text, its final newline included.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The signature lines in their order, known and unknown.
    #[must_use]
    pub fn signatures(&self) -> &[NoteSignature] {
        &self.signatures
    }

    /// Adds a signature line at the end; a line that is there already is not repeated.
    ///
    /// # Errors
    /// [`NoteError::TooManySignatures`].
    pub fn add(&mut self, signature: NoteSignature) -> Result<(), NoteError> {
        if self.signatures.contains(&signature) {
            return Ok(());
        }
        if self.signatures.len() >= MAX_SIGNATURES {
            return Err(NoteError::TooManySignatures);
        }
        self.signatures.push(signature);
        Ok(())
    }

    /// The same text with only the lines that are to be kept, of each key its first.
    pub(crate) fn only(&self, keep: impl Fn(&NoteSignature) -> bool) -> Self {
        let mut signatures: Vec<NoteSignature> = Vec::new();
        for line in self.signatures.iter().filter(|line| keep(line)) {
            if !signatures.iter().any(|kept| (kept.key_id, &kept.name) == (line.key_id, &line.name)) {
                signatures.push(line.clone());
            }
        }
        Self { text: self.text.clone(), signatures }
    }

    /// Signs the text (type 0x01) and adds the line.
    ///
    /// # Errors
    /// [`NoteError::KeyName`] or [`NoteError::TooManySignatures`].
    pub fn sign<S: NoteSigner + ?Sized>(&mut self, signer: &S) -> Result<(), NoteError> {
        let key = VerifierKey::of(signer, SignatureType::Ed25519)?;
        let signature = signer.sign(self.text.as_bytes());
        self.add(NoteSignature::new(&key, signature.to_vec()))
    }

    /// Verifies every line that is by one of `keys`; lines by other keys are ignored. Returns
    /// the lines that verified, in the note's order, at least one. One key may have several.
    ///
    /// # Errors
    /// [`NoteError::BadSignature`] if one of them fails, [`NoteError::NoKnownSignature`].
    pub fn verify<'k, K>(&self, keys: K) -> Result<Vec<VerifiedSignature<'k>>, NoteError>
    where
        K: IntoIterator<Item = &'k VerifierKey> + Clone,
    {
        let mut verified = Vec::new();
        for line in &self.signatures {
            for key in keys.clone().into_iter().filter(|key| line.is_by(key)) {
                let timestamp = key.verify(&self.text, &line.signature)?;
                verified.push(VerifiedSignature { key, timestamp });
            }
        }
        if verified.is_empty() { Err(NoteError::NoKnownSignature) } else { Ok(verified) }
    }
}

impl fmt::Display for Note {
    /// The whole note. With signatures it parses to the same value.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)?;
        f.write_str("\n")?;
        self.signatures.iter().try_for_each(|signature| fmt::Display::fmt(signature, f))
    }
}

/// Refuses control characters, "those below U+0020", other than newline.
fn check_characters(text: &str) -> Result<(), NoteError> {
    let control = text.bytes().any(|byte| byte < 0x20 && byte != b'\n');
    if control { Err(NoteError::ControlCharacter) } else { Ok(()) }
}

#[cfg(test)]
mod tests;
