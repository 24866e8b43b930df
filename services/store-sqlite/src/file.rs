//! What can be told of a database file without SQLite, so that a foreign file is refused untouched.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{ErrorKind, Read};
use std::path::{Path, PathBuf};

use convenio_store::StoreError;

use crate::error::refused;

/// "CONV": marks a database of this program (SQLite file format §1.3.11).
pub(crate) const APPLICATION_ID: u32 = 0x434F_4E56;

/// Whether there is a database to open.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Found {
    /// No file, or an empty one.
    Nothing,
    /// A SQLite database of this program.
    Ours,
}

/// Looks at the header only.
pub(crate) fn inspect(path: &Path) -> Result<Found, StoreError> {
    let mut header = Vec::with_capacity(100);
    match File::open(path) {
        Ok(file) => file.take(100).read_to_end(&mut header).map_err(|e| refused(path, &unreadable(e.kind())))?,
        Err(e) if e.kind() == ErrorKind::NotFound => return Ok(Found::Nothing),
        Err(e) => return Err(refused(path, &unreadable(e.kind()))),
    };
    if header.is_empty() {
        return Ok(Found::Nothing);
    }
    if header.len() < 100 || !header.starts_with(b"SQLite format 3\0") {
        return Err(refused(path, "is not a SQLite database"));
    }
    if header[68..72] != APPLICATION_ID.to_be_bytes() {
        return Err(refused(path, "belongs to another program"));
    }
    Ok(Found::Ours)
}

/// Takes the file `<path>.lock` for this process, as long as the result lives. The lock ends with the process; the
/// file stays, because removing it would let two processes hold two files of one name.
pub(crate) fn own(path: &Path) -> Result<File, StoreError> {
    let name = lock_name(path);
    let file = OpenOptions::new()
        .create(true)
        .truncate(false)
        .write(true)
        .open(&name)
        .map_err(|e| refused(path, &format!("cannot be owned: {}: {}", name.display(), e.kind())))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(refused(path, "is in use by another process of this program")),
        Err(TryLockError::Error(e)) => {
            Err(refused(path, &format!("cannot be owned: {}: {}", name.display(), e.kind())))
        }
    }
}

fn lock_name(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".lock");
    name.into()
}

fn unreadable(kind: ErrorKind) -> String {
    format!("cannot be read: {kind}")
}
