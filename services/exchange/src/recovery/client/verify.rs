//! What is refilled is believed for its hashes and signatures alone, not because the partner says so.

use std::collections::BTreeMap;

use convenio_log::{SignedCheckpoint, cosignature};
use convenio_store::{LogRow, RejectionRow, StoreError};
use convenio_wire::exchange::v1::RefillOpening;
use futures::FutureExt;

use super::{Incoming, RecoverError, Recovering, refuted};
use crate::learn;
use crate::recovery::replay::Sums;
use crate::signer::verified;
use crate::tiles::head_at;

/// Entries by which a log grows in one commit.
const STEP: u64 = 65_536;

impl Recovering {
    /// Each log is whole, its head is signed by its issuer, an own one's also by the partner's mirror; EPOCH_OPEN must name
    /// where the own logs end. Own entries were found to bear the own signature as they came.
    pub(super) async fn verify(&self, opening: &RefillOpening, logs: &[Incoming]) -> Result<(), RecoverError> {
        for log in logs {
            self.believe(log);
        }
        let rows = self.core.store.logs().await?;
        for log in logs {
            self.head(log)?;
        }
        for lane in self.exchange.own_lanes().iter().chain(self.exchange.peer_lanes().iter()) {
            let Some(row) = rows.iter().find(|row| row.id == lane.log) else { continue };
            let size = logs.iter().find(|log| log.lane.log == row.id).map_or(0, |log| log.said.size);
            // What the partner cosigned once it must still hold, and all of its own.
            if size < if row.own { row.cosigned_size } else { row.size } {
                return Err(refuted(lane, "PARTNER_LOST_ENTRIES"));
            }
        }
        let last = logs.iter().filter(|log| log.said.mirrored).max_by_key(|log| log.lane.epoch);
        let named = last.is_none_or(|log| {
            opening.size == log.said.size && opening.root == log.frontier.root().as_bytes().as_slice()
        });
        let granted = self.exchange.own_lanes().iter().all(|lane| lane.epoch < opening.granted_epoch);
        if named && granted { Ok(()) } else { Err(RecoverError::Answer("an opening that does not fit the logs")) }
    }

    /// The keys that a log names are what its entries and heads are checked by: roots signed them.
    fn believe(&self, log: &Incoming) {
        let (epoch, keys) = (log.lane.epoch, log.keys.clone());
        if log.said.mirrored {
            self.exchange.own_keys_change(epoch, |known| *known = keys);
            for said in &log.revoked {
                self.exchange.revoke_own(said.clone());
            }
        } else {
            self.exchange.learn(epoch, |known| known.keys = keys);
            for said in &log.revoked {
                self.exchange.revoke_partner(said.clone());
            }
        }
    }

    /// What was verified becomes part of the logs, with what they say of keys.
    pub(super) async fn accept(&self, logs: &[Incoming]) -> Result<(), StoreError> {
        for log in logs {
            let mut size = log.had.min(log.said.size);
            while size < log.said.size {
                size = log.said.size.min(size + STEP);
                let id = log.lane.log;
                let grown = self.core.write::<_, StoreError, _>(move |work| {
                    let row = work.log(id).cloned().map(|row| work.put_log(LogRow { size, ..row }));
                    std::future::ready(row).boxed()
                });
                grown.await?;
            }
            let states = log.states.clone();
            let kept = self.core.write::<_, StoreError, _>(move |work| {
                states.into_iter().for_each(|(key, body)| work.put_state(&key, Some(body)));
                std::future::ready(Ok(())).boxed()
            });
            kept.await?;
        }
        learn::own(self.core.store.as_ref(), &self.exchange).await?;
        learn::in_use(&self.core.sealer.keys, self.core.exchanges());
        learn::partner(self.core.store.as_ref(), &self.exchange).await
    }

    /// The checkpoint of a log with the lines that are believed and no others.
    fn kept(&self, log: &Incoming) -> Result<Vec<u8>, StoreError> {
        let (exchange, size, lane) = (&self.exchange, log.said.size, &log.lane);
        let (logs, mirrors) = match log.said.mirrored {
            true => {
                let logs = exchange.own_log_keys(lane.epoch, &lane.origin, size);
                (logs, exchange.partner_mirrors(&lane.origin, size))
            }
            false => (exchange.partner_log_keys(lane.epoch, &lane.origin, size), exchange.own_mirrors()),
        };
        let note = SignedCheckpoint::parse(&log.said.checkpoint).ok();
        let kept = note.and_then(|note| verified(&note, &logs, &mirrors));
        kept.map(|kept| kept.to_string().into_bytes()).ok_or(StoreError::Corrupt("checkpoint"))
    }

    fn head(&self, log: &Incoming) -> Result<(), RecoverError> {
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

    /// The heads of all logs as the replay leaves them. Own ones are closed and settled where the mirror ended; what stands past
    /// it is issued again when the next epoch opens.
    pub(super) async fn rows(&self, logs: &[Incoming], sums: &Sums) -> Result<Vec<LogRow>, StoreError> {
        let stored = self.core.store.logs().await?;
        let row = |id: i64| stored.iter().find(|row| row.id == id).cloned().ok_or(StoreError::Corrupt("log"));
        let mut rows = Vec::new();
        for log in logs {
            let (size, records, cosigned) = (log.said.size, log.records, self.kept(log)?);
            let peaks = log.frontier.peaks().iter().flat_map(|hash| *hash.as_bytes()).collect();
            let row = LogRow { peaks, records, cosigned, cosigned_size: size, ..row(log.lane.log)? };
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
                rows.push(LogRow { peaks: Vec::new(), settled: 0, records: 0, closed: true, ..row(lane.log)? });
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
