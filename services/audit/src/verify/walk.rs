//! One log from its first entry to its last: beginning, positions, digests, keys, decisions.

use std::io;

use super::ids::{Id, Spool, What};
use super::ledger::{Fault, Meta, Rows};
use super::outcomes::{Decision, Decisions};
use super::{CheckedLog, Counts, Kind, partner};
use crate::problem::{Check, Problem, Problems};

/// Entries with which a log begins.
const BEGINNING: [Kind; 4] = [Kind::EpochOpen, Kind::Ratify, Kind::Ratify, Kind::Activate];

/// Entries with which a log begins whose issuer ratified alone.
const ALONE: [Kind; 3] = [Kind::EpochOpen, Kind::Ratify, Kind::Activate];

/// Reasons for which a recipient does not keep the parts.
const DROPPED: [&str; 7] =
    ["UNDISCLOSED", "PART_MISSING", "COMMITMENT_MISMATCH", "NON_CANONICAL", "SCHEMA", "QUOTA", "NOT_IN_FORCE"];

/// What a walk found.
#[derive(Default)]
pub(super) struct Walked {
    pub(super) counts: Counts,
    pub(super) problems: Problems,
    pub(super) findings: Problems,
}

/// Walks a log; its entries go to `ids`. `digests` are the packs as the ledger counts them.
pub(super) fn walk(
    (log, at): (&CheckedLog, usize),
    logs: &[CheckedLog],
    digests: &[[u8; 32]],
    exporter: &str,
    ids: &Spool,
) -> io::Result<Walked> {
    // An issuer keeps the parts of what was rejected, unless it had to have its log from the partner, who does not.
    let kept = log.line().origin.issuer == exporter && !logs.iter().any(|later| log.continued_by(later));
    let mut state = Walk { log, logs, digests, out: Walked::default(), peer: (0, 0), active: 0, alone: false };
    let mut rows = Rows::new(&log.scanned.ledger, log.scanned.readable);
    let mut decisions = log.outcomes.as_ref().map(Decisions::new);
    let mut batch = ids.batch();
    for index in 0..log.scanned.readable {
        let Some(meta) = rows.at(index)? else { break };
        let counts = index < log.effective;
        let record = matches!(meta.kind, Kind::Record | Kind::Unreadable);
        let decision = match &mut decisions {
            Some(decisions) if record && counts => decisions.of(index)?,
            _ => Decision::Undecided,
        };
        let void = log.void(index, meta);
        if counts {
            state.entry(meta, index, void, &decision);
        }
        let dropped = void.is_some()
            || match (&decision, &log.outcomes) {
                (Decision::Rejected(_, reason), Some(outcomes)) if !kept => DROPPED.contains(&outcomes.reason(*reason)),
                _ => false,
            };
        if meta.fault != Fault::NonCanonical {
            let what = What::Entry {
                missing: meta.missing,
                parts: meta.parts,
                dropped,
                superseded: !counts,
                peer: meta.peer,
                time_ms: meta.time_ms,
            };
            batch.push(&Id::new(&meta.record_id, at, index, what))?;
        }
    }
    batch.flush()?;
    Ok(state.out)
}

struct Walk<'w> {
    log: &'w CheckedLog,
    logs: &'w [CheckedLog],
    digests: &'w [[u8; 32]],
    out: Walked,
    peer: (u64, u64),
    active: usize,
    alone: bool,
}

