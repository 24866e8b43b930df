//! The side that lost its disk. It opens the database that is there, new and empty or a restored backup, extends each log
//! with what is missing, verifies everything, rebuilds what it knows by replay, and only then opens the epoch that was
//! granted. Nothing that is stored is taken back: an own log merely ends where the partner's mirror ends.

mod open;
mod verify;

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use convenio_log::{Frontier, leaf_hash};
use convenio_model::RecordId;
use convenio_seal::origin::LogOrigin;
use convenio_seal::statement::claimed_statement;
use convenio_store::{EntryRow, LogRow, StoreError, Work};
use convenio_wire::exchange::v1::refill_response::Message as Said;
use convenio_wire::exchange::v1::{
    Batch, EntryParts, Recovery, RecoveryRequest, RefillLog, RefillOpening, RefillResponse, statement::Body,
};
use futures::{FutureExt, Stream, StreamExt};
use prost::Message;

use super::replay::{Replay, key_of, told_before};
use super::states::{Refill, TailEntry, TailPart, refilled, tail};
use super::walk::{At, Walk};
use crate::core::{Core, CoreParts, Exchange};
use crate::error::OpenError;
use crate::inbound::mirror::{is_record, part_row, record_id};
use crate::inbound::screen;
use crate::keys::rotation_state;
use crate::lane::Lane;
use crate::learn::revocation_state;
use crate::open::new_log;
use crate::tiles::head_at;
use crate::world::save_world;

pub use self::open::Opened;
pub use super::replay::Known;

/// A recovery does not go on. What was stored stays; it can be begun again.
#[derive(Debug, thiserror::Error)]
pub enum RecoverError {
    /// The node cannot be opened.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// There is no such agreement.
    #[error("no agreement {0}")]
    UnknownAgreement(String),
    /// The partner's answer is not one.
    #[error("the partner's answer is not a refill: {0}")]
    Answer(&'static str),
    /// What was refilled does not fit what is signed, or what is here.
    #[error("{origin}: {reason}")]
    Refuted {
        /// Log.
        origin: String,
        /// Stable reason.
        reason: &'static str,
    },
    /// The file does not open the epoch that was granted.
    #[error("the authorisation does not open the granted epoch: {0}")]
    Authorisation(String),
    /// Nothing was refilled yet.
    #[error("nothing was refilled yet: begin with the authorisation of the request")]
    NotRefilled,
    /// The database failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// What was refilled, and what EPOCH_OPEN must name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refilled {
    /// Entries of all logs.
    pub entries: u64,
    /// Entries that are to be issued again.
    pub tail: u64,
    /// Entries whose parts did not come back: erased, or never disclosed.
    pub bare: u64,
    /// Number of the epoch that was granted.
    pub epoch: u64,
    /// Size that EPOCH_OPEN must name.
    pub prev_size: u64,
    /// Root that EPOCH_OPEN must name.
    pub prev_root: Vec<u8>,
    /// The latest messages about each subject, for the registry.
    pub known: Known,
}

/// A node that recovers one agreement's logs. It serves nobody.
pub struct Recovering {
    core: Arc<Core>,
    exchange: Arc<Exchange>,
}

/// A log on its way in.
struct Incoming {
    lane: Arc<Lane>,
    said: RefillLog,
    frontier: Frontier,
    /// Entries that the database had.
    had: u64,
    records: u64,
}

impl Recovering {
    /// Opens the database without serving.
    ///
    /// # Errors
    /// [`RecoverError`].
    pub async fn open(parts: CoreParts, agreement: &str) -> Result<Self, RecoverError> {
        let core = Core::assemble(parts).await?;
        let exchange = core.exchange(agreement).cloned();
        let exchange = exchange.ok_or_else(|| RecoverError::UnknownAgreement(agreement.to_owned()))?;
        Ok(Self { core, exchange })
    }

    /// The core, for whoever rebuilds the registry.
    #[must_use]
    pub fn core(&self) -> &Arc<Core> {
        &self.core
    }

    /// The exchange that is recovered.
    #[must_use]
    pub fn exchange(&self) -> &Arc<Exchange> {
        &self.exchange
    }

    /// The request that the roots sign over the partner's challenge.
    #[must_use]
    pub fn request(&self, given: &Recovery, reason: &str) -> RecoveryRequest {
        RecoveryRequest {
            agreement: self.exchange.pack.id().to_owned(),
            party: self.exchange.own_party.clone(),
            node: self.exchange.own_node.clone(),
            partner: self.exchange.partner_node.clone(),
            log_origin: given.log_origin.clone(),
            challenge: given.challenge.clone(),
            number: given.number,
            reason: reason.to_owned(),
        }
    }

