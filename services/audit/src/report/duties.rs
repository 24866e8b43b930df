//! What must be done in time, and what must be named: lateness, corrections, fees, the end of a placement.

use std::collections::{BTreeMap, HashMap};

use convenio_agreement::Pack;
use convenio_agreement::plan::Term;

use super::answers::Tally;
use super::ledger::Case;
use super::times::Cosigned;
use super::{Gravity, Place};
use crate::audit::Audit;
use crate::history::{History, ReplayedRecord};
use crate::replay::ActOutcome;
use crate::verify::CheckedLog;

const HOUR_MS: u64 = 3_600_000;

/// What is kept of duties while the subjects pass by.
#[derive(Default)]
pub(super) struct Duties {
    /// Deadline for a cosignature under the last agreement seen, hours.
    pub(super) hours: u32,
    cosigned: HashMap<String, Cosigned>,
    /// Last time that anything in the bundles tells, Unix ms.
    pub(super) now_ms: u64,
    /// How many records took less than 2^n ms from event to entry.
    delays: BTreeMap<u32, u64>,
    slowest: u64,
    pub(super) late: Tally,
    pub(super) corrections: Tally,
    pub(super) fees: Tally,
    /// Ended placements, and those of which something is held past its time.
    pub(super) ended: Tally,
    /// Time for an answer to ERASE, by agreement, ms.
    pub(super) answer_ms: BTreeMap<String, u64>,
}

/// Whether a registry path tells what a worker was made to pay; what is lawfully deducted from the wage is a term.
pub(super) fn is_fee(path: &str) -> bool {
    if path.ends_with(".terms.weekly_deductions") {
        return false;
    }
    let word = |word: &str| word.starts_with("fee") || word.starts_with("deduction");
    path.split('.').any(|step| step.split('_').any(word))
}

impl Duties {
    pub(super) fn begin(&mut self, pack: &Pack, audit: &Audit) {
        self.hours = pack.config().cosign_deadline_hours;
        let days = u64::from(pack.retention().erase_answer_days);
        self.answer_ms.insert(pack.id().to_owned(), days * 24 * HOUR_MS);
        let mut copies: BTreeMap<&str, Vec<&CheckedLog>> = BTreeMap::new();
        for log in audit.checked().flat_map(|checked| &checked.logs) {
            copies.entry(&log.line().name).or_default().push(log);
        }
        for (name, copies) in copies {
            let cosigned = Cosigned::of(&copies);
            self.now_ms = self.now_ms.max(cosigned.last().unwrap_or_default());
            self.cosigned.insert(name.to_owned(), cosigned);
        }
        let last = audit.verifications().flat_map(|one| &one.logs).map(|log| log.last_ms).max();
        self.now_ms = self.now_ms.max(last.unwrap_or_default());
    }

    /// Reads one subject.
    pub(super) fn subject(&mut self, case: &Case<'_>, history: &History) {
        for (at, record) in history.records.iter().enumerate() {
            self.lateness(record);
            self.correction(&history.records[..at], record);
            self.fee(record);
        }
        self.end(case, history);
    }

    fn lateness(&mut self, record: &ReplayedRecord) {
        if record.historical || record.time_ms == 0 {
            return;
        }
        if record.event_time_ms > 0 {
            let delay = record.time_ms.saturating_sub(record.event_time_ms);
            *self.delays.entry(u64::BITS - delay.leading_zeros()).or_default() += 1;
            self.slowest = self.slowest.max(delay);
        }
        self.late.examined += 1;
        let until = record.time_ms.saturating_add(u64::from(self.hours) * HOUR_MS);
        let cosigned = self.cosigned.get(&record.place.origin).and_then(|log| log.not_after(record.place.index));
        if cosigned.unwrap_or(self.now_ms) > until {
            self.late.fail(Gravity::Minor, [record.place.clone()]);
        }
    }

    /// Half of the delays are at most the first; the second is the longest. In hours and minutes.
    pub(super) fn delays(&self) -> (String, String) {
        let all: u64 = self.delays.values().sum();
        let mut seen = 0;
        let half = self.delays.iter().find(|(_, count)| {
            seen += **count;
            2 * seen >= all
        });
        let bound = half.map_or(0, |(bits, _)| 1u64.checked_shl(*bits).unwrap_or(u64::MAX));
        (span(bound.min(self.slowest)), span(self.slowest))
    }

    fn correction(&mut self, earlier: &[ReplayedRecord], record: &ReplayedRecord) {
        let Some(corrected) = record.supersedes else { return };
        self.corrections.examined += 1;
        let named = |own: &ReplayedRecord| own.act.record_id == corrected && own.issuer == record.issuer;
        if !earlier.iter().any(named) {
            self.corrections.fail(Gravity::Serious, [record.place.clone()]);
        }
    }

    fn fee(&mut self, record: &ReplayedRecord) {
        let paid = |term: &Term| match term {
            Term::Int(amount) => *amount != 0,
            Term::Money { minor_units, .. } => *minor_units != 0,
            Term::Text(text) => !text.is_empty(),
            Term::Bool(yes) => *yes,
            _ => false,
        };
        let mut fees = record.content.iter().flat_map(|content| content.doc.iter()).filter(|(path, _)| is_fee(path));
        let Some((_, first)) = fees.next() else { return };
        self.fees.examined += 1;
        if paid(first) || fees.any(|(_, term)| paid(term)) {
            self.fees.fail(Gravity::Grave, [record.place.clone()]);
        }
    }

    /// Judges an ended placement by the classes that are still held of it.
    fn end(&mut self, case: &Case<'_>, history: &History) {
        if !history.subject.starts_with("placements/") {
            return;
        }
        let Some(at_ms) = ended_at(&case.pack, history) else { return };
        self.ended.examined += 1;
        let mut held: BTreeMap<&str, &Place> = BTreeMap::new();
        for record in &history.records {
            for content in &record.content {
                held.entry(case.pack.class_of(&content.message_name)).or_insert(&record.place);
            }
        }
        held.retain(|class, _| super::retention::is_due(case.pack.retention(), class, at_ms, self.now_ms));
        if !held.is_empty() {
            self.ended.fail(Gravity::Serious, held.into_values().cloned());
        }
    }
}

/// When a placement reached the end in which it still is, Unix ms.
fn ended_at(pack: &Pack, history: &History) -> Option<u64> {
    let lifecycle = pack.lifecycle();
    let mut ended = None;
    for record in history.records.iter().filter(|record| record.act.outcome == ActOutcome::Accepted) {
        let Some(transition) = lifecycle.transition(&record.act.act) else { continue };
        let is_end = pack.retention().is_end(lifecycle.state_name(transition.to));
        ended = if is_end { ended.or(Some(record.event_time_ms)) } else { None };
    }
    ended.filter(|at_ms| *at_ms > 0)
}

fn span(ms: u64) -> String {
    let minutes = ms.div_ceil(60_000);
    match (minutes / 60, minutes % 60) {
        (0, minutes) => format!("{minutes} min"),
        (hours, 0) => format!("{hours} h"),
        (hours, minutes) => format!("{hours} h {minutes} min"),
    }
}
