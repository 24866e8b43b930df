//! What the report finds, and that it finds nothing else.

use convenio_agreement::act::Refusal;
use convenio_audit::{Finding, Gravity, Report, report};
use convenio_model::Ref;
use convenio_wire::r#type::v1::LicenceState;
use tempfile::TempDir;

use crate::export::draft;
use crate::integrity::{job, season, story, trust};
use crate::pair::{CA, Pair, SV, origin};
use crate::records::Job;

const AGENCY: Ref = Ref([100; 16]);
pub const EMPLOYED: [(usize, &str); 12] = [
    (SV, "nominate"),
    (CA, "offer"),
    (SV, "identified"),
    (CA, "contract_offered"),
    (SV, "contract"),
    (SV, "documented"),
    (SV, "oriented"),
    (CA, "permitted"),
    (SV, "ready"),
    (SV, "departed"),
    (CA, "admitted"),
    (CA, "employ"),
];

fn reported(pair: &Pair) -> Report {
    let (sv, ca) = (TempDir::new().unwrap(), TempDir::new().unwrap());
    draft(pair, SV).write(pair, sv.path());
    draft(pair, CA).write(pair, ca.path());
    let both = report(sv.path(), Some(ca.path()), &trust(pair)).unwrap();
    assert!(both.integrity, "{:#?}", both.comparison);
    both
}

fn codes(report: &Report) -> Vec<&str> {
    report.findings.iter().map(|finding| finding.code).collect()
}

fn only(report: &Report) -> &Finding {
    assert_eq!(report.findings.len(), 1, "{:#?}", report.findings);
    &report.findings[0]
}

fn refusal(act: &str, gate: &str, subject: &str, path: &str, count: u64) -> String {
    format!(
        "{{\"agreement\":\"sv-ca\",\"act\":\"{act}\",\"gate\":\"{gate}\",\"subject\":\"{subject}\",\"field_paths\":\
         [\"{path}\"],\"count\":{count},\"first_ms\":1,\"last_ms\":2}}\n"
    )
}

pub fn opened(one: &Job) -> Pair {
    let mut pair = Pair::new();
    pair.order(one);
    pair.licence(SV, AGENCY, LicenceState::Active);
    pair.licence(CA, AGENCY, LicenceState::Active);
    pair.sync();
    pair
}

#[test]
fn a_season_by_the_rules_has_no_finding() {
    let one = job(1, Some(AGENCY));
    let mut pair = opened(&one);
    season(&mut pair, &one, &EMPLOYED);
    season(&mut pair, &one, &[(SV, "employment_confirmed"), (CA, "end"), (SV, "returned"), (SV, "close")]);
    let found = reported(&pair);
    assert_eq!(codes(&found), [""; 0], "{:#?}", found.findings);
    assert_eq!(found.erased, 0);
}

#[test]
fn a_single_bundle_is_reported_too() {
    let pair = story();
    let dir = TempDir::new().unwrap();
    draft(&pair, SV).write(&pair, dir.path());
    let found = report(dir.path(), None, &trust(&pair)).unwrap();
    assert!(found.integrity && found.findings.is_empty(), "{:#?}", found.findings);
}

#[test]
fn an_agency_that_one_state_suspends_unseen_by_the_other_is_one_finding() {
    let jobs: Vec<Job> = (1..=3).map(|number| job(number, Some(AGENCY))).collect();
    let mut pair = opened(&jobs[0]);
    pair.licence(CA, AGENCY, LicenceState::Suspended);
    let suspension = pair.nodes[CA].log.len() as u64 - 1;
    for one in &jobs {
        pair.act(SV, one, "nominate").unwrap();
    }
    pair.sync();
    let found = reported(&pair);
    let finding = only(&found);
    assert_eq!((finding.criterion, finding.code, finding.count), ("A11", "AGENCY_SUSPENDED", 3));
    assert_eq!(finding.gravity, Gravity::Serious);
    assert!(finding.condition.contains("CA suspended"), "{}", finding.condition);
    assert!(finding.places.iter().any(|place| place.origin == origin(CA) && place.index == suspension));
    assert_eq!(finding.places.len(), 4);
}

#[test]
fn an_agency_suspended_at_home_counts_what_was_refused_there() {
    let one = job(1, Some(AGENCY));
    let mut pair = opened(&one);
    pair.licence(SV, AGENCY, LicenceState::Suspended);
    pair.sync();
    assert!(matches!(pair.act(SV, &one, "nominate"), Err(Refusal::Gate { .. })));
    let subject = format!("agencies/{AGENCY}");
    pair.nodes[SV].refusals = vec![refusal("nominate", "agency_two_licences", &subject, "agency.licences", 7)];
    let found = reported(&pair);
    let finding = only(&found);
    assert_eq!((finding.code, finding.count, finding.gravity), ("AGENCY_SUSPENDED", 7, Gravity::Minor));
}

