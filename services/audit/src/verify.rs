//! Integrity: whether a bundle is what its logs, its keys and the trust file say.

mod agreement;
mod chunk;
mod cross;
mod epochs;
mod forks;
mod heads;
mod ids;
pub(crate) mod ledger;
mod orders;
pub(crate) mod outcomes;
pub(crate) mod parts;
mod revocation;
mod run;
pub(crate) mod scan;
mod sequence;
pub(crate) mod shares;
pub(crate) mod store;
pub(crate) mod tree;
mod walk;
mod witness;

use std::collections::BTreeMap;
use std::path::Path;

use convenio_agreement::Pack;
use convenio_agreement::standing::Given;
use convenio_seal::TrustFile;
use convenio_wire::exchange::v1::AgreementOrder;
use serde::Serialize;

use crate::audit::Options;
use crate::bundle::{Bundle, LogLine};
use crate::evidence::LocalRefusal;
use crate::keys::{KeyBook, Opening};
use crate::problem::{Problem, Unusable};

use heads::Head;
use ledger::Meta;
use outcomes::Outcomes;
use revocation::{Revoked, Valid, valid_at};
use scan::Scanned;

pub(crate) use epochs::chains;
pub(crate) use run::check;
pub use witness::COLLUSION;

/// What became of the integrity of one bundle. As JSON: these members by these names.
#[derive(Debug, Clone, Serialize)]
pub struct Verification {
    /// Folder. No member of the JSON: what is signed does not depend on where a bundle lay.
    #[serde(skip)]
    pub bundle: String,
    /// True if there is no problem.
    pub holds: bool,
    /// Node that exported; empty if the manifest cannot be read.
    pub exporter: String,
    /// Agreement versions in the bundle.
    pub agreements: Vec<AgreementSummary>,
    /// Logs.
    pub logs: Vec<LogSummary>,
    /// The first problems, at most [`crate::problem::MAX_KEPT`].
    pub problems: Vec<Problem>,
    /// All problems.
    pub problem_count: u64,
    /// What a party did wrong while the integrity of the logs holds: an entry that its recipient rejected as badly
    /// signed, an ERASE before its time, an equivocation that the evidence proves. At most
    /// [`crate::problem::MAX_KEPT`]; `reason`, `origin` and `index` tell what and where.
    pub findings: Vec<Problem>,
    /// All of them.
    pub finding_count: u64,
    /// What the bundle cannot exclude, for people.
    pub notes: Vec<String>,
}

/// An agreement version.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct AgreementSummary {
    /// Identifier.
    pub id: String,
    /// Digest, hexadecimal.
    pub digest: String,
    /// The trust file does not name it: it amends, through others or itself, a version that the file names, and all parties'
    /// roots have ratified it.
    pub amended: bool,
}

/// A log, as far as it could be read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct LogSummary {
    /// Origin.
    pub origin: String,
    /// Entries.
    pub size: u64,
    /// Root in base64, as a checkpoint writes it.
    pub root: String,
    /// Entries that the partner's mirror has cosigned.
    pub delivered: u64,
    /// RECORDs.
    pub records: u64,
    /// RECORDs that the partner accepted.
    pub accepted: u64,
    /// RECORDs that the partner rejected.
    pub rejected: u64,
    /// Time of the last readable entry, Unix ms.
    pub last_ms: u64,
}

/// Kind of an entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Kind {
    EpochOpen,
    Ratify,
    Activate,
    Record,
    Outcome,
    Erase,
    EraseAnswer,
    PeerCheckpoint,
    KeyRotate,
    Revoke,
    Order,
    Unreadable,
}

impl Kind {
    fn of(byte: u8) -> Self {
        const ALL: [Kind; 11] = [
            Kind::EpochOpen,
            Kind::Ratify,
            Kind::Activate,
            Kind::Record,
            Kind::Outcome,
            Kind::Erase,
            Kind::EraseAnswer,
            Kind::PeerCheckpoint,
            Kind::KeyRotate,
            Kind::Revoke,
            Kind::Order,
        ];
        ALL.get(usize::from(byte)).copied().unwrap_or(Self::Unreadable)
    }
}

/// What is counted of a log.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Counts {
    records: u64,
    accepted: u64,
    rejected: u64,
    last_ms: u64,
}

/// A log whose entries were checked one by one. What grows with its length lies in files.
pub(crate) struct CheckedLog {
    pub(crate) scanned: Scanned,
    pub(crate) opening: Opening,
    /// The keys, from index to index.
    pub(crate) keys: Vec<Valid>,
    /// Agreement versions, from the index of their ACTIVATE on.
    pub(crate) activations: Vec<(u64, [u8; 32])>,
    /// Orders of its issuer's party about the agreement that count.
    pub(crate) orders: Vec<(u64, Given)>,
    /// Orders of the other party that it repeats.
    pub(crate) echoes: Vec<AgreementOrder>,
    /// Entries that count: those that the next epoch does not cut off.
    pub(crate) effective: u64,
    /// Entries under the partner's mirror cosignature.
    pub(crate) delivered: u64,
    /// Entries that the partner says it had judged.
    pub(crate) judged: u64,
    /// Cosigned states, by size.
    pub(crate) heads: Vec<Head>,
    /// What the partner decided.
    pub(crate) outcomes: Option<Outcomes>,
    /// Revocations that concern it.
    revoked: Vec<Revoked>,
    counts: Counts,
}

