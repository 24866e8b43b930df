use convenio_registry::refusal::NotedRefusal;
use convenio_registry::{Category, RegistryError};
use convenio_store::Kind;
use convenio_wire::consular::v1::{Capture, Confirmation, ObservedContract, capture};
use convenio_wire::registry::v1::*;
use convenio_wire::r#type::v1::{Code, Date, JobOrderState, Money, Place, RecruiterKind, WageBasis};
use prost::Message;
use prost_types::Any;

use crate::pair::{AGREEMENT, Pair, caller, pair, until};

const AREA: &str = "CA-ON";
const CAPTURE: &str = "0190163d-8694-739b-aea5-966c26f8ad93";

/// The agreement's extension of a job order, as a client writes it.
#[derive(Clone, PartialEq, prost::Message)]
struct JobOrderData {
    #[prost(string, tag = "1")]
    labour_test_number: String,
    #[prost(message, optional, tag = "2")]
    noc: Option<Code>,
}

fn terms(cents: i64) -> EmploymentTerms {
    EmploymentTerms {
        wage_basis: WageBasis::Hour.into(),
        wage_rate: Some(Money { minor_units: cents, currency_code: "CAD".into() }),
        weekly_hours_tenths: 400,
        guaranteed_weekly_hours_tenths: 300,
        start_date: Some(Date { year: 2024, month: 4, day: 1 }),
        end_date: Some(Date { year: 2024, month: 10, day: 31 }),
        housing: Some(Housing { provided: true, ..Housing::default() }),
        employer_pays_travel: true,
        ..EmploymentTerms::default()
    }
}

async fn order(pair: &Pair, seats: i32) -> JobOrder {
    let me = caller("ca");
    let employer = Employer { legal_name: "Farm".into(), eligible: true, ..Employer::default() };
    let request = CreateEmployerRequest { employer: Some(employer), ..CreateEmployerRequest::default() };
    let employer = pair.ca.create_employer(&me, request).await.unwrap();
    let noc = Some(Code { list: "NOC-2016".into(), value: "8431".into() });
    let data = JobOrderData { labour_test_number: "LMIA-1".into(), noc };
    let type_url = "type.googleapis.com/agreements.common.canada.v1.JobOrderData".to_owned();
    let value = Some(Any { type_url, value: data.encode_to_vec() });
    let order = JobOrder {
        agreement: AGREEMENT.into(),
        employer: employer.name,
        title: "Harvest".into(),
        place: Some(Place { country_code: "CA".into(), subdivision_code: AREA.into(), ..Place::default() }),
        seats,
        terms: Some(terms(1720)),
        agreement_data: vec![AgreementData { agreement: AGREEMENT.into(), value }],
        ..JobOrder::default()
    };
    let request = CreateJobOrderRequest { job_order: Some(order), ..CreateJobOrderRequest::default() };
    pair.ca.create_job_order(&me, request).await.unwrap()
}

async fn placement(pair: &Pair, order: &JobOrder) -> Placement {
    let me = caller("sv");
    let worker = Worker {
        given_names: "Ana".into(),
        family_names: "Prueba".into(),
        birth_date: Some(Date { year: 1990, month: 2, day: 3 }),
        nationality: "SV".into(),
        languages: vec!["spa".into()],
        document: Some(TravelDocument {
            country_code: "SV".into(),
            number: "A1234567".into(),
            ..TravelDocument::default()
        }),
        consents: vec![Consent { agreement: AGREEMENT.into(), given_time_ms: 1, withdrawn_time_ms: 0 }],
        ..Worker::default()
    };
    let request = CreateWorkerRequest { worker: Some(worker), ..CreateWorkerRequest::default() };
    let worker = pair.sv.create_worker(&me, request).await.unwrap();
    let placement = Placement {
        agreement: AGREEMENT.into(),
        worker: worker.name,
        job_order: order.name.clone(),
        recruiter_kind: RecruiterKind::PublicEmploymentService.into(),
        ..Placement::default()
    };
    let request = CreatePlacementRequest { placement: Some(placement), ..CreatePlacementRequest::default() };
    pair.sv.create_placement(&me, request).await.unwrap()
}

