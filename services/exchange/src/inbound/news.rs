//! What a batch tells of the partner's keys and versions: its opening, new manifests and revocations, each verified against
//! its roots, ratifications and what is put in force. It
//! is known before the batch is judged, so that the very batch that holds it verifies.

use convenio_seal::epoch::verify_epoch_open;
use convenio_seal::manifest::ManifestKeys;
use convenio_seal::root::RootSet;
use convenio_seal::rotation::{verify_key_rotate, verify_revoke};
use convenio_seal::statement::{open_entry, verify_entry};
use convenio_store::Work;
use convenio_wire::exchange::v1::{Batch, KeyRevocation, KeyRotate, Revoke, Statement, statement::Body};
use prost::Message;

use super::check::opened;
use crate::core::{Exchange, Known};
use crate::keys::{Revocations, Timeline, rotation_state};
use crate::lane::Lane;
use crate::learn::revocation_state;
use crate::version::{Activations, Digest, Entered, InForce};

/// News of a batch.
#[derive(Default)]
pub(super) struct News {
    keys: Timeline,
    opened: bool,
    rotations: Vec<(u64, ManifestKeys)>,
    revocations: Vec<(Revoke, KeyRevocation)>,
    force: InForce,
    entered: Vec<(String, Vec<u8>)>,
    not_held: Option<Digest>,
}

impl News {
    /// Reads a batch of the partner's log.
    pub(super) fn of(exchange: &Exchange, lane: &Lane, batch: &Batch, statements: &[Statement]) -> Self {
        let Known { keys, force } = exchange.known(lane.epoch);
        let mut news = Self { keys, force, ..Self::default() };
        for ((entry, statement), index) in batch.entries.iter().zip(statements).zip(batch.begin..) {
            match &statement.body {
                Some(Body::EpochOpen(open)) if index == 0 && news.keys.last().is_none() => {
                    let canonical = open_entry(entry).is_ok();
                    if let (true, Ok(keys)) =
                        (canonical, verify_epoch_open(open, &lane.origin, &exchange.partner_roots))
                    {
                        news.keys = Timeline::opened(keys);
                        news.opened = true;
                    }
                }
                Some(Body::KeyRotate(rotate)) => {
                    // What a commit that failed learned is known already, and still to be kept.
                    if let Some(keys) =
                        rotated((&exchange.partner_node, &exchange.partner_roots), &lane.origin, rotate, entry)
                        && (news.keys.rotate(index, keys.clone()) || news.keys.begins(index, keys.version))
                    {
                        news.rotations.push((index, keys));
                    }
                }
                Some(Body::Revoke(revoke)) => {
                    let said = verify_revoke(revoke, &exchange.partner_roots).ok();
                    news.revocations.extend(said.map(|said| (revoke.clone(), said)));
                }
                Some(Body::Ratify(_) | Body::Activate(_) | Body::Suspend(_) | Body::Resume(_) | Body::Terminate(_)) => {
                    news.enter(exchange, lane, index, entry)
                }
                _ => {}
            }
        }
        news
    }

    /// What a RATIFY, an ACTIVATE or an order that its log's key signed puts in force.
    fn enter(&mut self, exchange: &Exchange, lane: &Lane, index: u64, entry: &[u8]) {
        let revoked = self.revoked(exchange);
        let Ok(open) = opened(exchange, lane, (&self.keys, &revoked), index, entry) else { return };
        let before = exchange.peer_before(lane.epoch);
        match exchange.enter(&mut self.force, before, lane, index, &open.statement) {
            Entered::Nothing => {}
            Entered::Kept(path, body) => self.entered.push((path, body)),
            Entered::NotHeld(digest) => self.not_held = Some(digest),
        }
    }

    /// A version that this batch puts in force and that is not held here: what follows it cannot be screened.
    pub(super) fn not_held(&self) -> Option<&Digest> {
        self.not_held.as_ref()
    }

    /// What the partner's log puts in force, this batch included.
    pub(super) fn active(&self) -> &Activations {
        &self.force.active
    }

    /// The partner's manifests, those of this batch among them.
    pub(super) fn keys(&self) -> &Timeline {
        &self.keys
    }

    /// The partner's revoked keys, those of this batch among them.
    pub(super) fn revoked(&self, exchange: &Exchange) -> Revocations {
        let mut revoked = exchange.partner_revoked();
        for (_, said) in &self.revocations {
            revoked.add(said.clone());
        }
        revoked
    }

    /// Keeps where they stand, in the commit of the batch.
    pub(super) fn keep(&self, work: &mut Work, lane: &Lane) {
        for (index, keys) in &self.rotations {
            work.put_state(&rotation_state(&lane.origin, keys.version), Some(index.to_be_bytes().to_vec()));
        }
        for (path, body) in &self.entered {
            work.put_state(path, Some(body.clone()));
        }
        for (revoke, _) in &self.revocations {
            work.put_state(&revocation_state(&lane.origin, &revoke.payload), Some(revoke.encode_to_vec()));
        }
    }

    /// Believes them.
    pub(super) fn learn(self, exchange: &Exchange, lane: &Lane) {
        if self.opened || !self.rotations.is_empty() {
            exchange.learn(lane.epoch, |known| known.keys = self.keys);
        }
        if !self.entered.is_empty() {
            exchange.learn(lane.epoch, |known| known.force = self.force);
        }
        for (_, said) in self.revocations {
            exchange.revoke_partner(said);
        }
    }
}

/// The manifest of a KEY_ROTATE: by the roots, of the log's node, and its entry signed by the new record key.
pub(crate) fn rotated(
    (node, roots): (&str, &RootSet),
    origin: &str,
    rotate: &KeyRotate,
    entry: &[u8],
) -> Option<ManifestKeys> {
    let keys = verify_key_rotate(rotate, roots).ok()?;
    let open = open_entry(entry).ok()?;
    let fits = keys.node == node && open.statement.log_origin == origin;
    (fits && verify_entry(&open, &keys.record).is_ok()).then_some(keys)
}
