//! What an audit reports: problems of integrity, and input that it cannot use.

use std::path::PathBuf;

use serde::Serialize;

/// Reason of a signature that is one of another manifest; no key is needed to see it.
pub(crate) const OTHER_MANIFEST: &str = "OTHER_MANIFEST";
/// Problems that are kept; past it they are only counted.
pub const MAX_KEPT: usize = 1_000;

/// What a problem concerns; stable names for programs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Check {
    /// The manifest or its signature.
    Manifest,
    /// A file's bytes are not those that the manifest names.
    Hash,
    /// A file that the manifest or the format does not know.
    ExtraFile,
    /// A file that must be there.
    MissingFile,
    /// What comes from outside the bundle: roots, digests.
    Trust,
    /// A pack, a ratification, or the digest in force.
    Agreement,
    /// The policy.
    Policy,
    /// A checkpoint, its signature or the root it names.
    Checkpoint,
    /// A mirror's cosignature.
    Cosignature,
    /// A tile of hashes.
    Tile,
    /// An entry's form or signature.
    Entry,
    /// What an entry says of itself: issuer, recipient, origin, digest, record id.
    Statement,
    /// The order of a log: its first entries, positions in the partner's log.
    Sequence,
    /// A part that is missing or does not match its commitment.
    Parts,
    /// A decision about the partner's records.
    Outcome,
    /// An entangled checkpoint of the partner's log.
    PeerCheckpoint,
    /// A checkpoint that the trust file pins.
    Pinned,
    /// The statement of local refusals.
    Evidence,
    /// Two bundles do not agree.
    Compare,
    /// The keys of a node: rotation, revocation.
    Keys,
    /// The epochs of one direction.
    Epoch,
    /// The clocks: cosignature times, deadlines.
    Clock,
    /// The erasure of parts.
    Erasure,
    /// What independent witnesses must sign.
    Witness,
}

impl Check {
    /// The stable name.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Manifest => "manifest",
            Self::Hash => "hash",
            Self::ExtraFile => "extra_file",
            Self::MissingFile => "missing_file",
            Self::Trust => "trust",
            Self::Agreement => "agreement",
            Self::Policy => "policy",
            Self::Checkpoint => "checkpoint",
            Self::Cosignature => "cosignature",
            Self::Tile => "tile",
            Self::Entry => "entry",
            Self::Statement => "statement",
            Self::Sequence => "sequence",
            Self::Parts => "parts",
            Self::Outcome => "outcome",
            Self::PeerCheckpoint => "peer_checkpoint",
            Self::Pinned => "pinned",
            Self::Evidence => "evidence",
            Self::Compare => "compare",
            Self::Keys => "keys",
            Self::Epoch => "epoch",
            Self::Clock => "clock",
            Self::Erasure => "erasure",
            Self::Witness => "witness",
        }
    }
}

impl Check {
    /// The code of a problem of which nothing finer is known.
    fn reason(self) -> &'static str {
        match self {
            Self::Manifest => "MANIFEST",
            Self::Hash => "HASH",
            Self::ExtraFile => "EXTRA_FILE",
            Self::MissingFile => "MISSING_FILE",
            Self::Trust => "TRUST",
            Self::Agreement => "AGREEMENT",
            Self::Policy => "POLICY",
            Self::Checkpoint => "CHECKPOINT",
            Self::Cosignature => "COSIGNATURE",
            Self::Tile => "TILE",
            Self::Entry => "ENTRY",
            Self::Statement => "STATEMENT",
            Self::Sequence => "SEQUENCE",
            Self::Parts => "PARTS",
            Self::Outcome => "OUTCOME",
            Self::PeerCheckpoint => "PEER_CHECKPOINT",
            Self::Pinned => "PINNED",
            Self::Evidence => "EVIDENCE",
            Self::Compare => "COMPARE",
            Self::Keys => "KEYS",
            Self::Epoch => "EPOCH",
            Self::Clock => "CLOCK",
            Self::Erasure => "ERASURE",
            Self::Witness => "WITNESS",
        }
    }
}

