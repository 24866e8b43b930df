//! The chunks of all logs, checked on every core; what is kept of them goes to files, so that a run can be resumed.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::FileExt;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

use convenio_log::tile::{EntryTile, Tile, entry_tiles};
use convenio_log::{Hash, MemoryTree};
use convenio_seal::canonical;
use convenio_wire::exchange::v1::Statement;
use convenio_wire::exchange::v1::statement::Body;

use super::chunk::{self, Chunk, Scope, next_special};
use super::ledger::{CHUNK, Ledger};
use super::store::{Heap, Work};
use crate::audit::{Options, Progress};
use crate::bundle::{LogLine, log_folder, on_every_core, sha256};
use crate::keys::rotated;
use crate::problem::Problems;

/// Bytes that the state keeps of a chunk.
const ROW: usize = 64;
/// Entries between two reports of progress.
const REPORTED: u64 = 16_384;

/// What is remembered of a chunk.
#[derive(Debug, Clone, Copy, Default)]
struct Slot {
    done: bool,
    /// Root of its leaves.
    root: [u8; 32],
    specials: (u64, u32),
    /// First bytes of SHA-256 over what is kept of it.
    sum: u64,
}

impl Slot {
    fn write(&self) -> [u8; ROW] {
        let mut row = [0; ROW];
        row[0] = u8::from(self.done);
        row[4..8].copy_from_slice(&self.specials.1.to_le_bytes());
        row[8..16].copy_from_slice(&self.specials.0.to_le_bytes());
        row[16..24].copy_from_slice(&self.sum.to_le_bytes());
        row[32..].copy_from_slice(&self.root);
        row
    }

    fn read(row: &[u8; ROW]) -> Self {
        let word = |at: usize| u64::from_le_bytes(row[at..at + 8].try_into().unwrap_or_default());
        let length = u32::from_le_bytes(row[4..8].try_into().unwrap_or_default());
        let root = row[32..].try_into().unwrap_or_default();
        Self { done: row[0] == 1, root, specials: (word(8), length), sum: word(16) }
    }
}

/// A log whose entries were checked one by one.
pub(crate) struct Scanned {
    pub(crate) line: LogLine,
    pub(crate) ledger: Ledger,
    specials: Heap,
    state: File,
    slots: Mutex<Vec<Slot>>,
    /// Roots of the full chunks, in order; set by [`Scanned::settle`].
    pub(crate) chunks: MemoryTree,
    /// Entries that could be read, from the first on.
    pub(crate) readable: u64,
}

impl Scanned {
    fn open(line: &LogLine, at: usize, work: &Work) -> io::Result<Self> {
        let ledger = Ledger::open(&work.path(&format!("ledger-{at}")))?;
        let specials = Heap::open(&work.path(&format!("specials-{at}")))?;
        let path = work.path(&format!("chunks-{at}"));
        let state = OpenOptions::new().read(true).write(true).create(true).truncate(false).open(path)?;
        let count = usize::try_from(line.size.div_ceil(CHUNK)).map_err(io::Error::other)?;
        let slots = Mutex::new(vec![Slot::default(); count]);
        let chunks = MemoryTree::new();
        Ok(Self { line: line.clone(), ledger, specials, state, slots, chunks, readable: 0 })
    }

    /// Entries of a chunk.
    pub(crate) fn width(&self, chunk: u64) -> usize {
        CHUNK.min(self.line.size.saturating_sub(chunk * CHUNK)) as usize
    }

    /// Number of chunks.
    pub(crate) fn count(&self) -> u64 {
        self.line.size.div_ceil(CHUNK)
    }

    fn slot(&self, chunk: u64) -> Slot {
        let slots = self.slots.lock().unwrap_or_else(PoisonError::into_inner);
        usize::try_from(chunk).ok().and_then(|chunk| slots.get(chunk)).copied().unwrap_or_default()
    }

