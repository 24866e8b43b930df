//! The exchange in single steps, for whoever drives it without sessions and background tasks: each is one durable commit or
//! one message, in the order in which [`crate::session`] takes them. A simulator crashes, delays and repeats between any two.

use std::sync::Arc;

use convenio_store::StoreError;
use convenio_wire::exchange::v1::{Batch, Cosigned, Mirrored};

use crate::core::{Core, Exchange};
use crate::error::IssueError;
use crate::inbound::judge;
use crate::inbound::mirror::Mirror;
use crate::outbound::{deliver, entangle};
use crate::session::SessionEnd;

/// What a HELLO says of the partner's log: how far the mirror here reaches, and the last cosigned checkpoint.
///
/// # Errors
/// The database's.
pub async fn mirrored(core: &Core, exchange: &Exchange) -> Result<Mirrored, StoreError> {
    let logs = core.store.logs().await?;
    let log = logs.iter().find(|l| l.id == exchange.peer().log).ok_or(StoreError::Corrupt("log"))?;
    Ok(Mirrored { origin: exchange.peer().origin.clone(), size: log.size, cosigned_checkpoint: log.cosigned.clone() })
}

/// Takes what the partner's HELLO says of the own log: where delivery goes on.
///
/// # Errors
/// Why the session would end; [`SessionEnd::TimedOut`] while the partner's keys are unknown.
pub async fn resume(core: &Arc<Core>, exchange: &Arc<Exchange>, theirs: &Mirrored) -> Result<u64, SessionEnd> {
    if exchange.partner_keys().is_none() && !theirs.cosigned_checkpoint.is_empty() {
        return Err(SessionEnd::TimedOut);
    }
    deliver::resume(core, exchange, theirs).await
}

/// The next batch from `at` on; none if the own log ends there.
///
/// # Errors
/// Why the session would end.
pub async fn next_batch(core: &Core, exchange: &Exchange, at: u64) -> Result<Option<Batch>, SessionEnd> {
    let size = core.heads().borrow().get(&exchange.own().log).map_or(0, |head| head.size);
    if size <= at {
        return Ok(None);
    }
    deliver::unfrozen(core, exchange).await?;
    deliver::next_batch(core, exchange, at).await.map(Some)
}

/// The receiving half of one session: the mirror as it was when the session opened.
pub struct Receiving(Mirror);

impl Receiving {
    /// Opens it.
    ///
    /// # Errors
    /// The database's.
    pub async fn open(core: &Arc<Core>, exchange: &Arc<Exchange>) -> Result<Self, StoreError> {
        Mirror::open(core, exchange).await.map(Self)
    }

    /// Stores a batch durably and answers with the cosigned checkpoint.
    ///
    /// # Errors
    /// Why the session ends.
    pub async fn take(&mut self, batch: Batch) -> Result<Cosigned, SessionEnd> {
        self.0.take(batch).await
    }
}

/// Takes a cosigned checkpoint of the own log; returns its size.
///
/// # Errors
/// Why the session would end; [`SessionEnd::TimedOut`] while the partner's keys are unknown.
pub async fn settle(core: &Arc<Core>, exchange: &Arc<Exchange>, note: Vec<u8>) -> Result<u64, SessionEnd> {
    if exchange.partner_keys().is_none() {
        return Err(SessionEnd::TimedOut);
    }
    deliver::settle(core, exchange, note).await
}

/// Judges what is mirrored and not judged yet, as far as one transaction goes.
///
/// # Errors
/// The database's.
pub async fn judge(core: &Arc<Core>, exchange: &Arc<Exchange>) -> Result<(), StoreError> {
    judge::judge_next(core, exchange).await
}

/// What the timer of a quiet log does: entangles the partner's last checkpoint if it covers any news.
///
/// # Errors
/// [`IssueError`].
pub async fn quiet(core: &Arc<Core>, exchange: &Arc<Exchange>) -> Result<(), IssueError> {
    entangle::entangle_alone(core, exchange).await
}
