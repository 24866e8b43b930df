//! What a witness answers, on both sides of the wire.

use super::SIZE_TYPE;
use crate::note::{NoteError, NoteSignature};
use crate::{SignatureType, SignedCheckpoint, VerifierKey, encoding};

/// Bytes accepted of an answer: cosignatures of 16 keys of the longest kind.
pub const MAX_ANSWER_LEN: usize = 128 * 1024;

/// Lines accepted of an answer; a witness has few keys.
const MAX_LINES: usize = 16;

/// Why an answer was refused, or brought nothing.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum AnswerError {
    /// Longer than [`MAX_ANSWER_LEN`], or of too many lines.
    #[error("the witness's answer is too long")]
    TooLong,
    /// A 200 that is not one signature line or several.
    #[error("the witness's answer is not signature lines")]
    Lines,
    /// A 409 that is not one decimal, or not of type `text/x.tlog.size`.
    #[error("the witness's conflict names no size")]
    Size,
    /// A status that tlog-witness does not know.
    #[error("the witness answered with status {0}")]
    Status(u16),
    /// No line is by a known witness, or the signature of one fails.
    #[error(transparent)]
    Note(#[from] NoteError),
    /// A cosignature without a time.
    #[error("the witness's cosignature states no time")]
    NoTime,
}

/// An answer as it came; nothing in it is verified, see [`apply`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// 200: the signature lines.
    Cosigned(Vec<NoteSignature>),
    /// 409: the size of the last checkpoint that the witness cosigned. A size above every one that
    /// the log has signed says that the log was rolled back.
    Conflict {
        /// Leaves.
        size: u64,
    },
    /// 400: malformed, or the old size above the checkpoint's.
    Malformed,
    /// 403: not signed by a key that the witness trusts for the origin.
    BadSignature,
    /// 404: the witness does not know the origin.
    UnknownOrigin,
    /// 422: the proof does not hold, or the witness has cosigned another root at that size.
    Inconsistent,
}

impl Answer {
    /// Reads an answer from its HTTP status, content type and body.
    ///
    /// # Errors
    /// [`AnswerError`] on a status, a type or a body that tlog-witness does not know.
    pub fn parse(status: u16, content_type: Option<&str>, body: &[u8]) -> Result<Self, AnswerError> {
        if body.len() > MAX_ANSWER_LEN {
            return Err(AnswerError::TooLong);
        }
        match status {
            200 => Ok(Self::Cosigned(parse_lines(body)?)),
            400 => Ok(Self::Malformed),
            403 => Ok(Self::BadSignature),
            404 => Ok(Self::UnknownOrigin),
            409 if content_type == Some(SIZE_TYPE) => parse_size(body).ok_or(AnswerError::Size),
            409 => Err(AnswerError::Size),
            422 => Ok(Self::Inconsistent),
            other => Err(AnswerError::Status(other)),
        }
    }
}

/// The body of a 200: each signature on its line.
#[must_use]
pub fn lines<'s, I: IntoIterator<Item = &'s NoteSignature>>(signatures: I) -> String {
    signatures.into_iter().map(NoteSignature::to_string).collect()
}

/// Adds the cosignatures of known witnesses to a checkpoint, and returns how many lines are new on
/// it. Lines of other keys are left out; if the signature of a known witness fails, or states no
/// time, nothing is added.
///
/// # Errors
/// [`AnswerError::Note`] if no line is by a known witness, a known one's fails, or the checkpoint
/// has no room; [`AnswerError::NoTime`].
pub fn apply(
    checkpoint: &mut SignedCheckpoint,
    answer: &[NoteSignature],
    witnesses: &[VerifierKey],
) -> Result<usize, AnswerError> {
    let mut cosigned = checkpoint.clone();
    let mut known = false;
    for line in answer {
        let mut keys = witnesses.iter().filter(|key| key.signature_type() == SignatureType::CosignatureV1);
        let Some(key) = keys.find(|key| line.is_by(key)) else { continue };
        let time = key.verify(checkpoint.note().text(), line.signature())?;
        if time.is_none_or(|time| time == 0) {
            return Err(AnswerError::NoTime);
        }
        cosigned.add(line.clone())?;
        known = true;
    }
    if !known {
        return Err(NoteError::NoKnownSignature.into());
    }
    let added = cosigned.note().signatures().len() - checkpoint.note().signatures().len();
    *checkpoint = cosigned;
    Ok(added)
}

fn parse_lines(body: &[u8]) -> Result<Vec<NoteSignature>, AnswerError> {
    let text = std::str::from_utf8(body).map_err(|_| AnswerError::Lines)?;
    let mut signatures = Vec::new();
    for line in text.split_inclusive('\n') {
        if signatures.len() == MAX_LINES {
            return Err(AnswerError::TooLong);
        }
        signatures.push(NoteSignature::parse_line(line).map_err(|_| AnswerError::Lines)?);
    }
    if signatures.is_empty() { Err(AnswerError::Lines) } else { Ok(signatures) }
}

fn parse_size(body: &[u8]) -> Option<Answer> {
    let size = std::str::from_utf8(body).ok()?.strip_suffix('\n')?;
    Some(Answer::Conflict { size: encoding::decimal(size)? })
}
