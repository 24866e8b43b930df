//! What the entries of a log that are no RECORD say, in order: agreements in force, decisions, erasures.

use std::collections::BTreeMap;
use std::io;

use convenio_agreement::Pack;
use convenio_agreement::standing::Given;
use convenio_seal::origin::LogOrigin;
use convenio_seal::root::RatifiedBy;
use convenio_seal::{TrustFile, check_counts, verify_ratify};
use convenio_wire::MAX_OUTCOME;
use convenio_wire::exchange::v1::statement::Body;
use convenio_wire::exchange::v1::{AgreementOrder, Outcome, Ratify, Statement};

use super::ids::{Batch, Id, What};
use super::ledger::Rows;
use super::orders;
use super::outcomes::Recorder;
use super::{CheckedLog, Kind, partner_at};
use crate::problem::{Check, Problem, Problems};

/// What the pass over all logs needs and writes.
pub(super) struct Pass<'p> {
    pub(super) packs: &'p BTreeMap<[u8; 32], Pack>,
    pub(super) trust: &'p TrustFile,
    /// Decisions about each log.
    pub(super) recorders: Vec<Recorder>,
    /// Last decision about each log: one past its range.
    pub(super) decided: Vec<u64>,
    pub(super) ids: Batch<'p>,
    pub(super) problems: &'p mut Problems,
    pub(super) findings: &'p mut Problems,
}

/// What one log activates, from index on.
pub(super) type Activations = Vec<(u64, [u8; 32])>;

/// What the epochs before one ended with.
#[derive(Default, Clone, Copy)]
pub(super) struct Before {
    /// Version in force.
    pub(super) version: Option<[u8; 32]>,
    /// Number of the last order.
    pub(super) order: u64,
}

/// What one log says of versions and orders.
#[derive(Default)]
pub(super) struct Spoken {
    pub(super) active: Activations,
    pub(super) orders: Vec<(u64, Given)>,
    pub(super) echoes: Vec<AgreementOrder>,
}

impl Pass<'_> {
    /// Reads one log; those of one direction come in the order of their epochs, each with what those before
    /// it ended with.
    pub(super) fn log(&mut self, at: usize, logs: &[CheckedLog], before: Before) -> io::Result<Spoken> {
        let log = &logs[at];
        let mut state = State { log, ratified: Vec::new(), active: Vec::new(), before };
        let mut spoken = Spoken::default();
        let mut rows = Rows::new(&log.scanned.ledger, log.scanned.readable);
        let mut last = (0, 0);
        for special in log.scanned.all_specials() {
            let (index, statement) = special?;
            if index >= log.effective || rows.at(index)?.is_none_or(|row| log.void(index, row).is_some()) {
                continue;
            }
            let bad = |check, text: String, reason| {
                Problem::new(check, text).because(reason).of(&log.line().name).entry(index)
            };
            match statement.body {
                Some(Body::Ratify(ratify)) => {
                    if let Err((text, reason)) = state.ratify(&ratify, self.trust, self.packs, statement.time_ms) {
                        self.problems.push(bad(Check::Agreement, text, reason));
                    }
                }
                Some(Body::Activate(activate)) => match state.activated(&activate.digest, self.packs) {
                    Ok(digest) => state.active.push((index, digest)),
                    Err(text) => self.problems.push(bad(Check::Agreement, text.into(), "ACTIVATION")),
                },
                Some(Body::Outcome(outcome)) => {
                    if let Err(text) = self.outcome(at, index, &outcome, logs)? {
                        self.problems.push(bad(Check::Outcome, text.into(), "OUTCOME"));
                    }
                }
                Some(Body::PeerCheckpoint(peer)) => {
                    let head = head_of(&peer.note);
                    if head.is_none_or(|head| head <= last) {
                        let text = "an entangled checkpoint that goes back or repeats".to_owned();
                        self.problems.push(bad(Check::PeerCheckpoint, text, "CHECKPOINT_ORDER"));
                    }
                    last = head.unwrap_or(last).max(last);
                }
                Some(Body::Erase(erase)) => {
                    let what = What::Erase { part: erase.part, time_ms: statement.time_ms };
                    self.ids.push(&Id::new(&erase.record_id, at, index, what))?;
                }
                Some(Body::EraseAnswer(answer)) => {
                    let erased = answer.answer == "ERASED";
                    if !erased && answer.answer != "REFUSED" {
                        self.problems.push(bad(Check::Erasure, "an answer that is none".into(), "ERASE_ANSWER"));
                    }
                    let what = What::Answer { part: answer.part, erased, time_ms: statement.time_ms };
                    self.ids.push(&Id::new(&answer.record_id, at, index, what))?;
                }
                Some(body @ (Body::Suspend(_) | Body::Resume(_) | Body::Terminate(_))) => {
                    let said = Statement { body: Some(body), ..statement };
                    orders::read(log, index, &said, (self.trust, self.packs), before.order, &mut spoken)
                        .unwrap_or_else(|wrong| {
                            let problem = bad(Check::Agreement, wrong.text, wrong.reason);
                            if wrong.void { self.findings.push(problem) } else { self.problems.push(problem) }
                        });
                }
                _ => {}
            }
        }
        Ok(Spoken { active: state.active, ..spoken })
    }

    fn outcome(
        &mut self,
        at: usize,
        index: u64,
        outcome: &Outcome,
        logs: &[CheckedLog],
    ) -> io::Result<Result<(), &'static str>> {
        let Some(of) = partner_at(&logs[at], logs, outcome.epoch) else {
            return Ok(Err("an outcome about a log that is not in the bundle"));
        };
        if let Err(text) = check_range(&logs[of], outcome, self.decided[of])? {
            return Ok(Err(text));
        }
        self.decided[of] = outcome.end;
        self.recorders[of].add(outcome, (at as u32, index))?;
        Ok(Ok(()))
    }
}