    fn keep(&self, chunk: u64, found: &Chunk) -> io::Result<()> {
        let rows = self.ledger.write(chunk, &found.metas)?;
        let specials = (self.specials.append(&found.specials)?, found.specials.len() as u32);
        let tree: MemoryTree = found.leaves.iter().copied().collect();
        let done = found.problems.count() == 0 && !found.unknown_key && found.metas.len() == self.width(chunk);
        let slot = Slot { done, root: tree.root().into(), specials, sum: sum(&rows, &found.specials) };
        self.state.write_all_at(&slot.write(), chunk * ROW as u64)?;
        let mut slots = self.slots.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(own) = usize::try_from(chunk).ok().and_then(|chunk| slots.get_mut(chunk)) {
            *own = slot;
        }
        Ok(())
    }

    /// Takes up what an earlier run left, as far as it is whole; returns the chunks.
    fn resume(&self, scope: &Scope<'_>) -> io::Result<Vec<u64>> {
        let mut done = Vec::new();
        for chunk in 0..self.count() {
            let mut row = [0; ROW];
            if self.state.read_exact_at(&mut row, chunk * ROW as u64).is_err() {
                break;
            }
            let slot = Slot::read(&row);
            if !slot.done || slot.specials.0 + u64::from(slot.specials.1) > self.specials.len() {
                continue;
            }
            let rows = self.ledger.bytes(chunk, self.width(chunk));
            let specials = self.specials.read(slot.specials.0, slot.specials.1 as usize)?;
            if !rows.is_ok_and(|rows| sum(&rows, &specials) == slot.sum) {
                continue;
            }
            for statement in statements(&specials).map(|(_, statement)| statement) {
                if let Some(Body::KeyRotate(rotate)) = &statement.body
                    && let Ok(keys) = rotated(rotate, &self.line, scope.trust)
                {
                    scope.book.add_rotated(keys);
                }
            }
            self.mark(scope, chunk);
            self.slots.lock().unwrap_or_else(PoisonError::into_inner)[chunk as usize] = slot;
            done.push(chunk);
        }
        Ok(done)
    }

    fn mark(&self, scope: &Scope<'_>, chunk: u64) {
        let folder = log_folder(&self.line.name);
        let Some(entries) = EntryTile::at(chunk, self.line.size) else { return };
        let leaves = Tile::at(0, chunk, self.line.size).map(|tile| format!("{folder}{tile}"));
        let parts = super::parts::path(&self.line, entries);
        for path in [Some(format!("{folder}{entries}")), leaves, Some(parts)].into_iter().flatten() {
            scope.bundle.mark(&path);
        }
    }

    /// Entries that are no RECORD, with their indices, of one chunk.
    pub(crate) fn specials(&self, chunk: u64) -> io::Result<Vec<(u64, Statement)>> {
        let slot = self.slot(chunk);
        let bytes = self.specials.read(slot.specials.0, slot.specials.1 as usize)?;
        Ok(statements(&bytes).map(|(at, statement)| (chunk * CHUNK + u64::from(at), statement)).collect())
    }

    /// Likewise of the whole log, in order.
    pub(crate) fn all_specials(&self) -> impl Iterator<Item = io::Result<(u64, Statement)>> {
        (0..self.readable.div_ceil(CHUNK)).flat_map(|chunk| match self.specials(chunk) {
            Ok(found) => found.into_iter().map(Ok).collect::<Vec<_>>(),
            Err(error) => vec![Err(error)],
        })
    }

    /// Puts the chunks together; a chunk that could not be read ends what can be said.
    fn settle(&mut self, read: &[bool]) {
        for (chunk, read) in (0u64..).zip(read) {
            if !read {
                break;
            }
            self.readable += self.width(chunk) as u64;
            if self.width(chunk) as u64 == CHUNK {
                self.chunks.append(Hash::from(self.slot(chunk).root));
            }
        }
    }
}

/// The canonical statements of a chunk's specials; those were decoded once, so none is left out.
fn statements(mut bytes: &[u8]) -> impl Iterator<Item = (u16, Statement)> {
    std::iter::from_fn(move || {
        let (at, statement) = next_special(&mut bytes)?;
        Some((at, canonical::decode(statement).unwrap_or_default()))
    })
}

fn sum(rows: &[u8], specials: &[u8]) -> u64 {
    let (rows, specials) = (sha256(rows), sha256(specials));
    let first = |hash: &[u8; 32]| hash.first_chunk().map_or(0, |first| u64::from_le_bytes(*first));
    first(&rows) ^ first(&specials).rotate_left(1)
}

