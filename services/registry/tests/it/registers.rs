use convenio_registry::{Category, RegistryError};
use convenio_wire::registry::v1::*;
use convenio_wire::r#type::v1::{Date, LicenceState, Place};
use prost_types::FieldMask;

use crate::pair::{AGREEMENT, caller, pair, until};

const REQUEST: &str = "0190163d-8694-739b-aea5-966c26f8ad91";
const OTHER: &str = "0190163d-8694-739b-aea5-966c26f8ad92";

fn worker(value: &str) -> Worker {
    Worker {
        given_names: "Ana".into(),
        family_names: "Prueba".into(),
        birth_date: Some(Date { year: 1990, month: 2, day: 3 }),
        nationality: "SV".into(),
        external_ids: vec![ExternalId { system: "mtps".into(), value: value.into() }],
        ..Worker::default()
    }
}

fn fields(error: &RegistryError) -> Vec<&str> {
    error.violations().iter().map(|v| v.field.as_str()).collect()
}

#[tokio::test]
async fn a_request_repeated_is_answered_once() {
    let (pair, me) = (pair().await, caller("sv"));
    let request = |value: &str, id: &str| CreateWorkerRequest {
        worker: Some(worker(value)),
        request_id: id.into(),
        ..CreateWorkerRequest::default()
    };
    let first = pair.sv.create_worker(&me, request("1", REQUEST)).await.unwrap();
    let again = pair.sv.create_worker(&me, request("1", REQUEST)).await.unwrap();
    assert_eq!(first, again);
    let error = pair.sv.create_worker(&me, request("2", REQUEST)).await.unwrap_err();
    assert_eq!(error.reason(), "REQUEST_ID_REUSED");
    let error = pair.sv.create_worker(&me, request("1", OTHER)).await.unwrap_err();
    assert_eq!((error.category(), fields(&error)), (Category::AlreadyExists, vec!["worker.external_ids[0]"]));
    let listed = pair.sv.list_workers(&me, ListWorkersRequest::default()).await.unwrap();
    assert_eq!(listed.workers, [first]);
}

#[tokio::test]
async fn a_change_needs_the_present_etag_and_names_its_fields() {
    let (pair, me) = (pair().await, caller("sv"));
    let request = CreateWorkerRequest { worker: Some(worker("1")), ..CreateWorkerRequest::default() };
    let first = pair.sv.create_worker(&me, request).await.unwrap();
    let mask = |path: &str| Some(FieldMask { paths: vec![path.into()] });
    let update = |etag: &str, path: &str| UpdateWorkerRequest {
        worker: Some(Worker {
            name: first.name.clone(),
            etag: etag.into(),
            national_id: "x".into(),
            ..Worker::default()
        }),
        update_mask: mask(path),
        ..UpdateWorkerRequest::default()
    };
    let second = pair.sv.update_worker(&me, update("1", "national_id")).await.unwrap();
    assert_eq!((second.etag.as_str(), second.national_id.as_str()), ("2", "x"));
    assert_eq!(second.given_names, first.given_names);
    let error = pair.sv.update_worker(&me, update("1", "national_id")).await.unwrap_err();
    assert_eq!(error.reason(), "ETAG_MISMATCH");
    let error = pair.sv.update_worker(&me, update("", "given_names")).await.unwrap_err();
    assert_eq!(fields(&error), ["worker.given_names"]);
    // The same again changes nothing.
    assert_eq!(pair.sv.update_worker(&me, update("2", "national_id")).await.unwrap().etag, "2");
    let nobody = convenio_registry::Caller { purpose: None, ..me };
    let get = GetWorkerRequest { name: first.name };
    assert_eq!(pair.sv.get_worker(&nobody, get).await.unwrap_err().reason(), "PURPOSE_REQUIRED");
}

