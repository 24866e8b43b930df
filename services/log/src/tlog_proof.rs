//! Receipts: offline-verifiable proofs of inclusion, C2SP tlog-proof §Format and §Verifying.

use std::fmt;

use crate::checkpoint::CheckpointError;
use crate::note::MAX_NOTE_LEN;
use crate::policy::{Accepted, PolicyError};
use crate::proof::{self, MAX_PROOF, ProofError};
use crate::{Hash, HashSource, Policy, SignedCheckpoint, encoding};

/// Bytes accepted of the extra data.
pub const MAX_EXTRA_LEN: usize = 64 * 1024;

/// Bytes accepted of a whole receipt.
const MAX_LEN: usize = MAX_NOTE_LEN + 2 * MAX_EXTRA_LEN;

const HEADER: &str = "c2sp.org/tlog-proof@v1\n";

/// Why a receipt was refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TlogProofError {
    /// Too long, not UTF-8, or not header, index, hashes, blank line, checkpoint.
    #[error("not a tlog-proof@v1")]
    Syntax,
    /// Empty, too long or not base64.
    #[error("extra data is empty, too long or not base64")]
    Extra,
    /// Not a decimal of at most 2^63 − 1.
    #[error("index is not a decimal of at most 2^63 - 1")]
    Index,
    /// A line that is not a base64 hash, or too many of them.
    #[error("proof line {0} is not an acceptable base64 hash")]
    Hash(usize),
    /// The checkpoint is malformed.
    #[error(transparent)]
    Checkpoint(#[from] CheckpointError),
    /// The checkpoint does not satisfy the policy.
    #[error(transparent)]
    Policy(#[from] PolicyError),
    /// The inclusion proof does not hold.
    #[error(transparent)]
    Proof(#[from] ProofError),
}

/// That an entry stands at an index of a log whose checkpoint others have cosigned.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TlogProof {
    extra: Option<Vec<u8>>,
    index: u64,
    hashes: Vec<Hash>,
    checkpoint: SignedCheckpoint,
}

impl TlogProof {
    /// Makes the receipt of entry `index` from the log's hashes.
    ///
    /// # Errors
    /// [`ProofError`] if the index is not below the checkpoint's size, or the source fails.
    pub fn new<S: HashSource + ?Sized>(
        source: &S,
        index: u64,
        checkpoint: SignedCheckpoint,
    ) -> Result<Self, ProofError<S::Error>> {
        let hashes = proof::inclusion(source, index, checkpoint.checkpoint().size())?;
        Ok(Self { extra: None, index, hashes, checkpoint })
    }

    /// The same receipt with extra data, which no signature covers.
    ///
    /// # Errors
    /// [`TlogProofError::Extra`] if it is empty or longer than [`MAX_EXTRA_LEN`].
    pub fn with_extra(self, extra: Vec<u8>) -> Result<Self, TlogProofError> {
        if extra.is_empty() || extra.len() > MAX_EXTRA_LEN {
            return Err(TlogProofError::Extra);
        }
        Ok(Self { extra: Some(extra), ..self })
    }

    /// Extra data, unauthenticated.
    #[must_use]
    pub fn extra(&self) -> Option<&[u8]> {
        self.extra.as_deref()
    }

    /// Zero-based index of the entry in the log.
    #[must_use]
    pub fn index(&self) -> u64 {
        self.index
    }

    /// The inclusion proof, sibling first.
    #[must_use]
    pub fn hashes(&self) -> &[Hash] {
        &self.hashes
    }

    /// The checkpoint that the proof leads to.
    #[must_use]
    pub fn checkpoint(&self) -> &SignedCheckpoint {
        &self.checkpoint
    }

    /// Reads a receipt.
    ///
    /// # Errors
    /// [`TlogProofError`].
    pub fn parse(bytes: &[u8]) -> Result<Self, TlogProofError> {
        if bytes.len() > MAX_LEN {
            return Err(TlogProofError::Syntax);
        }
        let text = std::str::from_utf8(bytes).map_err(|_| TlogProofError::Syntax)?;
        let rest = text.strip_prefix(HEADER).ok_or(TlogProofError::Syntax)?;
        // None of the lines above the checkpoint is empty: the first blank line ends them.
        let (lines, checkpoint) = rest.split_once("\n\n").ok_or(TlogProofError::Syntax)?;
        let mut lines = lines.split('\n').peekable();
        let extra = lines.next_if(|line| line.starts_with("extra "));
        let extra = extra.map(|line| parse_extra(&line["extra ".len()..])).transpose()?;
        let index = lines.next().and_then(|line| line.strip_prefix("index "));
        let index = index.ok_or(TlogProofError::Syntax)?;
        let index = encoding::decimal(index).ok_or(TlogProofError::Index)?;
        let mut hashes = Vec::new();
        for (count, line) in lines.enumerate() {
            let hash = encoding::hash(line).filter(|_| count < MAX_PROOF);
            hashes.push(hash.ok_or(TlogProofError::Hash(count + 1))?);
        }
        let checkpoint = SignedCheckpoint::parse(checkpoint.as_bytes())?;
        Ok(Self { extra, index, hashes, checkpoint })
    }

    /// Verifies that the entry with this leaf hash stands at [`index`](Self::index) of a log
    /// that the policy accepts, under a checkpoint with the policy's quorum.
    ///
    /// # Errors
    /// [`TlogProofError`].
    pub fn verify<'p>(&self, leaf: &Hash, policy: &'p Policy) -> Result<Accepted<'p>, TlogProofError> {
        let accepted = policy.evaluate(&self.checkpoint)?;
        let head = self.checkpoint.checkpoint();
        proof::verify_inclusion(&self.hashes, leaf, self.index, head.size(), &head.root())?;
        Ok(accepted)
    }
}

impl fmt::Display for TlogProof {
    /// The receipt's text.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(HEADER)?;
        if let Some(extra) = &self.extra {
            writeln!(f, "extra {}", encoding::base64(extra))?;
        }
        writeln!(f, "index {}", self.index)?;
        for hash in &self.hashes {
            writeln!(f, "{}", encoding::base64(hash.as_bytes()))?;
        }
        write!(f, "\n{}", self.checkpoint)
    }
}

fn parse_extra(encoded: &str) -> Result<Vec<u8>, TlogProofError> {
    let extra = encoding::unbase64(encoded).ok_or(TlogProofError::Extra)?;
    if extra.is_empty() || extra.len() > MAX_EXTRA_LEN {
        return Err(TlogProofError::Extra);
    }
    Ok(extra)
}

#[cfg(test)]
mod tests;
