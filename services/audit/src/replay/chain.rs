//! The two directions of an exchange: the logs of all epochs as one, and how their entries interleave on each side.
//!
//! A side applies its own entries in order, each after those entries of its partner that it had judged by then (`peer`).
//! So each side has one order of both logs; the place of an entry in it is its *step*, and both places follow from the
//! positions alone.

use std::fs::{File, OpenOptions};
use std::io::{self, BufWriter, Write};
use std::os::unix::fs::FileExt;
use std::path::Path;

use crate::history::At;
use crate::verify::ledger::{CHUNK, Rows};
use crate::verify::{Checked, CheckedLog};

/// One log of a direction.
#[derive(Debug, Clone, Copy)]
pub(super) struct Piece {
    /// Its place among the logs of the bundle.
    pub(super) at: usize,
    /// Entries of the direction before it.
    pub(super) base: u64,
    /// Entries of it that are replayed.
    pub(super) len: u64,
}

/// One direction.
#[derive(Debug, Clone)]
pub(super) struct Chain {
    pub(super) pieces: Vec<Piece>,
}

impl Chain {
    /// Entries of it.
    pub(super) fn len(&self) -> u64 {
        self.pieces.last().map_or(0, |piece| piece.base + piece.len)
    }

    /// Place in the direction of an entry of the log at `at`; none if it is not replayed.
    pub(super) fn place(&self, at: usize, index: u64) -> Option<u64> {
        let piece = self.pieces.iter().find(|piece| piece.at == at)?;
        (index < piece.len).then_some(piece.base + index)
    }

    /// Number of entries of the direction that lie before a position.
    fn position(&self, logs: &[CheckedLog], (epoch, size): (u64, u64)) -> u64 {
        let epoch_of = |piece: &&Piece| logs[piece.at].line().origin.epoch;
        match self.pieces.iter().find(|piece| epoch_of(piece) == epoch) {
            Some(piece) => piece.base + size.min(piece.len),
            None => {
                self.pieces.iter().filter(|piece| epoch_of(piece) < epoch).map(|p| p.base + p.len).max().unwrap_or(0)
            }
        }
    }
}

/// Both directions, the origin's first, cut off at `at`.
pub(super) fn chains(
    checked: &Checked,
    other: Option<&Checked>,
    [origin, destination]: [&[usize]; 2],
    at: &At,
) -> io::Result<[Chain; 2]> {
    let chain = |logs: &[usize]| -> io::Result<Chain> {
        let mut pieces: Vec<Piece> = Vec::new();
        for place in logs {
            let log = &checked.logs[*place];
            let twin = other.and_then(|other| other.logs.iter().find(|twin| twin.line().name == log.line().name));
            let held = twin.map_or(log.effective, |twin| twin.line().size.min(log.effective));
            let len = match at {
                At::Time(ms) => until(log, held, *ms)?,
                At::End | At::Index { .. } => held,
            };
            let base = pieces.last().map_or(0, |last| last.base + last.len);
            pieces.push(Piece { at: *place, base, len });
        }
        Ok(Chain { pieces })
    };
    let mut both = [chain(origin)?, chain(destination)?];
    if let At::Index { origin, size } = at {
        cut(&mut both, &checked.logs, origin, *size)?;
    }
    Ok(both)
}

/// Entries before the first one with a later log time.
fn until(log: &CheckedLog, held: u64, ms: u64) -> io::Result<u64> {
    let mut rows = Rows::new(&log.scanned.ledger, held);
    for index in 0..held {
        if rows.at(index)?.is_some_and(|row| row.time_ms > ms) {
            return Ok(index);
        }
    }
    Ok(held)
}

