//! Whether what should be cosigned is: by the partner's mirror within the pack's `cosign_deadline_hours`, by as many third
//! witnesses as the pack requires. Told in status and log; nothing ever waits for it.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use convenio_agreement::config::WitnessPolicy;
use convenio_log::{SignedCheckpoint, cosignature};
use convenio_seal::statement::claimed_statement;
use convenio_store::{LogRow, StoreError};

use super::cosigned;
use crate::core::{Core, Exchange};

/// How far two states' clocks may differ. A cosignature further ahead of the own clock is refused.
pub const MAX_SKEW: Duration = Duration::from_secs(30);
/// How often the deadlines are looked at.
const LOOK: Duration = Duration::from_secs(60);

/// How far an own log is cosigned by the partner's mirror.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Coverage {
    /// Time of the last cosignature, Unix ms; 0 if there is none.
    pub cosigned_ms: u64,
    /// A cosignature is missing past its deadline.
    pub overdue: bool,
}

/// How an own log stands with the partner's mirror: overdue where the first entry that it has not cosigned is older than
/// the deadline, or where even an unchanged head was not cosigned again for so long.
///
/// # Errors
/// The database's.
pub async fn coverage(core: &Core, exchange: &Exchange, log: &LogRow) -> Result<Coverage, StoreError> {
    let now = core.clock().now_ms();
    let deadline = u64::from(exchange.pack().config().cosign_deadline_hours) * 3_600_000;
    let cosigned_ms = mirror_time(exchange, &log.cosigned).unwrap_or(0) * 1000;
    let waits = waits_since(core, log, log.cosigned_size).await?;
    let stale = cosigned_ms > 0 && now > cosigned_ms.saturating_add(deadline);
    let overdue = !log.closed && (stale || waits.is_some_and(|since| now > since.saturating_add(deadline)));
    Ok(Coverage { cosigned_ms, overdue })
}

/// Whether as many third witnesses as the pack requires have cosigned the log, save for entries younger than its deadline.
///
/// # Errors
/// The database's.
pub async fn quorum_met(core: &Core, exchange: &Exchange, log: &LogRow) -> Result<bool, StoreError> {
    let WitnessPolicy::Required { quorum, witnesses } = exchange.pack().witness_policy() else { return Ok(true) };
    let notes = cosigned(core.store.as_ref(), &log.origin).await?;
    let size = |witness: &convenio_agreement::config::Witness| {
        let by = notes.iter().filter(|note| cosignature::verify(note, &witness.key).is_ok());
        by.map(|note| note.checkpoint().size()).max().unwrap_or(0)
    };
    let mut sizes: Vec<u64> = witnesses.iter().map(size).collect();
    sizes.sort_unstable_by(|a, b| b.cmp(a));
    let Some(size) = sizes.get(quorum.saturating_sub(1)).copied().filter(|size| *size > 0) else { return Ok(false) };
    let deadline = u64::from(exchange.pack().config().cosign_deadline_hours) * 3_600_000;
    let waits = waits_since(core, log, size).await?;
    Ok(waits.is_none_or(|since| core.clock().now_ms() <= since.saturating_add(deadline)))
}

/// Between which moments an entry came into being and to the other side.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HeldBetween {
    /// Not issued before, Unix ms.
    pub earliest_ms: u64,
    /// Held by the recipient at the latest then, Unix ms; none until it is cosigned.
    pub latest_ms: Option<u64>,
}

/// The times that an entry and the last cosignature over it state, widened by [`MAX_SKEW`] each: no clock is believed
/// further.
///
/// # Errors
/// The database's.
pub async fn held_between(core: &Core, log: &LogRow, index: u64) -> Result<HeldBetween, StoreError> {
    let row = core.store.entries(log.id, index, index + 1).await?.pop().ok_or(StoreError::Corrupt("entry"))?;
    let issued = claimed_statement(&row.bytes).map_or(0, |statement| statement.time_ms);
    let skew = u64::try_from(MAX_SKEW.as_millis()).unwrap_or(u64::MAX);
    let cosigned = match index < log.cosigned_size {
        true => SignedCheckpoint::parse(&log.cosigned).ok().and_then(|note| latest_time(&note)),
        false => None,
    };
    // A cosignature's time is a whole second: it was made before the next one began.
    let latest_ms = cosigned.map(|seconds| (seconds.saturating_add(1)).saturating_mul(1000).saturating_add(skew));
    Ok(HeldBetween { earliest_ms: issued.saturating_sub(skew), latest_ms })
}

/// The latest time that any cosignature of a checkpoint that was verified when it was stored states, Unix seconds.
fn latest_time(note: &SignedCheckpoint) -> Option<u64> {
    let times = note.note().signatures().iter().filter(|line| line.signature().len() == cosignature::COSIGNATURE_LEN);
    let time = |bytes: &[u8]| bytes.first_chunk().map(|time| u64::from_be_bytes(*time));
    times.filter_map(|line| time(line.signature())).max()
}

/// When the first entry past `covered` was issued; none if there is none.
async fn waits_since(core: &Core, log: &LogRow, covered: u64) -> Result<Option<u64>, StoreError> {
    if covered >= log.size {
        return Ok(None);
    }
    let row = core.store.entries(log.id, covered, covered + 1).await?.pop().ok_or(StoreError::Corrupt("entry"))?;
    // Of an entry that names no time, the log's last one is the latest that it can have.
    Ok(Some(claimed_statement(&row.bytes).map_or(log.time_ms, |statement| statement.time_ms)))
}

/// Seconds at which the partner's mirror cosigned a checkpoint.
pub(crate) fn mirror_time(exchange: &Exchange, note: &[u8]) -> Option<u64> {
    let note = SignedCheckpoint::parse(note).ok()?;
    let head = note.checkpoint();
    let keys = exchange.partner_mirrors(head.origin(), head.size());
    keys.iter().find_map(|key| cosignature::verify(&note, key).ok())
}

/// Looks at every deadline once a minute until the node stops, and logs each change once.
pub async fn watch_deadlines(core: Arc<Core>) {
    let mut told: BTreeMap<String, bool> = BTreeMap::new();
    loop {
        for exchange in core.exchanges() {
            let overdue = match overdue(&core, exchange).await {
                Ok(overdue) => overdue,
                Err(error) => {
                    tracing::warn!(reason = %error, "the deadlines of cosignatures cannot be checked");
                    continue;
                }
            };
            let agreement = exchange.pack().id();
            if told.insert(agreement.to_owned(), overdue).unwrap_or(false) == overdue {
                continue;
            }
            if overdue {
                tracing::error!(
                    alarm = "COSIGNATURE_OVERDUE",
                    agreement,
                    partner = exchange.partner_node,
                    "the partner's mirror has not cosigned within the agreement's deadline"
                );
            } else {
                tracing::info!(agreement, partner = exchange.partner_node, "the partner's mirror cosigns again");
            }
        }
        core.clock().sleep(LOOK).await;
    }
}

async fn overdue(core: &Core, exchange: &Exchange) -> Result<bool, StoreError> {
    let logs = core.store.logs().await?;
    let own = logs.iter().find(|log| log.id == exchange.own().log).ok_or(StoreError::Corrupt("log"))?;
    Ok(coverage(core, exchange, own).await?.overdue)
}
