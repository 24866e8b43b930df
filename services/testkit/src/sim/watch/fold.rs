//! The meaning: each side's logs, entry by entry, by the small model.

use convenio_wire::exchange::v1::{Outcome, Position};

use super::{End, Seen, Violation, at, need};
use crate::sim::model::{Act, Open};
use crate::sim::suspend::goes_on;

impl End {
    /// Own entries in order, each after the other side's entries below its peer position.
    pub(super) fn fold(&mut self, other: &End) -> Result<(), Violation> {
        for index in self.folded.0..self.own.len() {
            if let Some(outcome) = self.own[index].outcome.clone() {
                self.decides(&outcome, other).map_err(|what| format!("own entry {index}: {what}"))?;
            }
            if let Some(Position { epoch, size }) = self.own[index].entangles {
                let size = other.number(epoch, size);
                need(size > self.entangled, || format!("PEER_CHECKPOINT {size} after {}", self.entangled))?;
                need(size <= self.mirrored, || "a PEER_CHECKPOINT of more than is mirrored".to_owned())?;
                self.entangled = size;
            }
        }
        while self.folded.0 < self.own.len() {
            let index = self.folded.0;
            let (peer, act) = (self.own[index].peer, self.own[index].act.clone());
            let peer = other.number(peer.epoch, peer.size);
            need(peer >= self.folded.1, || format!("own entry {index}: its peer position goes back to {peer}"))?;
            self.absorb_to(peer, other)?;
            if let Some(act) = act {
                need(!self.halted(index, other), || format!("own entry {index}: {} while suspended", act.name))?;
                self.issued(&act).map_err(|what| format!("own entry {index}: {} {what}", act.name))?;
            }
            self.folded.0 += 1;
        }
        self.absorb_to(self.judged, other)
    }

    /// An act must be one that the rules left open to its issuer by what it knew.
    fn issued(&mut self, act: &Act) -> Result<(), Violation> {
        if act.kind != convenio_agreement::act::Kind::Notice {
            let open = self.model.gate(&act.name, act.subject, &act.said);
            let said = Open { kind: act.kind, number: act.number, known: act.known.clone() };
            need(open.as_ref() == Ok(&said), || format!("says {said:?} and the rules say {open:?}"))?;
        }
        self.model.issue(act);
        Ok(())
    }

    /// One outcome for each RECORD, in order, about what is mirrored.
    fn decides(&mut self, outcome: &Outcome, other: &End) -> Result<(), Violation> {
        let (begin, end) = (other.number(outcome.epoch, outcome.begin), other.number(outcome.epoch, outcome.end));
        need(end <= self.judged, || "decides what is not judged".to_owned())?;
        for index in begin..end {
            if !other.own.get(at(index)).is_some_and(|e| e.is_record) {
                continue;
            }
            let reason = outcome.rejects.iter().find(|r| other.number(outcome.epoch, r.index) == index);
            let earlier = self.decided.insert(index, reason.map(|r| r.reason.clone()));
            need(earlier.is_none(), || format!("entry {index} is decided twice"))?;
        }
        Ok(())
    }

    fn absorb_to(&mut self, end: u64, other: &End) -> Result<(), Violation> {
        while self.folded.1 < end {
            let index = self.folded.1;
            let entry = other.own.get(at(index)).ok_or("a peer position past the other log")?;
            if let Some(outcome) = &entry.outcome {
                self.resolved(outcome);
            }
            if let Some(act) = &entry.act {
                let halted = other.halted(at(index), self);
                self.judge(index, act, halted)
                    .map_err(|what| format!("mirrored entry {index}: {} {what}", act.name))?;
            }
            self.folded.1 += 1;
        }
        Ok(())
    }

    fn resolved(&mut self, outcome: &Outcome) {
        for index in outcome.begin..outcome.end {
            let Some(entry) = self.own.get(at(self.number(outcome.epoch, index))) else { continue };
            if let Some(act) = &entry.act {
                let accepted = !outcome.rejects.iter().any(|r| r.index == index);
                self.model.resolve(act.subject, entry.record, accepted);
            }
        }
    }

    /// Whether the agreement is suspended for whoever has `own` entries here and knows `peer` of the other side's.
    pub fn suspended(&self, own: usize, other: &End, peer: u64) -> bool {
        let last = |log: &[Seen]| log.iter().rev().find_map(|entry| entry.suspends).unwrap_or(false);
        last(&self.own[..own]) || last(&other.own[..at(peer).min(other.own.len())])
    }

    /// Whether an own act was not this side's to issue, by the orders that it knew.
    fn halted(&self, index: usize, other: &End) -> bool {
        let entry = &self.own[index];
        let Some(act) = &entry.act else { return false };
        let peer = other.number(entry.peer.epoch, entry.peer.size);
        !goes_on(&self.pack, &act.name) && self.suspended(index, other, peer)
    }

    fn judge(&mut self, index: u64, act: &Act, halted: bool) -> Result<(), Violation> {
        let Some(decision) = self.decided.get(&index) else { return Err("was judged without a decision".to_owned()) };
        if decision.as_deref() == Some("PART_MISSING") {
            return need(self.incomplete.contains(&index), || "was said to lack a part that came".to_owned());
        }
        let verdict = if halted { Err("SUSPENDED") } else { self.model.verdict(act) };
        let same = decision.as_deref() == verdict.err();
        need(same, || format!("was decided {decision:?} and the rules say {verdict:?}"))?;
        if verdict.is_ok() {
            self.model.accept(act);
        }
        Ok(())
    }
}
