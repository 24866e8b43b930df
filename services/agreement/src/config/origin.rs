//! Where in `agreement.toml` a problem is.

use std::ops::Range;

use serde::de::DeserializeOwned;
use toml::de::{DeTable, DeValue};

use super::MAX_CONFIG;
use crate::pack::PackError;

/// The text of an `agreement.toml` with its name, to say where a problem is.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Origin<'a> {
    file: &'a str,
    text: &'a str,
}

impl<'a> Origin<'a> {
    /// Checks the size and that it is text.
    pub(crate) fn new(file: &'a str, bytes: &'a [u8]) -> Result<Self, PackError> {
        if bytes.len() > MAX_CONFIG {
            return Err(PackError::file(file, format!("larger than {MAX_CONFIG} bytes")));
        }
        let text = std::str::from_utf8(bytes).map_err(|_| PackError::file(file, "not UTF-8"))?;
        Ok(Self { file, text })
    }

    /// Parses the text into what it must be.
    pub(super) fn parse<T: DeserializeOwned>(&self) -> Result<T, PackError> {
        toml::from_str(self.text).map_err(|error| {
            let line = error.span().map(|span| self.line(span.start));
            PackError::at(self.file, line, None, error.message().replace('\n', " ")).rule("config/toml")
        })
    }

    /// A problem at `key`, for example `lifecycle.transitions[3].gates[1]`.
    pub(crate) fn error(&self, key: &str, problem: impl Into<String>) -> PackError {
        PackError::at(self.file, self.span(key).map(|span| self.line(span.start)), Some(key), problem)
    }

    fn line(&self, offset: usize) -> u32 {
        let before = self.text.get(..offset).unwrap_or(self.text);
        u32::try_from(before.matches('\n').count() + 1).unwrap_or(u32::MAX)
    }

    /// Where the value of `key` stands; where it is missing, what would hold it.
    fn span(&self, key: &str) -> Option<Range<usize>> {
        let table = DeTable::parse(self.text).ok()?;
        let mut steps = key.split(['.', '[']).map(|step| step.trim_end_matches(']'));
        let first = table.get_ref().get(steps.next()?)?;
        let (mut value, mut span): (&DeValue<'_>, _) = (first.get_ref(), first.span());
        for step in steps {
            let next = match step.parse::<usize>() {
                Ok(index) => value.get(index),
                Err(_) => value.get(step),
            };
            let Some(next) = next else { break };
            (value, span) = (next.get_ref(), next.span());
        }
        Some(span)
    }
}
