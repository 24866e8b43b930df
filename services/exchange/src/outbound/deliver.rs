//! Delivery: replication of the own log from where the partner's mirror ends. There is no outbox to keep in step: a
//! partner that was away for a month is served from there. One batch is under way at a time.

use std::sync::Arc;
use std::time::Duration;

use convenio_log::checkpoint::SignedCheckpoint;
use convenio_log::{Checkpoint, Hash, VerifierKey, cosignature};
use convenio_store::{CheckpointRow, LogRow, StoreError};
use convenio_wire::exchange::v1::{Batch, Cosigned, EntryParts, Mirrored};
use futures::FutureExt;
use tokio::sync::mpsc;

use crate::core::{Core, Exchange, released};
use crate::parts::opened;
use crate::publish::log_signer;
use crate::session::{ANSWER, Message, SessionEnd};
use crate::signer::{Named, log_key, verified};
use crate::witness::submit::HEARTBEAT;
use crate::witness::{MAX_SKEW, mirror_time};
use crate::writer::Heads;

/// Entries of one batch at most.
pub(crate) const MAX_BATCH: u64 = 512;
/// Bytes of entries and parts after which a batch ends.
const MAX_BATCH_BYTES: usize = 3 * 1024 * 1024;

/// Delivers one log until the session ends.
pub(crate) async fn run(
    core: Arc<Core>,
    exchange: Arc<Exchange>,
    theirs: Option<Mirrored>,
    outbound: mpsc::Sender<Message>,
    mut answers: mpsc::Receiver<Cosigned>,
) -> SessionEnd {
    // A partner that does not know this log yet takes it from its beginning.
    let theirs = theirs.unwrap_or_default();
    let mut at = match resume(&core, &exchange, &theirs).await {
        Ok(at) => at,
        Err(end) => return end,
    };
    let mut heads = core.heads();
    loop {
        let grown = |heads: &Heads| heads.get(&exchange.own().log).is_some_and(|head| head.size > at);
        let quiet = if grown(&heads.borrow()) { Ok(HEARTBEAT) } else { heartbeat_due(&core, &exchange, at).await };
        let quiet = match quiet {
            Ok(quiet) => quiet,
            Err(end) => return end,
        };
        let news = tokio::select! {
            biased;
            grown = heads.wait_for(grown) => match grown {
                Ok(_) => true,
                Err(_) => return SessionEnd::Local("the writer has stopped".to_owned()),
            },
            () = core.sealer.clock.sleep(quiet) => false,
        };
        released(&core.controls.deliver).await;
        let step = async {
            unfrozen(&core, &exchange).await?;
            let batch =
                if news { next_batch(&core, &exchange, at).await? } else { heartbeat(&core, &exchange, at).await? };
            outbound.send(Message::Batch(batch)).await.map_err(|_| SessionEnd::Disconnected)?;
            let answer = tokio::time::timeout(ANSWER, answers.recv()).await.map_err(|_| SessionEnd::TimedOut)?;
            let answer = answer.ok_or(SessionEnd::Disconnected)?;
            settle(&core, &exchange, answer.checkpoint).await
        };
        match step.await {
            Ok(size) if size > at || (!news && size == at) => at = size,
            Ok(_) => {
                return SessionEnd::Refused { origin: exchange.own().origin.clone(), reason: "BAD_COSIGNATURE" };
            }
            // Frozen until its next epoch: the other direction goes on.
            Err(SessionEnd::Refused { reason: "FROZEN", .. }) => std::future::pending().await,
            Err(end) => return end,
        }
    }
}

/// How long until the partner's mirror is to cosign an unchanged head once more.
async fn heartbeat_due(core: &Core, exchange: &Exchange, at: u64) -> Result<Duration, SessionEnd> {
    if at == 0 {
        return Ok(HEARTBEAT);
    }
    let own = own_log(core, exchange).await?;
    let last = mirror_time(exchange, &own.cosigned).unwrap_or(0);
    let age = (core.sealer.clock.now_ms() / 1000).saturating_sub(last);
    // Of a cosignature that did not change anything the next is never asked for at once.
    Ok(HEARTBEAT.saturating_sub(Duration::from_secs(age)).max(Duration::from_secs(60)))
}

/// A batch without entries: the head that the partner's mirror holds, to be cosigned with a new time.
async fn heartbeat(core: &Core, exchange: &Exchange, at: u64) -> Result<Batch, SessionEnd> {
    let head = crate::tiles::head_at(core.store.as_ref(), exchange.own().log, at).await?;
    Ok(Batch {
        origin: exchange.own().origin.clone(),
        begin: at,
        entries: Vec::new(),
        parts: Vec::new(),
        checkpoint: signed_head(core, exchange, &head)?.to_string().into_bytes(),
    })
}

