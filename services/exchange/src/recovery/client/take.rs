//! A log on its way in: what the database has must be the same, what it lacks is stored.

use std::collections::HashMap;
use std::sync::Arc;

use convenio_log::{Frontier, leaf_hash};
use convenio_seal::origin::LogOrigin;
use convenio_seal::statement::claimed_statement;
use convenio_seal::vault::DataKeyId;
use convenio_store::{EntryRow, LogRow, PartRow, StoreError, Work};
use convenio_wire::exchange::v1::{Batch, EntryParts, RefillLog, statement::Body};
use futures::FutureExt;
use prost::Message;

use super::{Incoming, RecoverError, Recovering, refuted};
use crate::core::Core;
use crate::erase::ERASED;
use crate::inbound::mirror::{is_marker, is_record, part_row, record_id};
use crate::inbound::screen;
use crate::keys::rotation_state;
use crate::lane::Lane;
use crate::learn::revocation_state;
use crate::open::new_log;
use crate::tiles::head_at;

impl Recovering {
    /// Finds or makes the lane of a log.
    pub(super) async fn begin_log(&self, said: RefillLog) -> Result<Incoming, RecoverError> {
        let origin: LogOrigin = said.origin.parse().map_err(|_| RecoverError::Answer("an origin"))?;
        let (own, peer) = (&self.exchange.own_node, &self.exchange.partner_node);
        let (issuer, recipient) = if said.mirrored { (own, peer) } else { (peer, own) };
        let agreement = self.exchange.pack.id();
        if origin
            != (LogOrigin {
                issuer: issuer.clone(),
                agreement: agreement.into(),
                recipient: recipient.clone(),
                epoch: origin.epoch,
            })
        {
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
    pub(super) async fn take(&self, log: &mut Incoming, batch: Batch) -> Result<(), RecoverError> {
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
}

/// Whether a stored part cannot be read: its data key is lost, or was destroyed with another part of its class, as a restored
/// database may hold it, or it was erased for that reason. What was ordered to be erased is erased again after the refill.
fn lost(core: &Core, stored: &PartRow) -> bool {
    match is_marker(stored) {
        true => stored.sealed == ERASED,
        false => core.sealer.vault.available(DataKeyId(stored.key_id)).is_err(),
    }
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
            if index < had && !stored.is_some_and(|stored| lost(core, stored)) {
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
