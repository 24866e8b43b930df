//! A bundle: what a node exports for an auditor, a plain folder of files.
//!
//! ```text
//! manifest            convenio-bundle/v1
//!                     kind full                                or `kind commitments only`: without parts
//!                     exporter <node> <party>
//!                     log <origin> <size> <root base64>        one for each log, sorted
//!                     journal <origin> <size> <root base64>    one for each epoch of the exporter's journal, sorted
//!                     <empty line>
//!                     <sha256 hex>  <path>                     every other file, sorted
//! manifest.sig        a signed note of two lines, the manifest's first line and `sha256 <hex of the manifest>`,
//!                     with one Ed25519 signature by the exporter's log key; the key's name is the exporter's first origin
//! policy              tlog-policy: log keys, mirror cosigners, a quorum of any of them
//! packs/<digest>/<import path>                     every agreement version that is activated
//! ratifications/<digest>/<party>.dsse.json         by each of its parties
//! logs/<hex sha256(origin)>/
//!     checkpoint      the latest, with the mirror cosignatures held for that size
//!     checkpoints/<size>                           kept earlier ones
//!     tile/<L>/<N>[.p/<W>]                         every tile of every level at the checkpoint's size
//!     tile/entries/<N>[.p/<W>]                     every entry bundle
//!     parts/<N>       for entries N·256 to N·256+255: `u32` BE length and encoded `EntryParts`, ascending; entries
//!                     without a held part are left out, an erased part is empty
//!                     a journal has the same files; its checkpoints bear the cosignatures of partners' witnesses
//! rows                `<kind> <id hex> <revision> <sha256 hex>` for each live row of the registry, ascending; in a full bundle
//! witnessed/<hex sha256(origin)>                   what the exporter's witness cosigned last of another's log
//! evidence/refusals   JSON lines: what the exporter says it refused locally
//! ```
//!
//! Paths are of `[A-Za-z0-9._-]` and `/`. There are regular files and folders only, no empty folder, no file that the
//! manifest does not name. The exporter's log key is the one that its roots authorise in EPOCH_OPEN, so that a bundle is
//! bound to the trust file and to nothing else. What stands in `evidence/refusals` is the word of one side.

mod manifest;
mod tree;

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};

use aws_lc_rs::digest::{Context, SHA256, digest};

pub use manifest::{FORMAT, Files, JournalLine, Kind, LogLine, MAX_LOGS, MAX_MANIFEST, Manifest};

use crate::problem::{Check, Problem, Problems, Unusable};
use crate::verify::parts::MAX_ENTRY_PARTS;

/// Name of the manifest.
pub const MANIFEST: &str = "manifest";
/// Name of its signature.
pub const SIGNATURE: &str = "manifest.sig";
/// Name of the statement of local refusals.
pub const REFUSALS: &str = "evidence/refusals";
/// Largest file that is read whole: an entry bundle of 256 entries.
pub(crate) const MAX_FILE: u64 = 256 * (2 + 65_535);
/// Largest file of parts: of 256 entries.
const MAX_PARTS_FILE: u64 = 256 * (4 + MAX_ENTRY_PARTS as u64);
/// Largest file of rows: some 70 million of them.
const MAX_ROWS: u64 = 8 * 1024 * 1024 * 1024;

/// A bundle on disk with a manifest of the right form. Its files are hashed as they are read.
#[derive(Debug)]
pub struct Bundle {
    dir: PathBuf,
    manifest: Manifest,
    manifest_digest: [u8; 32],
    checked: Vec<AtomicBool>,
}

/// A folder that claims to be a bundle.
pub(crate) enum Opened {
    /// With a manifest of the right form.
    Bundle(Box<Bundle>),
    /// Damaged.
    Damaged(Problem),
}

