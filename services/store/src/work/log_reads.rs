//! Reads of logs. Stored rows end where the committed head ends; what the group appended follows.

use std::collections::HashSet;

use convenio_model::RecordId;

use super::Work;
use crate::ports::StoreError;
use crate::rows::*;

impl Work {
    /// Head of a log, with this group's changes.
    ///
    /// # Errors
    /// [`StoreError::Corrupt`] if there is no such log: another row names one that does not exist.
    pub fn log(&self, id: LogId) -> Result<&LogRow, StoreError> {
        self.find_log(id).ok_or(StoreError::Corrupt("log"))
    }

    /// All heads, ascending by id.
    pub fn logs(&self) -> impl Iterator<Item = &LogRow> {
        let mut heads: std::collections::BTreeMap<LogId, &LogRow> =
            self.cache.logs.iter().map(|(k, v)| (*k, v)).collect();
        for layer in self.layers_oldest_first() {
            heads.extend(layer.logs.iter().map(|(id, row)| (*id, row)));
        }
        heads.into_values()
    }

    /// Heads of entries of `[begin, end)`, ascending, those sequenced in this group included.
    ///
    /// # Errors
    /// From the database, as for every read here.
    pub async fn entry_heads(&mut self, log: LogId, begin: u64, end: u64) -> Result<Vec<EntryHead>, StoreError> {
        let stored = self.stored_end(log, end);
        let mut heads = if begin < stored { self.tx.entry_heads(log, begin, stored).await? } else { Vec::new() };
        heads.extend(self.appended(log, begin, end).map(EntryRow::head));
        Ok(heads)
    }

    /// Entries of `[begin, end)` with bytes, ascending.
    ///
    /// # Errors
    /// From the database.
    pub async fn entries(&mut self, log: LogId, begin: u64, end: u64) -> Result<Vec<EntryRow>, StoreError> {
        let stored = self.stored_end(log, end);
        let mut rows = if begin < stored { self.tx.entries(log, begin, stored).await? } else { Vec::new() };
        rows.extend(self.appended(log, begin, end).cloned());
        Ok(rows)
    }

    /// Parts of entries of `[begin, end)`, ascending by (index, part).
    ///
    /// # Errors
    /// From the database.
    pub async fn parts(&mut self, log: LogId, begin: u64, end: u64) -> Result<Vec<PartRow>, StoreError> {
        let stored = self.stored_end(log, end);
        let rows = if begin < stored { self.tx.parts(log, begin, stored).await? } else { Vec::new() };
        let range = (log, begin, 0)..(log, end.max(begin), 0);
        Ok(self.with_changes(rows, |part| range.contains(&(part.log, part.index, part.part))))
    }

    /// Parts in any log that a data key seals, ascending by (log, index, part).
    ///
    /// # Errors
    /// From the database.
    pub async fn parts_of_key(&mut self, key_id: [u8; 16]) -> Result<Vec<PartRow>, StoreError> {
        let rows = self.tx.parts_of_key(key_id).await?;
        Ok(self.with_changes(rows, |part| part.key_id == key_id))
    }

    /// Stored parts without those that were dropped, with those that were pushed.
    fn with_changes(&self, stored: Vec<PartRow>, wanted: impl Fn(&PartRow) -> bool) -> Vec<PartRow> {
        let mut parts: std::collections::BTreeMap<_, _> =
            stored.into_iter().map(|part| ((part.log, part.index, part.part), part)).collect();
        for layer in self.layers_oldest_first() {
            for gone in &layer.part_replaced {
                parts.remove(gone);
            }
            parts.extend(layer.parts.iter().filter(|(_, part)| wanted(part)).map(|(key, part)| (*key, part.clone())));
        }
        parts.into_values().collect()
    }

    /// Leaf hashes of `[begin, end)`, ascending.
    ///
    /// # Errors
    /// From the database.
    pub async fn leaves(&mut self, log: LogId, begin: u64, end: u64) -> Result<Vec<[u8; 32]>, StoreError> {
        let stored = self.stored_end(log, end);
        let mut leaves = if begin < stored { self.tx.leaves(log, begin, stored).await? } else { Vec::new() };
        leaves.extend(self.appended(log, begin, end).map(|entry| entry.leaf));
        Ok(leaves)
    }

    /// A full tile.
    ///
    /// # Errors
    /// From the database.
    pub async fn tile(&mut self, log: LogId, level: u8, index: u64) -> Result<Option<TileRow>, StoreError> {
        let key = (log, level, index);
        if let Some(tile) = self.layers_newest_first().find_map(|layer| layer.tiles.get(&key)) {
            return Ok(Some(tile.clone()));
        }
        if let Some(known) = self.cache.tiles.get(&key) {
            return Ok(known.clone());
        }
        let tile = self.tx.tile(log, level, index).await?;
        self.cache.tiles.insert(key, tile.clone());
        Ok(tile)
    }

    /// Which of `ids` stand in `log` below `before` and were not rejected, this group's entries and rejections included.
    ///
    /// # Errors
    /// From the database.
    pub async fn accepted(
        &mut self,
        log: LogId,
        before: u64,
        ids: &[RecordId],
    ) -> Result<HashSet<RecordId>, StoreError> {
        let stored = self.stored_end(log, before);
        let mut standing =
            if stored > 0 && !ids.is_empty() { self.tx.accepted(log, stored, ids).await? } else { Vec::new() };
        let asked: HashSet<_> = ids.iter().collect();
        let appended = self.appended(log, 0, before).filter(|entry| asked.contains(&entry.record_id));
        standing.extend(appended.map(|entry| (entry.record_id, entry.index)));
        standing.retain(|(_, index)| !self.rejects(log, *index));
        Ok(standing.into_iter().map(|(id, _)| id).collect())
    }

    pub(super) fn find_log(&self, id: LogId) -> Option<&LogRow> {
        self.layers_newest_first().find_map(|layer| layer.logs.get(&id)).or_else(|| self.cache.logs.get(&id))
    }

    /// Where the stored part of `[_, end)` ends: no statement is spent on what this group appended.
    fn stored_end(&self, log: LogId, end: u64) -> u64 {
        self.cache.logs.get(&log).map_or(0, |head| head.size.min(end))
    }

    fn appended(&self, log: LogId, begin: u64, end: u64) -> impl Iterator<Item = &EntryRow> {
        let range = (log, begin)..(log, end.max(begin));
        self.layers_oldest_first().flat_map(move |layer| layer.entries.range(range.clone())).map(|(_, entry)| entry)
    }

    fn rejects(&self, log: LogId, index: u64) -> bool {
        self.layers_newest_first().any(|layer| layer.rejections.contains_key(&(log, index)))
    }
}
