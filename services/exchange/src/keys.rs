//! Operational keys over time: which manifest is in force at which entry of a log, which keys were revoked, and which of its
//! own keys a node holds and uses.

use std::sync::{Arc, RwLock};

use arc_swap::ArcSwap;
use convenio_log::VerifierKey;
use convenio_seal::key::PublicKey;
use convenio_seal::manifest::{ManifestKeys, NodeKeys};
use convenio_seal::origin::LogOrigin;
use convenio_wire::exchange::v1::KeyRevocation;

use crate::core::Exchange;
use crate::publish::folder;
use crate::signer::{log_key, mirror_key};

/// Path of the states that say where the manifests of a log begin: `keys/<folder of the log>/<version>`.
pub(crate) fn rotation_state(origin: &str, version: u64) -> String {
    format!("{}{version:020}", rotation_states(origin))
}

/// Beginning of the paths of [`rotation_state`].
pub(crate) fn rotation_states(origin: &str) -> String {
    format!("keys/{}/", folder(origin))
}

/// The manifests of one log, each with the index of the entry from which it is in force.
#[derive(Debug, Clone, Default)]
pub struct Timeline(Vec<(u64, Arc<ManifestKeys>)>);

impl Timeline {
    /// The timeline of a log whose first entry names these keys.
    #[must_use]
    pub fn opened(keys: ManifestKeys) -> Self {
        Self(vec![(0, Arc::new(keys))])
    }

    /// Another manifest from entry `from` on. One that is not later and of a higher version changes nothing.
    pub fn rotate(&mut self, from: u64, keys: ManifestKeys) -> bool {
        let later = self.0.last().is_some_and(|(at, last)| from > *at && keys.version > last.version);
        if later {
            self.0.push((from, Arc::new(keys)));
        }
        later
    }

    /// Whether the manifest of this version is in force from entry `from` on.
    #[must_use]
    pub fn begins(&self, from: u64, version: u64) -> bool {
        self.0.iter().any(|(at, keys)| *at == from && keys.version == version)
    }

    /// The last manifest.
    #[must_use]
    pub fn last(&self) -> Option<&Arc<ManifestKeys>> {
        self.0.last().map(|(_, keys)| keys)
    }

    /// The manifest in force at an entry.
    #[must_use]
    pub fn at(&self, index: u64) -> Option<&Arc<ManifestKeys>> {
        self.0.iter().rev().find(|(from, _)| *from <= index).map(|(_, keys)| keys)
    }

    /// Manifests whose log key may sign a checkpoint of `size` entries: the one in force at its last entry, and later ones.
    pub fn signers(&self, size: u64) -> impl Iterator<Item = &Arc<ManifestKeys>> {
        let last = size.saturating_sub(1);
        let first = self.0.iter().rposition(|(from, _)| *from <= last).unwrap_or(0);
        self.0[first..].iter().map(|(_, keys)| keys)
    }

    /// Every manifest, the last first.
    pub fn newest_first(&self) -> impl Iterator<Item = &Arc<ManifestKeys>> {
        self.0.iter().rev().map(|(_, keys)| keys)
    }
}

/// Keys of one party that are believed only up to a point of one log.
#[derive(Debug, Clone, Default)]
pub struct Revocations(Vec<KeyRevocation>);

impl Revocations {
    /// Enters a revocation that was verified; false if it is known.
    pub fn add(&mut self, said: KeyRevocation) -> bool {
        let new = !self.0.contains(&said);
        if new {
            self.0.push(said);
        }
        new
    }

    /// Whether `key` is believed for a log of `size` entries (the entry at `size - 1`, or its checkpoint).
    #[must_use]
    pub fn good(&self, key: &PublicKey, origin: &str, size: u64) -> bool {
        let mut of_key = self.0.iter().filter(|said| said.key_id == key.key_id());
        of_key.all(|said| match said.log_origin == origin {
            true => size <= said.last_good_size,
            false => earlier(origin, &said.log_origin),
        })
    }

