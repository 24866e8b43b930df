//! What is kept of each entry: a row of fixed length in a file, so that logs of any length need no memory.

use std::fs::{File, OpenOptions};
use std::os::unix::fs::FileExt;
use std::path::Path;

use convenio_wire::exchange::v1::Statement;

use super::Kind;

/// Bytes of a row.
pub(crate) const ROW: usize = 64;
/// Entries of a chunk.
pub(crate) const CHUNK: u64 = 256;

/// What an entry's own form says against it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Fault {
    /// Nothing.
    None = 0,
    /// Its signature does not verify, or is not one.
    BadSignature = 1,
    /// It is signed by a key that no manifest of the issuer names.
    UnknownKey = 2,
    /// It is not canonical.
    NonCanonical = 3,
    /// Its header speaks of another log, issuer, recipient or version.
    Header = 4,
    /// Its commitments or body are not those of its kind.
    Body = 5,
}

impl Fault {
    fn of(byte: u8) -> Self {
        match byte {
            0 => Self::None,
            1 => Self::BadSignature,
            2 => Self::UnknownKey,
            3 => Self::NonCanonical,
            4 => Self::Header,
            _ => Self::Body,
        }
    }
}

/// What is kept of an entry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Meta {
    pub(crate) record_id: [u8; 16],
    pub(crate) kind: Kind,
    pub(crate) fault: Fault,
    /// Number of commitments.
    pub(crate) parts: u8,
    /// Parts that the bundle does not hold, a bit each.
    pub(crate) missing: u16,
    /// Position in the partner's log: epoch, size.
    pub(crate) peer: (u64, u64),
    /// 0 for none, else one more than the place of its digest among the packs; 255 for another digest.
    pub(crate) digest: u8,
    pub(crate) time_ms: u64,
    /// First bytes of the id of the key that signed.
    pub(crate) key: u64,
}

impl Meta {
    pub(crate) fn unreadable(kind: Kind) -> Self {
        let fault = Fault::NonCanonical;
        Self { record_id: [0; 16], kind, fault, parts: 0, missing: 0, peer: (0, 0), digest: 0, time_ms: 0, key: 0 }
    }

    pub(crate) fn of(statement: &Statement, kind: Kind, parts: usize, digest: u8, key: u64) -> Self {
        Self {
            record_id: statement.record_id.as_slice().try_into().unwrap_or_default(),
            kind,
            fault: Fault::None,
            parts: u8::try_from(parts).unwrap_or(u8::MAX),
            missing: 0,
            peer: statement.peer.as_ref().map_or((0, 0), |peer| (peer.epoch, peer.size)),
            digest,
            time_ms: statement.time_ms,
            key,
        }
    }

    fn write(&self, row: &mut [u8; ROW]) {
        row[..16].copy_from_slice(&self.record_id);
        row[16..24].copy_from_slice(&self.time_ms.to_le_bytes());
        row[24..32].copy_from_slice(&self.peer.0.to_le_bytes());
        row[32..40].copy_from_slice(&self.peer.1.to_le_bytes());
        row[40..48].copy_from_slice(&self.key.to_le_bytes());
        row[48..50].copy_from_slice(&self.missing.to_le_bytes());
        row[50] = self.kind as u8;
        row[51] = self.fault as u8;
        row[52] = self.parts;
        row[53] = self.digest;
    }

    fn read(row: &[u8; ROW]) -> Self {
        let word = |at: usize| u64::from_le_bytes(row[at..at + 8].try_into().unwrap_or_default());
        Self {
            record_id: row[..16].try_into().unwrap_or_default(),
            time_ms: word(16),
            peer: (word(24), word(32)),
            key: word(40),
            missing: u16::from_le_bytes([row[48], row[49]]),
            kind: Kind::of(row[50]),
            fault: Fault::of(row[51]),
            parts: row[52],
            digest: row[53],
        }
    }
}

/// The rows of a log.
#[derive(Debug)]
pub(crate) struct Ledger {
    file: File,
}

impl Ledger {
    pub(crate) fn open(path: &Path) -> std::io::Result<Self> {
        let file = OpenOptions::new().read(true).write(true).create(true).truncate(false).open(path)?;
        Ok(Self { file })
    }

    /// Writes the rows of a chunk; returns their bytes.
    pub(crate) fn write(&self, chunk: u64, metas: &[Meta]) -> std::io::Result<Vec<u8>> {
        let mut bytes = vec![0; metas.len() * ROW];
        for (meta, row) in metas.iter().zip(bytes.as_chunks_mut::<ROW>().0) {
            meta.write(row);
        }
        self.file.write_all_at(&bytes, chunk * CHUNK * ROW as u64)?;
        Ok(bytes)
    }

    /// The bytes of the rows of a chunk with `width` entries.
    pub(crate) fn bytes(&self, chunk: u64, width: usize) -> std::io::Result<Vec<u8>> {
        let mut bytes = vec![0; width * ROW];
        self.file.read_exact_at(&mut bytes, chunk * CHUNK * ROW as u64)?;
        Ok(bytes)
    }

    /// The rows of a chunk with `width` entries.
    pub(crate) fn chunk(&self, chunk: u64, width: usize) -> std::io::Result<Vec<Meta>> {
        Ok(self.bytes(chunk, width)?.as_chunks::<ROW>().0.iter().map(Meta::read).collect())
    }

    /// One row.
    pub(crate) fn row(&self, index: u64) -> std::io::Result<Meta> {
        let mut row = [0; ROW];
        self.file.read_exact_at(&mut row, index * ROW as u64)?;
        Ok(Meta::read(&row))
    }
}

/// Reads rows in order, and back again where asked.
pub(crate) struct Rows<'l> {
    ledger: &'l Ledger,
    size: u64,
    chunk: u64,
    rows: Vec<Meta>,
}

impl<'l> Rows<'l> {
    pub(crate) fn new(ledger: &'l Ledger, size: u64) -> Self {
        Self { ledger, size, chunk: u64::MAX, rows: Vec::new() }
    }

    /// The row at `index`; none past the end.
    pub(crate) fn at(&mut self, index: u64) -> std::io::Result<Option<&Meta>> {
        if index >= self.size {
            return Ok(None);
        }
        if self.chunk != index / CHUNK {
            let chunk = index / CHUNK;
            self.rows = self.ledger.chunk(chunk, CHUNK.min(self.size - chunk * CHUNK) as usize)?;
            self.chunk = chunk;
        }
        Ok(self.rows.get((index % CHUNK) as usize))
    }
}
