//! Changes that are not in the database yet.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::hash::Hash;

use convenio_model::Ref;

use super::Staged;
use super::note::Note;
use crate::rows::*;

/// Changes of a job, or of the kept jobs of a group.
#[derive(Default)]
pub(super) struct Layer {
    pub resources: Puts<ResourceKey, ResourceRow>,
    pub externals: Puts<ExternalKey, ExternalChange>,
    pub requests: Puts<RequestKey, RequestRow>,
    pub views: Puts<ViewKey, ViewRow>,
    pub subject_keys: Puts<Ref, SubjectKeyChange>,
    pub states: Puts<String, Option<StateRow>>,
    pub logs: BTreeMap<LogId, LogRow>,
    pub cut: BTreeSet<LogId>,
    pub entries: BTreeMap<(LogId, u64), EntryRow>,
    pub parts: BTreeMap<(LogId, u64, u32), PartRow>,
    pub part_replaced: BTreeSet<(LogId, u64, u32)>,
    pub part_delete: BTreeSet<(LogId, u64)>,
    pub tiles: BTreeMap<(LogId, u8, u64), TileRow>,
    pub rejections: BTreeMap<(LogId, u64), RejectionRow>,
    pub checkpoints: Vec<CheckpointRow>,
    pub events: Vec<EventRow>,
    pub staged: Vec<Staged>,
    /// What the job says of itself; gone once it is kept.
    pub note: Option<Note>,
}

/// Where an external key points after the change, and whether the stored row has to go first.
#[derive(Clone, Copy, Default)]
pub(super) struct ExternalChange {
    pub to: Option<Ref>,
    pub deleted: bool,
}

/// Data key of a subject after the change, and whether the stored one has to go first.
#[derive(Clone, Copy, Default)]
pub(super) struct SubjectKeyChange {
    pub to: Option<[u8; 16]>,
    pub deleted: bool,
}

impl Layer {
    /// Lays the changes of `later` over these.
    pub fn absorb(&mut self, later: Self) {
        self.resources.absorb(later.resources);
        for (key, change) in later.externals.into_ordered() {
            self.change_external(key, change);
        }
        self.requests.absorb(later.requests);
        self.views.absorb(later.views);
        for (subject, change) in later.subject_keys.into_ordered() {
            self.change_subject_key(subject, change);
        }
        self.states.absorb(later.states);
        self.logs.extend(later.logs);
        self.cut.extend(later.cut);
        self.entries.extend(later.entries);
        for gone in &later.part_replaced {
            self.parts.remove(gone);
        }
        self.part_replaced.extend(later.part_replaced);
        self.parts.extend(later.parts);
        self.part_delete.extend(later.part_delete);
        self.tiles.extend(later.tiles);
        self.rejections.extend(later.rejections);
        self.checkpoints.extend(later.checkpoints);
        self.events.extend(later.events);
        self.staged.extend(later.staged);
    }

    /// A stored row that was deleted once has to be deleted, whatever was put since.
    pub fn change_external(&mut self, key: ExternalKey, change: ExternalChange) {
        let deleted = change.deleted || self.externals.value(&key).is_some_and(|earlier| earlier.deleted);
        self.externals.put(key, ExternalChange { to: change.to, deleted });
    }

    /// As [`Self::change_external`], for the data key of a subject.
    pub fn change_subject_key(&mut self, subject: Ref, change: SubjectKeyChange) {
        let deleted = change.deleted || self.subject_keys.value(&subject).is_some_and(|earlier| earlier.deleted);
        self.subject_keys.put(subject, SubjectKeyChange { to: change.to, deleted });
    }

    /// One row for each key, in the order of the last changes; views are numbered after `last_change`.
    pub fn into_writes(self, last_change: u64) -> Writes {
        let externals = self.externals.into_ordered();
        let subject_keys = self.subject_keys.into_ordered();
        let states = self.states.into_ordered();
        let mut views = self.views.into_rows();
        for (view, change) in views.iter_mut().zip(last_change + 1..) {
            view.change = change;
        }
        Writes {
            resources: self.resources.into_rows(),
            external_delete: externals.iter().filter(|(_, c)| c.deleted).map(|(key, _)| key.clone()).collect(),
            external_put: externals.into_iter().filter_map(|(key, c)| c.to.map(|to| (key, to))).collect(),
            requests: self.requests.into_rows(),
            views,
            events: self.events,
            logs: self.logs.into_values().collect(),
            cut: self.cut.into_iter().collect(),
            entries: self.entries.into_values().collect(),
            parts: self.parts.into_values().collect(),
            part_replaced: self.part_replaced.into_iter().collect(),
            part_delete: self.part_delete.into_iter().collect(),
            tiles: self.tiles.into_values().collect(),
            checkpoints: self.checkpoints,
            rejections: self.rejections.into_values().collect(),
            subject_key_delete: subject_keys.iter().filter(|(_, c)| c.deleted).map(|(subject, _)| *subject).collect(),
            subject_keys: subject_keys
                .into_iter()
                .filter_map(|(subject, c)| c.to.map(|key_id| SubjectKeyRow { subject, key_id }))
                .collect(),
            state_delete: states.iter().filter(|(_, s)| s.is_none()).map(|(key, _)| key.clone()).collect(),
            states: states.into_iter().filter_map(|(_, state)| state).collect(),
        }
    }
}

/// The last value put for each key, with the order of those puts.
pub(super) struct Puts<K, V> {
    rows: HashMap<K, (u64, V)>,
    next: u64,
}

impl<K, V> Default for Puts<K, V> {
    fn default() -> Self {
        Self { rows: HashMap::new(), next: 0 }
    }
}

impl<K: Hash + Eq, V> Puts<K, V> {
    pub fn put(&mut self, key: K, value: V) {
        self.rows.insert(key, (self.next, value));
        self.next += 1;
    }

    pub fn value(&self, key: &K) -> Option<&V> {
        self.rows.get(key).map(|(_, value)| value)
    }

    /// In no particular order.
    pub fn iter(&self) -> impl Iterator<Item = (&K, &V)> {
        self.rows.iter().map(|(key, (_, value))| (key, value))
    }

    pub fn absorb(&mut self, later: Self) {
        for (key, value) in later.into_ordered() {
            self.put(key, value);
        }
    }

    pub fn into_ordered(self) -> Vec<(K, V)> {
        let mut rows: Vec<_> = self.rows.into_iter().collect();
        rows.sort_unstable_by_key(|(_, (order, _))| *order);
        rows.into_iter().map(|(key, (_, value))| (key, value)).collect()
    }

    /// Values in the order of the last puts.
    pub fn ordered(&self) -> Vec<&V> {
        let mut rows: Vec<_> = self.rows.values().collect();
        rows.sort_unstable_by_key(|(order, _)| *order);
        rows.into_iter().map(|(_, value)| value).collect()
    }

    pub fn into_rows(self) -> Vec<V> {
        self.into_ordered().into_iter().map(|(_, value)| value).collect()
    }
}
