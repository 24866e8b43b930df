//! The files that are there against those that the manifest names.

use std::path::Path;

use super::{MANIFEST, Manifest, SIGNATURE, limit_of};
use crate::problem::{Check, Problem, Problems};

/// Deepest folder.
const MAX_DEPTH: usize = 24;

pub(super) fn check(dir: &Path, manifest: &Manifest, problems: &mut Problems) {
    let mut walk = Walk { manifest, seen: vec![false; manifest.files.len()], problems };
    walk.folder(dir, "", 0);
    let Walk { seen, problems, .. } = walk;
    for (position, _) in seen.iter().enumerate().filter(|(_, seen)| !**seen) {
        problems.push(Problem::new(Check::MissingFile, "the manifest names it").at(manifest.files.path(position)));
    }
}

struct Walk<'w> {
    manifest: &'w Manifest,
    seen: Vec<bool>,
    problems: &'w mut Problems,
}

impl Walk<'_> {
    fn extra(&mut self, path: &str, text: &str) {
        self.problems.push(Problem::new(Check::ExtraFile, text).at(path));
    }

    fn folder(&mut self, dir: &Path, prefix: &str, depth: usize) {
        let entries = match std::fs::read_dir(dir) {
            Ok(entries) if depth <= MAX_DEPTH => entries,
            _ => return self.extra(prefix, "a folder that cannot be read or is too deep"),
        };
        let mut empty = true;
        for entry in entries {
            empty = false;
            let Ok(entry) = entry else {
                self.extra(prefix, "a folder that cannot be read");
                continue;
            };
            let name = entry.file_name();
            let path = format!("{prefix}{}", name.to_string_lossy());
            match entry.file_type() {
                Ok(kind) if kind.is_dir() => self.folder(&entry.path(), &format!("{path}/"), depth + 1),
                Ok(kind) if kind.is_file() && name.to_str().is_some() => {
                    self.file(&path, entry.metadata().map_or(0, |found| found.len()));
                }
                _ => self.extra(&path, "neither a plain file nor a folder"),
            }
        }
        if empty {
            self.extra(prefix, "an empty folder");
        }
    }

    fn file(&mut self, path: &str, length: u64) {
        if matches!(path, MANIFEST | SIGNATURE) {
            return;
        }
        if length > limit_of(path) {
            // Not read at all: one without end would be read for ever.
            self.problems.push(Problem::new(Check::Hash, "longer than a file of its kind can be").at(path));
        }
        match self.manifest.files.position(path) {
            Some(position) => self.seen[position] = true,
            None => self.extra(path, "the manifest does not name it"),
        }
    }
}