async fn transition(pair: &Pair, party: &str, name: &str, act: &str, event: Event) -> Result<Placement, RegistryError> {
    let registry = if party == "sv" { &pair.sv } else { &pair.ca };
    let request = TransitionPlacementRequest {
        name: name.into(),
        transition: act.into(),
        event: Some(event),
        ..TransitionPlacementRequest::default()
    };
    registry.transition_placement(&caller(party), request).await
}

async fn fact(pair: &Pair, party: &str, name: &str, fact: &str, event: Event) -> Result<Placement, RegistryError> {
    let registry = if party == "sv" { &pair.sv } else { &pair.ca };
    let request = RecordPlacementFactRequest {
        name: name.into(),
        fact: fact.into(),
        event: Some(event),
        ..RecordPlacementFactRequest::default()
    };
    registry.record_placement_fact(&caller(party), request).await
}

async fn read(pair: &Pair, party: &str, name: &str) -> Option<Placement> {
    let registry = if party == "sv" { &pair.sv } else { &pair.ca };
    registry.get_placement(&caller(party), GetPlacementRequest { name: name.into() }).await.ok()
}

/// Waits until both states agree on `state` and wait for nothing.
async fn agreed(pair: &Pair, name: &str, state: &str) {
    for party in ["sv", "ca"] {
        until(&format!("{party} reaches {state}"), || async {
            let placement = read(pair, party, name).await?;
            (placement.state == state && placement.pending_acts.is_empty()).then_some(())
        })
        .await;
    }
}

async fn known(pair: &Pair, party: &str, name: &str, fact: &str) {
    until(&format!("{party} knows {fact}"), || async {
        read(pair, party, name).await?.facts.contains(&fact.to_owned()).then_some(())
    })
    .await;
}

async fn crossed(pair: &Pair, order: &JobOrder) -> JobOrder {
    let get = || GetJobOrderRequest { name: order.name.clone() };
    until("the order crosses", || async { pair.sv.get_job_order(&caller("sv"), get()).await.ok() }).await
}

async fn contract(pair: &Pair, name: &str, cents: i64) -> Result<Contract, RegistryError> {
    let contract =
        Contract { placement: name.into(), terms: Some(terms(cents)), text_sha256: vec![7; 32], ..Contract::default() };
    let request = CreateContractRequest { contract: Some(contract), ..CreateContractRequest::default() };
    pair.ca.create_contract(&caller("ca"), request).await
}

async fn notes(registry: &convenio_registry::Registry) -> Vec<NotedRefusal> {
    let rows = registry.core().store().resources(Kind::Refusal, None, 10).await.unwrap();
    rows.iter().map(|row| NotedRefusal::decode(row.body.as_slice()).unwrap()).collect()
}

/// Takes a placement to OFFERED.
async fn offered(pair: &Pair, order: &JobOrder) -> String {
    let name = placement(pair, order).await.name;
    transition(pair, "sv", &name, "preselect", Event::default()).await.unwrap();
    transition(pair, "sv", &name, "nominate", Event::default()).await.unwrap();
    agreed(pair, &name, "NOMINATED").await;
    transition(pair, "ca", &name, "offer", Event::default()).await.unwrap();
    agreed(pair, &name, "OFFERED").await;
    name
}

fn because(reason: &str) -> Event {
    Event { reason_code: reason.into(), ..Event::default() }
}

#[tokio::test]
async fn an_order_is_seen_at_the_origin_as_it_crossed() {
    let pair = pair().await;
    let own = order(&pair, 2).await;
    let seen = crossed(&pair, &own).await;
    assert_eq!(seen.employer_name, "Farm");
    assert_eq!((seen.seats, seen.state(), &seen.terms), (2, JobOrderState::Open, &own.terms));
    assert_eq!(seen.agreement_data, own.agreement_data);
    let closed = order(&pair, 0).await;
    assert_eq!(closed.state(), JobOrderState::Closed);
    crossed(&pair, &closed).await;
    let listed = pair.sv.list_job_orders(&caller("sv"), ListJobOrdersRequest::default()).await.unwrap();
    assert_eq!(listed.job_orders.len(), 2);
    let request = CreateJobOrderRequest {
        job_order: Some(JobOrder { employer: "employers/x".into(), ..own }),
        ..CreateJobOrderRequest::default()
    };
    let error = pair.sv.create_job_order(&caller("sv"), request).await.unwrap_err();
    assert_eq!(error.category(), Category::InvalidArgument);
}

