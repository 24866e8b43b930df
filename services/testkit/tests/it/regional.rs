//! A regional agreement: four states exchange pairwise under one pack, and nothing of a pair is anywhere at those who are
//! not in it.

use std::fs;
use std::path::Path;
use std::sync::Arc;

use convenio_agreement::Pack;
use convenio_agreement::lifecycle::Role;
use convenio_model::ManualClock;
use convenio_testkit::acts::reference;
use convenio_testkit::pair::START_MS;
use convenio_testkit::records::date;
use convenio_testkit::treaty::agreements_dir;
use convenio_testkit::{Caller, States};
use convenio_wire::registry::v1 as registry;
use convenio_wire::r#type::v1 as value;

/// A word that crosses in the title of the corridor's job order.
fn title(corridor: &Pack) -> String {
    format!("TITLE{}", corridor.id().replace('-', "").to_uppercase())
}

/// A family name that crosses once the worker is identified.
fn family(corridor: &Pack) -> String {
    format!("FAMILY{}", corridor.id().replace('-', "").to_uppercase())
}

fn id(corridor: &Pack, what: &str) -> String {
    reference(&format!("{what} {}", corridor.id())).to_string()
}

fn money(corridor: &Pack, minor_units: i64) -> Option<value::Money> {
    let currency_code = corridor.party(Role::Destination).currency.clone();
    Some(value::Money { minor_units, currency_code })
}

/// An open order of a fictitious farm at the corridor's destination.
async fn order(calls: &Caller, corridor: &Pack) -> String {
    let country = &corridor.party(Role::Destination).country;
    let place = Some(value::Place { country_code: country.clone(), ..Default::default() });
    let employer = registry::Employer {
        legal_name: "Finca Ficticia".into(),
        place: place.clone(),
        industry: Some(value::Code { list: "ISIC-4".into(), value: "0127".into() }),
        eligible: true,
        ..Default::default()
    };
    let request = registry::CreateEmployerRequest {
        employer: Some(employer),
        employer_id: id(corridor, "employer"),
        request_id: id(corridor, "request employer"),
    };
    let employer = calls.create_employer(request).await.unwrap().name;
    let terms = registry::EmploymentTerms {
        wage_basis: value::WageBasis::Day as i32,
        wage_rate: money(corridor, 1_500),
        weekly_hours_tenths: 480,
        start_date: date(2024, 11, 1),
        end_date: date(2024, 12, 31),
        housing: Some(registry::Housing { provided: true, weekly_cost: money(corridor, 0), persons_per_room: 4 }),
        employer_pays_travel: true,
        ..Default::default()
    };
    let order = registry::JobOrder {
        agreement: corridor.id().to_owned(),
        employer,
        title: title(corridor),
        occupation: Some(value::Code { list: "ISCO-08".into(), value: "9211".into() }),
        place,
        seats: 2,
        terms: Some(terms),
        languages: vec!["spa".into()],
        state: value::JobOrderState::Open.into(),
        ..Default::default()
    };
    let request = registry::CreateJobOrderRequest {
        job_order: Some(order),
        job_order_id: id(corridor, "order"),
        request_id: id(corridor, "request order"),
    };
    calls.create_job_order(request).await.unwrap().name
}

/// A worker of the corridor's origin with a placement in state REGISTERED.
async fn placement(calls: &Caller, corridor: &Pack, order: &str) -> String {
    let country = &corridor.party(Role::Origin).country;
    let consent = registry::Consent {
        agreement: corridor.id().to_owned(),
        given_time_ms: START_MS.cast_signed(),
        withdrawn_time_ms: 0,
    };
    let worker = registry::Worker {
        given_names: "María José".into(),
        family_names: family(corridor),
        birth_date: date(1990, 2, 3),
        sex: value::Sex::Female.into(),
        nationality: country.clone(),
        languages: vec!["spa".into()],
        document: Some(registry::TravelDocument {
            country_code: country.clone(),
            number: "SYN123".into(),
            expiry: date(2030, 1, 1),
            kind: value::DocumentKind::NationalId.into(),
        }),
        occupation: Some(value::Code { list: "ISCO-08".into(), value: "9211".into() }),
        experience_years: 3,
        consents: vec![consent],
        ..Default::default()
    };
    let request = registry::CreateWorkerRequest {
        worker: Some(worker),
        worker_id: id(corridor, "worker"),
        request_id: id(corridor, "request worker"),
    };
    let worker = calls.create_worker(request).await.unwrap().name;
    let placement = registry::Placement {
        agreement: corridor.id().to_owned(),
        worker,
        job_order: order.to_owned(),
        recruiter_kind: value::RecruiterKind::EmployerDirect.into(),
        entry_route: value::EntryRoute::EmployerDirect.into(),
        ..Default::default()
    };
    let request = registry::CreatePlacementRequest {
        placement: Some(placement),
        placement_id: id(corridor, "placement"),
        request_id: id(corridor, "request placement"),
    };
    calls.create_placement(request).await.unwrap().name
}

