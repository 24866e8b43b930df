//! Checkpoints, C2SP tlog-checkpoint §Note text. Extension lines are refused: the exchange has
//! none, and an ML-DSA cosignature would not sign them.

use std::fmt;

use crate::note::{NoteError, check_name};
use crate::{Hash, MAX_SIZE, Note, NoteSignature, NoteSigner, VerifierKey, empty_root, encoding};

/// Bytes accepted of an origin, whose length a cosigned message holds in one byte.
pub const MAX_ORIGIN_LEN: usize = 255;

/// Why a checkpoint was refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CheckpointError {
    /// The note itself is malformed or does not verify.
    #[error(transparent)]
    Note(#[from] NoteError),
    /// Not exactly the three lines origin, size, root.
    #[error("checkpoint text is not origin, size and root")]
    Syntax,
    /// The origin is empty, too long or holds a space, a plus or a control character.
    #[error("origin is empty, too long or holds a space, plus or control character")]
    Origin,
    /// Not a decimal of at most 2^63 − 1.
    #[error("tree size is not a decimal of at most 2^63 - 1")]
    Size,
    /// Not a base64 hash.
    #[error("root is not a base64 hash")]
    Root,
    /// The empty tree has another root than `SHA-256("")`.
    #[error("the empty tree has another root than its own")]
    EmptyRoot,
    /// The key's name is not the checkpoint's origin.
    #[error("the log key's name is not the checkpoint's origin")]
    OriginMismatch,
}

/// The head of a log: its origin, its size in leaves, the root at that size.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Checkpoint {
    origin: String,
    size: u64,
    root: Hash,
}

impl Checkpoint {
    /// A checkpoint of that log at that size.
    ///
    /// # Errors
    /// [`CheckpointError`] if a part is not representable; the empty tree has one root only.
    pub fn new(origin: impl Into<String>, size: u64, root: Hash) -> Result<Self, CheckpointError> {
        let origin = origin.into();
        if origin.len() > MAX_ORIGIN_LEN || check_name(&origin).is_err() {
            return Err(CheckpointError::Origin);
        }
        if size > MAX_SIZE {
            return Err(CheckpointError::Size);
        }
        if size == 0 && root != empty_root() {
            return Err(CheckpointError::EmptyRoot);
        }
        Ok(Self { origin, size, root })
    }

    /// Reads a note's text.
    ///
    /// # Errors
    /// [`CheckpointError`].
    pub fn parse_text(text: &str) -> Result<Self, CheckpointError> {
        let lines = text.strip_suffix('\n').ok_or(CheckpointError::Syntax)?;
        let mut lines = lines.split('\n');
        let parts = (lines.next(), lines.next(), lines.next(), lines.next());
        let (Some(origin), Some(size), Some(root), None) = parts else {
            return Err(CheckpointError::Syntax);
        };
        let size = encoding::decimal(size).ok_or(CheckpointError::Size)?;
        let root = encoding::hash(root).ok_or(CheckpointError::Root)?;
        Self::new(origin, size, root)
    }

    /// The log's origin.
    #[must_use]
    pub fn origin(&self) -> &str {
        &self.origin
    }

    /// Size in leaves.
    #[must_use]
    pub fn size(&self) -> u64 {
        self.size
    }

    /// Root at that size.
    #[must_use]
    pub fn root(&self) -> Hash {
        self.root
    }

    /// The note's text, three lines.
    #[must_use]
    pub fn text(&self) -> String {
        self.to_string()
    }

    /// Signs this checkpoint as its log; the signer's name must be the origin.
    ///
    /// # Errors
    /// [`CheckpointError::OriginMismatch`].
    pub fn sign<S: NoteSigner + ?Sized>(&self, signer: &S) -> Result<SignedCheckpoint, CheckpointError> {
        if signer.name() != self.origin {
            return Err(CheckpointError::OriginMismatch);
        }
        let mut note = Note::new(self.text())?;
        note.sign(signer)?;
        Ok(SignedCheckpoint { checkpoint: self.clone(), note })
    }
}

impl fmt::Display for Checkpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let root = encoding::base64(self.root.as_bytes());
        write!(f, "{}\n{}\n{root}\n", self.origin, self.size)
    }
}

/// A note whose text is a checkpoint. Parsing verifies nothing: see [`open`],
/// [`SignedCheckpoint::verify_log`] and [`Policy::evaluate`](crate::Policy::evaluate).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignedCheckpoint {
    checkpoint: Checkpoint,
    note: Note,
}

impl SignedCheckpoint {
    /// Reads a checkpoint note.
    ///
    /// # Errors
    /// [`CheckpointError`].
    pub fn parse(bytes: &[u8]) -> Result<Self, CheckpointError> {
        let note = Note::parse(bytes)?;
        let checkpoint = Checkpoint::parse_text(note.text())?;
        Ok(Self { checkpoint, note })
    }

    /// What is claimed.
    #[must_use]
    pub fn checkpoint(&self) -> &Checkpoint {
        &self.checkpoint
    }

    /// The note with its signatures.
    #[must_use]
    pub fn note(&self) -> &Note {
        &self.note
    }

    /// Adds a signature line at the end; a line that is there already is not repeated.
    ///
    /// # Errors
    /// [`NoteError::TooManySignatures`].
    pub fn add(&mut self, signature: NoteSignature) -> Result<(), NoteError> {
        self.note.add(signature)
    }

    /// The same checkpoint with only the first line by each of these keys, unverified: what is kept of
    /// what anyone may have sent. One key can sign a checkpoint as often as it likes.
    #[must_use]
    pub fn only_by<'k, K>(&self, keys: K) -> Self
    where
        K: IntoIterator<Item = &'k VerifierKey> + Clone,
    {
        let note = self.note.only(|line| keys.clone().into_iter().any(|key| line.is_by(key)));
        Self { checkpoint: self.checkpoint.clone(), note }
    }

    /// Verifies the log's own signature.
    ///
    /// # Errors
    /// [`CheckpointError::OriginMismatch`] if the key is not the origin's, or the note's error.
    pub fn verify_log(&self, log: &VerifierKey) -> Result<(), CheckpointError> {
        if log.name() != self.checkpoint.origin {
            return Err(CheckpointError::OriginMismatch);
        }
        self.note.verify([log])?;
        Ok(())
    }
}

impl fmt::Display for SignedCheckpoint {
    /// The whole note.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.note, f)
    }
}

/// Reads a checkpoint note and verifies its log's signature.
///
/// # Errors
/// [`CheckpointError`].
pub fn open(bytes: &[u8], log: &VerifierKey) -> Result<SignedCheckpoint, CheckpointError> {
    let signed = SignedCheckpoint::parse(bytes)?;
    signed.verify_log(log)?;
    Ok(signed)
}

#[cfg(test)]
mod tests;
