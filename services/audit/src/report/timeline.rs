//! Records, rejections and findings of each log by month.

use std::collections::BTreeMap;

use serde::Serialize;

use super::Finding;
use crate::history::Place;
use crate::moment;
use crate::replay::ActOutcome;

/// One log by month.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Timeline {
    /// Log.
    pub origin: String,
    /// Its months with records, ascending.
    pub months: Vec<Month>,
}

/// What one month of a log holds, by log time.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Month {
    /// `2026-05`.
    pub month: String,
    /// RECORDs.
    pub records: u64,
    /// Accepted by the partner.
    pub accepted: u64,
    /// Rejected by it.
    pub rejected: u64,
    /// Places of the listed findings.
    pub findings: u64,
}

/// Counts of one month.
#[derive(Debug, Default)]
struct Counted {
    records: u64,
    accepted: u64,
    rejected: u64,
    first: u64,
    last: u64,
}

/// The months as they are counted.
#[derive(Debug, Default)]
pub(super) struct Months {
    logs: BTreeMap<String, BTreeMap<String, Counted>>,
}

impl Months {
    /// Counts a RECORD; the outcome is unknown if its parts are gone.
    pub(super) fn record(&mut self, place: &Place, time_ms: u64, outcome: Option<&ActOutcome>) {
        let log = self.logs.entry(place.origin.clone()).or_default();
        let month = log.entry(moment::month(time_ms)).or_default();
        month.first = if month.records == 0 { place.index } else { month.first.min(place.index) };
        month.last = month.last.max(place.index);
        month.records += 1;
        month.accepted += u64::from(outcome == Some(&ActOutcome::Accepted));
        month.rejected += u64::from(matches!(outcome, Some(ActOutcome::Rejected { .. })));
    }

    pub(super) fn finish(self, findings: &[Finding]) -> Vec<Timeline> {
        let places = || findings.iter().flat_map(|finding| &finding.places);
        let log = |(origin, months): (String, BTreeMap<String, Counted>)| {
            let one = |(month, counted): (String, Counted)| {
                let within =
                    |place: &&Place| place.origin == origin && (counted.first..=counted.last).contains(&place.index);
                Month {
                    month,
                    records: counted.records,
                    accepted: counted.accepted,
                    rejected: counted.rejected,
                    findings: places().filter(within).count() as u64,
                }
            };
            let months = months.into_iter().map(one).collect();
            Timeline { origin: origin.clone(), months }
        };
        self.logs.into_iter().map(log).collect()
    }
}