/// One worker in every corridor, as far as the name crosses.
async fn season(states: &States, corridors: &[Pack]) {
    let calls = |corridor: &Pack, role| states.calls(&corridor.party(role).id);
    let mut orders = Vec::new();
    for corridor in corridors {
        orders.push(order(calls(corridor, Role::Destination), corridor).await);
    }
    states.settle().await;
    let mut placements = Vec::new();
    for (corridor, order) in corridors.iter().zip(&orders) {
        placements.push(placement(calls(corridor, Role::Origin), corridor, order).await);
    }
    let event = || registry::Event { time_ms: START_MS.cast_signed(), ..Default::default() };
    for (role, act) in [
        (Role::Origin, "enlist"),
        (Role::Origin, "list"),
        (Role::Destination, "authorise"),
        (Role::Origin, "identified"),
    ] {
        for (corridor, placement) in corridors.iter().zip(&placements) {
            let (calls, request) = (calls(corridor, role), id(corridor, act));
            let done = match act {
                "identified" => calls.fact(placement, act, event(), &request).await,
                _ => calls.transition(placement, act, event(), &request).await,
            };
            done.unwrap_or_else(|status| panic!("{} {act}: {status:?}", corridor.id()));
        }
        states.settle().await;
    }
}

/// Every file of a state, with its path.
fn files(dir: &Path) -> Vec<(String, Vec<u8>)> {
    let mut found = Vec::new();
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(files(&path));
        } else {
            found.push((path.display().to_string(), fs::read(&path).unwrap()));
        }
    }
    found
}

/// Everything that a state has: its files as they are, and the parts of all its logs, opened.
async fn holdings(states: &States, party: &str) -> Vec<(String, Vec<u8>)> {
    let mut all = files(&states.path(party));
    let books = states.books(party);
    for exchange in books.core.exchanges() {
        let ledger = books.ledger(exchange).await;
        for entry in ledger.own.iter().chain(&ledger.peer) {
            for part in entry.parts.iter().flatten() {
                all.push((format!("a part of {}", entry.statement.log_origin), part.part.clone()));
            }
        }
    }
    all
}

fn holding<'a>(all: &'a [(String, Vec<u8>)], text: &str) -> Vec<&'a str> {
    let found = all.iter().filter(|(_, bytes)| bytes.windows(text.len()).any(|w| w == text.as_bytes()));
    found.map(|(name, _)| name.as_str()).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn four_states_exchange_pairwise_and_nobody_holds_anything_of_another_pair() {
    let pack = Pack::load(&agreements_dir(), "ca4").unwrap();
    let corridors = pack.corridors();
    assert_eq!(corridors.len(), 12);
    let states = States::start(71, ManualClock::new(START_MS), vec![Arc::new(pack.clone())]).await;
    for state in ["sv", "gt", "hn", "ni"] {
        let books = states.books(state);
        let open: Vec<_> = books.core.exchanges().iter().map(|exchange| exchange.pack().id().to_owned()).collect();
        assert_eq!(open.len(), 6, "{state}: {open:?}");
        assert!(books.core.exchanges().iter().all(|exchange| exchange.pack().digest() == pack.digest()));
    }
    season(&states, &corridors).await;
    states.check().await;

    for party in pack.parties() {
        let all = holdings(&states, &party.id).await;
        for corridor in &corridors {
            let inside = corridor.role_of(&party.id).is_some();
            for word in [corridor.id().to_owned(), title(corridor), family(corridor)] {
                let found = holding(&all, &word);
                assert_eq!(!found.is_empty(), inside, "{} and {word}: {found:?}", party.id);
            }
            assert_eq!(states.books(&party.id).core.exchange(corridor.id()).is_some(), inside);
        }
    }

    for corridor in ["ca4-sv-gt", "ca4-ni-hn"] {
        let report = states.report(corridor).await;
        let problems: Vec<_> = report.bundles.iter().flat_map(|bundle| &bundle.problems).collect();
        assert!(report.integrity, "{corridor}: {problems:?} {:?}", report.comparison);
    }
    states.stop().await;
}
