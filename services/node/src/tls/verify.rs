//! Whom to believe: a name is believed only from the authority of the trust domain it is in.

use std::collections::BTreeMap;
use std::sync::Arc;

use convenio_model::{Identity, IdentityError};
use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, verify_tls13_signature};
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::{
    CertificateError, DigitallySignedStruct, DistinguishedName, Error, OtherError, PeerIncompatible, SignatureScheme,
};
use rustls_pki_types::{CertificateDer, ServerName, UnixTime};

use super::identity::from_certificate;

/// Verifies a client by the authority of the trust domain its leaf claims, and by no other: a
/// partner's authority cannot issue names of the own state.
#[derive(Debug)]
pub(super) struct TrustDomainClientVerifier {
    /// One verifier for each trust domain, with its revocation lists.
    by_trust_domain: BTreeMap<String, Arc<dyn ClientCertVerifier>>,
    provider: Arc<CryptoProvider>,
}

/// Verifies a dialled node: the chain, the DNS name, and that the SPIFFE id is that of a node of
/// the one trust domain that was meant.
#[derive(Debug)]
pub(super) struct NodeServerVerifier {
    chain: Arc<WebPkiServerVerifier>,
    trust_domain: String,
    provider: Arc<CryptoProvider>,
}

/// Why a peer was refused, beyond what rustls itself can say.
#[derive(Debug, thiserror::Error)]
enum Refused {
    #[error(transparent)]
    Identity(#[from] IdentityError),
    #[error("no authority is known for the trust domain of the certificate")]
    UnknownTrustDomain,
    #[error("the server's certificate is not that of a node of the expected trust domain")]
    NotTheNode,
}

impl Refused {
    fn reason(&self) -> &'static str {
        match self {
            Self::Identity(error) => error.reason(),
            Self::UnknownTrustDomain => "TRUST_DOMAIN_UNKNOWN",
            Self::NotTheNode => "NOT_THE_NODE",
        }
    }
}

/// Stable reason code of a failed handshake, for logs.
pub(super) fn reason(error: &Error) -> &'static str {
    use CertificateError as C;
    match error {
        Error::NoCertificatesPresented => "CERTIFICATE_MISSING",
        Error::PeerIncompatible(PeerIncompatible::NoCertificateRequestSignatureSchemesInCommon) => "SIGNATURE_SCHEME",
        Error::PeerIncompatible(_) => "PROTOCOL_UNSUPPORTED",
        Error::AlertReceived(_) => "PEER_ALERT",
        Error::InvalidCertificate(problem) => match problem {
            C::Expired | C::ExpiredContext { .. } => "CERTIFICATE_EXPIRED",
            C::NotValidYet | C::NotValidYetContext { .. } => "CERTIFICATE_NOT_YET_VALID",
            C::Revoked => "CERTIFICATE_REVOKED",
            C::UnknownRevocationStatus | C::ExpiredRevocationList | C::ExpiredRevocationListContext { .. } => {
                "REVOCATION_UNKNOWN"
            }
            C::UnknownIssuer | C::BadSignature => "CERTIFICATE_AUTHORITY",
            C::NotValidForName | C::NotValidForNameContext { .. } => "SERVER_NAME",
            C::InvalidPurpose | C::InvalidPurposeContext { .. } => "CERTIFICATE_PURPOSE",
            C::Other(OtherError(inner)) => {
                inner.downcast_ref::<Refused>().map_or("CERTIFICATE_INVALID", Refused::reason)
            }
            _ => "CERTIFICATE_INVALID",
        },
        _ => "HANDSHAKE_FAILED",
    }
}

/// A failed verification in words, without names or times out of the certificate.
pub(super) fn problem(error: &Error) -> String {
    match reason(error) {
        "CERTIFICATE_EXPIRED" => "the certificate has expired".to_owned(),
        "CERTIFICATE_NOT_YET_VALID" => "the certificate is not valid yet".to_owned(),
        "CERTIFICATE_AUTHORITY" => "the certificate was not issued by the authority of its trust domain".to_owned(),
        "CERTIFICATE_REVOKED" => "the certificate is revoked".to_owned(),
        "REVOCATION_UNKNOWN" => "no revocation list in force says whether the certificate is revoked".to_owned(),
        "CERTIFICATE_PURPOSE" => "the certificate is not for this use (extended key usage)".to_owned(),
        other => format!("the certificate is not accepted ({other})"),
    }
}

impl TrustDomainClientVerifier {
    pub(super) fn new(
        by_trust_domain: BTreeMap<String, Arc<dyn ClientCertVerifier>>,
        provider: Arc<CryptoProvider>,
    ) -> Self {
        Self { by_trust_domain, provider }
    }
}

impl NodeServerVerifier {
    pub(super) fn new(chain: Arc<WebPkiServerVerifier>, trust_domain: String, provider: Arc<CryptoProvider>) -> Self {
        Self { chain, trust_domain, provider }
    }
}

impl ClientCertVerifier for TrustDomainClientVerifier {
    fn client_auth_mandatory(&self) -> bool {
        true
    }

    /// No hints: they would tell strangers which authorities this node believes.
    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &[]
    }

    fn verify_client_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        let identity = from_certificate(end_entity).map_err(refuse)?;
        self.by_trust_domain
            .get(&identity.trust_domain)
            .ok_or_else(|| refuse(Refused::UnknownTrustDomain))?
            .verify_client_cert(end_entity, intermediates, now)
    }

    fn verify_tls12_signature(
        &self,
        _message: &[u8],
        _cert: &CertificateDer<'_>,
        _dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Err(Error::PeerIncompatible(PeerIncompatible::Tls12NotOffered))
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        verify_tls13_signature(message, cert, dss, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}

impl ServerCertVerifier for NodeServerVerifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let identity = from_certificate(end_entity).map_err(refuse)?;
        if identity.trust_domain != self.trust_domain || identity.role != Identity::NODE {
            return Err(refuse(Refused::NotTheNode));
        }
        self.chain.verify_server_cert(end_entity, intermediates, server_name, ocsp_response, now)
    }

    fn verify_tls12_signature(
        &self,
        _message: &[u8],
        _cert: &CertificateDer<'_>,
        _dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Err(Error::PeerIncompatible(PeerIncompatible::Tls12NotOffered))
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        verify_tls13_signature(message, cert, dss, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}

fn refuse(why: impl Into<Refused>) -> Error {
    Error::InvalidCertificate(CertificateError::Other(OtherError(Arc::new(why.into()))))
}
