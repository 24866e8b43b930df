//! Lanes: the log of each epoch, in one direction between two nodes. Only the last is open; earlier ones stay readable.

use std::sync::Arc;

use arc_swap::ArcSwap;
use convenio_store::{LogId, LogRow, StoreError, Work};
use convenio_wire::exchange::v1::Position;

use crate::core::Exchange;

/// One log of an exchange: of one direction and epoch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lane {
    /// Number in the database.
    pub log: LogId,
    /// Origin.
    pub origin: String,
    /// Epoch.
    pub epoch: u64,
}

/// The lanes of one direction, ascending by epoch; at least one.
#[derive(Debug)]
pub(crate) struct Lanes(ArcSwap<Vec<Arc<Lane>>>);

impl Lanes {
    /// Lanes in any order; at least one.
    pub(crate) fn new(lanes: impl Iterator<Item = Lane>) -> Self {
        let mut lanes: Vec<_> = lanes.map(Arc::new).collect();
        lanes.sort_by_key(|lane| lane.epoch);
        Self(ArcSwap::from_pointee(lanes))
    }

    /// The lane of the last epoch.
    pub(crate) fn last(&self) -> Arc<Lane> {
        let lanes = self.0.load();
        lanes.last().expect("there is a lane from the beginning").clone()
    }

    /// Every lane, ascending by epoch.
    pub(crate) fn all(&self) -> Arc<Vec<Arc<Lane>>> {
        self.0.load_full()
    }

    /// Opens a later epoch.
    pub(crate) fn push(&self, lane: Lane) {
        self.0.rcu(|lanes| {
            let mut lanes = Vec::clone(lanes);
            lanes.retain(|known| known.epoch != lane.epoch);
            lanes.push(Arc::new(lane.clone()));
            lanes.sort_by_key(|lane| lane.epoch);
            lanes
        });
    }
}

impl From<&LogRow> for Lane {
    fn from(row: &LogRow) -> Self {
        Self { log: row.id, origin: row.origin.clone(), epoch: row.epoch }
    }
}

impl Exchange {
    /// The log that this node issues, of the last epoch.
    #[must_use]
    pub fn own(&self) -> Arc<Lane> {
        self.own_lanes.last()
    }

    /// The mirror of the partner's log, of the last epoch.
    #[must_use]
    pub fn peer(&self) -> Arc<Lane> {
        self.peer_lanes.last()
    }

    /// The logs that this node issued, of every epoch, ascending.
    #[must_use]
    pub fn own_lanes(&self) -> Arc<Vec<Arc<Lane>>> {
        self.own_lanes.all()
    }

    /// The mirrors of the partner's logs, of every epoch, ascending.
    #[must_use]
    pub fn peer_lanes(&self) -> Arc<Vec<Arc<Lane>>> {
        self.peer_lanes.all()
    }

    /// The lane of either direction that a log is.
    #[must_use]
    pub fn lane_of(&self, log: LogId) -> Option<Arc<Lane>> {
        let own = self.own_lanes();
        let peer = self.peer_lanes();
        own.iter().chain(peer.iter()).find(|lane| lane.log == log).cloned()
    }

    /// The first mirror with entries that are not judged yet; the last one if there is none.
    pub(crate) fn unjudged(&self, row: impl Fn(LogId) -> Option<(u64, u64)>) -> Arc<Lane> {
        let lanes = self.peer_lanes();
        let waiting = lanes.iter().find(|lane| row(lane.log).is_some_and(|(size, settled)| settled < size));
        waiting.cloned().unwrap_or_else(|| self.peer())
    }

    /// How much of the partner's logs this side has judged and applied.
    ///
    /// # Errors
    /// From the database.
    pub(crate) fn judged(&self, work: &Work) -> Result<Position, StoreError> {
        let mut at = Position { epoch: 1, size: 0 };
        for lane in self.peer_lanes().iter() {
            let row = work.log(lane.log)?;
            if row.settled > 0 || row.epoch == 1 {
                at = Position { epoch: row.epoch, size: row.settled };
            }
            if row.settled < row.size {
                break;
            }
        }
        Ok(at)
    }
}
