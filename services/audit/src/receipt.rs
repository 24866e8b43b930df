//! A receipt: one record with all that proves it to whoever has the trust file, in one file.
//!
//! JSON, `convenio-receipt/v1`, no member unknown, bytes in canonical base64:
//!
//! ```text
//! {
//!   "format": "convenio-receipt/v1",
//!   "record_id": "<32 hexadecimal digits>",
//!   "record": { "entry": "<base64>", "proof": "<C2SP tlog-proof of it>" },
//!   "issuer": [ … ],       EPOCH_OPEN of the record's log and each KEY_ROTATE below the head, ascending, likewise
//!   "recipient": [ … ],    the same of the recipient's log, up to the keys of the mirror that cosigned
//!   "parts": [ { "salt": "<base64>", "part": "<base64>" } or null, … ]     only if asked for; null where erased
//! }
//! ```
//!
//! All proofs of one log lead to one head. That of the record's log is signed by the issuer's log key and cosigned by the
//! recipient's mirror: the record was *delivered*. Whether it was accepted stands in an OUTCOME and not here. A key that
//! was revoked after the receipt was made is not seen in it: a full audit sees that.

mod check;
mod make;

use std::path::Path;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use convenio_log::TlogProof;
use serde::{Deserialize, Serialize};

use crate::problem::Unusable;

pub use check::{CheckedReceipt, Refused, check};
pub use make::prove;

/// `format` of the file.
pub const FORMAT: &str = "convenio-receipt/v1";
/// Largest receipt, bytes.
pub const MAX_RECEIPT: usize = 4 * 1024 * 1024;
/// Most entries of one chain of keys.
pub(crate) const MAX_KEYS: usize = 1_000;

/// An entry with the proof that it stands in its log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Proved {
    /// The entry's bytes.
    pub entry: Vec<u8>,
    /// The proof.
    pub proof: TlogProof,
}

/// A part with its salt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Opened {
    /// Salt of the commitment.
    pub salt: Vec<u8>,
    /// Encoded part.
    pub part: Vec<u8>,
}

/// A receipt of the right form; nothing in it is verified.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Receipt {
    /// Record.
    pub record_id: Vec<u8>,
    /// Its entry.
    pub record: Proved,
    /// What authorises the issuer's keys.
    pub issuer: Vec<Proved>,
    /// What authorises the recipient's keys.
    pub recipient: Vec<Proved>,
    /// Its parts, if the receipt carries them.
    pub parts: Option<Vec<Option<Opened>>>,
}

/// A file is no receipt.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not a receipt `{FORMAT}`: {0}")]
pub struct NotAReceipt(&'static str);

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    format: String,
    record_id: String,
    record: ProvedText,
    issuer: Vec<ProvedText>,
    recipient: Vec<ProvedText>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    parts: Option<Vec<Option<OpenedText>>>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct ProvedText {
    entry: String,
    proof: String,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct OpenedText {
    salt: String,
    part: String,
}

impl Receipt {
    /// Reads a receipt strictly.
    ///
    /// # Errors
    /// [`NotAReceipt`].
    pub fn parse(json: &[u8]) -> Result<Self, NotAReceipt> {
        if json.len() > MAX_RECEIPT {
            return Err(NotAReceipt("longer than 4 MiB"));
        }
        let file: File = serde_json::from_slice(json).map_err(|_| NotAReceipt("not its JSON form"))?;
        if file.format != FORMAT {
            return Err(NotAReceipt("member `format`"));
        }
        if file.issuer.len() > MAX_KEYS || file.recipient.len() > MAX_KEYS {
            return Err(NotAReceipt("too many keys"));
        }
        let record_id =
            hex::decode(&file.record_id).ok().filter(|id| id.len() == 16 && hex::encode(id) == file.record_id);
        let chain = |list: &[ProvedText]| list.iter().map(ProvedText::read).collect::<Result<Vec<_>, _>>();
        let parts = file.parts.map(|parts| {
            let one = |part: &Option<OpenedText>| part.as_ref().map(OpenedText::read).transpose();
            parts.iter().map(one).collect::<Result<Vec<_>, _>>()
        });
        Ok(Self {
            record_id: record_id.ok_or(NotAReceipt("member `record_id`"))?,
            record: file.record.read()?,
            issuer: chain(&file.issuer)?,
            recipient: chain(&file.recipient)?,
            parts: parts.transpose()?,
        })
    }

    /// Reads a file.
    ///
    /// # Errors
    /// [`Unusable`].
    pub fn load(path: &Path) -> Result<Self, Unusable> {
        let json = crate::bundle::read_bounded(path, MAX_RECEIPT as u64);
        let json = json.map_err(|source| Unusable::Io { path: path.to_owned(), source })?;
        Self::parse(&json).map_err(|error| Unusable::Form { path: path.to_owned(), problem: error.to_string() })
    }

    /// The JSON form, with a final newline.
    #[must_use]
    pub fn to_json(&self) -> String {
        let chain = |list: &[Proved]| list.iter().map(Proved::text).collect();
        let opened = |part: &Opened| OpenedText {
            salt: BASE64_STANDARD.encode(&part.salt),
            part: BASE64_STANDARD.encode(&part.part),
        };
        let file = File {
            format: FORMAT.to_owned(),
            record_id: hex::encode(&self.record_id),
            record: self.record.text(),
            issuer: chain(&self.issuer),
            recipient: chain(&self.recipient),
            parts: self.parts.as_ref().map(|parts| parts.iter().map(|part| part.as_ref().map(opened)).collect()),
        };
        serde_json::to_string_pretty(&file).expect("texts always serialise") + "\n"
    }
}

impl Proved {
    fn text(&self) -> ProvedText {
        ProvedText { entry: BASE64_STANDARD.encode(&self.entry), proof: self.proof.to_string() }
    }
}

impl ProvedText {
    fn read(&self) -> Result<Proved, NotAReceipt> {
        let entry = BASE64_STANDARD.decode(&self.entry).map_err(|_| NotAReceipt("member `entry`"))?;
        let proof = TlogProof::parse(self.proof.as_bytes()).map_err(|_| NotAReceipt("member `proof`"))?;
        // What nobody signed has no place in a receipt.
        if proof.extra().is_some() || proof.to_string() != self.proof {
            return Err(NotAReceipt("member `proof`"));
        }
        Ok(Proved { entry, proof })
    }
}

impl OpenedText {
    fn read(&self) -> Result<Opened, NotAReceipt> {
        let salt = BASE64_STANDARD.decode(&self.salt).map_err(|_| NotAReceipt("member `salt`"))?;
        let part = BASE64_STANDARD.decode(&self.part).map_err(|_| NotAReceipt("member `part`"))?;
        if salt.len() == 32 { Ok(Opened { salt, part }) } else { Err(NotAReceipt("member `salt`")) }
    }
}
