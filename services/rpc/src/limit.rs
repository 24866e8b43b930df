//! How often and how much at a time one caller may ask.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Most callers remembered: whoever has not asked for longest is forgotten.
const MAX_CALLERS: usize = 1024;

/// A rate: so many at once, and one more after each interval.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Rate {
    /// Calls that may come together.
    pub burst: u32,
    /// Time after which another one may come, ms.
    pub every_ms: u64,
}

/// Counts the calls of each caller.
#[derive(Debug)]
pub(crate) struct Limits {
    rate: Rate,
    at_once: usize,
    callers: Mutex<BTreeMap<String, Caller>>,
}

#[derive(Debug)]
struct Caller {
    /// Until when all that was used is used, Unix ms.
    used_until_ms: u64,
    open: Arc<Semaphore>,
}

impl Limits {
    /// Calls at `rate`, `at_once` of them in progress.
    pub(crate) fn new(rate: Rate, at_once: usize) -> Self {
        Self { rate, at_once, callers: Mutex::default() }
    }

    /// Lets one call of `caller` in, until what is returned is dropped; none if it has to wait.
    pub(crate) fn take(&self, caller: &str, now_ms: u64) -> Option<OwnedSemaphorePermit> {
        let mut callers = self.callers.lock().unwrap_or_else(PoisonError::into_inner);
        if callers.len() >= MAX_CALLERS && !callers.contains_key(caller) {
            let idle = callers.iter().filter(|(_, known)| known.open.available_permits() == self.at_once);
            let longest = idle.min_by_key(|(_, known)| known.used_until_ms).map(|(name, _)| name.clone());
            callers.remove(&longest?);
        }
        let new = || Caller { used_until_ms: 0, open: Arc::new(Semaphore::new(self.at_once)) };
        let known = callers.entry(caller.to_owned()).or_insert_with(new);
        let used = known.used_until_ms.max(now_ms).saturating_add(self.rate.every_ms);
        if used - now_ms > u64::from(self.rate.burst) * self.rate.every_ms {
            return None;
        }
        let permit = known.open.clone().try_acquire_owned().ok()?;
        known.used_until_ms = used;
        Some(permit)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn a_burst_passes_and_then_one_at_each_interval() {
        let limits = Limits::new(Rate { burst: 3, every_ms: 1000 }, 8);
        let taken = |caller, now| limits.take(caller, now).is_some();
        assert!((0..3).all(|_| taken("a", 5_000)));
        assert!(!taken("a", 5_000) && !taken("a", 5_999));
        assert!(taken("b", 5_000), "another caller waits for nobody");
        assert!(taken("a", 6_000) && !taken("a", 6_000));
        assert!((0..3).all(|_| taken("a", 60_000)) && !taken("a", 60_000), "what was not used does not add up");
    }

    #[test]
    fn so_many_at_once_and_callers_are_not_remembered_without_end() {
        let limits = Limits::new(Rate { burst: 100, every_ms: 1 }, 2);
        let (one, two) = (limits.take("a", 0).unwrap(), limits.take("a", 0).unwrap());
        assert!(limits.take("a", 10).is_none());
        drop(one);
        assert!(limits.take("a", 20).is_some());
        for caller in 0..2 * MAX_CALLERS {
            assert!(limits.take(&caller.to_string(), 30).is_some());
        }
        assert!(limits.callers.lock().unwrap().len() <= MAX_CALLERS);
        assert!(limits.callers.lock().unwrap().contains_key("a"), "who is connected is not forgotten");
        drop(two);
    }
}
