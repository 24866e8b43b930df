//! Entries of a log: a signed statement, read back only in its canonical form.

use convenio_wire::exchange::v1::{Entry, Statement};
use convenio_wire::{MAX_ENTRY, STATEMENT_TYPE};
use prost::Message;

use crate::canonical::{self, NotCanonical};
use crate::dsse::{pae, sign};
use crate::key::{PublicKey, SigningKey};

/// What is wrong with an entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum EntryError {
    /// Longer than 65,535 bytes.
    #[error("an entry is longer than 65535 bytes")]
    TooLarge,
    /// Entry or statement does not decode.
    #[error("not an encoded entry with a statement")]
    Malformed,
    /// Entry or statement differs from its deterministic re-encoding.
    #[error("an entry differs from its deterministic re-encoding")]
    NonCanonical,
    /// No signature.
    #[error("an entry has no signature")]
    Unsigned,
    /// More than the one signature of the record key.
    #[error("an entry has more than one signature")]
    ExtraSignature,
    /// The signature names another key.
    #[error("an entry is signed by another key than the record key in force")]
    UnknownKey,
    /// The signature does not verify.
    #[error("the signature of an entry does not verify")]
    BadSignature,
}

impl EntryError {
    /// The coarse code that stands in the log (exchange-log.md, rejection reasons).
    #[must_use]
    pub fn reason(self) -> &'static str {
        match self {
            Self::TooLarge | Self::Malformed | Self::NonCanonical => "NON_CANONICAL",
            Self::UnknownKey => "UNKNOWN_KEY",
            Self::Unsigned | Self::ExtraSignature | Self::BadSignature => "BAD_SIGNATURE",
        }
    }
}

/// An entry in canonical form; its signature is not verified yet ([`verify_entry`]).
#[derive(Debug, Clone, PartialEq)]
pub struct OpenEntry {
    /// The entry as decoded. `entry.statement` are the signed bytes.
    pub entry: Entry,
    /// The statement inside.
    pub statement: Statement,
}

impl OpenEntry {
    /// The signed bytes.
    #[must_use]
    pub fn statement_bytes(&self) -> &[u8] {
        &self.entry.statement
    }
}

/// Encodes and signs a statement: the bytes of its entry.
///
/// # Errors
/// [`EntryError::TooLarge`].
pub fn seal_entry(statement: &Statement, key: &SigningKey) -> Result<Vec<u8>, EntryError> {
    if statement.encoded_len() > MAX_ENTRY {
        return Err(EntryError::TooLarge);
    }
    let statement = statement.encode_to_vec();
    let signatures = vec![sign(STATEMENT_TYPE, &statement, key)];
    let entry = Entry { statement, signatures }.encode_to_vec();
    if entry.len() > MAX_ENTRY {
        return Err(EntryError::TooLarge);
    }
    Ok(entry)
}

/// Opens an entry and demands the canonical form on both levels.
///
/// # Errors
/// [`EntryError::TooLarge`], [`EntryError::Malformed`], [`EntryError::NonCanonical`].
pub fn open_entry(bytes: &[u8]) -> Result<OpenEntry, EntryError> {
    if bytes.len() > MAX_ENTRY {
        return Err(EntryError::TooLarge);
    }
    let entry: Entry = canonical::decode(bytes).map_err(refusal)?;
    let statement: Statement = canonical::decode(&entry.statement).map_err(refusal)?;
    Ok(OpenEntry { entry, statement })
}

/// Whether the bytes are the canonical form of an entry.
///
/// # Errors
/// Those of [`open_entry`].
pub fn canonical(bytes: &[u8]) -> Result<(), EntryError> {
    open_entry(bytes).map(drop)
}

/// What an entry claims to hold, unjudged, if it decodes at all. Only to tell how a refused entry is answered (an OUTCOME
/// covers RECORDs alone); never to act on.
#[must_use]
pub fn claimed_statement(bytes: &[u8]) -> Option<Statement> {
    if bytes.len() > MAX_ENTRY {
        return None;
    }
    Statement::decode(Entry::decode(bytes).ok()?.statement.as_slice()).ok()
}

/// Demands exactly one signature, by the record key `key`, over the statement's bytes.
///
/// # Errors
/// [`EntryError::Unsigned`], [`EntryError::ExtraSignature`], [`EntryError::UnknownKey`], [`EntryError::BadSignature`].
pub fn verify_entry(open: &OpenEntry, key: &PublicKey) -> Result<(), EntryError> {
    let signature = match open.entry.signatures.as_slice() {
        [] => return Err(EntryError::Unsigned),
        [signature] => signature,
        _ => return Err(EntryError::ExtraSignature),
    };
    if signature.key_id != key.key_id() {
        return Err(EntryError::UnknownKey);
    }
    let message = pae(STATEMENT_TYPE, &open.entry.statement);
    key.verify(&message, &signature.sig).then_some(()).ok_or(EntryError::BadSignature)
}

fn refusal(error: NotCanonical) -> EntryError {
    match error {
        NotCanonical::Malformed => EntryError::Malformed,
        NotCanonical::Differs => EntryError::NonCanonical,
    }
}

#[cfg(test)]
mod tests;
