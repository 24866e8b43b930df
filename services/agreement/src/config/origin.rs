//! Where in the files of a configuration a value stands: `agreement.toml` and the fragments that it imports are one
//! document, laid end to end, so that every value keeps its file and line.

use std::cell::RefCell;
use std::ops::Range;

use serde::de::DeserializeOwned;
use toml::Spanned;
use toml::de::{DeArray, DeTable, DeValue, Deserializer};

use super::merge::{Merge, Preamble};
use super::{MAX_CONFIG, MAX_FRAGMENT, uses};
use crate::pack::{PackError, check_decoded, check_text};

/// Most problems of one configuration that are told.
const MAX_NOTED: usize = 200;

/// One file of a configuration.
#[derive(Debug, Clone, Copy)]
pub(super) struct Text<'a> {
    pub(super) file: &'a str,
    text: &'a str,
    /// Where it begins in the document.
    pub(super) base: usize,
}

/// The files of a configuration, merged into one document. The pack's own file is the last.
#[derive(Debug)]
pub(crate) struct Sources<'a> {
    texts: Vec<Text<'a>>,
    merged: Spanned<DeTable<'a>>,
    /// Problems that let the checks go on.
    noted: RefCell<Vec<PackError>>,
}

impl<'a> Sources<'a> {
    /// Merges the `fragments`, in their order, and then `agreement.toml`; each is a name with its bytes.
    pub(crate) fn new(fragments: &'a [(String, Vec<u8>)], config: (&'a str, &'a [u8])) -> Result<Self, PackError> {
        let all = fragments.iter().map(|(file, bytes)| (file.as_str(), bytes.as_slice(), MAX_FRAGMENT));
        let mut sources =
            Self { texts: Vec::new(), merged: Spanned::new(0..0, DeTable::new()), noted: RefCell::new(Vec::new()) };
        let mut merge = Merge::default();
        let mut own = Preamble::default();
        for (file, bytes, most) in all.chain([(config.0, config.1, MAX_CONFIG)]) {
            let table = sources.add(file, bytes, most)?;
            let is_pack = sources.texts.len() > fragments.len();
            own = sources.place(merge.add(table, is_pack))?;
        }
        let base = sources.texts.last().map_or(0, |text| text.base);
        let mut table = merge.table;
        sources.place(uses::apply(&mut table, &own.uses, base))?;
        sources.merged = Spanned::new(base..base, table);
        Ok(sources)
    }

    /// What problems of it are told with.
    pub(crate) fn origin(&'a self) -> Origin<'a> {
        Origin { sources: self }
    }

    /// Parses one more file; its values stand where it begins in the document.
    fn add(&mut self, file: &'a str, bytes: &'a [u8], most: usize) -> Result<DeTable<'a>, PackError> {
        if bytes.len() > most {
            return Err(PackError::file(file, format!("larger than {most} bytes")));
        }
        let text = std::str::from_utf8(bytes).map_err(|_| PackError::file(file, "not UTF-8"))?;
        check_text(file, text)?;
        let base = self.texts.last().map_or(0, |last| last.base + last.text.len() + 1);
        self.texts.push(Text { file, text, base });
        let table = DeTable::parse(text).map_err(|error| self.refused(&error, base))?;
        let table = moved_table(table.into_inner(), base);
        self.check_texts(&table)?;
        Ok(table)
    }

    /// Refuses texts whose escapes hide what they say.
    fn check_texts(&self, table: &DeTable<'_>) -> Result<(), PackError> {
        let mut open: Vec<(&str, &DeValue<'_>, usize)> = Vec::new();
        open.extend(table.iter().map(|(key, value)| (&**key.get_ref(), value.get_ref(), value.span().start)));
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
                    PackError::at(self.text(at).file, Some(self.line(at)), None, problem).rule("text/escape")
                })?;
            }
        }
        Ok(())
    }

    /// A problem that the parser found, in a text that begins at `base`.
    fn refused(&self, error: &toml::de::Error, base: usize) -> PackError {
        self.problem(error.span().map_or(base, |span| base + span.start), error)
    }

    fn problem(&self, at: usize, error: &toml::de::Error) -> PackError {
        let problem = error.message().replace('\n', " ");
        PackError::at(self.text(at).file, Some(self.line(at)), None, problem).rule("config/toml")
    }

    /// Gives a problem of the merge its file and line.
    fn place<T>(&self, result: Result<T, Misplaced>) -> Result<T, PackError> {
        result.map_err(|Misplaced { at, key, problem }| {
            let problem = problem.into_text(|other| {
                let (file, line) = (self.text(other).file, self.line(other));
                format!("{file}:{line}")
            });
            PackError::at(self.text(at).file, Some(self.line(at)), Some(&key), problem).rule("config/merge")
        })
    }

    fn text(&self, offset: usize) -> Text<'a> {
        let found = self.texts.iter().rev().find(|text| text.base <= offset);
        found.copied().unwrap_or(Text { file: "", text: "", base: 0 })
    }

    fn line(&self, offset: usize) -> u32 {
        let Text { text, base, .. } = self.text(offset);
        let before = text.get(..offset - base).unwrap_or(text);
        u32::try_from(before.matches('\n').count() + 1).unwrap_or(u32::MAX)
    }
}

