//! The findings that one subject's records show by themselves.

use std::collections::{BTreeMap, BTreeSet};

use convenio_agreement::engine::Discrepancy;
use convenio_agreement::lifecycle::Gate;
use convenio_model::RecordId;

use super::ledger::Case;
use super::{FieldDifference, Finding, Gravity, Place, listed};
use crate::history::{History, ReplayedRecord};
use crate::replay::ActOutcome;

/// All of them.
pub(super) fn of(case: &Case<'_>, history: &History) -> Vec<Finding> {
    let mut found = contradictions(case, history);
    for record in &history.records {
        found.extend(skipped(case, history, record));
        found.extend(diverges(case, history, record));
    }
    found.extend(disagreement(history));
    found
}

/// Whether a finding rests on what went before in its subject's history.
pub(super) fn needs_the_past(finding: &Finding) -> bool {
    matches!(finding.code, "GATE_SKIPPED" | "DECISION_DIVERGES" | "SIDES_DISAGREE")
}

/// Whether a placement's accepted transitions do not follow each other from the first: one is missing, or was skipped.
pub(super) fn has_gap(history: &History) -> bool {
    let accepted = history.records.iter().filter(|record| record.act.outcome == ActOutcome::Accepted);
    let numbers: BTreeSet<u64> = accepted.map(|record| record.number).filter(|number| *number > 0).collect();
    let follow = numbers.iter().zip(1..).all(|(number, expected)| *number == expected);
    history.subject.starts_with("placements/") && (numbers.is_empty() || !follow)
}

/// Contradictions of a placement: one for each kind.
fn contradictions(case: &Case<'_>, history: &History) -> Vec<Finding> {
    let mut by_kind: BTreeMap<&str, Vec<&Discrepancy>> = BTreeMap::new();
    for discrepancy in &history.discrepancies {
        by_kind.entry(discrepancy.kind).or_default().push(discrepancy);
    }
    by_kind.into_iter().map(|(kind, all)| contradiction(case, history, kind, &all)).collect()
}

fn contradiction(case: &Case<'_>, history: &History, kind: &str, all: &[&Discrepancy]) -> Finding {
    let joined = |each: &dyn Fn(&Discrepancy) -> String| all.iter().map(|d| each(d)).collect::<Vec<_>>().join("; ");
    let term = |d: &Discrepancy| {
        let values = [("path", (&*d.field_path).into()), ("agreed", (&*d.agreed).into())];
        case.say.with("finding-term", values.into_iter().chain([("observed", (&*d.observed).into())]))
    };
    let (criterion, code, condition, gravity) = match kind {
        "contract_substitution" => {
            let terms = joined(&term);
            let condition = case.say.with("finding-substitution", [("terms", terms.into())]);
            ("A13", "CONTRACT_SUBSTITUTION", condition, Gravity::Grave)
        }
        "contradictory_facts" => {
            let facts = joined(&|d| d.field_path.clone());
            let condition = case.say.with("finding-contradiction", [("facts", facts.into())]);
            ("A8", "CONTRADICTORY_FACTS", condition, Gravity::Serious)
        }
        "deadline_missed" => {
            let deadlines = joined(&|d| format!("{}{}: {} → {}", d.field_path, clause(d), d.agreed, d.observed));
            let condition = case.say.with("finding-deadline", [("deadlines", deadlines.into())]);
            ("A9", "DEADLINE_MISSED", condition, Gravity::Serious)
        }
        _ => {
            let state = all.first().map_or("", |d| d.observed.as_str());
            let condition = case.say.with("finding-departed", [("state", state.into())]);
            ("A9", "DEPARTED_WITHOUT_READINESS", condition, Gravity::Serious)
        }
    };
    let difference = |d: &&Discrepancy| FieldDifference {
        path: d.field_path.clone(),
        agreed: d.agreed.clone(),
        observed: d.observed.clone(),
        agreed_at: d.agreed_record.and_then(|record| place_of(history, record)),
        observed_at: d.observed_record.and_then(|record| place_of(history, record)),
    };
    let records = all.iter().flat_map(|d| [d.agreed_record, d.observed_record]).flatten();
    Finding {
        criterion,
        code,
        condition,
        gravity,
        subject: history.subject.clone(),
        places: listed(records.filter_map(|record| place_of(history, record))),
        count: all.len() as u64,
        fields: if matches!(code, "CONTRACT_SUBSTITUTION" | "DEADLINE_MISSED") {
            all.iter().map(difference).collect()
        } else {
            Vec::new()
        },
    }
}

fn clause(of: &Discrepancy) -> String {
    if of.clause.is_empty() { String::new() } else { format!(" [{}]", of.clause) }
}

fn place_of(history: &History, record: RecordId) -> Option<Place> {
    history.records.iter().find(|own| own.act.record_id == record).map(|own| own.place.clone())
}

/// An act that took effect though its issuer was not entitled to it.
fn skipped(case: &Case<'_>, history: &History, record: &ReplayedRecord) -> Option<Finding> {
    let why = record.act.unentitled.as_ref().filter(|_| record.act.outcome == ActOutcome::Accepted)?;
    let values = [("party", case.party(record.issuer).into()), ("act", (&*record.act.act).into())];
    let values = values.into_iter().chain([("why", why.to_string().into())]);
    Some(Finding {
        criterion: if why.gate == Gate::Consent.as_str() { "A17" } else { "A9" },
        code: "GATE_SKIPPED",
        condition: case.say.with("finding-gate-skipped", values),
        gravity: Gravity::Serious,
        subject: history.subject.clone(),
        places: vec![record.place.clone()],
        count: 1,
        fields: Vec::new(),
    })
}

/// A decision that the rules do not give.
fn diverges(case: &Case<'_>, history: &History, record: &ReplayedRecord) -> Option<Finding> {
    let divergence = record.divergence.as_ref()?;
    let values = [
        ("party", case.party(record.issuer.other()).into()),
        ("decided", (&*divergence.decided).into()),
        ("replayed", (&*divergence.replayed).into()),
    ];
    Some(Finding {
        criterion: if divergence.replayed == "UNDISCLOSED" { "A16" } else { "A8" },
        code: "DECISION_DIVERGES",
        condition: case.say.with("finding-diverges", values),
        gravity: Gravity::Grave,
        subject: history.subject.clone(),
        places: listed([Some(record.place.clone()), record.decided.clone()].into_iter().flatten()),
        count: 1,
        fields: Vec::new(),
    })
}

/// What the two sides must derive alike and do not.
fn disagreement(history: &History) -> Option<Finding> {
    let text = history.disagreement.clone()?;
    Some(Finding {
        criterion: "A6",
        code: "SIDES_DISAGREE",
        condition: text,
        gravity: Gravity::Grave,
        subject: history.subject.clone(),
        places: listed(history.records.iter().map(|record| record.place.clone())),
        count: 1,
        fields: Vec::new(),
    })
}