    /// Takes the partner's answer: both logs, verified, into the database; then replays them.
    ///
    /// # Errors
    /// [`RecoverError`].
    pub async fn refill<E>(
        &self,
        mut answer: impl Stream<Item = Result<RefillResponse, E>> + Send + Unpin,
    ) -> Result<Refilled, RecoverError> {
        let opening = match said(&mut answer).await? {
            Said::Opening(opening) => opening,
            _ => return Err(RecoverError::Answer("no opening")),
        };
        self.began(&opening, None).await?;
        let mut logs: Vec<Incoming> = Vec::new();
        let entries = loop {
            match said(&mut answer).await? {
                Said::Log(log) => logs.push(self.begin_log(log).await?),
                Said::Batch(batch) => {
                    let log = logs.last_mut().ok_or(RecoverError::Answer("no log"))?;
                    self.take(log, batch).await?;
                }
                Said::Done(done) => break done.entries,
                Said::Opening(_) => return Err(RecoverError::Answer("a second opening")),
            }
        };
        self.verify(&opening, &logs).await?;
        let (tails, dropped) = self.tail(&logs).await?;
        let lost = dropped.len() as u64;
        let bare = self.settle(&logs, &tails, dropped).await?;
        self.began(&opening, Some(bare.2)).await?;
        let (tail, known) = (tails.iter().map(|(_, begin, end)| end - begin).sum::<u64>() - lost, bare.1);
        let RefillOpening { size, root, granted_epoch, .. } = opening;
        Ok(Refilled { entries, tail, bare: bare.0, epoch: granted_epoch, prev_size: size, prev_root: root, known })
    }

    async fn began(&self, opening: &RefillOpening, judged: Option<At>) -> Result<(), StoreError> {
        let key = refilled(self.exchange.pack.id());
        let (granted, size, root) = (opening.granted_epoch, opening.size, opening.root.clone());
        let (peer_epoch, peer_size) = judged.unwrap_or((1, 0));
        let state = Refill { granted, size, root, done: judged.is_some(), peer_epoch, peer_size };
        let kept = self.core.write::<_, StoreError, _>(move |work| {
            work.put_state(&key, Some(state.encode_to_vec()));
            std::future::ready(Ok(())).boxed()
        });
        kept.await
    }

    /// Finds or makes the lane of a log.
    async fn begin_log(&self, said: RefillLog) -> Result<Incoming, RecoverError> {
        let origin: LogOrigin = said.origin.parse().map_err(|_| RecoverError::Answer("an origin"))?;
        let (own, peer) = (&self.exchange.own_node, &self.exchange.partner_node);
        let (issuer, recipient) = if said.mirrored { (own, peer) } else { (peer, own) };
        let agreement = self.exchange.pack.id();
        if origin != (LogOrigin { issuer: issuer.clone(), agreement: agreement.into(), recipient: recipient.clone(), epoch: origin.epoch }) {
            return Err(RecoverError::Answer("a log of others"));
        }
        let lanes = if said.mirrored { &self.exchange.own_lanes } else { &self.exchange.peer_lanes };
        let known = lanes.all().iter().find(|lane| lane.epoch == origin.epoch).cloned();
        let lane = match known {
            Some(lane) => lane,
            None => {
                let (node, agreement, partner) = (own.clone(), agreement.to_owned(), peer.clone());
                let (mirrored, epoch) = (said.mirrored, origin.epoch);
                let made = self.core.write::<_, StoreError, _>(move |work| {
                    let id = work.logs().map(|log| log.id).max().unwrap_or(0) + 1;
                    let row = new_log(id, &node, &agreement, &partner, mirrored, epoch);
                    let lane = Lane::from(&row);
                    work.put_log(row);
                    std::future::ready(Ok(lane)).boxed()
                });
                let lane = made.await?;
                lanes.push(lane.clone());
                Arc::new(lane)
            }
        };
        let rows = self.core.store.logs().await?;
        let had = rows.iter().find(|row| row.id == lane.log).map_or(0, |row| row.size);
        if !said.mirrored && had > said.size {
            return Err(refuted(&lane, "PARTNER_LOST_ENTRIES"));
        }
        Ok(Incoming { lane, said, frontier: Frontier::new(), had, records: 0 })
    }

