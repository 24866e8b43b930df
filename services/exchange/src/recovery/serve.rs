//! The partner's side of a recovery. TLS credentials alone pull no data and close nothing: a request bears the roots'
//! signatures over a challenge of this node, is good once, and an old one closes nothing (model: `fresh_request`).

use std::sync::Arc;

use aws_lc_rs::digest;
use convenio_seal::recovery::verify_recovery;
use convenio_seal::root::RootError;
use convenio_store::{LogRow, StoreError, Work};
use convenio_wire::exchange::v1::refill_response::Message as Said;
use convenio_wire::exchange::v1::{
    Batch, Recovery, RecoveryRequest, RefillDone, RefillLog, RefillOpening, RefillRequest, RefillResponse,
};
use futures::FutureExt;
use prost::Message;
use tokio::sync::mpsc;

use super::states::{Served, read, served};
use crate::core::{Core, Exchange};
use crate::inbound::mirror::last_mirrored;
use crate::lane::Lane;
use crate::open::new_log;
use crate::outbound::deliver::fitting;
use crate::parts::opened;

/// How long a challenge is good, ms.
const CHALLENGE_MS: u64 = 24 * 60 * 60 * 1000;
/// Entries of one message at most.
const MAX_BATCH: u64 = 512;
/// Messages that may wait to be sent.
const OUTBOUND: usize = 2;

