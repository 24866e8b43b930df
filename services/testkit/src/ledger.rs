//! What a node keeps, read back: its two logs of an agreement with their parts opened.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use convenio_exchange::{Core, Exchange, Lane};
use convenio_model::{RecordId, Ref};
use convenio_seal::statement::claimed_statement;
use convenio_seal::vault::{DataKeyId, Vault};
use convenio_store::LogRow;
use convenio_wire::exchange::v1::{EraseAnswer, Outcome, Part, SaltedPart, Statement, statement::Body};
use prost::Message;

/// A node's books: its database and its data keys.
#[derive(Clone)]
pub struct Books {
    /// Exchange.
    pub core: Arc<Core>,
    /// Data keys.
    pub vault: Arc<Vault>,
}

/// An entry of a log.
#[derive(Debug, Clone)]
pub struct Entry {
    /// Epoch of its log.
    pub epoch: u64,
    /// Index, counted through all epochs.
    pub index: u64,
    /// The entry as it is stored.
    pub bytes: Vec<u8>,
    /// What it claims to say; positions in logs counted through all epochs.
    pub statement: Statement,
    /// Its parts as they are stored, in order; none where one was dropped or its key destroyed.
    pub parts: Vec<Option<SaltedPart>>,
    /// What a RECORD is about, as the node noted it.
    pub subject: Option<Ref>,
}

impl Entry {
    /// Record id.
    #[must_use]
    pub fn record_id(&self) -> RecordId {
        Ref::from_slice(&self.statement.record_id).unwrap_or_default()
    }

    /// Whether an OUTCOME must answer it.
    #[must_use]
    pub fn is_record(&self) -> bool {
        matches!(self.statement.body, Some(Body::Record(_)) | None)
    }

    /// The OUTCOME that it is.
    #[must_use]
    pub fn outcome(&self) -> Option<&Outcome> {
        match &self.statement.body {
            Some(Body::Outcome(outcome)) => Some(outcome),
            _ => None,
        }
    }

    /// Parts, decoded, without those that were erased; none if the leading one is gone or another is missing.
    #[must_use]
    pub fn kept(&self, erased: &BTreeSet<PartId>) -> Option<Vec<Part>> {
        let id = self.record_id();
        let gone = |number: usize| u32::try_from(number).is_ok_and(|part| erased.contains(&(id, part)));
        let parts = self.parts.iter().enumerate().filter(|(number, part)| part.is_some() || !gone(*number));
        let parts = parts.map(|(_, part)| Part::decode(part.as_ref()?.part.as_slice()).ok());
        let leads = self.parts.first().is_some_and(Option::is_some);
        parts.collect::<Option<Vec<_>>>().filter(|parts| leads && !parts.is_empty())
    }

    /// Parts, decoded; none unless all are there and every commitment has one.
    #[must_use]
    pub fn decoded(&self) -> Option<Vec<Part>> {
        let commitments = match &self.statement.body {
            Some(Body::Record(record)) => record.commitments.len(),
            Some(Body::Outcome(outcome)) => outcome.commitments.len(),
            _ => 0,
        };
        let parts = self.parts.iter().map(|p| Part::decode(p.as_ref()?.part.as_slice()).ok());
        parts.collect::<Option<Vec<_>>>().filter(|parts| parts.len() == commitments)
    }
}

/// Both logs of an agreement as one node holds them.
pub struct Ledger {
    /// Own log.
    pub own: Vec<Entry>,
    /// Head of its last epoch, with the sums of all.
    pub own_row: LogRow,
    /// The partner's log, as mirrored.
    pub peer: Vec<Entry>,
    /// Head of its last epoch, with the sums of all.
    pub peer_row: LogRow,
}

/// A part of a record.
pub type PartId = (RecordId, u32);

impl Ledger {
    /// Parts whose erasure this side ordered, and those of the partner's that it says it erased.
    #[must_use]
    pub fn erased(&self) -> BTreeSet<PartId> {
        let own = self.own.iter().filter_map(|entry| match &entry.statement.body {
            Some(Body::Erase(order)) => Some((Ref::from_slice(&order.record_id).ok()?, order.part)),
            Some(Body::EraseAnswer(said)) if said.answer == "ERASED" => {
                Some((Ref::from_slice(&said.record_id).ok()?, said.part))
            }
            _ => None,
        });
        own.collect()
    }

    /// Answers to the ERASE of a part, in the order of `log`.
    #[must_use]
    pub fn answers(log: &[Entry], part: PartId) -> Vec<&EraseAnswer> {
        let answers = log.iter().filter_map(|entry| match &entry.statement.body {
            Some(Body::EraseAnswer(said)) => Some(said),
            _ => None,
        });
        answers.filter(|said| said.record_id == part.0.0 && said.part == part.1).collect()
    }

