//! Asking a witness for its cosignature, and deciding as one: C2SP tlog-witness §add-checkpoint
//! and §Monitor Retrieval Mechanism. Pure: who calls it carries the bytes, keeps the state and
//! signs.
//!
//! A witness reads a request with [`AddCheckpoint::parse`], asks [`decide`], and only on
//! [`Decision::Cosign`] persists the new [`Head`], cosigns, and answers; reading the previous head
//! and persisting the new one are one atomic step, and precede the answer. A client writes the
//! request, reads the answer with [`Answer::parse`] and moves the lines of witnesses that it knows
//! to its own checkpoint with [`apply`].
//!
//! Narrower than the specification in two points: checkpoints with extension lines are malformed
//! here (see [`checkpoint`](crate::checkpoint)), and so is a request above [`MAX_REQUEST_LEN`].

mod answer;

pub use answer::{Answer, AnswerError, MAX_ANSWER_LEN, apply, lines};

use std::fmt;

use crate::checkpoint::CheckpointError;
use crate::hash::sha256;
use crate::proof::{self, ProofError};
use crate::{Checkpoint, Hash, HashSource, SignedCheckpoint, VerifierKey, empty_root, encoding};

/// Consistency proof lines accepted in one request.
pub const MAX_PROOF_LINES: usize = 63;

/// Bytes accepted of one request: the longest proof, and a note of 16 signatures of the longest kind.
pub const MAX_REQUEST_LEN: usize = 128 * 1024;

/// Path of the submission, below a witness's submission prefix.
pub const ADD_CHECKPOINT: &str = "add-checkpoint";

/// Content type of the body of a 409.
pub const SIZE_TYPE: &str = "text/x.tlog.size";

/// Why a request was refused before its log was looked up.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RequestError {
    /// Longer than [`MAX_REQUEST_LEN`].
    #[error("request is above {MAX_REQUEST_LEN} bytes")]
    TooLong,
    /// Not an old size, proof lines, an empty line and a checkpoint.
    #[error("not an old size, proof lines, an empty line and a checkpoint")]
    Syntax,
    /// The first line is not `old <decimal>`.
    #[error("the first line is not an old size")]
    OldSize,
    /// A line that is no base64 hash, or one more than [`MAX_PROOF_LINES`]; one-based.
    #[error("proof line {0} is not an acceptable base64 hash")]
    Hash(usize),
    /// The checkpoint is malformed.
    #[error(transparent)]
    Checkpoint(#[from] CheckpointError),
}

impl RequestError {
    /// The HTTP status to answer with: 422 for an empty tree with a root that is not its own,
    /// else 400.
    #[must_use]
    pub fn status(&self) -> u16 {
        if matches!(self, Self::Checkpoint(CheckpointError::EmptyRoot)) { 422 } else { 400 }
    }
}

/// A submission: a checkpoint, and the proof that it extends the one of size
/// [`old`](Self::old). Nothing in it is verified: see [`decide`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AddCheckpoint {
    old: u64,
    proof: Vec<Hash>,
    checkpoint: SignedCheckpoint,
}

impl AddCheckpoint {
    /// The submission of a checkpoint to a witness whose latest is of size `old`, which is 0 for
    /// one that never cosigned it.
    ///
    /// # Errors
    /// [`RequestError::Hash`] if the proof is longer than any can be.
    pub fn new(old: u64, proof: Vec<Hash>, checkpoint: SignedCheckpoint) -> Result<Self, RequestError> {
        if proof.len() > MAX_PROOF_LINES {
            return Err(RequestError::Hash(MAX_PROOF_LINES + 1));
        }
        Ok(Self { old, proof, checkpoint })
    }

    /// The same, with the proof made from the log's hashes.
    ///
    /// # Errors
    /// [`ProofError::OldAboveNew`] if the witness knows a larger tree than is submitted, or the
    /// source's own error.
    pub fn prove<S: HashSource + ?Sized>(
        source: &S,
        old: u64,
        checkpoint: SignedCheckpoint,
    ) -> Result<Self, ProofError<S::Error>> {
        let proof = proof::consistency(source, old, checkpoint.checkpoint().size())?;
        if proof.len() > MAX_PROOF_LINES {
            return Err(ProofError::WrongLength);
        }
        Ok(Self { old, proof, checkpoint })
    }

    /// Reads the body of a request.
    ///
    /// # Errors
    /// [`RequestError`], which knows its HTTP status.
    pub fn parse(body: &[u8]) -> Result<Self, RequestError> {
        if body.len() > MAX_REQUEST_LEN {
            return Err(RequestError::TooLong);
        }
        let text = std::str::from_utf8(body).map_err(|_| RequestError::Syntax)?;
        // None of the lines above the checkpoint is empty: the first blank line ends them.
        let (lines, checkpoint) = text.split_once("\n\n").ok_or(RequestError::Syntax)?;
        let mut lines = lines.split('\n');
        let old = lines.next().and_then(|line| line.strip_prefix("old "));
        let old = old.and_then(encoding::decimal).ok_or(RequestError::OldSize)?;
        let mut proof = Vec::new();
        for (count, line) in lines.enumerate() {
            let hash = encoding::hash(line).filter(|_| count < MAX_PROOF_LINES);
            proof.push(hash.ok_or(RequestError::Hash(count + 1))?);
        }
        let checkpoint = SignedCheckpoint::parse(checkpoint.as_bytes())?;
        Ok(Self { old, proof, checkpoint })
    }

