//! Lint: everything that is wrong with a pack, and what is doubtful about it, each with its place, its rule and what to
//! write instead. What is wrong keeps a pack from being loaded; what is doubtful stays visible.

mod advice;
mod doubt;

use std::fmt;
use std::path::Path;

use crate::pack::{Pack, PackError};

pub(crate) use doubt::{doubts, unreachable};

/// How bad a finding is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// The pack is refused.
    Error,
    /// The pack is loaded.
    Warning,
}

impl Severity {
    /// As it is printed.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Error => "error",
            Self::Warning => "warning",
        }
    }
}

/// One finding.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// How bad it is.
    pub severity: Severity,
    /// Stable id of the rule.
    pub rule: &'static str,
    /// File.
    pub file: String,
    /// Line in it, from 1; 1 where the whole file is meant.
    pub line: u32,
    /// Key path, or name of the message or field; may be empty.
    pub key: String,
    /// What is wrong.
    pub problem: String,
    /// What to write instead.
    pub instead: String,
}

impl Finding {
    fn new(severity: Severity, error: PackError) -> Self {
        let instead = if error.instead.is_empty() { advice::advice(&error) } else { error.instead };
        Self {
            severity,
            rule: error.rule,
            file: error.file,
            line: error.line.unwrap_or(1),
            key: error.key.unwrap_or_default(),
            problem: error.problem,
            instead,
        }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: {} [{}] ", self.file, self.line, self.severity.as_str(), self.rule)?;
        if !self.key.is_empty() {
            write!(f, "{}: ", self.key)?;
        }
        write!(f, "{}\n    instead: {}", self.problem, self.instead)
    }
}

/// What lint found.
#[derive(Debug)]
pub struct Report {
    /// Errors first, each kind in the order of files and lines.
    pub findings: Vec<Finding>,
    /// The pack, if there is no error.
    pub pack: Option<Pack>,
}

impl Report {
    /// Whether the pack can be loaded.
    #[must_use]
    pub fn is_clean(&self) -> bool {
        self.pack.is_some()
    }
}

/// Looks at the pack `id` below `agreements_dir`, as [`Pack::load`] would, and tells all that it finds.
#[must_use]
pub fn lint(agreements_dir: &Path, id: &str) -> Report {
    let (pack, errors, warnings) = Pack::examine_on_disk(agreements_dir, id);
    let errors = errors.into_iter().map(|error| Finding::new(Severity::Error, error));
    let warnings = warnings.into_iter().map(|error| Finding::new(Severity::Warning, error));
    let mut findings: Vec<Finding> = errors.chain(warnings).collect();
    findings.sort_by(|a, b| (a.severity, &a.file, a.line, &a.key).cmp(&(b.severity, &b.file, b.line, &b.key)));
    findings.dedup();
    Report { findings, pack }
}
