//! Recovery of a node that lost its disk or came back from an older backup: what `convenio node recover` does. The node
//! itself must not run.

use std::sync::Arc;

use convenio_exchange::OpenError;
use convenio_exchange::recovery::client::{Opened, RecoverError, Recovering, Refilled};
use convenio_model::{Clock, Entropy};
use convenio_seal::dsse::Envelope;
use convenio_seal::root::RootError;
use convenio_store::StoreError;
use convenio_store_sqlite::SqliteStore;
use convenio_wire::exchange::v1::{RecoveryRequest, RefillRequest};
use prost::Message;
use tonic::transport::Channel;

use crate::config::Config;
use crate::node::{StartError, parts, vault};
use crate::tls::connect;

/// A recovery does not go on.
#[derive(Debug, thiserror::Error)]
pub enum RecoveryError {
    /// The node's files cannot be opened.
    #[error(transparent)]
    Start(#[from] StartError),
    /// The database cannot be opened.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// No partner of this name has an address, or it shares no agreement.
    #[error("{0}: no partner with an address and an agreement")]
    NoPartner(String),
    /// The partner shares several agreements, each with logs of its own.
    #[error("{0}: shares several agreements: name one with --agreement, and recover each")]
    SeveralAgreements(String),
    /// The partner cannot be reached or refuses.
    #[error("the partner: {0}")]
    Partner(String),
    /// A file is not what roots sign.
    #[error(transparent)]
    Root(#[from] RootError),
    /// What was refilled does not hold, or nothing was.
    #[error(transparent)]
    Recover(#[from] RecoverError),
}

impl From<OpenError> for RecoveryError {
    fn from(error: OpenError) -> Self {
        Self::Recover(error.into())
    }
}

/// A node's files, open for a recovery from one partner.
pub struct NodeRecovery {
    recovering: Recovering,
    channel: Channel,
    agreement: String,
}

impl NodeRecovery {
    /// Opens the files of a node that does not run, and reaches the partner. `agreement` may be left out where they share one.
    ///
    /// # Errors
    /// [`RecoveryError`].
    pub async fn open(
        config: Config,
        partner: &str,
        agreement: Option<&str>,
        clock: Arc<dyn Clock>,
        entropy: Arc<dyn Entropy>,
    ) -> Result<Self, RecoveryError> {
        let none = || RecoveryError::NoPartner(partner.to_owned());
        let shared = config.agreements.iter().filter(|(_, with)| with.node == partner).map(|(pack, _)| pack.id());
        let agreement = chosen(shared, agreement, partner)?.to_owned();
        let tls = |error: crate::tls::ConfigError| RecoveryError::Start(error.into());
        let peer = config.partners.iter().find(|peer| peer.node == partner).ok_or_else(none)?;
        let address = peer.address.clone().ok_or_else(none)?;
        let client = Arc::new(config.tls.client_config(&peer.trust_domain).map_err(tls)?);
        let channel = connect(&address, partner, client).await;
        let channel = channel.map_err(|error| RecoveryError::Partner(error.to_string()))?;
        let store = SqliteStore::open(&config.database, &config.node).await?;
        let vault = vault(&config.data_keys, &entropy)?;
        let recovering = Recovering::open(parts(config, clock, entropy, store, vault), &agreement).await?;
        Ok(Self { recovering, channel, agreement })
    }

    /// Id of the agreement that is recovered.
    #[must_use]
    pub fn agreement(&self) -> &str {
        &self.agreement
    }

    /// First step: the request over the partner's challenge, for the roots to sign.
    ///
    /// # Errors
    /// [`RecoveryError`].
    pub async fn request(&self, reason: &str) -> Result<RecoveryRequest, RecoveryError> {
        let given = convenio_rpc::get_recovery(self.channel.clone(), &self.agreement).await;
        Ok(self.recovering.request(&given.map_err(told)?, reason))
    }

    /// Second step: the refill, with what EPOCH_OPEN must name. From here on the node serves only once its epoch is open.
    ///
    /// # Errors
    /// [`RecoveryError`].
    pub async fn refill(&self, signed: &Envelope) -> Result<Refilled, RecoveryError> {
        let request = RefillRequest { payload: signed.payload.clone(), signatures: signed.signatures.clone() };
        let answer = convenio_rpc::refill(self.channel.clone(), request).await.map_err(told)?;
        Ok(self.recovering.refill(answer).await?)
    }

    /// The manifest of the last keys that the refilled log names and this node holds, encoded: what a drill opens the epoch
    /// with. In earnest the witness key is another one.
    #[must_use]
    pub fn key_manifest(&self) -> Vec<u8> {
        let (core, own) = (self.recovering.core(), self.recovering.core().own_keys());
        own.keys.manifest(core.party(), core.node_name(), own.version).encode_to_vec()
    }

    /// Third step: the granted epoch, with a file that the roots signed.
    ///
    /// # Errors
    /// [`RecoveryError`].
    pub async fn open_epoch(&self, file: &[u8]) -> Result<Opened, RecoveryError> {
        Ok(self.recovering.open_epoch(file).await?)
    }
}

/// The partner's code alone: its words are a stranger's text.
fn told(status: tonic::Status) -> RecoveryError {
    RecoveryError::Partner(format!("{:?}", status.code()))
}

/// The agreement that is meant, of those that a partner shares.
fn chosen<'c>(
    mut shared: impl Iterator<Item = &'c str>,
    meant: Option<&str>,
    partner: &str,
) -> Result<&'c str, RecoveryError> {
    let none = || RecoveryError::NoPartner(partner.to_owned());
    if let Some(meant) = meant {
        return shared.find(|id| *id == meant).ok_or_else(none);
    }
    let only = shared.next().ok_or_else(none)?;
    match shared.next() {
        None => Ok(only),
        Some(_) => Err(RecoveryError::SeveralAgreements(partner.to_owned())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_several_agreements_with_a_partner_one_is_named() {
        let chosen = |shared: &[&'static str], meant| chosen(shared.iter().copied(), meant, "node.ca.example");
        assert_eq!(chosen(&["sv-ca"], None).unwrap(), "sv-ca");
        assert_eq!(chosen(&["sv-ca", "sv-ca-two"], Some("sv-ca-two")).unwrap(), "sv-ca-two");
        assert!(matches!(chosen(&["sv-ca", "sv-ca-two"], None), Err(RecoveryError::SeveralAgreements(_))));
        for (shared, meant) in [(&[][..], None), (&["sv-ca"][..], Some("ca-mx"))] {
            assert!(matches!(chosen(shared, meant), Err(RecoveryError::NoPartner(_))));
        }
    }
}
