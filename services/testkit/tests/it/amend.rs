//! Amendments, suspension and termination between two states: each record is judged by the version under which it was issued
//! and by the orders that its issuer knew, whatever crosses meanwhile.

use std::time::Duration;

use convenio_exchange::session::SessionEnd;
use convenio_exchange::{IssueError, OrderError};
use convenio_seal::dsse::Envelope;
use convenio_seal::order::order_from;
use convenio_seal::root::ratify_from;
use convenio_testkit::acts::reference;
use convenio_testkit::dishonest::{Dishonest, Draft};
use convenio_testkit::erasure::MONTH_MS;
use convenio_testkit::loss::Backup;
use convenio_testkit::pair::START_MS;
use convenio_testkit::treaty::{self, SV_CA, Treaty};
use convenio_testkit::versions::{amending, valid};
use convenio_testkit::{Case, Pair, Side};
use convenio_wire::exchange::v1::{ActKind, Activate, statement::Body};

/// Without it no public employment service recruits.
const NO_SERVICE: (&str, &str) = ("\"public-employment-service\", ", "");

/// A pair with an open order, whose treaty has a second version that nobody has activated.
async fn with_amendment(seed: u64) -> (Pair, std::sync::Arc<convenio_agreement::Pack>) {
    let mut pair = Pair::new(seed).await;
    pair.destination.order(SV_CA, "order", 9, true).await.unwrap();
    let v2 = amending(&treaty::sv_ca(), &[NO_SERVICE]);
    pair.treaty.amendments.push(v2.clone());
    (pair, v2)
}

async fn amend(side: &Side, treaty: &Treaty) -> usize {
    side.core.amend(&treaty.amendments, &treaty.ratifications()).await.unwrap()
}

/// Digests under which a side's RECORDs about a case stand, in order.
async fn digests(side: &Side, case: &Case) -> Vec<Vec<u8>> {
    let own = side.books().ledger(side.exchange(SV_CA)).await.own;
    let of_case = own.iter().filter(|e| e.is_record() && e.subject == Some(case.id));
    of_case.map(|e| e.statement.agreement_digest.clone()).collect()
}

async fn halted(side: &Side, case: &Case, act: &str) -> &'static str {
    match side.act(case, act).await {
        Err(IssueError::Halted(reason)) => reason,
        other => panic!("{act} went on: {other:?}"),
    }
}

/// One record in flight each way while the states change over at different moments; then a restart, and the way to the end.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_in_the_air_is_judged_by_the_version_under_which_it_was_issued() {
    let (pair, v2) = with_amendment(71).await;
    let (v1, v2) = (treaty::sv_ca().digest().to_vec(), v2.digest().to_vec());
    let first = pair.bring_one("p1", "order", "NOMINATED").await;
    pair.link.cut();
    let second = Case::new("p2", "order");
    pair.origin.act(&second, "nominate").await.unwrap();
    pair.destination.act(&first, "offer").await.unwrap();
    assert_eq!(amend(&pair.destination, &pair.treaty).await, 1);
    assert_eq!(amend(&pair.destination, &pair.treaty).await, 0);
    // Still under the first: its state has not changed over, and does not know that the other has.
    let third = Case::new("p3", "order");
    pair.origin.act(&third, "nominate").await.unwrap();
    assert_eq!(amend(&pair.origin, &pair.treaty).await, 1);
    let fourth = Case::new("p4", "order");
    assert_eq!(pair.origin.refused(&fourth, "nominate").await.gate(), "recruiter_allowed");
    pair.link.heal();
    pair.check().await;
    for (case, state) in [(&first, "OFFERED"), (&second, "NOMINATED"), (&third, "NOMINATED")] {
        assert_eq!(pair.origin.placement(case).await.state, state);
        assert_eq!(pair.destination.placement(case).await.state, state);
    }
    assert_eq!(digests(&pair.destination, &first).await, vec![v1.clone()]);
    assert_eq!(digests(&pair.origin, &second).await, vec![v1.clone()]);
    let sizes = pair.sizes();
    let pair = pair.restarted(171, |_, _| {}).await;
    pair.settle().await;
    let grown = pair.sizes().iter().zip(&sizes).all(|(now, before)| now - before <= 1);
    assert!(grown, "a restart activates nothing again");
    pair.bring(&first, "CLOSED").await;
    pair.check().await;
    let told = digests(&pair.origin, &first).await;
    assert!(told.first() == Some(&v1) && told.last() == Some(&v2), "each under its own version");
}

/// A lost disk comes back with both versions; what is judged again by nobody stays as it was decided.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lost_disk_comes_back_after_an_amendment() {
    for origin in [true, false] {
        let (mut pair, v2) = with_amendment(72).await;
        let case = pair.bring_one("p1", "order", "NOMINATED").await;
        assert_eq!(amend(&pair.origin, &pair.treaty).await, 1);
        assert_eq!(amend(&pair.destination, &pair.treaty).await, 1);
        pair.bring(&case, "CONTRACTED").await;
        pair.settle().await;
        let recovered = pair.recover(origin, Some(Backup::empty())).await;
        assert_eq!(recovered.opened.reissued, 0);
        pair.check().await;
        for side in [&pair.origin, &pair.destination] {
            assert_eq!(side.exchange(SV_CA).pack().digest(), v2.digest());
        }
        pair.bring(&case, "CLOSED").await;
        pair.check().await;
        drop(recovered.zombie);
    }
}