#[tokio::test]
async fn an_external_id_finds_moves_and_creates() {
    let (pair, me) = (pair().await, caller("ca"));
    let employer = |value: &str| Employer {
        legal_name: "Farm".into(),
        eligible: true,
        external_ids: vec![ExternalId { system: "esdc".into(), value: value.into() }],
        ..Employer::default()
    };
    let upsert = |record: Employer| UpdateEmployerRequest {
        employer: Some(record),
        allow_missing: true,
        ..UpdateEmployerRequest::default()
    };
    let first = pair.ca.update_employer(&me, upsert(employer("1"))).await.unwrap();
    let same = pair.ca.update_employer(&me, upsert(employer("1"))).await.unwrap();
    assert_eq!(first, same);
    let renamed = Employer { name: first.name.clone(), ..employer("2") };
    pair.ca.update_employer(&me, upsert(renamed)).await.unwrap();
    let lookup = |value: &str| LookupEmployerRequest {
        external_id: Some(ExternalId { system: "esdc".into(), value: value.into() }),
    };
    assert_eq!(pair.ca.lookup_employer(&me, lookup("2")).await.unwrap().name, first.name);
    assert_eq!(pair.ca.lookup_employer(&me, lookup("1")).await.unwrap_err().category(), Category::NotFound);
}

#[tokio::test]
async fn pages_lead_on_to_the_end() {
    let (pair, me) = (pair().await, caller("sv"));
    let mut names = Vec::new();
    for value in ["1", "2", "3"] {
        let request = CreateWorkerRequest { worker: Some(worker(value)), ..CreateWorkerRequest::default() };
        names.push(pair.sv.create_worker(&me, request).await.unwrap().name);
    }
    names.sort();
    let (mut found, mut token) = (Vec::new(), String::new());
    loop {
        let request = ListWorkersRequest { page_size: 2, page_token: token };
        let page = pair.sv.list_workers(&me, request).await.unwrap();
        found.extend(page.workers.into_iter().map(|w| w.name));
        token = page.next_page_token;
        if token.is_empty() {
            break;
        }
    }
    assert_eq!(found, names);
}

#[tokio::test]
async fn each_state_owns_its_licences_and_sees_the_partners() {
    let pair = pair().await;
    let licence = |jurisdiction: &str| Licence {
        jurisdiction: jurisdiction.into(),
        number: "7".into(),
        state: LicenceState::Active.into(),
        ..Licence::default()
    };
    let agency = |jurisdiction: &str| Agency {
        legal_name: "Agencia".into(),
        agreements: vec![AGREEMENT.into()],
        licences: vec![licence(jurisdiction)],
        ..Agency::default()
    };
    let create = |record: Agency| CreateAgencyRequest {
        agency: Some(record),
        agency_id: REQUEST.into(),
        ..CreateAgencyRequest::default()
    };
    let (sv, ca) = (caller("sv"), caller("ca"));
    let error = pair.sv.create_agency(&sv, create(agency("CA-ON"))).await.unwrap_err();
    assert_eq!(fields(&error), ["agency.licences[0].jurisdiction"]);
    let own = pair.sv.create_agency(&sv, create(agency("SV"))).await.unwrap();
    let get = || GetAgencyRequest { name: own.name.clone() };
    let seen = until("the licence crosses", || async { pair.ca.get_agency(&ca, get()).await.ok() }).await;
    assert_eq!((seen.etag.as_str(), seen.licences.len(), seen.licences[0].partner), ("0", 1, true));
    pair.ca.create_agency(&ca, create(agency("CA-ON"))).await.unwrap();
    let suspend =
        SuspendAgencyRequest { name: own.name.clone(), reason_code: "FEES".into(), ..SuspendAgencyRequest::default() };
    let suspended = pair.ca.suspend_agency(&ca, suspend).await.unwrap();
    assert_eq!(suspended.licences[0].state(), LicenceState::Suspended);
    assert!(suspended.licences[1].partner);
    let partner = |agency: Agency| agency.licences.into_iter().find(|l| l.partner);
    until("the suspension crosses", || async {
        let licence = partner(pair.sv.get_agency(&sv, get()).await.unwrap())?;
        (licence.state() == LicenceState::Suspended).then_some(())
    })
    .await;
    let listed = pair.sv.list_agencies(&sv, ListAgenciesRequest::default()).await.unwrap();
    assert_eq!(listed.agencies.len(), 1);
}

#[tokio::test]
async fn a_place_is_bounded_by_the_contract() {
    let (pair, me) = (pair().await, caller("ca"));
    let place = Place { country_code: "canada".into(), ..Place::default() };
    let record = Employer { legal_name: "Farm".into(), place: Some(place), ..Employer::default() };
    let request = CreateEmployerRequest { employer: Some(record), ..CreateEmployerRequest::default() };
    let error = pair.ca.create_employer(&me, request).await.unwrap_err();
    assert_eq!(fields(&error), ["employer.place.country_code"]);
}
