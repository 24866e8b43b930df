//! Records by subject: written once while the logs are read, then taken up a small share at a time.

use std::io;
use std::path::Path;

use convenio_agreement::act::Detail;
use convenio_wire::exchange::v1::RejectDetail;
use prost::Message;

use crate::verify::shares::{self, Shares};

/// A RECORD as both sides meet it.
#[derive(Clone, PartialEq, Message)]
pub(super) struct Spooled {
    /// Place of its log among those of the bundle.
    #[prost(uint32, tag = "1")]
    pub(super) log: u32,
    #[prost(uint64, tag = "2")]
    pub(super) index: u64,
    #[prost(bool, tag = "3")]
    pub(super) by_origin: bool,
    /// Step at its issuer.
    #[prost(uint64, tag = "4")]
    pub(super) own_step: u64,
    /// Step at its recipient.
    #[prost(uint64, tag = "5")]
    pub(super) peer_step: u64,
    #[prost(bytes = "vec", tag = "6")]
    pub(super) record_id: Vec<u8>,
    #[prost(uint64, tag = "7")]
    pub(super) time_ms: u64,
    #[prost(bytes = "vec", tag = "8")]
    pub(super) digest: Vec<u8>,
    /// Encoded parts, empty where none is held.
    #[prost(bytes = "vec", repeated, tag = "9")]
    pub(super) parts: Vec<Vec<u8>>,
    #[prost(message, optional, tag = "10")]
    pub(super) decision: Option<Decided>,
}

/// What became of it.
#[derive(Clone, PartialEq, Message)]
pub(super) struct Decided {
    /// Step of the OUTCOME at the record's issuer.
    #[prost(uint64, tag = "1")]
    pub(super) step: u64,
    /// Where the OUTCOME stands.
    #[prost(uint32, tag = "2")]
    pub(super) log: u32,
    #[prost(uint64, tag = "3")]
    pub(super) index: u64,
    /// Empty if it was accepted.
    #[prost(string, tag = "4")]
    pub(super) reason: String,
    /// What its part tells besides; none if that is erased.
    #[prost(message, optional, tag = "5")]
    pub(super) told: Option<RejectDetail>,
}

impl Decided {
    /// What it tells besides the reason.
    pub(super) fn detail(&self) -> Detail {
        self.told.clone().map(Detail::from).unwrap_or_default()
    }
}

/// A change that concerns a job order, at one side.
#[derive(Clone, PartialEq, Message)]
pub(super) struct OrderEvent {
    #[prost(bytes = "vec", tag = "1")]
    pub(super) order: Vec<u8>,
    #[prost(bool, tag = "2")]
    pub(super) at_origin: bool,
    #[prost(uint64, tag = "3")]
    pub(super) step: u64,
    /// Seats taken (1) or given back (-1).
    #[prost(sint32, tag = "4")]
    pub(super) seats: i32,
    /// Placement whose demand changed; empty for seats.
    #[prost(bytes = "vec", tag = "5")]
    pub(super) placement: Vec<u8>,
    #[prost(bool, tag = "6")]
    pub(super) waits: bool,
    #[prost(bool, tag = "7")]
    pub(super) holds: bool,
    /// Index of the record that changed it: an OUTCOME decides several at one step.
    #[prost(uint64, tag = "8")]
    pub(super) index: u64,
}

/// Messages by share, on disk.
pub(super) struct Spool(Shares);

impl Spool {
    /// A spool that so many workers fill.
    pub(super) fn create(path: &Path, shares: usize, workers: usize) -> io::Result<Self> {
        Shares::create(path, shares, workers).map(Self)
    }

    pub(super) fn shares(&self) -> usize {
        self.0.count()
    }

    pub(super) fn writer(&self) -> Writer<'_> {
        Writer { shares: self.shares(), out: self.0.writer() }
    }

    /// Everything of one share, in no order.
    pub(super) fn read<M: Message + Default>(&self, share: usize) -> io::Result<Vec<M>> {
        let mut found = Vec::new();
        self.0.read(share, |mut block| {
            while !block.is_empty() {
                found.push(M::decode_length_delimited(&mut block).map_err(io::Error::other)?);
            }
            Ok(())
        })?;
        Ok(found)
    }
}

/// Writes to the shares.
pub(super) struct Writer<'s> {
    shares: usize,
    out: shares::Writer<'s>,
}

impl Writer<'_> {
    /// Adds a message to the share of `key`.
    pub(super) fn push(&mut self, key: &[u8], message: &impl Message) -> io::Result<()> {
        let encode = |block: &mut Vec<u8>| message.encode_length_delimited(block).map_err(io::Error::other);
        self.out.push(share(key, self.shares), encode)
    }

    pub(super) fn finish(self) -> io::Result<()> {
        self.out.finish()
    }
}

/// FNV-1a: where a key goes is the same in every run.
fn share(key: &[u8], shares: usize) -> usize {
    let hash = key
        .iter()
        .fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3));
    (hash % shares as u64) as usize
}
