//! TLS material that changes while the node runs. New material counts for every handshake from then on, and for every
//! connection that is open: each is judged again at once, by the same verifiers, and cut if it is no longer believed.

use std::sync::Arc;

use arc_swap::ArcSwap;
use rustls::client::danger::ServerCertVerifier;
use rustls::server::danger::ClientCertVerifier;
use rustls::{ClientConfig, ServerConfig};
use rustls_pki_types::{CertificateDer, ServerName, UnixTime};
use tokio::sync::watch;

use super::config::ConfigError;
use super::material::LoadedTls;
use super::verify::{self, TrustDomainClientVerifier};

/// The material in force.
pub struct LiveTls {
    current: ArcSwap<Current>,
    generation: watch::Sender<u64>,
}

struct Current {
    loaded: LoadedTls,
    server: Arc<ServerConfig>,
    clients: TrustDomainClientVerifier,
}

impl Current {
    fn of(loaded: LoadedTls) -> Result<Self, ConfigError> {
        let (server, clients) = (Arc::new(loaded.server_config()?), loaded.trust_domain_verifier()?);
        Ok(Self { loaded, server, clients })
    }
}

impl LiveTls {
    /// Begins with this material.
    ///
    /// # Errors
    /// [`ConfigError`] if an authority cannot be used.
    pub fn new(loaded: LoadedTls) -> Result<Arc<Self>, ConfigError> {
        let current = ArcSwap::from_pointee(Current::of(loaded)?);
        Ok(Arc::new(Self { current, generation: watch::Sender::new(0) }))
    }

    /// Replaces the material; what is in force stays if this cannot be used.
    ///
    /// # Errors
    /// [`ConfigError`].
    pub fn replace(&self, loaded: LoadedTls) -> Result<(), ConfigError> {
        self.current.store(Arc::new(Current::of(loaded)?));
        self.generation.send_modify(|generation| *generation += 1);
        Ok(())
    }

    /// Whether this material could be replaced into place.
    ///
    /// # Errors
    /// [`ConfigError`].
    pub fn check(&self, loaded: &LoadedTls) -> Result<(), ConfigError> {
        Current::of(loaded.clone()).map(drop)
    }

    /// Changes with the material.
    #[must_use]
    pub fn generation(&self) -> watch::Receiver<u64> {
        self.generation.subscribe()
    }

    /// The accepting side.
    #[must_use]
    pub fn server_config(&self) -> Arc<ServerConfig> {
        self.current.load().server.clone()
    }

    /// The dialling side, as [`LoadedTls::client_config`].
    ///
    /// # Errors
    /// [`ConfigError`].
    pub fn client_config(&self, trust_domain: &str) -> Result<Arc<ClientConfig>, ConfigError> {
        self.current.load().loaded.client_config(trust_domain).map(Arc::new)
    }

    /// The material itself.
    #[must_use]
    pub fn loaded(&self) -> LoadedTls {
        self.current.load().loaded.clone()
    }

    /// Judges a client's chain, leaf first, as a handshake would now; says why it is refused.
    ///
    /// # Errors
    /// A stable reason, for example `CERTIFICATE_REVOKED`.
    pub fn judge_client(&self, chain: &[CertificateDer<'_>]) -> Result<(), &'static str> {
        let (leaf, intermediates) = chain.split_first().ok_or("CERTIFICATE_MISSING")?;
        let current = self.current.load();
        let judged = current.clients.verify_client_cert(leaf, intermediates, UnixTime::now());
        judged.map(drop).map_err(|error| verify::reason(&error))
    }

    /// Judges the chain of a node that was dialled, as [`LiveTls::judge_client`].
    ///
    /// # Errors
    /// A stable reason.
    pub fn judge_node(
        &self,
        chain: &[CertificateDer<'_>],
        trust_domain: &str,
        name: &ServerName<'_>,
    ) -> Result<(), &'static str> {
        let (leaf, intermediates) = chain.split_first().ok_or("CERTIFICATE_MISSING")?;
        let verifier = self.current.load().loaded.node_verifier(trust_domain).map_err(|_| "TRUST_DOMAIN_UNKNOWN")?;
        let judged = verifier.verify_server_cert(leaf, intermediates, name, &[], UnixTime::now());
        judged.map(drop).map_err(|error| verify::reason(&error))
    }
}
