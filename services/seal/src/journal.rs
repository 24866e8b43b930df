//! The journal (bitácora interna): what stands in a node's own log of registry changes and reads (exchange-log.md and
//! `convenio/exchange/v1/journal.proto`).

use std::fmt;
use std::str::FromStr;

use aws_lc_rs::digest::{Context, SHA256};
use convenio_wire::exchange::v1::JournalEntry;

use crate::canonical::{self, NotCanonical};
use crate::encoding::decimal;
use crate::name::is_node;
use crate::origin::BadOrigin;

/// Retention class of the parts of a journal.
pub const JOURNAL_CLASS: &str = "journal";

const ROW_LABEL: &[u8] = b"convenio/row/v1\0";

/// Whose journal, and in which epoch: `<node>/journal/<epoch>`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct JournalOrigin {
    /// Node that keeps it.
    pub node: String,
    /// Epoch, 1 to 2^63 − 1.
    pub epoch: u64,
}

impl fmt::Display for JournalOrigin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/journal/{}", self.node, self.epoch)
    }
}

impl FromStr for JournalOrigin {
    type Err = BadOrigin;

    fn from_str(text: &str) -> Result<Self, BadOrigin> {
        let (node, epoch) = text.split_once("/journal/").ok_or(BadOrigin)?;
        let epoch = decimal(epoch).filter(|epoch| (1..=i64::MAX as u64).contains(epoch)).ok_or(BadOrigin)?;
        if !is_node(node) {
            return Err(BadOrigin);
        }
        Ok(Self { node: node.to_owned(), epoch })
    }
}

/// Digest of a registry row: SHA-256 over `"convenio/row/v1\0"`, kind (1 byte), identifier, revision (u64 BE), length of
/// the body (u64 BE) and body. Not salted: it stands in salted, sealed parts only.
#[must_use]
pub fn row_digest(kind: u8, id: &[u8; 16], revision: u64, body: &[u8]) -> [u8; 32] {
    let mut hash = Context::new(&SHA256);
    hash.update(ROW_LABEL);
    hash.update(&[kind]);
    hash.update(id);
    hash.update(&revision.to_be_bytes());
    hash.update(&(body.len() as u64).to_be_bytes());
    hash.update(body);
    let mut out = [0; 32];
    out.copy_from_slice(hash.finish().as_ref());
    out
}

/// Why bytes are no journal entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum JournalError {
    /// Not canonical.
    #[error("journal entry: {0}")]
    Encoding(#[from] NotCanonical),
    /// A field does not have its form.
    #[error("field `{0}` of a journal entry is malformed")]
    Field(&'static str),
}

/// Reads an entry of the journal `origin`: canonical, and of that journal.
///
/// # Errors
/// [`JournalError`].
pub fn journal_entry(bytes: &[u8], origin: &str) -> Result<JournalEntry, JournalError> {
    let entry: JournalEntry = canonical::decode(bytes)?;
    let fields = [
        (entry.version == 1, "version"),
        (entry.log_origin == origin, "log_origin"),
        (entry.record_id.len() == 16, "record_id"),
        (entry.commitment.len() == 32, "commitment"),
    ];
    match fields.into_iter().find(|(fits, _)| !fits) {
        Some((_, field)) => Err(JournalError::Field(field)),
        None => Ok(entry),
    }
}

#[cfg(test)]
mod tests {
    use prost::Message;

    use super::*;

    #[test]
    fn golden_row() {
        // printf 'convenio/row/v1\0' + 0x04 + 16 × 0x07 + u64 BE 3 + u64 BE 4 + 'body' | sha256sum
        let digest = hex::encode(row_digest(4, &[7; 16], 3, b"body"));
        assert_eq!(digest, "e38d8af9fe04040d7ae6f4e9bf183c5dd94a4d53037638b040d40c587bc58343");
        assert_ne!(digest, hex::encode(row_digest(4, &[7; 16], 4, b"body")));
    }

    #[test]
    fn only_the_one_form_is_an_origin_of_a_journal() {
        let text = "node.sv.example/journal/2";
        assert_eq!(text.parse::<JournalOrigin>().map(|origin| origin.to_string()), Ok(text.to_owned()));
        for bad in ["", "node.sv.example/journal/0", "node.sv.example/journal/02", "/journal/1", "a b/journal/1"] {
            assert_eq!(bad.parse::<JournalOrigin>(), Err(BadOrigin), "{bad:?}");
        }
    }

    #[test]
    fn an_entry_of_another_journal_or_with_more_in_it_is_refused() {
        let entry = JournalEntry {
            version: 1,
            log_origin: "node.sv.example/journal/1".into(),
            record_id: vec![1; 16],
            time_ms: 5,
            commitment: vec![2; 32],
        };
        let bytes = entry.encode_to_vec();
        assert_eq!(journal_entry(&bytes, &entry.log_origin), Ok(entry.clone()));
        assert_eq!(journal_entry(&bytes, "node.sv.example/journal/2"), Err(JournalError::Field("log_origin")));
        let more = [bytes.as_slice(), &[0x30, 0x01]].concat();
        assert!(matches!(journal_entry(&more, &entry.log_origin), Err(JournalError::Encoding(_))));
    }
}