#[tokio::test]
async fn a_worker_goes_out_and_comes_back() {
    let pair = pair().await;
    let own = order(&pair, 1).await;
    crossed(&pair, &own).await;
    let name = offered(&pair, &own).await;
    fact(&pair, "sv", &name, "identified", Event::default()).await.unwrap();

    let early = Event { acceptance_method: "wet-ink".into(), language: "spa".into(), ..Event::default() };
    let error = transition(&pair, "sv", &name, "contract", early.clone()).await.unwrap_err();
    assert_eq!((error.reason(), error.gate()), ("GATE", "contract_authored"));
    assert_eq!(error.detail().unwrap().fact, "contract_offered");

    for _ in 0..2 {
        let error = contract(&pair, &name, 1500).await.unwrap_err();
        assert_eq!((error.reason(), error.gate()), ("GATE", "terms_not_worse"));
        assert_eq!(error.violations()[0].field, "contract.terms.wage_rate");
    }
    let noted = notes(&pair.ca).await;
    assert_eq!((noted.len(), noted[0].count, &noted[0].subject), (1, 2, &own.name));

    let authored = contract(&pair, &name, 1720).await.unwrap();
    known(&pair, "sv", &name, "ca:contract_offered").await;
    let get = GetContractRequest { name: authored.name.clone() };
    let copy = pair.sv.get_contract(&caller("sv"), get).await.unwrap();
    assert_eq!((copy.name, copy.terms, copy.placement), (authored.name.clone(), authored.terms, name.clone()));
    // The worker accepted another text than the contract's.
    let other = Event { text_sha256: vec![3; 32], ..early.clone() };
    let error = transition(&pair, "sv", &name, "contract", other).await.unwrap_err();
    assert_eq!((error.gate(), error.violations()[0].field.as_str()), ("contract_authored", "event.text_sha256"));
    transition(&pair, "sv", &name, "contract", early).await.unwrap();
    agreed(&pair, &name, "CONTRACTED").await;

    fact(&pair, "sv", &name, "documented", Event::default()).await.unwrap();
    let modules = |all: &[&str]| Event { modules: all.iter().map(|m| (*m).to_owned()).collect(), ..Event::default() };
    assert!(fact(&pair, "sv", &name, "oriented", modules(&["rights"])).await.is_err());
    let pack = pair.sv.core().exchange(AGREEMENT).unwrap().pack();
    let all: Vec<&str> = pack.config().mandatory_modules.iter().map(String::as_str).collect();
    fact(&pair, "sv", &name, "oriented", modules(&all)).await.unwrap();
    let permit = Event {
        document_number: "W-1234".into(),
        document_expiry: Some(Date { year: 2025, month: 1, day: 1 }),
        ..Event::default()
    };
    fact(&pair, "ca", &name, "permitted", permit).await.unwrap();
    known(&pair, "sv", &name, "ca:permitted").await;
    transition(&pair, "sv", &name, "ready", Event::default()).await.unwrap();
    agreed(&pair, &name, "READY_TO_TRAVEL").await;
    fact(&pair, "sv", &name, "departed", Event::default()).await.unwrap();
    fact(&pair, "ca", &name, "admitted", Event::default()).await.unwrap();
    transition(&pair, "ca", &name, "employ", Event::default()).await.unwrap();
    agreed(&pair, &name, "EMPLOYED").await;

    visited(&pair, &name).await;

    let error = transition(&pair, "ca", &name, "close", Event::default()).await.unwrap_err();
    assert_eq!(error.reason(), "UNKNOWN_ACT");
    transition(&pair, "ca", &name, "end", because("COMPLETED")).await.unwrap();
    agreed(&pair, &name, "ENDED").await;
    let error = transition(&pair, "sv", &name, "close", Event::default()).await.unwrap_err();
    assert_eq!(error.gate(), "return_offer_shown");
    let shown = Placement { name: name.clone(), return_offer_shown: true, ..Placement::default() };
    let update = UpdatePlacementRequest { placement: Some(shown), ..UpdatePlacementRequest::default() };
    pair.sv.update_placement(&caller("sv"), update).await.unwrap();
    transition(&pair, "sv", &name, "close", Event::default()).await.unwrap();
    agreed(&pair, &name, "CLOSED").await;

    let request = ListPlacementEventsRequest { parent: name.clone(), ..ListPlacementEventsRequest::default() };
    let events = pair.sv.list_placement_events(&caller("sv"), request).await.unwrap().events;
    assert_eq!((events[0].act.as_str(), events.last().is_some()), ("preselect", true));
    assert!(events.iter().any(|event| event.act == "close" && event.party == "sv"));
}