fn check_range(judged: &CheckedLog, outcome: &Outcome, last: u64) -> io::Result<Result<(), &'static str>> {
    let commitments = if outcome.rejects.is_empty() { 0 } else { 1 };
    let range = [
        (outcome.begin < outcome.end, "an outcome about an empty range"),
        (outcome.end.saturating_sub(outcome.begin) <= MAX_OUTCOME, "an outcome about more entries than one may cover"),
        (outcome.end <= judged.scanned.readable, "an outcome past the end of the partner's log"),
        (outcome.begin >= last, "a second outcome about the same entries, or out of order"),
        (outcome.commitments.len() <= commitments, "details of an outcome that rejects nothing"),
    ];
    if let Some((_, text)) = range.iter().find(|(holds, _)| !holds) {
        return Ok(Err(text));
    }
    let mut rows = Rows::new(&judged.scanned.ledger, judged.scanned.readable);
    let mut before = None;
    for reject in &outcome.rejects {
        if !(outcome.begin..outcome.end).contains(&reject.index) {
            return Ok(Err("a rejection outside the outcome's range"));
        }
        if before.is_some_and(|before| before >= reject.index) {
            return Ok(Err("rejections out of order"));
        }
        before = Some(reject.index);
        let kind = rows.at(reject.index)?.map(|row| row.kind);
        if !matches!(kind, Some(Kind::Record | Kind::Unreadable)) {
            return Ok(Err("a rejection of what is no RECORD"));
        }
        let code = !reject.reason.is_empty() && reject.reason.len() <= 64;
        if !code || !reject.reason.bytes().all(|b| b.is_ascii_uppercase() || b == b'_') {
            return Ok(Err("a rejection without a reason's code"));
        }
    }
    Ok(Ok(()))
}

/// Epoch and size of a checkpoint, before its signatures are looked at: a later epoch begins anew.
fn head_of(note: &[u8]) -> Option<(u64, u64)> {
    let mut lines = note.split(|byte| *byte == b'\n').map(|line| std::str::from_utf8(line).ok());
    let origin: LogOrigin = lines.next()??.parse().ok()?;
    Some((origin.epoch, lines.next()??.parse().ok()?))
}

struct State<'s> {
    log: &'s CheckedLog,
    /// Party, digest and the party's node.
    ratified: Vec<(String, [u8; 32], String)>,
    active: Activations,
    before: Before,
}

impl State<'_> {
    fn ratify(
        &mut self,
        ratify: &Ratify,
        trust: &TrustFile,
        packs: &BTreeMap<[u8; 32], Pack>,
        time_ms: u64,
    ) -> Result<(), (String, &'static str)> {
        let bad = |error: String| (format!("RATIFY: {error}"), "RATIFICATION");
        let said = RatifiedBy::parse(&ratify.payload).map_err(|error| bad(error.to_string()))?;
        let roots = trust.roots_of(said.party());
        let roots = roots.ok_or_else(|| bad("by a party whose roots the trust file does not name".into()))?;
        let said = verify_ratify(ratify, roots).map_err(|error| bad(error.to_string()))?;
        // Without its pack nothing can be activated either.
        let (here, pack) = (&self.log.line().origin.agreement, packs.get(&said.digest));
        let known = pack.map_or(said.agreement == *here, |pack| {
            said.agreement == pack.agreement() && pack.corridor(here).is_some()
        });
        if !known {
            return Err(bad("of another agreement".into()));
        }
        if let Some(pack) = pack {
            let rule = pack.ratification_rule(said.party());
            let counts = check_counts(&said, &rule, &trust.offices, Some(time_ms));
            counts.map_err(|why| (format!("RATIFY: {why}"), why.reason()))?;
        }
        self.ratified.push((said.party().to_owned(), said.digest, said.node));
        Ok(())
    }

    fn activated(&self, digest: &[u8], packs: &BTreeMap<[u8; 32], Pack>) -> Result<[u8; 32], &'static str> {
        let digest: [u8; 32] = digest.try_into().map_err(|_| "ACTIVATE of something that is no digest")?;
        let pack = packs.get(&digest).ok_or("ACTIVATE of an agreement version that is not in the bundle")?;
        let pack = pack.corridor(&self.log.line().origin.agreement).ok_or("ACTIVATE of another agreement")?;
        let issuer = &self.log.line().origin.issuer;
        let said = |(_, d, node): &&(String, [u8; 32], String)| *d == digest && node == issuer;
        let issuer = self.ratified.iter().find(said).map_or("", |(party, ..)| party);
        let by = |party: &str| self.ratified.iter().any(|(p, d, _)| p == party && *d == digest);
        // A party that takes no part yet need not have ratified, unless the log is its own.
        if pack.ratified_by(issuer).all(by) {
            let last = self.active.last().map(|(_, digest)| *digest).or(self.before.version);
            match last.is_none_or(|last| last == digest || pack.amends() == Some(last)) {
                true => Ok(digest),
                false => Err("ACTIVATE of a version that does not amend the one in force"),
            }
        } else {
            Err("ACTIVATE of what both parties have not ratified")
        }
    }
}
