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
    /// Stable id of the rule that is broken, `<area>/<rule>`; an area alone where the problem says it all.
    pub rule: &'static str,
    /// What to write instead; empty where the problem says it.
    pub instead: String,
}

impl PackError {
    /// A problem of a whole file.
    pub(crate) fn file(file: impl Into<String>, problem: impl Into<String>) -> Self {
        Self::at(file, None, None, problem)
    }

    /// A problem at a place.
    pub(crate) fn at(
        file: impl Into<String>,
        line: Option<u32>,
        key: Option<&str>,
        problem: impl Into<String>,
    ) -> Self {
        let (file, problem) = (file.into(), problem.into());
        let rule = if key.is_none() {
            "file"
        } else if file.ends_with(".toml") {
            "config"
        } else {
            "schema"
        };
        Self { file, line, key: key.map(str::to_owned), problem, rule, instead: String::new() }
    }

    /// The same, with the stable id of the rule.
    #[must_use]
    pub(crate) fn rule(mut self, rule: &'static str) -> Self {
        self.rule = rule;
        self
    }

    /// The same, with what to write instead.
    #[must_use]
    pub(crate) fn instead(mut self, instead: impl Into<String>) -> Self {
        self.instead = instead.into();
        self
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