    /// The size that the client takes for the witness's latest.
    #[must_use]
    pub fn old(&self) -> u64 {
        self.old
    }

    /// The consistency proof.
    #[must_use]
    pub fn proof(&self) -> &[Hash] {
        &self.proof
    }

    /// The checkpoint submitted.
    #[must_use]
    pub fn checkpoint(&self) -> &SignedCheckpoint {
        &self.checkpoint
    }

    /// The origin of the log, by which a witness finds its keys and its state.
    #[must_use]
    pub fn origin(&self) -> &str {
        self.checkpoint.checkpoint().origin()
    }

    /// The checkpoint alone.
    #[must_use]
    pub fn into_checkpoint(self) -> SignedCheckpoint {
        self.checkpoint
    }
}

impl fmt::Display for AddCheckpoint {
    /// The body of the request.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "old {}", self.old)?;
        for hash in &self.proof {
            writeln!(f, "{}", encoding::base64(hash.as_bytes()))?;
        }
        write!(f, "\n{}", self.checkpoint)
    }
}

/// What a witness keeps of a log: the size and root that it cosigned last.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Head {
    /// Leaves.
    pub size: u64,
    /// Root at that size.
    pub root: Hash,
}

impl Head {
    /// Whether the log has signed another root for this size: proof of equivocation, whatever
    /// [`decide`] answered (a [`Decision::Conflict`] may hide one), if the signature is good.
    #[must_use]
    pub fn contradicts(&self, checkpoint: &Checkpoint) -> bool {
        checkpoint.size() == self.size && checkpoint.root() != self.root
    }
}

/// What a witness does with a request, each with its HTTP status.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Decision {
    /// 200: persist this head, then cosign, then answer with the [`lines`] of the cosignature. The
    /// head is the previous one again where a client asks for a newer time.
    Cosign(Head),
    /// 404: no key is known for that origin.
    UnknownOrigin,
    /// 403: no known key of the origin has signed, or the signature of one fails.
    BadSignature,
    /// 400: the old size is above the checkpoint's.
    OldAboveSize,
    /// 409: the old size is not that of the last checkpoint cosigned.
    Conflict {
        /// The size of the last checkpoint cosigned; 0 if there is none.
        size: u64,
    },
    /// 422: the consistency proof does not hold, or is not empty from size 0.
    BadProof,
    /// 422: the log has signed another root for the size that was cosigned last. The request's
    /// checkpoint, with the one cosigned, is proof of it.
    OtherRoot,
}

impl Decision {
    /// The HTTP status.
    #[must_use]
    pub fn status(&self) -> u16 {
        match self {
            Self::Cosign(_) => 200,
            Self::OldAboveSize => 400,
            Self::BadSignature => 403,
            Self::UnknownOrigin => 404,
            Self::Conflict { .. } => 409,
            Self::BadProof | Self::OtherRoot => 422,
        }
    }

    /// Content type and body of a refusal that has one: the size, for a [`Conflict`](Self::Conflict).
    #[must_use]
    pub fn refusal(&self) -> Option<(&'static str, String)> {
        match self {
            Self::Conflict { size } => Some((SIZE_TYPE, format!("{size}\n"))),
            _ => None,
        }
    }
}

/// Decides on a request as tlog-witness §add-checkpoint orders its checks. `previous` is what this
/// witness cosigned last for the origin, and `keys` are the log's keys that it trusts; those under
/// another name than the origin count for nothing.
#[must_use]
pub fn decide(previous: Option<Head>, request: &AddCheckpoint, keys: &[VerifierKey]) -> Decision {
    let known = keys.iter().filter(|key| key.name() == request.origin());
    if known.clone().next().is_none() {
        return Decision::UnknownOrigin;
    }
    if request.checkpoint.note().verify(known).is_err() {
        return Decision::BadSignature;
    }
    let new = request.checkpoint.checkpoint();
    if request.old > new.size() {
        return Decision::OldAboveSize;
    }
    let before = previous.unwrap_or_else(|| Head { size: 0, root: empty_root() });
    if request.old != before.size {
        return Decision::Conflict { size: before.size };
    }
    if before.contradicts(new) {
        return Decision::OtherRoot;
    }
    match proof::verify_consistency(&request.proof, before.size, &before.root, new.size(), &new.root()) {
        Ok(()) => Decision::Cosign(Head { size: new.size(), root: new.root() }),
        Err(_) => Decision::BadProof,
    }
}

/// Path of the last checkpoint cosigned for an origin, below a witness's monitoring prefix.
#[must_use]
pub fn monitoring_path(origin: &str) -> String {
    format!("{}/checkpoint", sha256(origin.as_bytes()))
}

#[cfg(test)]
mod tests;
