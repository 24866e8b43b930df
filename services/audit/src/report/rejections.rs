//! The findings about records that were rejected for no reason told elsewhere, and about what the rules do not give.

use std::collections::{BTreeMap, BTreeSet};

use super::findings::{Case, listed};
use super::{FieldDifference, Finding, Gravity, Place};
use crate::replay::{ActOutcome, ReplayedAct, Side};

/// Issuer, reason, gate, subject.
type Group = (String, String, String, String);

/// One for each issuer, reason, gate and subject.
pub(super) fn rejected(case: &mut Case<'_>) -> Vec<Finding> {
    let mut groups: BTreeMap<Group, (Vec<Place>, BTreeSet<String>)> = BTreeMap::new();
    for side in case.replay.sides() {
        for act in &side.acts {
            let ActOutcome::Rejected { reason, gate, field_paths } = &act.outcome else { continue };
            // What was built on a rejected act falls with it.
            if case.explained.contains(&act.record_id) || falls_with(side, act) {
                continue;
            }
            let key = (side.party.clone(), reason.clone(), gate.clone(), act.subject.clone());
            let group = groups.entry(key).or_default();
            group.0.push(Case::place(side, act));
            group.1.extend(field_paths.iter().cloned());
        }
    }
    groups.into_iter().map(|(key, (places, paths))| finding(key, places, paths)).collect()
}

fn falls_with(side: &Side, act: &ReplayedAct) -> bool {
    let before = act.built_on.and_then(|record| side.act(record));
    before.is_some_and(|before| matches!(before.outcome, ActOutcome::Rejected { .. }))
}

fn finding((party, reason, gate, subject): Group, places: Vec<Place>, paths: BTreeSet<String>) -> Finding {
    let by_gate = if gate.is_empty() { String::new() } else { format!(" (gate {gate})") };
    let count = places.len() as u64;
    let difference = |path| FieldDifference { path, agreed: String::new(), observed: String::new() };
    Finding {
        criterion: if gate.is_empty() { "A8" } else { "A9" },
        code: "REJECTED_RECORDS",
        condition: format!("{count} records of {party} were rejected: {reason}{by_gate}"),
        gravity: if reason == "PART_MISSING" { Gravity::Low } else { Gravity::Medium },
        subject,
        places: listed(places),
        count,
        fields: paths.into_iter().map(difference).collect(),
    }
}

/// Acts that took effect though their issuer was not entitled to them, and decisions that the rules do not give.
pub(super) fn against_the_rules(case: &Case<'_>) -> Vec<Finding> {
    let mut found = Vec::new();
    for side in case.replay.sides() {
        for act in side.acts.iter().filter(|act| act.outcome == ActOutcome::Accepted) {
            let Some(why) = &act.unentitled else { continue };
            found.push(Finding {
                criterion: "A9",
                code: "GATE_SKIPPED",
                condition: format!("{} issued `{}` against its own rules: {why}", side.party, act.act),
                gravity: Gravity::High,
                subject: act.subject.clone(),
                places: vec![Case::place(side, act)],
                count: 1,
                fields: Vec::new(),
            });
        }
        let partner = case.replay.side(side.role.other());
        for divergence in &side.divergences {
            found.push(Finding {
                criterion: "A7",
                code: "DECISION_DIVERGES",
                condition: format!(
                    "{} decided {} where the rules say {}",
                    side.party, divergence.decided, divergence.replayed
                ),
                gravity: Gravity::High,
                subject: divergence.subject.clone(),
                places: vec![Place { origin: partner.log.clone(), index: divergence.index }],
                count: 1,
                fields: Vec::new(),
            });
        }
    }
    found
}
