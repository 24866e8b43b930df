//! What is refilled is believed for its hashes and signatures alone, not because the partner says so.

use std::collections::BTreeMap;

use convenio_log::{SignedCheckpoint, cosignature};
use convenio_seal::statement::{open_entry, verify_entry};
use convenio_store::{LogRow, RejectionRow, StoreError};
use convenio_wire::exchange::v1::RefillOpening;

use super::{Incoming, RecoverError, Recovering, refuted};
use crate::learn;
use crate::recovery::replay::Sums;
use crate::tiles::head_at;

impl Recovering {
    /// Each log is whole, its head is signed by its issuer, an own one's also by the partner's mirror; own entries bear
    /// the own signature; EPOCH_OPEN must name where the own logs end.
    pub(super) async fn verify(&self, opening: &RefillOpening, logs: &[Incoming]) -> Result<(), RecoverError> {
        learn::own(self.core.store.as_ref(), &self.core.sealer.keys, &self.exchange).await?;
        learn::partner(&self.core, &self.exchange).await.map_err(RecoverError::from)?;
        for log in logs {
            self.head(log).await?;
            if log.said.mirrored {
                self.signed(log).await?;
            }
        }
        let last = logs.iter().filter(|log| log.said.mirrored).max_by_key(|log| log.lane.epoch);
        let named = last.is_none_or(|log| {
            opening.size == log.said.size && opening.root == log.frontier.root().as_bytes().as_slice()
        });
        let granted = self.exchange.own_lanes().iter().all(|lane| lane.epoch < opening.granted_epoch);
        if named && granted { Ok(()) } else { Err(RecoverError::Answer("an opening that does not fit the logs")) }
    }

    async fn head(&self, log: &Incoming) -> Result<(), RecoverError> {
        let lane = &log.lane;
        let note = SignedCheckpoint::parse(&log.said.checkpoint).map_err(|_| refuted(lane, "BAD_CHECKPOINT"))?;
        let head = note.checkpoint();
        let size = log.frontier.size();
        let whole = size == log.said.size && (head.size(), head.root()) == (size, log.frontier.root());
        let keys = match log.said.mirrored {
            true => self.exchange.own_log_keys(lane.epoch, &lane.origin, size),
            false => self.exchange.partner_log_keys(lane.epoch, &lane.origin, size),
        };
        if !whole || !keys.iter().any(|key| note.verify_log(key).is_ok()) {
            return Err(refuted(lane, "BAD_CHECKPOINT"));
        }
        let mirrors = self.exchange.partner_mirrors(&lane.origin, size);
        if log.said.mirrored && !mirrors.iter().any(|key| cosignature::verify(&note, key).is_ok()) {
            return Err(refuted(lane, "BAD_COSIGNATURE"));
        }
        let rows = self.core.store.logs().await?;
        // What the partner cosigned once it must still hold.
        let lost = rows.iter().any(|row| row.id == lane.log && row.own && row.cosigned_size > size);
        if lost { Err(refuted(lane, "PARTNER_LOST_ENTRIES")) } else { Ok(()) }
    }

    /// Every own entry was signed by the record key in force.
    async fn signed(&self, log: &Incoming) -> Result<(), RecoverError> {
        let keys = self.exchange.own_keys(log.lane.epoch);
        let mut begin = 0;
        while begin < log.said.size {
            let end = log.said.size.min(begin + 1024);
            let rows = self.core.store.entries(log.lane.log, begin, end).await?;
            let keys = keys.clone();
            let checked = tokio::task::spawn_blocking(move || {
                rows.iter().all(|row| {
                    let key = keys.at(row.index).map(|manifest| manifest.record);
                    let open = open_entry(&row.bytes).ok();
                    key.zip(open).is_some_and(|(key, open)| verify_entry(&open, &key).is_ok())
                })
            });
            if !checked.await.unwrap_or(false) {
                return Err(refuted(&log.lane, "BAD_SIGNATURE"));
            }
            begin = end;
        }
        Ok(())
    }