    /// All of them.
    #[must_use]
    pub fn all(&self) -> &[KeyRevocation] {
        &self.0
    }
}

/// Whether a log is of an earlier epoch of the same direction: a revocation in a later one leaves it alone.
fn earlier(origin: &str, named: &str) -> bool {
    let (Ok(this), Ok(named)) = (origin.parse::<LogOrigin>(), named.parse::<LogOrigin>()) else { return false };
    let epoch = this.epoch;
    epoch < named.epoch && LogOrigin { epoch: named.epoch, ..this } == named
}

/// A node's own keys with the manifest that names them.
#[derive(Debug, Clone)]
pub struct OwnKeys {
    /// Version of the manifest, which the cosigners' names carry.
    pub version: u64,
    /// Private keys.
    pub keys: Arc<NodeKeys>,
}

/// The own keys: those that sign statements now, and every set that is held.
pub(crate) struct Keys {
    held: RwLock<Vec<Arc<NodeKeys>>>,
    now: ArcSwap<OwnKeys>,
}

impl Keys {
    /// Begins with the first of `held` that `manifest` names.
    pub(crate) fn new(held: Vec<Arc<NodeKeys>>, first: Arc<NodeKeys>) -> Self {
        Self { held: RwLock::new(held), now: ArcSwap::from_pointee(OwnKeys { version: 1, keys: first }) }
    }

    /// The keys that sign statements now.
    pub(crate) fn now(&self) -> Arc<OwnKeys> {
        self.now.load_full()
    }

    /// Holds another set.
    pub(crate) fn hold(&self, keys: Arc<NodeKeys>) {
        let mut held = self.held.write().unwrap_or_else(std::sync::PoisonError::into_inner);
        let same = |known: &Arc<NodeKeys>| {
            known.record.public() == keys.record.public()
                && known.log.public() == keys.log.public()
                && known.mirror.public() == keys.mirror.public()
                && known.witness.public() == keys.witness.public()
        };
        if !held.iter().any(same) {
            held.push(keys);
        }
    }

    /// Signs with the keys of this manifest from now on; false if they are not held.
    pub(crate) fn use_manifest(&self, manifest: &ManifestKeys) -> bool {
        let found = self.find(|keys| keys.matches(manifest));
        if let Some(keys) = &found {
            self.now.store(Arc::new(OwnKeys { version: manifest.version, keys: keys.clone() }));
        }
        found.is_some()
    }

    /// Undoes [`Self::use_manifest`].
    pub(crate) fn use_again(&self, before: Arc<OwnKeys>) {
        self.now.store(before);
    }

    /// A set that is held.
    pub(crate) fn find(&self, wanted: impl Fn(&NodeKeys) -> bool) -> Option<Arc<NodeKeys>> {
        let held = self.held.read().unwrap_or_else(std::sync::PoisonError::into_inner);
        held.iter().find(|keys| wanted(keys)).cloned()
    }
}

impl Exchange {
    /// Manifests of the own log of an epoch.
    #[must_use]
    pub fn own_keys(&self, epoch: u64) -> Timeline {
        let own = self.own_keys.read().unwrap_or_else(std::sync::PoisonError::into_inner);
        own.get(&epoch).cloned().unwrap_or_default()
    }

    pub(crate) fn own_keys_change(&self, epoch: u64, change: impl FnOnce(&mut Timeline)) {
        let mut own = self.own_keys.write().unwrap_or_else(std::sync::PoisonError::into_inner);
        change(own.entry(epoch).or_default());
    }

    /// Revoked keys of the partner.
    #[must_use]
    pub fn partner_revoked(&self) -> Revocations {
        self.partner_revoked.read().unwrap_or_else(std::sync::PoisonError::into_inner).clone()
    }

