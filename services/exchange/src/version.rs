//! The versions of an agreement (versiones) that an exchange holds, and which of them is in force where.
//!
//! ACTIVATE puts a version in force for its issuer from the next entry on. What this side issues is under the version that is
//! active in its own log; what it reads is under the version that the record names, which must be the active one where the
//! record stands. Versions are added while the node runs and never go.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock, PoisonError, RwLock};

use convenio_agreement::engine::Engine;
use convenio_agreement::pack::Pack;
use convenio_agreement::standing::Given;
use convenio_seal::root::{RatifiedBy, verify_ratify};
use convenio_seal::signoff::check_counts;
use convenio_wire::exchange::v1::{Statement, statement::Body};

use crate::bundle::Envelopes;
use crate::core::Exchange;
use crate::lane::Lane;
use crate::learn::MAX_CHANGES;
use crate::order::{Orders, order_state};
use crate::publish::folder;

/// Most versions of one agreement that a node holds.
pub const MAX_VERSIONS: usize = 64;

/// Digest of a version.
pub(crate) type Digest = [u8; 32];

/// Path of an ACTIVATE that holds: `active/<folder of the log>/<index>`, with the digest.
pub(crate) fn activation_state(origin: &str, index: u64) -> String {
    format!("{}{index:020}", activation_states(origin))
}

/// Beginning of the paths of [`activation_state`].
pub(crate) fn activation_states(origin: &str) -> String {
    format!("active/{}/", folder(origin))
}

/// Path of a RATIFY that holds: `ratified/<folder of the log>/<digest>/<party>`, with its index.
pub(crate) fn ratification_state(origin: &str, digest: &Digest, party: &str) -> String {
    format!("{}{}/{party}", ratification_states(origin), hex::encode(digest))
}

/// Beginning of the paths of [`ratification_state`].
pub(crate) fn ratification_states(origin: &str) -> String {
    format!("ratified/{}/", folder(origin))
}

/// A version that both parties have ratified.
pub(crate) struct Version {
    pack: Arc<Pack>,
    ratifications: Envelopes,
}

/// The versions that are held, the first one first, and the one that is issued under.
pub(crate) struct Versions {
    held: Vec<OnceLock<Version>>,
    issued: AtomicUsize,
    own: RwLock<BTreeMap<u64, Activations>>,
    orders: RwLock<Vec<((u64, u64), Given)>>,
}

impl Versions {
    /// One version, which nothing has activated yet.
    pub(crate) fn new(pack: Arc<Pack>, ratifications: Envelopes) -> Self {
        let mut held: Vec<OnceLock<Version>> = (1..MAX_VERSIONS).map(|_| OnceLock::new()).collect();
        held.insert(0, OnceLock::from(Version { pack, ratifications }));
        Self { held, issued: AtomicUsize::new(0), own: RwLock::default(), orders: RwLock::default() }
    }

    fn all(&self) -> impl DoubleEndedIterator<Item = &Version> {
        // Filled from the first on.
        self.held.iter().filter_map(OnceLock::get)
    }

    fn first(&self) -> &Version {
        self.held[0].get().expect("the first version is held from the beginning")
    }

    fn issued(&self) -> &Version {
        let at = self.issued.load(Ordering::Acquire);
        self.held.get(at).and_then(OnceLock::get).unwrap_or_else(|| self.first())
    }
}

/// The ACTIVATEs of one log that hold, each with its index.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Activations(Vec<(u64, Digest)>);

impl Activations {
    /// Adds what stands behind all others; what does not changes nothing.
    pub(crate) fn add(&mut self, index: u64, digest: Digest) {
        if self.0.last().is_none_or(|(at, _)| *at < index) {
            self.0.push((index, digest));
        }
    }

    /// The version in force at an entry: of the last ACTIVATE before it.
    #[must_use]
    pub fn at(&self, index: u64) -> Option<Digest> {
        self.0.iter().rev().find(|(at, _)| *at < index).map(|(_, digest)| *digest)
    }

    /// The version in force behind the last entry.
    #[must_use]
    pub fn last(&self) -> Option<Digest> {
        self.at(u64::MAX)
    }
}

/// What a log says of versions, up to some entry of it.
#[derive(Debug, Clone, Default)]
pub(crate) struct InForce {
    /// RATIFYs, by digest and party.
    pub ratified: BTreeMap<(Digest, String), RatifiedBy>,
    /// ACTIVATEs that hold.
    pub active: Activations,
    /// Orders of the log's own party that hold.
    pub orders: Orders,
}

/// What the logs before one ended with.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Before {
    /// Version in force.
    pub version: Option<Digest>,
    /// Number of the last order.
    pub order: u64,
}

