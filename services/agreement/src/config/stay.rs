//! How long a worker may stay (`[stay]`, estancia).

use serde::Deserialize;

use super::Origin;
use super::check::within;
use crate::pack::PackError;

/// `[stay]`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Stay {
    /// Longest stay, days.
    pub max_days: u32,
    /// What the days are counted for.
    pub per: StayPer,
    /// Whether it may be renewed, and how.
    pub renewal: StayRenewal,
}

/// What the longest stay is counted for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Deserialize)]
pub enum StayPer {
    /// Each permit.
    #[serde(rename = "permit")]
    Permit,
    /// Each placement.
    #[serde(rename = "placement")]
    Placement,
    /// Any twelve months in a row.
    #[serde(rename = "any-12-months")]
    AnyTwelveMonths,
}

/// How a stay may be renewed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum StayRenewal {
    /// Without leaving the country.
    WithoutExit,
    /// After leaving it.
    AfterExit,
    /// Not at all.
    None,
}

impl StayPer {
    /// As `agreement.toml` writes it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Permit => "permit",
            Self::Placement => "placement",
            Self::AnyTwelveMonths => "any-12-months",
        }
    }
}

impl StayRenewal {
    /// As `agreement.toml` writes it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::WithoutExit => "without-exit",
            Self::AfterExit => "after-exit",
            Self::None => "none",
        }
    }
}

impl Stay {
    pub(super) fn check(&self, at: Origin<'_>) -> Result<(), PackError> {
        within(at, "stay.max_days", self.max_days, 1, 3_660)
    }
}
