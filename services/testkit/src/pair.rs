//! Two states, the line between them and one clock.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use convenio_agreement::Pack;
use convenio_exchange::Head;
use convenio_model::ManualClock;

use crate::invariants;
use crate::link::Link;
use crate::nodes::Nodes;
use crate::side::Side;
use crate::treaty::{self, Treaty};

/// The season of 2024 begins.
pub const START_MS: u64 = 1_714_521_600_000;
/// Longest wait for both sides to have nothing more to say.
const PATIENCE: Duration = Duration::from_secs(60);

/// El Salvador, the origin, and Canada, the destination.
pub struct Pair {
    /// What they agreed.
    pub treaty: Treaty,
    /// The line; the origin dials.
    pub link: Link,
    /// The clock of both.
    pub clock: ManualClock,
    /// El Salvador.
    pub origin: Side,
    /// Canada.
    pub destination: Side,
    _nodes: Option<Nodes>,
}

impl Pair {
    /// A pair under sv-ca that has greeted each other.
    pub async fn new(seed: u64) -> Self {
        Self::under(seed, vec![treaty::sv_ca()]).await
    }

    /// A pair of whole nodes under sv-ca, linked by loopback mTLS; its `link` is not used.
    pub async fn over_mtls(seed: u64) -> Self {
        let nodes = Nodes::start(seed).await;
        let treaty = Treaty::new(seed, vec![treaty::sv_ca()]);
        let side = |party: &treaty::Party| {
            let data_keys = nodes.site.path(&party.party).join("data.keys");
            Side::of_node(nodes.books(&party.party), party.keys.clone(), data_keys)
        };
        let (origin, destination) = (side(&treaty.origin), side(&treaty.destination));
        let link = Link::new(&origin.core, &destination.core);
        Self { treaty, link, clock: nodes.clock.clone(), origin, destination, _nodes: Some(nodes) }
    }

    /// A pair under these agreements.
    pub async fn under(seed: u64, packs: Vec<Arc<Pack>>) -> Self {
        let clock = ManualClock::new(START_MS);
        let pair = Self::opened(seed, packs, clock.clone(), &clock).await;
        pair.settle().await;
        pair
    }

    /// Ends both processes and starts them again; `meanwhile` sees the folders of both.
    pub async fn restarted(self, seed: u64, meanwhile: impl FnOnce(&Path, &Path)) -> Self {
        let Self { treaty, link, clock, origin, destination, _nodes } = self;
        link.cut();
        drop(link);
        let (origin, destination) = (origin.end().await, destination.end().await);
        meanwhile(origin.path(), destination.path());
        let (ours, theirs) = (&treaty.origin, &treaty.destination);
        let origin = Side::open_in(origin, &treaty, ours, theirs, &clock, seed).await;
        let destination = Side::open_in(destination, &treaty, theirs, ours, &clock, seed).await;
        let link = Link::new(&origin.core, &destination.core);
        link.heal();
        Self { treaty, link, clock, origin, destination, _nodes }
    }

    /// A pair under sv-ca whose destination lives by another clock. It may never settle.
    pub async fn with_clocks(seed: u64, origin: ManualClock, destination: &ManualClock) -> Self {
        Self::opened(seed, vec![treaty::sv_ca()], origin, destination).await
    }

    async fn opened(seed: u64, packs: Vec<Arc<Pack>>, clock: ManualClock, other: &ManualClock) -> Self {
        let treaty = Treaty::new(seed, packs);
        let origin = Side::open(&treaty, &treaty.origin, &treaty.destination, &clock, seed).await;
        let destination = Side::open(&treaty, &treaty.destination, &treaty.origin, other, seed).await;
        let link = Link::new(&origin.core, &destination.core);
        link.heal();
        Self { treaty, link, clock, origin, destination, _nodes: None }
    }

    /// Waits until everything is delivered, judged and answered.
    ///
    /// # Panics
    /// If that does not happen in a minute.
    pub async fn settle(&self) {
        let settled = async {
            while !self.settled() {
                tokio::time::sleep(Duration::from_millis(2)).await;
            }
        };
        if tokio::time::timeout(PATIENCE, settled).await.is_err() {
            panic!("not settled: sessions ended with {:?}", self.link.ends());
        }
    }

    /// Waits until both logs are mirrored and cosigned, judged or not.
    ///
    /// # Panics
    /// If that does not happen in a minute.
    pub async fn delivered(&self) {
        let delivered = async {
            while !self.all(|sent, held| sent.size == held.size && sent.settled == sent.size) {
                tokio::time::sleep(Duration::from_millis(2)).await;
            }
        };
        tokio::time::timeout(PATIENCE, delivered).await.unwrap();
    }

    /// Whether nothing is under way: every log is mirrored, cosigned, judged.
    fn settled(&self) -> bool {
        self.all(|sent, held| sent.size == held.size && held.settled == held.size && sent.settled == sent.size)
    }

    /// Whether `holds` of every own log and its mirror.
    fn all(&self, holds: impl Fn(&Head, &Head) -> bool) -> bool {
        let (origin, destination) = (self.origin.core.heads(), self.destination.core.heads());
        let (origin, destination) = (origin.borrow().clone(), destination.borrow().clone());
        self.origin.core.exchanges().iter().all(|ours| {
            let theirs = self.destination.exchange(ours.pack().id());
            holds(&origin[&ours.own().log], &destination[&theirs.peer().log])
                && holds(&destination[&theirs.own().log], &origin[&ours.peer().log])
        })
    }

    /// Settles, then checks everything that must hold of two honest states.
    pub async fn check(&self) {
        self.settle().await;
        invariants::check(&self.origin.books(), &self.destination.books()).await;
    }

    /// Advances the clock, step by step, and lets both nodes act after each.
    pub async fn wait(&self, steps: u32, step: Duration) {
        for _ in 0..steps {
            self.clock.advance(step);
            for side in [&self.origin, &self.destination] {
                // Passes the writer's queue twice: what the clock woke has written by then.
                tokio::time::sleep(Duration::from_millis(1)).await;
                side.pass().await;
                side.pass().await;
            }
        }
        self.settle().await;
    }

    /// Lets a day go by: after at most one PEER_CHECKPOINT each, nothing may be appended.
    pub async fn idle_day(&self) {
        self.settle().await;
        let before = self.sizes();
        self.wait(3, Duration::from_secs(61)).await;
        let entangled = self.sizes();
        for (before, after) in before.iter().zip(&entangled) {
            assert!(after - before <= 1, "a quiet log grew by {}", after - before);
        }
        self.wait(288, Duration::from_secs(300)).await;
        assert_eq!(self.sizes(), entangled, "an idle pair appended");
    }

    /// Sizes of all own logs.
    #[must_use]
    pub fn sizes(&self) -> Vec<u64> {
        let of = |side: &Side| {
            let heads = side.core.heads().borrow().clone();
            side.core.exchanges().iter().map(|ex| heads[&ex.own().log].size).collect::<Vec<_>>()
        };
        [of(&self.origin), of(&self.destination)].concat()
    }
}
