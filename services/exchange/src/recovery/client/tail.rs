//! The tail: own entries past the mirrored head, which are issued again in the epoch that opens.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use convenio_model::RecordId;
use convenio_seal::vault::{DataKeyId, VaultError};
use convenio_store::StoreError;
use convenio_wire::exchange::v1::statement::Body;
use futures::FutureExt;
use prost::Message;

use super::{Incoming, RecoverError, Recovering};
use crate::erase::ERASED;
use crate::inbound::mirror::{MARKER, is_marker};
use crate::lane::Lane;
use crate::recovery::states::{TailEntry, TailPart, tail};
use crate::recovery::walk::{At, Walk};

impl Recovering {
    /// Own entries past the mirrored ends: ranges, and those among them that are not issued again.
    pub(super) async fn tail(
        &self,
        logs: &[Incoming],
    ) -> Result<(Vec<(Arc<Lane>, u64, u64)>, HashSet<At>), RecoverError> {
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
        // What the database holds and nothing can open any more is issued again as erased.
        let readable = |key| !matches!(self.core.sealer.vault.available(DataKeyId(key)), Err(VaultError::UnknownKey));
        let parts = parts.into_iter().map(|part| match is_marker(&part) || readable(part.key_id) {
            true => TailPart { key_id: part.key_id.to_vec(), sealed: part.sealed },
            false => TailPart { key_id: MARKER.to_vec(), sealed: ERASED.to_vec() },
        });
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
}
