//! Parts against the commitments of their entries, read one entry's parts at a time.

use std::io::Read;

use convenio_log::tile::EntryTile;
use convenio_seal::{canonical, commit};
use convenio_wire::MAX_PARTS;
use convenio_wire::exchange::v1::EntryParts;

use super::chunk::Chunk;
use crate::bundle::{Bundle, HashedFile, LogLine, differs, log_folder};
use crate::problem::{Check, Problem};

/// Largest encoded `EntryParts`: the parts, their salts and what frames them.
pub(crate) const MAX_ENTRY_PARTS: usize = MAX_PARTS + 16 * 128;

/// Path of the file that holds the parts of the entries of `tile`.
pub(crate) fn path(line: &LogLine, tile: EntryTile) -> String {
    // The name of a full bundle, whatever the width: a parts file only grows.
    let full = EntryTile::new(tile.index(), 256).map(|full| full.to_string()).unwrap_or_default();
    format!("{}{}", log_folder(&line.name), full.replacen("tile/entries/", "parts/", 1))
}

/// Checks the parts of a chunk and notes which are missing.
pub(super) fn check(bundle: &Bundle, line: &LogLine, tile: EntryTile, commitments: &[Vec<Vec<u8>>], out: &mut Chunk) {
    for (meta, commitments) in out.metas.iter_mut().zip(commitments) {
        // A sixteenth part has the last bit; more are a fault of the entry.
        meta.missing = ((1u32 << commitments.len().min(16)) - 1) as u16;
    }
    let path = path(line, tile);
    let mut file = match bundle.stream(&path) {
        None => return,
        Some(Ok(file)) => file,
        Some(Err(_)) => return, // reported as missing
    };
    let mut last = None;
    let problem = loop {
        match next(&mut file) {
            Ok(None) => break None,
            Ok(Some(parts)) => {
                if last.is_some_and(|last| last >= parts.index) {
                    break Some("entries out of order".to_owned());
                }
                last = Some(parts.index);
                if let Err(text) = check_entry(tile, &parts, commitments, out) {
                    out.problems.push(Problem::new(Check::Parts, text).of(&line.name).entry(parts.index).at(&path));
                }
            }
            Err(text) => break Some(text.to_owned()),
        }
    };
    if let Some(text) = problem {
        out.problems.push(Problem::new(Check::Parts, text).of(&line.name).at(&path));
    }
    if !file.finish() {
        out.problems.push(differs(&path));
    }
}

/// The next entry's parts; none at the end of the file.
pub(crate) fn next(file: &mut HashedFile) -> Result<Option<EntryParts>, &'static str> {
    let mut length = [0; 4];
    let mut filled = 0;
    while filled < 4 {
        match file.read(&mut length[filled..]).map_err(|_| "cannot be read")? {
            0 if filled == 0 => return Ok(None),
            0 => return Err("ends within a length"),
            read => filled += read,
        }
    }
    let length = u32::from_be_bytes(length) as usize;
    if length > MAX_ENTRY_PARTS {
        return Err("the parts of an entry are above the limit");
    }
    let mut bytes = vec![0; length];
    file.read_exact(&mut bytes).map_err(|_| "ends within the parts of an entry")?;
    canonical::decode(&bytes).map(Some).map_err(|_| "not canonical `EntryParts`")
}

fn check_entry(
    tile: EntryTile,
    parts: &EntryParts,
    commitments: &[Vec<Vec<u8>>],
    out: &mut Chunk,
) -> Result<(), &'static str> {
    let slot = parts.index.checked_sub(tile.first_entry()).and_then(|slot| usize::try_from(slot).ok());
    let slot = slot.filter(|slot| *slot < commitments.len()).ok_or("parts of an entry that is not here")?;
    let expected = &commitments[slot];
    if parts.parts.len() != expected.len() {
        return Err("another number of parts than the entry commits to");
    }
    let mut held = 0;
    for (at, (part, commitment)) in parts.parts.iter().zip(expected).enumerate() {
        if part.salt.is_empty() && part.part.is_empty() {
            continue;
        }
        let salt: &[u8; 32] = part.salt.as_slice().try_into().map_err(|_| "a salt that is not 32 bytes long")?;
        if commit(salt, &part.part)[..] != commitment[..] {
            return Err("a part that does not match its commitment");
        }
        held += 1;
        out.metas[slot].missing &= !(1u16 << at.min(15));
    }
    if held == 0 { Err("an entry without any part must be left out") } else { Ok(()) }
}
