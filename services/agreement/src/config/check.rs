//! Bounds and spelling of everything in `agreement.toml`; what refers to what in the lifecycle is checked by the lifecycle.

use std::collections::HashSet;

use super::{Config, Origin};
use crate::pack::{COMMON, PackError};

/// The latest format of `agreement.toml` that this program reads; it reads all before it.
const FORMAT: u32 = 2;
/// Longest name of anything.
const MAX_NAME: usize = 64;
/// Most packages of an agreement beside its own.
const MAX_PACKAGES: usize = 8;

impl Config {
    pub(super) fn check(&self, at: Origin<'_>, id: &str) -> Result<(), PackError> {
        if !(1..=FORMAT).contains(&self.format) {
            return Err(at.error("format", format!("must be 1 to {FORMAT}")));
        }
        code(at, "id", &self.id, b"-", 2)?;
        if self.id != id {
            at.note(at.error("id", format!("must be that of its folder, `{id}`")))?;
        }
        if self.id == COMMON {
            at.note(at.error("id", "is the folder of what packs share"))?;
        }
        code(at, "instrument", &self.instrument, b"-", 1)?;
        text(at, "title", &self.title, 1, 400)?;
        self.check_proto(at)?;
        self.check_lists(at)?;
        super::parties::check(at, self)?;
        self.lifecycle.check(at)?;
        self.retention.check(at, self)?;
        if self.format == 1 { self.check_format_1(at) } else { self.check_format_2(at) }
    }

    fn check_proto(&self, at: Origin<'_>) -> Result<(), PackError> {
        let folder = format!("agreements/{}/", self.id);
        let ok = self
            .proto
            .strip_prefix(&folder)
            .is_some_and(|name| name.ends_with(".proto") && name.len() <= 100 && !name.contains(['/', '\\']));
        if !ok {
            at.note(at.error("proto", format!("must be {folder}<name>.proto")))?;
        }
        text(at, "package", &self.package, 1, 128)?;
        count(at, "packages", self.packages.len(), 0, MAX_PACKAGES)?;
        distinct(at, "packages", &self.packages)?;
        for (index, package) in self.packages.iter().enumerate() {
            let key = format!("packages[{index}]");
            text(at, &key, package, 1, 128)?;
            if *package == self.package {
                at.note(at.error(&key, "is `package` itself"))?;
            }
        }
        Ok(())
    }

    fn check_lists(&self, at: Origin<'_>) -> Result<(), PackError> {
        name_list(at, "stages", &self.stages, 1, 32)?;
        name_list(at, "mandatory_modules", &self.mandatory_modules, 0, 16)?;
        count(at, "recruiters", self.recruiters.len(), 1, 5)?;
        for (index, kind) in self.recruiters.iter().enumerate() {
            if self.recruiters.iter().take(index).any(|earlier| earlier == kind) && self.format > 1 {
                let key = format!("recruiters[{index}]");
                at.note(at.error(&key, format!("`{}` is named twice", kind.as_str())))?;
            }
        }
        within(at, "minimum_age", self.minimum_age, 14, 100)?;
        within(at, "cosign_deadline_hours", self.cosign_deadline_hours, 1, 8_760)
    }

    /// Refuses a clause that is no key of `[[legal]]`; an empty one names none.
    pub(super) fn known_clause(&self, at: Origin<'_>, key: &str, clause: &str) -> Result<(), PackError> {
        if clause.is_empty() || self.legal_text(clause).is_some() {
            return Ok(());
        }
        at.note(at.error(key, format!("no key `{clause}` in [[legal]]")))
    }

    /// Refuses a fact that the lifecycle does not have.
    pub(super) fn known_fact(&self, at: Origin<'_>, key: &str, fact: &str) -> Result<(), PackError> {
        let known = self.lifecycle.facts.iter().any(|known| known.name == fact);
        if known { Ok(()) } else { at.note(at.error(key, format!("no fact `{fact}`"))) }
    }
}