/// A bundle with all that the other commands need of it.
pub(crate) struct Checked {
    pub(crate) verification: Verification,
    /// None if the manifest cannot be read.
    pub(crate) bundle: Option<Box<Bundle>>,
    pub(crate) logs: Vec<CheckedLog>,
    pub(crate) packs: BTreeMap<[u8; 32], Pack>,
    pub(crate) refusals: Vec<LocalRefusal>,
    /// Keys of the nodes whose logs are here.
    pub(crate) book: KeyBook,
    /// Where the files of [`CheckedLog`] lie; goes last.
    #[expect(dead_code, reason = "held for its end")]
    pub(crate) work: Option<store::Work>,
}

/// Checks the integrity of the bundle in `bundle` against `trust`.
///
/// # Errors
/// [`Unusable`]: there is no bundle, or one of a format that this version does not know.
pub fn verify(bundle: &Path, trust: &TrustFile) -> Result<Verification, Unusable> {
    verify_with(bundle, trust, &Options::default())
}

/// As [`verify`], with a folder for temporary files, resumption and progress.
///
/// # Errors
/// As [`verify`], and [`Unusable::Io`] where temporary files cannot be written.
pub fn verify_with(bundle: &Path, trust: &TrustFile, options: &Options) -> Result<Verification, Unusable> {
    Ok(check(bundle, trust, options)?.verification)
}

/// Reads a trust file.
///
/// # Errors
/// [`Unusable`].
pub fn load_trust(path: &Path) -> Result<TrustFile, Unusable> {
    let text = std::fs::read(path).map_err(|source| Unusable::Io { path: path.to_owned(), source })?;
    let bad = |problem: String| Unusable::Trust { path: path.to_owned(), problem };
    let text = String::from_utf8(text).map_err(|_| bad("not UTF-8".into()))?;
    TrustFile::parse(&text).map_err(|error| bad(error.to_string()))
}

impl Checked {
    /// The last time that anything in the logs tells, Unix ms.
    pub(crate) fn last_ms(&self) -> u64 {
        run::last_ms(&self.logs)
    }
}

impl CheckedLog {
    pub(crate) fn line(&self) -> &LogLine {
        &self.scanned.line
    }

    /// Whether another log goes the other way between the same nodes, under the same agreement.
    pub(crate) fn reverse_of(&self, other: &CheckedLog) -> bool {
        let (own, other) = (&self.line().origin, &other.line().origin);
        own.issuer == other.recipient && own.recipient == other.issuer && own.agreement == other.agreement
    }

    /// Whether another log is a later epoch of this one.
    pub(crate) fn continued_by(&self, other: &CheckedLog) -> bool {
        let (own, other) = (&self.line().origin, &other.line().origin);
        let same = own.issuer == other.issuer && own.recipient == other.recipient && own.agreement == other.agreement;
        same && own.epoch < other.epoch
    }

    /// Why an entry says nothing; none if it does.
    pub(crate) fn void(&self, index: u64, meta: &Meta) -> Option<&'static str> {
        if let Some(reason) = meta.fault.reason() {
            return Some(reason);
        }
        if valid_at(&self.keys, index).is_none_or(|valid| valid.mark != meta.key) {
            return Some("KEY_NOT_VALID");
        }
        let taken = self.revoked.iter().any(|revoked| revoked.takes(self.line(), meta.key, index));
        taken.then_some("REVOKED_KEY")
    }

    /// Version of the issuer's keys that is valid at an index.
    pub(crate) fn key_version(&self, index: u64) -> u64 {
        valid_at(&self.keys, index).map_or(0, |valid| valid.version)
    }

    fn take(&mut self, head: Head) {
        if head.mirror {
            self.delivered = self.delivered.max(head.size);
        }
        self.heads.push(head);
    }

    fn summary(&self) -> LogSummary {
        let line = self.line();
        let text = convenio_log::Checkpoint::new(&*line.name, line.size, line.root);
        LogSummary {
            origin: line.name.clone(),
            size: line.size,
            root: text.ok().and_then(|c| c.text().lines().nth(2).map(str::to_owned)).unwrap_or_default(),
            delivered: self.delivered,
            records: self.counts.records,
            accepted: self.counts.accepted,
            rejected: self.counts.rejected,
            last_ms: self.counts.last_ms,
        }
    }
}

/// The log in the other direction of that epoch.
pub(crate) fn partner<'l>(log: &CheckedLog, logs: &'l [CheckedLog], epoch: u64) -> Option<&'l CheckedLog> {
    partner_at(log, logs, epoch).map(|at| &logs[at])
}

pub(crate) fn partner_at(log: &CheckedLog, logs: &[CheckedLog], epoch: u64) -> Option<usize> {
    logs.iter().position(|other| log.reverse_of(other) && other.line().origin.epoch == epoch)
}