    /// Takes a batch; what the database has must be the same.
    async fn take(&self, log: &mut Incoming, batch: Batch) -> Result<(), RecoverError> {
        if batch.origin != log.said.origin || batch.begin != log.frontier.size() || batch.entries.is_empty() {
            return Err(refuted(&log.lane, "BAD_FRAMING"));
        }
        let mut new = Vec::new();
        let same_until = log.had.min(log.said.size);
        for (bytes, index) in batch.entries.into_iter().zip(batch.begin..) {
            log.frontier.append(leaf_hash(&bytes));
            if log.frontier.size() == same_until {
                let here = head_at(self.core.store.as_ref(), log.lane.log, same_until).await?;
                if here.root != *log.frontier.root().as_bytes() {
                    return Err(refuted(&log.lane, "ANOTHER_PAST"));
                }
            }
            log.records += u64::from(is_record(&claimed_statement(&bytes).unwrap_or_default()));
            new.push((index, bytes.to_vec()));
        }
        if log.frontier.size() > log.said.size {
            return Err(refuted(&log.lane, "BAD_FRAMING"));
        }
        let (core, lane, had) = (self.core.clone(), log.lane.clone(), log.had);
        let frontier = log.frontier.clone();
        let stored = self.core.write::<_, StoreError, _>(move |work| {
            async move { store(work, &core, &lane, had, &frontier, new, batch.parts).await }.boxed()
        });
        Ok(stored.await?)
    }

    /// Own entries past the mirrored ends: ranges, and those among them that are not issued again.
    async fn tail(&self, logs: &[Incoming]) -> Result<(Vec<(Arc<Lane>, u64, u64)>, HashSet<At>), RecoverError> {
        let ends: HashMap<i64, u64> = logs.iter().map(|log| (log.lane.log, log.said.size)).collect();
        let rows = self.core.store.logs().await?;
        let mut ranges = Vec::new();
        for lane in self.exchange.own_lanes().iter() {
            let end = ends.get(&lane.log).copied().unwrap_or(0);
            let size = rows.iter().find(|row| row.id == lane.log).map_or(0, |row| row.size);
            if size > end {
                ranges.push((lane.clone(), end, size));
            }
        }
        let mut dropped = HashSet::new();
        let (mut at, mut seen) = (0, HashSet::<RecordId>::new());
        let mut walk = Walk::new(&self.core, &ranges, false);
        while let Some(step) = walk.next().await? {
            let places = self.core.store.record(step.record_id).await?;
            let mirrored = places.iter().any(|(log, index)| ends.get(log).is_some_and(|end| index < end));
            let once = matches!(
                step.statement.body,
                Some(Body::PeerCheckpoint(_) | Body::EpochOpen(_) | Body::KeyRotate(_)) | None
            );
            if once || mirrored || !seen.insert(step.record_id) {
                dropped.insert(step.at);
                continue;
            }
            let lane = ranges.iter().find(|(lane, ..)| lane.epoch == step.at.0).map(|(lane, ..)| lane.log);
            let log = lane.ok_or(StoreError::Corrupt("log"))?;
            self.keep_tail(at, log, step.at.1, step.statement.encode_to_vec()).await?;
            at += 1;
        }
        Ok((ranges, dropped))
    }

    async fn keep_tail(&self, at: u64, log: i64, index: u64, statement: Vec<u8>) -> Result<(), StoreError> {
        let parts = self.core.store.parts(log, index, index + 1).await?;
        let parts = parts.into_iter().map(|part| TailPart { key_id: part.key_id.to_vec(), sealed: part.sealed });
        let stored = self.core.store.entries(log, index, index + 1).await?.pop();
        let subject = stored.and_then(|row| row.subject);
        let (subject_kind, subject_id) =
            subject.map_or((0, Vec::new()), |subject| (subject.kind as u32, subject.id.0.to_vec()));
        let parts = parts.collect();
        let entry = TailEntry { statement, log, index, parts, subject_kind, subject_id };
        let key = tail(self.exchange.pack.id(), at);
        let kept = self.core.write::<_, StoreError, _>(move |work| {
            work.put_state(&key, Some(entry.encode_to_vec()));
            std::future::ready(Ok(())).boxed()
        });
        kept.await
    }

