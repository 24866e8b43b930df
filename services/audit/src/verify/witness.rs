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

/// Whether witnesses that are neither state cosigned the heads of all logs, as the pack demands. Returns what to say of
/// collusion.
pub(super) fn independent(
    bundle: &Bundle,
    logs: &[&CheckedLog],
    required: Option<&Quorum>,
    problems: &mut Problems,
) -> Option<String> {
    let Some(quorum) = required else { return Some(COLLUSION.to_owned()) };
    let mut all = !logs.is_empty();
    for log in logs {
        let path = format!("{}checkpoint", log_folder(&log.line().name));
        let bytes = bundle.read(&path, MAX_FILE, &mut Problems::default()).unwrap_or_default();
        let signed = SignedCheckpoint::parse(&bytes).ok();
        let count = signed.map_or(0, |signed| quorum.count(&signed));
        if count < quorum.needed {
            all = false;
            let text = format!("{count} independent witnesses cosigned its head, {} must", quorum.needed);
            problems.push(Problem::new(Check::Witness, text).because("WITNESS_QUORUM").of(&log.line().name));
        }
    }
    (!all).then(|| COLLUSION.to_owned())
}

/// Independent witnesses of a pack.
pub(super) struct Quorum {
    /// How many must cosign.
    pub(super) needed: usize,
    /// Their keys.
    pub(super) keys: Vec<convenio_log::VerifierKey>,
}

impl Quorum {
    fn count(&self, signed: &SignedCheckpoint) -> usize {
        let by = |key: &&convenio_log::VerifierKey| convenio_log::cosignature::verify(signed, key).is_ok();
        self.keys.iter().filter(by).count()
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