/// Where to go on: the end of the partner's mirror. A lost cosignature is taken from its HELLO.
pub(crate) async fn resume(core: &Arc<Core>, exchange: &Arc<Exchange>, theirs: &Mirrored) -> Result<u64, SessionEnd> {
    let own = own_log(core, exchange).await?;
    let refused = |reason| SessionEnd::Refused { origin: exchange.own().origin.clone(), reason };
    if theirs.size > own.size {
        if !signed_beyond(exchange, theirs, own.size) {
            return Err(refused("HELLO_SIZE"));
        }
        // This database is older than what this node has signed: never sign that log again.
        freeze(core, exchange, "ROLLBACK").await?;
        return Err(refused("ROLLBACK"));
    }
    if theirs.size < own.settled {
        return Err(refused("PARTNER_LOST_ENTRIES"));
    }
    if !theirs.cosigned_checkpoint.is_empty() {
        settle(core, exchange, theirs.cosigned_checkpoint.clone()).await?;
    }
    Ok(theirs.size)
}

/// Whether the partner shows a checkpoint by this node's own key that reaches past what its database holds: proof, where a
/// bare number would let any partner stop this log.
fn signed_beyond(exchange: &Exchange, theirs: &Mirrored, size: u64) -> bool {
    let Ok(note) = SignedCheckpoint::parse(&theirs.cosigned_checkpoint) else { return false };
    let own = exchange.own();
    let shown = note.checkpoint();
    let keys = exchange.own_keys(own.epoch);
    let mut keys = keys.newest_first().filter_map(|keys| log_key(&own.origin, &keys.log));
    shown.origin() == own.origin && shown.size() > size && keys.any(|key| note.verify_log(&key).is_ok())
}

async fn own_log(core: &Core, exchange: &Exchange) -> Result<LogRow, SessionEnd> {
    let logs = core.store.logs().await?;
    logs.into_iter().find(|l| l.id == exchange.own().log).ok_or_else(|| SessionEnd::Local("no such log".to_owned()))
}

/// A frozen log is neither signed nor delivered.
pub(crate) async fn unfrozen(core: &Core, exchange: &Exchange) -> Result<(), SessionEnd> {
    if own_log(core, exchange).await?.alarm.is_empty() {
        return Ok(());
    }
    Err(SessionEnd::Refused { origin: exchange.own().origin.clone(), reason: "FROZEN" })
}

pub(crate) async fn next_batch(core: &Core, exchange: &Exchange, begin: u64) -> Result<Batch, SessionEnd> {
    let head = head_after(core, exchange, begin).await?;
    let mut rows = core.store.entries(exchange.own().log, begin, head.size).await?;
    let mut parts =
        opened(core.store.as_ref(), &core.sealer.vault, exchange.own().log, &rows, begin, head.size).await?;
    let mut head = head;
    if let Some(fits) = fitting(&rows, &parts) {
        let end = begin + fits as u64;
        rows.truncate(fits);
        parts.retain(|p| p.index < end);
        head = crate::tiles::head_at(core.store.as_ref(), exchange.own().log, end).await?;
    }
    Ok(Batch {
        origin: exchange.own().origin.clone(),
        begin,
        entries: rows.into_iter().map(|row| row.bytes.into()).collect(),
        parts,
        checkpoint: signed_head(core, exchange, &head)?.to_string().into_bytes(),
    })
}

/// The largest committed head within one batch of `begin`; there is one every few entries.
async fn head_after(core: &Core, exchange: &Exchange, begin: u64) -> Result<CheckpointRow, SessionEnd> {
    let head = core.store.checkpoint_at_most(exchange.own().log, begin + MAX_BATCH).await?;
    head.filter(|h| h.size > begin).ok_or_else(|| StoreError::Corrupt("checkpoint").into())
}

/// How many entries fit one batch, if not all do; at least one.
pub(crate) fn fitting(rows: &[convenio_store::EntryRow], parts: &[EntryParts]) -> Option<usize> {
    let mut bytes = 0;
    let mut parts = parts.iter().peekable();
    for (count, row) in rows.iter().enumerate() {
        bytes += row.bytes.len();
        while let Some(own) = parts.next_if(|p| p.index == row.index) {
            bytes += own.parts.iter().map(|p| p.part.len() + 64).sum::<usize>();
        }
        if bytes > MAX_BATCH_BYTES && count > 0 {
            return Some(count);
        }
    }
    None
}

/// Signs a committed head. Ed25519 is deterministic: the same row always gives the same note.
pub(crate) fn signed_head(
    core: &Core,
    exchange: &Exchange,
    head: &CheckpointRow,
) -> Result<SignedCheckpoint, SessionEnd> {
    let failed = || SessionEnd::Local("a head cannot be signed".to_owned());
    let lane = exchange.lane_of(head.log).ok_or_else(failed)?;
    let checkpoint = Checkpoint::new(lane.origin.as_str(), head.size, Hash::from(head.root)).map_err(|_| failed())?;
    let keys = log_signer(&core.sealer, exchange, lane.epoch, &lane.origin, head.size);
    let signer = Named { name: &lane.origin, key: &keys.log };
    checkpoint.sign(&signer).map_err(|_| failed())
}