    /// Every head that the own logs entangle must be one of the partner's log, or the partner shows another past.
    pub(super) async fn contained(
        &self,
        logs: &[Incoming],
        entangled: &BTreeMap<u64, Vec<(u64, [u8; 32])>>,
    ) -> Result<(), RecoverError> {
        for (epoch, heads) in entangled {
            let found = logs.iter().find(|log| !log.said.mirrored && log.lane.epoch == *epoch);
            let Some(log) = found else { return Err(RecoverError::Answer("a log is missing")) };
            for (size, root) in heads {
                let same = *size <= log.said.size
                    && head_at(self.core.store.as_ref(), log.lane.log, *size).await?.root == *root;
                if !same {
                    return Err(refuted(&log.lane, "ANOTHER_PAST"));
                }
            }
        }
        Ok(())
    }

    /// The heads of all logs as the replay leaves them; own ones are closed where the mirror ended.
    pub(super) async fn rows(&self, logs: &[Incoming], sums: &Sums) -> Result<Vec<LogRow>, StoreError> {
        let stored = self.core.store.logs().await?;
        let row = |id: i64| stored.iter().find(|row| row.id == id).cloned().ok_or(StoreError::Corrupt("log"));
        let mut rows = Vec::new();
        for log in logs {
            let (size, records, cosigned) = (log.said.size, log.records, log.said.checkpoint.clone());
            let peaks = log.frontier.peaks().iter().flat_map(|hash| *hash.as_bytes()).collect();
            let row = LogRow { size, peaks, records, cosigned, cosigned_size: size, ..row(log.lane.log)? };
            let of = |sums: &BTreeMap<u64, _>| sums.get(&log.lane.epoch).copied().unwrap_or_default();
            rows.push(if log.said.mirrored {
                let sum: crate::recovery::replay::Decided = of(&sums.own);
                let (decided, rejected, entangled) = (sum.decided, sum.rejected, sum.end);
                let (settled, settled_records) = (size, records);
                LogRow { settled, settled_records, decided, rejected, entangled, closed: true, ..row }
            } else {
                let (sum, (epoch, judged)) = (of(&sums.peer), sums.judged);
                let settled = match log.lane.epoch.cmp(&epoch) {
                    std::cmp::Ordering::Less => size,
                    std::cmp::Ordering::Equal => judged.min(size),
                    std::cmp::Ordering::Greater => 0,
                };
                let entangled = sums.entangled.get(&log.lane.epoch);
                let entangled = entangled.into_iter().flatten().map(|(size, _)| *size).max().unwrap_or(0);
                let (decided, rejected, settled_records) = (sum.decided, sum.rejected, sum.decided);
                LogRow { settled, settled_records, decided, rejected, entangled, closed: log.said.closed, ..row }
            });
        }
        // An own log of which nothing was ever mirrored ends before it began.
        for lane in self.exchange.own_lanes().iter() {
            if !rows.iter().any(|row| row.id == lane.log) {
                rows.push(LogRow { size: 0, settled: 0, closed: true, ..row(lane.log)? });
            }
        }
        Ok(rows)
    }

    /// Rejections that the database does not have.
    pub(super) async fn rejections(&self, sums: &Sums) -> Result<Vec<RejectionRow>, StoreError> {
        let (own, peer) = (self.exchange.own_lanes(), self.exchange.peer_lanes());
        let mut known = std::collections::HashSet::new();
        for lane in own.iter().chain(peer.iter()) {
            known.extend(self.core.store.rejections(lane.log).await?.into_iter().map(|row| (row.log, row.index)));
        }
        let found = sums.rejections.iter().filter_map(|(is_own, epoch, row)| {
            let lanes = if *is_own { &own } else { &peer };
            let lane = lanes.iter().find(|lane| lane.epoch == *epoch)?;
            Some(RejectionRow { log: lane.log, ..row.clone() })
        });
        Ok(found.filter(|row| !known.contains(&(row.log, row.index))).collect())
    }
}
