//! The files of a pack, and the digest that both states ratify.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use aws_lc_rs::digest::{Context, SHA256, digest};

/// Most files of a pack.
pub const MAX_FILES: usize = 256;
/// Largest file of a pack, bytes.
pub const MAX_FILE: usize = 1024 * 1024;
/// Largest pack: all its files together, bytes.
pub const MAX_TOTAL: usize = 4 * 1024 * 1024;
/// Deepest folder in an import path.
const MAX_DEPTH: usize = 16;

/// The files could not be read or written.
#[derive(Debug, thiserror::Error)]
pub enum FilesError {
    /// The file system refused.
    #[error("{}: {source}", path.display())]
    Io {
        /// File or folder.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// Not what a pack may hold.
    #[error("{}: {problem}", path.display())]
    Refused {
        /// File or folder.
        path: PathBuf,
        /// Why.
        problem: &'static str,
    },
}

/// Files by import path, for example `agreements/sv-ca/agreement.toml`; sorted bytewise.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Files {
    entries: BTreeMap<String, Vec<u8>>,
}

impl Files {
    /// No files.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a file.
    ///
    /// # Errors
    /// [`FilesError::Refused`] for a path that is no plain import path, or past a limit.
    pub fn insert(&mut self, path: &str, bytes: Vec<u8>) -> Result<(), FilesError> {
        let refused = |problem| FilesError::Refused { path: path.into(), problem };
        if !is_import_path(path) {
            return Err(refused("not an import path"));
        }
        if bytes.len() > MAX_FILE {
            return Err(refused("larger than 1 MiB"));
        }
        if self.entries.len() >= MAX_FILES && !self.entries.contains_key(path) {
            return Err(refused("more than 256 files"));
        }
        let others = self.iter().filter(|(other, _)| *other != path);
        if others.map(|(_, bytes)| bytes.len()).sum::<usize>() + bytes.len() > MAX_TOTAL {
            return Err(refused("more than 4 MiB with the files before it"));
        }
        self.entries.insert(path.to_owned(), bytes);
        Ok(())
    }

    /// Bytes of a file.
    #[must_use]
    pub fn file(&self, path: &str) -> Option<&[u8]> {
        self.entries.get(path).map(Vec::as_slice)
    }

    /// All files, in the order of their paths.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &[u8])> {
        self.entries.iter().map(|(path, bytes)| (path.as_str(), bytes.as_slice()))
    }

    /// The agreement digest: SHA-256 over `convenio/agreement/v1\n` and, for each file in the bytewise
    /// order of these lines, `<hex sha256>  <import path>\n`.
    #[must_use]
    pub fn digest(&self) -> [u8; 32] {
        let mut lines: Vec<String> =
            self.iter().map(|(path, bytes)| format!("{}  {path}\n", hex::encode(digest(&SHA256, bytes)))).collect();
        lines.sort_unstable();
        let mut context = Context::new(&SHA256);
        context.update(b"convenio/agreement/v1\n");
        for line in &lines {
            context.update(line.as_bytes());
        }
        let mut out = [0; 32];
        out.copy_from_slice(context.finish().as_ref());
        out
    }

    /// Writes the tree below `dir`, which is made.
    ///
    /// # Errors
    /// [`FilesError::Io`].
    pub fn write_to(&self, dir: &Path) -> Result<(), FilesError> {
        for (name, bytes) in self.iter() {
            let path = dir.join(name);
            let io = |source| FilesError::Io { path: path.clone(), source };
            if let Some(parent) = path.parent() {
                fs::create_dir_all(parent).map_err(io)?;
            }
            fs::write(&path, bytes).map_err(io)?;
        }
        Ok(())
    }

    /// Reads every file below `dir`, and nothing else: no link is followed.
    ///
    /// # Errors
    /// [`FilesError`].
    pub fn read_from(dir: &Path) -> Result<Self, FilesError> {
        let mut files = Self::new();
        files.read_folder(dir, "", 0)?;
        Ok(files)
    }

    fn read_folder(&mut self, dir: &Path, prefix: &str, depth: usize) -> Result<(), FilesError> {
        let refused = |path: &Path, problem| FilesError::Refused { path: path.to_owned(), problem };
        if depth > MAX_DEPTH {
            return Err(refused(dir, "folders too deep"));
        }
        let io = |source| FilesError::Io { path: dir.to_owned(), source };
        for (count, entry) in fs::read_dir(dir).map_err(io)?.enumerate() {
            let entry = entry.map_err(io)?;
            let path = entry.path();
            if count >= MAX_FILES {
                return Err(refused(dir, "more than 256 files"));
            }
            let name = entry.file_name();
            let name = name.to_str().ok_or_else(|| refused(&path, "name is not UTF-8"))?;
            let kind = entry.file_type().map_err(io)?;
            let import = format!("{prefix}{name}");
            if kind.is_dir() {
                self.read_folder(&path, &format!("{import}/"), depth + 1)?;
            } else if kind.is_file() {
                self.insert(&import, read_bounded(&path)?)?;
            } else {
                return Err(refused(&path, "neither file nor folder"));
            }
        }
        Ok(())
    }
}

/// SHA-256 of `bytes`.
pub(crate) fn sha256(bytes: &[u8]) -> [u8; 32] {
    let mut out = [0; 32];
    out.copy_from_slice(digest(&SHA256, bytes).as_ref());
    out
}

/// Reads one file of at most [`MAX_FILE`] bytes.
pub(crate) fn read_bounded(path: &Path) -> Result<Vec<u8>, FilesError> {
    use std::io::Read;
    let io = |source| FilesError::Io { path: path.to_owned(), source };
    let mut bytes = Vec::new();
    let limit = MAX_FILE as u64 + 1;
    // A pipe would make the reader wait, a device would never end.
    if !fs::metadata(path).map_err(io)?.is_file() {
        return Err(FilesError::Refused { path: path.to_owned(), problem: "no regular file" });
    }
    fs::File::open(path).map_err(io)?.take(limit).read_to_end(&mut bytes).map_err(io)?;
    if bytes.len() > MAX_FILE {
        return Err(FilesError::Refused { path: path.to_owned(), problem: "larger than 1 MiB" });
    }
    Ok(bytes)
}

/// Whether a path is one that an import may name: relative, plain, of printable ASCII.
pub(crate) fn is_import_path(path: &str) -> bool {
    let plain = |step: &str| !matches!(step, "" | "." | "..");
    let legal = |b: u8| b.is_ascii_alphanumeric() || b"/._-".contains(&b);
    path.len() <= 255 && path.bytes().all(legal) && path.split('/').all(plain) && path.split('/').count() <= MAX_DEPTH
}
