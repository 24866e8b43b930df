//! Integrity: whether a bundle is what its logs, its keys and the trust file say.

mod agreement;
mod chunk;
mod cross;
mod log;
pub(crate) mod parts;
mod sequence;

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};

use convenio_agreement::Pack;
use convenio_log::MemoryTree;
use convenio_seal::TrustFile;
use convenio_wire::exchange::v1::{Outcome, Statement};
use serde::Serialize;

use crate::bundle::{Bundle, FORMAT, LogLine, MANIFEST, Opened, REFUSALS, on_every_core};
use crate::evidence::{self, LocalRefusal};
use crate::keys::{self, LogKeys};
use crate::problem::{Check, Problem, Problems, Unusable};

use chunk::{Chunk, Log, Special};

/// What became of the integrity of one bundle. As JSON: these members by these names.
#[derive(Debug, Clone, Serialize)]
pub struct Verification {
    /// Folder.
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
pub(crate) enum Kind {
    EpochOpen,
    Ratify,
    Activate,
    Record,
    Outcome,
    Erase,
    PeerCheckpoint,
    Unreadable,
}

/// What is kept of each entry, about a hundred bytes.
#[derive(Debug, Clone)]
pub(crate) struct Meta {
    pub(crate) record_id: [u8; 16],
    pub(crate) kind: Kind,
    /// Number of commitments.
    pub(crate) parts: u16,
    /// Parts that the bundle does not hold, a bit each.
    pub(crate) missing: u16,
    /// Position in the partner's log: epoch, size.
    pub(crate) peer: (u64, u64),
    pub(crate) digest: Option<[u8; 32]>,
    pub(crate) time_ms: u64,
}

impl Meta {
    fn unreadable() -> Self {
        let kind = Kind::Unreadable;
        Self { record_id: [0; 16], kind, parts: 0, missing: 0, peer: (0, 0), digest: None, time_ms: 0 }
    }

    fn of(statement: &Statement, kind: Kind, parts: usize) -> Self {
        Self {
            record_id: statement.record_id.as_slice().try_into().unwrap_or_default(),
            kind,
            parts: u16::try_from(parts).unwrap_or(u16::MAX),
            missing: 0,
            peer: statement.peer.as_ref().map_or((0, 0), |peer| (peer.epoch, peer.size)),
            digest: statement.agreement_digest.as_slice().try_into().ok(),
            time_ms: statement.time_ms,
        }
    }
}

/// What the partner made of a RECORD.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum Decision {
    #[default]
    Undecided,
    Accepted,
    Rejected,
}

/// A log whose entries were checked one by one.
pub(crate) struct CheckedLog {
    pub(crate) line: LogLine,
    pub(crate) keys: Option<LogKeys>,
    pub(crate) tree: MemoryTree,
    pub(crate) metas: Vec<Meta>,
    specials: Vec<(u64, Special)>,
    /// Entries under the partner's mirror cosignature.
    pub(crate) delivered: u64,
    /// What the partner decided, by index.
    pub(crate) decisions: Vec<Decision>,
    /// Reasons of the rejected ones.
    pub(crate) reasons: BTreeMap<u64, String>,
}

/// A bundle with all that the other commands need of it.
pub(crate) struct Checked {
    pub(crate) verification: Verification,
    /// None if the manifest cannot be read.
    pub(crate) bundle: Option<Box<Bundle>>,
    pub(crate) logs: Vec<CheckedLog>,
    pub(crate) packs: BTreeMap<[u8; 32], Pack>,
    pub(crate) refusals: Vec<LocalRefusal>,
}