/// A recovery was refused; nothing was closed.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// The caller has no such agreement with this node.
    #[error("no such agreement")]
    UnknownAgreement,
    /// The request is malformed or not by the roots.
    #[error("the request is not one of its party's roots: {0}")]
    Roots(#[from] RootError),
    /// A field is not the expected one.
    #[error("field `{0}` of the request is not the expected one")]
    Field(&'static str),
    /// No challenge stands, or it is too old, or it was used.
    #[error("the challenge is not one that stands")]
    Challenge,
    /// The database failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Core {
    /// First step: a challenge for the partner's roots to sign. It replaces the one before.
    ///
    /// # Errors
    /// [`ServeError`].
    pub async fn recovery_challenge(self: &Arc<Self>, partner: &str, agreement: &str) -> Result<Recovery, ServeError> {
        let exchange = self.served_exchange(partner, agreement)?;
        let mut challenge = vec![0; 32];
        self.sealer.entropy.fill(&mut challenge);
        let (core, of, given) = (self.clone(), exchange.clone(), challenge.clone());
        let number = self.write::<_, ServeError, _>(move |work| {
            async move {
                let mut known = standing(work, &of).await?;
                known.challenge = given;
                known.expires_ms = core.sealer.clock.now_ms() + CHALLENGE_MS;
                work.put_state(&served(of.pack().id(), &of.partner_node), Some(known.encode_to_vec()));
                Ok(known.honoured + 1)
            }
            .boxed()
        });
        let number = number.await?;
        let (_, size, _) = last_mirrored(self.store.as_ref(), &exchange).await?;
        Ok(Recovery { challenge, number, log_origin: exchange.peer().origin.clone(), size })
    }

    /// Second step: closes the partner's epoch durably, allots the next one, and streams both logs of every epoch.
    ///
    /// # Errors
    /// [`ServeError`]; nothing was closed.
    pub async fn refill(
        self: &Arc<Self>,
        partner: &str,
        request: RefillRequest,
    ) -> Result<mpsc::Receiver<Result<RefillResponse, StoreError>>, ServeError> {
        let agreement = RecoveryRequest::decode(request.payload.as_slice()).unwrap_or_default().agreement;
        let exchange = self.served_exchange(partner, &agreement)?;
        let said = verify_recovery(&request.payload, &request.signatures, &exchange.partner_roots)?;
        if said.node != partner || said.partner != self.node {
            return Err(ServeError::Field("node"));
        }
        let digest = digest::digest(&digest::SHA256, &request.payload).as_ref().to_vec();
        // Whoever asked may go away meanwhile: what was closed is closed.
        let (core, of) = (self.clone(), exchange.clone());
        let closing = tokio::spawn(async move { core.closes(&of, said, digest).await });
        closing.await.map_err(|_| StoreError::Failed("a job was dropped".to_owned()))??;
        let (to, answers) = mpsc::channel(OUTBOUND);
        let core = self.clone();
        tokio::spawn(async move {
            if let Err(error) = stream(&core, &exchange, &to).await {
                tracing::error!(reason = %error, "a refill was broken off");
                // Whoever reads learns of it if it still listens.
                let _ = to.send(Err(error)).await;
            }
        });
        Ok(answers)
    }

    async fn closes(
        self: &Arc<Self>,
        exchange: &Arc<Exchange>,
        said: RecoveryRequest,
        digest: Vec<u8>,
    ) -> Result<(), ServeError> {
        let (core, of) = (self.clone(), exchange.clone());
        let closed = self
            .write::<_, ServeError, _>(move |work| async move { close(work, &core, &of, &said, digest).await }.boxed());
        let closed = closed.await;
        // What the database says counts, also where nobody could tell whether this was committed.
        for row in self.store.logs().await?.iter().filter(|row| of_partner(exchange, row)) {
            if exchange.lane_of(row.id).is_none() {
                tracing::warn!(partner = exchange.partner_node, granted = row.epoch, "an epoch was closed");
                exchange.peer_lanes.push(Lane::from(row));
            }
        }
        // Whoever still speaks for the closed epoch is cut off.
        self.sessions.fence(&exchange.partner_node);
        closed
    }

    fn served_exchange(&self, partner: &str, agreement: &str) -> Result<Arc<Exchange>, ServeError> {
        let found = self.exchange(agreement).filter(|exchange| exchange.partner_node == partner);
        found.cloned().ok_or(ServeError::UnknownAgreement)
    }
}

async fn standing(work: &mut Work, exchange: &Exchange) -> Result<Served, StoreError> {
    let state = work.state(&served(exchange.pack().id(), &exchange.partner_node)).await?;
    state.map_or(Ok(Served::default()), |row| read(&row.body))
}

/// Whether this is a mirror of the partner's log of some epoch.
fn of_partner(exchange: &Exchange, row: &LogRow) -> bool {
    !row.own && row.agreement == exchange.pack().id() && row.partner == exchange.partner_node
}

/// Closes the caller's epoch and makes the mirror of the next; changes nothing if this very request was honoured before and the
/// epoch that it was granted is still empty (the answer was lost).
async fn close(
    work: &mut Work,
    core: &Core,
    exchange: &Exchange,
    said: &RecoveryRequest,
    digest: Vec<u8>,
) -> Result<(), ServeError> {
    let mut known = standing(work, exchange).await?;
    let last = work.logs().filter(|row| of_partner(exchange, row)).max_by_key(|row| row.epoch);
    let row = last.cloned().ok_or(StoreError::Corrupt("log"))?;
    if known.last == digest && row.size == 0 {
        return Ok(());
    }
    let fresh = !known.challenge.is_empty() && core.sealer.clock.now_ms() < known.expires_ms;
    if !fresh || said.challenge != known.challenge {
        return Err(ServeError::Challenge);
    }
    if said.number != known.honoured + 1 {
        return Err(ServeError::Field("number"));
    }
    if said.log_origin != row.origin {
        return Err(ServeError::Field("log_origin"));
    }
    let id = work.logs().map(|log| log.id).max().unwrap_or(0) + 1;
    let next = new_log(id, &exchange.own_node, exchange.pack().id(), &exchange.partner_node, false, row.epoch + 1);
    work.put_log(LogRow { closed: true, ..row });
    work.put_log(next);
    known = Served { honoured: said.number, challenge: Vec::new(), expires_ms: 0, last: digest };
    work.put_state(&served(exchange.pack().id(), &exchange.partner_node), Some(known.encode_to_vec()));
    Ok(())
}

type Outbound = mpsc::Sender<Result<RefillResponse, StoreError>>;

/// Sends everything; ends early where nobody listens any more.
async fn stream(core: &Core, exchange: &Exchange, to: &Outbound) -> Result<(), StoreError> {
    let (closed_origin, size, root) = last_mirrored(core.store.as_ref(), exchange).await?;
    let granted_epoch = exchange.peer().epoch;
    let opening = RefillOpening { closed_origin, size, root, granted_epoch };
    if !say(to, Said::Opening(opening)).await {
        return Ok(());
    }
    let rows = core.store.logs().await?;
    let lanes: Vec<_> = exchange.peer_lanes().iter().chain(exchange.own_lanes().iter()).cloned().collect();
    let mut entries = 0;
    for lane in lanes {
        let Some(row) = rows.iter().find(|row| row.id == lane.log) else { continue };
        // A frozen or closed log is not signed again: it goes as far as the partner cosigned it.
        let signs = row.own && row.alarm.is_empty() && !row.closed && row.cosigned_size < row.size;
        let (size, checkpoint) = match (signs, row.own) {
            (true, _) => (row.size, crate::publish::signed(core, row, row.size).await?.to_string().into_bytes()),
            (false, true) => (row.cosigned_size, row.cosigned.clone()),
            (false, false) => (row.size, row.cosigned.clone()),
        };
        if size == 0 {
            continue;
        }
        let (origin, mirrored, closed) = (row.origin.clone(), !row.own, row.closed);
        let log = RefillLog { origin, mirrored, size, checkpoint, closed };
        if !say(to, Said::Log(log)).await || !batches(core, row, size, to).await? {
            return Ok(());
        }
        entries += size;
    }
    say(to, Said::Done(RefillDone { entries })).await;
    Ok(())
}

async fn batches(core: &Core, row: &LogRow, size: u64, to: &Outbound) -> Result<bool, StoreError> {
    let mut begin = 0;
    while begin < size {
        let mut end = size.min(begin + MAX_BATCH);
        let mut rows = core.store.entries(row.id, begin, end).await?;
        let mut parts = opened(core.store.as_ref(), &core.sealer.vault, row.id, &rows, begin, end).await?;
        if let Some(fits) = fitting(&rows, &parts) {
            end = begin + fits as u64;
            rows.truncate(fits);
            parts.retain(|part| part.index < end);
        }
        let entries = rows.into_iter().map(|row| row.bytes.into()).collect();
        let batch = Batch { origin: row.origin.clone(), begin, entries, parts, checkpoint: Vec::new() };
        if !say(to, Said::Batch(batch)).await {
            return Ok(false);
        }
        begin = end;
    }
    Ok(true)
}

async fn say(to: &Outbound, message: Said) -> bool {
    to.send(Ok(RefillResponse { message: Some(message) })).await.is_ok()
}
