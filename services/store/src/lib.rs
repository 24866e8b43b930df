//! What a node keeps, as small ports that a database backend implements.
//!
//! One writer owns the write transaction ([`Tx`]); a job reads through [`Work`], which loads rows once, keeps the
//! job's changes apart until it succeeds, and hands everything to [`Tx::commit`] as one [`Writes`]: a few multi-row
//! statements, whatever the number of jobs in the group. Readers use [`Store`] on connections of their own.

pub mod conformance;
mod ports;
mod rows;
mod work;

pub use ports::{Store, StoreError, Tx};
pub use rows::{
    CheckpointRow, EntryHead, EntryRow, EventRow, ExternalKey, Kind, LogId, LogRow, PartRow, RejectionRow, RequestKey,
    RequestRow, ResourceKey, ResourceRow, StateRow, Subject, SubjectKeyRow, TileRow, ViewKey, ViewKind, ViewRow,
    Writes,
};
pub use work::{Committed, Deed, LogRange, Note, Reads, Staged, StagedPart, Work};