impl Bundle {
    pub(crate) fn open(dir: &Path) -> Result<Opened, Unusable> {
        let io = |source| Unusable::Io { path: dir.to_owned(), source };
        if !std::fs::metadata(dir).map_err(io)?.is_dir() {
            return Err(io(std::io::Error::from(std::io::ErrorKind::NotADirectory)));
        }
        let path = dir.join(MANIFEST);
        let bytes = match read_plain(&path, MAX_MANIFEST) {
            Ok(bytes) => bytes,
            Err(_) if dir.join(SIGNATURE).exists() || dir.join("logs").exists() => {
                let problem = Problem::new(Check::MissingFile, "the manifest cannot be read");
                return Ok(Opened::Damaged(problem.at(MANIFEST)));
            }
            Err(_) => return Err(Unusable::NotABundle(dir.to_owned())),
        };
        let manifest_digest = sha256(&bytes);
        match Manifest::parse(bytes) {
            Ok(manifest) => {
                let checked = (0..manifest.files.len()).map(|_| AtomicBool::new(false)).collect();
                Ok(Opened::Bundle(Box::new(Self { dir: dir.to_owned(), manifest, manifest_digest, checked })))
            }
            Err((line, what)) => {
                let text = format!("line {line} {what}");
                Ok(Opened::Damaged(Problem::new(Check::Manifest, text).at(MANIFEST)))
            }
        }
    }

    /// Folder.
    #[must_use]
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// Manifest.
    #[must_use]
    pub fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    /// The text that the exporter signs.
    pub(crate) fn signed_text(&self) -> String {
        format!("{}\nsha256 {}\n", self.manifest.format, hex::encode(self.manifest_digest))
    }

    /// Bytes of `manifest.sig`.
    pub(crate) fn signature(&self) -> Option<Vec<u8>> {
        read_plain(&self.dir.join(SIGNATURE), MAX_FILE).ok()
    }

    /// Paths below `prefix`, which ends in `/`.
    pub(crate) fn below<'b>(&'b self, prefix: &'b str) -> impl Iterator<Item = &'b str> {
        let files = &self.manifest.files;
        (files.partition(prefix)..files.len()).map(|at| files.path(at)).take_while(move |p| p.starts_with(prefix))
    }

    /// Whether the manifest names the file.
    pub(crate) fn lists(&self, path: &str) -> bool {
        self.position(path).is_some()
    }

    fn position(&self, path: &str) -> Option<usize> {
        self.manifest.files.position(path)
    }

    /// The bytes of a file, if they are those that the manifest names.
    pub(crate) fn read(&self, path: &str, limit: u64, problems: &mut Problems) -> Option<Vec<u8>> {
        let Some(position) = self.position(path) else {
            problems.push(Problem::new(Check::MissingFile, "the manifest does not name it").at(path));
            return None;
        };
        self.checked[position].store(true, Ordering::Relaxed);
        let bytes = match read_plain(&self.dir.join(path), limit) {
            Ok(bytes) => bytes,
            // The walk over the tree reports what is not there.
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return None,
            Err(error) => {
                problems.push(Problem::new(Check::MissingFile, format!("cannot be read: {error}")).at(path));
                return None;
            }
        };
        if sha256(&bytes) != self.manifest.files.digest(position) {
            problems.push(differs(path));
            return None;
        }
        Some(bytes)
    }

    /// A file that is read piece by piece; [`HashedFile::finish`] tells whether its bytes are the right ones.
    pub(crate) fn stream(&self, path: &str) -> Option<std::io::Result<HashedFile>> {
        let position = self.position(path)?;
        self.checked[position].store(true, Ordering::Relaxed);
        let expected = self.manifest.files.digest(position);
        let file = open_plain(&self.dir.join(path));
        Some(file.map(|file| HashedFile {
            file: std::io::BufReader::with_capacity(64 * 1024, file),
            context: Context::new(&SHA256),
            expected,
        }))
    }

    /// SHA-256 of the manifest.
    #[must_use]
    pub fn digest(&self) -> [u8; 32] {
        self.manifest_digest
    }

