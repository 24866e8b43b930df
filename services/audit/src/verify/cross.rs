//! One log against the other: outcomes, entangled checkpoints, erased parts.

use std::collections::HashSet;

use convenio_wire::exchange::v1::Outcome;

use super::chunk::Special;
use super::log::root_at;
use super::sequence::{partner, partner_at};
use super::{CheckedLog, Decision, Kind};
use crate::problem::{Check, Problem, Problems};

/// Reasons for which a recipient does not keep the parts.
const DROPPED: [&str; 6] = ["UNDISCLOSED", "PART_MISSING", "COMMITMENT_MISMATCH", "NON_CANONICAL", "SCHEMA", "QUOTA"];

/// Reads the OUTCOMEs of every log into the decisions of the other.
pub(super) fn decide(logs: &mut [CheckedLog], problems: &mut Problems) {
    for at in 0..logs.len() {
        let mut last = (0, 0);
        let specials = std::mem::take(&mut logs[at].specials);
        for (index, special) in &specials {
            let Special::Outcome(outcome) = special else { continue };
            let bad = |text: &str| Problem::new(Check::Outcome, text).of(&logs[at].line.name).entry(*index);
            let Some(of) = partner_at(&logs[at], logs, outcome.epoch) else {
                problems.push(bad("an outcome about a log that is not in the bundle"));
                continue;
            };
            if let Err(text) = check_range(&logs[of], outcome, last) {
                problems.push(bad(text));
                continue;
            }
            last = (outcome.epoch, outcome.end);
            apply(&mut logs[of], outcome);
        }
        logs[at].specials = specials;
    }
}

fn check_range(judged: &CheckedLog, outcome: &Outcome, last: (u64, u64)) -> Result<(), &'static str> {
    let ensure = |holds: bool, text| if holds { Ok(()) } else { Err(text) };
    ensure(outcome.begin < outcome.end, "an outcome about an empty range")?;
    ensure(outcome.end <= judged.metas.len() as u64, "an outcome past the end of the partner's log")?;
    ensure((outcome.epoch, outcome.begin) >= last, "a second outcome about the same entries, or out of order")?;
    let commitments = if outcome.rejects.is_empty() { 0 } else { 1 };
    ensure(outcome.commitments.len() <= commitments, "details of an outcome that rejects nothing")?;
    let mut before = None;
    for reject in &outcome.rejects {
        let inside = (outcome.begin..outcome.end).contains(&reject.index);
        ensure(inside, "a rejection outside the outcome's range")?;
        ensure(before.is_none_or(|before| before < reject.index), "rejections out of order")?;
        before = Some(reject.index);
        let kind = usize::try_from(reject.index).ok().and_then(|at| judged.metas.get(at)).map(|meta| meta.kind);
        ensure(matches!(kind, Some(Kind::Record | Kind::Unreadable)), "a rejection of what is no RECORD")?;
        let code = !reject.reason.is_empty() && reject.reason.len() <= 64;
        let code = code && reject.reason.bytes().all(|b| b.is_ascii_uppercase() || b == b'_');
        ensure(code, "a rejection without a reason's code")?;
    }
    Ok(())
}

fn apply(judged: &mut CheckedLog, outcome: &Outcome) {
    let range = outcome.begin as usize..outcome.end as usize;
    for at in range {
        if judged.metas[at].kind == Kind::Record {
            judged.decisions[at] = Decision::Accepted;
        }
    }
    for reject in &outcome.rejects {
        judged.decisions[reject.index as usize] = Decision::Rejected;
        judged.reasons.insert(reject.index, reject.reason.clone());
    }
}

pub(super) fn check(log: &CheckedLog, logs: &[CheckedLog], problems: &mut Problems) {
    judged(log, logs, problems);
    peer_checkpoints(log, logs, problems);
    missing_parts(log, logs, problems);
}

/// What the issuer says it had judged has an outcome: both are one commit.
fn judged(log: &CheckedLog, logs: &[CheckedLog], problems: &mut Problems) {
    let Some((epoch, size)) = log.metas.iter().map(|meta| meta.peer).max() else { return };
    let Some(partner) = partner(log, logs, epoch) else { return };
    let size = usize::try_from(size).unwrap_or(usize::MAX).min(partner.metas.len());
    let open = |at: &usize| partner.metas[*at].kind == Kind::Record && partner.decisions[*at] == Decision::Undecided;
    if let Some(at) = (0..size).find(open) {
        let text = "the partner says that it judged this record, and gave no outcome";
        problems.push(Problem::new(Check::Outcome, text).of(&partner.line.name).entry(at as u64));
    }
}

fn peer_checkpoints(log: &CheckedLog, logs: &[CheckedLog], problems: &mut Problems) {
    let mut last = 0;
    let at = logs.iter().map(|other| other.line.clone()).collect::<Vec<_>>();
    let Some(partner) = crate::keys::partner_of(&at, &log.line).map(|at| &logs[at]) else { return };
    for (index, special) in &log.specials {
        let Special::PeerCheckpoint { size, root } = special else { continue };
        let text = if *size <= last {
            "an entangled checkpoint that goes back or repeats"
        } else if *size > partner.tree.size() {
            "an entangled checkpoint is past the end of the partner's log: that log is truncated"
        } else if root_at(&partner.tree, *size) != Some(*root) {
            "an entangled checkpoint has another root than the partner's log: that log was rewritten"
        } else {
            last = *size;
            continue;
        };
        problems.push(Problem::new(Check::PeerCheckpoint, text).of(&log.line.name).entry(*index));
    }
}

/// A part that is not there was erased by an ERASE in one of the logs, or never stored because of its rejection.
fn missing_parts(log: &CheckedLog, logs: &[CheckedLog], problems: &mut Problems) {
    if log.metas.iter().all(|meta| meta.missing == 0) {
        return;
    }
    let specials = logs.iter().flat_map(|log| &log.specials);
    let erased: HashSet<(&[u8], u32)> = specials
        .filter_map(|(_, special)| match special {
            Special::Erase { record_id, part } => Some((record_id.as_slice(), *part)),
            _ => None,
        })
        .collect();
    for (meta, index) in log.metas.iter().zip(0u64..).filter(|(meta, _)| meta.missing != 0) {
        if log.reasons.get(&index).is_some_and(|reason| DROPPED.contains(&reason.as_str())) {
            continue;
        }
        for part in (0..u32::from(meta.parts.min(16))).filter(|part| meta.missing & (1 << part) != 0) {
            if !erased.contains(&(meta.record_id.as_slice(), part)) {
                let text = format!("part {part} is missing and no ERASE orders it");
                problems.push(Problem::new(Check::Parts, text).of(&log.line.name).entry(index));
            }
        }
    }
}
