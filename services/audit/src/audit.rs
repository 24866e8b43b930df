//! A bundle, or a pair of them, verified once and then asked: entries, times, replays, one subject's history.
//!
//! ```text
//! let audit = Audit::open(first, Some(second), &trust, &Options::default())?;
//! if audit.holds() {
//!     for exchange in audit.exchanges() {
//!         audit.replay(&exchange, &At::End, &mut my_visitor)?;
//!     }
//! }
//! ```
//!
//! Memory stays bounded however long the logs are: what does not fit is spooled to files below [`Options::work`].

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use convenio_agreement::Pack;
use convenio_agreement::lifecycle::Role;
use convenio_seal::TrustFile;

use crate::compare::{self, Comparison};
use crate::evidence::LocalRefusal;
use crate::history::{At, EntryRecord, Exchange, History, Place, ReplaySummary, ReplayedRecord, SubjectView, Visit};
use crate::problem::Unusable;
use crate::replay::{self, Replay, Side};
use crate::verify::{Checked, Verification, check};

/// What has been done of a step that takes long.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Progress {
    /// `verify`, `replay`.
    pub step: &'static str,
    /// Entries done.
    pub done: u64,
    /// Entries in all.
    pub total: u64,
}

/// Receives [`Progress`]; called from several threads, a few times a second at most.
pub type OnProgress = Arc<dyn Fn(Progress) + Send + Sync>;

/// How an audit works.
#[derive(Clone, Default)]
pub struct Options {
    /// Folder for temporary files; without it one below the system's own, removed at the end.
    pub work: Option<PathBuf>,
    /// Continue a verification that was interrupted, from what it left in [`Self::work`]. What was left for another
    /// bundle or another trust file is not used.
    pub resume: bool,
    /// Told how far the work is.
    pub progress: Option<OnProgress>,
}

/// Verified bundles.
pub struct Audit {
    first: Checked,
    second: Option<Checked>,
    comparison: Option<Comparison>,
}

impl Audit {
    /// Verifies the bundle in `first`, and compares it with the one in `second`.
    ///
    /// # Errors
    /// [`Unusable`].
    pub fn open(first: &Path, second: Option<&Path>, trust: &TrustFile, options: &Options) -> Result<Self, Unusable> {
        let first = check(first, trust, options)?;
        let second = second.map(|path| check(path, trust, options)).transpose()?;
        let comparison = second.as_ref().map(|second| compare::of(&first, second).0);
        Ok(Self { first, second, comparison })
    }

    /// Whether integrity holds: of the bundle, or of both and between them.
    #[must_use]
    pub fn holds(&self) -> bool {
        self.comparison.as_ref().map_or(self.first.verification.holds, |comparison| comparison.holds)
    }

    /// The verifications, in the order given.
    pub fn verifications(&self) -> impl Iterator<Item = &Verification> {
        [Some(&self.first), self.second.as_ref()].into_iter().flatten().map(|checked| &checked.verification)
    }

    /// The bundles that could be opened, in the order given.
    pub(crate) fn bundles(&self) -> impl Iterator<Item = &crate::bundle::Bundle> {
        [Some(&self.first), self.second.as_ref()].into_iter().flatten().filter_map(|checked| checked.bundle.as_deref())
    }

    /// The comparison, if there are two bundles.
    #[must_use]
    pub fn comparison(&self) -> Option<&Comparison> {
        self.comparison.as_ref()
    }

    /// What the exporters say that they refused locally.
    pub fn refusals(&self) -> impl Iterator<Item = &LocalRefusal> {
        [Some(&self.first), self.second.as_ref()].into_iter().flatten().flat_map(|checked| &checked.refusals)
    }

    /// Every agreement version that a bundle holds.
    pub fn packs(&self) -> impl Iterator<Item = &Pack> {
        self.first.packs.values()
    }

    /// The exchanges whose logs in both directions are here.
    #[must_use]
    pub fn exchanges(&self) -> Vec<Exchange> {
        let replays = self.replays();
        let exchange = |replay: &Replay| Exchange {
            pack: replay.pack.clone(),
            origin_logs: vec![replay.origin.log.clone()],
            destination_logs: vec![replay.destination.log.clone()],
        };
        replays.iter().map(exchange).collect()
    }