    /// A file that an earlier run has checked.
    pub(crate) fn mark(&self, path: &str) {
        if let Some(position) = self.position(path) {
            self.checked[position].store(true, Ordering::Relaxed);
        }
    }

    /// Whatever no check has read has no place in the format.
    pub(crate) fn unread(&self, problems: &mut Problems) {
        for (at, _) in self.checked.iter().enumerate().filter(|(_, checked)| !checked.load(Ordering::Relaxed)) {
            let path = self.manifest.files.path(at);
            problems.push(Problem::new(Check::ExtraFile, "the format has no place for it").at(path));
        }
    }

    /// Compares the files that are there with those that the manifest names.
    pub(crate) fn check_tree(&self, problems: &mut Problems) {
        tree::check(&self.dir, &self.manifest, problems);
    }
}

/// Bytes that a file of its kind has at most.
fn limit_of(path: &str) -> u64 {
    match path {
        "rows" => MAX_ROWS,
        _ if path.starts_with("logs/") && path.contains("/parts/") => MAX_PARTS_FILE,
        _ => MAX_FILE,
    }
}

pub(crate) fn differs(path: &str) -> Problem {
    Problem::new(Check::Hash, "its bytes are not those that the manifest names").at(path)
}

/// A file that is hashed while it is read.
pub(crate) struct HashedFile {
    file: std::io::BufReader<File>,
    context: Context,
    expected: [u8; 32],
}

impl Read for HashedFile {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let read = self.file.read(buffer)?;
        self.context.update(&buffer[..read]);
        Ok(read)
    }
}

impl HashedFile {
    /// Reads what is left; true if the whole has the expected hash.
    pub(crate) fn finish(&mut self) -> bool {
        let mut buffer = [0; 16 * 1024];
        loop {
            match self.read(&mut buffer) {
                Ok(0) => break,
                Ok(_) => {}
                Err(_) => return false,
            }
        }
        self.context.clone().finish().as_ref() == self.expected
    }
}

/// Runs `work` on as many threads as there are cores, at most `most` and at least this one.
pub(crate) fn on_every_core<T: Send>(most: usize, work: impl Fn() -> Vec<T> + Sync) -> Vec<T> {
    std::thread::scope(|scope| {
        let others: Vec<_> = (1..cores().min(most)).map(|_| scope.spawn(&work)).collect();
        let mut found = work();
        for other in others {
            found.extend(other.join().expect("a worker does not panic"));
        }
        found
    })
}

/// Cores of this machine.
pub(crate) fn cores() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

/// Folder of a log.
pub(crate) fn log_folder(origin: &str) -> String {
    format!("logs/{}/", hex::encode(sha256(origin.as_bytes())))
}

pub(crate) fn sha256(bytes: &[u8]) -> [u8; 32] {
    let mut out = [0; 32];
    out.copy_from_slice(digest(&SHA256, bytes).as_ref());
    out
}

/// Reads a file that somebody names.
pub(crate) fn read_bounded(path: &Path, limit: u64) -> std::io::Result<Vec<u8>> {
    bounded(File::open(path)?, limit)
}

/// Reads a file of a bundle.
fn read_plain(path: &Path, limit: u64) -> std::io::Result<Vec<u8>> {
    bounded(open_plain(path)?, limit)
}

/// Opens a file of a bundle: a plain one, since a pipe has nobody who ever writes to it.
fn open_plain(path: &Path) -> std::io::Result<File> {
    if !std::fs::symlink_metadata(path)?.is_file() {
        return Err(std::io::Error::other("not a plain file"));
    }
    File::open(path)
}

fn bounded(file: File, limit: u64) -> std::io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    file.take(limit + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > limit {
        return Err(std::io::Error::from(std::io::ErrorKind::FileTooLarge));
    }
    Ok(bytes)
}
