//! The mirror: the partner's log, byte for byte. Only a hash, framing or checkpoint failure stops it; what an entry says
//! is judged later. The cosignature is made in the same commit as the entries that it covers, and leaves after it.

use std::collections::HashMap;
use std::sync::Arc;

use convenio_log::{Frontier, Hash, SignedCheckpoint, cosignature, leaf_hash};
use convenio_model::Ref;
use convenio_seal::statement::claimed_statement;
use convenio_store::{EntryRow, LogRow, PartRow, Store, StoreError, Subject};
use convenio_wire::MAX_ENTRY;
use convenio_wire::exchange::v1::{Batch, Cosigned, EntryParts, Statement, statement::Body};
use futures::FutureExt;

use super::news::News;
use super::screen::{self, Screened};
use crate::core::{Core, Exchange, released};
use crate::fork::{self, EQUIVOCATION};
use crate::keys::{Revocations, Timeline, log_keys};
use crate::lane::Lane;
use crate::outbound::seal::{at_rest, data_key};
use crate::session::SessionEnd;
use crate::signer::{Named, mirror_name, verified};
use crate::tiles::head_at;

/// Entries of one batch at most; twice what this node sends.
const MAX_ENTRIES: usize = 1024;

/// A head is cosigned again after so long at the earliest, milliseconds.
const HEARTBEAT_MS: u64 = 60_000;

/// A part that was dropped unstored; the row says why in its place.
pub(crate) const MARKER: [u8; 16] = [0; 16];

/// Whether a row only says why a part was dropped.
pub(crate) fn is_marker(part: &PartRow) -> bool {
    part.key_id == MARKER
}

/// The mirror of one log, within one session.
pub(crate) struct Mirror {
    core: Arc<Core>,
    exchange: Arc<Exchange>,
    lane: Arc<Lane>,
    frontier: Frontier,
}

/// One entry of a batch, ready to be stored.
struct Arrived {
    row: EntryRow,
    parts: Vec<Screened>,
}

impl Mirror {
    pub(crate) async fn open(core: &Arc<Core>, exchange: &Arc<Exchange>) -> Result<Self, StoreError> {
        let lane = exchange.peer();
        let logs = core.store.logs().await?;
        let log = logs.into_iter().find(|l| l.id == lane.log).ok_or(StoreError::Corrupt("log"))?;
        let hashes = log.peaks.chunks_exact(32).map(Hash::try_from).collect::<Result<Vec<_>, _>>();
        let peaks = hashes.map_err(|_| StoreError::Corrupt("log"))?;
        let frontier = Frontier::from_parts(log.size, peaks).map_err(|_| StoreError::Corrupt("log"))?;
        Ok(Self { core: core.clone(), exchange: exchange.clone(), lane, frontier })
    }

    /// Checks a batch, stores it durably and answers with the cosigned checkpoint.
    pub(crate) async fn take(&mut self, batch: Batch) -> Result<Cosigned, SessionEnd> {
        self.consistent(&batch).await?;
        if batch.entries.is_empty() && batch.begin > 0 {
            return self.cosign_again(batch).await;
        }
        let statements: Vec<_> = batch.entries.iter().map(|e| claimed_statement(e).unwrap_or_default()).collect();
        let news = News::of(&self.exchange, &self.lane, &batch, &statements);
        let (frontier, checkpoint) = self.framing(&batch, &news).map_err(|reason| {
            tracing::error!(origin = %self.lane.origin, reason, "a batch stops this log");
            self.refused(reason)
        })?;
        if let Some(digest) = news.not_held() {
            // Both parties' roots have ratified it: an officer has to place it here, too.
            tracing::error!(origin = %self.lane.origin, digest = hex::encode(digest), "a version is not held here");
            return Err(self.refused("UNKNOWN_VERSION"));
        }
        if batch.begin == 0 && !self.follows(&statements).await? {
            return Err(self.refused("EPOCH_REFUSED"));
        }
        let arrived = self.arrived(batch, statements);
        let note = self.cosign(checkpoint)?;
        self.store(&frontier, arrived, news, note.clone()).await?;
        self.frontier = frontier;
        released(&self.core.controls.cosign).await;
        Ok(Cosigned { origin: self.lane.origin.clone(), checkpoint: note })
    }

    fn refused(&self, reason: &'static str) -> SessionEnd {
        SessionEnd::Refused { origin: self.lane.origin.clone(), reason }
    }

    /// The checkpoint of a batch, if one of the log's keys signed it, must not contradict what is mirrored.
    async fn consistent(&self, batch: &Batch) -> Result<(), SessionEnd> {
        let logs = self.core.store.logs().await?;
        if logs.iter().any(|log| log.id == self.lane.log && !log.alarm.is_empty()) {
            return Err(self.refused(EQUIVOCATION));
        }
        let Ok(shown) = SignedCheckpoint::parse(&batch.checkpoint) else { return Ok(()) };
        let size = shown.checkpoint().size();
        if size > self.frontier.size() {
            return Ok(());
        }
        let keys = self.exchange.partner_log_keys(self.lane.epoch, &self.lane.origin, size);
        let signed = keys.iter().any(|key| shown.verify_log(key).is_ok());
        if signed && fork::compare(&self.core, &self.exchange, &self.lane, &shown).await? {
            return Err(self.refused(EQUIVOCATION));
        }
        Ok(())
    }

