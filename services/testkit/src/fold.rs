//! What one side knows, rebuilt from the two logs that it holds and nothing else (model: `fold`): own entries in order,
//! each after the partner's entries below its `peer` position. Every act is judged again by what was known then, as an
//! audit would: it must have been open to its issuer, disclosed by its stage, and decided as the rules say.

use std::collections::BTreeSet;

use convenio_agreement::Pack;
use convenio_agreement::act::{Content, Incoming, Kind, Local};
use convenio_agreement::lifecycle::StageId;
use convenio_agreement::standing::{Given, OUT_OF_VALIDITY, SUSPENDED, TERMINATED};
use convenio_agreement::view::{RejectedAct, World};
use convenio_exchange::Exchange;
use convenio_model::Ref;
use convenio_seal::order::claimed_order;
use convenio_wire::exchange::v1::{ActKind, Outcome, OutcomeDetail, Part, statement::Body};
use prost::Message;

use crate::ledger::{Entry, Ledger, PartId};

/// Reasons that the rules give; every other one is of the form of an entry.
const MERITS: [&str; 7] = ["GATE", "NOT_GOVERNOR", "SEQUENCE", "QUOTA", SUSPENDED, TERMINATED, OUT_OF_VALIDITY];
const HALTS: [&str; 3] = [SUSPENDED, TERMINATED, OUT_OF_VALIDITY];
const ATTESTED: Local = Local { consent: true, of_age: true, return_offer_shown: true, all_modules: true };

/// A replayed side.
pub struct Folded {
    /// What it knows.
    pub world: World,
    /// Placements with acts whose leading part is gone: nobody can replay them.
    pub unknowable: BTreeSet<Ref>,
    /// Parts that are gone by ERASE.
    pub erased: BTreeSet<PartId>,
}

/// Replays one side of an agreement. The error says what does not hold, and where.
///
/// # Errors
/// What does not hold.
pub fn fold(exchange: &Exchange, ledger: &Ledger) -> Result<Folded, String> {
    let folded = Folded { world: World::default(), unknowable: BTreeSet::new(), erased: ledger.erased() };
    let mut replay = Replay { exchange, ledger, folded, absorbed: 0, decided: 0 };
    for entry in &ledger.own {
        let peer = entry.statement.peer.unwrap_or_default().size;
        if peer < replay.absorbed {
            return Err(format!("own entry {}: its peer position goes back to {peer}", entry.index));
        }
        replay.absorb_to(peer)?;
        replay.own(entry).map_err(|why| format!("own entry {}: {why}", entry.index))?;
    }
    replay.absorb_to(ledger.peer_row.settled)?;
    Ok(replay.folded)
}

struct Replay<'a> {
    exchange: &'a Exchange,
    ledger: &'a Ledger,
    folded: Folded,
    absorbed: u64,
    /// Own entries below are decided.
    decided: u64,
}

impl<'a> Replay<'a> {
    fn absorb_to(&mut self, end: u64) -> Result<(), String> {
        while self.absorbed < end {
            let at = usize::try_from(self.absorbed).map_err(|e| e.to_string())?;
            let entry = self.ledger.peer.get(at).ok_or("a peer position past the mirror")?;
            self.peer(entry).map_err(|why| format!("mirrored entry {}: {why}", entry.index))?;
            self.absorbed += 1;
        }
        Ok(())
    }

