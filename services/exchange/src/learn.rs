//! What stored logs say of keys and of what is in force, read again when a node opens.

use std::sync::Arc;

use convenio_seal::epoch::verify_epoch_open;
use convenio_seal::root::{RootSet, verify_ratify};
use convenio_seal::rotation::{verify_key_rotate, verify_revoke};
use convenio_seal::statement::open_entry;
use convenio_store::{LogId, Store, StoreError};
use convenio_wire::exchange::v1::{Revoke, Statement, statement::Body};
use prost::Message;

use crate::core::{Core, Exchange};
use crate::error::OpenError;
use crate::inbound::check::opened;
use crate::keys::{Keys, Revocations, Timeline, rotation_states};
use crate::lane::Lane;
use crate::order::order_states;
use crate::publish::folder;
use crate::version::{Before, Digest, InForce, activation_states, ratification_states};

/// First entries of a log that say what is in force.
const OPENING: u64 = 16;
/// Most manifests and revocations of one log that are believed.
pub(crate) const MAX_CHANGES: u32 = 1024;

/// Path of a revocation: `revoked/<folder of the log it stands in>/<SHA-256 of its payload>`.
pub(crate) fn revocation_state(origin: &str, payload: &[u8]) -> String {
    let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, payload);
    format!("{}{}", revocation_states(origin), hex::encode(digest))
}

fn revocation_states(origin: &str) -> String {
    format!("revoked/{}/", folder(origin))
}

/// The manifests of the own logs.
pub(crate) async fn own(store: &dyn Store, exchange: &Exchange) -> Result<(), StoreError> {
    let rows = store.logs().await?;
    exchange.own_orders_clear();
    for lane in exchange.own_lanes().iter() {
        let size = rows.iter().find(|l| l.id == lane.log).map_or(0, |l| l.size);
        let empty = size == 0;
        let timeline = if empty { Timeline::default() } else { timeline(store, lane, &exchange.own_roots).await? };
        exchange.own_keys_change(lane.epoch, |known| *known = timeline);
        let force = if empty { InForce::default() } else { in_force(store, exchange, lane, (size, None)).await? };
        exchange.own_activations_change(lane.epoch, |known| *known = force.active);
        for (index, given) in force.orders {
            exchange.own_order((lane.epoch, index), given);
        }
        for said in revocations(store, &lane.origin, &exchange.own_roots).await? {
            exchange.revoke_own(said);
        }
    }
    // What a group that failed began to issue under is not in force.
    match exchange.own_active() {
        Some(digest) => drop(exchange.issue_under(&digest)),
        None => exchange.issue_under_first(),
    }
    Ok(())
}

/// The node signs with the keys of the latest manifest that an open log names.
pub(crate) fn in_use<'e>(keys: &Keys, exchanges: impl IntoIterator<Item = &'e Arc<Exchange>>) {
    let last = |exchange: &Arc<Exchange>| exchange.own_keys(exchange.own().epoch).last().cloned();
    if let Some(latest) = exchanges.into_iter().filter_map(last).max_by_key(|keys| keys.version) {
        // Whether they are held is told apart: a log that is lost may have been signed by keys that are lost too.
        keys.use_manifest(&latest);
    }
}

/// A log is signed by keys that it names, or not at all: every open log must name those that the node signs with.
pub(crate) async fn one_manifest(core: &Core) -> Result<(), OpenError> {
    let (used, logs) = (core.own_keys(), core.store.logs().await?);
    for exchange in core.exchanges() {
        let own = exchange.own();
        let frozen = logs.iter().any(|log| log.id == own.log && !log.alarm.is_empty());
        let Some(last) = exchange.own_keys(own.epoch).last().cloned() else { continue };
        if frozen || (last.version == used.version && used.keys.matches(&last)) {
            continue;
        }
        return Err(OpenError::KeysDiffer { origin: own.origin.clone(), named: last.version, used: used.version });
    }
    Ok(())
}

/// The keys that the open own log names must be held.
pub(crate) fn held(keys: &Keys, exchange: &Exchange) -> Result<(), OpenError> {
    let own = exchange.own();
    let timeline = exchange.own_keys(own.epoch);
    let Some(last) = timeline.last() else { return Ok(()) };
    if keys.find(|held| held.matches(last)).is_some() {
        return Ok(());
    }
    Err(OpenError::Database(format!("{}: the keys of manifest {} are not held", own.origin, last.version)))
}

/// What the mirrored beginnings of the partner's logs say of its keys and of what is in force.
pub(crate) async fn partner(store: &dyn Store, exchange: &Exchange) -> Result<(), StoreError> {
    let logs = store.logs().await?;
    for lane in exchange.peer_lanes().iter() {
        let Some(log) = logs.iter().find(|l| l.id == lane.log && l.size > 0) else { continue };
        let timeline = timeline(store, lane, &exchange.partner_roots).await?;
        exchange.learn(lane.epoch, |known| known.keys = timeline.clone());
        for said in revocations(store, &lane.origin, &exchange.partner_roots).await? {
            exchange.revoke_partner(said);
        }
        let force = in_force(store, exchange, lane, (log.size, Some(&timeline))).await?;
        exchange.learn(lane.epoch, |known| known.force = force);
    }
    Ok(())
}