/// One problem of integrity. In JSON an absent place is left out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Problem {
    /// What it concerns.
    pub check: Check,
    /// Log, by its origin.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub origin: Option<String>,
    /// Index of the entry in that log.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub index: Option<u64>,
    /// File, relative to the bundle.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub path: Option<String>,
    /// Stable code, for programs; the check's own name in capitals where nothing finer is known.
    pub reason: &'static str,
    /// For people; no values of records.
    pub text: String,
}

impl Problem {
    /// A problem of no place.
    pub(crate) fn new(check: Check, text: impl Into<String>) -> Self {
        Self { check, origin: None, index: None, path: None, reason: check.reason(), text: text.into() }
    }

    /// With a finer code.
    pub(crate) fn because(mut self, reason: &'static str) -> Self {
        self.reason = reason;
        self
    }

    pub(crate) fn at(mut self, path: impl Into<String>) -> Self {
        self.path = Some(path.into());
        self
    }

    pub(crate) fn of(mut self, origin: impl Into<String>) -> Self {
        self.origin = Some(origin.into());
        self
    }

    pub(crate) fn entry(mut self, index: u64) -> Self {
        self.index = Some(index);
        self
    }
}

/// Problems as they are found; the first [`MAX_KEPT`] are kept.
#[derive(Debug, Clone, Default)]
pub(crate) struct Problems {
    list: Vec<Problem>,
    count: u64,
}

impl Problems {
    pub(crate) fn push(&mut self, problem: Problem) {
        self.count += 1;
        if self.list.len() < MAX_KEPT {
            self.list.push(problem);
        }
    }

    pub(crate) fn extend(&mut self, more: impl IntoIterator<Item = Problem>) {
        more.into_iter().for_each(|problem| self.push(problem));
    }

    pub(crate) fn append(&mut self, other: Self) {
        self.count += other.count - other.list.len() as u64;
        other.list.into_iter().for_each(|problem| self.push(problem));
    }

    /// Gives those that name no log this log and entry.
    pub(crate) fn locate(&mut self, origin: &str, index: u64) {
        for problem in self.list.iter_mut().filter(|problem| problem.origin.is_none()) {
            problem.origin = Some(origin.to_owned());
            problem.index = Some(index);
        }
    }

    /// Keeps only what is wrong with the files themselves, if anything is, and that the manifest is not the signed one.
    pub(crate) fn only_damage(&mut self) -> bool {
        let damage = |problem: &Problem| matches!(problem.check, Check::Hash | Check::ExtraFile | Check::MissingFile);
        let damaged = self.list.iter().any(damage);
        if damaged {
            self.list.retain(|problem| damage(problem) || problem.reason == OTHER_MANIFEST);
            self.count = self.list.len() as u64;
        }
        damaged
    }

    /// Those of several workers, in an order that does not depend on who was first.
    pub(crate) fn sorted(mut list: Vec<Problem>, count: u64) -> Self {
        list.sort_by(|a, b| (&a.origin, a.index, a.reason, &a.text).cmp(&(&b.origin, b.index, b.reason, &b.text)));
        list.truncate(MAX_KEPT);
        Self { list, count }
    }

    pub(crate) fn count(&self) -> u64 {
        self.count
    }

    pub(crate) fn into_list(self) -> Vec<Problem> {
        self.list
    }
}

/// Input that cannot be audited at all: the exit code is 2.
#[derive(Debug, thiserror::Error)]
pub enum Unusable {
    /// There is no such folder, or it cannot be read.
    #[error("{}: {source}", path.display())]
    Io {
        /// File or folder.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// A folder, but no bundle.
    #[error("{}: not a bundle: it has no manifest", .0.display())]
    NotABundle(PathBuf),
    /// Signed as it stands, but of a format that this version does not know.
    #[error("{}: bundle format `{found}` is unknown to this version", path.display())]
    Format {
        /// The manifest.
        path: PathBuf,
        /// Its first line.
        found: String,
    },
    /// A file that is not of its form.
    #[error("{}: {problem}", path.display())]
    Form {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        problem: String,
    },
    /// The trust file is no trust file.
    #[error("{}: {problem}", path.display())]
    Trust {
        /// The trust file.
        path: PathBuf,
        /// The first bad line.
        problem: String,
    },
    /// Not the name of a row.
    #[error("{0}: not a subject, for example workers/<uuid>")]
    Subject(String),
}
