//! What the witness cosigned, in a file apart from the database and its backups: an answer leaves only after a line of it
//! is on the disk, so that a database that is older than its file shows itself.
//!
//! ```text
//! convenio-witness/v1 <hex public key>
//! was <hex public key>                           a key that this file belonged to before
//! <hex sha256(origin)> <size> <base64 root>      as often as there was a cosignature; the largest size counts
//! now <hex public key>                           the key was rotated: what follows is cosigned by this one
//! ```

use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read as _, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use convenio_log::witness::Head;
use convenio_seal::key::SigningKey;
use convenio_store::{Store, StoreError};

use super::{MAX_LOGS, STATES, head_of};
use crate::publish::folder;

/// First word of the file.
const FORMAT: &str = "convenio-witness/v1";
/// Largest file read, bytes. It is written anew, one line a log, at each start and after [`MAX_LINES`].
const MAX_FILE: u64 = 64 * 1024 * 1024;
/// Lines that are appended before the file is written anew.
const MAX_LINES: usize = 16 * 1024;
/// Most keys that a node's witness had before.
const MAX_PAST_KEYS: usize = 256;

/// The file cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum HeadsError {
    /// It cannot be read or written.
    #[error("{path}: {source}", path = path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// What the operating system says.
        source: io::Error,
    },
    /// The database cannot be read.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// The file, opened and compared with the database.
#[derive(Debug, Clone)]
pub struct HeadsFile {
    held: Arc<Mutex<Held>>,
    /// The key that may not cosign any more, hexadecimal.
    rolled_back: Option<String>,
}

/// The open file, and what it says.
#[derive(Debug)]
struct Held {
    path: PathBuf,
    /// None after a failed write: a torn line must stay the last one.
    file: Option<File>,
    said: Said,
    /// Lines since it was written anew.
    lines: usize,
}

/// What a file says.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
struct Said {
    key: String,
    was: Vec<String>,
    /// Size and root by folder of the log.
    heads: BTreeMap<String, (u64, String)>,
}

impl HeadsFile {
    /// Opens the file of a node's witness key and compares it with what the database knows. It is rolled back where the file
    /// says that this very key cosigned more, or was given up before, or where the file is gone although the node has a
    /// `past`: it held log entries before it was started. A new key starts anew.
    ///
    /// # Errors
    /// [`HeadsError`].
    pub async fn open(path: &Path, store: &dyn Store, past: bool, key: &SigningKey) -> Result<Self, HeadsError> {
        let key = hex::encode(key.public().raw());
        let known = known(store).await?;
        let said = match read(path)? {
            Read::Absent => None,
            Read::Said(said) => Some(said),
            // What cannot be read may say anything of this key.
            Read::Malformed => Some(Said { was: vec![key.clone()], ..Said::default() }),
        };
        let rolled_back = match &said {
            None => past || !known.is_empty(),
            Some(said) if said.key == key => said.heads.iter().any(|(log, (size, root))| {
                known.get(log).is_none_or(|head| {
                    let other = head.size == *size && STANDARD.encode(head.root.as_bytes()) != *root;
                    head.size < *size || other
                })
            }),
            Some(said) => said.was.contains(&key),
        };
        if rolled_back {
            tracing::error!(
                alarm = super::ROLLED_BACK,
                "the database is older than what this witness key cosigned: it cosigns nothing until the key is rotated"
            );
            // What the file says must stay: it names the key that may never cosign again.
            let said = said.unwrap_or_else(|| Said { was: vec![key.clone()], ..Said::default() });
            return Ok(Self { held: Held::write(path, said)?.shared(), rolled_back: Some(key) });
        }
        let held = Held::write(path, current(said, key, &known))?.shared();
        Ok(Self { held, rolled_back: None })
    }

    /// Whether the witness must not cosign with this key. A key that took its place since may.
    #[must_use]
    pub fn rolled_back(&self, key: &SigningKey) -> bool {
        self.rolled_back.as_ref().is_some_and(|gone| *gone == hex::encode(key.public().raw()))
    }

