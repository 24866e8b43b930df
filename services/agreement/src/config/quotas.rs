//! How many may come (`[[quotas]]`, cupos). The owner of a quota is always the destination.

use serde::Deserialize;

use super::check::{area, code, count, distinct};
use super::{Config, Day, Origin};
use crate::pack::PackError;

/// A quota: counts placements that hold a seat, whose order lies in its scope.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Quota {
    /// Name, unique in the agreement.
    pub name: String,
    /// Most placements that hold a seat.
    pub limit: u32,
    /// First civil day (UTC) of the time it counts for.
    pub from: Day,
    /// Last civil day of it.
    pub until: Day,
    /// ISO 3166-2 areas of the work; empty for any.
    #[serde(default)]
    pub areas: Vec<String>,
    /// Occupation codes as job orders write them; empty for any.
    #[serde(default)]
    pub occupations: Vec<String>,
    /// Legal key of the clause; empty for none.
    #[serde(default)]
    pub clause: String,
}

pub(super) fn check(at: Origin<'_>, config: &Config) -> Result<(), PackError> {
    count(at, "quotas", config.quotas.len(), 0, 64)?;
    for (index, quota) in config.quotas.iter().enumerate() {
        let key = |field: &str| format!("quotas[{index}].{field}");
        code(at, &key("name"), &quota.name, b"-_", 1)?;
        if config.quotas.iter().take(index).any(|earlier| earlier.name == quota.name) {
            at.note(at.error(&key("name"), format!("`{}` is named twice", quota.name)))?;
        }
        if quota.until < quota.from {
            at.note(at.error(&key("until"), "is before `from`"))?;
        }
        count(at, &key("areas"), quota.areas.len(), 0, 64)?;
        distinct(at, &key("areas"), &quota.areas)?;
        for (entry, value) in quota.areas.iter().enumerate() {
            area(at, &format!("quotas[{index}].areas[{entry}]"), value)?;
        }
        count(at, &key("occupations"), quota.occupations.len(), 0, 64)?;
        distinct(at, &key("occupations"), &quota.occupations)?;
        for (entry, value) in quota.occupations.iter().enumerate() {
            let legal = |b: u8| b.is_ascii_alphanumeric() || b".-".contains(&b);
            if !(1..=16).contains(&value.len()) || !value.bytes().all(legal) {
                let problem = "must have 1 to 16 letters, digits, dots or dashes";
                at.note(at.error(&format!("quotas[{index}].occupations[{entry}]"), problem))?;
            }
        }
        config.known_clause(at, &key("clause"), &quota.clause)?;
    }
    Ok(())
}
