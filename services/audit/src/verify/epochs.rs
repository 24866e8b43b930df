//! The epochs of one direction: each names where the one before ended, and what lies behind that is void.

use convenio_seal::TrustFile;

use super::CheckedLog;
use super::tree::Roots;
use crate::bundle::Bundle;
use crate::problem::{Check, Problem, Problems};

/// The logs of each direction, by place among those of the bundle, in the order of their epochs.
pub(crate) fn chains(logs: &[CheckedLog]) -> Vec<Vec<usize>> {
    let mut chains: Vec<Vec<usize>> = Vec::new();
    for (at, log) in logs.iter().enumerate() {
        let own = &log.line().origin;
        let same = |chain: &&mut Vec<usize>| {
            let other = &logs[chain[0]].line().origin;
            other.issuer == own.issuer && other.agreement == own.agreement && other.recipient == own.recipient
        };
        match chains.iter_mut().find(same) {
            Some(chain) => chain.push(at),
            None => chains.push(vec![at]),
        }
    }
    chains.iter_mut().for_each(|chain| chain.sort_by_key(|at| logs[*at].line().origin.epoch));
    chains
}

/// Checks how the epochs follow each other, and sets how much of each still counts.
pub(super) fn check(bundle: &Bundle, logs: &mut [CheckedLog], problems: &mut Problems) {
    for chain in chains(logs) {
        let first = &logs[chain[0]];
        if first.line().origin.epoch != 1 {
            let text = "the epochs before this one are not in the bundle";
            problems.push(Problem::new(Check::Epoch, text).because("EPOCH_GAP").of(&first.line().name).entry(0));
        }
        for pair in chain.windows(2) {
            link(bundle, logs, pair[0], pair[1], problems);
        }
    }
}

/// Checks that no epoch names less than was mirrored of the one before: what the mirror cosigned, its own word at the
/// mirror, its cosignatures at the issuer, those among them that its log entangles.
pub(super) fn named(bundle: &Bundle, logs: &[CheckedLog], trust: &TrustFile, problems: &mut Problems) {
    for pair in chains(logs).iter().flat_map(|chain| chain.windows(2)) {
        let (closed, next) = (&logs[pair[0]], &logs[pair[1]]);
        let own = closed.line().origin.issuer == bundle.manifest().node;
        let mirrored = if own { closed.delivered } else { closed.line().size };
        let pins = trust.checkpoints.iter().filter(|pin| pin.origin == closed.line().origin).map(|pin| pin.size);
        if next.opening.open.prev_size < pins.max().unwrap_or(0).max(mirrored) {
            let text = "names less of the epoch before than its mirror had cosigned";
            let problem = Problem::new(Check::Epoch, text).because("EPOCH_NAMES_LESS");
            problems.push(problem.of(&next.line().name).entry(0));
        }
    }
}

fn link(bundle: &Bundle, logs: &mut [CheckedLog], before: usize, after: usize, problems: &mut Problems) {
    let open = &logs[after].opening.open;
    let (size, root) = (open.prev_size, open.prev_root.clone());
    let closed = &logs[before];
    let name = logs[after].line().name.clone();
    let bad = |reason, text: &str| Problem::new(Check::Epoch, text).because(reason).of(&name).entry(0);
    if size > closed.line().size {
        problems.push(bad("EPOCH_NAMES_MORE", "names more of the epoch before than there is"));
    } else if Roots::new(bundle, &closed.scanned).at(size).is_some_and(|found| found.as_bytes()[..] != root[..]) {
        problems.push(bad("EPOCH_ROOT", "names another root than the epoch before has at that size"));
    }
    logs[before].effective = logs[before].effective.min(size);
}