    /// Writes that a head was cosigned by a key, durably.
    pub(super) async fn record(&self, origin: &str, head: Head, key: &SigningKey) -> Result<(), StoreError> {
        let (log, said) = (folder(origin), (head.size, STANDARD.encode(head.root.as_bytes())));
        let (held, key) = (self.held.clone(), hex::encode(key.public().raw()));
        let written = tokio::task::spawn_blocking(move || {
            held.lock().unwrap_or_else(PoisonError::into_inner).record(log, said, key)
        });
        match written.await {
            Ok(Ok(())) => Ok(()),
            _ => Err(StoreError::Failed("the file of the witness's heads cannot be written".to_owned())),
        }
    }
}

impl Held {
    /// One more head, durably; nothing where the file says it already. Every so many lines the file is written anew.
    fn record(&mut self, log: String, head: (u64, String), key: String) -> io::Result<()> {
        let mut said = self.said.clone();
        let mut text = String::new();
        if said.key != key {
            text = format!("now {key}\n");
            said.now(key);
        }
        if self.file.is_some() && text.is_empty() && said.heads.get(&log) == Some(&head) {
            return Ok(());
        }
        text.push_str(&format!("{log} {} {}\n", head.0, head.1));
        said.head(log, head);
        let mut file = self.file.take().ok_or_else(|| io::Error::other("an earlier line was not written"))?;
        if self.lines >= MAX_LINES {
            *self = Self::write(&self.path, said).map_err(io::Error::other)?;
            return Ok(());
        }
        file.write_all(text.as_bytes())?;
        file.sync_data()?;
        (self.file, self.said, self.lines) = (Some(file), said, self.lines + 1);
        Ok(())
    }

    /// Replaces the file, whole or not at all, and opens it for lines to come.
    fn write(path: &Path, said: Said) -> Result<Self, HeadsError> {
        let mut text = format!("{FORMAT} {}\n", said.key);
        said.was.iter().for_each(|key| text.push_str(&format!("was {key}\n")));
        said.heads.iter().for_each(|(log, (size, root))| text.push_str(&format!("{log} {size} {root}\n")));
        let written = || {
            let mut partial = path.as_os_str().to_owned();
            partial.push(".partial");
            let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&partial)?;
            file.write_all(text.as_bytes())?;
            file.sync_all()?;
            fs::rename(&partial, path)?;
            let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
            File::open(folder)?.sync_all()?;
            OpenOptions::new().append(true).open(path)
        };
        let file = written().map_err(|source| HeadsError::Io { path: path.to_owned(), source })?;
        Ok(Self { path: path.to_owned(), file: Some(file), said, lines: 0 })
    }

    fn shared(self) -> Arc<Mutex<Self>> {
        Arc::new(Mutex::new(self))
    }
}

impl Said {
    /// A new key starts anew: what the one before cosigned binds that one alone.
    fn now(&mut self, key: String) {
        let before = std::mem::replace(&mut self.key, key);
        self.was.extend(Some(before).filter(|before| !before.is_empty()));
        self.heads.clear();
    }

    /// The largest head of each log counts.
    fn head(&mut self, log: String, head: (u64, String)) {
        let held = self.heads.entry(log).or_insert_with(|| head.clone());
        if held.0 <= head.0 {
            *held = head;
        }
    }
}

async fn known(store: &dyn Store) -> Result<BTreeMap<String, Head>, StoreError> {
    let mut known = BTreeMap::new();
    for row in store.states(STATES, "", MAX_LOGS).await? {
        let log = row.key.trim_start_matches(STATES).to_owned();
        known.extend(head_of(Some(&row.body))?.map(|head| (log, head)));
    }
    Ok(known)
}

