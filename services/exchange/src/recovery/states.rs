//! What recovery keeps between its steps, on either side.

use convenio_model::Ref;
use convenio_store::{StagedPart, StoreError, Subject, ViewKind};
use prost::Message;

/// The partner's side: path of what is known of the recoveries of one partner under one agreement.
pub(super) fn served(agreement: &str, partner: &str) -> String {
    format!("recovery/{agreement}/{partner}")
}

/// The side that recovers: beginning of the paths that say so. A node does not serve while there is one.
pub(crate) const RECOVERING: &str = "recovering/";

/// Path of what was refilled under one agreement.
pub(super) fn refilled(agreement: &str) -> String {
    format!("{RECOVERING}{agreement}/refilled")
}

/// Path of an entry that is to be issued again.
pub(super) fn tail(agreement: &str, at: u64) -> String {
    format!("{}{at:020}", tails(agreement))
}

/// Beginning of the paths of [`tail`].
pub(super) fn tails(agreement: &str) -> String {
    format!("{RECOVERING}{agreement}/tail/")
}

/// Recoveries of one partner, as this side has honoured them.
#[derive(Clone, PartialEq, Message)]
pub(super) struct Served {
    /// Number of the last request that was honoured; 0 if none was.
    #[prost(uint64, tag = "1")]
    pub honoured: u64,
    /// Challenge that the next request must bear; empty if none was given.
    #[prost(bytes = "vec", tag = "2")]
    pub challenge: Vec<u8>,
    /// Until when, Unix ms.
    #[prost(uint64, tag = "3")]
    pub expires_ms: u64,
    /// SHA-256 of the last request that was honoured.
    #[prost(bytes = "vec", tag = "4")]
    pub last: Vec<u8>,
}

/// What the partner decided about the epochs, kept until the new one is open.
#[derive(Clone, PartialEq, Message)]
pub(super) struct Refill {
    /// Epoch that was granted.
    #[prost(uint64, tag = "1")]
    pub granted: u64,
    /// Mirrored size that EPOCH_OPEN must name.
    #[prost(uint64, tag = "2")]
    pub size: u64,
    /// Root at that size.
    #[prost(bytes = "vec", tag = "3")]
    pub root: Vec<u8>,
    /// Everything was refilled and replayed.
    #[prost(bool, tag = "4")]
    pub done: bool,
    /// How far the refilled own log had judged the partner's: epoch.
    #[prost(uint64, tag = "5")]
    pub peer_epoch: u64,
    /// Size.
    #[prost(uint64, tag = "6")]
    pub peer_size: u64,
}

/// An own entry that had not been mirrored.
#[derive(Clone, PartialEq, Message)]
pub(super) struct TailEntry {
    /// Encoded `Statement`, as it was issued.
    #[prost(bytes = "vec", tag = "1")]
    pub statement: Vec<u8>,
    /// Log and index where it stands in this database; its parts are there.
    #[prost(int64, tag = "2")]
    pub log: i64,
    /// Index.
    #[prost(uint64, tag = "3")]
    pub index: u64,
    /// Its parts, as they are sealed.
    #[prost(message, repeated, tag = "4")]
    pub parts: Vec<TailPart>,
    /// Kind of its subject; 0 if none is known.
    #[prost(uint32, tag = "5")]
    pub subject_kind: u32,
    /// Its subject, 16 bytes.
    #[prost(bytes = "vec", tag = "6")]
    pub subject_id: Vec<u8>,
}

impl TailEntry {
    /// Its subject.
    pub(super) fn subject(&self) -> Option<Subject> {
        let kind = match self.subject_kind {
            1 => ViewKind::Placement,
            2 => ViewKind::Order,
            3 => ViewKind::Agency,
            _ => return None,
        };
        Some(Subject { kind, id: Ref::from_slice(&self.subject_id).ok()? })
    }
}

/// A sealed part.
#[derive(Clone, PartialEq, Message)]
pub(super) struct TailPart {
    /// Data key, 16 bytes.
    #[prost(bytes = "vec", tag = "1")]
    pub key_id: Vec<u8>,
    /// Nonce, ciphertext, tag.
    #[prost(bytes = "vec", tag = "2")]
    pub sealed: Vec<u8>,
}

impl TailPart {
    /// As the sequencer takes it.
    pub(super) fn staged(self) -> Result<StagedPart, StoreError> {
        let key_id = self.key_id.try_into().map_err(|_| StoreError::Corrupt("state"))?;
        Ok(StagedPart { key_id, sealed: self.sealed })
    }
}

/// Reads a state's body.
pub(super) fn read<M: Message + Default>(body: &[u8]) -> Result<M, StoreError> {
    M::decode(body).map_err(|_| StoreError::Corrupt("state"))
}
