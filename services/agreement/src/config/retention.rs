//! How long what crossed is kept, when it may be erased before, and what may hold it (`[retention]`).

use std::collections::BTreeMap;

use serde::Deserialize;

use super::check::{code, codes, name_list};
use super::{Config, Origin};
use crate::pack::PackError;

/// Longest time that a class can be kept, months.
const MAX_MONTHS: u32 = 1_200;

/// What a node calls the retention of its own journal; no class of an agreement.
const JOURNAL: &str = "journal";

/// `[retention]` (plazos de conservación).
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Retention {
    /// States in which a placement has ended; its classes' months count from the day on which it reached one.
    pub ended: Vec<String>,
    /// Days within which an ERASE must be answered by ERASED or REFUSED.
    pub erase_answer_days: u32,
    /// Grounds on which an ERASE may be ordered, codes.
    pub grounds: Vec<String>,
    /// Grounds on which a hold may keep what should be erased, codes.
    pub hold_grounds: Vec<String>,
    /// Longest time that one hold may last, months.
    pub longest_hold_months: u32,
    /// The classes.
    pub classes: BTreeMap<String, RetentionClass>,
}

/// One retention class.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RetentionClass {
    /// Months after the placement's end, past which the class is erased; 0 keeps it for ever.
    pub months: u32,
    /// Months after the placement's end before which an ERASE is refused; 0 lets it be erased at any time, unless it is
    /// kept for ever.
    #[serde(default)]
    pub minimum_months: u32,
}

impl RetentionClass {
    /// Kept for ever: no ERASE of it is accepted.
    #[must_use]
    pub fn for_ever(&self) -> bool {
        self.months == 0
    }
}

/// The ground that the node itself gives when a class is due.
pub const GROUND_ENDED: &str = "retention-ended";

impl Retention {
    /// A class, by name.
    #[must_use]
    pub fn class(&self, name: &str) -> Option<&RetentionClass> {
        self.classes.get(name)
    }

    /// Whether an ERASE may be ordered on `ground`.
    #[must_use]
    pub fn is_ground(&self, ground: &str) -> bool {
        self.grounds.iter().any(|g| g == ground)
    }

    /// Whether a hold may stand on `ground`.
    #[must_use]
    pub fn is_hold_ground(&self, ground: &str) -> bool {
        self.hold_grounds.iter().any(|g| g == ground)
    }

    /// Whether a placement in `state` has ended.
    #[must_use]
    pub fn is_end(&self, state: &str) -> bool {
        self.ended.iter().any(|s| s == state)
    }

    pub(super) fn check(&self, at: Origin<'_>, config: &Config) -> Result<(), PackError> {
        if self.classes.is_empty() || self.classes.len() > 32 {
            at.note(at.error("retention.classes", "must name 1 to 32 classes"))?;
        }
        for (class, rule) in &self.classes {
            let key = format!("retention.classes.{class}");
            code(at, &key, class, b"_-", 1)?;
            if class == JOURNAL {
                at.note(at.error(&key, "is what a node calls the retention of its own journal"))?;
            }
            rule.check(at, &key)?;
        }
        if !(1..=365).contains(&self.erase_answer_days) {
            at.note(at.error("retention.erase_answer_days", "must be 1 to 365"))?;
        }
        if !(1..=MAX_MONTHS).contains(&self.longest_hold_months) {
            at.note(at.error("retention.longest_hold_months", format!("must be 1 to {MAX_MONTHS}")))?;
        }
        codes(at, "retention.grounds", &self.grounds, 1, 16)?;
        codes(at, "retention.hold_grounds", &self.hold_grounds, 1, 16)?;
        if !self.is_ground(GROUND_ENDED) {
            at.note(at.error("retention.grounds", format!("must hold `{GROUND_ENDED}`, which a node gives itself")))?;
        }
        name_list(at, "retention.ended", &self.ended, 1, 64)?;
        for (index, state) in self.ended.iter().enumerate() {
            if !config.lifecycle.states.iter().any(|s| s.name == *state) {
                at.note(at.error(&format!("retention.ended[{index}]"), format!("no state `{state}`")))?;
            }
        }
        Ok(())
    }
}

impl RetentionClass {
    fn check(&self, at: Origin<'_>, key: &str) -> Result<(), PackError> {
        if self.months > MAX_MONTHS {
            at.note(at.error(&format!("{key}.months"), format!("must be at most {MAX_MONTHS}")))?;
        }
        if self.for_ever() && self.minimum_months != 0 {
            let problem = "must be left out where `months` keeps the class for ever";
            at.note(at.error(&format!("{key}.minimum_months"), problem))?;
        }
        if self.minimum_months > self.months {
            let problem = "must not be more than `months`";
            at.note(at.error(&format!("{key}.minimum_months"), problem))?;
        }
        Ok(())
    }
}