/// Checks every chunk of every log; what is done already is not done again.
pub(super) fn run(
    scope: &Scope<'_>,
    work: &Work,
    options: &Options,
    problems: &mut Problems,
) -> io::Result<Vec<Scanned>> {
    let lines = scope.bundle.manifest().logs.iter().enumerate();
    let mut logs = lines.map(|(at, line)| Scanned::open(line, at, work)).collect::<io::Result<Vec<_>>>()?;
    let mut read: Vec<Vec<bool>> = Vec::new();
    let mut jobs: Vec<(usize, u64)> = Vec::new();
    let mut done = 0;
    for (at, log) in logs.iter().enumerate() {
        let mut own = vec![false; usize::try_from(log.count()).map_err(io::Error::other)?];
        if options.resume {
            for chunk in log.resume(scope)? {
                own[chunk as usize] = true;
                done += log.width(chunk) as u64;
            }
        }
        // A size that the bundle's own files cannot fill ends at the first entry bundle that is not listed.
        let folder = log_folder(&log.line.name);
        let listed = entry_tiles(log.line.size).take_while(|tile| scope.bundle.lists(&format!("{folder}{tile}")));
        jobs.extend(listed.map(|tile| tile.index()).filter(|chunk| !own[*chunk as usize]).map(|chunk| (at, chunk)));
        read.push(own);
    }
    let total = logs.iter().map(|log| log.line.size).sum();
    let mut passes = Passes { scope, logs: &logs, options, done: AtomicU64::new(done), total };
    for (at, chunk) in passes.run(jobs, problems)? {
        read[at][chunk as usize] = true;
    }
    for (log, read) in logs.iter_mut().zip(&read) {
        log.settle(read);
    }
    Ok(logs)
}

struct Passes<'s> {
    scope: &'s Scope<'s>,
    logs: &'s [Scanned],
    options: &'s Options,
    done: AtomicU64,
    total: u64,
}

/// What a worker tells of a chunk.
struct Told {
    at: usize,
    chunk: u64,
    read: bool,
    again: bool,
    problems: Problems,
    error: Option<io::Error>,
}

impl Passes<'_> {
    /// Runs the jobs, and again those that met a key before the rotation that brought it; returns the chunks that could
    /// be read.
    fn run(&mut self, mut jobs: Vec<(usize, u64)>, problems: &mut Problems) -> io::Result<Vec<(usize, u64)>> {
        let mut read = Vec::new();
        loop {
            let known = self.scope.book.len();
            let mut told = self.pass(&jobs);
            told.sort_unstable_by_key(|told| (told.at, told.chunk));
            let grown = self.scope.book.len() > known;
            jobs = Vec::new();
            for told in told {
                if let Some(error) = told.error {
                    return Err(error);
                }
                if told.again && grown {
                    self.done.fetch_sub(self.width(told.at, told.chunk), Ordering::Relaxed);
                    jobs.push((told.at, told.chunk));
                    continue;
                }
                problems.append(told.problems);
                if told.read {
                    read.push((told.at, told.chunk));
                }
            }
            if jobs.is_empty() {
                return Ok(read);
            }
        }
    }

    fn width(&self, at: usize, chunk: u64) -> u64 {
        self.logs[at].width(chunk) as u64
    }

    fn pass(&self, jobs: &[(usize, u64)]) -> Vec<Told> {
        let next = AtomicUsize::new(0);
        on_every_core(jobs.len(), || {
            let mut told = Vec::new();
            while let Some((at, chunk)) = jobs.get(next.fetch_add(1, Ordering::Relaxed)).copied() {
                let log = &self.logs[at];
                let found = chunk::check(self.scope, &log.line, chunk);
                let error = log.keep(chunk, &found).err();
                self.report(log.width(chunk) as u64);
                let read = found.metas.len() == log.width(chunk);
                told.push(Told { at, chunk, read, again: found.unknown_key, problems: found.problems, error });
            }
            told
        })
    }

    fn report(&self, width: u64) {
        let before = self.done.fetch_add(width, Ordering::Relaxed);
        if let Some(progress) = &self.options.progress
            && (before / REPORTED != (before + width) / REPORTED || before + width == self.total)
        {
            progress(Progress { step: "verify", done: before + width, total: self.total });
        }
    }
}
