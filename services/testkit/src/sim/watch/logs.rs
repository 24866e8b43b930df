//! The bytes: own logs only grow, each mirror is a prefix of its original, and nothing crosses that may not.

use std::collections::BTreeSet;

use convenio_agreement::Pack;
use convenio_log::{Frontier, leaf_hash};
use convenio_model::Ref;
use convenio_seal::manifest::ManifestKeys;
use convenio_seal::order::claimed_order;
use convenio_store::{LogRow, Store};
use convenio_wire::exchange::v1::agreement_order::Order;
use convenio_wire::exchange::v1::statement::Body;
use convenio_wire::exchange::v1::{Position, SaltedPart};

use super::{End, Epoch, Seen, Violation, at, need};
use crate::ledger::Entry;
use crate::records;
use crate::sim::model::Act;
use crate::sim::state::State;

impl End {
    /// Own logs: they only grow, and each tree is that of all entries that ever stood in it.
    pub(super) async fn read(&mut self, pack: &Pack, side: &State) -> Result<(), Violation> {
        let exchange = side.core().exchange(pack.id()).expect("a state has its agreements");
        let logs = side.store().logs().await.map_err(|e| e.to_string())?;
        for lane in exchange.own_lanes().iter() {
            let row = logs.iter().find(|l| l.id == lane.log).ok_or("a lane without a log")?;
            let start = self.own.len() as u64;
            let fresh = || Epoch { origin: lane.origin.clone(), start, frontier: Frontier::new() };
            let epoch = self.epochs.entry(lane.epoch).or_insert_with(fresh);
            let (start, begin) = (epoch.start, epoch.frontier.size());
            need(row.size >= begin, || format!("the own log went back from {begin} to {}", row.size))?;
            need(row.settled <= row.size, || "more is delivered than there is".to_owned())?;
            need(row.alarm.is_empty(), || format!("alarm {}", row.alarm))?;
            if row.size > begin {
                need(start + begin == self.own.len() as u64, || format!("epoch {} grew after its end", lane.epoch))?;
                for entry in side.books().entries(row, begin).await {
                    self.appended(pack, lane.epoch, entry)?;
                }
            }
            self.delivered = start + row.settled;
            self.same_head(side, row, lane.epoch).await?;
        }
        Ok(())
    }

    async fn same_head(&self, side: &State, row: &LogRow, epoch: u64) -> Result<(), Violation> {
        let frontier = &self.epochs[&epoch].frontier;
        let head = side.store().checkpoint_at_most(row.id, row.size).await.map_err(|e| e.to_string())?;
        let head = head.map(|head| (head.size, head.root));
        let tree = (frontier.size(), *frontier.root().as_bytes());
        need(tree.0 == 0 || head == Some(tree), || format!("the head is not that of the {} entries seen", tree.0))
    }

    fn appended(&mut self, pack: &Pack, epoch: u64, entry: Entry) -> Result<(), Violation> {
        self.epochs.get_mut(&epoch).expect("a known epoch").frontier.append(leaf_hash(&entry.bytes));
        let outcome = entry.outcome().cloned();
        let act = entry.decoded().and_then(|parts| Act::read(pack, entry.record_id(), &parts));
        let (act, parts) = self.memory.entry(entry.record_id()).or_insert((act, entry.parts.clone())).clone();
        let is_record = matches!(entry.statement.body, Some(Body::Record(_)) | None);
        if let Some(Body::Erase(order)) = &entry.statement.body {
            let record = Ref::from_slice(&order.record_id).map_err(|e| e.to_string())?;
            self.erased.insert((record, order.part));
        }
        need(!is_record || act.is_some(), || format!("entry {} is an act of nothing", entry.index))?;
        let mut entangles = None;
        if let Some(Body::PeerCheckpoint(said)) = &entry.statement.body {
            let note = convenio_log::SignedCheckpoint::parse(&said.note).map_err(|e| e.to_string())?;
            let (origin, size) = (note.checkpoint().origin(), note.checkpoint().size());
            let epoch = origin.rsplit_once('/').and_then(|(_, epoch)| epoch.parse().ok());
            entangles = Some(Position { epoch: epoch.ok_or("an origin without an epoch")?, size });
        }
        let rotates = match &entry.statement.body {
            Some(Body::KeyRotate(said)) => ManifestKeys::parse(&said.key_manifest).ok().map(|keys| keys.version),
            _ => None,
        };
        let party = &pack.party(self.role).id;
        let order = entry.statement.body.as_ref().and_then(claimed_order).filter(|order| order.party == *party);
        let suspends = order.map(|order| matches!(order.order, Some(Order::Suspend(_))));
        self.records += u64::from(is_record);
        self.own.push(Seen {
            rotates,
            suspends,
            record: entry.record_id(),
            peer: entry.statement.peer.unwrap_or_default(),
            is_record,
            act: act.filter(|_| is_record),
            outcome,
            entangles,
            parts,
            bytes: entry.bytes,
        });
        Ok(())
    }