/// Checks the integrity of the bundle in `bundle` against `trust`.
///
/// # Errors
/// [`Unusable`]: there is no bundle, or one of a format that this version does not know.
pub fn verify(bundle: &Path, trust: &TrustFile) -> Result<Verification, Unusable> {
    Ok(check(bundle, trust)?.verification)
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

pub(crate) fn check(path: &Path, trust: &TrustFile) -> Result<Checked, Unusable> {
    let bundle = match Bundle::open(path)? {
        Opened::Bundle(bundle) => bundle,
        Opened::Damaged(problem) => {
            let mut problems = Problems::default();
            problems.push(problem);
            return Ok(finish(path, None, Vec::new(), BTreeMap::new(), Vec::new(), problems));
        }
    };
    let mut problems = Problems::default();
    let keys = keys::all(&bundle, trust, &mut problems);
    let signature = keys::manifest_signature(&bundle, &keys);
    if bundle.manifest().format != FORMAT {
        // What its exporter signed is a newer format; what nobody signed is a damaged one.
        if signature.is_ok() {
            let found = bundle.manifest().format.clone();
            return Err(Unusable::Format { path: path.join(MANIFEST), found });
        }
        let text = format!("line 1 is not `{FORMAT}`");
        problems.push(Problem::new(Check::Manifest, text).at(MANIFEST));
    }
    if let Err(problem) = signature {
        problems.push(problem);
    }
    if problems.count() == 0 {
        bundle.check_tree(&mut problems);
        bundle.check_hashes(&mut problems);
    }
    if problems.count() > 0 {
        // Nothing that is read from a damaged bundle says more than that it is damaged.
        return Ok(finish(path, Some(bundle), Vec::new(), BTreeMap::new(), Vec::new(), problems));
    }
    let packs = agreement::check(&bundle, trust, &keys, &mut problems);
    let chunks = run_chunks(&bundle, &keys);
    let mut logs: Vec<CheckedLog> = bundle
        .manifest()
        .logs
        .iter()
        .zip(&keys)
        .zip(chunks)
        .map(|((line, keys), chunks)| log::assemble(&bundle, line, keys.as_ref(), chunks, &mut problems))
        .collect();
    cross::decide(&mut logs, &mut problems);
    for log in &logs {
        sequence::check(log, &logs, &packs, trust, &mut problems);
        cross::check(log, &logs, &mut problems);
    }
    log::pinned(&logs, trust, &mut problems);
    let refusals = match bundle.read(REFUSALS, evidence::MAX_REFUSALS, &mut problems) {
        Some(bytes) => evidence::parse(&bytes, &mut problems),
        None => Vec::new(),
    };
    bundle.unread(&mut problems);
    Ok(finish(path, Some(bundle), logs, packs, refusals, problems))
}

fn finish(
    path: &Path,
    bundle: Option<Box<Bundle>>,
    logs: Vec<CheckedLog>,
    packs: BTreeMap<[u8; 32], Pack>,
    refusals: Vec<LocalRefusal>,
    problems: Problems,
) -> Checked {
    let agreement =
        |(digest, pack): (&[u8; 32], &Pack)| AgreementSummary { id: pack.id().to_owned(), digest: hex::encode(digest) };
    let verification = Verification {
        bundle: path.display().to_string(),
        holds: problems.count() == 0,
        exporter: bundle.as_ref().map(|b| b.manifest().node.clone()).unwrap_or_default(),
        agreements: packs.iter().map(agreement).collect(),
        logs: logs.iter().map(CheckedLog::summary).collect(),
        problem_count: problems.count(),
        problems: problems.into_list(),
        findings: Vec::new(),
        finding_count: 0,
        notes: Vec::new(),
    };
    Checked { verification, bundle, logs, packs, refusals }
}

/// Checks the chunks of all logs on every core; the results of each log are in the order of its chunks.
fn run_chunks(bundle: &Bundle, keys: &[Option<LogKeys>]) -> Vec<Vec<Chunk>> {
    let lines = &bundle.manifest().logs;
    let mut jobs = Vec::new();
    for (at, (line, keys_of)) in lines.iter().zip(keys).enumerate() {
        let Some(keys_of) = keys_of else { continue };
        let partner = keys::partner_of(lines, line).and_then(|p| Some((keys[p].as_ref()?, &lines[p])));
        // A size that the bundle's own files cannot fill ends at the first entry bundle that is not listed.
        let folder = crate::bundle::log_folder(&line.name);
        for tile in convenio_log::tile::entry_tiles(line.size) {
            if !bundle.lists(&format!("{folder}{tile}")) {
                break;
            }
            jobs.push((at, tile.index(), Log { line, keys: keys_of, partner }));
        }
    }
    let next = AtomicUsize::new(0);
    let work = || {
        let mut done = Vec::new();
        while let Some((at, index, log)) = jobs.get(next.fetch_add(1, Ordering::Relaxed)) {
            done.push((*at, *index, chunk::check(bundle, log, *index)));
        }
        done
    };
    let mut done = on_every_core(jobs.len(), work);
    done.sort_unstable_by_key(|(at, index, _)| (*at, *index));
    let mut chunks: Vec<Vec<Chunk>> = lines.iter().map(|_| Vec::new()).collect();
    done.into_iter().for_each(|(at, _, chunk)| chunks[at].push(chunk));
    chunks
}

impl CheckedLog {
    /// Its OUTCOMEs with their indices, in order.
    pub(crate) fn outcomes(&self) -> impl Iterator<Item = (u64, &Outcome)> {
        self.specials.iter().filter_map(|(index, special)| match special {
            Special::Outcome(outcome) => Some((*index, outcome)),
            _ => None,
        })
    }

    fn summary(&self) -> LogSummary {
        let count = |decision| self.decisions.iter().filter(|d| **d == decision).count() as u64;
        let text = convenio_log::Checkpoint::new(&*self.line.name, self.line.size, self.line.root);
        LogSummary {
            origin: self.line.name.clone(),
            size: self.line.size,
            root: text.ok().and_then(|c| c.text().lines().nth(2).map(str::to_owned)).unwrap_or_default(),
            delivered: self.delivered,
            records: self.metas.iter().filter(|meta| meta.kind == Kind::Record).count() as u64,
            accepted: count(Decision::Accepted),
            rejected: count(Decision::Rejected),
            last_ms: self.metas.iter().map(|meta| meta.time_ms).rfind(|ms| *ms > 0).unwrap_or_default(),
        }
    }
}
