//! What a job did, for whoever keeps the node's journal: the rows that it changed, and what it says of itself.

use convenio_model::RecordId;

use super::Work;
use crate::rows::*;

/// What a job did beside changing rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Deed {
    /// Read personal data.
    Read,
    /// Erased parts.
    Erased,
    /// Exported a bundle.
    Exported,
    /// Placed or ended a hold.
    Held,
}

/// Entries of a log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogRange {
    /// Origin of the log.
    pub origin: String,
    /// First index.
    pub begin: u64,
    /// Index past the last one; 0 while it is open.
    pub end: u64,
}

/// What a job says of itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Note {
    /// What it did.
    pub deed: Deed,
    /// Records concerned, the first [`Note::MAX_ROWS`] of them.
    pub rows: Vec<ResourceKey>,
    /// Records concerned.
    pub count: u64,
    /// Journal entries (index, record id) whose parts were erased, all of them.
    pub erased: Vec<(u64, RecordId)>,
    /// Entries of a log that it read, if it read a log.
    pub range: Option<LogRange>,
}

impl Note {
    /// Most records that a note names; the rest is counted.
    pub const MAX_ROWS: usize = 100;
}

impl Work {
    /// Says of the open job, beside the rows that it changes, that it did `deed` to `rows`. Said twice, the rows add up,
    /// and a deed other than [`Deed::Read`] stands.
    pub fn note(&mut self, deed: Deed, rows: impl IntoIterator<Item = ResourceKey>) {
        let empty = Note { deed, rows: Vec::new(), count: 0, erased: Vec::new(), range: None };
        let note = self.layer().note.get_or_insert(empty);
        if note.deed == Deed::Read {
            note.deed = deed;
        }
        for row in rows {
            note.count += 1;
            if note.rows.len() < Note::MAX_ROWS && !note.rows.contains(&row) {
                note.rows.push(row);
            }
        }
    }

    /// Says of the open job that it erased the parts of these entries of the journal (index, record id).
    pub fn note_erased(&mut self, entries: impl IntoIterator<Item = (u64, RecordId)>) {
        self.note(Deed::Erased, []);
        if let Some(note) = &mut self.layer().note {
            note.erased.extend(entries);
        }
    }

    /// Says of the open job that it read these entries of a log.
    pub fn note_range(&mut self, range: LogRange) {
        self.note(Deed::Read, []);
        if let Some(note) = &mut self.layer().note {
            note.range = Some(range);
        }
    }

    /// What the open job says of itself; taken away.
    pub fn take_note(&mut self) -> Option<Note> {
        self.job.as_mut()?.note.take()
    }

    /// Rows that the open job made or replaced, in the order of the last changes.
    #[must_use]
    pub fn changed_resources(&self) -> Vec<&ResourceRow> {
        self.job.as_ref().map(|job| job.resources.ordered()).unwrap_or_default()
    }
}
