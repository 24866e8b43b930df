//! A bundle on disk that becomes another one by as few writes as that takes.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use tempfile::TempDir;

pub type Files = BTreeMap<String, Vec<u8>>;

pub struct Site {
    dir: TempDir,
    files: Files,
}

impl Site {
    pub fn new() -> Self {
        Self { dir: TempDir::new().unwrap(), files: Files::new() }
    }

    pub fn path(&self) -> &Path {
        self.dir.path()
    }

    /// Makes the folder hold exactly these files.
    pub fn hold(&mut self, files: &Files) {
        let stale: Vec<String> = self.files.keys().filter(|path| !files.contains_key(*path)).cloned().collect();
        for path in stale {
            let target = self.dir.path().join(&path);
            fs::remove_file(&target).unwrap();
            // No folder may be empty.
            let above = target.ancestors().skip(1).take_while(|folder| *folder != self.dir.path());
            let _ = above.take_while(|folder| fs::remove_dir(folder).is_ok()).count();
            self.files.remove(&path);
        }
        for (path, bytes) in files {
            if self.files.get(path) != Some(bytes) {
                let target = self.dir.path().join(path);
                fs::create_dir_all(target.parent().unwrap()).unwrap();
                fs::write(target, bytes).unwrap();
                self.files.insert(path.clone(), bytes.clone());
            }
        }
    }
}
