//! The tail: own entries past the mirrored heads. They stay in the logs until the next epoch opens, where they are issued
//! again, and are cut off in that very commit.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use convenio_model::RecordId;
use convenio_store::{LogId, StoreError};
use convenio_wire::exchange::v1::statement::Body;

use super::Recovering;
use crate::lane::Lane;
use crate::recovery::walk::{At, Walk};

/// Own entries past the mirrored heads.
pub(in crate::recovery) struct Tail {
    /// Of each log the range of indices.
    pub ranges: Vec<(Arc<Lane>, u64, u64)>,
    /// Those that are not issued again: good for their epoch only, or mirrored under the same id.
    pub dropped: HashSet<At>,
    /// Those that are, in their order: log and index.
    pub again: Vec<(LogId, u64)>,
}

impl Tail {
    /// Whether an own entry is one of them.
    pub fn holds(&self, at: &At) -> bool {
        self.ranges.iter().any(|(lane, begin, _)| lane.epoch == at.0 && at.1 >= *begin)
    }
}

impl Recovering {
    /// The tail, where the mirrored part of each own log ends at `ends`; a log that is not named was never mirrored.
    pub(super) async fn tail(&self, ends: &HashMap<LogId, u64>) -> Result<Tail, StoreError> {
        let rows = self.core.store.logs().await?;
        let mut ranges = Vec::new();
        for lane in self.exchange.own_lanes().iter() {
            let end = ends.get(&lane.log).copied().unwrap_or(0);
            let size = rows.iter().find(|row| row.id == lane.log).map_or(0, |row| row.size);
            if size > end {
                ranges.push((lane.clone(), end, size));
            }
        }
        let (mut dropped, mut again) = (HashSet::new(), Vec::new());
        let mut seen = HashSet::<RecordId>::new();
        let mut walk = Walk::new(&self.core, &ranges, false);
        while let Some(step) = walk.next().await? {
            let places = self.core.store.record(step.record_id).await?;
            let mirrored = places.iter().any(|(log, index)| ends.get(log).is_some_and(|end| index < end));
            let once = matches!(
                step.statement.body,
                Some(Body::PeerCheckpoint(_) | Body::EpochOpen(_) | Body::KeyRotate(_)) | None
            );
            if once || mirrored || !seen.insert(step.record_id) {
                dropped.insert(step.at);
                continue;
            }
            let lane = ranges.iter().find(|(lane, ..)| lane.epoch == step.at.0).map(|(lane, ..)| lane.log);
            again.push((lane.ok_or(StoreError::Corrupt("log"))?, step.at.1));
        }
        Ok(Tail { ranges, dropped, again })
    }
}
