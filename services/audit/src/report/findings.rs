//! The findings about agencies, terms and placements.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use convenio_agreement::engine::{Discrepancy, Engine};
use convenio_agreement::lifecycle::{Gate, Role};
use convenio_model::{RecordId, Ref};

use super::{FieldDifference, Finding, Gravity, MAX_PLACES, Place, orders, rejections};
use crate::evidence::LocalRefusal;
use crate::replay::{ActOutcome, Replay, ReplayedAct, Side};
use crate::verify::Checked;

/// `LicenceState` in force.
const ACTIVE: i32 = 1;

/// What the builders of findings share.
pub(super) struct Case<'r> {
    pub(super) replay: &'r Replay,
    pub(super) refusals: Vec<&'r LocalRefusal>,
    /// Rejected records that a finding explains.
    pub(super) explained: HashSet<RecordId>,
}

/// All findings of one replay.
pub(super) fn of(replay: &Replay, checked: &[&Checked]) -> Vec<Finding> {
    let refusals = checked.iter().flat_map(|checked| &checked.refusals);
    let refusals = refusals.filter(|refusal| refusal.agreement == replay.pack.id()).collect();
    let mut case = Case { replay, refusals, explained: HashSet::new() };
    let mut found = agencies(&mut case);
    found.extend(terms_refused(&case));
    found.extend(orders::oversubscribed(&case));
    found.extend(placements(&case));
    found.extend(rejections::rejected(&mut case));
    found.extend(rejections::against_the_rules(&case));
    found
}

impl Case<'_> {
    pub(super) fn place(side: &Side, act: &ReplayedAct) -> Place {
        Place { origin: side.log.clone(), index: act.index }
    }

    pub(super) fn record(&self, record: Option<Ref>) -> Option<Place> {
        self.replay.place(record?).map(|(origin, index)| Place { origin, index })
    }

    /// The notice of an order that stands.
    pub(super) fn order_notice(&self, order: Ref) -> Option<Place> {
        let view = self.replay.destination.world.order(order)?;
        self.record(Ref::from_slice(&view.record_id).ok())
    }

    fn country(&self, role: Role) -> &str {
        &self.replay.pack.party(role).country
    }
}

/// Sorted, each once, and not too many.
pub(super) fn listed(places: impl IntoIterator<Item = Place>) -> Vec<Place> {
    let places: BTreeSet<Place> = places.into_iter().collect();
    places.into_iter().take(MAX_PLACES).collect()
}

/// One for each agency whose licence a state took away, with what was tried after that.
fn agencies(case: &mut Case<'_>) -> Vec<Finding> {
    let mut suspended: BTreeMap<Ref, Vec<(Role, Place)>> = BTreeMap::new();
    for side in case.replay.sides() {
        let notices = side.acts.iter().filter(|act| act.licence.is_some_and(|state| state != ACTIVE));
        for act in notices.filter(|act| !matches!(act.outcome, ActOutcome::Rejected { .. })) {
            if let Some(agency) = act.subject.strip_prefix("agencies/").and_then(|id| id.parse().ok()) {
                suspended.entry(agency).or_default().push((side.role, Case::place(side, act)));
            }
        }
    }
    suspended.into_iter().map(|(agency, by)| agency_suspended(case, agency, by)).collect()
}

fn agency_suspended(case: &mut Case<'_>, agency: Ref, by: Vec<(Role, Place)>) -> Finding {
    let subject = format!("agencies/{agency}");
    let mut places: Vec<Place> = by.iter().map(|(_, place)| place.clone()).collect();
    let (mut rejected, mut explained) = (0, Vec::new());
    for side in case.replay.sides() {
        for act in side.acts.iter().filter(|act| act.agency == Some(agency) && is_by_licence(&act.outcome)) {
            rejected += 1;
            places.push(Case::place(side, act));
            explained.push(act.record_id);
        }
    }
    case.explained.extend(explained);
    let gate = Gate::AgencyTwoLicences.as_str();
    let refused: u64 = case.refusals.iter().filter(|r| r.gate == gate && r.subject == subject).map(|r| r.count).sum();
    let states: BTreeSet<&str> = by.iter().map(|(role, _)| case.country(*role)).collect();
    let states = states.into_iter().collect::<Vec<_>>().join(" and ");
    let view = case.replay.sides().find_map(|side| side.world.agency(agency));
    let name = view.map(|view| view.legal_name.clone()).unwrap_or_default();
    Finding {
        criterion: "A11",
        code: "AGENCY_SUSPENDED",
        condition: format!(
            "{states} suspended the licence of agency {name}; {rejected} of its acts were rejected by the partner, \
             {refused} refused at home"
        ),
        gravity: match (rejected, refused) {
            (0, 0) => Gravity::Low,
            (0, _) => Gravity::Medium,
            _ => Gravity::High,
        },
        subject,
        places: listed(places),
        count: rejected + refused,
        fields: Vec::new(),
    }
}