impl InForce {
    /// What the logs up to this one end with.
    pub(crate) fn after(&self, before: Before) -> Before {
        let last = self.orders.iter().map(|(_, given)| given.order.number).max();
        Before { version: self.active.last().or(before.version), order: before.order.max(last.unwrap_or(0)) }
    }
}

/// What an entry does to the versions and orders.
pub(crate) enum Entered {
    /// Nothing: it speaks of something else, repeats, or is void.
    Nothing,
    /// It is kept at this path with this body.
    Kept(String, Vec<u8>),
    /// It puts a version in force that is not held here.
    NotHeld(Digest),
}

impl Exchange {
    /// The version that this side issues under: the one that is active in its own log.
    #[must_use]
    pub fn pack(&self) -> &Pack {
        &self.versions.issued().pack
    }

    /// A version that is held, by its digest.
    #[must_use]
    pub fn version(&self, digest: &[u8]) -> Option<&Pack> {
        self.versions.all().map(|version| &*version.pack).find(|pack| pack.digest() == digest)
    }

    /// Every version that is held, the first one first.
    pub fn versions(&self) -> impl DoubleEndedIterator<Item = &Pack> {
        self.versions.all().map(|version| &*version.pack)
    }

    /// The newest version that knows a message: whatever version it was written under, that one reads it, for an amendment keeps
    /// what is on the wire.
    #[must_use]
    pub fn reader(&self, message_name: &str) -> &Pack {
        self.versions().rev().find(|pack| pack.message(message_name).is_some()).unwrap_or_else(|| self.pack())
    }

