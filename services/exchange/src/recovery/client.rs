//! The side that lost its disk. It opens the database that is there, new and empty or a restored backup, extends each log
//! with what is missing, verifies everything, rebuilds what it knows by replay, and only then opens the epoch that was
//! granted. Nothing counts before it is verified; then nothing below the head of a log is taken back: an own log merely ends
//! where the partner's mirror ends.

mod open;
mod tail;
mod take;
mod verify;

use std::sync::Arc;

use convenio_store::StoreError;
use convenio_wire::exchange::v1::refill_response::Message as Said;
use convenio_wire::exchange::v1::{Recovery, RecoveryRequest, RefillOpening, RefillResponse};
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
pub(super) use self::tail::Tail;
use self::take::Incoming;

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
}

/// A node that recovers one agreement's logs. It serves nobody.
pub struct Recovering {
    core: Arc<Core>,
    exchange: Arc<Exchange>,
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
            agreement: self.exchange.pack().id().to_owned(),
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
        self.began(&opening).await?;
        let (logs, entries) = self.taken(&mut answer).await?;
        self.verify(&opening, &logs).await?;
        self.accept(&logs).await?;
        let own = logs.iter().filter(|log| log.said.mirrored);
        let tail = self.tail(&own.map(|log| (log.lane.log, log.said.size)).collect()).await?;
        let sums = self.settle(&logs, &tail).await?;
        self.done(&opening, sums.judged_mirrored).await?;
        let RefillOpening { size, root, granted_epoch, .. } = opening;
        let (tail, bare) = (tail.again.len() as u64, sums.bare);
        Ok(Refilled { entries, tail, bare, epoch: granted_epoch, prev_size: size, prev_root: root })
    }

    /// Takes the logs of an answer, none of it verified, with how many entries the partner says there are.
    async fn taken<E>(
        &self,
        answer: &mut (impl Stream<Item = Result<RefillResponse, E>> + Send + Unpin),
    ) -> Result<(Vec<Incoming>, u64), RecoverError> {
        let (mut logs, mut announced) = (Vec::<Incoming>::new(), None);
        loop {
            match said(answer).await? {
                Said::Log(_) if announced.is_some() => return Err(RecoverError::Answer("a log without entries")),
                Said::Log(log) if logs.iter().any(|known| known.said.origin == log.origin) => {
                    return Err(RecoverError::Answer("a log twice"));
                }
                Said::Log(log) => announced = Some(log),
                Said::Batch(batch) => {
                    if let Some(log) = announced.take() {
                        let before = logs.iter().rev().filter(|known| known.said.mirrored == log.mirrored);
                        let before = before.into_iter().next().map(|known| known.force.after(known.before));
                        let before = before.unwrap_or_default();
                        logs.push(self.begin_log(log, &batch, before).await?);
                    }
                    let log = logs.last_mut().ok_or(RecoverError::Answer("no log"))?;
                    self.take(log, batch).await?;
                }
                Said::Done(_) if announced.is_some() => return Err(RecoverError::Answer("a log without entries")),
                Said::Done(done) => return Ok((logs, done.entries)),
                Said::Opening(_) => return Err(RecoverError::Answer("a second opening")),
            }
        }
    }

    /// A refill begins. What an earlier one left that broke off was never verified and goes.
    async fn began(&self, opening: &RefillOpening) -> Result<(), StoreError> {
        let (key, state) = (refilled(self.exchange.pack().id()), Refill::of(opening));
        let (own, peer) = (self.exchange.own_lanes(), self.exchange.peer_lanes());
        let begun = self.core.write::<_, StoreError, _>(move |work| {
            own.iter().chain(peer.iter()).for_each(|lane| work.cut(lane.log));
            work.put_state(&key, Some(state.encode_to_vec()));
            std::future::ready(Ok(())).boxed()
        });
        begun.await
    }

    /// Everything was refilled and replayed; `judged` is how far the mirrored own log had judged the partner's.
    async fn done(&self, opening: &RefillOpening, judged: At) -> Result<(), StoreError> {
        let key = refilled(self.exchange.pack().id());
        let state = Refill { done: true, peer_epoch: judged.0, peer_size: judged.1, ..Refill::of(opening) };
        let kept = self.core.write::<_, StoreError, _>(move |work| {
            work.put_state(&key, Some(state.encode_to_vec()));
            std::future::ready(Ok(())).boxed()
        });
        kept.await
    }

    /// Replays everything and writes what follows from it.
    async fn settle(&self, logs: &[Incoming], tail: &Tail) -> Result<Settled, RecoverError> {
        let range = |log: &Incoming| (log.lane.clone(), 0, log.said.size);
        let (own, peer): (Vec<_>, Vec<_>) = logs.iter().partition(|log| log.said.mirrored);
        let own: Vec<_> = own.into_iter().map(range).chain(tail.ranges.iter().cloned()).collect();
        let peer: Vec<_> = peer.into_iter().map(range).collect();
        let mut replay = Replay::begin(&self.exchange, Walk::new(&self.core, &own, false), tail).await?;
        self.contained(logs, &replay.sums.entangled).await?;
        let theirs = Walk::new(&self.core, &peer, true).of_partner(&self.exchange);
        replay.run(Walk::new(&self.core, &own, true), theirs).await?;
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
                // What the partner should not have sent is not kept; what the partner said so of is this node's own.
                let theirs = exchange.peer_lanes().iter().any(|lane| lane.log == row.log);
                if theirs && row.reason == "UNDISCLOSED" {
                    work.drop_parts(row.log, row.index);
                }
                work.push_rejection(row);
            }
            rows.into_iter().for_each(|row| work.put_log(row));
            std::future::ready(Ok(())).boxed()
        });
        written.await?;
        sums.erasures.replay(&self.core, &self.exchange).await?;
        Ok(Settled { bare: sums.bare, judged_mirrored: sums.judged_mirrored })
    }
}

/// What a replay tells of the refill.
struct Settled {
    /// Entries whose parts did not come back.
    bare: u64,
    /// How far the mirrored own log had judged the partner's.
    judged_mirrored: At,
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