/// A list of distinct names.
pub(super) fn name_list(at: Origin<'_>, key: &str, list: &[String], low: usize, high: usize) -> Result<(), PackError> {
    count(at, key, list.len(), low, high)?;
    for (index, value) in list.iter().enumerate() {
        name(at, &format!("{key}[{index}]"), value)?;
    }
    distinct(at, key, list)
}

/// A list of distinct codes.
pub(super) fn codes(at: Origin<'_>, key: &str, list: &[String], low: usize, high: usize) -> Result<(), PackError> {
    count(at, key, list.len(), low, high)?;
    for (index, value) in list.iter().enumerate() {
        code(at, &format!("{key}[{index}]"), value, b"-_", 1)?;
    }
    distinct(at, key, list)
}

/// A list without repetition.
pub(super) fn distinct(at: Origin<'_>, key: &str, list: &[String]) -> Result<(), PackError> {
    let mut seen = HashSet::new();
    match list.iter().position(|value| !seen.insert(value)) {
        None => Ok(()),
        Some(index) => at.note(at.error(&format!("{key}[{index}]"), format!("`{}` is named twice", list[index]))),
    }
}

/// How many entries a list has.
pub(super) fn count(at: Origin<'_>, key: &str, count: usize, low: usize, high: usize) -> Result<(), PackError> {
    if (low..=high).contains(&count) {
        return Ok(());
    }
    Err(at.error(key, format!("must have {low} to {high} entries")))
}

/// A number between two others, both included.
pub(super) fn within(at: Origin<'_>, key: &str, value: u32, low: u32, high: u32) -> Result<(), PackError> {
    if (low..=high).contains(&value) {
        return Ok(());
    }
    at.note(at.error(key, format!("must be {low} to {high}")))
}

/// A text for people, in one line.
pub(super) fn text(at: Origin<'_>, key: &str, value: &str, low: usize, high: usize) -> Result<(), PackError> {
    if !(low..=high).contains(&value.len()) {
        at.note(at.error(key, format!("must have {low} to {high} bytes")))?;
    }
    if value.chars().any(char::is_control) {
        at.note(at.error(key, "must be one line without control characters"))?;
    }
    Ok(())
}

pub(super) fn name(at: Origin<'_>, key: &str, value: &str) -> Result<(), PackError> {
    let ok = value.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_');
    if ok && (1..=MAX_NAME).contains(&value.len()) {
        return Ok(());
    }
    at.note(at.error(key, format!("must have 1 to {MAX_NAME} letters, digits or underscores")))
}

/// Lower-case letters, digits and `marks`.
pub(super) fn code(at: Origin<'_>, key: &str, value: &str, marks: &[u8], low: usize) -> Result<(), PackError> {
    let legal = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || marks.contains(&b);
    if value.bytes().all(legal) && (low..=MAX_NAME).contains(&value.len()) {
        return Ok(());
    }
    let problem = format!("must have {low} to {MAX_NAME} lower-case letters, digits or dashes");
    at.note(at.error(key, problem))
}

/// The shape of an ISO 4217 code.
pub(super) fn currency(at: Origin<'_>, key: &str, value: &str) -> Result<(), PackError> {
    if value.len() == 3 && value.bytes().all(|b| b.is_ascii_uppercase()) {
        return Ok(());
    }
    at.note(at.error(key, "must be an ISO 4217 code: three upper-case letters"))
}

/// The shape of an ISO 3166-2 code.
pub(super) fn area(at: Origin<'_>, key: &str, value: &str) -> Result<(), PackError> {
    let fits = value.split_once('-').is_some_and(|(country, part)| {
        country.len() == 2
            && country.bytes().all(|b| b.is_ascii_uppercase())
            && (1..=3).contains(&part.len())
            && part.bytes().all(|b| b.is_ascii_uppercase() || b.is_ascii_digit())
    });
    if fits { Ok(()) } else { at.note(at.error(key, "must be an ISO 3166-2 code as CA-QC")) }
}
