//! One log as a tree of which only the roots of full chunks are in memory.

use convenio_log::tile::{Tile, tiles};
use convenio_log::{Frontier, Hash};

use super::ledger::CHUNK;
use super::scan::Scanned;
use crate::bundle::{Bundle, MAX_FILE, log_folder};
use crate::problem::{Check, Problem, Problems};

/// Roots of a log at any size; fast where sizes ascend.
pub(crate) struct Roots<'l> {
    bundle: &'l Bundle,
    log: &'l Scanned,
    frontier: Frontier,
    /// Leaves of the chunk in which the frontier ends.
    leaves: Option<(u64, Vec<Hash>)>,
}

impl<'l> Roots<'l> {
    pub(crate) fn new(bundle: &'l Bundle, log: &'l Scanned) -> Self {
        Self { bundle, log, frontier: Frontier::new(), leaves: None }
    }

    /// The root of the first `size` entries; none if there are not so many.
    pub(crate) fn at(&mut self, size: u64) -> Option<Hash> {
        if size > self.log.readable {
            return None;
        }
        let chunk = size / CHUNK;
        if self.frontier.size() > size || self.frontier.size() / CHUNK != chunk {
            self.frontier = self.full(chunk)?;
        }
        while self.frontier.size() < size {
            let at = usize::try_from(self.frontier.size() % CHUNK).ok()?;
            let leaf = *self.leaves(chunk)?.get(at)?;
            self.frontier.append(leaf);
        }
        Some(self.frontier.root())
    }

    /// The leaf at `index`.
    pub(crate) fn leaf(&mut self, index: u64) -> Option<Hash> {
        self.leaves(index / CHUNK)?.get((index % CHUNK) as usize).copied()
    }

    /// Root of the full chunk `chunk`.
    pub(crate) fn chunk(&self, chunk: u64) -> Option<Hash> {
        self.log.chunks.node(0, chunk)
    }

    fn full(&self, chunks: u64) -> Option<Frontier> {
        let mut peaks = Vec::new();
        let mut first = 0;
        for level in (0..63u8).rev().filter(|level| chunks >> level & 1 == 1) {
            peaks.push(self.log.chunks.node(level, first >> level)?);
            first += 1 << level;
        }
        Frontier::from_parts(chunks * CHUNK, peaks).ok()
    }

    /// The tile of leaves was checked against the entries when the chunk was.
    fn leaves(&mut self, chunk: u64) -> Option<&[Hash]> {
        if self.leaves.as_ref().is_none_or(|(own, _)| *own != chunk) {
            let line = &self.log.line;
            let tile = Tile::at(0, chunk, line.size)?;
            let path = format!("{}{tile}", log_folder(&line.name));
            let bytes = self.bundle.read(&path, MAX_FILE, &mut Problems::default())?;
            let leaves = bytes.as_chunks::<32>().0.iter().map(|leaf| Hash::from(*leaf)).collect();
            self.leaves = Some((chunk, leaves));
        }
        self.leaves.as_ref().map(|(_, leaves)| leaves.as_slice())
    }
}

/// Checks the tiles above the leaves, and the root that the manifest names.
pub(super) fn check(bundle: &Bundle, log: &Scanned, problems: &mut Problems) {
    let line = &log.line;
    if log.readable < line.size {
        let text = format!("{} of {} entries can be read", log.readable, line.size);
        problems.push(Problem::new(Check::Sequence, text).of(&line.name).entry(log.readable));
        return;
    }
    let folder = log_folder(&line.name);
    if let Some(missing) = tiles(line.size).map(|tile| format!("{folder}{tile}")).find(|path| !bundle.lists(path)) {
        problems.push(Problem::new(Check::MissingFile, "the manifest does not name it").of(&line.name).at(missing));
        return;
    }
    for tile in tiles(line.size).filter(|tile| tile.level() > 0) {
        upper(bundle, log, &tile, problems);
    }
    if Roots::new(bundle, log).at(line.size) != Some(line.root) {
        let text = "the entries have another root than the manifest names";
        problems.push(Problem::new(Check::Checkpoint, text).of(&line.name));
    }
}

fn upper(bundle: &Bundle, log: &Scanned, tile: &Tile, problems: &mut Problems) {
    let path = format!("{}{tile}", log_folder(&log.line.name));
    let Some(bytes) = bundle.read(&path, MAX_FILE, problems) else { return };
    let level = 8 * (tile.level() - 1);
    let first = tile.index() * CHUNK;
    let expected = (first..first + u64::from(tile.width())).map(|at| log.chunks.node(level, at));
    let held = bytes.as_chunks::<32>().0.iter().map(|hash| Some(Hash::from(*hash)));
    if bytes.len() % 32 != 0 || !expected.eq(held) {
        let text = "holds other hashes than the tiles below it have";
        problems.push(Problem::new(Check::Tile, text).of(&log.line.name).at(path));
    }
}
