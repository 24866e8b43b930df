//! Lists of entries that stay short.

use std::collections::BTreeSet;

use crate::history::Place;

/// Entries that an answer or a finding lists at most; a count tells how many there are.
pub const MAX_PLACES: usize = 64;

/// The first places in the order of logs and indices, and how many there were.
#[derive(Debug, Clone, Default)]
pub(crate) struct Places {
    first: BTreeSet<Place>,
    /// All that were added.
    pub(crate) total: u64,
}

impl Places {
    pub(crate) fn add(&mut self, place: Place) {
        self.total += 1;
        self.first.insert(place);
        if self.first.len() > MAX_PLACES {
            self.first.pop_last();
        }
    }

    pub(crate) fn merge(&mut self, other: &Self) {
        let unlisted = other.total - (other.first.len() as u64).min(other.total);
        other.first.iter().for_each(|place| self.add(place.clone()));
        self.total += unlisted;
    }

    pub(crate) fn into_list(self) -> Vec<Place> {
        self.first.into_iter().collect()
    }

    pub(crate) fn list(&self) -> Vec<Place> {
        self.first.iter().cloned().collect()
    }
}

/// Sorted, each once, and not too many.
pub(crate) fn listed(places: impl IntoIterator<Item = Place>) -> Vec<Place> {
    let mut found = Places::default();
    places.into_iter().for_each(|place| found.add(place));
    found.into_list()
}
