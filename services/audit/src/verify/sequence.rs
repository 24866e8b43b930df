//! The order of one log: how it begins, which digest is in force, how far its issuer had judged the partner.

use std::collections::{BTreeMap, HashSet};

use convenio_agreement::Pack;
use convenio_seal::root::RatifiedBy;
use convenio_seal::{TrustFile, verify_ratify};

use super::chunk::Special;
use super::{CheckedLog, Kind, Meta};
use crate::problem::{Check, Problem, Problems};

/// Entries with which a log begins.
const BEGINNING: [Kind; 4] = [Kind::EpochOpen, Kind::Ratify, Kind::Ratify, Kind::Activate];

pub(super) fn check(
    log: &CheckedLog,
    logs: &[CheckedLog],
    packs: &BTreeMap<[u8; 32], Pack>,
    trust: &TrustFile,
    problems: &mut Problems,
) {
    let mut state = State { log, packs, trust, ratified: Vec::new(), in_force: None, problems };
    let mut specials = log.specials.iter().peekable();
    let mut ids = HashSet::with_capacity(log.metas.len());
    let mut peer = (0, 0);
    for (meta, index) in log.metas.iter().zip(0u64..) {
        if meta.kind == Kind::Unreadable {
            continue;
        }
        state.beginning(meta, index);
        if !ids.insert(meta.record_id) {
            state.bad(Check::Statement, index, "a record id that an earlier entry has");
        }
        state.position(meta, index, &mut peer, logs);
        state.digest(meta, index);
        if let Some((_, special)) = specials.next_if(|(at, _)| *at == index) {
            state.special(special, index);
        }
    }
}

struct State<'s> {
    log: &'s CheckedLog,
    packs: &'s BTreeMap<[u8; 32], Pack>,
    trust: &'s TrustFile,
    ratified: Vec<(String, [u8; 32])>,
    in_force: Option<[u8; 32]>,
    problems: &'s mut Problems,
}

impl State<'_> {
    fn bad(&mut self, check: Check, index: u64, text: impl Into<String>) {
        self.problems.push(Problem::new(check, text).of(&self.log.line.name).entry(index));
    }

    fn beginning(&mut self, meta: &Meta, index: u64) {
        let expected = usize::try_from(index).ok().and_then(|index| BEGINNING.get(index));
        if expected.is_some_and(|kind| *kind != meta.kind) {
            self.bad(Check::Sequence, index, "a log begins EPOCH_OPEN, RATIFY, RATIFY, ACTIVATE");
        } else if expected.is_none() && meta.kind == Kind::EpochOpen {
            self.bad(Check::Sequence, index, "EPOCH_OPEN within a log");
        }
    }

    fn position(&mut self, meta: &Meta, index: u64, last: &mut (u64, u64), logs: &[CheckedLog]) {
        if meta.peer.1 == 0 && *last == (0, 0) {
            return;
        }
        if meta.peer < *last {
            self.bad(Check::Sequence, index, "its position in the partner's log goes back");
        }
        *last = meta.peer.max(*last);
        match partner(self.log, logs, meta.peer.0) {
            None => self.bad(Check::Sequence, index, "its position is in a log that is not in the bundle"),
            Some(partner) if meta.peer.1 > partner.line.size => {
                self.bad(Check::Sequence, index, "its position is past the end of the partner's log");
            }
            Some(_) => {}
        }
    }

    fn digest(&mut self, meta: &Meta, index: u64) {
        let right = match meta.kind {
            Kind::EpochOpen => meta.digest.is_none(),
            // What brings a version into force may name it already.
            Kind::Ratify | Kind::Activate => {
                meta.digest.is_none_or(|d| Some(d) == self.in_force || self.packs.contains_key(&d))
            }
            _ => meta.digest.is_some() && meta.digest == self.in_force,
        };
        if !right {
            self.bad(Check::Statement, index, "not issued under the agreement digest in force");
        }
    }

    fn special(&mut self, special: &Special, index: u64) {
        match special {
            Special::Ratify(ratify) => {
                let said = RatifiedBy::parse(&ratify.payload).map_err(|error| error.to_string());
                let said = said.and_then(|said| {
                    let roots = self.trust.roots_of(said.party());
                    let roots =
                        roots.ok_or_else(|| "by a party whose roots the trust file does not name".to_owned())?;
                    verify_ratify(ratify, roots).map_err(|error| error.to_string())
                });
                match said {
                    Ok(said) if said.agreement == self.log.line.origin.agreement => {
                        self.ratified.push((said.party().to_owned(), said.digest));
                    }
                    Ok(_) => self.bad(Check::Agreement, index, "RATIFY of another agreement"),
                    Err(text) => self.bad(Check::Agreement, index, format!("RATIFY: {text}")),
                }
            }
            Special::Activate(digest) => match self.activated(digest) {
                Ok(digest) => self.in_force = Some(digest),
                Err(text) => self.bad(Check::Agreement, index, text),
            },
            Special::Outcome(_) | Special::Erase { .. } | Special::PeerCheckpoint { .. } => {}
        }
    }

    fn activated(&self, digest: &[u8]) -> Result<[u8; 32], &'static str> {
        let digest: [u8; 32] = digest.try_into().map_err(|_| "ACTIVATE of something that is no digest")?;
        let pack = self.packs.get(&digest).ok_or("ACTIVATE of an agreement version that is not in the bundle")?;
        if pack.id() != self.log.line.origin.agreement {
            return Err("ACTIVATE of another agreement");
        }
        let by = |party: &str| self.ratified.iter().any(|(p, d)| p == party && *d == digest);
        if pack.parties().iter().all(|party| by(&party.id)) {
            Ok(digest)
        } else {
            Err("ACTIVATE of what both parties have not ratified")
        }
    }
}

/// The log in the other direction of that epoch.
pub(super) fn partner<'l>(log: &CheckedLog, logs: &'l [CheckedLog], epoch: u64) -> Option<&'l CheckedLog> {
    partner_at(log, logs, epoch).map(|at| &logs[at])
}

pub(super) fn partner_at(log: &CheckedLog, logs: &[CheckedLog], epoch: u64) -> Option<usize> {
    let own = &log.line.origin;
    logs.iter().position(|other| {
        let other = &other.line.origin;
        let reverse = other.issuer == own.recipient && other.recipient == own.issuer;
        reverse && other.agreement == own.agreement && other.epoch == epoch
    })
}