/// Rejected for a licence; the gate's name may be erased, then the coarse reason must do.
fn is_by_licence(outcome: &ActOutcome) -> bool {
    let licence = Gate::AgencyTwoLicences.as_str();
    matches!(outcome, ActOutcome::Rejected { reason, gate, .. } if reason == "GATE" && (gate == licence || gate.is_empty()))
}

/// One for each order under which a contract with worse terms was refused at home, by the word of one side.
fn terms_refused(case: &Case<'_>) -> Vec<Finding> {
    let mut by_subject: BTreeMap<String, (u64, BTreeSet<&str>)> = BTreeMap::new();
    for refusal in case.refusals.iter().filter(|r| r.gate == Gate::TermsNotWorse.as_str()) {
        let subject = order_of(case, &refusal.subject).unwrap_or_else(|| refusal.subject.clone());
        let entry = by_subject.entry(subject).or_default();
        entry.0 += refusal.count;
        entry.1.extend(refusal.field_paths.iter().map(String::as_str));
    }
    let finding = |(subject, (count, paths)): (String, (u64, BTreeSet<&str>))| {
        let order = subject.strip_prefix("jobOrders/").and_then(|id| id.parse().ok());
        let listed_paths = paths.iter().copied().collect::<Vec<_>>().join(", ");
        let difference =
            |path: &&str| FieldDifference { path: (*path).to_owned(), agreed: String::new(), observed: String::new() };
        Finding {
            criterion: "A13",
            code: "TERMS_REFUSED",
            condition: format!("a contract with worse terms than its job order was refused: {listed_paths}"),
            gravity: Gravity::Medium,
            subject,
            places: order.and_then(|order| case.order_notice(order)).into_iter().collect(),
            count,
            fields: paths.iter().map(difference).collect(),
        }
    };
    by_subject.into_iter().map(finding).collect()
}

fn order_of(case: &Case<'_>, subject: &str) -> Option<String> {
    let placement = subject.strip_prefix("placements/")?.parse().ok()?;
    let view = case.replay.sides().find_map(|side| side.world.placement(placement))?;
    Some(format!("jobOrders/{}", view.order_ref()?))
}

/// Contradictions of placements: one for each placement and kind.
fn placements(case: &Case<'_>) -> Vec<Finding> {
    let ids: BTreeSet<Ref> = case.replay.sides().flat_map(|side| side.world.placements().map(|(id, _)| id)).collect();
    let mut found = Vec::new();
    for id in ids {
        // Both sides derive the same; one that is ahead of the other knows more.
        let of = |side: &Side| {
            let view = side.world.placement(id);
            view.map(|view| Engine::new(&case.replay.pack, side.role).discrepancies(view)).unwrap_or_default()
        };
        let (origin, destination) = (of(&case.replay.origin), of(&case.replay.destination));
        let discrepancies = if origin.len() >= destination.len() { origin } else { destination };
        let mut by_kind: BTreeMap<&str, Vec<Discrepancy>> = BTreeMap::new();
        for discrepancy in discrepancies {
            by_kind.entry(discrepancy.kind).or_default().push(discrepancy);
        }
        found.extend(by_kind.into_iter().map(|(kind, all)| discrepancy(case, id, kind, &all)));
    }
    found
}

fn discrepancy(case: &Case<'_>, placement: Ref, kind: &str, all: &[Discrepancy]) -> Finding {
    let what = |d: &Discrepancy| format!("{}: agreed {}, observed {}", d.field_path, d.agreed, d.observed);
    let listed_terms = all.iter().map(what).collect::<Vec<_>>().join("; ");
    let (criterion, code, condition, gravity) = match kind {
        "contract_substitution" => (
            "A13",
            "CONTRACT_SUBSTITUTION",
            format!("worse terms in use than were agreed: {listed_terms}"),
            Gravity::High,
        ),
        "contradictory_facts" => {
            let facts = all.iter().map(|d| d.field_path.as_str()).collect::<Vec<_>>().join("; ");
            ("A8", "CONTRADICTORY_FACTS", format!("facts that cannot both be true: {facts}"), Gravity::Medium)
        }
        _ => {
            let known = all.first().map_or("", |d| d.observed.as_str());
            ("A9", "DEPARTED_WITHOUT_READINESS", format!("departed while in state {known}"), Gravity::High)
        }
    };
    let terms = kind == "contract_substitution";
    let difference = |d: &Discrepancy| FieldDifference {
        path: d.field_path.clone(),
        agreed: d.agreed.clone(),
        observed: d.observed.clone(),
    };
    let records = all.iter().flat_map(|d| [d.agreed_record, d.observed_record]);
    Finding {
        criterion,
        code,
        condition,
        gravity,
        subject: format!("placements/{placement}"),
        places: listed(records.filter_map(|record| case.record(record))),
        count: all.len() as u64,
        fields: if terms { all.iter().map(difference).collect() } else { Vec::new() },
    }
}
