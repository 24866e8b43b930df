//! Why a pack cannot be used.

use std::fmt;

/// One problem of a pack, at one place. It names files, lines and keys of the pack itself, which holds
/// no personal data.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PackError {
    /// File, as a path on disk or an import path.
    pub file: String,
    /// Line in it, from 1, where it is known.
    pub line: Option<u32>,
    /// Key path in `agreement.toml` or name of the message or field.
    pub key: Option<String>,
    /// What is wrong.
    pub problem: String,
}

impl PackError {
    /// A problem of a whole file.
    pub(crate) fn file(file: impl Into<String>, problem: impl Into<String>) -> Self {
        Self { file: file.into(), line: None, key: None, problem: problem.into() }
    }
}

impl std::error::Error for PackError {}

impl fmt::Display for PackError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.file)?;
        if let Some(line) = self.line {
            write!(f, ":{line}")?;
        }
        f.write_str(": ")?;
        if let Some(key) = &self.key {
            write!(f, "{key}: ")?;
        }
        f.write_str(&self.problem)
    }
}
