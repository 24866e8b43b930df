//! The rustls configurations, made from loaded files.

use std::collections::BTreeMap;
use std::sync::Arc;

use rustls::client::{Resumption, WebPkiServerVerifier};
use rustls::server::danger::ClientCertVerifier;
use rustls::server::{NoServerSessionStorage, WebPkiClientVerifier};
use rustls::sign::SingleCertAndKey;
use rustls::{ClientConfig, ServerConfig, version};

use super::material::LoadedTls;
use super::verify::{NodeServerVerifier, TrustDomainClientVerifier};

/// HTTP/2 and HTTP/1.1 in ALPN (RFC 7301), by preference.
const ALPN_H2: &[u8] = b"h2";
const ALPN_HTTP1: &[u8] = b"http/1.1";

/// Why no configuration can be made.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// No authority was loaded for this trust domain.
    #[error("no authority is known for the trust domain {0}")]
    UnknownTrustDomain(String),
    /// rustls refuses the authority.
    #[error("the authority of {trust_domain} cannot be used: {source}")]
    Verifier {
        /// The trust domain of the authority.
        trust_domain: String,
        /// What rustls says.
        source: rustls::client::VerifierBuilderError,
    },
    /// rustls refuses the versions; it does not happen with the provider in use.
    #[error(transparent)]
    Tls(#[from] rustls::Error),
}

impl LoadedTls {
    /// The accepting side: believes clients of every loaded trust domain, each by its own
    /// authority only.
    ///
    /// # Errors
    /// [`ConfigError`] if an authority cannot be used.
    pub fn server_config(&self) -> Result<ServerConfig, ConfigError> {
        let verifier = self.trust_domain_verifier()?;
        let mut config = ServerConfig::builder_with_provider(self.provider.clone())
            .with_protocol_versions(&[&version::TLS13])?
            .with_client_cert_verifier(Arc::new(verifier))
            .with_cert_resolver(Arc::new(SingleCertAndKey::from(self.certified.clone())));
        config.alpn_protocols = vec![ALPN_H2.to_vec(), ALPN_HTTP1.to_vec()];
        config.send_tls13_tickets = 0;
        config.session_storage = Arc::new(NoServerSessionStorage {});
        Ok(config)
    }

    /// The dialling side: presents the own certificate and believes the node of `trust_domain` (the
    /// partner's, or the own for a client of the own node) and nobody else. HTTP/2 only.
    ///
    /// # Errors
    /// [`ConfigError`] if no authority of that trust domain is loaded or it cannot be used.
    pub fn client_config(&self, trust_domain: &str) -> Result<ClientConfig, ConfigError> {
        let verifier = self.node_verifier(trust_domain)?;
        let mut config = ClientConfig::builder_with_provider(self.provider.clone())
            .with_protocol_versions(&[&version::TLS13])?
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(verifier))
            .with_client_cert_resolver(Arc::new(SingleCertAndKey::from(self.certified.clone())));
        config.alpn_protocols = vec![ALPN_H2.to_vec()];
        config.resumption = Resumption::disabled();
        Ok(config)
    }

    /// The verifier of the node of one trust domain.
    pub(super) fn node_verifier(&self, trust_domain: &str) -> Result<NodeServerVerifier, ConfigError> {
        let roots = self.roots(trust_domain)?;
        let builder = WebPkiServerVerifier::builder_with_provider(roots, self.provider.clone());
        let chain = match self.crls.get(trust_domain) {
            Some(lists) => builder.with_crls(lists.der.iter().cloned()).enforce_revocation_expiration().build(),
            None => builder.build(),
        };
        let chain = chain.map_err(|source| verifier_error(trust_domain, source))?;
        Ok(NodeServerVerifier::new(chain, trust_domain.to_owned(), self.provider.clone()))
    }

    pub(super) fn trust_domain_verifier(&self) -> Result<TrustDomainClientVerifier, ConfigError> {
        let by_trust_domain = self
            .roots
            .keys()
            .map(|domain| Ok((domain.clone(), self.client_verifier(domain)?)))
            .collect::<Result<BTreeMap<_, _>, ConfigError>>()?;
        Ok(TrustDomainClientVerifier::new(by_trust_domain, self.provider.clone()))
    }

    /// The verifier of one trust domain's clients. Where the domain has revocation lists, a certificate is believed only while
    /// one of its authority is in force and does not name it.
    pub(super) fn client_verifier(&self, trust_domain: &str) -> Result<Arc<dyn ClientCertVerifier>, ConfigError> {
        let roots = self.roots(trust_domain)?;
        let builder = WebPkiClientVerifier::builder_with_provider(roots, self.provider.clone());
        let verifier = match self.crls.get(trust_domain) {
            Some(lists) => builder.with_crls(lists.der.iter().cloned()).enforce_revocation_expiration().build(),
            None => builder.build(),
        };
        verifier.map_err(|source| verifier_error(trust_domain, source))
    }

    fn roots(&self, trust_domain: &str) -> Result<Arc<rustls::RootCertStore>, ConfigError> {
        self.roots.get(trust_domain).cloned().ok_or_else(|| ConfigError::UnknownTrustDomain(trust_domain.to_owned()))
    }
}

fn verifier_error(trust_domain: &str, source: rustls::client::VerifierBuilderError) -> ConfigError {
    ConfigError::Verifier { trust_domain: trust_domain.to_owned(), source }
}