    /// Parts whose erasure the entries of `log` order.
    #[must_use]
    pub fn orders(log: &[Entry]) -> BTreeSet<PartId> {
        let orders = log.iter().filter_map(|entry| match &entry.statement.body {
            Some(Body::Erase(order)) => Some((Ref::from_slice(&order.record_id).ok()?, order.part)),
            _ => None,
        });
        orders.collect()
    }

    /// The decisions of `outcomes` about the entry at `index`: none, or a rejection's reason, for each that covers it.
    #[must_use]
    pub fn decisions(outcomes: &[Entry], index: u64) -> Vec<Option<String>> {
        let covering = outcomes.iter().filter_map(Entry::outcome).filter(|o| (o.begin..o.end).contains(&index));
        let reason = |o: &Outcome| o.rejects.iter().find(|r| r.index == index).map(|r| r.reason.clone());
        covering.map(reason).collect()
    }
}

impl Books {
    /// Reads both logs.
    ///
    /// # Panics
    /// If the database cannot be read.
    pub async fn ledger(&self, exchange: &Exchange) -> Ledger {
        let logs = self.core.store().logs().await.unwrap();
        let rows = |lanes: &[Arc<Lane>]| -> Vec<LogRow> {
            lanes.iter().map(|lane| logs.iter().find(|l| l.id == lane.log).unwrap().clone()).collect()
        };
        let (own_rows, peer_rows) = (rows(&exchange.own_lanes()), rows(&exchange.peer_lanes()));
        let (own_starts, peer_starts) = (starts(&own_rows), starts(&peer_rows));
        let mut own = Vec::new();
        for row in &own_rows {
            own.extend(self.entries(row, 0).await.into_iter().map(|e| counted(e, &own_starts, &peer_starts)));
        }
        let mut peer = Vec::new();
        for row in &peer_rows {
            peer.extend(self.entries(row, 0).await.into_iter().map(|e| counted(e, &peer_starts, &own_starts)));
        }
        Ledger { own, own_row: summed(&own_rows), peer, peer_row: summed(&peer_rows) }
    }

    /// Entries of a log from `begin` on.
    ///
    /// # Panics
    /// If the database cannot be read.
    pub async fn entries(&self, log: &LogRow, begin: u64) -> Vec<Entry> {
        let mut parts: HashMap<u64, Vec<Option<SaltedPart>>> = HashMap::new();
        let rows = self.core.store().entries(log.id, begin, log.size).await.unwrap();
        for part in self.core.store().parts(log.id, begin, log.size).await.unwrap() {
            let record = rows[usize::try_from(part.index - begin).unwrap()].record_id;
            let mut bound = record.0.to_vec();
            bound.extend_from_slice(&u64::from(part.part).to_be_bytes());
            let plain = self.vault.unseal(DataKeyId(part.key_id), &bound, &part.sealed);
            let salted = plain.ok().map(|plain| SaltedPart::decode(plain.as_slice()).unwrap());
            parts.entry(part.index).or_default().push(salted);
        }
        let entry = |row: convenio_store::EntryRow| Entry {
            epoch: log.epoch,
            index: row.index,
            statement: claimed_statement(&row.bytes).unwrap_or_default(),
            subject: row.subject.map(|subject| subject.id),
            parts: parts.remove(&row.index).unwrap_or_default(),
            bytes: row.bytes,
        };
        rows.into_iter().map(entry).collect()
    }
}

/// Where each epoch begins, counted through all of them.
fn starts(rows: &[LogRow]) -> HashMap<u64, u64> {
    let mut size = 0;
    let starts = rows.iter().map(|row| {
        size += row.size;
        (row.epoch, size - row.size)
    });
    starts.collect()
}

/// The head of the last epoch, with the sums of all.
fn summed(rows: &[LogRow]) -> LogRow {
    let sum = |of: fn(&LogRow) -> u64| rows.iter().map(of).sum();
    LogRow {
        size: sum(|r| r.size),
        settled: sum(|r| r.settled),
        records: sum(|r| r.records),
        decided: sum(|r| r.decided),
        rejected: sum(|r| r.rejected),
        settled_records: sum(|r| r.settled_records),
        ..rows.last().unwrap().clone()
    }
}

/// An entry with every position counted through all epochs.
fn counted(mut entry: Entry, own: &HashMap<u64, u64>, other: &HashMap<u64, u64>) -> Entry {
    entry.index += own[&entry.epoch];
    if let Some(peer) = &mut entry.statement.peer {
        peer.size += other.get(&peer.epoch).copied().unwrap_or_default();
    }
    if let Some(Body::Outcome(outcome)) = &mut entry.statement.body {
        let start = other.get(&outcome.epoch).copied().unwrap_or_default();
        outcome.begin += start;
        outcome.end += start;
        outcome.rejects.iter_mut().for_each(|reject| reject.index += start);
    }
    entry
}