/// The versions that a log ratifies and puts in force. Of the partner's log with its keys: a database that an earlier program
/// wrote has no states of them, and there only its beginning can have any.
async fn in_force(
    store: &dyn Store,
    exchange: &Exchange,
    lane: &Lane,
    (size, theirs): (u64, Option<&Timeline>),
) -> Result<InForce, StoreError> {
    let mut force = InForce::default();
    for state in store.states(&ratification_states(&lane.origin), "", MAX_CHANGES).await? {
        let Some(Body::Ratify(ratify)) = body(store, lane.log, number(&state.body)?).await? else { continue };
        let roots = [&exchange.partner_roots, &exchange.own_roots];
        if let Some(said) = roots.into_iter().find_map(|roots| verify_ratify(&ratify, roots).ok()) {
            force.ratified.insert((said.digest, said.party().to_owned()), said);
        }
    }
    let states = store.states(&activation_states(&lane.origin), "", MAX_CHANGES).await?;
    for state in &states {
        let index = state.key.rsplit('/').next().and_then(|index| index.parse().ok());
        let digest = Digest::try_from(state.body.as_slice()).ok();
        let (index, digest): (u64, _) = index.zip(digest).ok_or(StoreError::Corrupt("state"))?;
        if index >= size {
            continue; // cut off when the next epoch opened
        }
        if exchange.version(&digest).is_none() {
            let digest = hex::encode(digest);
            return Err(StoreError::Unusable(format!(
                "{}: version {digest} of the agreement is not here",
                lane.origin
            )));
        }
        force.active.add(index, digest);
    }
    for state in store.states(&order_states(&lane.origin), "", MAX_CHANGES).await? {
        let index = state.key.rsplit('/').next().and_then(|index| index.parse().ok());
        let index: u64 = index.ok_or(StoreError::Corrupt("state"))?;
        let Some(said) = statement(store, lane.log, index).await?.filter(|_| index < size) else { continue };
        force.orders.extend(exchange.order_in(lane, &said).map(|given| (index, given)));
    }
    if states.is_empty() {
        // By what was known when they came, which is before anything was revoked.
        let revoked = Revocations::default();
        let before = theirs.map_or_else(Before::default, |_| exchange.peer_before(lane.epoch));
        for entry in store.entries(lane.log, 0, OPENING.min(size)).await? {
            let open = match theirs {
                Some(keys) => opened(exchange, lane, (keys, &revoked), entry.index, &entry.bytes).ok(),
                None => open_entry(&entry.bytes).ok(),
            };
            if let Some(open) = open {
                let _ = exchange.enter(&mut force, before, lane, entry.index, &open.statement);
            }
        }
    }
    Ok(force)
}

fn number(body: &[u8]) -> Result<u64, StoreError> {
    <[u8; 8]>::try_from(body).map(u64::from_be_bytes).map_err(|_| StoreError::Corrupt("state"))
}

/// The manifests of a log that is not empty.
async fn timeline(store: &dyn Store, lane: &Lane, roots: &RootSet) -> Result<Timeline, StoreError> {
    let Some(Body::EpochOpen(open)) = body(store, lane.log, 0).await? else { return Ok(Timeline::default()) };
    let Ok(keys) = verify_epoch_open(&open, &lane.origin, roots) else { return Ok(Timeline::default()) };
    let mut timeline = Timeline::opened(keys);
    for state in store.states(&rotation_states(&lane.origin), "", MAX_CHANGES).await? {
        let index = number(&state.body)?;
        let Some(Body::KeyRotate(rotate)) = body(store, lane.log, index).await? else { continue };
        if let Ok(keys) = verify_key_rotate(&rotate, roots) {
            timeline.rotate(index, keys);
        }
    }
    Ok(timeline)
}

async fn body(store: &dyn Store, log: LogId, index: u64) -> Result<Option<Body>, StoreError> {
    Ok(statement(store, log, index).await?.and_then(|said| said.body))
}

async fn statement(store: &dyn Store, log: LogId, index: u64) -> Result<Option<Statement>, StoreError> {
    let entry = store.entries(log, index, index + 1).await?.pop();
    Ok(entry.and_then(|entry| open_entry(&entry.bytes).ok()).map(|open| open.statement))
}

async fn revocations(
    store: &dyn Store,
    origin: &str,
    roots: &RootSet,
) -> Result<Vec<convenio_wire::exchange::v1::KeyRevocation>, StoreError> {
    let states = store.states(&revocation_states(origin), "", MAX_CHANGES).await?;
    let said = |body: &[u8]| verify_revoke(&Revoke::decode(body).ok()?, roots).ok();
    Ok(states.iter().filter_map(|state| said(&state.body)).collect())
}
