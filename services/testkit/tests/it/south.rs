//! South to South on real nodes: crew lists at the partner, who may register a placement, and which order an act names.

use std::sync::Arc;

use convenio_agreement::Pack;
use convenio_model::ManualClock;
use convenio_testkit::States;
use convenio_testkit::calls::Caller;
use convenio_testkit::treaty::agreements_dir;
use convenio_wire::registry::v1 as registry;
use convenio_wire::r#type::v1 as value;
use tonic::{Code, Status};
use tonic_types::StatusExt;

const SEED: u64 = 506;
/// 1 June 2026, 12:00 UTC.
const NOW_MS: u64 = 1_780_315_200_000;

async fn states(agreement: &str) -> States {
    let pack = Arc::new(Pack::load(&agreements_dir(), agreement).unwrap());
    States::start(SEED, ManualClock::new(NOW_MS), vec![pack]).await
}

fn worker(nationality: &str) -> registry::CreateWorkerRequest {
    let worker = registry::Worker {
        given_names: "Ana".into(),
        family_names: "Prueba".into(),
        birth_date: Some(value::Date { year: 1990, month: 2, day: 3 }),
        nationality: nationality.into(),
        provisional_identity: None,
        ..registry::Worker::default()
    };
    registry::CreateWorkerRequest { worker: Some(worker), ..Default::default() }
}

/// Registers a worker, and a placement of it.
async fn place(calls: &Caller, agreement: &str) -> Result<registry::Placement, Status> {
    let worker = calls.create_worker(worker("NI")).await?.name;
    let placement = registry::Placement {
        agreement: agreement.into(),
        worker,
        recruiter_kind: value::RecruiterKind::SelfFound.into(),
        entry_route: value::EntryRoute::InformalLate.into(),
        accompanying_minors: 1,
        ..registry::Placement::default()
    };
    calls.create_placement(registry::CreatePlacementRequest { placement: Some(placement), ..Default::default() }).await
}

fn crew(size: i32, placed: i32) -> registry::CreateCrewRequest {
    let crew = registry::Crew {
        agreement: "ni-cr".into(),
        leader: "Cuadrilla Ficticia".into(),
        leader_kind: value::CrewLeaderKind::Contractor.into(),
        size,
        placed,
        season: "2026-27".into(),
        note: "CANARY-NOTE".into(),
        ..registry::Crew::default()
    };
    registry::CreateCrewRequest { crew: Some(crew), ..Default::default() }
}

fn fields(status: &Status) -> Vec<String> {
    let details = status.get_details_bad_request();
    details.iter().flat_map(|bad| &bad.field_violations).map(|violation| violation.field.clone()).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_crew_list_is_told_to_the_partner_without_its_note() {
    let states = states("ni-cr").await;
    let (ni, cr) = (states.calls("ni"), states.calls("cr"));
    let made = ni.create_crew(crew(40, 12)).await.unwrap();
    states.settle().await;
    let seen = cr.get_crew(registry::GetCrewRequest { name: made.name.clone() }).await.unwrap();
    assert_eq!((seen.size, seen.placed, seen.season.as_str()), (40, 12, "2026-27"));
    assert_eq!((seen.leader.as_str(), seen.note.as_str()), ("Cuadrilla Ficticia", ""));
    assert_eq!(ni.get_crew(registry::GetCrewRequest { name: made.name }).await.unwrap().note, "CANARY-NOTE");
    let wrong = ni.create_crew(crew(3, 4)).await.unwrap_err();
    assert_eq!(fields(&wrong), ["crew.placed"]);
    states.check().await;
    states.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_destination_registers_whom_it_found_and_moves_nobody_by_an_act_that_names_no_order() {
    let states = states("ni-cr").await;
    let cr = states.calls("cr");
    let placement = place(cr, "ni-cr").await.unwrap();
    assert_eq!((placement.state.as_str(), placement.accompanying_minors), ("ENLISTED", 1));
    let act = |transition: &str, job_order: &str| registry::TransitionPlacementRequest {
        name: placement.name.clone(),
        transition: transition.into(),
        event: Some(registry::Event { job_order: job_order.into(), ..Default::default() }),
        ..Default::default()
    };
    cr.transition_placement(act("found", "")).await.unwrap();
    states.settle().await;
    let shown = |calls: &'_ Caller| {
        let (calls, name) = (calls.clone(), placement.name.clone());
        async move { calls.get_placement(registry::GetPlacementRequest { name }).await.unwrap() }
    };
    let (here, there) = (shown(cr).await, shown(states.calls("ni")).await);
    assert_eq!((here.state.as_str(), there.state.as_str()), ("FOUND", "FOUND"));
    assert!(!there.worker_ref.is_empty() && here.worker_ref == there.worker_ref && there.worker.is_empty());
    assert_eq!((there.entry_route(), there.accompanying_minors), (value::EntryRoute::InformalLate, 1));
    let order = "jobOrders/01890a5d-ac96-774b-bcce-b302099a8057";
    let ends = registry::Event { job_order: order.into(), reason_code: "WORKER".into(), ..Default::default() };
    let ends = registry::TransitionPlacementRequest { event: Some(ends), ..act("end", "") };
    assert_eq!(fields(&cr.transition_placement(ends).await.unwrap_err()), ["event.job_order"]);
    // One that names an order is asked for that order, which this state does not know.
    let refused = cr.transition_placement(act("regularise", order)).await.unwrap_err();
    assert_eq!(refused.code(), Code::FailedPrecondition, "{refused:?}");
    states.check().await;
    states.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_a_first_act_a_destination_registers_no_placement() {
    let states = states("sv-ca").await;
    let refused = place(states.calls("ca"), "sv-ca").await.unwrap_err();
    assert_eq!(refused.code(), Code::PermissionDenied, "{refused:?}");
    assert!(place(states.calls("sv"), "sv-ca").await.is_ok());
    states.stop().await;
}
