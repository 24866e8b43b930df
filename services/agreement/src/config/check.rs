//! Bounds and spelling of everything in `agreement.toml`; what refers to what is checked by the lifecycle.

use std::collections::{BTreeMap, HashSet};

use super::{Config, Origin};
use crate::pack::PackError;

/// The format of `agreement.toml` that this program reads.
const FORMAT: u32 = 1;
/// Longest name of anything.
const MAX_NAME: usize = 64;

impl Config {
    pub(super) fn check(&self, at: Origin<'_>, id: &str) -> Result<(), PackError> {
        if self.format != FORMAT {
            return Err(at.error("format", format!("must be {FORMAT}")));
        }
        code(at, "id", &self.id, b"-", 2)?;
        if self.id != id {
            return Err(at.error("id", format!("must be that of its folder, `{id}`")));
        }
        code(at, "instrument", &self.instrument, b"-", 1)?;
        if self.title.is_empty() || self.title.len() > 400 {
            return Err(at.error("title", "must have 1 to 400 bytes"));
        }
        if self.package.len() > 128 || self.package.is_empty() {
            return Err(at.error("package", "must have 1 to 128 bytes"));
        }
        self.check_proto(at)?;
        self.check_lists(at)?;
        self.check_parties(at)?;
        self.check_lifecycle(at)?;
        self.retention.check(at, self)
    }

    fn check_proto(&self, at: Origin<'_>) -> Result<(), PackError> {
        let folder = format!("agreements/{}/", self.id);
        let ok = self
            .proto
            .strip_prefix(&folder)
            .is_some_and(|name| name.ends_with(".proto") && name.len() <= 100 && !name.contains(['/', '\\']));
        if ok { Ok(()) } else { Err(at.error("proto", format!("must be {folder}<name>.proto"))) }
    }

    fn check_lists(&self, at: Origin<'_>) -> Result<(), PackError> {
        name_list(at, "stages", &self.stages, 1, 32)?;
        name_list(at, "mandatory_modules", &self.mandatory_modules, 0, 16)?;
        if self.recruiters.is_empty() || self.recruiters.len() > 3 {
            return Err(at.error("recruiters", "must name 1 to 3 kinds"));
        }
        if !(14..=100).contains(&self.minimum_age) {
            return Err(at.error("minimum_age", "must be 14 to 100 years"));
        }
        if !(1..=8_760).contains(&self.cosign_deadline_hours) {
            return Err(at.error("cosign_deadline_hours", "must be 1 to 8760"));
        }
        Ok(())
    }

    fn check_parties(&self, at: Origin<'_>) -> Result<(), PackError> {
        let [a, b] = self.parties.as_slice() else {
            return Err(at.error("parties", "must be two"));
        };
        if a.role == b.role {
            return Err(at.error("parties[1].role", "both parties have the same role"));
        }
        if a.id == b.id {
            return Err(at.error("parties[1].id", "both parties have the same id"));
        }
        for (index, party) in self.parties.iter().enumerate() {
            let id = &party.id;
            if !(2..=8).contains(&id.len()) || !id.bytes().all(|b| b.is_ascii_lowercase()) {
                let key = format!("parties[{index}].id");
                return Err(at.error(&key, "must have 2 to 8 lower-case letters"));
            }
            let country = &party.country;
            if country.len() != 2 || !country.bytes().all(|b| b.is_ascii_uppercase()) {
                let key = format!("parties[{index}].country");
                return Err(at.error(&key, "must have two upper-case letters"));
            }
        }
        Ok(())
    }

    fn check_lifecycle(&self, at: Origin<'_>) -> Result<(), PackError> {
        let lifecycle = &self.lifecycle;
        let counts = [
            ("states", lifecycle.states.len(), 1, 64),
            ("transitions", lifecycle.transitions.len(), 1, 128),
            ("facts", lifecycle.facts.len(), 0, 128),
            ("notices", lifecycle.notices.len(), 0, 32),
            ("holds_seat", lifecycle.holds_seat.len(), 0, 64),
            ("frees_seat", lifecycle.frees_seat.len(), 0, 128),
            ("contradictions", lifecycle.contradictions.len(), 0, 128),
        ];
        for (key, count, low, high) in counts {
            if !(low..=high).contains(&count) {
                let problem = format!("must have {low} to {high} entries");
                return Err(at.error(&format!("lifecycle.{key}"), problem));
            }
        }
        let mut seen = HashSet::new();
        let states = lifecycle.states.iter().map(|state| ("states", &state.name));
        let acts = (lifecycle.transitions.iter().map(|act| ("transitions", &act.name)))
            .chain(lifecycle.facts.iter().map(|act| ("facts", &act.name)))
            .chain(lifecycle.notices.iter().map(|act| ("notices", &act.name)));
        let mut index = BTreeMap::<&str, usize>::new();
        for (list, value) in states.chain(acts) {
            let position = index.entry(list).and_modify(|n| *n += 1).or_insert(0);
            let key = format!("lifecycle.{list}[{position}].name");
            name(at, &key, value)?;
            if !seen.insert((list == "states", value)) {
                return Err(at.error(&key, format!("`{value}` is named twice")));
            }
        }
        Ok(())
    }
}

/// A list of distinct names.
pub(super) fn name_list(at: Origin<'_>, key: &str, list: &[String], low: usize, high: usize) -> Result<(), PackError> {
    if !(low..=high).contains(&list.len()) {
        return Err(at.error(key, format!("must have {low} to {high} entries")));
    }
    for (index, value) in list.iter().enumerate() {
        let key = format!("{key}[{index}]");
        name(at, &key, value)?;
        if list.iter().take(index).any(|earlier| earlier == value) {
            return Err(at.error(&key, format!("`{value}` is named twice")));
        }
    }
    Ok(())
}

fn name(at: Origin<'_>, key: &str, value: &str) -> Result<(), PackError> {
    let ok = value.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_');
    if ok && (1..=MAX_NAME).contains(&value.len()) {
        return Ok(());
    }
    Err(at.error(key, format!("must have 1 to {MAX_NAME} letters, digits or underscores")))
}

/// Lower-case letters, digits and `marks`.
pub(super) fn code(at: Origin<'_>, key: &str, value: &str, marks: &[u8], low: usize) -> Result<(), PackError> {
    let legal = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || marks.contains(&b);
    if value.bytes().all(legal) && (low..=MAX_NAME).contains(&value.len()) {
        return Ok(());
    }
    let problem = format!("must have {low} to {MAX_NAME} lower-case letters, digits or dashes");
    Err(at.error(key, problem))
}