/// A problem of the merge, by its place in the document.
#[derive(Debug)]
pub(super) struct Misplaced {
    pub(super) at: usize,
    pub(super) key: String,
    pub(super) problem: Problem,
}

/// What is wrong; it may name another place.
#[derive(Debug)]
pub(super) enum Problem {
    Plain(String),
    /// The words, and the place that follows them.
    At(String, usize),
}

impl Problem {
    fn into_text(self, place: impl Fn(usize) -> String) -> String {
        match self {
            Self::Plain(text) => text,
            Self::At(text, other) => format!("{text} {}", place(other)),
        }
    }
}

/// Tells problems of a configuration with file and line.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Origin<'a> {
    sources: &'a Sources<'a>,
}

impl<'a> Origin<'a> {
    /// Parses the document into what it must be.
    pub(super) fn parse<T: DeserializeOwned>(&self) -> Result<T, PackError> {
        let merged = self.sources.merged.clone();
        let own = merged.span().start;
        T::deserialize(Deserializer::from(merged)).map_err(|error| {
            let at = error.span().map_or(own, |span| span.start);
            self.sources.problem(at, &error)
        })
    }

    /// The document as one table.
    pub(super) fn table(&self) -> &'a DeTable<'a> {
        self.sources.merged.get_ref()
    }

    /// Notes a problem and lets the checks go on, up to a limit: all findings are told, not the first alone.
    ///
    /// # Errors
    /// The problem itself, past the limit.
    pub(crate) fn note(&self, error: PackError) -> Result<(), PackError> {
        let mut noted = self.sources.noted.borrow_mut();
        if noted.len() >= MAX_NOTED {
            return Err(error);
        }
        noted.push(error);
        Ok(())
    }

    /// The problems noted since it was last asked.
    pub(crate) fn noted(&self) -> Vec<PackError> {
        self.sources.noted.take()
    }

    /// All items, or the last problem; those before it are noted.
    pub(crate) fn each<T>(&self, items: impl Iterator<Item = Result<T, PackError>>) -> Result<Vec<T>, PackError> {
        let (mut all, mut last) = (Vec::new(), None);
        for item in items {
            match item {
                Ok(item) => all.push(item),
                Err(error) => last.replace(error).map_or(Ok(()), |earlier| self.note(earlier))?,
            }
        }
        last.map_or(Ok(all), Err)
    }

    /// A problem at `key`, for example `lifecycle.transitions[3].gates[1]`.
    pub(crate) fn error(&self, key: &str, problem: impl Into<String>) -> PackError {
        let span = self.span(key);
        let at = span.as_ref().map_or(self.sources.merged.span().start, |span| span.start);
        PackError::at(self.sources.text(at).file, span.map(|_| self.sources.line(at)), Some(key), problem)
    }

    /// Where the value of `key` stands; where it is missing, what would hold it.
    fn span(&self, key: &str) -> Option<Range<usize>> {
        let mut steps = key.split(['.', '[']).map(|step| step.trim_end_matches(']'));
        let first = self.table().get(steps.next()?)?;
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

fn moved_table(table: DeTable<'_>, base: usize) -> DeTable<'_> {
    table.into_iter().map(|(key, value)| (moved(key, base, |key, _| key), moved(value, base, moved_value))).collect()
}

fn moved_value(value: DeValue<'_>, base: usize) -> DeValue<'_> {
    match value {
        DeValue::Table(table) => DeValue::Table(moved_table(table, base)),
        DeValue::Array(array) => {
            let entries = array.into_iter().map(|entry| moved(entry, base, moved_value));
            DeValue::Array(entries.collect::<DeArray<'_>>())
        }
        plain => plain,
    }
}

/// The same value, `base` bytes further on.
fn moved<T>(value: Spanned<T>, base: usize, inner: impl FnOnce(T, usize) -> T) -> Spanned<T> {
    let span = value.span();
    Spanned::new(span.start + base..span.end + base, inner(value.into_inner(), base))
}
