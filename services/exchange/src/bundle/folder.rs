//! A folder that is written apart, hashed file by file, and appears whole.

use std::collections::BTreeMap;
use std::fs;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};

use aws_lc_rs::digest;

use super::ExportError;

/// A folder in the making.
pub(super) struct Folder {
    out: PathBuf,
    partial: PathBuf,
    hashes: BTreeMap<String, String>,
}

/// A file in the making.
pub(super) struct Pieces {
    path: String,
    full: PathBuf,
    file: BufWriter<fs::File>,
    hash: digest::Context,
}

impl Pieces {
    pub(super) fn write(&mut self, bytes: &[u8]) -> Result<(), ExportError> {
        self.hash.update(bytes);
        self.file.write_all(bytes).map_err(io(&self.full))
    }
}

impl Folder {
    pub(super) fn create(out: &Path) -> Result<Self, ExportError> {
        if fs::read_dir(out).is_ok_and(|mut entries| entries.next().is_some()) || out.is_file() {
            return Err(ExportError::NotEmpty(out.display().to_string()));
        }
        let mut partial = out.as_os_str().to_owned();
        partial.push(".partial");
        let partial = PathBuf::from(partial);
        if partial.exists() {
            fs::remove_dir_all(&partial).map_err(io(&partial))?;
        }
        fs::create_dir_all(&partial).map_err(io(&partial))?;
        Ok(Self { out: out.to_owned(), partial, hashes: BTreeMap::new() })
    }

    pub(super) fn write(&mut self, path: &str, bytes: &[u8]) -> Result<(), ExportError> {
        self.put(path, bytes)?;
        self.hashes.insert(path.to_owned(), sha256(bytes));
        Ok(())
    }

    /// Begins a file that is written piece by piece.
    pub(super) fn begin(&self, path: &str) -> Result<Pieces, ExportError> {
        let full = self.partial.join(path);
        if let Some(parent) = full.parent() {
            fs::create_dir_all(parent).map_err(io(parent))?;
        }
        let file = BufWriter::new(fs::File::create(&full).map_err(io(&full))?);
        Ok(Pieces { path: path.to_owned(), full, file, hash: digest::Context::new(&digest::SHA256) })
    }

    /// Ends a file that was begun.
    pub(super) fn end(&mut self, mut pieces: Pieces) -> Result<(), ExportError> {
        pieces.file.flush().map_err(io(&pieces.full))?;
        self.hashes.insert(pieces.path, hex::encode(pieces.hash.finish()));
        Ok(())
    }

    /// Writes the manifest: `head`, a blank line, every file's hash. Returns the hash of the manifest.
    pub(super) fn manifest(&mut self, head: &str) -> Result<String, ExportError> {
        let mut text = format!("{head}\n");
        for (path, hash) in &self.hashes {
            text.push_str(&format!("{hash}  {path}\n"));
        }
        self.put("manifest", text.as_bytes())?;
        Ok(sha256(text.as_bytes()))
    }

    pub(super) fn signature(&mut self, note: &[u8]) -> Result<(), ExportError> {
        self.put("manifest.sig", note)
    }

    /// Gives the folder its name; returns the number of files.
    pub(super) fn publish(self) -> Result<usize, ExportError> {
        if self.out.exists() {
            fs::remove_dir(&self.out).map_err(io(&self.out))?;
        }
        fs::rename(&self.partial, &self.out).map_err(io(&self.out))?;
        Ok(self.hashes.len())
    }

    pub(super) fn discard(self) {
        // Best effort: the folder never had its name.
        let _ = fs::remove_dir_all(&self.partial);
    }

    fn put(&self, path: &str, bytes: &[u8]) -> Result<(), ExportError> {
        let path = self.partial.join(path);
        if let Some(parent) = path.parent() {
            fs::create_dir_all(parent).map_err(io(parent))?;
        }
        fs::write(&path, bytes).map_err(io(&path))
    }
}

fn io(path: &Path) -> impl FnOnce(std::io::Error) -> ExportError {
    let path = path.display().to_string();
    move |source| ExportError::Io { path, source }
}

fn sha256(bytes: &[u8]) -> String {
    hex::encode(digest::digest(&digest::SHA256, bytes))
}
