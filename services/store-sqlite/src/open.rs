//! Opening: whose file it is, its schema, its connections.

use std::path::Path;
use std::time::Duration;

use convenio_store::StoreError;
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous};
use sqlx::{AssertSqlSafe, ConnectOptions, Connection, SqliteConnection, SqlitePool};

use crate::error::{refused, unusable, unusable_schema};
use crate::file::APPLICATION_ID;

/// Nobody else has business in the file: who waits longer than this waits for a program that should not be there.
const BUSY: Duration = Duration::from_millis(500);
const READERS: u32 = 3;

/// Refuses a database that another node owns. Reads only, before anything else touches the file.
pub(crate) async fn check_owner(path: &Path, node: &str) -> Result<(), StoreError> {
    let mut conn = match options(path).read_only(true).connect().await {
        Ok(conn) => conn,
        // A crash while the file was being made left a journal, which only a writer can roll back.
        Err(error) if needs_recovery(&error) => return Ok(()),
        Err(error) => return Err(unusable(path, &error)),
    };
    let owner = match owner(&mut conn).await {
        Ok(owner) => owner,
        Err(error) if needs_recovery(&error) => None,
        Err(error) => return Err(unusable(path, &error)),
    };
    conn.close().await.map_err(|e| unusable(path, &e))?;
    expect_owner(path, owner.as_deref().unwrap_or(node), node)
}

/// Brings the file to this version's schema and claims it for `node`.
///
/// The application id is written first and before the switch to WAL: from the first byte on, the header tells whose
/// file it is, wherever a crash interrupts.
pub(crate) async fn prepare(path: &Path, node: &str, new: bool) -> Result<(), StoreError> {
    let mut conn = options(path).create_if_missing(new).connect().await.map_err(|e| unusable(path, &e))?;
    if new {
        let mark = AssertSqlSafe(format!("PRAGMA application_id = {APPLICATION_ID}"));
        sqlx::raw_sql(mark).execute(&mut conn).await.map_err(|e| unusable(path, &e))?;
    }
    sqlx::migrate!().run(&mut conn).await.map_err(|e| unusable_schema(path, &e))?;
    // Writes even if the node is named already, so that another program's lock shows now, not at the first commit.
    let claimed = async {
        sqlx::query("INSERT INTO meta (key, value) VALUES ('node', ?) ON CONFLICT DO NOTHING")
            .bind(node)
            .execute(&mut conn)
            .await?;
        let found = owner(&mut conn).await?;
        sqlx::raw_sql("PRAGMA journal_mode = WAL").execute(&mut conn).await?;
        conn.close().await?;
        Ok(found)
    };
    let found = claimed.await.map_err(|e| unusable(path, &e))?;
    expect_owner(path, found.as_deref().unwrap_or_default(), node)
}

/// The connection that writes.
pub(crate) async fn writer(path: &Path) -> Result<SqlitePool, StoreError> {
    let options = options(path)
        .journal_mode(SqliteJournalMode::Wal)
        .synchronous(SqliteSynchronous::Full)
        .pragma("cache_size", "-8192")
        .pragma("wal_autocheckpoint", "4000")
        .pragma("journal_size_limit", "67108864")
        // REPLACE fires the triggers that protect append-only rows only with this.
        .pragma("secure_delete", "ON")
        .pragma("recursive_triggers", "ON");
    pool(1).connect_with(options).await.map_err(|e| unusable(path, &e))
}

/// The connections that read.
pub(crate) async fn readers(path: &Path) -> Result<SqlitePool, StoreError> {
    let options = options(path).read_only(true).pragma("cache_size", "-2048");
    pool(READERS).connect_with(options).await.map_err(|e| unusable(path, &e))
}

/// One connection that reads, always as the database is now.
pub(crate) async fn snapshot(path: &Path) -> Result<SqlitePool, StoreError> {
    let options = options(path).read_only(true).pragma("cache_size", "-2048");
    let pool = pool(1).after_connect(|conn, _| {
        Box::pin(async move {
            // The snapshot is taken by the first statement that reads.
            sqlx::raw_sql("BEGIN; SELECT count(*) FROM sqlite_schema").execute(conn).await.map(drop)
        })
    });
    pool.connect_with(options).await.map_err(|e| unusable(path, &e))
}

/// Checks that the schema is one that this version reads.
pub(crate) async fn check_schema(path: &Path, readers: &SqlitePool) -> Result<(), StoreError> {
    let newest = sqlx::migrate!().iter().map(|migration| migration.version).max();
    let found: Result<Option<i64>, _> =
        sqlx::query_scalar("SELECT max(version) FROM _sqlx_migrations").fetch_one(readers).await;
    match found {
        Ok(version) if version == newest => Ok(()),
        Ok(_) => Err(refused(path, "was written by another version of this program")),
        Err(error) => Err(unusable(path, &error)),
    }
}

/// All connections are made at once: one that is still being made when the pool closes would outlive it, and keep the
/// write-ahead log from being folded into the file.
fn pool(connections: u32) -> SqlitePoolOptions {
    SqlitePoolOptions::new()
        .max_connections(connections)
        .min_connections(connections)
        .idle_timeout(None)
        .max_lifetime(None)
        .test_before_acquire(false)
        .acquire_timeout(Duration::from_secs(10))
}

fn options(path: &Path) -> SqliteConnectOptions {
    SqliteConnectOptions::new()
        .filename(path)
        .create_if_missing(false)
        .busy_timeout(BUSY)
        .foreign_keys(true)
        .statement_cache_capacity(128)
        .pragma("mmap_size", "0")
        .pragma("temp_store", "MEMORY")
        .disable_statement_logging()
}

async fn owner(conn: &mut SqliteConnection) -> Result<Option<String>, sqlx::Error> {
    let made: bool =
        sqlx::query_scalar("SELECT count(*) > 0 FROM sqlite_schema WHERE name = 'meta'").fetch_one(&mut *conn).await?;
    if !made {
        return Ok(None);
    }
    sqlx::query_scalar("SELECT value FROM meta WHERE key = 'node'").fetch_optional(conn).await
}

fn expect_owner(path: &Path, found: &str, node: &str) -> Result<(), StoreError> {
    if found == node {
        return Ok(());
    }
    Err(refused(path, &format!("belongs to node {found}, not to {node}")))
}

/// SQLITE_READONLY_ROLLBACK, SQLITE_READONLY_RECOVERY, SQLITE_READONLY_CANTINIT.
fn needs_recovery(error: &sqlx::Error) -> bool {
    let code = error.as_database_error().and_then(|e| e.code().map(|c| c.into_owned()));
    matches!(code.as_deref(), Some("776" | "264" | "1288"))
}
