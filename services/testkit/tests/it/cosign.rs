//! Cosignatures that come late, come again, or come from a clock that is wrong.

use std::time::Duration;

use convenio_exchange::session::SessionEnd;
use convenio_exchange::witness::{Coverage, coverage};
use convenio_model::{Clock, ManualClock};
use convenio_testkit::pair::START_MS;
use convenio_testkit::{Case, Pair, Side, invariants};

const HOUR: Duration = Duration::from_secs(3600);

async fn covered(side: &Side) -> Coverage {
    let exchange = side.exchange("sv-ca");
    let logs = side.core.store().logs().await.unwrap();
    let own = logs.iter().find(|log| log.id == exchange.own().log).unwrap();
    coverage(&side.core, exchange, own).await.unwrap()
}

/// Advances the clock by small steps until the side's log is covered as wanted.
async fn until(pair: &Pair, wanted: impl Fn(&Coverage) -> bool) {
    for _ in 0..2000 {
        if wanted(&covered(&pair.origin).await) {
            return;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    panic!("{:?}", covered(&pair.origin).await);
}

fn sizes(pair: &Pair) -> (u64, u64) {
    let size = |side: &Side| side.core.heads().borrow()[&side.exchange("sv-ca").own().log].size;
    (size(&pair.origin), size(&pair.destination))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_idle_pair_is_cosigned_again_every_half_day_and_appends_nothing() {
    let pair = Pair::new(401).await;
    // What the quiet timers have to say is said first.
    for _ in 0..3 {
        pair.clock.advance(Duration::from_secs(90));
        tokio::time::sleep(Duration::from_millis(50)).await;
        pair.settle().await;
    }
    let before = sizes(&pair);
    for _ in 0..4 {
        let since = covered(&pair.origin).await.cosigned_ms;
        pair.clock.advance(12 * HOUR + Duration::from_secs(120));
        let now = pair.clock.now_ms();
        until(&pair, |covered| covered.cosigned_ms + 1000 > now && covered.cosigned_ms > since && !covered.overdue)
            .await;
    }
    assert_eq!(sizes(&pair), before, "an idle pair appended something");
    pair.settle().await;
    invariants::check(&pair.origin.books(), &pair.destination.books()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cosignature_that_is_missing_past_the_deadline_is_told_and_a_late_one_ends_that() {
    let pair = Pair::new(402).await;
    assert!(!covered(&pair.origin).await.overdue);
    pair.link.cut();
    // The agreement tolerates 48 hours.
    pair.clock.advance(47 * HOUR);
    assert!(!covered(&pair.origin).await.overdue);
    pair.clock.advance(2 * HOUR);
    assert!(covered(&pair.origin).await.overdue);
    pair.link.heal();
    for _ in 0..50 {
        pair.clock.advance(Duration::from_secs(61));
        tokio::time::sleep(Duration::from_millis(20)).await;
        if !covered(&pair.origin).await.overdue {
            break;
        }
    }
    assert!(!covered(&pair.origin).await.overdue);
    pair.settle().await;
    invariants::check(&pair.origin.books(), &pair.destination.books()).await;
}

/// A cosignature of a clock that is 20 s ahead, and an entry of one second later: what is missing is counted from the entry
/// on, not from the last cosignature.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_entry_that_is_not_cosigned_past_the_deadline_is_told_though_the_last_cosignature_is_young_enough() {
    let (right, fast) = (ManualClock::new(START_MS), ManualClock::new(START_MS + 20_000));
    let pair = Pair::with_clocks(404, right, &fast).await;
    pair.settle().await;
    pair.destination.order("sv-ca", "order", 5, true).await.unwrap();
    pair.settle().await;
    let both = |time: Duration| {
        pair.clock.advance(time);
        fast.advance(time);
    };
    let early = covered(&pair.origin).await.cosigned_ms;
    assert!(early > pair.clock.now_ms(), "it came early");
    pair.link.cut();
    both(Duration::from_secs(1));
    pair.origin.act(&Case::new("p1", "order"), "nominate").await.unwrap();
    both(48 * HOUR);
    assert_eq!(covered(&pair.origin).await, Coverage { cosigned_ms: early, overdue: false });
    both(Duration::from_secs(1));
    assert_eq!(covered(&pair.origin).await, Coverage { cosigned_ms: early, overdue: true });
    assert!(early + 48 * 3_600_000 > pair.clock.now_ms(), "the last cosignature is not what is late");
    pair.link.heal();
    until(&pair, |covered| covered.cosigned_ms > early && !covered.overdue).await;
    pair.settle().await;
    assert!(!covered(&pair.origin).await.overdue);
    invariants::check(&pair.origin.books(), &pair.destination.books()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cosignature_from_a_clock_more_than_thirty_seconds_ahead_is_refused_until_time_has_caught_up() {
    let (right, ahead) = (ManualClock::new(START_MS), ManualClock::new(START_MS + 40_000));
    let pair = Pair::with_clocks(403, right, &ahead).await;
    let refused = |end: &SessionEnd| matches!(end, SessionEnd::Refused { reason: "COSIGNATURE_AHEAD", .. });
    for _ in 0..2000 {
        if pair.link.ends().iter().any(refused) {
            break;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    assert!(pair.link.ends().iter().any(refused), "{:?}", pair.link.ends());
    assert_eq!(covered(&pair.origin).await.cosigned_ms, 0, "a time ahead was believed");
    pair.clock.advance(Duration::from_secs(11));
    pair.settle().await;
    assert!(covered(&pair.origin).await.cosigned_ms > 0);
    invariants::check(&pair.origin.books(), &pair.destination.books()).await;
}
