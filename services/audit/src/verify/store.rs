//! The folder of temporary files, and what of it an interrupted run leaves for the next one.

use std::fs::{DirBuilder, File, OpenOptions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, FileExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use convenio_seal::TrustFile;

use crate::audit::Options;
use crate::bundle::sha256;
use crate::problem::Unusable;

/// First line of the state.
const FORMAT: &str = "convenio-audit-state/v1";
/// Name of the state.
const STATE: &str = "state";

/// A folder for temporary files; removed at the end if the caller named none.
#[derive(Debug)]
pub(crate) struct Work {
    dir: PathBuf,
    /// True if this run made it and nobody else is to find it.
    passing: bool,
}

impl Work {
    /// The folder for one bundle. What an earlier run left there stays if it is to be resumed and was left for the same
    /// bundle, under the same trust.
    pub(crate) fn open(options: &Options, manifest: &[u8; 32], trust: &TrustFile) -> Result<Self, Unusable> {
        let name = hex::encode(&manifest[..8]);
        let (dir, passing) = match &options.work {
            Some(work) => (work.join(name), false),
            None => (fresh(None)?, true),
        };
        let io = |source| Unusable::Io { path: dir.clone(), source };
        let trust = hex::encode(sha256(trust.to_string().as_bytes()));
        let state = format!("{FORMAT}\nmanifest {}\ntrust {trust}\n", hex::encode(manifest));
        let found = std::fs::read(dir.join(STATE)).is_ok_and(|found| found == state.as_bytes());
        let goes_on = found && options.resume;
        if !passing && !goes_on && dir.exists() {
            std::fs::remove_dir_all(&dir).map_err(io)?;
        }
        private().recursive(true).create(&dir).map_err(io)?;
        std::fs::write(dir.join(STATE), state).map_err(io)?;
        Ok(Self { dir, passing })
    }

    /// A file of it.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.dir.join(name)
    }
}

/// A folder for what nobody resumes, below the one that the caller named; removed at the end.
pub(crate) fn scratch(options: &Options) -> Result<Work, Unusable> {
    Ok(Work { dir: fresh(options.work.as_deref())?, passing: true })
}

impl Drop for Work {
    fn drop(&mut self) {
        if self.passing {
            // Best effort: the system clears its own folder.
            let _ = std::fs::remove_dir_all(&self.dir);
        }
    }
}

/// What is spooled may be personal data.
fn private() -> DirBuilder {
    let mut builder = DirBuilder::new();
    builder.mode(0o700);
    builder
}

/// A folder that nobody else has.
fn fresh(within: Option<&Path>) -> Result<PathBuf, Unusable> {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    loop {
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let within = within.map_or_else(std::env::temp_dir, Path::to_owned);
        let dir = within.join(format!("convenio-audit-{}-{number}", std::process::id()));
        match private().create(&dir) {
            Ok(()) => return Ok(dir),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            Err(source) => return Err(Unusable::Io { path: dir, source }),
        }
    }
}

/// A file that many threads append to; what they wrote is found by its offset.
#[derive(Debug)]
pub(crate) struct Heap {
    file: File,
    end: AtomicU64,
}

impl Heap {
    pub(crate) fn open(path: &Path) -> io::Result<Self> {
        let file = OpenOptions::new().read(true).write(true).create(true).truncate(false).open(path)?;
        let end = AtomicU64::new(file.metadata()?.len());
        Ok(Self { file, end })
    }

    /// Appends; returns the offset.
    pub(crate) fn append(&self, bytes: &[u8]) -> io::Result<u64> {
        let at = self.end.fetch_add(bytes.len() as u64, Ordering::Relaxed);
        self.file.write_all_at(bytes, at)?;
        Ok(at)
    }

    pub(crate) fn read(&self, at: u64, length: usize) -> io::Result<Vec<u8>> {
        let mut bytes = vec![0; length];
        self.file.read_exact_at(&mut bytes, at)?;
        Ok(bytes)
    }

    pub(crate) fn len(&self) -> u64 {
        self.end.load(Ordering::Relaxed)
    }
}
