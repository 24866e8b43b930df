//! Rows to write, and short ways to write them.

use convenio_model::Ref;

use crate::ports::{Store, StoreError};
use crate::rows::*;
use crate::work::Work;

pub(super) const AGREEMENT: &str = "sv-ca";

pub(super) fn reference(n: u64) -> Ref {
    let mut bytes = [7; 16];
    bytes[8..].copy_from_slice(&n.to_be_bytes());
    Ref(bytes)
}

pub(super) fn resource(kind: Kind, n: u64) -> ResourceRow {
    ResourceRow {
        kind,
        id: reference(n),
        parent: None,
        revision: 1,
        body: n.to_be_bytes().to_vec(),
        created_ms: 1_000 + n,
        updated_ms: 1_000 + n,
    }
}

pub(super) fn request(n: u64) -> RequestRow {
    RequestRow {
        key: ("caller".to_owned(), reference(n)),
        method: "CreateWorker".to_owned(),
        fingerprint: [3; 32],
        response: vec![1, 2, 3],
        time_ms: 5,
    }
}

pub(super) fn view(n: u64, label: &str, area: &str, change: u64) -> ViewRow {
    ViewRow {
        key: (AGREEMENT.to_owned(), ViewKind::Placement, reference(n)),
        label: label.to_owned(),
        area: area.to_owned(),
        change,
        body: vec![9; 20],
    }
}

pub(super) fn log(id: LogId, size: u64) -> LogRow {
    LogRow {
        id,
        origin: format!("node.sv.example/agreements/sv-ca/to/node.ca.example/{id}"),
        agreement: AGREEMENT.to_owned(),
        partner: "node.ca.example".to_owned(),
        epoch: 1,
        own: id % 2 == 1,
        size,
        peaks: vec![1; 64],
        settled: 2,
        records: 3,
        decided: 4,
        rejected: 5,
        settled_records: 6,
        cosigned: b"note".to_vec(),
        cosigned_size: 7,
        entangled: 8,
        alarm: String::new(),
        closed: id % 2 == 0,
        time_ms: 9,
    }
}

/// Entry whose record id is `reference(index)`; every other one has a subject.
pub(super) fn entry(log: LogId, index: u64) -> EntryRow {
    let subject = Subject { kind: ViewKind::Order, id: reference(index + 500) };
    let mut leaf = [4; 32];
    leaf[..8].copy_from_slice(&index.to_be_bytes());
    EntryRow {
        log,
        index,
        record_id: reference(index),
        is_record: index > 0,
        subject: (index % 2 == 1).then_some(subject),
        leaf,
        bytes: vec![8; 300],
    }
}

pub(super) fn part(log: LogId, index: u64, part: u32) -> PartRow {
    PartRow { log, index, part, key_id: [5; 16], sealed: vec![6; 120] }
}

pub(super) fn rejection(log: LogId, index: u64) -> RejectionRow {
    RejectionRow { log, index, record_id: reference(index), reason: "SEQUENCE".to_owned() }
}

/// A log with its first `size` entries, each with one part.
pub(super) fn filled_log(id: LogId, size: u64) -> Writes {
    Writes {
        logs: vec![log(id, size)],
        entries: (0..size).map(|index| entry(id, index)).collect(),
        parts: (0..size).map(|index| part(id, index, 0)).collect(),
        ..Writes::default()
    }
}

pub(super) async fn commit(store: &dyn Store, writes: Writes) -> Result<(), StoreError> {
    store.begin().await?.commit(writes).await
}

/// Commits what must be refused as a whole.
pub(super) async fn refused(store: &dyn Store, writes: Writes, why: &str) -> Result<(), StoreError> {
    let answer = store.begin().await?.commit(writes).await;
    assert!(matches!(answer, Err(StoreError::Failed(_))), "{why}: {answer:?}");
    Ok(())
}

pub(super) async fn group(store: &dyn Store) -> Result<Work, StoreError> {
    let mut tx = store.begin().await?;
    let logs = tx.logs().await?;
    let last_change = tx.last_change().await?;
    Ok(Work::new(tx, logs, last_change))
}