    /// Each mirror is a prefix of its original, and nothing is in it that may never cross.
    pub(super) async fn mirror(&mut self, pack: &Pack, side: &State, other: &End) -> Result<(), Violation> {
        let exchange = side.core().exchange(pack.id()).expect("a state has its agreements");
        let logs = side.store().logs().await.map_err(|e| e.to_string())?;
        let (mut whole, mut mirrored) = (true, 0);
        for lane in exchange.peer_lanes().iter() {
            let row = logs.iter().find(|l| l.id == lane.log).ok_or("a lane without a log")?;
            let Some(epoch) = other.epochs.get(&lane.epoch) else {
                need(row.size == 0, || "the mirror holds an epoch that was never opened".to_owned())?;
                continue;
            };
            let (start, end) = (epoch.start, epoch.start + row.size);
            need(row.size <= epoch.frontier.size(), || "the mirror holds what was never issued".to_owned())?;
            need(row.settled <= row.size, || "more is judged than is mirrored".to_owned())?;
            need(row.cosigned_size <= row.size, || "more is cosigned than is mirrored".to_owned())?;
            if row.size > 0 {
                (mirrored, self.cosigned) = (end, start + row.cosigned_size);
            }
            if whole && (row.settled > 0 || lane.epoch == 1) {
                self.judged = start + row.settled;
            }
            whole &= row.settled == row.size;
            if end > self.compared {
                let begin = self.compared.max(start) - start;
                for entry in &side.books().entries(row, begin).await {
                    if !same(pack, entry, &other.own[at(start + entry.index)], &other.erased)? {
                        self.incomplete.insert(start + entry.index);
                    }
                }
                self.compared = end;
            }
        }
        need(mirrored >= self.mirrored, || format!("the mirror went back from {} to {mirrored}", self.mirrored))?;
        self.mirrored = mirrored;
        Ok(())
    }
}

/// A mirrored entry is the original, parts included unless they were erased; false if one was.
fn same(pack: &Pack, entry: &Entry, original: &Seen, erased: &BTreeSet<(Ref, u32)>) -> Result<bool, Violation> {
    need(entry.bytes == original.bytes, || format!("entry {} differs in the mirror", entry.index))?;
    need(entry.parts.len() == original.parts.len(), || format!("parts of {} are missing", entry.index))?;
    let mut whole = true;
    for (number, (part, said)) in (0u32..).zip(entry.parts.iter().zip(&original.parts)) {
        let gone = part.is_none() && erased.contains(&(original.record, number));
        need(gone || part == said, || format!("part {number} of {} differs in the mirror", entry.index))?;
        whole &= !gone;
        part.iter().try_for_each(|part| disclosed(pack, part))?;
    }
    Ok(whole)
}

/// Nothing that never crosses has crossed, and names and documents are where they may be.
fn disclosed(pack: &Pack, part: &SaltedPart) -> Result<(), Violation> {
    let holds = |word: &str| part.part.windows(word.len()).any(|bytes| bytes == word.as_bytes());
    let said = |short: &str| pack.messages().any(|plan| plan.descriptor.name() == short && holds(plan.name()));
    need(!holds(records::NEVER) && !holds(records::TAX_ID), || "what never crosses has crossed".to_owned())?;
    need(!holds(records::FAMILY_NAME) || said("CandidateName"), || "a name crossed elsewhere".to_owned())?;
    need(!holds(records::DOCUMENT) || said("CandidateDocument"), || "a document crossed elsewhere".to_owned())
}