    /// Revoked keys of this party.
    #[must_use]
    pub fn own_revoked(&self) -> Revocations {
        self.own_revoked.read().unwrap_or_else(std::sync::PoisonError::into_inner).clone()
    }

    pub(crate) fn revoke_partner(&self, said: KeyRevocation) -> bool {
        self.partner_revoked.write().unwrap_or_else(std::sync::PoisonError::into_inner).add(said)
    }

    pub(crate) fn revoke_own(&self, said: KeyRevocation) -> bool {
        self.own_revoked.write().unwrap_or_else(std::sync::PoisonError::into_inner).add(said)
    }

    /// Keys that may have signed the head of an own log at this size.
    pub(crate) fn own_log_keys(&self, epoch: u64, origin: &str, size: u64) -> Vec<VerifierKey> {
        log_keys(&self.own_keys(epoch), &self.own_revoked(), origin, size)
    }

    /// Keys that may have signed the head of the partner's log at this size.
    #[must_use]
    pub fn partner_log_keys(&self, epoch: u64, origin: &str, size: u64) -> Vec<VerifierKey> {
        log_keys(&self.known(epoch).keys, &self.partner_revoked(), origin, size)
    }

    /// Every manifest of the partner that is known and whose log key is not revoked, the last first.
    pub(crate) fn partner_manifests(&self) -> Vec<Arc<ManifestKeys>> {
        let revoked = self.partner_revoked();
        let learned = self.learned.read().unwrap_or_else(std::sync::PoisonError::into_inner);
        let manifests = learned.values().rev().flat_map(|known| known.keys.newest_first());
        let gone = |keys: &&Arc<ManifestKeys>| revoked.all().iter().any(|said| said.key_id == keys.log.key_id());
        manifests.filter(|keys| !gone(keys)).cloned().collect()
    }

    /// Keys with which the partner's mirror may have cosigned an own log at this size: of every manifest that is known, so
    /// that a cosignature that was lost is believed whenever it is served again.
    #[must_use]
    pub fn partner_mirrors(&self, origin: &str, size: u64) -> Vec<VerifierKey> {
        let revoked = self.partner_revoked();
        let learned = self.learned.read().unwrap_or_else(std::sync::PoisonError::into_inner);
        let manifests = learned.values().rev().flat_map(|known| known.keys.newest_first());
        let good = manifests.filter(|keys| revoked.good(&keys.mirror, origin, size));
        let mut found: Vec<VerifierKey> = Vec::new();
        for key in good.filter_map(|keys| mirror_key(&self.partner_node, keys.version, &keys.mirror)) {
            if !found.contains(&key) {
                found.push(key);
            }
        }
        found
    }

    /// Keys with which this node's mirror may have cosigned the partner's logs.
    pub(crate) fn own_mirrors(&self) -> Vec<VerifierKey> {
        let own = self.own_keys.read().unwrap_or_else(std::sync::PoisonError::into_inner);
        let manifests = own.values().rev().flat_map(|timeline| timeline.newest_first());
        manifests.filter_map(|keys| mirror_key(&self.own_node, keys.version, &keys.mirror)).collect()
    }

    /// The own manifest whose mirror and witness keys cosign: the last whose entry the partner has cosigned.
    pub(crate) fn cosigner(&self, settled: u64) -> Option<Arc<ManifestKeys>> {
        self.own_keys(self.own().epoch).at(settled.saturating_sub(1)).cloned()
    }
}

/// Keys by which a head of a log is believed.
pub(crate) fn log_keys(timeline: &Timeline, revoked: &Revocations, origin: &str, size: u64) -> Vec<VerifierKey> {
    let good = timeline.signers(size).filter(|keys| revoked.good(&keys.log, origin, size));
    let mut found: Vec<VerifierKey> = Vec::new();
    for key in good.filter_map(|keys| log_key(origin, &keys.log)) {
        if !found.contains(&key) {
            found.push(key);
        }
    }
    found
}

#[cfg(test)]
mod tests;
