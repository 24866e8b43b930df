//! The findings about agencies and their licences of both states.

use std::collections::{BTreeMap, BTreeSet};

use convenio_agreement::lifecycle::{Gate, Role};
use convenio_model::Ref;

use super::ledger::Case;
use super::rejections::Rejections;
use super::{Finding, Gravity, Place, Places, listed};
use crate::history::{History, ReplayedRecord, SubjectView};
use crate::replay::ActOutcome;

/// `LicenceState` in force.
const ACTIVE: i32 = 1;

/// What was seen of one agency.
#[derive(Debug, Default)]
struct Agency {
    name: String,
    /// Who took its licence away, and where that stands.
    taken_by: Vec<(Role, Place)>,
    /// Its acts that were rejected for a licence.
    rejected: Rejections,
}

/// What was seen of all agencies.
#[derive(Debug, Default)]
pub(super) struct Agencies {
    seen: BTreeMap<Ref, Agency>,
}

impl Agencies {
    /// Reads an agency's own notices.
    pub(super) fn notices(&mut self, history: &History) {
        let Some(id) = history.id().filter(|_| history.subject.starts_with("agencies/")) else { return };
        let view = [&history.origin, &history.destination].into_iter().flatten().next();
        let agency = self.seen.entry(id).or_default();
        if let Some(SubjectView::Agency(view)) = view {
            agency.name.clone_from(&view.legal_name);
        }
        let taken = history.records.iter().filter(|record| record.act.licence.is_some_and(|state| state != ACTIVE));
        let taken = taken.filter(|record| !matches!(record.act.outcome, ActOutcome::Rejected { .. }));
        agency.taken_by.extend(taken.map(|record| (record.issuer, record.place.clone())));
    }

    /// Takes a rejected record if it was rejected for its agency's licence.
    pub(super) fn takes(&mut self, case: &Case<'_>, subject: &str, record: &ReplayedRecord) -> bool {
        let Some(agency) = record.act.agency.filter(|_| is_by_licence(&record.act.outcome)) else { return false };
        self.seen.entry(agency).or_default().rejected.add(case, subject, record);
        true
    }

    /// One finding for each agency whose licence a state took away; what was rejected of others is told as it is.
    pub(super) fn into_findings(self, case: &Case<'_>) -> Vec<Finding> {
        let mut found = Vec::new();
        for (id, agency) in self.seen {
            if agency.taken_by.is_empty() {
                found.extend(agency.rejected.into_findings(case));
            } else {
                found.push(suspended(case, id, agency));
            }
        }
        found
    }
}

/// Rejected for a licence; the gate's name may be erased, then the coarse reason must do.
fn is_by_licence(outcome: &ActOutcome) -> bool {
    let licence = Gate::AgencyTwoLicences.as_str();
    let ActOutcome::Rejected { reason, detail } = outcome else { return false };
    reason == "GATE" && (detail.gate == licence || detail.gate.is_empty())
}

fn suspended(case: &Case<'_>, id: Ref, agency: Agency) -> Finding {
    let subject = format!("agencies/{id}");
    let Places { total: rejected, .. } = agency.rejected.places();
    let places = agency.rejected.places().into_list().into_iter();
    let places = listed(agency.taken_by.iter().map(|(_, place)| place.clone()).chain(places));
    let refused = case.refused(Gate::AgencyTwoLicences, &subject);
    let states: BTreeSet<&str> = agency.taken_by.iter().map(|(role, _)| case.country(*role)).collect();
    let states = states
        .into_iter()
        .map(str::to_owned)
        .reduce(|first, second| case.say.with("and-joined", [("first", first.into()), ("second", second.into())]));
    let values = [
        ("states", states.unwrap_or_default().into()),
        ("name", agency.name.into()),
        ("rejected", rejected.into()),
        ("refused", refused.into()),
    ];
    Finding {
        criterion: "A11",
        code: "AGENCY_SUSPENDED",
        condition: case.say.with("finding-agency-suspended", values),
        gravity: match (rejected, refused) {
            (0, 0) => Gravity::Informative,
            (0, _) => Gravity::Minor,
            _ => Gravity::Serious,
        },
        subject,
        places,
        count: rejected + refused,
        fields: Vec::new(),
    }
}
