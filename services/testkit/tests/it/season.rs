//! What an honest season looks like.

use std::panic::AssertUnwindSafe;

use convenio_agreement::view::PlacementView;
use convenio_store::{StoreError, ViewKind};
use convenio_testkit::treaty::{SECOND, SV_CA, second, sv_ca};
use convenio_testkit::{Case, Pair, Side};
use convenio_wire::r#type::v1::LicenceState;
use futures::FutureExt;
use prost::Message;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_placement_goes_from_nomination_to_closure() {
    let pair = Pair::new(1).await;
    pair.destination.order(SV_CA, "order", 2, true).await.unwrap();
    pair.settle().await;
    let case = Case::new("p1", "order");
    pair.bring(&case, "CLOSED").await;
    let recall = pair.destination.act(&case, "recall").await.unwrap();
    pair.settle().await;
    assert_eq!(pair.origin.placement(&case).await.state, "RECALLED");
    assert_eq!(pair.origin.placement(&case).await.number, recall.number);
    pair.check().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_agency_needs_both_licences_and_a_suspension_binds_both_states() {
    let pair = Pair::new(2).await;
    pair.destination.order(SV_CA, "order", 9, true).await.unwrap();
    pair.origin.licence("agency", LicenceState::Active).await.unwrap();
    pair.settle().await;
    let case = |label: &str| Case::new(label, "order").through("agency");
    assert_eq!(pair.origin.refused(&case("p0"), "nominate").await.gate(), "agency_two_licences");
    pair.destination.licence("agency", LicenceState::Active).await.unwrap();
    pair.settle().await;
    pair.bring(&case("p1"), "OFFERED").await;

    // Suspended while the line is cut: the origin cannot know, the nomination comes back and nothing has moved.
    pair.link.cut();
    pair.destination.licence("agency", LicenceState::Suspended).await.unwrap();
    pair.origin.act(&case("p2"), "nominate").await.unwrap();
    pair.link.heal();
    pair.settle().await;
    let view = pair.origin.placement(&case("p2")).await;
    assert_eq!((view.state.as_str(), view.number), ("PRESELECTED", 0));
    let rejected = view.rejected.unwrap();
    assert_eq!((rejected.act.as_str(), rejected.gate.as_str()), ("nominate", "agency_two_licences"));
    assert_eq!(pair.origin.refused(&case("p3"), "nominate").await.gate(), "agency_two_licences");
    pair.check().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_worker_under_two_agreements_has_two_placements_and_two_references() {
    let pair = Pair::under(3, vec![sv_ca(), second()]).await;
    let mut other = Case::new("p1", "order");
    other.agreement = SECOND.to_owned();
    let case = Case::new("p1", "order");
    for agreement in [SV_CA, SECOND] {
        pair.destination.order(agreement, "order", 1, true).await.unwrap();
    }
    pair.settle().await;
    // Even the same placement and order references mean nothing across agreements.
    pair.bring(&case, "EMPLOYED").await;
    assert_eq!(pair.destination.placement(&other).await.state, "");
    pair.bring(&other, "OFFERED").await;
    let (one, two) = (pair.destination.placement(&case).await, pair.destination.placement(&other).await);
    assert_eq!((one.state.as_str(), two.state.as_str()), ("EMPLOYED", "OFFERED"));
    assert_ne!(one.worker_ref, two.worker_ref);
    pair.check().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_idle_pair_appends_nothing_for_a_day() {
    let pair = Pair::under(4, vec![sv_ca(), second()]).await;
    pair.destination.order(SV_CA, "order", 1, true).await.unwrap();
    pair.bring_one("p1", "order", "CONTRACTED").await;
    pair.idle_day().await;
    // The day did no harm.
    pair.bring_one("p1", "order", "CLOSED").await;
    pair.check().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_worse_contract_seen_by_a_consulate_is_a_discrepancy_that_both_derive() {
    let pair = Pair::new(5).await;
    pair.destination.order(SV_CA, "order", 1, true).await.unwrap();
    let mut case = pair.bring_one("p1", "order", "EMPLOYED").await;
    case.terms.wage_rate.as_mut().unwrap().minor_units = 1500;
    assert_eq!(
        pair.destination.refused(&case, "contract_offered").await.detail().field_paths,
        ["contract.terms.wage_rate"]
    );
    let observed = pair.origin.act(&case, "contract_observed").await.unwrap();
    pair.settle().await;
    for side in [&pair.origin, &pair.destination] {
        let found = side.exchange(SV_CA).engine().discrepancies(&side.placement(&case).await);
        let [found] = found.as_slice() else { panic!("{found:?}") };
        assert_eq!((found.kind, found.field_path.as_str()), ("contract_substitution", "contract.terms.wage_rate"));
        assert_eq!((found.agreed.as_str(), found.observed.as_str()), ("17.20 CAD", "15.00 CAD"));
        assert_eq!(found.observed_record, observed.record_id);
    }
    pair.check().await;
}

type Change = fn(&mut PlacementView);

/// Changes what a node believes behind its logs' back.
async fn rewrite(side: &Side, case: &Case, change: Change) {
    let key = (case.agreement.clone(), ViewKind::Placement, case.id);
    side.core
        .write::<_, StoreError, _>(move |work| {
            async move {
                let mut row = work.view(&key).await?.unwrap();
                let mut view = PlacementView::decode(row.body.as_slice()).unwrap();
                change(&mut view);
                row.body = view.encode_to_vec();
                work.put_view(row);
                Ok(())
            }
            .boxed()
        })
        .await
        .unwrap();
}

/// Positive control: a belief that the logs do not bear out is found, on either side.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_invariants_find_a_belief_that_the_logs_do_not_bear_out() {
    let pair = Pair::new(6).await;
    pair.destination.order(SV_CA, "order", 1, true).await.unwrap();
    let case = pair.bring_one("p1", "order", "OFFERED").await;
    pair.check().await;
    let changes: [(Change, Change); 3] = [
        (|v| v.state = "NOMINATED".into(), |v| v.state = "OFFERED".into()),
        (|v| v.number += 1, |v| v.number -= 1),
        (|v| v.recruiter = 3, |v| v.recruiter = 1),
    ];
    for side in [&pair.origin, &pair.destination] {
        for (change, undo) in changes {
            rewrite(side, &case, change).await;
            assert!(AssertUnwindSafe(pair.check()).catch_unwind().await.is_err(), "a false belief was not found");
            rewrite(side, &case, undo).await;
            pair.check().await;
        }
    }
}