/// The file of this key as the database knows it, which is at least as far.
fn current(said: Option<Said>, key: String, known: &BTreeMap<String, Head>) -> Said {
    let mut was = Vec::new();
    if let Some(said) = said {
        was = said.was;
        if said.key != key && !said.key.is_empty() {
            was.push(said.key);
        }
    }
    let heads = known.iter().map(|(log, head)| (log.clone(), (head.size, STANDARD.encode(head.root.as_bytes()))));
    Said { key, was, heads: heads.collect() }
}

enum Read {
    Absent,
    Said(Said),
    Malformed,
}

fn read(path: &Path) -> Result<Read, HeadsError> {
    let mut bytes = Vec::new();
    match File::open(path).and_then(|file| file.take(MAX_FILE + 1).read_to_end(&mut bytes)) {
        Ok(_) => {}
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Read::Absent),
        Err(source) => return Err(HeadsError::Io { path: path.to_owned(), source }),
    }
    let whole = u64::try_from(bytes.len()).is_ok_and(|len| len <= MAX_FILE);
    let text = std::str::from_utf8(&bytes).ok().filter(|_| whole);
    Ok(text.and_then(parse).map_or(Read::Malformed, Read::Said))
}

fn parse(text: &str) -> Option<Said> {
    // A line without its end was not durable, and nothing was answered for it.
    let whole = &text[..text.rfind('\n')? + 1];
    let mut lines = whole.lines();
    let mut said = Said { key: lines.next()?.strip_prefix(FORMAT)?.trim_start().to_owned(), ..Said::default() };
    for line in lines {
        let words: Vec<_> = line.split(' ').collect();
        match words[..] {
            ["was", key] if said.was.len() < MAX_PAST_KEYS => said.was.push(key.to_owned()),
            ["now", key] if said.was.len() < MAX_PAST_KEYS => said.now(key.to_owned()),
            [log, size, root] if log.len() == 64 => {
                said.head(log.to_owned(), (size.parse().ok()?, root.to_owned()));
            }
            _ => return None,
        }
    }
    Some(said)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_largest_head_of_each_log_counts_and_a_torn_line_does_not() {
        let log = "ab".repeat(32);
        let text = format!("{FORMAT} k2\nwas k1\n{log} 5 a\n{log} 9 b\n{log} 7 c\n{log} 12");
        let said = parse(&text).expect("a file of heads");
        assert_eq!((said.key.as_str(), said.was), ("k2", vec!["k1".to_owned()]));
        assert_eq!(said.heads[&log], (9, "b".to_owned()));
        let rotated = parse(&format!("{text}\nnow k3\n{log} 4 d\n").replace(" 12\n", " 12 e\n"));
        let rotated = rotated.expect("a file of heads");
        assert_eq!((rotated.key.as_str(), rotated.was.len(), rotated.heads[&log].0), ("k3", 2, 4));
        for bad in
            ["", "x\n", "convenio-witness/v2 k\n", &format!("{FORMAT} k\n{log} x a\n"), &format!("{FORMAT} k\nab\n")]
        {
            assert!(parse(bad).is_none(), "{bad}");
        }
    }

    #[test]
    fn a_head_that_stands_there_is_no_line_and_many_lines_are_written_anew() {
        let dir = tempfile::tempdir().expect("a folder");
        let path = dir.path().join("witness.heads");
        let mut held = Held::write(&path, Said { key: "k1".into(), ..Said::default() }).expect("a file");
        let text = || fs::read_to_string(&path).expect("the file");
        let record = |held: &mut Held, size, key: &str| {
            held.record("ab".repeat(32), (size, "root".into()), key.to_owned()).expect("a line");
        };
        for size in [3, 3, 3, 5] {
            record(&mut held, size, "k1");
        }
        assert_eq!(text().lines().count(), 3);
        held.lines = MAX_LINES;
        record(&mut held, 9, "k2");
        assert_eq!(text(), format!("{FORMAT} k2\nwas k1\n{} 9 root\n", "ab".repeat(32)));
        record(&mut held, 10, "k2");
        assert_eq!(parse(&text()).expect("a file of heads"), held.said);
        assert_eq!(text().lines().count(), 4);
    }
}