    /// An own act must have been open to this side by what it had judged.
    fn own(&mut self, entry: &Entry) -> Result<(), String> {
        if !matches!(entry.statement.body, Some(Body::Record(_))) {
            return Ok(());
        }
        let Some(parts) = entry.kept(&self.folded.erased) else {
            self.folded.unknowable.extend(entry.subject);
            return Ok(());
        };
        let (lead, act, kind, id) = act(self.pack(entry), &parts)?;
        if self.folded.unknowable.contains(&id) {
            return Ok(());
        }
        let pack = self.pack(entry);
        let engine = self.exchange.engine_of(pack);
        self.in_force(entry, &act, true)?;
        let world = &mut self.folded.world;
        if kind == Kind::Notice {
            let content = content(pack, &parts, StageId::FIRST)?;
            engine.take_notice(world, &act, self.exchange.me, id, entry.record_id(), &content);
            return Ok(());
        }
        let prepared = engine.prepare(world, id, &act).map_err(|e| format!("{act} was not open: {e}"))?;
        let said = (kind, lead.placement_sequence, lead.known_state.as_str());
        if said != (prepared.kind, prepared.number, prepared.known_state.as_str()) {
            return Err(format!("{act} says {said:?} and was {prepared:?}"));
        }
        let content = content(pack, &parts, prepared.stage)?;
        engine
            .permit(world, &prepared, lead.event_time_ms, &content, &ATTESTED)
            .map_err(|e| format!("{act} was not permitted: {e}"))?;
        engine.apply_own(world, &prepared, entry.record_id(), lead.event_time_ms, &content);
        Ok(())
    }

    fn peer(&mut self, entry: &Entry) -> Result<(), String> {
        if let Some(outcome) = entry.outcome() {
            self.decisions(outcome, entry);
        } else if entry.is_record() {
            let decisions = Ledger::decisions(&self.ledger.own, entry.index);
            let [decision] = decisions.as_slice() else { return Err(format!("{} decisions", decisions.len())) };
            self.judged(entry, decision.as_deref())?;
        }
        Ok(())
    }

    /// A decision must be the one that the rules give.
    fn judged(&mut self, entry: &Entry, refused: Option<&str>) -> Result<(), String> {
        if refused.is_some_and(|reason| !MERITS.contains(&reason)) {
            return Ok(());
        }
        let Some(parts) = entry.kept(&self.folded.erased) else {
            let lead = (entry.record_id(), 0);
            if !self.folded.erased.contains(&lead) {
                return Err("judged without all its parts".to_owned());
            }
            self.folded.unknowable.extend(entry.subject);
            return Ok(());
        };
        let pack = self.pack(entry);
        let (lead, act, kind, id) = act(pack, &parts)?;
        if self.folded.unknowable.contains(&id) {
            return Ok(());
        }
        if refused.is_some_and(|reason| HALTS.contains(&reason)) {
            return match self.halts(entry, &act, false) {
                halts if halts == refused => Ok(()),
                halts => Err(format!("{act} was decided {refused:?}, the orders say {halts:?}")),
            };
        }
        self.in_force(entry, &act, false)?;
        let engine = self.exchange.engine_of(pack);
        let stage = engine.stage_of(&self.folded.world, id, &act, kind);
        let content = content(pack, &parts, stage)?;
        let incoming = Incoming {
            record_id: entry.record_id(),
            issuer: self.exchange.me.other(),
            act: &act,
            kind,
            subject: id,
            number: lead.placement_sequence,
            event_time_ms: lead.event_time_ms,
            known_state: &lead.known_state,
            content: &content,
        };
        let verdict = engine.judge(&self.folded.world, &incoming);
        if verdict.as_ref().err().map(|e| e.reason()) != refused {
            return Err(format!("{act} was decided {refused:?}, the rules say {verdict:?}"));
        }
        if verdict.is_ok() {
            engine.apply_peer(&mut self.folded.world, &incoming);
        }
        Ok(())
    }

    fn decisions(&mut self, outcome: &Outcome, entry: &Entry) {
        if outcome.begin < self.decided || outcome.end > self.ledger.own_row.size {
            return;
        }
        self.decided = outcome.end;
        let detail = entry.decoded().and_then(|p| OutcomeDetail::decode(p.first()?.message.as_slice()).ok());
        let details = detail.unwrap_or_default().rejects;
        // What is sealed counts from the beginning of its epoch.
        let start = self.ledger.own.iter().find(|e| e.epoch == outcome.epoch).map_or(0, |first| first.index);
        let own = self.ledger.own.iter().filter(|e| (outcome.begin..outcome.end).contains(&e.index) && e.is_record());
        for record in own {
            let lead = record.parts.first().and_then(|p| Part::decode(p.as_ref()?.part.as_slice()).ok());
            let Some(lead) = lead.filter(|lead| lead.subject_ref.starts_with("placements/")) else { continue };
            let Some(id) = subject(&lead) else { continue };
            let reject = outcome.rejects.iter().find(|r| r.index == record.index);
            let rejected = reject.map(|reject| {
                let detail = details.iter().find(|d| d.index + start == record.index).cloned().unwrap_or_default();
                RejectedAct::new(record.record_id(), &reject.reason, detail.into())
            });
            self.exchange.engine_of(self.pack(record)).resolve(
                &mut self.folded.world,
                id,
                record.record_id(),
                rejected,
            );
        }
    }

