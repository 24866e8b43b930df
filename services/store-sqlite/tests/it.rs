//! The SQLite backend: the suite of every backend, and what is special to a file.
#![allow(clippy::unwrap_used, missing_docs)]

use std::path::{Path, PathBuf};
use std::sync::Arc;

use convenio_model::Ref;
use convenio_store::{
    CheckpointRow, EntryRow, EventRow, Kind, LogRow, PartRow, RejectionRow, ResourceRow, Store, StoreError,
    SubjectKeyRow, TileRow, Writes, conformance,
};
use convenio_store_sqlite::SqliteStore;
use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{AssertSqlSafe, ConnectOptions, Connection, SqliteConnection};

const NODE: &str = "node.sv.example";

#[tokio::test]
async fn it_conforms() {
    let dir = tempfile::tempdir().unwrap();
    let count = std::sync::atomic::AtomicUsize::new(0);
    let open = async || {
        let n = count.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        let store: Arc<dyn Store> = SqliteStore::open(&dir.path().join(format!("{n}.db")), NODE).await.unwrap();
        store
    };
    conformance::run(open).await.unwrap();
}

#[tokio::test]
async fn what_was_committed_is_there_after_reopening() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("node.db");
    let store = SqliteStore::open(&path, NODE).await.unwrap();
    commit(&store, worker(1)).await.unwrap();
    // Fails in a later table than the worker's, so that something was written and has to go.
    let orphan = PartRow { log: 1, index: 0, part: 0, key_id: [1; 16], sealed: vec![1] };
    let failing = Writes { parts: vec![orphan], ..worker(2) };
    assert!(matches!(commit(&store, failing).await, Err(StoreError::Failed(_))));
    store.close().await;
    drop(store);
    let store = SqliteStore::open(&path, NODE).await.unwrap();
    assert!(store.resource((Kind::Worker, Ref([1; 16]))).await.unwrap().is_some());
    assert!(store.resource((Kind::Worker, Ref([2; 16]))).await.unwrap().is_none());
}

/// What a killed process leaves: the files as they are at some moment, with a write-ahead log that nobody merged.
#[tokio::test]
async fn the_files_of_a_killed_process_hold_every_commit() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("node.db");
    let store = SqliteStore::open(&path, NODE).await.unwrap();
    commit(&store, worker(1)).await.unwrap();
    let open_tx = store.begin().await.unwrap();
    let copy = dir.path().join("copy.db");
    for suffix in ["", "-wal"] {
        std::fs::copy(with_suffix(&path, suffix), with_suffix(&copy, suffix)).unwrap();
    }
    drop(open_tx);
    let revived = SqliteStore::open(&copy, NODE).await.unwrap();
    assert!(revived.resource((Kind::Worker, Ref([1; 16]))).await.unwrap().is_some());
    commit(&revived, worker(2)).await.unwrap();
}

#[tokio::test]
async fn a_foreign_file_is_refused_untouched() {
    let dir = tempfile::tempdir().unwrap();
    let text = dir.path().join("notes.db");
    std::fs::write(
        &text,
        "these are notes, not a database; they are longer than a header of one hundred bytes, so that \
                           only their content tells.",
    )
    .unwrap();
    refused_untouched(&text, "is not a SQLite database").await;

    let other = dir.path().join("other.db");
    let mut conn = raw(&other, true).await;
    run(&mut conn, "CREATE TABLE t (a); INSERT INTO t VALUES (1)").await.unwrap();
    conn.close().await.unwrap();
    refused_untouched(&other, "belongs to another program").await;

    let theirs = dir.path().join("theirs.db");
    let store = SqliteStore::open(&theirs, "node.ca.example").await.unwrap();
    commit(&store, worker(1)).await.unwrap();
    store.close().await;
    drop(store);
    refused_untouched(&theirs, "belongs to node node.ca.example, not to node.sv.example").await;
    SqliteStore::open(&theirs, "node.ca.example").await.unwrap();
}

