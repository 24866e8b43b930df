//! A log on its way in. What the database has must be the same. What it lacks is put past the head of the stored log, where
//! nothing sees it: it becomes part of the log once its own head is verified (`verify`), and is cut off if it never is.

use std::collections::HashMap;
use std::sync::Arc;

use convenio_log::{Frontier, leaf_hash};
use convenio_seal::epoch::verify_epoch_open;
use convenio_seal::origin::LogOrigin;
use convenio_seal::root::RootSet;
use convenio_seal::rotation::verify_revoke;
use convenio_seal::statement::{claimed_statement, open_entry, verify_entry};
use convenio_seal::vault::DataKeyId;
use convenio_store::{EntryRow, PartRow, StoreError, Work};
use convenio_wire::MAX_ENTRY;
use convenio_wire::exchange::v1::{Batch, EntryParts, KeyRevocation, RefillLog, Statement, statement::Body};
use futures::FutureExt;
use prost::Message;

use super::{RecoverError, Recovering, refuted};
use crate::core::{Core, Exchange};
use crate::erase::ERASED;
use crate::inbound::check::opened;
use crate::inbound::mirror::{is_marker, is_record, part_row, record_id};
use crate::inbound::news::rotated;
use crate::inbound::screen;
use crate::keys::{Revocations, Timeline, rotation_state};
use crate::lane::Lane;
use crate::learn::revocation_state;
use crate::open::new_log;
use crate::version::{Before, Entered, InForce};

/// A log on its way in.
pub(super) struct Incoming {
    pub lane: Arc<Lane>,
    pub said: RefillLog,
    pub frontier: Frontier,
    /// Entries that the database had.
    pub had: u64,
    pub records: u64,
    /// What it says of its issuer's keys, by the issuer's roots.
    pub keys: Timeline,
    pub revoked: Vec<KeyRevocation>,
    /// The versions that it ratifies and puts in force, after what the log before it ended with.
    pub force: InForce,
    pub before: Before,
    /// The same as it is kept, once the log is verified.
    pub states: Vec<(String, Vec<u8>)>,
}

