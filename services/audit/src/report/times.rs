//! When the partner's mirror had which part of a log, by the cosignatures that verify.

use crate::verify::CheckedLog;

/// The mirror's cosignatures of one log: sizes ascending, each with the earliest time at which the mirror had that much.
#[derive(Debug, Clone, Default)]
pub(super) struct Cosigned {
    /// Size and Unix ms.
    heads: Vec<(u64, u64)>,
}

impl Cosigned {
    /// Those of a log, from every copy of it.
    pub(super) fn of(copies: &[&CheckedLog]) -> Self {
        let by_mirror = copies.iter().flat_map(|log| &log.heads).filter(|head| head.mirror);
        let mut heads: Vec<_> = by_mirror.map(|head| (head.size, head.time.saturating_mul(1_000))).collect();
        heads.sort_unstable();
        // What had more of the log at some time had less of it then as well.
        let mut earliest = u64::MAX;
        for (_, time) in heads.iter_mut().rev() {
            earliest = earliest.min(*time);
            *time = earliest;
        }
        Self { heads }
    }

    /// When the mirror had the entry at the latest, Unix ms.
    pub(super) fn not_after(&self, index: u64) -> Option<u64> {
        let first = self.heads.partition_point(|(size, _)| *size <= index);
        self.heads.get(first).map(|(_, time)| *time)
    }

    /// The last time that any head tells, Unix ms.
    pub(super) fn last(&self) -> Option<u64> {
        self.heads.last().map(|(_, time)| *time)
    }
}