#[tokio::test]
async fn a_locked_file_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("node.db");
    let store = SqliteStore::open(&path, NODE).await.unwrap();
    store.close().await;
    drop(store);
    let mut conn = raw(&path, false).await;
    run(&mut conn, "BEGIN IMMEDIATE").await.unwrap();
    assert_unusable(SqliteStore::open(&path, NODE).await, &path, "is locked by another program");
    run(&mut conn, "ROLLBACK").await.unwrap();
    run(&mut conn, "PRAGMA locking_mode = EXCLUSIVE; BEGIN EXCLUSIVE").await.unwrap();
    assert_unusable(SqliteStore::open(&path, NODE).await, &path, "is locked by another program");
    conn.close().await.unwrap();
    SqliteStore::open(&path, NODE).await.unwrap();
}

#[tokio::test]
async fn a_second_opener_is_refused_but_may_read() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("node.db");
    assert_unusable(SqliteStore::open_read_only(&path).await, &path, "does not exist or is empty");
    let store = SqliteStore::open(&path, NODE).await.unwrap();
    assert_unusable(SqliteStore::open(&path, NODE).await, &path, "is in use by another process");

    let reader = SqliteStore::open_read_only(&path).await.unwrap();
    commit(&store, worker(1)).await.unwrap();
    assert!(reader.resource((Kind::Worker, Ref([1; 16]))).await.unwrap().is_some());
    assert!(matches!(reader.begin().await, Err(StoreError::Failed(_))));
    drop(store);
}

#[tokio::test]
async fn a_snapshot_stays_as_it_was() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("node.db");
    assert!(SqliteStore::open_snapshot(&path).await.is_err());
    let store = SqliteStore::open(&path, NODE).await.unwrap();
    commit(&store, worker(1)).await.unwrap();
    let snapshot = SqliteStore::open_snapshot(&path).await.unwrap();
    commit(&store, worker(2)).await.unwrap();
    for _ in 0..3 {
        let rows = snapshot.resources(Kind::Worker, None, 10).await.unwrap();
        assert_eq!(rows.iter().map(|row| row.id).collect::<Vec<_>>(), [Ref([1; 16])]);
    }
    assert_eq!(store.resources(Kind::Worker, None, 10).await.unwrap().len(), 2);
    snapshot.close().await;
}

#[tokio::test]
async fn a_truncated_file_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("node.db");
    let store = SqliteStore::open(&path, NODE).await.unwrap();
    store.close().await;
    drop(store);
    let whole = std::fs::read(&path).unwrap();
    for (length, why) in [(50, "is not a SQLite database"), (4_096, "is damaged"), (whole.len() / 2, "is damaged")] {
        std::fs::write(&path, &whole[..length]).unwrap();
        assert_unusable(SqliteStore::open(&path, NODE).await, &path, why);
    }
    std::fs::write(&path, &whole).unwrap();
    SqliteStore::open(&path, NODE).await.unwrap();
}

#[tokio::test]
async fn a_path_that_cannot_be_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("absent").join("node.db");
    assert_unusable(SqliteStore::open(&path, NODE).await, &path, "cannot be owned");
    assert_unusable(SqliteStore::open(dir.path(), NODE).await, dir.path(), "cannot be read");
}

#[tokio::test]
async fn a_newer_schema_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("node.db");
    let store = SqliteStore::open(&path, NODE).await.unwrap();
    store.close().await;
    drop(store);
    let mut conn = raw(&path, false).await;
    run(
        &mut conn,
        "INSERT INTO _sqlx_migrations SELECT 9999, description, installed_on, success, checksum, \
                    execution_time FROM _sqlx_migrations LIMIT 1",
    )
    .await
    .unwrap();
    conn.close().await.unwrap();
    assert_unusable(SqliteStore::open(&path, NODE).await, &path, "newer version");
    assert_unusable(SqliteStore::open_read_only(&path).await, &path, "another version");
}