/// Takes a cosigned checkpoint of the own log: everything below it is delivered. Returns its size.
pub(crate) async fn settle(core: &Arc<Core>, exchange: &Arc<Exchange>, note: Vec<u8>) -> Result<u64, SessionEnd> {
    let refused = |reason| SessionEnd::Refused { origin: exchange.own().origin.clone(), reason };
    let Cosignature { size, root, time, note } = cosigned(core, exchange, &note).await?;
    if size <= own_log(core, exchange).await?.size
        && crate::tiles::head_at(core.store.as_ref(), exchange.own().log, size).await?.root != *root.as_bytes()
    {
        // This node's own key has signed another past than its database holds: never sign that log again.
        freeze(core, exchange, "ROLLBACK").await?;
        return Err(refused("ROLLBACK"));
    }
    let (job, log) = (exchange.clone(), exchange.own().log);
    core.write::<_, SessionEnd, _>(move |work| {
        async move {
            let own = work.log(log)?.clone();
            if size > own.size {
                return Err(SessionEnd::Refused { origin: job.own().origin.clone(), reason: "BAD_COSIGNATURE" });
            }
            if size > own.settled || own.cosigned.is_empty() {
                let delivered = work.entry_heads(log, own.settled, size).await?;
                let records = delivered.iter().filter(|e| e.is_record).count() as u64;
                let settled_records = own.settled_records + records;
                work.put_log(LogRow { settled: size, settled_records, cosigned: note, cosigned_size: size, ..own });
            } else if size == own.cosigned_size && mirror_time(&job, &own.cosigned).is_some_and(|last| last < time) {
                work.put_log(LogRow { cosigned: note, ..own });
            }
            Ok(size)
        }
        .boxed()
    })
    .await
}

/// Reads a cosigned checkpoint of the own log. Waits for the partner's batch that names its keys: its answer may come before
/// it on another connection.
async fn cosigned(core: &Core, exchange: &Exchange, note: &[u8]) -> Result<Cosignature, SessionEnd> {
    let refused = |reason| SessionEnd::Refused { origin: exchange.own().origin.clone(), reason };
    let mut heads = core.heads();
    let known = async {
        loop {
            match cosigned_head(core, exchange, note) {
                Err(UNKNOWN) => {}
                read => return read.map_err(refused),
            }
            if heads.changed().await.is_err() {
                return Err(refused(UNKNOWN));
            }
        }
    };
    tokio::time::timeout(ANSWER, known).await.map_err(|_| SessionEnd::TimedOut)?
}

/// The partner's keys, or the one that cosigned, are not known yet.
const UNKNOWN: &str = "UNKNOWN_COSIGNER";

/// A cosigned head of the own log.
struct Cosignature {
    size: u64,
    root: Hash,
    /// Unix seconds.
    time: u64,
    /// The checkpoint with the two lines that verified.
    note: Vec<u8>,
}

/// A checkpoint of the own log, if it carries this node's signature and a mirror cosignature of the partner.
fn cosigned_head(core: &Core, exchange: &Exchange, note: &[u8]) -> Result<Cosignature, &'static str> {
    let bad = "BAD_COSIGNATURE";
    let own = exchange.own();
    let checkpoint = SignedCheckpoint::parse(note).map_err(|_| bad)?;
    let (size, root) = (checkpoint.checkpoint().size(), checkpoint.checkpoint().root());
    let keys = exchange.own_log_keys(own.epoch, &own.origin, size);
    if !keys.iter().any(|key| checkpoint.verify_log(key).is_ok()) {
        return Err(bad);
    }
    let mirrors = exchange.partner_mirrors(&own.origin, size);
    let by = |key: &VerifierKey| checkpoint.note().signatures().iter().any(|line| line.is_by(key));
    if !mirrors.iter().any(by) {
        return Err(UNKNOWN);
    }
    let kept = verified(&checkpoint, &keys, &mirrors).ok_or(bad)?;
    let time = mirrors.iter().find_map(|key| cosignature::verify(&kept, key).ok()).ok_or(bad)?;
    if time > core.sealer.clock.now_ms() / 1000 + MAX_SKEW.as_secs() {
        return Err("COSIGNATURE_AHEAD");
    }
    Ok(Cosignature { size, root, time, note: kept.to_string().into_bytes() })
}

async fn freeze(core: &Core, exchange: &Exchange, alarm: &'static str) -> Result<(), SessionEnd> {
    let log = exchange.own().log;
    core.write::<_, SessionEnd, _>(move |work| {
        async move {
            let own = work.log(log)?.clone();
            work.put_log(LogRow { alarm: alarm.to_owned(), ..own });
            Ok(())
        }
        .boxed()
    })
    .await
}
