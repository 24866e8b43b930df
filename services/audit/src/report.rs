//! What happened: findings from a replay of both logs, each with the entries that show it.

mod findings;
mod orders;
mod rejections;

use std::path::Path;

use convenio_seal::TrustFile;
use serde::Serialize;

use crate::compare::{self, Comparison};
pub use crate::history::Place;
use crate::problem::Unusable;
use crate::replay::{self, Replay};
use crate::verify::{Checked, Verification, check};

/// Entries that a finding lists at most; `count` tells how many there are.
pub const MAX_PLACES: usize = 64;

/// What a report says. As JSON: these members by these names.
#[derive(Debug, Clone, Serialize)]
pub struct Report {
    /// True if the integrity of what was read holds; else there are no findings.
    pub integrity: bool,
    /// The bundles.
    pub bundles: Vec<Verification>,
    /// The comparison, if there are two.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub comparison: Option<Comparison>,
    /// Findings, sorted by criterion, code and subject.
    pub findings: Vec<Finding>,
    /// RECORDs that were not replayed because a part is erased.
    pub erased: u64,
}

/// How grave a finding is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Gravity {
    /// A rule worked as it should.
    Low,
    /// Somebody should look at it.
    Medium,
    /// Somebody is harmed, or a rule was broken.
    High,
}

/// One finding: one for each case, however many entries show it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// Question of the audit that it answers (`A10` quota, `A11` licence, `A13` terms, …).
    pub criterion: &'static str,
    /// Stable code.
    pub code: &'static str,
    /// What was found, for people.
    pub condition: String,
    /// Gravity.
    pub gravity: Gravity,
    /// Resource name.
    pub subject: String,
    /// Entries that show it, the first [`MAX_PLACES`].
    pub places: Vec<Place>,
    /// How many acts it concerns.
    pub count: u64,
    /// Terms that differ.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub fields: Vec<FieldDifference>,
}

/// A term that differs; the values are those of contracts, not of persons.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct FieldDifference {
    /// Path in registry terms, for example `contract.terms.wage_rate`.
    pub path: String,
    /// Agreed value; empty if the source does not tell it.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub agreed: String,
    /// Observed or offered value, likewise.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub observed: String,
}

/// Verifies the bundle (and compares it with a second one) and reports what a replay finds.
///
/// # Errors
/// [`Unusable`].
pub fn report(bundle: &Path, second: Option<&Path>, trust: &TrustFile) -> Result<Report, Unusable> {
    let first = check(bundle, trust)?;
    let second = second.map(|path| check(path, trust)).transpose()?;
    let (comparison, replays) = match &second {
        Some(second) => {
            let (comparison, replays) = compare::of(&first, second);
            (Some(comparison), replays)
        }
        None if first.verification.holds => (None, replay::run(&first, None)),
        None => (None, Vec::new()),
    };
    let integrity = comparison.as_ref().map_or(first.verification.holds, |c| c.holds);
    let checked: Vec<&Checked> = [Some(&first), second.as_ref()].into_iter().flatten().collect();
    let mut findings = Vec::new();
    if integrity {
        for replay in &replays {
            findings.extend(findings::of(replay, &checked));
        }
        findings.sort_by(|a, b| (a.criterion, a.code, &a.subject).cmp(&(b.criterion, b.code, &b.subject)));
    }
    Ok(Report {
        integrity,
        bundles: checked.iter().map(|checked| checked.verification.clone()).collect(),
        comparison,
        erased: replays.iter().flat_map(Replay::sides).map(|side| side.erased).sum(),
        findings,
    })
}

/// Verifies and replays one bundle: one replay for each agreement with both its logs; none if integrity fails.
///
/// # Errors
/// [`Unusable`].
pub fn replay_bundle(bundle: &Path, trust: &TrustFile) -> Result<Vec<Replay>, Unusable> {
    let checked = check(bundle, trust)?;
    Ok(if checked.verification.holds { replay::run(&checked, None) } else { Vec::new() })
}
