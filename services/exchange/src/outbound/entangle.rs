//! Entangling: the partner's checkpoint, as cosigned here, stands in the own log, so that neither side can show two pasts.
//! Quiet: it joins a batch that holds another entry, or comes alone after a minute without news; an idle pair appends
//! nothing.

use std::sync::Arc;
use std::time::Duration;

use convenio_log::SignedCheckpoint;
use convenio_seal::statement::claimed_statement;
use convenio_store::{CheckpointRow, LogRow, Staged, StoreError, Work};
use convenio_wire::exchange::v1::{PeerCheckpoint, statement::Body};
use futures::FutureExt;

use super::seal::{Sealer, fresh_record_id, stage_statement};
use crate::core::{Core, Exchange};
use crate::error::IssueError;

/// How long the partner's log must be quiet before its checkpoint is entangled alone.
const QUIET: Duration = Duration::from_secs(60);

/// Entries looked through at a time.
const PAGE: u64 = 64;

/// The PEER_CHECKPOINT for a batch of this group, if the partner's log was cosigned further than it is entangled.
pub(crate) async fn entangle(work: &mut Work, sealer: &Sealer, exchange: &Exchange) -> Result<Vec<Staged>, StoreError> {
    let Some(mirror) = next(work, exchange)? else { return Ok(Vec::new()) };
    let body = Body::PeerCheckpoint(PeerCheckpoint { note: mirror.cosigned.clone() });
    stage_statement(work, sealer, exchange, fresh_record_id(sealer), body, None, Vec::new())
        .map_err(|_| StoreError::Failed("a checkpoint does not fit an entry".to_owned()))?;
    let staged = work.take_staged();
    keep_note(work, &mirror)?;
    work.put_log(LogRow { entangled: mirror.cosigned_size, ..mirror });
    Ok(staged)
}

/// A head that the own log names is kept with its signatures: should another of its size appear, both are evidence.
fn keep_note(work: &mut Work, mirror: &LogRow) -> Result<(), StoreError> {
    let note = SignedCheckpoint::parse(&mirror.cosigned).map_err(|_| StoreError::Corrupt("checkpoint"))?;
    let (size, root) = (note.checkpoint().size(), *note.checkpoint().root().as_bytes());
    work.push_checkpoint(CheckpointRow { log: mirror.id, size, root, note: mirror.cosigned.clone() });
    Ok(())
}

/// The mirror whose head is next to be entangled, those of earlier epochs first; none if the own log is frozen.
fn next(work: &Work, exchange: &Exchange) -> Result<Option<LogRow>, StoreError> {
    if !work.log(exchange.own().log)?.alarm.is_empty() {
        return Ok(None);
    }
    for lane in exchange.peer_lanes().iter() {
        let mirror = work.log(lane.log)?;
        if mirror.cosigned_size > mirror.entangled {
            return Ok(Some(mirror.clone()));
        }
    }
    Ok(None)
}

/// Entangles the partner's last checkpoint once a minute of quiet has passed, if it covers anything but answers.
pub(crate) async fn entangle_when_quiet(core: Arc<Core>, exchange: Arc<Exchange>) {
    let mut heads = core.heads();
    loop {
        let quiet = core.sealer.clock.sleep(QUIET);
        tokio::select! {
            changed = heads.changed() => if changed.is_err() { return } else { continue },
            () = quiet => {}
        }
        if let Err(error) = entangle_alone(&core, &exchange).await {
            tracing::warn!(reason = %error, "a quiet log was not entangled");
        }
        if heads.changed().await.is_err() {
            return;
        }
    }
}

/// Whether what is not entangled yet holds anything but answers.
async fn news(work: &mut Work, mirror: &LogRow) -> Result<bool, StoreError> {
    let mut begin = mirror.entangled;
    while begin < mirror.cosigned_size {
        let end = mirror.cosigned_size.min(begin + PAGE);
        let answer = |bytes: &[u8]| {
            matches!(claimed_statement(bytes).and_then(|s| s.body), Some(Body::Outcome(_) | Body::PeerCheckpoint(_)))
        };
        if !work.entries(mirror.id, begin, end).await?.iter().all(|entry| answer(&entry.bytes)) {
            return Ok(true);
        }
        begin = end;
    }
    Ok(false)
}

pub(crate) async fn entangle_alone(core: &Arc<Core>, exchange: &Arc<Exchange>) -> Result<(), IssueError> {
    let (core2, exchange) = (core.clone(), exchange.clone());
    core.write(move |work| {
        async move {
            let Some(mirror) = next(work, &exchange)? else { return Ok(()) };
            if mirror.settled == mirror.size && news(work, &mirror).await? {
                let body = Body::PeerCheckpoint(PeerCheckpoint { note: mirror.cosigned.clone() });
                let id = fresh_record_id(&core2.sealer);
                stage_statement(work, &core2.sealer, &exchange, id, body, None, Vec::new())?;
                keep_note(work, &mirror)?;
                work.put_log(LogRow { entangled: mirror.cosigned_size, ..mirror });
            }
            Ok(())
        }
        .boxed()
    })
    .await
}
