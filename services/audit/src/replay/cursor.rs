//! A log read once from its first entry to its last, a chunk at a time.

use std::collections::{HashMap, VecDeque};

use convenio_log::tile::{EntryTile, parse_bundle};
use convenio_seal::statement::claimed_statement;
use convenio_wire::exchange::v1::{EntryParts, Part, Statement};
use prost::Message;

use super::Source;
use crate::bundle::{LogLine, MAX_FILE, log_folder};
use crate::problem::Problems;
use crate::verify::{Checked, parts};

/// An entry with its parts; an erased part is none.
pub(super) struct Item {
    pub(super) index: u64,
    pub(super) statement: Statement,
    pub(super) parts: Vec<Option<Part>>,
}

/// Reads a log that was verified before; what has changed on the disk since reads as erased.
pub(super) struct Cursor<'c> {
    source: Source<'c>,
    next: u64,
    ready: VecDeque<Item>,
}

impl<'c> Cursor<'c> {
    pub(super) fn new(source: Source<'c>) -> Self {
        Self { source, next: 0, ready: VecDeque::new() }
    }

    /// The next entry if its index is below `end`.
    pub(super) fn below(&mut self, end: u64) -> Option<Item> {
        if self.next >= end.min(self.source.limit) {
            return None;
        }
        if self.ready.is_empty() {
            self.load();
        }
        self.next += 1;
        self.ready.pop_front()
    }

    /// The next entry.
    pub(super) fn advance(&mut self) -> Option<Item> {
        self.below(u64::MAX)
    }

    fn load(&mut self) {
        let line = &self.source.log.line();
        let Some(tile) = EntryTile::at(self.next / 256, line.size) else { return };
        let path = format!("{}{tile}", log_folder(&line.name));
        let read = self.source.bundle.bundle.as_ref();
        let Some(bytes) = read.and_then(|bundle| bundle.read(&path, MAX_FILE, &mut Problems::default())) else {
            return;
        };
        let mut first = parts_of(self.source.bundle, line, tile);
        let mut second = self.source.other.map(|other| parts_of(other, line, tile)).unwrap_or_default();
        for (entry, index) in
            parse_bundle(&bytes, tile.width()).unwrap_or_default().into_iter().zip(tile.first_entry()..)
        {
            let statement = claimed_statement(entry).unwrap_or_default();
            let parts = merged(first.remove(&index), second.remove(&index));
            self.ready.push_back(Item { index, statement, parts });
        }
    }
}

fn parts_of(checked: &Checked, line: &LogLine, tile: EntryTile) -> HashMap<u64, EntryParts> {
    let mut found = HashMap::new();
    let path = parts::path(line, tile);
    let Some(Some(Ok(mut file))) = checked.bundle.as_ref().map(|bundle| bundle.stream(&path)) else { return found };
    while let Ok(Some(parts)) = parts::next(&mut file) {
        found.insert(parts.index, parts);
    }
    found
}

/// Each part from the first bundle that holds it: both were checked against the same commitments.
fn merged(first: Option<EntryParts>, second: Option<EntryParts>) -> Vec<Option<Part>> {
    let (first, second) = (first.unwrap_or_default().parts, second.unwrap_or_default().parts);
    let count = first.len().max(second.len());
    let at = |slot: usize| {
        let held = [first.get(slot), second.get(slot)].into_iter().flatten().find(|part| !part.part.is_empty());
        held.and_then(|part| Part::decode(part.part.as_slice()).ok())
    };
    (0..count).map(at).collect()
}

type Found = (Vec<u8>, Statement, Vec<Option<(Vec<u8>, Part)>>);

/// One entry with its parts and their salts.
pub(super) fn one(source: Source<'_>, index: u64) -> Option<Found> {
    let line = &source.log.line();
    let tile = EntryTile::at(index / 256, line.size)?;
    let path = format!("{}{tile}", log_folder(&line.name));
    let bytes = source.bundle.bundle.as_ref()?.read(&path, MAX_FILE, &mut Problems::default())?;
    let entry = *parse_bundle(&bytes, tile.width()).ok()?.get(usize::try_from(index % 256).ok()?)?;
    let first = parts_of(source.bundle, line, tile).remove(&index).unwrap_or_default().parts;
    let second = source.other.map(|other| parts_of(other, line, tile)).unwrap_or_default();
    let second = second.get(&index).cloned().unwrap_or_default().parts;
    let at = |slot: usize| {
        let held = [first.get(slot), second.get(slot)].into_iter().flatten().find(|part| !part.part.is_empty())?;
        Some((held.salt.clone(), Part::decode(held.part.as_slice()).ok()?))
    };
    let parts = (0..first.len().max(second.len())).map(at).collect();
    Some((entry.to_vec(), claimed_statement(entry)?, parts))
}