    /// The version under which an entry was issued.
    fn pack(&self, entry: &Entry) -> &'a Pack {
        self.exchange.version(&entry.statement.agreement_digest).unwrap_or_else(|| self.exchange.pack())
    }

    fn in_force(&self, entry: &Entry, act: &str, own: bool) -> Result<(), String> {
        self.halts(entry, act, own).map_or(Ok(()), |reason| Err(format!("{act} went on: {reason}")))
    }

    /// Why an act was not in force, by the orders in the logs: those of the issuer's own party before the entry, and those of
    /// the other's below its `peer`. Read here a second time, from the entries alone.
    fn halts(&self, entry: &Entry, act: &str, own: bool) -> Option<&'static str> {
        let (own_party, partner) = (&self.exchange.own_party, &self.exchange.partner_party);
        let (log, by, other, by_other) = match own {
            true => (&self.ledger.own, own_party, &self.ledger.peer, partner),
            false => (&self.ledger.peer, partner, &self.ledger.own, own_party),
        };
        let peer = entry.statement.peer.unwrap_or_default();
        // What is sealed counts from the beginning of its epoch.
        let start = other.iter().find(|e| e.epoch == peer.epoch).map_or(0, |first| first.index);
        let known = |log: &[Entry], party: &str, end: u64| -> Vec<Given> {
            let mut last = 0;
            let orders = log.iter().take_while(|e| e.index < end).filter_map(|e| {
                let order = claimed_order(e.statement.body.as_ref()?)?;
                let counts = order.party == party && order.number > last;
                last = last.max(if order.party == party { order.number } else { 0 });
                counts.then_some(Given { order, time_ms: e.statement.time_ms })
            });
            orders.collect()
        };
        let orders = [known(log, by, entry.index), known(other, by_other, start + peer.size)].concat();
        let pack = self.pack(entry);
        pack.halts(orders.iter(), pack.lifecycle().act(act)?, entry.statement.time_ms)
    }
}

fn act<'p>(pack: &Pack, parts: &'p [Part]) -> Result<(&'p Part, String, Kind, Ref), String> {
    let lead = parts.first().ok_or("a record without parts")?;
    let act = pack.lifecycle().act_of_lead(&lead.message_name).ok_or("no act has this lead")?;
    let kind = match lead.act_kind() {
        ActKind::Transition => Kind::Transition,
        ActKind::Proposal => Kind::Proposal,
        ActKind::Fact => Kind::Fact,
        ActKind::Notice => Kind::Notice,
        ActKind::Unspecified => return Err("no kind of act".to_owned()),
    };
    Ok((lead, act.name().to_owned(), kind, subject(lead).ok_or("no subject")?))
}

fn subject(lead: &Part) -> Option<Ref> {
    lead.subject_ref.split_once('/')?.1.parse().ok()
}

/// The messages of an act, each of which must be disclosed by `stage`.
fn content(pack: &Pack, parts: &[Part], stage: StageId) -> Result<Vec<Content>, String> {
    let one = |part: &Part| {
        let message = pack.accept(&part.message_name, &part.message, stage).map_err(|e| e.to_string())?;
        let doc = pack.semantic(&part.message_name, &message);
        Ok(Content { message_name: part.message_name.clone(), message: part.message.clone(), doc })
    };
    parts.iter().map(one).collect()
}