/// What a consulate does with a placement that is employed.
async fn visited(pair: &Pair, name: &str) {
    let post = caller("sv");
    let areas = [AREA.to_owned()];
    let (items, cursor) = pair.sv.caseload_since(&post, 0, &areas, &[], 100).await.unwrap();
    let item = items.iter().find(|item| item.placement.as_ref().is_some_and(|p| p.name == name)).unwrap();
    assert_eq!((item.worker_name.as_str(), item.employer_name.as_str()), ("Ana Prueba", "Farm"));
    assert_eq!(item.languages, ["spa"]);
    // What the contract left to its order stands in it.
    let place = Some(Place { country_code: "CA".into(), subdivision_code: AREA.into(), locality: String::new() });
    let agreed = EmploymentTerms { employer_name: "Farm".into(), place, ..terms(1720) };
    assert_eq!(item.contract.as_ref().and_then(|c| c.terms.clone()), Some(agreed));
    assert_eq!(pair.sv.caseload_since(&post, cursor, &areas, &[], 100).await.unwrap(), (Vec::new(), cursor));
    assert!(pair.sv.caseload_since(&post, 0, &["CA-BC".to_owned()], &[], 100).await.unwrap().0.is_empty());

    let capture = |id: &str, kind| Capture {
        capture_id: id.into(),
        placement: name.into(),
        event: Some(Event::default()),
        kind: Some(kind),
    };
    let confirmed = capture(CAPTURE, capture::Kind::Confirmation(Confirmation {}));
    let elsewhere = ["CA-BC".to_owned()];
    let refused = pair.sv.take_capture(&post, &elsewhere, &[], &confirmed).await.unwrap();
    assert_eq!(refused.error_reason, "PERMISSION_DENIED");
    for _ in 0..2 {
        assert_eq!(pair.sv.take_capture(&post, &areas, &[], &confirmed).await.unwrap().error_reason, "");
    }
    let facts = read(pair, "sv", name).await.unwrap().facts;
    assert_eq!(facts.iter().filter(|f| *f == "sv:employment_confirmed").count(), 1);

    let worse = Contract { terms: Some(terms(1200)), ..Contract::default() };
    let observed = capture::Kind::ObservedContract(ObservedContract { contract: Some(worse) });
    let observed = capture("0190163d-8694-739b-aea5-966c26f8ad94", observed);
    assert_eq!(pair.sv.take_capture(&post, &areas, &[], &observed).await.unwrap().error_reason, "");
    for party in ["sv", "ca"] {
        let found = until("both see the substitution", || async {
            let found = read(pair, party, name).await?.discrepancies;
            (!found.is_empty()).then_some(found)
        })
        .await;
        assert_eq!(found[0].field_path, "contract.terms.wage_rate");
        assert_eq!((found[0].agreed.as_str(), found[0].observed.as_str()), ("17.20 CAD", "12.00 CAD"));
        assert!(found[0].agreed_at.starts_with("node.ca.example/") && found[0].agreed_at.contains('#'));
        assert!(found[0].observed_at.starts_with("node.sv.example/"));
    }
    paid(pair, name).await;
    let mut names = Vec::new();
    for registry in [&pair.sv, &pair.ca] {
        let request = ListContractsRequest { placement: name.into(), ..ListContractsRequest::default() };
        let listed = registry.list_contracts(&caller("x"), request).await.unwrap().contracts;
        let all: Vec<_> = listed.iter().map(|c| (c.name.clone(), c.origin())).collect();
        let origins: Vec<_> = all.iter().map(|(_, origin)| *origin).collect();
        assert_eq!(origins, [ContractOrigin::Authored, ContractOrigin::Observed, ContractOrigin::Paid]);
        names.push(all);
    }
    assert_eq!(names[0], names[1]);
}

