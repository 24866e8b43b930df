//! Where in `agreement.toml` a problem is.

use std::ops::Range;

use serde::de::DeserializeOwned;
use toml::de::{DeTable, DeValue};

use super::MAX_CONFIG;
use crate::pack::{PackError, check_decoded, check_text};

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
        check_text(file, text)?;
        Ok(Self { file, text })
    }

    /// Parses the text into what it must be.
    pub(super) fn parse<T: DeserializeOwned>(&self) -> Result<T, PackError> {
        self.check_texts()?;
        toml::from_str(self.text).map_err(|error| {
            let line = error.span().map(|span| self.line(span.start));
            PackError::at(self.file, line, None, error.message().replace('\n', " ")).rule("config/toml")
        })
    }

    /// Refuses texts whose escapes hide what they say; a text that does not parse is the parser's to tell.
    fn check_texts(&self) -> Result<(), PackError> {
        let Ok(table) = DeTable::parse(self.text) else { return Ok(()) };
        let mut open: Vec<(&str, &DeValue<'_>, usize)> = Vec::new();
        open.extend(table.get_ref().iter().map(|(key, value)| (&**key.get_ref(), value.get_ref(), value.span().start)));
        while let Some((key, value, at)) = open.pop() {
            let text = match value {
                DeValue::String(text) => text,
                DeValue::Array(items) => {
                    open.extend(items.iter().map(|item| ("", item.get_ref(), item.span().start)));
                    ""
                }
                DeValue::Table(table) => {
                    let entries = table.iter();
                    open.extend(entries.map(|(key, item)| (&**key.get_ref(), item.get_ref(), item.span().start)));
                    ""
                }
                _ => "",
            };
            for said in [key, text] {
                check_decoded(said).map_err(|problem| {
                    let problem = format!("a text {problem}");
                    PackError::at(self.file, Some(self.line(at)), None, problem).rule("text/escape")
                })?;
            }
        }
        Ok(())
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
