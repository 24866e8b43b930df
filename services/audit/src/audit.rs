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

use std::path::{Path, PathBuf};
use std::sync::Arc;

use convenio_agreement::Pack;
use convenio_seal::TrustFile;

use crate::compare::{self, Comparison};
use crate::evidence::LocalRefusal;
use crate::history::{At, EntryRecord, Exchange, History, Place, ReplaySummary, Visit};
use crate::problem::Unusable;
use crate::replay;
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
    options: Options,
}

impl Audit {
    /// Verifies the bundle in `first`, and compares it with the one in `second`.
    ///
    /// # Errors
    /// [`Unusable`].
    pub fn open(first: &Path, second: Option<&Path>, trust: &TrustFile, options: &Options) -> Result<Self, Unusable> {
        let first = check(first, trust, options)?;
        let second = second.map(|path| check(path, trust, options)).transpose()?;
        let comparison = second.as_ref().map(|second| compare::of(&first, second, options)).transpose()?;
        Ok(Self { first, second, comparison, options: options.clone() })
    }

    /// Whether integrity holds: of the bundle, or of both and between them.
    #[must_use]
    pub fn holds(&self) -> bool {
        self.comparison.as_ref().map_or(self.first.verification.holds, |comparison| comparison.holds)
    }

    /// The verifications, in the order given.
    pub fn verifications(&self) -> impl Iterator<Item = &Verification> {
        self.checked().map(|checked| &checked.verification)
    }

    /// What was checked, in the order given.
    pub(crate) fn checked(&self) -> impl Iterator<Item = &Checked> {
        [Some(&self.first), self.second.as_ref()].into_iter().flatten()
    }

    /// The bundles that could be opened, in the order given.
    pub(crate) fn bundles(&self) -> impl Iterator<Item = &crate::bundle::Bundle> {
        self.checked().filter_map(|checked| checked.bundle.as_deref())
    }

    /// The comparison, if there are two bundles.
    #[must_use]
    pub fn comparison(&self) -> Option<&Comparison> {
        self.comparison.as_ref()
    }

    /// What the exporters say that they refused locally.
    pub fn refusals(&self) -> impl Iterator<Item = &LocalRefusal> {
        self.checked().flat_map(|checked| &checked.refusals)
    }

    /// Every agreement version that a bundle holds.
    pub fn packs(&self) -> impl Iterator<Item = &Pack> {
        self.first.packs.values()
    }

    /// The exchanges whose logs in both directions are here.
    #[must_use]
    pub fn exchanges(&self) -> Vec<Exchange> {
        replay::exchanges(&self.first)
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
    pub fn replay(&self, exchange: &Exchange, at: &At, visit: &mut dyn Visit) -> Result<ReplaySummary, Unusable> {
        if !self.holds() {
            return Ok(ReplaySummary::default());
        }
        replay::run(&self.first, self.second.as_ref(), exchange, at, &self.options, visit)
    }

    /// Replays one subject (`placements/<uuid>`, `jobOrders/<uuid>`, `agencies/<uuid>`); none if no record is about it.
    ///
    /// # Errors
    /// As [`Self::replay`].
    pub fn history(&self, exchange: &Exchange, subject: &str, at: &At) -> Result<Option<History>, Unusable> {
        let mut only = Only { subject, found: None };
        self.replay(exchange, at, &mut only)?;
        Ok(only.found)
    }
}

/// Keeps the history of one subject.
struct Only<'o> {
    subject: &'o str,
    found: Option<History>,
}

impl Visit for Only<'_> {
    fn history(&mut self, history: History) {
        if history.subject == self.subject {
            self.found = Some(history);
        }
    }
}

impl Place {
    /// An entry of a log.
    #[must_use]
    pub fn new(origin: &str, index: u64) -> Self {
        Self { origin: origin.to_owned(), index }
    }
}