#[tokio::test]
async fn the_database_itself_refuses_to_rewrite_history() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("node.db");
    let store = SqliteStore::open(&path, NODE).await.unwrap();
    commit(&store, one_of_each()).await.unwrap();
    store.close().await;
    drop(store);

    let mut conn = raw(&path, false).await;
    for table in ["entry", "tile", "checkpoint", "rejection", "event", "subject_key"] {
        let column = match table {
            "entry" => "bytes = x'00'",
            "tile" => "hashes = x'00'",
            "checkpoint" => "root = x'00'",
            "rejection" => "reason = ''",
            "event" => "body = x'00'",
            _ => "key_id = x'00'",
        };
        // A data key is forgotten when what it sealed is erased.
        let delete = (table != "subject_key").then(|| format!("DELETE FROM {table}"));
        for statement in std::iter::once(format!("UPDATE {table} SET {column}")).chain(delete) {
            let refusal = run(&mut conn, &statement).await.unwrap_err();
            assert!(refusal.to_string().contains("append-only"), "{statement}: {refusal}");
        }
    }
    let refusal = run(&mut conn, "UPDATE part SET sealed = x'00'").await.unwrap_err();
    assert!(refusal.to_string().contains("never changed"), "{refusal}");
    run(&mut conn, "UPDATE checkpoint SET note = x'01'").await.unwrap();
    assert!(run(&mut conn, "UPDATE checkpoint SET note = x'02'").await.is_err(), "a note is kept once");
    run(&mut conn, "DELETE FROM part").await.unwrap(); // erasure
}

async fn refused_untouched(path: &Path, why: &str) {
    let before = std::fs::read(path).unwrap();
    assert_unusable(SqliteStore::open(path, NODE).await, path, why);
    assert_eq!(std::fs::read(path).unwrap(), before);
}

fn assert_unusable(answer: Result<Arc<SqliteStore>, StoreError>, path: &Path, why: &str) {
    let Err(StoreError::Unusable(text)) = answer else { panic!("expected to be refused because it {why}") };
    assert!(text.contains(&path.display().to_string()) && text.contains(why) && !text.contains('\n'), "{text}");
}

fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    PathBuf::from(format!("{}{suffix}", path.display()))
}

async fn raw(path: &Path, create: bool) -> SqliteConnection {
    SqliteConnectOptions::new().filename(path).create_if_missing(create).connect().await.unwrap()
}

async fn run(conn: &mut SqliteConnection, sql: &str) -> Result<(), sqlx::Error> {
    sqlx::raw_sql(AssertSqlSafe(sql)).execute(conn).await.map(drop)
}

async fn commit(store: &SqliteStore, writes: Writes) -> Result<(), StoreError> {
    store.begin().await?.commit(writes).await
}

fn worker(n: u8) -> Writes {
    let row = ResourceRow {
        kind: Kind::Worker,
        id: Ref([n; 16]),
        parent: None,
        revision: 1,
        body: vec![n],
        created_ms: 1,
        updated_ms: 1,
    };
    Writes { resources: vec![row], ..Writes::default() }
}

fn one_of_each() -> Writes {
    let log = LogRow {
        id: 1,
        origin: "origin".to_owned(),
        agreement: "sv-ca".to_owned(),
        partner: "node.ca.example".to_owned(),
        epoch: 1,
        own: true,
        size: 1,
        peaks: vec![1; 32],
        settled: 0,
        records: 1,
        decided: 0,
        rejected: 0,
        settled_records: 0,
        cosigned: Vec::new(),
        cosigned_size: 0,
        entangled: 0,
        alarm: String::new(),
        closed: false,
        time_ms: 1,
    };
    let record_id = Ref([1; 16]);
    let entry = EntryRow { log: 1, index: 0, record_id, is_record: true, subject: None, leaf: [1; 32], bytes: vec![1] };
    let reason = "SCHEMA".to_owned();
    Writes {
        logs: vec![log],
        entries: vec![entry],
        parts: vec![PartRow { log: 1, index: 0, part: 0, key_id: [1; 16], sealed: vec![1] }],
        tiles: vec![TileRow { log: 1, level: 0, index: 0, hashes: vec![1] }],
        checkpoints: vec![CheckpointRow { log: 1, size: 1, root: [1; 32], note: Vec::new() }],
        rejections: vec![RejectionRow { log: 1, index: 0, record_id, reason }],
        events: vec![EventRow { ordinal: 0, agreement: "sv-ca".to_owned(), placement: record_id, body: vec![1] }],
        subject_keys: vec![SubjectKeyRow { subject: record_id, key_id: [1; 16] }],
        ..Writes::default()
    }
}
