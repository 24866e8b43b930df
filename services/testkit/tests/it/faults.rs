//! The line fails, a partner is away, both act at once.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};
use std::time::Duration;

use convenio_exchange::session::{Message, SessionEnd};
use convenio_model::{Entropy, SeededEntropy};
use convenio_testkit::treaty::SV_CA;
use convenio_testkit::{Case, Direction, Pair, Relay};
use convenio_wire::exchange::v1::Batch;
use futures::future::join_all;

async fn pair(seed: u64, seats: i32) -> Pair {
    let pair = Pair::new(seed).await;
    pair.destination.order(SV_CA, "order", seats, true).await.unwrap();
    pair.settle().await;
    pair
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_partner_that_was_away_for_many_records_gets_them_all() {
    let pair = pair(31, 5_000).await;
    pair.link.cut();
    let cases: Vec<_> = (0..1_500).map(|n| Case::new(&format!("p{n}"), "order")).collect();
    for some in cases.chunks(250) {
        for issued in join_all(some.iter().map(|case| pair.origin.act(case, "nominate"))).await {
            issued.unwrap();
        }
    }
    for seats in 0..500 {
        pair.destination.order(SV_CA, "order", 5_000 + seats, true).await.unwrap();
    }
    pair.link.heal();
    pair.check().await;
    assert_eq!(pair.destination.placement(&cases[1_499]).await.state, "NOMINATED");
    assert_eq!(pair.origin.order_of(&cases[0]).await.seats, 5_499);
}

/// The destination asks again for the worker while the origin closes; the worker withdraws while a seat is offered; one
/// state says admitted and the other withdrawn.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn both_sides_act_on_one_placement_at_once() {
    let pair = pair(32, 9).await;
    let (o, d) = (&pair.origin, &pair.destination);
    let ended = pair.bring_one("p1", "order", "ENDED").await;
    let nominated = pair.bring_one("p2", "order", "NOMINATED").await;
    let ready = pair.bring_one("p3", "order", "READY_TO_TRAVEL").await;
    pair.link.cut();
    for (case, ours, theirs) in
        [(&ended, "close", "recall"), (&nominated, "withdrawn", "offer"), (&ready, "withdrawn", "admitted")]
    {
        o.act(case, ours).await.unwrap();
        d.act(case, theirs).await.unwrap();
    }
    pair.link.heal();
    pair.settle().await;
    for side in [o, d] {
        assert_eq!(side.placement(&ended).await.state, "CLOSED");
        assert_eq!(side.placement(&nominated).await.state, "NOMINATED");
        let found = side.exchange(SV_CA).engine().discrepancies(&side.placement(&ready).await);
        assert_eq!(found.iter().filter(|d| d.kind == "contradictory_facts").count(), 1);
    }
    assert_eq!(d.placement(&ended).await.rejected.unwrap().reason, "SEQUENCE");
    assert_eq!(d.placement(&nominated).await.rejected.unwrap().gate, "not_withdrawn");
    // The withdrawal freed p3's seat, and the refused offer holds none.
    assert_eq!(o.order_of(&ended).await.held, 0);
    pair.check().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_line_that_fails_all_the_time_loses_nothing() {
    let pair = pair(33, 500).await;
    let draws = Arc::new(SeededEntropy::labelled(33, "faults"));
    pair.link.intercept({
        let draws = draws.clone();
        move |_, message| match draw(&draws) {
            0..40 => Relay::Cut,
            40..60 => Relay::Pass(Vec::new()), // the rest of this connection waits in vain
            60..80 => Relay::Pass(vec![message.clone(), message]),
            _ => Relay::Pass(vec![message]),
        }
    });
    for n in 0..60 {
        let case = Case::new(&format!("p{n}"), "order");
        pair.origin.act(&case, "nominate").await.unwrap();
        let _ = pair.destination.act(&case, "offer").await; // as far as it has heard
        if draw(&draws) < 60 {
            pair.link.cut();
            pair.link.heal();
        }
        tokio::time::sleep(Duration::from_millis(3)).await;
    }
    pair.link.release();
    pair.link.cut();
    pair.link.heal();
    pair.check().await;
    let broken = pair.link.ends().iter().filter(|end| **end == SessionEnd::Disconnected).count();
    assert!(broken > 5, "the line hardly failed");
}

fn draw(entropy: &SeededEntropy) -> u8 {
    let mut byte = [0];
    entropy.fill(&mut byte);
    byte[0]
}

/// What arrives changed, short, twice or from elsewhere stops the session and is not stored.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_the_line_damages_is_not_stored() {
    type Damage = fn(&mut Batch);
    let damages: [(&str, Damage); 8] = [
        ("BAD_CHECKPOINT", |b| b.entries[0] = b.entries[0].iter().rev().copied().collect::<Vec<_>>().into()),
        ("BAD_CHECKPOINT", |b| b.entries.truncate(b.entries.len() - 1)),
        ("BAD_CHECKPOINT", |b| b.entries.swap(0, 1)),
        ("BAD_CHECKPOINT", |b| b.checkpoint[40] ^= 1),
        ("BAD_FRAMING", |b| b.begin -= 1),
        ("BAD_FRAMING", |b| b.entries.clear()),
        ("UNKNOWN_ORIGIN", |b| b.origin.push('x')),
        // An epoch that nobody granted.
        ("EPOCH_REFUSED", |b| b.origin.push('9')),
    ];
    let pair = pair(34, 9).await;
    for (at, (reason, damage)) in damages.into_iter().enumerate() {
        let armed = Arc::new(AtomicBool::new(true));
        pair.link.intercept(move |way, message| match (way, message) {
            (Direction::ToDestination, Message::Batch(mut batch)) if armed.swap(false, SeqCst) => {
                damage(&mut batch);
                Relay::Pass(vec![Message::Batch(batch)])
            }
            (_, message) => Relay::Pass(vec![message]),
        });
        let release = pair.origin.occupy().await;
        let case = |n| Case::new(&format!("p{at}/{n}"), "order");
        let (first, second) = (case(0), case(1));
        let both = futures::future::join(pair.origin.act(&first, "nominate"), pair.origin.act(&second, "nominate"));
        let (both, ()) = futures::join!(both, async {
            tokio::task::yield_now().await;
            release.send(()).unwrap();
        });
        both.0.unwrap();
        both.1.unwrap();
        pair.check().await;
        let refused = |end: &SessionEnd| matches!(end, SessionEnd::Refused { reason: r, .. } if *r == reason);
        assert!(pair.link.ends().iter().any(refused), "{reason}: {:?}", pair.link.ends());
    }
}

/// Batches that come twice are refused by their position: nothing is applied twice.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_batch_that_comes_twice_is_applied_once() {
    let pair = pair(35, 9).await;
    let twice = Arc::new(AtomicUsize::new(0));
    pair.link.intercept({
        let twice = twice.clone();
        move |_, message| match &message {
            Message::Batch(_) if twice.fetch_add(1, SeqCst) == 0 => Relay::Pass(vec![message.clone(), message]),
            _ => Relay::Pass(vec![message]),
        }
    });
    pair.bring_one("p1", "order", "CONTRACTED").await;
    assert!(twice.load(SeqCst) > 1);
    pair.check().await;
}
