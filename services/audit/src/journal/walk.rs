//! The entries of a journal, each with its part, while tiles and root are computed anew.

use std::collections::{BTreeMap, BTreeSet};

use convenio_log::tile::{EntryTile, entry_tiles, parse_bundle};
use convenio_log::{Hash, Tile, TileBuilder, leaf_hash};
use convenio_seal::{canonical, commit, journal_entry};
use convenio_wire::exchange::v1::{EntryParts, JournalEntry, JournalPart};

use super::folder;
use crate::bundle::{Bundle, JournalLine, MAX_FILE, differs};
use crate::problem::{Check, Problem, Problems};
use crate::verify::parts::next;

/// Bytes of a hash in a tile.
const HASH: usize = 32;

/// An entry as it is read.
pub(crate) struct Told<'t> {
    /// Its journal.
    pub(crate) line: &'t JournalLine,
    /// Its index.
    pub(crate) index: u64,
    /// The entry.
    pub(crate) entry: &'t JournalEntry,
    /// Its part, if it is there.
    pub(crate) part: Option<&'t JournalPart>,
}

/// Reads a journal from its beginning, tells each entry, and gives the roots at the sizes `wanted`.
pub(super) fn walk(
    bundle: &Bundle,
    line: &JournalLine,
    wanted: &BTreeSet<u64>,
    problems: &mut Problems,
    visit: &mut dyn FnMut(Told<'_>),
) -> BTreeMap<u64, Hash> {
    let mut walk = Walk { bundle, line, wanted, builder: TileBuilder::new(), roots: BTreeMap::new(), problems };
    for tile in entry_tiles(line.size) {
        if walk.chunk(tile, visit).is_none() {
            return walk.roots; // reported
        }
    }
    let partial: Vec<_> = walk.builder.partial_tiles().collect();
    partial.into_iter().for_each(|(tile, bytes)| walk.tile(tile, &bytes));
    if walk.builder.root() != line.root {
        let text = "its entries have another root than the manifest names";
        walk.problems.push(Problem::new(Check::Checkpoint, text).of(&line.name));
    }
    walk.roots
}

struct Walk<'w> {
    bundle: &'w Bundle,
    line: &'w JournalLine,
    wanted: &'w BTreeSet<u64>,
    builder: TileBuilder,
    roots: BTreeMap<u64, Hash>,
    problems: &'w mut Problems,
}

impl Walk<'_> {
    fn chunk(&mut self, tile: EntryTile, visit: &mut dyn FnMut(Told<'_>)) -> Option<()> {
        let path = format!("{}{tile}", folder(self.line));
        let bytes = self.bundle.read(&path, MAX_FILE, self.problems)?;
        let entries = match parse_bundle(&bytes, tile.width()) {
            Ok(entries) => entries,
            Err(error) => {
                self.problems.push(Problem::new(Check::Entry, error.to_string()).of(&self.line.name).at(path));
                return None;
            }
        };
        let mut parts = self.parts(tile);
        for (index, bytes) in (tile.first_entry()..).zip(entries) {
            for full in self.builder.append(leaf_hash(bytes)) {
                self.tile(full.tile(), &full.bytes());
            }
            if self.wanted.contains(&self.builder.size()) {
                self.roots.insert(self.builder.size(), self.builder.root());
            }
            match journal_entry(bytes, &self.line.name) {
                Ok(entry) => {
                    let part = self.part(index, &entry, parts.remove(&index));
                    visit(Told { line: self.line, index, entry: &entry, part: part.as_ref() });
                }
                Err(error) => {
                    self.problems.push(Problem::new(Check::Entry, error.to_string()).of(&self.line.name).entry(index));
                }
            }
        }
        if let Some(index) = parts.keys().next() {
            let text = "parts of an entry that is not here";
            self.problems.push(Problem::new(Check::Parts, text).of(&self.line.name).entry(*index));
        }
        Some(())
    }

    /// The parts of a chunk's entries, by index.
    fn parts(&mut self, tile: EntryTile) -> BTreeMap<u64, EntryParts> {
        let mut found: BTreeMap<u64, EntryParts> = BTreeMap::new();
        // The name of a full bundle, whatever the width: a parts file only grows.
        let full = EntryTile::new(tile.index(), 256).map(|full| full.to_string()).unwrap_or_default();
        let path = format!("{}{}", folder(self.line), full.replacen("tile/entries/", "parts/", 1));
        let Some(Ok(mut file)) = self.bundle.stream(&path) else { return found };
        let problem = loop {
            match next(&mut file) {
                Ok(None) => break None,
                Ok(Some(parts)) if found.last_key_value().is_some_and(|(last, _)| *last >= parts.index) => {
                    break Some("entries out of order");
                }
                Ok(Some(parts)) => drop(found.insert(parts.index, parts)),
                Err(text) => break Some(text),
            }
        };
        if let Some(text) = problem {
            self.problems.push(Problem::new(Check::Parts, text).of(&self.line.name).at(&path));
        }
        if !file.finish() {
            self.problems.push(differs(&path));
        }
        found
    }

    fn part(&mut self, index: u64, entry: &JournalEntry, parts: Option<EntryParts>) -> Option<JournalPart> {
        let parts = parts?;
        let bad = |text: &str| Problem::new(Check::Parts, text).of(&self.line.name).entry(index);
        let [salted] = &parts.parts[..] else {
            self.problems.push(bad("another number of parts than one"));
            return None;
        };
        if salted.part.is_empty() && salted.salt.is_empty() {
            return None;
        }
        let salt: Option<[u8; 32]> = salted.salt.as_slice().try_into().ok();
        if salt.is_none_or(|salt| commit(&salt, &salted.part).as_slice() != entry.commitment) {
            self.problems.push(bad("does not match its commitment"));
            return None;
        }
        let part = canonical::decode(&salted.part);
        part.map_err(|_| self.problems.push(bad("not a canonical `JournalPart`"))).ok()
    }

    /// Compares a tile with the computed one; of level 0 the first entry that differs is told.
    fn tile(&mut self, tile: Tile, expected: &[u8]) {
        let path = format!("{}{tile}", folder(self.line));
        let Some(bytes) = self.bundle.read(&path, MAX_FILE, self.problems) else { return };
        if bytes == expected {
            return;
        }
        let problem = Problem::new(Check::Tile, "its hashes are not those of the entries").of(&self.line.name).at(path);
        let pairs = bytes.chunks(HASH).zip(expected.chunks(HASH));
        let first = pairs.take_while(|(there, computed)| there == computed).count() as u64;
        self.problems.push(match tile.level() {
            0 => problem.entry((tile.index() * 256).saturating_add(first)),
            _ => problem,
        });
    }
}
