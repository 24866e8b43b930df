//! Writes of the open job, or of the group while no job is open.

use convenio_model::Ref;

use super::layer::{ExternalChange, Layer, SubjectKeyChange};
use super::{Staged, Work};
use crate::rows::*;

impl Work {
    /// Inserts or replaces a record.
    pub fn put_resource(&mut self, row: ResourceRow) {
        self.layer().resources.put((row.kind, row.id), row);
    }

    /// Points another system's key to a record. If the key may point to another record, read [`Work::external`] first
    /// and refuse, or delete: the database refuses the whole group otherwise.
    pub fn put_external(&mut self, key: ExternalKey, to: Ref) {
        self.layer().change_external(key, ExternalChange { to: Some(to), deleted: false });
    }

    /// Lets a key point nowhere.
    pub fn delete_external(&mut self, key: ExternalKey) {
        self.layer().change_external(key, ExternalChange { to: None, deleted: true });
    }

    /// Keeps the answer of a request. Read [`Work::request`] first: an answer is never replaced.
    pub fn put_request(&mut self, row: RequestRow) {
        self.layer().requests.put(row.key.clone(), row);
    }

    /// Inserts or replaces a view. Its `change` is assigned on commit, ascending in the order of the last puts.
    pub fn put_view(&mut self, row: ViewRow) {
        self.layer().views.put(row.key.clone(), row);
    }

    /// Appends an event; its `ordinal` is assigned by the database.
    pub fn push_event(&mut self, row: EventRow) {
        self.layer().events.push(row);
    }

    /// Leaves a signed entry for the sequencer.
    pub fn stage(&mut self, entry: Staged) {
        self.layer().staged.push(entry);
    }

    /// Names the data key of a new subject. Read [`Work::subject_key`] first: it is never replaced.
    pub fn put_subject_key(&mut self, row: SubjectKeyRow) {
        let change = SubjectKeyChange { to: Some(row.key_id), deleted: false };
        self.layer().change_subject_key(row.subject, change);
    }

    /// Forgets the data key of a subject; the next part of this subject gets a new one. The key itself is destroyed in
    /// the vault once this is committed.
    pub fn drop_subject_key(&mut self, subject: Ref) {
        self.layer().change_subject_key(subject, SubjectKeyChange { to: None, deleted: true });
    }

    /// Puts a state, or lets it go.
    pub fn put_state(&mut self, key: &str, body: Option<Vec<u8>>) {
        let row = body.map(|body| StateRow { key: key.to_owned(), body });
        self.layer().states.put(key.to_owned(), row);
    }

    /// Inserts or replaces a log head.
    pub fn put_log(&mut self, row: LogRow) {
        self.layer().logs.insert(row.id, row);
    }

    /// Lets everything of a log go that stands past its head once this is committed: what never became part of it. Reads
    /// of this group may still see it.
    pub fn cut(&mut self, log: LogId) {
        self.layer().cut.insert(log);
    }

    /// Appends an entry at its index. The log's head is put apart, by [`Work::put_log`].
    pub fn push_entry(&mut self, row: EntryRow) {
        let earlier = self.layer().entries.insert((row.log, row.index), row);
        debug_assert!(earlier.is_none(), "appended twice");
    }

    /// Appends a part of an entry.
    pub fn push_part(&mut self, row: PartRow) {
        let earlier = self.layer().parts.insert((row.log, row.index, row.part), row);
        debug_assert!(earlier.is_none(), "appended twice");
    }

    /// Removes one part; [`Self::push_part`] may put it back sealed anew.
    pub fn drop_part(&mut self, log: LogId, index: u64, part: u32) {
        let layer = self.layer();
        layer.parts.remove(&(log, index, part));
        layer.part_replaced.insert((log, index, part));
    }

    /// Removes the parts of an entry, stored ones or of this group.
    pub fn drop_parts(&mut self, log: LogId, index: u64) {
        self.layer().part_delete.insert((log, index));
    }

    /// Appends a full tile.
    pub fn push_tile(&mut self, row: TileRow) {
        let earlier = self.layer().tiles.insert((row.log, row.level, row.index), row);
        debug_assert!(earlier.is_none(), "appended twice");
    }

    /// Appends a head that may be signed once this group is committed; later, with the same root, the note that is to
    /// be kept. The first note stays.
    pub fn push_checkpoint(&mut self, row: CheckpointRow) {
        self.layer().checkpoints.push(row);
    }

    /// Appends a rejection.
    pub fn push_rejection(&mut self, row: RejectionRow) {
        let earlier = self.layer().rejections.insert((row.log, row.index), row);
        debug_assert!(earlier.is_none(), "appended twice");
    }

    pub(super) fn layer(&mut self) -> &mut Layer {
        self.job.as_mut().unwrap_or(&mut self.group)
    }
}