/// A pay slip with a deduction that the contract does not know.
async fn paid(pair: &Pair, name: &str) {
    let weekly_deductions = Some(Money { minor_units: 4500, currency_code: "CAD".into() });
    let pay = Contract { terms: Some(EmploymentTerms { weekly_deductions, ..terms(1720) }), ..Contract::default() };
    let request = RecordPlacementFactRequest {
        name: name.into(),
        fact: "pay_observed".into(),
        event: Some(Event::default()),
        contract: Some(pay),
        ..RecordPlacementFactRequest::default()
    };
    pair.sv.record_placement_fact(&caller("sv"), request).await.unwrap();
    for party in ["sv", "ca"] {
        let found = until("both see the deduction", || async {
            let found = read(pair, party, name).await?.discrepancies;
            found.into_iter().find(|d| d.field_path == "contract.terms.weekly_deductions")
        })
        .await;
        assert_eq!((found.kind.as_str(), found.agreed.as_str()), ("contract_substitution", "–"));
        assert_eq!(found.observed, "45.00 CAD");
        assert!(found.agreed_at.starts_with("node.ca.example/") && found.observed_at.starts_with("node.sv.example/"));
    }
}

#[tokio::test]
async fn the_destination_refuses_an_offer_without_a_seat() {
    let pair = pair().await;
    let own = order(&pair, 1).await;
    crossed(&pair, &own).await;
    offered(&pair, &own).await;
    let name = placement(&pair, &own).await.name;
    transition(&pair, "sv", &name, "preselect", Event::default()).await.unwrap();
    transition(&pair, "sv", &name, "nominate", Event::default()).await.unwrap();
    agreed(&pair, &name, "NOMINATED").await;
    let error = transition(&pair, "ca", &name, "offer", Event::default()).await.unwrap_err();
    assert_eq!((error.reason(), error.gate()), ("GATE", "seat_free"));
    assert_eq!(notes(&pair.ca).await[0].subject, own.name);
    transition(&pair, "ca", &name, "expire", because("NO_SEAT")).await.unwrap();
    agreed(&pair, &name, "EXPIRED").await;
    let fewer = JobOrder { name: own.name.clone(), seats: 0, ..JobOrder::default() };
    let update = UpdateJobOrderRequest {
        job_order: Some(fewer),
        update_mask: Some(prost_types::FieldMask { paths: vec!["seats".into()] }),
        ..UpdateJobOrderRequest::default()
    };
    let error = pair.ca.update_job_order(&caller("ca"), update).await.unwrap_err();
    assert_eq!(error.violations()[0].field, "job_order.seats");
}

#[tokio::test]
async fn what_has_crossed_is_not_edited() {
    let pair = pair().await;
    let own = order(&pair, 1).await;
    crossed(&pair, &own).await;
    let first = placement(&pair, &own).await;
    assert_eq!((first.state.as_str(), first.sequence, first.stage.as_str()), ("REGISTERED", 0, "POOL"));
    let update = |etag: &str, kind: RecruiterKind| {
        let mut record = Placement { name: first.name.clone(), etag: etag.into(), ..Placement::default() };
        record.set_recruiter_kind(kind);
        UpdatePlacementRequest { placement: Some(record), ..UpdatePlacementRequest::default() }
    };
    let me = caller("sv");
    let second = pair.sv.update_placement(&me, update(&first.etag, RecruiterKind::EmployerDirect)).await.unwrap();
    assert_eq!(second.recruiter_kind(), RecruiterKind::EmployerDirect);
    let stale = pair.sv.update_placement(&me, update(&first.etag, RecruiterKind::EmployerDirect)).await;
    assert_eq!(stale.unwrap_err().reason(), "ETAG_MISMATCH");
    transition(&pair, "sv", &first.name, "preselect", Event::default()).await.unwrap();
    transition(&pair, "sv", &first.name, "nominate", Event::default()).await.unwrap();
    agreed(&pair, &first.name, "NOMINATED").await;
    let late = pair.sv.update_placement(&me, update("", RecruiterKind::PublicEmploymentService)).await.unwrap_err();
    assert_eq!((late.reason(), late.violations()[0].field.as_str()), ("LIFECYCLE", "placement.recruiter_kind"));
    let listed = ListPlacementsRequest { state: "NOMINATED".into(), ..ListPlacementsRequest::default() };
    let listed = pair.sv.list_placements(&me, listed).await.unwrap().placements;
    assert_eq!((listed.len(), listed[0].worker.is_empty()), (1, false));
    let seen = read(&pair, "ca", &first.name).await.unwrap();
    assert_eq!((seen.worker.as_str(), &seen.worker_ref), ("", &first.worker_ref));
}