impl Recovering {
    /// Finds or makes the lane of a log. Its first entry must be EPOCH_OPEN by its issuer's roots: nobody else invents epochs.
    pub(super) async fn begin_log(
        &self,
        said: RefillLog,
        first: &Batch,
        before: Before,
    ) -> Result<Incoming, RecoverError> {
        let origin: LogOrigin = said.origin.parse().map_err(|_| RecoverError::Answer("an origin"))?;
        let (own, peer) = (&self.exchange.own_node, &self.exchange.partner_node);
        let (issuer, recipient) = if said.mirrored { (own, peer) } else { (peer, own) };
        let (agreement, epoch) = (self.exchange.pack().id().to_owned(), origin.epoch);
        let expected =
            LogOrigin { issuer: issuer.clone(), agreement: agreement.clone(), recipient: recipient.clone(), epoch };
        if origin != expected {
            return Err(RecoverError::Answer("a log of others"));
        }
        let opening = first.entries.first().and_then(|entry| open_entry(entry).ok()?.statement.body);
        let Some(Body::EpochOpen(opening)) = opening else {
            return Err(RecoverError::Answer("a log without beginning"));
        };
        let keys = verify_epoch_open(&opening, &said.origin, self.issuer(said.mirrored).1);
        let keys = keys.map_err(|_| RecoverError::Answer("an epoch that roots did not open"))?;
        let lanes = if said.mirrored { &self.exchange.own_lanes } else { &self.exchange.peer_lanes };
        let known = lanes.all().iter().find(|lane| lane.epoch == epoch).cloned();
        let lane = match known {
            Some(lane) => lane,
            None => {
                let (node, partner, mirrored) = (own.clone(), peer.clone(), said.mirrored);
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
        let (keys, revoked, states) = (Timeline::opened(keys), Vec::new(), Vec::new());
        let (frontier, force) = (Frontier::new(), InForce::default());
        Ok(Incoming { lane, said, frontier, had, records: 0, keys, revoked, force, before, states })
    }

    /// The node that issues a log, and its roots.
    fn issuer(&self, own: bool) -> (&str, &RootSet) {
        let exchange = &self.exchange;
        if own { (&exchange.own_node, &exchange.own_roots) } else { (&exchange.partner_node, &exchange.partner_roots) }
    }

    /// Takes a batch; what the database has must be the same.
    pub(super) async fn take(&self, log: &mut Incoming, batch: Batch) -> Result<(), RecoverError> {
        let end = batch.begin.saturating_add(batch.entries.len() as u64);
        let framed = batch.origin == log.said.origin && batch.begin == log.frontier.size() && end <= log.said.size;
        if !framed || batch.entries.is_empty() || batch.entries.iter().any(|entry| entry.len() > MAX_ENTRY) {
            return Err(refuted(&log.lane, "BAD_FRAMING"));
        }
        let held = self.core.store.leaves(log.lane.log, batch.begin, end.min(log.had)).await?;
        let (mut entries, issuer) = (Vec::new(), self.issuer(log.said.mirrored));
        for (place, (bytes, index)) in batch.entries.into_iter().zip(batch.begin..).enumerate() {
            let leaf = leaf_hash(&bytes);
            if held.get(place).is_some_and(|held| held != leaf.as_bytes()) {
                return Err(refuted(&log.lane, "ANOTHER_PAST"));
            }
            log.frontier.append(leaf);
            let statement = claimed_statement(&bytes).unwrap_or_default();
            log.learn(index, &statement, &bytes, issuer);
            log.enter(&self.exchange, index, &statement, &bytes)?;
            log.records += u64::from(is_record(&statement));
            entries.push((row(&log.lane, index, &statement, bytes.to_vec()), statement));
        }
        let keys = log.keys.clone();
        let own = log.said.mirrored;
        let checked = tokio::task::spawn_blocking(move || {
            let by_its_key = |row: &EntryRow| {
                let key = keys.at(row.index).map(|manifest| manifest.record);
                let open = open_entry(&row.bytes).ok();
                key.zip(open).is_some_and(|(key, open)| verify_entry(&open, &key).is_ok())
            };
            let good = !own || entries.iter().all(|(row, _)| by_its_key(row));
            (good, entries)
        });
        let (good, entries) = checked.await.map_err(|_| StoreError::Failed("a check failed".to_owned()))?;
        if !good {
            return Err(refuted(&log.lane, "BAD_SIGNATURE"));
        }
        let (core, had) = (self.core.clone(), log.had);
        let stored = self.core.write::<_, StoreError, _>(move |work| {
            async move { store(work, &core, had, entries, batch.parts).await }.boxed()
        });
        Ok(stored.await?)
    }
}

impl Incoming {
    /// What an entry says of versions and orders. A version that is not held cannot be replayed: an officer has to place it first.
    fn enter(
        &mut self,
        exchange: &Exchange,
        index: u64,
        statement: &Statement,
        entry: &[u8],
    ) -> Result<(), RecoverError> {
        let speaks = matches!(
            statement.body,
            Some(Body::Ratify(_) | Body::Activate(_) | Body::Suspend(_) | Body::Resume(_) | Body::Terminate(_))
        );
        if !speaks {
            return Ok(());
        }
        let mut revoked = Revocations::default();
        for said in &self.revoked {
            revoked.add(said.clone());
        }
        // Own entries are found to bear the own signature with the whole batch.
        let good = self.said.mirrored || opened(exchange, &self.lane, (&self.keys, &revoked), index, entry).is_ok();
        if !good {
            return Ok(());
        }
        match exchange.enter(&mut self.force, self.before, &self.lane, index, statement) {
            Entered::Nothing => {}
            Entered::Kept(path, body) => self.states.push((path, body)),
            Entered::NotHeld(_) => return Err(refuted(&self.lane, "UNKNOWN_VERSION")),
        }
        Ok(())
    }

    /// What an entry says of keys, if roots signed it.
    fn learn(&mut self, index: u64, statement: &Statement, entry: &[u8], issuer: (&str, &RootSet)) {
        match &statement.body {
            Some(Body::KeyRotate(rotate)) => {
                let Some(keys) = rotated(issuer, &self.lane.origin, rotate, entry) else { return };
                let version = keys.version;
                if self.keys.rotate(index, keys) {
                    self.states.push((rotation_state(&self.lane.origin, version), index.to_be_bytes().to_vec()));
                }
            }
            Some(Body::Revoke(revoke)) => {
                let Ok(said) = verify_revoke(revoke, issuer.1) else { return };
                self.revoked.push(said);
                self.states.push((revocation_state(&self.lane.origin, &revoke.payload), revoke.encode_to_vec()));
            }
            _ => {}
        }
    }
}

fn row(lane: &Lane, index: u64, statement: &Statement, bytes: Vec<u8>) -> EntryRow {
    EntryRow {
        log: lane.log,
        index,
        record_id: record_id(statement),
        is_record: is_record(statement),
        subject: None,
        leaf: *leaf_hash(&bytes).as_bytes(),
        bytes,
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
    had: u64,
    entries: Vec<(EntryRow, Statement)>,
    parts: Vec<EntryParts>,
) -> Result<(), StoreError> {
    let mut parts: HashMap<u64, EntryParts> = parts.into_iter().map(|part| (part.index, part)).collect();
    for (row, statement) in entries {
        let (log, index) = (row.log, row.index);
        let screened = screen::commitments(&statement, parts.remove(&index));
        let row = EntryRow { subject: screen::subject(&screened), ..row };
        let held = if index < had { work.parts(log, index, index + 1).await? } else { Vec::new() };
        for (number, part) in screened.into_iter().enumerate() {
            let stored = held.iter().find(|stored| stored.part as usize == number);
            if index < had && !stored.is_some_and(|stored| lost(core, stored)) {
                continue;
            }
            if let Some(stored) = stored {
                work.drop_part(log, index, stored.part);
            }
            let sealed = part_row(work, core, &row, number, part).await?;
            work.push_part(sealed);
        }
        if index >= had {
            work.push_entry(row);
        }
    }
    Ok(())
}
