//! The ledger of erasures: lines that are only appended, in a file beside the vault and outside the database, so that a
//! database restored from a backup learns what was erased and held since. What a line says is its writer's affair.
//!
//! A line is `<first 8 hexadecimal digits of its SHA-256> <text>\n`; one that a crash cut off at the end counts as not
//! written, and any other that does not fit its check makes the file unusable: erased data must not come back because a
//! line was lost.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use crate::encoding::sha256;
use crate::file::sync_parent;

/// Digits of a line's check.
const CHECK: usize = 8;

/// The file; it is made by the first line.
#[derive(Debug)]
pub struct Ledger {
    path: PathBuf,
    file: Mutex<Option<File>>,
}

impl Ledger {
    pub(super) fn beside(vault: &Path) -> Self {
        let mut path = vault.as_os_str().to_owned();
        path.push(".ledger");
        Self { path: path.into(), file: Mutex::default() }
    }

    /// Where it is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Bytes of it; 0 where nothing was ever appended.
    ///
    /// # Errors
    /// The file's.
    pub fn size(&self) -> io::Result<u64> {
        match std::fs::metadata(&self.path) {
            Ok(found) => Ok(found.len()),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(0),
            Err(error) => Err(error),
        }
    }

    /// Appends lines durably. A line has no line break.
    ///
    /// # Errors
    /// The file's.
    pub fn append(&self, lines: &[String]) -> io::Result<()> {
        if lines.is_empty() {
            return Ok(());
        }
        let mut guard = self.file.lock().unwrap_or_else(PoisonError::into_inner);
        let file = match &mut *guard {
            Some(file) => file,
            empty => {
                self.cut()?;
                let new = !self.path.try_exists()?;
                let file = OpenOptions::new().create(true).append(true).open(&self.path)?;
                if new {
                    sync_parent(&self.path)?;
                }
                empty.insert(file)
            }
        };
        let text: String = lines.iter().map(|line| format!("{} {line}\n", check(line))).collect();
        let written = file.write_all(text.as_bytes()).and_then(|()| file.sync_data());
        if written.is_err() {
            // What stands at the end is unknown; the next append looks.
            *guard = None;
        }
        written
    }

    /// Every line, oldest first; none where nothing was ever appended.
    ///
    /// # Errors
    /// The file's; [`io::ErrorKind::InvalidData`] where a line does not fit its check.
    pub fn lines(&self) -> io::Result<Vec<String>> {
        match std::fs::read_to_string(&self.path) {
            Ok(text) => read(&text).map(|(lines, _)| lines),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
            Err(error) => Err(error),
        }
    }

    /// Cuts off what a crash left half written.
    fn cut(&self) -> io::Result<()> {
        let text = match std::fs::read_to_string(&self.path) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            Err(error) => return Err(error),
        };
        let (_, whole) = read(&text)?;
        if whole < text.len() {
            let file = OpenOptions::new().write(true).open(&self.path)?;
            file.set_len(whole as u64)?;
            file.sync_all()?;
        }
        Ok(())
    }
}

/// The lines of a ledger, and how many of its bytes they are.
fn read(text: &str) -> io::Result<(Vec<String>, usize)> {
    let mut lines = Vec::new();
    let mut whole = 0;
    for line in text.split_inclusive('\n') {
        let Some(content) = line.strip_suffix('\n') else { break };
        let said = content.split_once(' ').filter(|(said, rest)| *said == check(rest));
        let Some((_, rest)) = said else {
            let last = whole + line.len() == text.len();
            return if last { Ok((lines, whole)) } else { Err(damaged()) };
        };
        lines.push(rest.to_owned());
        whole += line.len();
    }
    Ok((lines, whole))
}

fn check(line: &str) -> String {
    let mut digits = hex::encode(sha256(line.as_bytes()));
    digits.truncate(CHECK);
    digits
}

fn damaged() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, "a line of the ledger of erasures is damaged")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ledger(dir: &Path) -> Ledger {
        Ledger::beside(&dir.join("data.keys"))
    }

    #[test]
    fn lines_come_back_in_order_and_a_torn_one_does_not() {
        let dir = tempfile::tempdir().unwrap();
        assert!(ledger(dir.path()).lines().unwrap().is_empty());
        ledger(dir.path()).append(&["one 1".to_owned(), "two 2".to_owned()]).unwrap();
        let path = ledger(dir.path()).path().to_owned();
        let mut torn = std::fs::read(&path).unwrap();
        let whole = torn.len();
        torn.extend_from_slice(b"0123abcd thr");
        std::fs::write(&path, &torn).unwrap();
        assert_eq!(ledger(dir.path()).lines().unwrap(), ["one 1", "two 2"]);
        let again = ledger(dir.path());
        again.append(&["three".to_owned()]).unwrap();
        again.append(&["four".to_owned()]).unwrap();
        assert_eq!(again.lines().unwrap(), ["one 1", "two 2", "three", "four"]);
        let mut changed = std::fs::read(&path).unwrap();
        changed[whole - 2] ^= 1;
        std::fs::write(&path, changed).unwrap();
        assert_eq!(ledger(dir.path()).lines().unwrap_err().kind(), io::ErrorKind::InvalidData);
        assert!(ledger(dir.path()).append(&["five".to_owned()]).is_err());
    }
}
