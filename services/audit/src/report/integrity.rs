//! The questions about the evidence itself: problems of integrity by the question that they answer.

use std::collections::BTreeMap;

use convenio_seal::TrustFile;

use super::ledger::Ledger;
use super::{Finding, Gravity, Place};
use crate::audit::Audit;
use crate::bundle::{Bundle, log_folder};
use crate::compare::SAME_EXPORTER;
use crate::problem::{Check, Problem};

/// The question that a problem answers.
fn question(check: Check) -> &'static str {
    match check {
        Check::Manifest
        | Check::Hash
        | Check::ExtraFile
        | Check::MissingFile
        | Check::Tile
        | Check::Checkpoint
        | Check::Policy
        | Check::Evidence => "A1",
        Check::Entry | Check::Statement => "A2",
        Check::Trust | Check::Agreement | Check::Cosignature | Check::Keys => "A3",
        Check::Sequence | Check::Parts | Check::Outcome | Check::Epoch => "A4",
        Check::PeerCheckpoint | Check::Pinned | Check::Witness => "A5",
        Check::Clock => "A14",
        Check::Erasure => "A18",
        Check::Compare => "A6",
    }
}

/// The question that a wrong of one party answers, while the integrity holds.
fn question_of_wrong(problem: &Problem) -> &'static str {
    let named = |part: &str| problem.reason.contains(part);
    if named("ERASE") || named("ERASURE") || named("RETENTION") || named("HOLD") {
        "A18"
    } else if named("FORK") || named("EQUIVOCATION") {
        "A5"
    } else if named("DEADLINE") || named("LATE") || named("OVERDUE") {
        "A14"
    } else {
        question(problem.check)
    }
}

pub(super) fn tally(audit: &Audit, trust: &TrustFile, ledger: &mut Ledger) {
    let mut logs: BTreeMap<&str, (u64, u64)> = BTreeMap::new();
    for log in audit.verifications().flat_map(|one| &one.logs) {
        let most = logs.entry(&log.origin).or_default();
        *most = (most.0.max(log.size), most.1.max(log.delivered));
    }
    let entries = logs.values().map(|(size, _)| size).sum();
    ["A1", "A2", "A3", "A4"].iter().for_each(|question| ledger.of(question).examined = entries);
    ledger.counts.logs = logs.len() as u64;
    ledger.counts.bounded = logs.values().map(|(_, delivered)| delivered).sum();
    ledger.counts.pinned =
        trust.checkpoints.iter().filter(|pinned| logs.contains_key(&*pinned.origin.to_string())).count() as u64;
    ledger.of("A5").examined = audit.bundles().map(heads).sum();
    for one in audit.verifications() {
        problems(ledger, &one.problems, one.problem_count);
        let fresh = |problem: &&Problem| seldom(audit, one.findings.as_ptr(), problem);
        one.findings.iter().filter(fresh).for_each(|problem| ledger.find(wrong(problem)));
    }
    if let Some(compared) = audit.comparison() {
        problems(ledger, &compared.problems, compared.problem_count);
        ledger.of("A6").examined = compared.logs.iter().map(|log| log.common).sum();
        ledger.counts.undelivered = compared.logs.iter().map(|log| log.undelivered).sum();
    }
}

/// Signed heads that a bundle holds.
fn heads(bundle: &Bundle) -> u64 {
    let kept = |name: &str| bundle.below(&format!("{}checkpoints/", log_folder(name))).count() as u64;
    bundle.manifest().logs.iter().map(|log| kept(&log.name) + 1).sum()
}

/// A wrong that both bundles show is told once.
fn seldom(audit: &Audit, list: *const Problem, problem: &Problem) -> bool {
    let mut earlier = audit.verifications().take_while(|one| one.findings.as_ptr() != list);
    let same = |own: &Problem| (own.reason, &own.origin, own.index) == (problem.reason, &problem.origin, problem.index);
    !earlier.any(|one| one.findings.iter().any(same))
}

fn problems(ledger: &mut Ledger, list: &[Problem], count: u64) {
    // That nobody else was heard is told by the answer to A6.
    for problem in list.iter().filter(|problem| problem.reason != SAME_EXPORTER) {
        ledger.of(question(problem.check)).fail(Gravity::Grave, place(problem));
    }
    // Those that were only counted are of no known kind: the chain is broken.
    ledger.of("A1").failed += count - (list.len() as u64).min(count);
}

fn place(problem: &Problem) -> Option<Place> {
    Some(Place::new(problem.origin.as_deref()?, problem.index?))
}

fn wrong(problem: &Problem) -> Finding {
    Finding {
        criterion: question_of_wrong(problem),
        code: problem.reason,
        condition: problem.text.clone(),
        gravity: Gravity::Serious,
        subject: String::new(),
        places: place(problem).into_iter().collect(),
        count: 1,
        fields: Vec::new(),
    }
}
