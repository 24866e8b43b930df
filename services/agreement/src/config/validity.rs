//! How long the agreement is in force (`[validity]`, vigencia).

use serde::Deserialize;

use super::check::within;
use super::{Day, Origin};
use crate::pack::PackError;

/// `[validity]`; all days are civil days UTC.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Validity {
    /// First day.
    pub from: Day,
    /// Last day of the first term; absent: until terminated.
    pub until: Option<Day>,
    /// What happens at the end of a term.
    pub renewal: Renewal,
    /// Length of each further term, months; demanded where it is renewed.
    pub term_months: Option<u32>,
    /// Notice with which a party may end it, months.
    #[serde(default)]
    pub notice_months: u32,
    /// Months after the end in which placements in progress may still end and close.
    #[serde(default)]
    pub run_off_months: u32,
}

/// What happens at the end of a term (prórroga).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Renewal {
    /// Another term follows unless a party gave notice.
    Automatic,
    /// Another term follows once all parties ratified.
    ByRatification,
    /// It ends.
    None,
}

impl Renewal {
    /// As `agreement.toml` writes it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Automatic => "automatic",
            Self::ByRatification => "by-ratification",
            Self::None => "none",
        }
    }
}

impl Validity {
    pub(super) fn check(&self, at: Origin<'_>) -> Result<(), PackError> {
        if self.until.is_some_and(|until| until < self.from) {
            at.note(at.error("validity.until", "is before `from`"))?;
        }
        if self.renewal != Renewal::None && self.until.is_some() && self.term_months.is_none() {
            at.note(at.error("validity.renewal", "needs `term_months`"))?;
        }
        if let Some(months) = self.term_months {
            within(at, "validity.term_months", months, 1, 1_200)?;
        }
        within(at, "validity.notice_months", self.notice_months, 0, 120)?;
        within(at, "validity.run_off_months", self.run_off_months, 0, 120)
    }
}
