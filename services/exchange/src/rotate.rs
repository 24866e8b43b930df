//! New operational keys and revocations, while the exchange goes on.
//!
//! Roots sign both. KEY_ROTATE is staged in every open log of the node in one transaction and is itself signed by the new
//! record key; so is all that follows in that very group. A mirror or witness key cosigns only once the partner has cosigned
//! the entry that names it. A revocation stands in the log that it speaks of and, once judged, in the partner's.

use std::sync::Arc;

use convenio_seal::dsse::Envelope;
use convenio_seal::manifest::ManifestKeys;
use convenio_seal::root::RootError;
use convenio_seal::rotation::{key_rotate_from, revoke_from, verify_key_rotate, verify_revoke};
use convenio_store::StoreError;
use convenio_wire::exchange::v1::{KeyRotate, Revoke, statement::Body};
use convenio_wire::{KEYS_TYPE, REVOCATION_TYPE};
use futures::FutureExt;
use prost::Message;

use crate::core::{Core, Exchange};
use crate::error::{IssueError, OpenError};
use crate::learn::revocation_state;
use crate::outbound::seal::{fresh_record_id, stage_statement};

/// Keys were neither changed nor revoked.
#[derive(Debug, thiserror::Error)]
pub enum RotateError {
    /// The file is neither new keys nor a revocation, or not by the roots of this party.
    #[error(transparent)]
    Root(#[from] RootError),
    /// It is of another party or node.
    #[error("it speaks of another node")]
    OtherNode,
    /// The private halves are not here.
    #[error("the private keys of manifest {0} are not held")]
    NotHeld(u64),
    /// No agreement of this node has the log that a revocation names.
    #[error("no log of this node is {0}")]
    NoLog(String),
    /// An own log is frozen or not open.
    #[error(transparent)]
    Issue(#[from] IssueError),
}

impl From<StoreError> for RotateError {
    fn from(error: StoreError) -> Self {
        Self::Issue(error.into())
    }
}

impl Core {
    /// Holds another set of private keys, which a manifest may name later.
    pub fn hold_keys(&self, keys: Arc<convenio_seal::manifest::NodeKeys>) {
        self.sealer.keys.hold(keys);
    }

    /// Takes a file that roots signed: new keys or a revocation. One that is known changes nothing.
    ///
    /// # Errors
    /// [`RotateError`].
    pub async fn change_keys(self: &Arc<Self>, file: &[u8]) -> Result<bool, RotateError> {
        let envelope = Envelope::parse(file).map_err(RootError::from)?;
        match envelope.payload_type.as_str() {
            KEYS_TYPE => self.rotate(key_rotate_from(&envelope)?).await,
            REVOCATION_TYPE => self.revoke(revoke_from(&envelope)?).await,
            _ => Err(RootError::from(convenio_seal::DsseError::PayloadType).into()),
        }
    }

    async fn rotate(self: &Arc<Self>, rotate: KeyRotate) -> Result<bool, RotateError> {
        let Some(first) = self.exchanges().first() else { return Ok(false) };
        let keys = verify_key_rotate(&rotate, &first.own_roots)?;
        if keys.node != self.node {
            return Err(RotateError::OtherNode);
        }
        if lagging(self, keys.version).is_empty() {
            return Ok(false);
        }
        if self.sealer.keys.find(|held| held.matches(&keys)).is_none() {
            return Err(RotateError::NotHeld(keys.version));
        }
        let core = self.clone();
        let staged = self.write::<_, RotateError, _>(move |work| stage_rotation(work, core, keys, rotate).boxed());
        staged.await
    }

    async fn revoke(self: &Arc<Self>, revoke: Revoke) -> Result<bool, RotateError> {
        let Some(first) = self.exchanges().first() else { return Ok(false) };
        let said = verify_revoke(&revoke, &first.own_roots)?;
        if said.node != self.node {
            return Err(RotateError::OtherNode);
        }
        let names = |exchange: &&Arc<Exchange>| {
            let (own, peer) = (exchange.own_lanes(), exchange.peer_lanes());
            own.iter().chain(peer.iter()).any(|lane| lane.origin == said.log_origin)
        };
        let exchange = self.exchanges().iter().find(names).cloned();
        let exchange = exchange.ok_or_else(|| RotateError::NoLog(said.log_origin.clone()))?;
        if exchange.own_revoked().all().contains(&said) {
            return Ok(false);
        }
        let (core, of) = (self.clone(), exchange.clone());
        let staged = self.write::<_, RotateError, _>(move |work| {
            async move {
                let state = revocation_state(&of.own().origin, &revoke.payload);
                work.put_state(&state, Some(revoke.encode_to_vec()));
                stage_statement(
                    work,
                    &core.sealer,
                    &of,
                    fresh_record_id(&core.sealer),
                    Body::Revoke(revoke),
                    None,
                    Vec::new(),
                )?;
                Ok(())
            }
            .boxed()
        });
        staged.await?;
        exchange.revoke_own(said);
        Ok(true)
    }
}

/// The exchanges whose open log names earlier keys than these. None if the node signs with later ones: nothing goes back.
fn lagging(core: &Core, version: u64) -> Vec<Arc<Exchange>> {
    let named = |exchange: &Exchange| exchange.own_keys(exchange.own().epoch).last().map_or(0, |keys| keys.version);
    let lags = |exchange: &&Arc<Exchange>| version >= core.own_keys().version && named(exchange) < version;
    core.exchanges().iter().filter(lags).cloned().collect()
}

/// KEY_ROTATE in every open log that names earlier keys. The group after it is signed by the new keys; if it is not
/// committed, the writer looks which keys the logs name.
async fn stage_rotation(
    work: &mut convenio_store::Work,
    core: Arc<Core>,
    keys: ManifestKeys,
    rotate: KeyRotate,
) -> Result<bool, RotateError> {
    let lagging = lagging(&core, keys.version);
    if lagging.is_empty() {
        return Ok(false);
    }
    for exchange in &lagging {
        let own = work.log(exchange.own().log)?;
        if !own.alarm.is_empty() {
            return Err(IssueError::Frozen(own.alarm.clone()).into());
        }
    }
    let before = core.own_keys();
    core.sealer.keys.use_manifest(&keys);
    for exchange in &lagging {
        let id = fresh_record_id(&core.sealer);
        let staged =
            stage_statement(work, &core.sealer, exchange, id, Body::KeyRotate(rotate.clone()), None, Vec::new());
        if let Err(error) = staged {
            core.sealer.keys.use_again(before);
            return Err(error.into());
        }
    }
    Ok(true)
}

/// Takes the changes that came as files before the node opened. Files about other nodes and earlier keys say nothing.
pub(crate) async fn pending(core: &Arc<Core>, files: &[Vec<u8>]) -> Result<(), OpenError> {
    for file in files {
        core.change_keys(file).await.map_err(|error| OpenError::Database(format!("a change of keys: {error}")))?;
    }
    Ok(())
}
