//! The findings about records that were rejected for no reason told elsewhere.

use std::collections::{BTreeMap, BTreeSet};

use super::ledger::Case;
use super::{FieldDifference, Finding, Gravity, Places};
use crate::history::{History, ReplayedRecord};
use crate::replay::ActOutcome;

/// Party, reason, gate as it is shown, its name, subject.
type Group = (String, String, String, String, String);

/// Rejected records, together where one finding tells them.
#[derive(Debug, Default)]
pub(super) struct Rejections {
    groups: BTreeMap<Group, (Places, BTreeSet<String>)>,
}

impl Rejections {
    /// Counts a rejected record.
    pub(super) fn add(&mut self, case: &Case<'_>, subject: &str, record: &ReplayedRecord) {
        let ActOutcome::Rejected { reason, detail } = &record.act.outcome else { return };
        let party = case.party(record.issuer).to_owned();
        let key = (party, reason.clone(), detail.to_string(), detail.gate.clone(), subject.to_owned());
        let group = self.groups.entry(key).or_default();
        group.0.add(record.place.clone());
        group.1.extend(detail.field_paths.iter().cloned());
    }

    /// How many records, and where.
    pub(super) fn places(&self) -> Places {
        let mut all = Places::default();
        self.groups.values().for_each(|(places, _)| all.merge(places));
        all
    }

    /// One finding for each issuer, reason, gate and subject.
    pub(super) fn into_findings(self, case: &Case<'_>) -> Vec<Finding> {
        self.groups.into_iter().map(|(group, (places, paths))| finding(case, group, places, paths)).collect()
    }
}

/// What was built on a rejected act falls with it.
pub(super) fn falls_with(history: &History, record: &ReplayedRecord) -> bool {
    let before = record.act.built_on.and_then(|id| history.records.iter().find(|own| own.act.record_id == id));
    before.is_some_and(|before| matches!(before.act.outcome, ActOutcome::Rejected { .. }))
}

fn finding(
    case: &Case<'_>,
    (party, reason, shown, gate, subject): Group,
    places: Places,
    paths: BTreeSet<String>,
) -> Finding {
    let values = [("count", places.total.into()), ("party", (&*party).into()), ("reason", (&*reason).into())];
    let condition = if gate.is_empty() {
        case.say.with("finding-rejected", values)
    } else {
        case.say.with("finding-rejected-gate", values.into_iter().chain([("gate", (&*shown).into())]))
    };
    let difference = |path| FieldDifference { path, ..FieldDifference::default() };
    Finding {
        criterion: match (reason.as_str(), gate.as_str()) {
            ("UNDISCLOSED", _) => "A16",
            (_, "consent") => "A17",
            (_, "") => "A8",
            _ => "A9",
        },
        code: "REJECTED_RECORDS",
        condition,
        gravity: match reason.as_str() {
            // A part erased before its delivery is delivered as erased.
            "PART_MISSING" => Gravity::Informative,
            "UNDISCLOSED" => Gravity::Serious,
            _ => Gravity::Minor,
        },
        subject,
        count: places.total,
        places: places.into_list(),
        fields: paths.into_iter().map(difference).collect(),
    }
}