    /// The entry at `index` of the log `origin`; none if no bundle holds it.
    ///
    /// # Errors
    /// [`Unusable::Io`].
    pub fn entry(&self, origin: &str, index: u64) -> Result<Option<EntryRecord>, Unusable> {
        Ok(replay::entry(&self.first, self.second.as_ref(), origin, index))
    }

    /// Replays an exchange. Nothing to replay if integrity does not hold.
    ///
    /// # Errors
    /// [`Unusable::Io`] where temporary files cannot be written.
    pub fn replay(&self, exchange: &Exchange, _at: &At, visit: &mut dyn Visit) -> Result<ReplaySummary, Unusable> {
        let mut summary = ReplaySummary::default();
        for replay in self.replays().iter().filter(|replay| replay.pack.id() == exchange.pack.id()) {
            let short = replay.destination.demand.iter().filter(|(_, demand)| demand.excess > 0);
            let short = short.filter(|(order, _)| replay.destination.world.order(**order).is_some());
            visit.start(exchange, &short.map(|(order, demand)| (*order, demand.clone())).collect::<Vec<_>>());
            for history in histories(replay) {
                summary.records += history.records.len() as u64;
                summary.placements += u64::from(history.subject.starts_with("placements/"));
                summary.disagreements += u64::from(history.disagreement.is_some());
                visit.history(history);
            }
        }
        Ok(summary)
    }

    /// Replays one subject (`placements/<uuid>`, `jobOrders/<uuid>`, `agencies/<uuid>`); none if no record is about it.
    ///
    /// # Errors
    /// As [`Self::replay`].
    pub fn history(&self, exchange: &Exchange, subject: &str, _at: &At) -> Result<Option<History>, Unusable> {
        let replays = self.replays();
        let replay = replays.iter().find(|replay| replay.pack.id() == exchange.pack.id());
        Ok(replay.and_then(|replay| histories(replay).into_iter().find(|history| history.subject == subject)))
    }

    fn replays(&self) -> Vec<Replay> {
        if self.holds() { replay::run(&self.first, self.second.as_ref()) } else { Vec::new() }
    }
}

fn histories(replay: &Replay) -> Vec<History> {
    let mut records: BTreeMap<&str, Vec<ReplayedRecord>> = BTreeMap::new();
    for side in replay.sides() {
        for act in &side.acts {
            records.entry(&act.subject).or_default().push(replay.record(side, act));
        }
    }
    let disagreements: BTreeMap<String, String> =
        replay.disagreements().into_iter().map(|(id, text)| (format!("placements/{id}"), text)).collect();
    let history = |(subject, mut records): (&str, Vec<ReplayedRecord>)| {
        records.sort_by_key(|record| record.time_ms);
        let (origin, destination) = (view(&replay.origin, subject), view(&replay.destination, subject));
        let of = |view: &Option<SubjectView>, role| match view {
            Some(SubjectView::Placement(view)) => replay.discrepancies(role, view),
            _ => Vec::new(),
        };
        let (a, b) = (of(&origin, Role::Origin), of(&destination, Role::Destination));
        History {
            subject: subject.to_owned(),
            discrepancies: if a.len() >= b.len() { a } else { b },
            disagreement: disagreements.get(subject).cloned(),
            records,
            origin,
            destination,
        }
    };
    records.into_iter().map(history).collect()
}

fn view(side: &Side, subject: &str) -> Option<SubjectView> {
    let (kind, id) = subject.split_once('/')?;
    let id = id.parse().ok()?;
    match kind {
        "placements" => side.world.placement(id).cloned().map(SubjectView::Placement),
        "jobOrders" => side.world.order(id).cloned().map(SubjectView::Order),
        _ => side.world.agency(id).cloned().map(SubjectView::Agency),
    }
}

impl Place {
    /// An entry of a log.
    #[must_use]
    pub fn new(origin: &str, index: u64) -> Self {
        Self { origin: origin.to_owned(), index }
    }
}