/// Cuts one direction at a size of one of its logs, and the other at what the issuer had judged then.
fn cut(both: &mut [Chain; 2], logs: &[CheckedLog], origin: &str, size: u64) -> io::Result<()> {
    let of = |chain: &Chain| chain.pieces.iter().position(|piece| logs[piece.at].line().name == origin);
    let Some((direction, piece)) = (0..2).find_map(|at| Some((at, of(&both[at])?))) else { return Ok(()) };
    both[direction].pieces.truncate(piece + 1);
    let last = &mut both[direction].pieces[piece];
    last.len = last.len.min(size);
    let (log, len) = (last.at, last.len);
    let peer = match len.checked_sub(1) {
        Some(last) => logs[log].scanned.ledger.row(last)?.peer,
        None => (0, 0),
    };
    let mut left = both[1 - direction].position(logs, peer);
    for piece in &mut both[1 - direction].pieces {
        piece.len = piece.len.min(left);
        left -= piece.len;
    }
    Ok(())
}

/// How much of the partner's direction each entry of one direction had seen.
pub(super) struct Seen {
    file: File,
    /// The same at the end of each run of [`CHUNK`] entries.
    ends: Vec<u64>,
    len: u64,
}

impl Seen {
    pub(super) fn write(logs: &[CheckedLog], own: &Chain, peer: &Chain, path: &Path) -> io::Result<Self> {
        let file = OpenOptions::new().read(true).write(true).create(true).truncate(true).open(path)?;
        let mut out = BufWriter::new(&file);
        let (mut seen, mut ends, mut count) = (0, Vec::new(), 0);
        for piece in &own.pieces {
            let log = &logs[piece.at];
            let mut rows = Rows::new(&log.scanned.ledger, piece.len);
            for index in 0..piece.len {
                if let Some(row) = rows.at(index)?
                    && log.void(index, row).is_none()
                {
                    seen = peer.position(logs, row.peer).max(seen);
                }
                out.write_all(&seen.to_le_bytes())?;
                count += 1;
                if count % CHUNK == 0 {
                    ends.push(seen);
                }
            }
        }
        if count % CHUNK != 0 {
            ends.push(seen);
        }
        out.flush()?;
        drop(out);
        Ok(Self { file, ends, len: own.len() })
    }

    fn run(&self, run: u64) -> io::Result<Vec<u64>> {
        let width = CHUNK.min(self.len.saturating_sub(run * CHUNK)) as usize;
        let mut bytes = vec![0; width * 8];
        self.file.read_exact_at(&mut bytes, run * CHUNK * 8)?;
        Ok(bytes.as_chunks::<8>().0.iter().map(|word| u64::from_le_bytes(*word)).collect())
    }
}

/// Finds steps; fast where indices ascend.
pub(super) struct Steps<'s> {
    seen: &'s Seen,
    run: Option<(u64, Vec<u64>)>,
}

impl<'s> Steps<'s> {
    pub(super) fn new(seen: &'s Seen) -> Self {
        Self { seen, run: None }
    }

    fn at(&mut self, run: u64) -> io::Result<&[u64]> {
        if self.run.as_ref().is_none_or(|(own, _)| *own != run) {
            self.run = Some((run, self.seen.run(run)?));
        }
        Ok(self.run.as_ref().map_or(&[], |(_, run)| run.as_slice()))
    }

    /// Step of the issuer's own entry at this place of its direction.
    pub(super) fn own(&mut self, place: u64) -> io::Result<u64> {
        let at = (place % CHUNK) as usize;
        Ok(place + self.at(place / CHUNK)?.get(at).copied().unwrap_or_default())
    }

    /// Step of the partner's entry at this place of the partner's direction: just before the first own entry that saw it.
    pub(super) fn peer(&mut self, place: u64) -> io::Result<u64> {
        let run = self.seen.ends.partition_point(|end| *end <= place) as u64;
        if run >= self.seen.ends.len() as u64 {
            return Ok(self.seen.len + place);
        }
        let within = self.at(run)?.partition_point(|seen| *seen <= place) as u64;
        Ok(run * CHUNK + within + place)
    }
}