    /// The rules of the version that this side issues under, seen from this side.
    #[must_use]
    pub fn engine(&self) -> Engine<'_> {
        self.engine_of(self.pack())
    }

    /// The rules of a version, seen from this side.
    #[must_use]
    pub fn engine_of<'p>(&self, pack: &'p Pack) -> Engine<'p> {
        Engine::new(pack, self.me)
    }

    /// Ratifications of the version that this side issues under: party and DSSE envelope.
    #[must_use]
    pub fn ratifications(&self) -> &[(String, Vec<u8>)] {
        &self.versions.issued().ratifications
    }

    /// Ratifications of a version that is held.
    pub(crate) fn ratifications_of(&self, digest: &Digest) -> &[(String, Vec<u8>)] {
        let found = self.versions.all().find(|version| version.pack.digest() == *digest);
        found.map(|version| version.ratifications.as_slice()).unwrap_or_default()
    }

    /// Holds a further version; false if it is held already, or there are too many.
    pub(crate) fn hold(&self, pack: &Arc<Pack>, ratifications: Envelopes) -> bool {
        let mut version = Version { pack: pack.clone(), ratifications };
        for slot in &self.versions.held {
            match slot.get() {
                Some(held) if held.pack.digest() == pack.digest() => return false,
                Some(_) => {}
                None => match slot.set(version) {
                    Ok(()) => return true,
                    Err(back) => version = back,
                },
            }
        }
        false
    }

    /// Issues under this version from now on; false if it is not held.
    pub(crate) fn issue_under(&self, digest: &Digest) -> bool {
        let at = self.versions().position(|pack| pack.digest() == *digest);
        if let Some(at) = at {
            self.versions.issued.store(at, Ordering::Release);
        }
        at.is_some()
    }

    /// Issues under the first version that is held.
    pub(crate) fn issue_under_first(&self) {
        self.versions.issued.store(0, Ordering::Release);
    }

    /// What the own log of an epoch activates.
    #[must_use]
    pub fn own_activations(&self, epoch: u64) -> Activations {
        let own = self.versions.own.read().unwrap_or_else(PoisonError::into_inner);
        own.get(&epoch).cloned().unwrap_or_default()
    }

    pub(crate) fn own_activations_change(&self, epoch: u64, change: impl FnOnce(&mut Activations)) {
        let mut own = self.versions.own.write().unwrap_or_else(PoisonError::into_inner);
        change(own.entry(epoch).or_default());
    }

    /// The version that the last of the own logs activates.
    pub(crate) fn own_active(&self) -> Option<Digest> {
        let own = self.versions.own.read().unwrap_or_else(PoisonError::into_inner);
        own.values().rev().find_map(Activations::last)
    }

    /// The version under which an own record stands.
    pub(crate) fn own_version(&self, epoch: u64, index: u64) -> &Pack {
        let digest = self.own_activations(epoch).at(index);
        digest.and_then(|digest| self.version(&digest)).unwrap_or_else(|| self.pack())
    }

    /// What the partner's logs before this epoch ended with.
    pub(crate) fn peer_before(&self, epoch: u64) -> Before {
        let lanes = self.peer_lanes();
        let earlier = lanes.iter().filter(|lane| lane.epoch < epoch);
        earlier.fold(Before::default(), |before, lane| self.known(lane.epoch).force.after(before))
    }

    /// Orders of the own party, each with epoch and index.
    pub(crate) fn own_orders(&self) -> Vec<((u64, u64), Given)> {
        self.versions.orders.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// An own order stands there, or is going to.
    pub(crate) fn own_order(&self, at: (u64, u64), given: Given) {
        let mut orders = self.versions.orders.write().unwrap_or_else(PoisonError::into_inner);
        orders.retain(|(_, known)| known.order.number != given.order.number);
        orders.push((at, given));
        orders.sort_by_key(|(at, _)| *at);
    }

    /// Forgets the own orders, to read them again.
    pub(crate) fn own_orders_clear(&self) {
        self.versions.orders.write().unwrap_or_else(PoisonError::into_inner).clear();
    }

    /// Takes what an entry at `index` of a log says of versions and orders, its signature checked. `before` is what the logs before this
    /// one ended with. An ACTIVATE counts if the RATIFY of its digest by each party that takes part, and by the issuer, stands
    /// before it in the same log, and never leads back: it repeats what is in force, or amends it. An order counts if the roots of the log's own party gave it and its number
    /// grows.
    pub(crate) fn enter(
        &self,
        force: &mut InForce,
        before: Before,
        lane: &Lane,
        index: u64,
        said: &Statement,
    ) -> Entered {
        let Some(body) = &said.body else { return Entered::Nothing };
        match body {
            Body::Ratify(ratify) => {
                let roots = [&self.partner_roots, &self.own_roots];
                let said = roots.into_iter().find_map(|roots| verify_ratify(ratify, roots).ok());
                let known = |said: &RatifiedBy| force.ratified.contains_key(&(said.digest, said.party().to_owned()));
                let said = said.filter(|said| self.concerns(said) && !known(said));
                let Some(said) = said.filter(|_| force.ratified.len() < MAX_CHANGES as usize) else {
                    return Entered::Nothing;
                };
                let path = ratification_state(&lane.origin, &said.digest, said.party());
                force.ratified.insert((said.digest, said.party().to_owned()), said);
                Entered::Kept(path, index.to_be_bytes().to_vec())
            }
            Body::Activate(activate) => {
                let Ok(digest) = Digest::try_from(activate.digest.as_slice()) else { return Entered::Nothing };
                let by = |party: &str| force.ratified.contains_key(&(digest, party.to_owned()));
                let issuer = self.issuer_of(lane);
                let Some(pack) = self.version(&digest) else {
                    let both = by(&self.own_party) && by(&self.partner_party);
                    return if both { Entered::NotHeld(digest) } else { Entered::Nothing };
                };
                let last = force.active.last().or(before.version);
                let counts = |party: &str| {
                    let said = force.ratified.get(&(digest, party.to_owned()));
                    said.is_some_and(|said| check_counts(said, &pack.ratification_rule(party), &[], None).is_ok())
                };
                if !pack.ratified_by(issuer).all(counts) {
                    return Entered::Nothing;
                }
                if last.is_some_and(|last| last != digest && pack.amends() != Some(last)) {
                    return Entered::Nothing;
                }
                force.active.add(index, digest);
                Entered::Kept(activation_state(&lane.origin, index), digest.to_vec())
            }
            _ => {
                let last = force.after(before).order;
                let Some(given) = self.order_in(lane, said).filter(|given| given.order.number > last) else {
                    return Entered::Nothing;
                };
                if force.orders.len() >= MAX_CHANGES as usize {
                    return Entered::Nothing;
                }
                force.orders.push((index, given));
                Entered::Kept(order_state(&lane.origin, index), Vec::new())
            }
        }
    }

    /// The party whose log a lane is.
    fn issuer_of(&self, lane: &Lane) -> &str {
        if self.own_lanes().iter().any(|own| own.log == lane.log) { &self.own_party } else { &self.partner_party }
    }

    /// Whether a ratification is of this agreement, by a party for its node here.
    pub(crate) fn concerns(&self, said: &RatifiedBy) -> bool {
        let nodes = [(&self.own_party, &self.own_node), (&self.partner_party, &self.partner_node)];
        said.agreement == self.pack().agreement()
            && nodes.into_iter().any(|(party, node)| said.party() == party && said.node == *node)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_version_governs_from_the_entry_after_its_activate() {
        let mut log = Activations::default();
        assert_eq!((log.at(9), log.last()), (None, None));
        log.add(3, [1; 32]);
        log.add(70_000, [2; 32]);
        log.add(70_000, [3; 32]);
        log.add(5, [4; 32]);
        let at = |index| log.at(index).map(|digest| digest[0]);
        assert_eq!([at(0), at(3), at(4), at(70_000), at(70_001)], [None, None, Some(1), Some(1), Some(2)]);
        assert_eq!(log.last(), Some([2; 32]));
    }
}
