//! The joint committee (`[joint_committee]`, comisión mixta).

use serde::Deserialize;

use super::Origin;
use super::check::{codes, within};
use crate::pack::PackError;

/// `[joint_committee]`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct JointCommittee {
    /// Members that each party sends.
    pub members_per_party: u32,
    /// Meetings a year.
    pub meets_per_year: u32,
    /// What it decides, codes; each decision takes effect as an amendment.
    pub decides: Vec<String>,
}

impl JointCommittee {
    pub(super) fn check(&self, at: Origin<'_>) -> Result<(), PackError> {
        within(at, "joint_committee.members_per_party", self.members_per_party, 1, 32)?;
        within(at, "joint_committee.meets_per_year", self.meets_per_year, 1, 52)?;
        codes(at, "joint_committee.decides", &self.decides, 0, 16)
    }
}
