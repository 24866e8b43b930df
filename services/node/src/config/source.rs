//! The text of a configuration, to say where in it a problem is.

use std::fmt;
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use serde::de::DeserializeOwned;
use toml::de::{DeTable, DeValue};

/// Largest configuration, bytes.
const MAX_FILE: u64 = 256 * 1024;

/// One problem of a configuration, or of a file that it names. Never tells a secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfigError {
    /// The configuration.
    pub file: PathBuf,
    /// Line in it, from 1, where it is known.
    pub line: Option<usize>,
    /// Key path, for example `partners[0].ca`; empty for the file as a whole.
    pub key: String,
    /// What is wrong; begins with the path where a file that the key names is to blame.
    pub problem: String,
}

impl std::error::Error for ConfigError {}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.file.display())?;
        if let Some(line) = self.line {
            write!(f, ":{line}")?;
        }
        if !self.key.is_empty() {
            write!(f, ": {}", self.key)?;
        }
        write!(f, ": {}", self.problem)
    }
}

/// A configuration as text.
pub(super) struct Source {
    path: PathBuf,
    text: String,
}

impl Source {
    pub(super) fn read(path: &Path) -> Result<Self, ConfigError> {
        let refused = |problem: String| ConfigError { file: path.into(), line: None, key: String::new(), problem };
        let mut bytes = Vec::new();
        File::open(path)
            .and_then(|file| file.take(MAX_FILE + 1).read_to_end(&mut bytes))
            .map_err(|error| refused(format!("cannot be read: {error}")))?;
        if bytes.len() as u64 > MAX_FILE {
            return Err(refused(format!("larger than {MAX_FILE} bytes")));
        }
        let text = String::from_utf8(bytes).map_err(|_| refused("not UTF-8".into()))?;
        Ok(Self { path: path.into(), text })
    }

    /// Reads the text into its shape.
    pub(super) fn parse<T: DeserializeOwned>(&self) -> Result<T, ConfigError> {
        toml::from_str(&self.text).map_err(|error| {
            let start = error.span().map(|span| span.start);
            ConfigError {
                file: self.path.clone(),
                line: start.map(|start| self.line(start)),
                key: start.map(|start| self.key_at(start)).unwrap_or_default(),
                problem: error.message().replace('\n', " "),
            }
        })
    }

    /// A problem at `key`, for example `posts[1].districts[0]`.
    pub(super) fn error(&self, key: &str, problem: impl ToString) -> ConfigError {
        ConfigError {
            file: self.path.clone(),
            line: self.offset(key).map(|start| self.line(start)),
            key: key.to_owned(),
            problem: problem.to_string(),
        }
    }

    /// The path that a configuration names, relative to the configuration's folder.
    pub(super) fn resolve(&self, path: &Path) -> PathBuf {
        self.path.parent().unwrap_or(Path::new("")).join(path)
    }

    fn line(&self, offset: usize) -> usize {
        self.text.get(..offset).unwrap_or(&self.text).matches('\n').count() + 1
    }

    /// The key before the `=` of the line around `offset`, if there is one.
    fn key_at(&self, offset: usize) -> String {
        let start = self.text.get(..offset).and_then(|before| before.rfind('\n')).map_or(0, |at| at + 1);
        let line = self.text.get(start..).and_then(|rest| rest.lines().next()).unwrap_or_default();
        let key = line.split_once('=').map_or("", |(key, _)| key.trim());
        let plain = |b: u8| b.is_ascii_alphanumeric() || b"_-.".contains(&b);
        if key.bytes().all(plain) { key.to_owned() } else { String::new() }
    }

    /// Where the value of `key` stands; where it is missing, what would hold it.
    fn offset(&self, key: &str) -> Option<usize> {
        let table = DeTable::parse(&self.text).ok()?;
        let mut steps = key.split(['.', '[']).map(|step| step.trim_end_matches(']'));
        let first = table.get_ref().get(steps.next()?)?;
        let (mut value, mut start): (&DeValue<'_>, _) = (first.get_ref(), first.span().start);
        for step in steps {
            let next = match step.parse::<usize>() {
                Ok(index) => value.get(index),
                Err(_) => value.get(step),
            };
            let Some(next) = next else { break };
            (value, start) = (next.get_ref(), next.span().start);
        }
        Some(start)
    }
}
