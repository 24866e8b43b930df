//! Single entries, and the parts of a chunk.

use std::collections::HashMap;

use convenio_log::tile::{EntryTile, parse_bundle};
use convenio_seal::statement::claimed_statement;
use convenio_wire::exchange::v1::{EntryParts, Part, Statement};
use prost::Message;

use crate::bundle::{LogLine, MAX_FILE, log_folder};
use crate::problem::Problems;
use crate::verify::{Checked, CheckedLog, parts};

pub(super) fn parts_of(checked: &Checked, line: &LogLine, tile: EntryTile) -> HashMap<u64, EntryParts> {
    let mut found = HashMap::new();
    let path = parts::path(line, tile);
    let Some(Some(Ok(mut file))) = checked.bundle.as_ref().map(|bundle| bundle.stream(&path)) else { return found };
    while let Ok(Some(parts)) = parts::next(&mut file) {
        found.insert(parts.index, parts);
    }
    found
}

type Found = (Vec<u8>, Statement, Vec<Option<(Vec<u8>, Part)>>);

/// One entry with its parts and their salts.
pub(super) fn one(first: &Checked, second: Option<&Checked>, log: &CheckedLog, index: u64) -> Option<Found> {
    let line = log.line();
    let tile = EntryTile::at(index / 256, line.size)?;
    let path = format!("{}{tile}", log_folder(&line.name));
    let bytes = first.bundle.as_ref()?.read(&path, MAX_FILE, &mut Problems::default())?;
    let entry = *parse_bundle(&bytes, tile.width()).ok()?.get(usize::try_from(index % 256).ok()?)?;
    let held = parts_of(first, line, tile).remove(&index).unwrap_or_default().parts;
    let second = second.map(|other| parts_of(other, line, tile)).unwrap_or_default();
    let second = second.get(&index).cloned().unwrap_or_default().parts;
    let at = |slot: usize| {
        let held = [held.get(slot), second.get(slot)].into_iter().flatten().find(|part| !part.part.is_empty())?;
        Some((held.salt.clone(), Part::decode(held.part.as_slice()).ok()?))
    };
    let parts = (0..held.len().max(second.len())).map(at).collect();
    Some((entry.to_vec(), claimed_statement(entry)?, parts))
}