impl Walk<'_> {
    fn problem(&self, check: Check, index: u64, reason: &'static str, text: &str) -> Problem {
        Problem::new(check, text).because(reason).of(&self.log.line().name).entry(index)
    }

    fn bad(&mut self, check: Check, index: u64, reason: &'static str, text: &str) {
        let problem = self.problem(check, index, reason, text);
        self.out.problems.push(problem);
    }

    fn entry(&mut self, meta: &Meta, index: u64, void: Option<&'static str>, decision: &Decision) {
        self.out.counts.last_ms = if meta.time_ms > 0 { meta.time_ms } else { self.out.counts.last_ms };
        self.beginning(meta, index);
        if let Some(reason) = void {
            return self.void(meta, index, reason, decision);
        }
        self.position(meta, index);
        self.digest(meta, index);
        if meta.kind != Kind::Record {
            return;
        }
        self.out.counts.records += 1;
        match decision {
            Decision::Accepted(_) => self.out.counts.accepted += 1,
            Decision::Rejected(..) => self.out.counts.rejected += 1,
            Decision::Undecided if index < self.log.judged => {
                let text = "the partner says that it judged this record, and gave no outcome";
                self.bad(Check::Outcome, index, "NO_OUTCOME", text);
            }
            Decision::Undecided => {}
        }
    }

    /// An entry that says nothing: its issuer's fault, and no fault of the pair if its recipient said so.
    fn void(&mut self, meta: &Meta, index: u64, reason: &'static str, decision: &Decision) {
        let text = void_text(reason);
        let check = match reason {
            "HEADER" | "BODY" => Check::Statement,
            "REVOKED_KEY" | "KEY_NOT_VALID" => Check::Keys,
            _ => Check::Entry,
        };
        let problem = self.problem(check, index, reason, text);
        let record = matches!(meta.kind, Kind::Record | Kind::Unreadable);
        let passed = match decision {
            Decision::Rejected(..) => true,
            Decision::Accepted(_) => false,
            // What is no RECORD is not answered; the recipient went past it without acting on it.
            Decision::Undecided => !record && index < self.log.judged && index >= BEGINNING.len() as u64,
        };
        if record {
            self.out.counts.records += 1;
            self.out.counts.rejected += u64::from(matches!(decision, Decision::Rejected(..)));
        }
        if passed || (reason == "REVOKED_KEY" && index >= BEGINNING.len() as u64) {
            self.out.findings.push(problem);
        } else {
            self.out.problems.push(problem);
        }
    }

    fn beginning(&mut self, meta: &Meta, index: u64) {
        // Of an agreement whose other party takes no part yet; whether it is one, ACTIVATE is checked for.
        self.alone |= index == 2 && meta.kind == Kind::Activate;
        let beginning = if self.alone { ALONE.as_slice() } else { BEGINNING.as_slice() };
        let expected = usize::try_from(index).ok().and_then(|index| beginning.get(index));
        if expected.is_some_and(|kind| *kind != meta.kind) {
            self.bad(Check::Sequence, index, "BEGINNING", "a log begins EPOCH_OPEN, RATIFY, RATIFY, ACTIVATE");
        } else if expected.is_none() && meta.kind == Kind::EpochOpen {
            self.bad(Check::Sequence, index, "BEGINNING", "EPOCH_OPEN within a log");
        }
    }

    fn position(&mut self, meta: &Meta, index: u64) {
        if self.log.line().origin.epoch > 1 && index == BEGINNING.len() as u64 {
            // What is re-issued keeps the position that it had in the epoch before.
            self.peer = (0, 0);
        }
        if meta.peer.1 == 0 && self.peer == (0, 0) {
            return;
        }
        if meta.peer < self.peer {
            self.bad(Check::Sequence, index, "POSITION_BACK", "its position in the partner's log goes back");
        }
        self.peer = meta.peer.max(self.peer);
        match partner(self.log, self.logs, meta.peer.0) {
            None => {
                let text = "its position is in a log that is not in the bundle";
                self.bad(Check::Sequence, index, "POSITION_UNKNOWN", text);
            }
            Some(partner) if meta.peer.1 > partner.line().size => {
                let text = "its position is past the end of the partner's log";
                self.bad(Check::Sequence, index, "POSITION_PAST_END", text);
            }
            Some(_) => {}
        }
    }

    fn digest(&mut self, meta: &Meta, index: u64) {
        let activations = &self.log.activations;
        while activations.get(self.active).is_some_and(|(from, _)| *from < index) {
            self.active += 1;
        }
        let in_force = self.active.checked_sub(1).map(|at| activations[at].1);
        let own = usize::from(meta.digest).checked_sub(1).and_then(|at| self.digests.get(at)).copied();
        let right = match meta.kind {
            Kind::EpochOpen => meta.digest == 0,
            // What brings a version into force may name it already.
            Kind::Ratify | Kind::Activate => meta.digest == 0 || own.is_some(),
            _ => own.is_some() && own == in_force,
        };
        if !right {
            let text = "not issued under the agreement digest in force";
            self.bad(Check::Statement, index, "NOT_IN_FORCE", text);
        }
    }
}

/// What makes an entry void, for people.
pub(super) fn void_text(reason: &str) -> &'static str {
    match reason {
        "BAD_SIGNATURE" => "its signature does not verify, or it has not exactly one",
        "UNKNOWN_KEY" => "signed by a key that no manifest of its issuer names",
        "NON_CANONICAL" => "not the canonical form of an entry",
        "HEADER" => "a statement of another log, issuer or recipient, or of an unknown form",
        "KEY_NOT_VALID" => "signed by a key that is not the one in force at its index",
        "REVOKED_KEY" => "signed by a key that was revoked before its index",
        _ => "a body that this version does not know, or whose commitments are none",
    }
}

impl Fault {
    /// Its stable code; none where there is no fault.
    pub(crate) fn reason(self) -> Option<&'static str> {
        match self {
            Self::None => None,
            Self::BadSignature => Some("BAD_SIGNATURE"),
            Self::UnknownKey => Some("UNKNOWN_KEY"),
            Self::NonCanonical => Some("NON_CANONICAL"),
            Self::Header => Some("HEADER"),
            Self::Body => Some("BODY"),
        }
    }
}