    /// Replays everything and writes what follows from it; the number of entries without parts, the last messages, and how
    /// far the refilled own log had judged.
    async fn settle(
        &self,
        logs: &[Incoming],
        tails: &[(Arc<Lane>, u64, u64)],
        dropped: HashSet<At>,
    ) -> Result<(u64, Known, At), RecoverError> {
        let range = |log: &Incoming| (log.lane.clone(), 0, log.said.size);
        let own: Vec<_> = logs.iter().filter(|log| log.said.mirrored).map(range).chain(tails.iter().cloned()).collect();
        let peer: Vec<_> = logs.iter().filter(|log| !log.said.mirrored).map(range).collect();
        let walk = |ranges: &[_], parts| Walk::new(&self.core, ranges, parts);
        let mirrored = |at: &At| !tails.iter().any(|(lane, begin, _)| lane.epoch == at.0 && at.1 >= *begin);
        let mut replay = Replay::begin(&self.exchange, walk(&own, false), dropped, mirrored).await?;
        self.contained(logs, &replay.sums.entangled).await?;
        replay.run(walk(&own, true), walk(&peer, true)).await?;
        let told = told_before(&self.core, &replay.sums.events).await?;
        replay.sums.events.retain(|event| key_of(event).is_none_or(|key| !told.contains(&key)));
        let rows = self.rows(logs, &replay.sums).await?;
        let rejections = self.rejections(&replay.sums).await?;
        let Replay { mut world, sums, .. } = replay;
        for page in sums.events.chunks(4096) {
            let page = page.to_vec();
            let pushed = self.core.write::<_, StoreError, _>(move |work| {
                page.into_iter().for_each(|event| work.push_event(event));
                std::future::ready(Ok(())).boxed()
            });
            pushed.await?;
        }
        let exchange = self.exchange.clone();
        let written = self.core.write::<_, StoreError, _>(move |work| {
            save_world(work, &exchange, &mut world);
            for row in rejections {
                if row.reason == "UNDISCLOSED" {
                    work.drop_parts(row.log, row.index);
                }
                work.push_rejection(row);
            }
            rows.into_iter().for_each(|row| work.put_log(row));
            std::future::ready(Ok(())).boxed()
        });
        written.await?;
        Ok((sums.bare, sums.known, sums.judged_mirrored))
    }
}

async fn said<E>(
    answer: &mut (impl Stream<Item = Result<RefillResponse, E>> + Send + Unpin),
) -> Result<Said, RecoverError> {
    let next = answer.next().await.ok_or(RecoverError::Answer("it ended early"))?;
    let next = next.map_err(|_| RecoverError::Answer("it was broken off"))?;
    next.message.ok_or(RecoverError::Answer("an unknown message"))
}

fn refuted(lane: &Lane, reason: &'static str) -> RecoverError {
    RecoverError::Refuted { origin: lane.origin.clone(), reason }
}

/// Stores what the database lacks: entries past its end, and parts whose data keys are lost.
async fn store(
    work: &mut Work,
    core: &Core,
    lane: &Lane,
    had: u64,
    frontier: &Frontier,
    entries: Vec<(u64, Vec<u8>)>,
    parts: Vec<EntryParts>,
) -> Result<(), StoreError> {
    let mut parts: HashMap<u64, EntryParts> = parts.into_iter().map(|part| (part.index, part)).collect();
    for (index, bytes) in entries {
        let statement = claimed_statement(&bytes).unwrap_or_default();
        let screened = screen::commitments(&statement, parts.remove(&index));
        let row = EntryRow {
            log: lane.log,
            index,
            record_id: record_id(&statement),
            is_record: is_record(&statement),
            subject: screen::subject(&screened),
            leaf: *leaf_hash(&bytes).as_bytes(),
            bytes,
        };
        match statement.body {
            Some(Body::KeyRotate(rotate)) => {
                let version = convenio_seal::ManifestKeys::parse(&rotate.key_manifest).map_or(0, |keys| keys.version);
                work.put_state(&rotation_state(&lane.origin, version), Some(index.to_be_bytes().to_vec()));
            }
            Some(Body::Revoke(revoke)) => {
                work.put_state(&revocation_state(&lane.origin, &revoke.payload), Some(revoke.encode_to_vec()));
            }
            _ => {}
        }
        let held = if index < had { work.parts(lane.log, index, index + 1).await? } else { Vec::new() };
        for (number, part) in screened.into_iter().enumerate() {
            let stored = held.iter().find(|stored| stored.part as usize == number);
            let lost = |stored: &convenio_store::PartRow| {
                let key = convenio_seal::DataKeyId(stored.key_id);
                matches!(core.sealer.vault.available(key), Err(convenio_seal::VaultError::UnknownKey))
            };
            if index < had && !stored.is_some_and(|stored| !crate::inbound::mirror::is_marker(stored) && lost(stored)) {
                continue;
            }
            if let Some(stored) = stored {
                work.drop_part(lane.log, index, stored.part);
            }
            let sealed = part_row(work, core, &row, number, part).await?;
            work.push_part(sealed);
        }
        if index >= had {
            work.push_entry(row);
        }
    }
    let log = work.log(lane.log)?.clone();
    let size = frontier.size().max(log.size);
    let peaks = frontier.peaks().iter().flat_map(|hash| *hash.as_bytes()).collect();
    work.put_log(LogRow { size, peaks, ..log });
    Ok(())
}