#[test]
fn a_worse_contract_that_was_refused_is_one_finding_of_its_order() {
    let one = job(1, None);
    let mut pair = opened(&one);
    season(&mut pair, &one, &[(SV, "nominate"), (CA, "offer")]);
    let worse = Job { wage_cents: 1500, ..one };
    assert!(matches!(pair.act(CA, &worse, "contract_offered"), Err(Refusal::Gate { .. })));
    let subject = format!("jobOrders/{}", one.order);
    let path = "contract.terms.wage_rate";
    pair.nodes[CA].refusals = vec![refusal("contract_offered", "terms_not_worse", &subject, path, 1)];
    let found = reported(&pair);
    let finding = only(&found);
    assert_eq!((finding.criterion, finding.code), ("A13", "TERMS_REFUSED"));
    assert_eq!(finding.fields[0].path, path);
    assert_eq!(finding.places.len(), 1);
    assert_eq!(finding.places[0].origin, origin(CA));
}

#[test]
fn a_substituted_contract_names_field_values_and_both_entries() {
    let one = job(1, None);
    let mut pair = opened(&one);
    season(&mut pair, &one, &EMPLOYED);
    season(&mut pair, &Job { wage_cents: 1400, ..one }, &[(SV, "contract_observed")]);
    let found = reported(&pair);
    let finding = only(&found);
    assert_eq!((finding.criterion, finding.code, finding.gravity), ("A13", "CONTRACT_SUBSTITUTION", Gravity::Grave));
    let field = &finding.fields[0];
    assert_eq!(field.path, "contract.terms.wage_rate");
    assert_eq!((field.agreed.as_str(), field.observed.as_str()), ("17.20 CAD", "14.00 CAD"));
    let origins: Vec<&str> = finding.places.iter().map(|place| place.origin.as_str()).collect();
    assert_eq!(origins, [origin(CA), origin(SV)]);
}

#[test]
fn more_candidates_than_seats_are_one_finding_of_the_order() {
    let jobs: Vec<Job> = (1..=3).map(|number| Job { seats: 2, ..job(number, None) }).collect();
    let mut pair = opened(&jobs[0]);
    for one in &jobs {
        season(&mut pair, one, &[(SV, "nominate")]);
    }
    season(&mut pair, &jobs[0], &[(CA, "offer")]);
    season(&mut pair, &jobs[1], &[(CA, "offer")]);
    assert!(pair.act(CA, &jobs[2], "offer").is_err());
    season(&mut pair, &jobs[2], &[(CA, "expire")]);
    let found = reported(&pair);
    let finding = only(&found);
    assert_eq!((finding.criterion, finding.code, finding.count), ("A10", "OVERSUBSCRIBED", 3));
    assert_eq!(finding.condition, "3 candidates for 2 seats: 2 were allocated, 1 were told that there is none");
    assert_eq!(finding.places.len(), 4);
}

#[test]
fn a_seat_that_is_given_again_is_no_finding() {
    let jobs: Vec<Job> = (1..=2).map(|number| Job { seats: 1, ..job(number, None) }).collect();
    let mut pair = opened(&jobs[0]);
    season(&mut pair, &jobs[0], &[(SV, "nominate"), (CA, "offer"), (SV, "withdrawn")]);
    season(&mut pair, &jobs[1], &[(SV, "nominate"), (CA, "offer")]);
    assert_eq!(codes(&reported(&pair)), [""; 0]);
}

#[test]
fn departure_without_readiness_and_contradictions_are_found() {
    let one = job(1, None);
    let mut pair = opened(&one);
    season(&mut pair, &one, &EMPLOYED[..5]);
    season(&mut pair, &one, &[(SV, "departed"), (SV, "withdrawn")]);
    assert_eq!(codes(&reported(&pair)), ["CONTRADICTORY_FACTS", "DEPARTED_WITHOUT_READINESS"]);
}

#[test]
fn what_is_rejected_for_another_reason_is_told() {
    let one = job(1, None);
    let mut pair = opened(&one);
    // The destination closes the order while the origin nominates.
    let closed = Job { order: Ref([201; 16]), ..job(2, None) };
    pair.force(SV, &closed, "nominate");
    pair.sync();
    let found = reported(&pair);
    let finding = only(&found);
    assert_eq!(finding.code, "REJECTED_RECORDS");
    assert!(finding.condition.contains("order_open"), "{}", finding.condition);
}

#[test]
fn an_issuer_that_skips_its_own_gates_is_found() {
    let one = job(1, None);
    let mut pair = opened(&one);
    season(&mut pair, &one, &[(SV, "nominate"), (CA, "offer")]);
    // A fact is never refused on the merits: only the audit sees that its gate was skipped.
    pair.force(CA, &Job { wage_cents: 1500, ..one }, "contract_offered");
    pair.sync();
    let found = reported(&pair);
    let finding = only(&found);
    assert_eq!((finding.code, finding.gravity), ("GATE_SKIPPED", Gravity::Serious));
    assert!(finding.condition.contains("terms_not_worse"), "{}", finding.condition);
}

#[test]
fn a_decision_that_the_rules_do_not_give_is_found() {
    let one = job(1, None);
    let mut pair = opened(&one);
    pair.act(SV, &one, "nominate").unwrap();
    pair.deliver(SV);
    let index = pair.nodes[SV].log.len() as u64;
    pair.outcome(CA, index - 1, index, &[(index - 1, Refusal::Sequence)]);
    let dir = TempDir::new().unwrap();
    draft(&pair, CA).write(&pair, dir.path());
    let found = report(dir.path(), None, &trust(&pair)).unwrap();
    assert!(found.integrity, "{:#?}", found.bundles);
    assert!(codes(&found).contains(&"DECISION_DIVERGES"), "{:#?}", found.findings);
}