    /// A later epoch begins where the mirror of the one before it ended (model: `name_mirrored`).
    async fn follows(&self, statements: &[Statement]) -> Result<bool, StoreError> {
        let Some(Body::EpochOpen(open)) = statements.first().and_then(|s| s.body.as_ref()) else { return Ok(true) };
        if self.lane.epoch == 1 {
            return Ok(true);
        }
        let (_, size, root) = last_mirrored(self.core.store.as_ref(), &self.exchange).await?;
        Ok(open.prev_size == size && open.prev_root == root)
    }

    /// Cosigns the head that is held with a new time: the heartbeat of a quiet log, at most once a minute.
    async fn cosign_again(&self, batch: Batch) -> Result<Cosigned, SessionEnd> {
        let refused = |reason| SessionEnd::Refused { origin: self.lane.origin.clone(), reason };
        let (keys, revoked) = (self.exchange.known(self.lane.epoch).keys, self.exchange.partner_revoked());
        let checkpoint = self.signed(&batch.checkpoint, &keys, &revoked).map_err(refused)?;
        let head = checkpoint.checkpoint();
        let held = (self.lane.origin.as_str(), self.frontier.size(), self.frontier.root());
        if batch.begin != held.1 || (head.origin(), head.size(), head.root()) != held {
            return Err(refused("BAD_CHECKPOINT"));
        }
        let note = self.cosign(checkpoint)?;
        let (log, size, now) = (self.lane.log, held.1, self.core.sealer.clock.now_ms());
        let stored = self.core.write::<_, SessionEnd, _>(move |work| {
            async move {
                let log = work.log(log)?.clone();
                if log.size != size || log.closed {
                    return Err(SessionEnd::Fenced);
                }
                if now.saturating_sub(log.time_ms) < HEARTBEAT_MS {
                    return Ok(log.cosigned);
                }
                work.put_log(LogRow { cosigned: note.clone(), cosigned_size: size, time_ms: now, ..log });
                Ok(note)
            }
            .boxed()
        });
        let checkpoint = stored.await?;
        released(&self.core.controls.cosign).await;
        Ok(Cosigned { origin: self.lane.origin.clone(), checkpoint })
    }