fn entry(by: &Dishonest, label: &str, body: Body) -> Draft {
    Draft { statement: by.statement(reference(label).0.to_vec(), body), parts: Vec::new() }
}

fn ratify(file: &[u8]) -> Body {
    Body::Ratify(ratify_from(&Envelope::parse(file).unwrap()).unwrap())
}

fn nomination(by: &Dishonest, label: &str, digest: &[u8]) -> Draft {
    let case = Case::new(label, "order");
    let mut draft = by.draft(&case, "nominate", ActKind::Transition, 1, "PRESELECTED", "NOMINATED");
    draft.statement.agreement_digest = digest.to_vec();
    (0..draft.parts.len()).fold(draft, |draft, at| draft.with_part(at, |part| part.agreement_digest = digest.to_vec()))
}

/// ACTIVATE without both ratifications is void, and none leads back.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_version_comes_into_force_with_both_ratifications_and_never_goes_back() {
    let (pair, v2) = with_amendment(73).await;
    let (v1, v2) = (treaty::sv_ca().digest(), v2.digest());
    let mut by = Dishonest::take_over(&pair, true, SV_CA).await;
    // The destination holds the version: it has changed over itself.
    assert_eq!(amend(&pair.destination, &pair.treaty).await, 1);
    let files = pair.treaty.ratifications();
    let of_v2: Vec<&Vec<u8>> = files[2..].iter().collect();
    by.append(entry(&by, "own only", ratify(of_v2[0])));
    by.append(entry(&by, "void", Body::Activate(Activate { digest: v2.to_vec() })));
    let early = by.append(nomination(&by, "p1", &v2));
    let still = by.append(nomination(&by, "p2", &v1));
    by.deliver().await;
    assert_eq!(by.verdict(early).await, Err("NOT_IN_FORCE".to_owned()));
    assert_eq!(by.verdict(still).await, Ok(()));
    by.append(entry(&by, "the other", ratify(of_v2[1])));
    by.append(entry(&by, "good", Body::Activate(Activate { digest: v2.to_vec() })));
    by.append(entry(&by, "back", Body::Activate(Activate { digest: v1.to_vec() })));
    let back = by.append(nomination(&by, "p3", &v1));
    let forward = by.append(nomination(&by, "p4", &v2));
    by.deliver().await;
    assert_eq!(by.verdict(back).await, Err("NOT_IN_FORCE".to_owned()));
    // In force, and refused on its merits: the version allows no such recruiter.
    assert_eq!(by.verdict(forward).await, Err("GATE".to_owned()));
}

/// What both roots have ratified and nobody placed here is not mirrored: nothing of it could be screened.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_version_that_was_not_placed_stops_the_mirror_until_it_is() {
    let (pair, v2) = with_amendment(74).await;
    let mut by = Dishonest::take_over(&pair, true, SV_CA).await;
    let files = pair.treaty.ratifications();
    for (label, file) in [("own", &files[2]), ("theirs", &files[3])] {
        by.append(entry(&by, label, ratify(file)));
    }
    by.append(entry(&by, "activate", Body::Activate(Activate { digest: v2.digest().to_vec() })));
    let before = by.mirrored().await;
    let refused = by.send(by.batch(before)).await.unwrap_err();
    assert!(matches!(refused, SessionEnd::Refused { reason: "UNKNOWN_VERSION", .. }), "{refused:?}");
    assert_eq!(by.mirrored().await, before);
    assert_eq!(amend(&pair.destination, &pair.treaty).await, 1);
    by.deliver().await;
}

