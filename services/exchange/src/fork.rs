//! Equivocation: two signatures by a log's key for one origin and size with different roots. Such a pair is portable
//! evidence, kept for ever; it freezes that direction until roots open the next epoch. Nothing else freezes: a bad
//! consistency proof, a bare number or a checkpoint by a foreign key is told and no more.

use std::sync::Arc;

use convenio_log::{SignedCheckpoint, VerifierKey};
use convenio_store::{LogRow, StoreError, Work};
use futures::FutureExt;

use crate::core::{Core, Exchange};
use crate::lane::Lane;
use crate::publish::folder;
use crate::signer::verified;
use crate::tiles::head_at;

/// Alarm of a direction whose issuer has signed two pasts.
pub const EQUIVOCATION: &str = "EQUIVOCATION";
/// Largest evidence file, bytes.
pub const MAX_EVIDENCE: usize = 64 * 1024;

/// No evidence.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NotEvidence {
    /// Not two signed notes, separated by a line `---`.
    #[error("not two checkpoints separated by a line `---`")]
    Form,
    /// They are of different logs or sizes, or say the same.
    #[error("the checkpoints do not contradict each other")]
    NoContradiction,
    /// The log is none of a partner's.
    #[error("no partner of this node issues that log")]
    UnknownLog,
    /// One of them is not signed by a key of the log.
    #[error("a checkpoint is not signed by the log's key")]
    NotSigned,
}

/// Two checkpoints of one log and size with different roots, each signed by one of `keys`.
pub(crate) fn contradict(
    one: &SignedCheckpoint,
    other: &SignedCheckpoint,
    keys: &[VerifierKey],
) -> Result<(), NotEvidence> {
    let (a, b) = (one.checkpoint(), other.checkpoint());
    if a.origin() != b.origin() || a.size() != b.size() || a.root() == b.root() {
        return Err(NotEvidence::NoContradiction);
    }
    let signed = |note: &SignedCheckpoint| keys.iter().any(|key| note.verify_log(key).is_ok());
    if signed(one) && signed(other) { Ok(()) } else { Err(NotEvidence::NotSigned) }
}

/// Keeps the evidence and freezes the mirror that it concerns, if there is one.
pub(crate) fn keep(work: &mut Work, held: &SignedCheckpoint, other: &SignedCheckpoint) {
    let (origin, size) = (held.checkpoint().origin(), held.checkpoint().size());
    tracing::error!(alarm = EQUIVOCATION, origin, size, "a log has signed two heads of one size");
    let body = format!("{held}---\n{other}");
    work.put_state(&format!("evidence/forks/{}/{size}", folder(origin)), Some(body.into_bytes()));
    let mirror = work.logs().find(|log| !log.own && log.origin == origin && log.alarm.is_empty()).cloned();
    if let Some(mirror) = mirror {
        work.put_log(LogRow { alarm: EQUIVOCATION.to_owned(), ..mirror });
    }
}

/// Compares a checkpoint that the partner's log key signed with the mirror. What contradicts a note of this very size is
/// kept, and the direction freezes; true then.
pub(crate) async fn compare(
    core: &Core,
    exchange: &Exchange,
    lane: &Lane,
    shown: &SignedCheckpoint,
) -> Result<bool, StoreError> {
    let logs = core.store.logs().await?;
    let log = logs.iter().find(|log| log.id == lane.log).ok_or(StoreError::Corrupt("log"))?;
    let size = shown.checkpoint().size();
    if size == 0 || size > log.size {
        return Ok(false);
    }
    if head_at(core.store.as_ref(), lane.log, size).await?.root == *shown.checkpoint().root().as_bytes() {
        return Ok(false);
    }
    tracing::error!(origin = %lane.origin, size, "the partner signed another head than the one mirrored");
    let kept = core.store.kept_checkpoints(lane.log).await?;
    let kept = kept.into_iter().filter(|row| row.size == size).map(|row| row.note);
    let latest = (log.cosigned_size == size).then(|| log.cosigned.clone());
    let keys = exchange.partner_log_keys(lane.epoch, &lane.origin, size);
    let notes = latest.into_iter().chain(kept).filter_map(|note| SignedCheckpoint::parse(&note).ok());
    let Some(held) = notes.into_iter().find(|held| contradict(held, shown, &keys).is_ok()) else { return Ok(false) };
    let Some(shown) = verified(shown, &keys, &[]) else { return Ok(false) };
    freeze(core, held, shown).await?;
    Ok(true)
}

async fn freeze(core: &Core, held: SignedCheckpoint, other: SignedCheckpoint) -> Result<(), StoreError> {
    let kept = core.write::<_, StoreError, _>(move |work| {
        async move {
            keep(work, &held, &other);
            Ok(())
        }
        .boxed()
    });
    kept.await
}

impl Core {
    /// Takes an evidence file: two signed notes separated by a line `---`. The direction that it concerns freezes.
    ///
    /// # Errors
    /// [`NotEvidence`] inside; the database's outside.
    pub async fn take_evidence(self: &Arc<Self>, file: &[u8]) -> Result<Result<String, NotEvidence>, StoreError> {
        let (one, other) = match parse(file) {
            Ok(notes) => notes,
            Err(refused) => return Ok(Err(refused)),
        };
        let (origin, size) = (one.checkpoint().origin().to_owned(), one.checkpoint().size());
        let lanes = self.exchanges().iter().flat_map(|exchange| {
            let lanes = exchange.peer_lanes();
            let found = lanes.iter().find(|lane| lane.origin == origin).cloned();
            found.map(|lane| (exchange, lane))
        });
        let Some((exchange, lane)) = lanes.into_iter().next() else { return Ok(Err(NotEvidence::UnknownLog)) };
        let keys = exchange.partner_log_keys(lane.epoch, &origin, size);
        if let Err(refused) = contradict(&one, &other, &keys) {
            return Ok(Err(refused));
        }
        let (one, other) = (verified(&one, &keys, &[]), verified(&other, &keys, &[]));
        let (Some(one), Some(other)) = (one, other) else { return Ok(Err(NotEvidence::NotSigned)) };
        freeze(self, one, other).await?;
        Ok(Ok(origin))
    }
}

fn parse(file: &[u8]) -> Result<(SignedCheckpoint, SignedCheckpoint), NotEvidence> {
    let text = std::str::from_utf8(file).ok().filter(|text| text.len() <= MAX_EVIDENCE).ok_or(NotEvidence::Form)?;
    let (one, other) = text.split_once("\n---\n").ok_or(NotEvidence::Form)?;
    let read = |text: String| SignedCheckpoint::parse(text.as_bytes()).map_err(|_| NotEvidence::Form);
    Ok((read(format!("{one}\n"))?, read(other.to_owned())?))
}
