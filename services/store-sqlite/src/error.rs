//! What SQLite reports, told without values.

use std::path::Path;

use convenio_store::StoreError;
use sqlx::Error;
use sqlx::migrate::MigrateError;

/// A statement failed. SQLite's own messages name tables and columns, never values; those of sqlx might.
pub(crate) fn failed(error: Error) -> StoreError {
    StoreError::Failed(told(&error))
}

/// A COMMIT failed: whether it reached the disk is for the caller to look up.
pub(crate) fn uncertain(error: Error) -> StoreError {
    StoreError::Uncertain(told(&error))
}

/// The file at `path` cannot be used at all.
pub(crate) fn unusable(path: &Path, error: &Error) -> StoreError {
    let why = match primary_code(error) {
        Some(5 | 6) => "is locked by another program".to_owned(),
        Some(8) => "cannot be written".to_owned(),
        Some(10) => "cannot be read or written (input/output error)".to_owned(),
        Some(11) => "is damaged or truncated".to_owned(),
        Some(13) => "cannot grow: the disk is full".to_owned(),
        Some(14) => "cannot be opened".to_owned(),
        Some(26) => "is not a SQLite database".to_owned(),
        _ => format!("cannot be used: {}", told(error)),
    };
    refused(path, &why)
}

/// The schema of the file at `path` cannot be brought to this version's.
pub(crate) fn unusable_schema(path: &Path, error: &MigrateError) -> StoreError {
    match error {
        MigrateError::Execute(cause) | MigrateError::ExecuteMigration(cause, _) => unusable(path, cause),
        MigrateError::VersionMissing(_) => refused(path, "was written by a newer version of this program"),
        other => refused(path, &format!("has another schema: {other}")),
    }
}

pub(crate) fn refused(path: &Path, why: &str) -> StoreError {
    StoreError::Unusable(format!("database file {} {why}", path.display()))
}

fn told(error: &Error) -> String {
    match error {
        Error::Database(cause) => cause.message().to_owned(),
        Error::Io(cause) => cause.kind().to_string(),
        Error::PoolTimedOut => "no connection became free".to_owned(),
        Error::PoolClosed => "the store is closed".to_owned(),
        Error::WorkerCrashed => "the connection's thread ended".to_owned(),
        _ => "unexpected answer of the driver".to_owned(),
    }
}

/// SQLite's primary result code (<https://sqlite.org/rescode.html>).
fn primary_code(error: &Error) -> Option<u32> {
    error.as_database_error()?.code()?.parse::<u32>().ok().map(|code| code & 0xff)
}