/// A suspension crosses a nomination: it has its effect here at once, at the other side once it is known there.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_suspension_holds_by_what_was_known() {
    let mut pair = Pair::new(75).await;
    pair.destination.order(SV_CA, "order", 9, true).await.unwrap();
    let first = pair.bring_one("p1", "order", "EMPLOYED").await;
    let (air, later) = (Case::new("p2", "order"), Case::new("p3", "order"));
    let (suspend, resume) = (pair.treaty.destination.suspends(1), pair.treaty.destination.resumes(2, 1));
    pair.link.cut();
    pair.origin.act(&air, "nominate").await.unwrap();
    assert!(pair.destination.core.order(&suspend).await.unwrap());
    assert!(!pair.destination.core.order(&suspend).await.unwrap(), "it stands already");
    let other = pair.treaty.destination.terminates(1, START_MS);
    assert!(matches!(pair.destination.core.order(&other).await, Err(OrderError::Number { last: 1, .. })));
    assert!(matches!(pair.origin.core.order(&suspend).await, Err(OrderError::Root(_))), "another party's");
    pair.link.heal();
    pair.check().await;
    assert_eq!(pair.destination.placement(&air).await.state, "NOMINATED", "what is in the air is not punished");
    assert_eq!(halted(&pair.destination, &air, "offer").await, "SUSPENDED");
    assert_eq!(halted(&pair.origin, &later, "nominate").await, "SUSPENDED");
    // Facts and what the agreement names go on.
    pair.origin.act(&air, "withdrawn").await.unwrap();
    pair.destination.act(&first, "end").await.unwrap();
    pair.check().await;
    let echoes = pair.origin.books().ledger(pair.origin.exchange(SV_CA)).await.own;
    assert_eq!(echoes.iter().filter(|e| matches!(e.statement.body, Some(Body::Suspend(_)))).count(), 1);
    pair.treaty.orders[1] = vec![suspend.clone(), resume.clone()];
    let pair = pair.restarted(175, |_, _| {}).await;
    pair.check().await;
    pair.origin.act(&later, "nominate").await.unwrap();
    pair.check().await;
    assert_eq!(pair.destination.placement(&later).await.state, "NOMINATED");
    // The same order again, by who holds its node's keys, suspends nothing.
    let mut by = Dishonest::take_over(&pair, false, SV_CA).await;
    let (again, _) = order_from(&Envelope::parse(&suspend).unwrap()).unwrap();
    by.append(entry(&by, "again", again));
    by.deliver().await;
    pair.origin.act(&Case::new("p4", "order"), "nominate").await.unwrap();
}

/// After a suspension that its issuer knew, an act is refused by its recipient, too.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_act_whose_issuer_knew_of_the_suspension_is_rejected() {
    let pair = Pair::new(76).await;
    pair.destination.order(SV_CA, "order", 9, true).await.unwrap();
    assert!(pair.destination.core.order(&pair.treaty.destination.suspends(1)).await.unwrap());
    let mut by = Dishonest::take_over(&pair, true, SV_CA).await;
    let digest = by.exchange.pack().digest();
    let index = by.append(nomination(&by, "p1", &digest));
    by.deliver().await;
    assert_eq!(by.verdict(index).await, Err("SUSPENDED".to_owned()));
}

/// A notice waits for its period; then placements run off, and at last only erasure goes on.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn after_a_termination_placements_run_off() {
    let notice =
        "from = \"2020-01-01\"\nrenewal = \"automatic\"\nterm_months = 12\nnotice_months = 6\nrun_off_months = 12";
    let pair = Pair::under(77, vec![valid(&treaty::sv_ca(), notice)]).await;
    pair.destination.order(SV_CA, "order", 9, true).await.unwrap();
    let ending = pair.bring_one("p1", "order", "EMPLOYED").await;
    let (late, next) = (pair.bring_one("p2", "order", "EMPLOYED").await, Case::new("p3", "order"));
    // At once, which six months of notice do not allow.
    assert!(pair.origin.core.order(&pair.treaty.origin.terminates(1, START_MS)).await.unwrap());
    pair.clock.advance(Duration::from_millis(5 * MONTH_MS));
    pair.settle().await;
    pair.origin.act(&next, "nominate").await.unwrap();
    pair.check().await;
    pair.clock.advance(Duration::from_millis(2 * MONTH_MS));
    assert_eq!(halted(&pair.destination, &next, "offer").await, "TERMINATED");
    assert_eq!(halted(&pair.origin, &Case::new("p4", "order"), "nominate").await, "TERMINATED");
    pair.destination.act(&ending, "end").await.unwrap();
    pair.settle().await;
    pair.origin.act(&ending, "close").await.unwrap();
    pair.check().await;
    pair.clock.advance(Duration::from_millis(13 * MONTH_MS));
    assert_eq!(halted(&pair.destination, &late, "end").await, "TERMINATED");
    assert!(!pair.origin.erase_class(&ending, "personal", "subject-request").await.unwrap().is_empty());
    pair.check().await;
}

/// An agreement that nobody renews ends on its last day, at issuer and recipient alike.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn outside_its_days_nothing_begins() {
    let days = "from = \"2020-01-01\"\nuntil = \"2024-05-31\"\nrenewal = \"none\"\nrun_off_months = 12";
    let pair = Pair::under(78, vec![valid(&treaty::sv_ca(), days)]).await;
    pair.destination.order(SV_CA, "order", 9, true).await.unwrap();
    let case = pair.bring_one("p1", "order", "EMPLOYED").await;
    // 2024-06-01.
    pair.clock.advance(Duration::from_millis(MONTH_MS));
    assert_eq!(halted(&pair.origin, &Case::new("p2", "order"), "nominate").await, "OUT_OF_VALIDITY");
    pair.destination.act(&case, "end").await.unwrap();
    pair.check().await;
    let mut by = Dishonest::take_over(&pair, true, SV_CA).await;
    let digest = by.exchange.pack().digest();
    let mut late = nomination(&by, "p3", &digest);
    late.statement.time_ms = START_MS + MONTH_MS;
    let index = by.append(late);
    by.deliver().await;
    assert_eq!(by.verdict(index).await, Err("OUT_OF_VALIDITY".to_owned()));
}