    /// Consecutive entries whose root is the one that the partner's log key signed.
    fn framing(&self, batch: &Batch, news: &News) -> Result<(Frontier, SignedCheckpoint), &'static str> {
        if batch.begin != self.frontier.size() || batch.entries.is_empty() {
            return Err("BAD_FRAMING");
        }
        if batch.entries.len() > MAX_ENTRIES || batch.entries.iter().any(|e| e.len() > MAX_ENTRY) {
            return Err("BATCH_LIMITS");
        }
        let mut frontier = self.frontier.clone();
        for entry in &batch.entries {
            frontier.append(leaf_hash(entry));
        }
        if news.keys().last().is_none() {
            return Err("UNKNOWN_LOG_KEY");
        }
        let checkpoint = self.signed(&batch.checkpoint, news.keys(), &news.revoked(&self.exchange))?;
        let head = checkpoint.checkpoint();
        let same =
            head.origin() == self.lane.origin && head.size() == frontier.size() && head.root() == frontier.root();
        if same { Ok((frontier, checkpoint)) } else { Err("BAD_CHECKPOINT") }
    }

    /// A checkpoint by one of the keys that may sign it, with that line alone.
    fn signed(&self, note: &[u8], keys: &Timeline, revoked: &Revocations) -> Result<SignedCheckpoint, &'static str> {
        let checkpoint = SignedCheckpoint::parse(note).map_err(|_| "BAD_CHECKPOINT")?;
        let keys = log_keys(keys, revoked, &self.lane.origin, checkpoint.checkpoint().size());
        verified(&checkpoint, &keys, &[]).ok_or("BAD_CHECKPOINT")
    }

    fn arrived(&self, batch: Batch, statements: Vec<Statement>) -> Vec<Arrived> {
        let mut parts: HashMap<u64, EntryParts> = batch.parts.into_iter().map(|p| (p.index, p)).collect();
        let entries = batch.entries.into_iter().zip(statements).zip(batch.begin..);
        entries
            .map(|((bytes, statement), index)| {
                let screened = screen::commitments(&statement, parts.remove(&index));
                let record_id = record_id(&statement);
                Arrived {
                    row: EntryRow {
                        log: self.lane.log,
                        index,
                        record_id,
                        is_record: is_record(&statement),
                        subject: screen::subject(&screened),
                        leaf: *leaf_hash(&bytes).as_bytes(),
                        bytes: bytes.into(),
                    },
                    parts: screened,
                }
            })
            .collect()
    }

    fn cosign(&self, mut checkpoint: SignedCheckpoint) -> Result<Vec<u8>, SessionEnd> {
        let keys = self.core.cosigner_keys(Some(&self.exchange.partner_node));
        let name = mirror_name(&self.exchange.own_node, keys.version);
        let signer = Named { name: &name, key: &keys.keys.mirror };
        let seconds = self.core.sealer.clock.now_ms() / 1000;
        cosignature::append(&mut checkpoint, &signer, seconds)
            .map_err(|_| SessionEnd::Local("a checkpoint cannot be cosigned".to_owned()))?;
        Ok(checkpoint.to_string().into_bytes())
    }

    async fn store(
        &self,
        frontier: &Frontier,
        arrived: Vec<Arrived>,
        news: News,
        note: Vec<u8>,
    ) -> Result<(), SessionEnd> {
        let (core, exchange, lane) = (self.core.clone(), self.exchange.clone(), self.lane.clone());
        let (begin, size) = (self.frontier.size(), frontier.size());
        let peaks = frontier.peaks().iter().flat_map(|h| *h.as_bytes()).collect::<Vec<u8>>();
        self.core
            .write::<_, SessionEnd, _>(move |work| {
                async move {
                    let log = work.log(lane.log)?.clone();
                    if log.closed {
                        return Err(SessionEnd::Refused { origin: lane.origin.clone(), reason: "EPOCH_CLOSED" });
                    }
                    if !log.alarm.is_empty() {
                        return Err(SessionEnd::Refused { origin: lane.origin.clone(), reason: EQUIVOCATION });
                    }
                    if log.size != begin {
                        return Err(SessionEnd::Fenced);
                    }
                    news.keep(work, &lane);
                    let records = arrived.iter().filter(|a| a.row.is_record).count() as u64;
                    let arrived = screen::disclosure(work, &exchange, news.active(), arrived, |a| {
                        (a.row.index, &mut a.parts, a.row.subject, a.row.is_record)
                    })
                    .await?;
                    for Arrived { row, parts } in arrived {
                        for (number, part) in parts.into_iter().enumerate() {
                            let row = part_row(work, &core, &row, number, part).await?;
                            work.push_part(row);
                        }
                        work.push_entry(row);
                    }
                    work.put_log(LogRow {
                        size,
                        peaks,
                        records: log.records + records,
                        cosigned: note,
                        cosigned_size: size,
                        time_ms: core.sealer.clock.now_ms(),
                        ..log
                    });
                    // Known before whoever judges sees the entries; roots have signed it whether or not this commits.
                    news.learn(&exchange, &lane);
                    Ok(())
                }
                .boxed()
            })
            .await
    }
}

/// Where the partner's logs of all epochs end, origin, size and root: what its next EPOCH_OPEN must name.
pub(crate) async fn last_mirrored(
    store: &dyn Store,
    exchange: &Exchange,
) -> Result<(String, u64, Vec<u8>), StoreError> {
    let logs = store.logs().await?;
    let lanes = exchange.peer_lanes();
    let mirrored = lanes.iter().rev().filter_map(|lane| logs.iter().find(|log| log.id == lane.log && log.size > 0));
    let Some(last) = mirrored.into_iter().next() else {
        let first = lanes.first().ok_or(StoreError::Corrupt("log"))?;
        return Ok((first.origin.clone(), 0, Frontier::new().root().as_bytes().to_vec()));
    };
    let root = head_at(store, last.id, last.size).await?.root.to_vec();
    Ok((last.origin.clone(), last.size, root))
}

pub(crate) async fn part_row(
    work: &mut convenio_store::Work,
    core: &Core,
    entry: &EntryRow,
    number: usize,
    part: Screened,
) -> Result<PartRow, StoreError> {
    let row = PartRow {
        log: entry.log,
        index: entry.index,
        part: u32::try_from(number).unwrap_or(u32::MAX),
        key_id: MARKER,
        sealed: Vec::new(),
    };
    match part {
        Screened::Keep { salted, class, .. } => {
            let subject = entry.subject.map_or(entry.record_id, |s: Subject| s.id);
            let key = data_key(work, &core.sealer, subject, &class).await?;
            let stored = at_rest(&core.sealer, key, entry.record_id, number, &salted)?;
            Ok(PartRow { key_id: stored.key_id, sealed: stored.sealed, ..row })
        }
        Screened::Drop(reason) => Ok(PartRow { sealed: reason.as_bytes().to_vec(), ..row }),
    }
}

/// What an OUTCOME must answer: a RECORD, or what cannot be told apart from one.
pub(crate) fn is_record(statement: &Statement) -> bool {
    matches!(statement.body, Some(Body::Record(_)) | None)
}

pub(crate) fn record_id(statement: &Statement) -> Ref {
    Ref::from_slice(&statement.record_id).unwrap_or_default()
}
