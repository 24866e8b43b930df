//! The side that lost its disk. It opens the database that is there, new and empty or a restored backup, extends each log
//! with what is missing, verifies everything, rebuilds what it knows by replay, and only then opens the epoch that was
//! granted. Nothing that is stored is taken back: an own log merely ends where the partner's mirror ends.

mod open;
mod tail;
mod take;
mod verify;

use std::collections::HashSet;
use std::sync::Arc;

use convenio_log::Frontier;
use convenio_store::StoreError;
use convenio_wire::exchange::v1::refill_response::Message as Said;
use convenio_wire::exchange::v1::{Recovery, RecoveryRequest, RefillLog, RefillOpening, RefillResponse};
use futures::{FutureExt, Stream, StreamExt};
use prost::Message;

use super::replay::{Replay, key_of, told_before};
use super::states::{Refill, refilled};
use super::walk::{At, Walk};
use crate::core::{Core, CoreParts, Exchange};
use crate::error::OpenError;
use crate::lane::Lane;
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
        sums.erasures.replay(&self.core, &self.exchange).await?;
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
