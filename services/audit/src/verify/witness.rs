//! What the bundle's policy says of witnesses beside the two states, and the heads that the exporter's witness cosigned.

use convenio_log::{Policy, SignedCheckpoint};

use super::CheckedLog;
use super::heads::parse;
use super::tree::Roots;
use crate::bundle::{Bundle, MAX_FILE, log_folder};
use crate::keys::{KeyBook, cosigned};
use crate::problem::{Check, Problem, Problems};

/// What no audit can rule out where nobody else watched.
pub const COLLUSION: &str = "that both states rewrote their logs together is not excluded without an independent \
                             witness or an earlier pinned checkpoint";

/// Folder of the last checkpoints of foreign logs that the exporter's witness cosigned.
const WITNESSED: &str = "witnessed/";

/// Checks what the exporter's witness says that it cosigned.
pub(super) fn witnessed(bundle: &Bundle, book: &KeyBook, logs: &[CheckedLog], problems: &mut Problems) {
    let paths: Vec<String> = bundle.below(WITNESSED).map(str::to_owned).collect();
    let node = &bundle.manifest().node;
    for path in paths {
        let Some(bytes) = bundle.read(&path, MAX_FILE, problems) else { continue };
        let bad = |text: &str, reason| Problem::new(Check::Witness, text).because(reason).at(&path);
        let signed = match parse(&bytes) {
            Ok(signed) => signed,
            Err(text) => {
                problems.push(bad(&text, "WITNESSED_INVALID"));
                continue;
            }
        };
        let head = signed.checkpoint();
        let folder = log_folder(head.origin());
        let right = folder.strip_prefix("logs/").and_then(|folder| folder.strip_suffix('/'));
        if right != path.strip_prefix(WITNESSED) {
            problems.push(bad("the checkpoint is of another log than its name", "WITNESSED_INVALID"));
        }
        match cosigned(&signed, node, &book.ring(node)) {
            Ok(found) if found.iter().any(|cosigned| !cosigned.mirror) => {}
            Ok(_) => problems.push(bad("the exporter's witness has not cosigned it", "WITNESSED_INVALID")),
            Err(error) => problems.push(bad(&error.to_string(), "WITNESSED_INVALID")),
        }
        let log = logs.iter().find(|log| log.line().name == head.origin());
        if let Some(log) = log
            && head.size() <= log.scanned.readable
            && Roots::new(bundle, &log.scanned).at(head.size()) != Some(head.root())
        {
            let text = "the exporter's witness cosigned another root than the log has at that size";
            problems.push(bad(text, "REWRITTEN").of(head.origin()).entry(head.size().saturating_sub(1)));
        }
    }
}

/// Whether witnesses that are neither state cosigned all logs, as the pack demands. A bundle answers for the exporter's own
/// logs: their entries past the deadline must be covered. Where a later epoch closes one, the cosignatures may be lost with
/// the disk: nobody gives them back. Returns what to say of collusion.
pub(super) fn independent(
    bundle: &Bundle,
    logs: &[&CheckedLog],
    all_logs: &[CheckedLog],
    required: Option<&Quorum>,
    problems: &mut Problems,
) -> Option<String> {
    let Some(quorum) = required else { return Some(COLLUSION.to_owned()) };
    let mut all = !logs.is_empty();
    let node = &bundle.manifest().node;
    let now_ms = told(node, all_logs);
    for log in logs {
        let line = log.line();
        let covered = quorum.covered(bundle, log);
        if covered == line.size {
            continue;
        }
        all = false;
        let closed = all_logs.iter().any(|later| log.continued_by(later));
        if line.origin.issuer == *node && !closed && quorum.overdue(log, covered, now_ms) {
            let text = format!("{} independent witnesses must have cosigned it, and have not in time", quorum.needed);
            let problem = Problem::new(Check::Witness, text).because("WITNESS_QUORUM");
            problems.push(problem.of(&line.name).entry(covered));
        }
    }
    (!all).then(|| COLLUSION.to_owned())
}

/// The last time that a node's own clock tells, in its entries and in what it cosigned; Unix ms.
fn told(node: &str, logs: &[CheckedLog]) -> u64 {
    let of = |log: &CheckedLog| {
        let cosigned = log.heads.iter().map(|head| head.time.saturating_mul(1_000)).max();
        let own = (log.line().origin.issuer == node).then_some(log.counts.last_ms);
        own.into_iter().chain(cosigned.filter(|_| log.line().origin.recipient == node)).max()
    };
    logs.iter().filter_map(of).max().unwrap_or_default()
}

/// Independent witnesses of a pack.
pub(super) struct Quorum {
    /// How many must cosign.
    pub(super) needed: usize,
    /// Their keys.
    pub(super) keys: Vec<convenio_log::VerifierKey>,
    /// Within how long, ms.
    pub(super) deadline_ms: u64,
}

impl Quorum {
    /// Entries that a quorum has cosigned.
    fn covered(&self, bundle: &Bundle, log: &CheckedLog) -> u64 {
        let folder = log_folder(&log.line().name);
        let earlier = format!("{folder}checkpoints/");
        let kept = bundle.below(&earlier).map(str::to_owned);
        let mut sizes = vec![0; self.keys.len()];
        for path in kept.chain([format!("{folder}checkpoint")]) {
            let bytes = bundle.read(&path, MAX_FILE, &mut Problems::default()).unwrap_or_default();
            let Ok(signed) = SignedCheckpoint::parse(&bytes) else { continue };
            let by = |key| convenio_log::cosignature::verify(&signed, key).is_ok();
            let size = signed.checkpoint().size();
            let cosigned = self.keys.iter().zip(&mut sizes).filter(|(key, _)| by(key));
            cosigned.for_each(|(_, known)| *known = size.max(*known));
        }
        sizes.sort_unstable_by(|a: &u64, b| b.cmp(a));
        sizes.get(self.needed.saturating_sub(1)).copied().unwrap_or(0)
    }

    /// Whether the first entry that is not covered was issued longer ago than the deadline.
    fn overdue(&self, log: &CheckedLog, covered: u64, now_ms: u64) -> bool {
        let first = log.scanned.ledger.row(covered).map(|row| row.time_ms);
        first.is_ok_and(|first| now_ms.saturating_sub(first) > self.deadline_ms)
    }
}

/// Reads the policy.
pub(super) fn policy(bundle: &Bundle, path: &str, problems: &mut Problems) -> Option<Policy> {
    let bytes = bundle.read(path, MAX_FILE, problems)?;
    match Policy::parse(&bytes) {
        Ok(policy) => Some(policy),
        Err(error) => {
            problems.push(Problem::new(Check::Policy, error.to_string()).at(path));
            None
        }
    }
}
