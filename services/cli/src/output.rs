//! Public files that commands write.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::Path;

use anyhow::Context;

/// Writes a public file whole or not at all; its folder is made, an earlier file is replaced.
///
/// # Errors
/// The file's path, and why it cannot be written.
pub fn write_file(path: &Path, content: &[u8]) -> anyhow::Result<()> {
    let told = || format!("{}: cannot be written", path.display());
    let written = || -> io::Result<()> {
        if let Some(folder) = path.parent().filter(|folder| !folder.as_os_str().is_empty()) {
            fs::create_dir_all(folder)?;
        }
        let mut partial = path.as_os_str().to_owned();
        partial.push(".partial");
        let mut file = File::create(&partial)?;
        file.write_all(content)?;
        file.sync_all()?;
        fs::rename(&partial, path)
    };
    written().with_context(told)
}

/// Prints a line to standard output.
///
/// # Errors
/// If nobody reads it.
pub fn say(line: impl std::fmt::Display) -> anyhow::Result<()> {
    writeln!(io::stdout(), "{line}").context("standard output cannot be written")
}
