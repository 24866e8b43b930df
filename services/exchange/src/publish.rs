//! The logs as C2SP tlog-tiles §Merkle Tree and §Log entries lay them out, read from what is committed: nothing here
//! waits for the writer. Whoever serves them decides who may read which.

use aws_lc_rs::digest;
use convenio_log::tile::encode_bundle;
use convenio_log::{Checkpoint, EntryTile, Hash, SignedCheckpoint, Tile};
use convenio_store::{LogRow, StoreError};

use std::sync::Arc;

use convenio_seal::manifest::NodeKeys;

use crate::core::{Core, Exchange};
use crate::outbound::seal::Sealer;
use crate::signer::Named;
use crate::tiles;
use crate::witness::cosigned;

/// The name of a log's folder, `SHA-256(origin)` in hexadecimal.
#[must_use]
pub fn folder(origin: &str) -> String {
    hex::encode(digest::digest(&digest::SHA256, origin.as_bytes()))
}

/// The own logs and mirrors that hold an entry, by origin.
///
/// # Errors
/// The database's.
pub async fn logs(core: &Core) -> Result<Vec<LogRow>, StoreError> {
    let mut logs = core.store.logs().await?;
    logs.retain(|log| extent(log) > 0);
    logs.sort_by(|a, b| a.origin.cmp(&b.origin));
    Ok(logs)
}

/// Entries that may be shown: of a mirror only those that this node cosigned, of an own log that is closed those that the partner
/// did. The journal is nobody's to mirror.
#[must_use]
pub fn extent(log: &LogRow) -> u64 {
    let whole = log.own && (!log.closed || log.agreement.is_empty());
    if whole { log.size } else { log.cosigned_size }
}

/// The latest checkpoint of a log, with every cosignature of it that is held; none of a frozen log that nobody cosigned.
///
/// # Errors
/// The database's.
pub async fn checkpoint(core: &Core, log: &LogRow) -> Result<Option<String>, StoreError> {
    let corrupt = |_| StoreError::Corrupt("checkpoint");
    let held = match log.cosigned.is_empty() {
        true => None,
        false => Some(SignedCheckpoint::parse(&log.cosigned).map_err(corrupt)?),
    };
    // A mirror is another's to sign, and what is frozen or closed is never signed again.
    let signs = log.own && log.alarm.is_empty() && !log.closed && log.cosigned_size < log.size;
    let latest = if signs { Some(signed(core, log, log.size).await?) } else { held };
    let Some(mut latest) = latest else { return Ok(None) };
    for other in cosigned(core.store.as_ref(), &log.origin).await? {
        merge(&mut latest, &other);
    }
    Ok(Some(latest.to_string()))
}

/// Signs a committed head of an own log. Ed25519 is deterministic: the same head always gives the same note.
pub(crate) async fn signed(core: &Core, log: &LogRow, size: u64) -> Result<SignedCheckpoint, StoreError> {
    let corrupt = |_| StoreError::Corrupt("checkpoint");
    let head = tiles::head_at(core.store.as_ref(), log.id, size).await?;
    let checkpoint = Checkpoint::new(log.origin.as_str(), size, Hash::from(head.root)).map_err(corrupt)?;
    let exchange = core.exchanges().iter().find(|exchange| exchange.lane_of(log.id).is_some());
    let keys = match exchange {
        Some(exchange) => log_signer(&core.sealer, exchange, log.epoch, &log.origin, size),
        None => core.own_keys().keys.clone(),
    };
    checkpoint.sign(&Named { name: &log.origin, key: &keys.log }).map_err(corrupt)
}

/// The keys whose log key signs an own head of this size: those in force at its last entry, or later ones.
pub(crate) fn log_signer(sealer: &Sealer, exchange: &Exchange, epoch: u64, origin: &str, size: u64) -> Arc<NodeKeys> {
    let (timeline, revoked) = (exchange.own_keys(epoch), exchange.own_revoked());
    let good = timeline.signers(size).filter(|keys| revoked.good(&keys.log, origin, size));
    let mut held = good.filter_map(|manifest| sealer.keys.find(|keys| keys.log.public() == manifest.log));
    held.next().unwrap_or_else(|| sealer.keys.now().keys.clone())
}

/// Adds the lines of `other` if it is the same head.
pub(crate) fn merge(note: &mut SignedCheckpoint, other: &SignedCheckpoint) {
    if other.checkpoint() == note.checkpoint() {
        // A note that is full already holds more cosignatures than any reader needs.
        let _ = other.note().signatures().iter().try_for_each(|line| note.add(line.clone()));
    }
}

/// A tile of hashes; none where the log has no such tile, or not so wide.
///
/// # Errors
/// The database's.
pub async fn tile(core: &Core, log: &LogRow, tile: Tile) -> Result<Option<Vec<u8>>, StoreError> {
    let there = Tile::at(tile.level(), tile.index(), extent(log));
    if there.is_none_or(|there| tile.width() > there.width()) {
        return Ok(None);
    }
    tiles::bytes(core.store.as_ref(), log.id, tile).await.map(Some)
}

/// An entry bundle; none where the log has no such bundle, or not so wide.
///
/// # Errors
/// The database's.
pub async fn entries(core: &Core, log: &LogRow, tile: EntryTile) -> Result<Option<Vec<u8>>, StoreError> {
    let there = EntryTile::at(tile.index(), extent(log));
    if there.is_none_or(|there| tile.width() > there.width()) {
        return Ok(None);
    }
    let begin = tile.first_entry();
    let rows = core.store.entries(log.id, begin, begin + u64::from(tile.width())).await?;
    if rows.len() != usize::from(tile.width()) {
        return Err(StoreError::Corrupt("entry"));
    }
    let bundle = encode_bundle(rows.iter().map(|row| row.bytes.as_slice()));
    bundle.map(Some).map_err(|_| StoreError::Corrupt("entry"))
}
