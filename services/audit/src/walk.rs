//! A log read from its first entry to its last.

use convenio_log::tile::{EntryTile, entry_tiles, parse_bundle};
use convenio_seal::statement::claimed_statement;

use crate::bundle::{Bundle, LogLine, MAX_FILE, log_folder};
use crate::problem::Problems;

/// The bytes of an entry bundle; none if it cannot be read.
pub(crate) fn tile(bundle: &Bundle, log: &LogLine, tile: EntryTile) -> Option<Vec<u8>> {
    bundle.read(&format!("{}{tile}", log_folder(&log.name)), MAX_FILE, &mut Problems::default())
}

/// Index of the entry with that record id.
pub(crate) fn find(bundle: &Bundle, log: &LogLine, record_id: &[u8; 16]) -> Option<u64> {
    entry_tiles(log.size).into_iter().find_map(|at| {
        let bytes = tile(bundle, log, at)?;
        // Most files do not hold the sixteen bytes anywhere.
        bytes.windows(16).any(|window| window == record_id).then_some(())?;
        let entries = parse_bundle(&bytes, at.width()).ok()?;
        let own = |entry: &&[u8]| claimed_statement(entry).is_some_and(|s| s.record_id == record_id);
        entries.iter().position(own).map(|slot| at.first_entry() + slot as u64)
    })
}
