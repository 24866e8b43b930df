//! The files a party shows and believes, read whole before anything is bound or dialled.

use std::collections::BTreeMap;
use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use convenio_model::{Identity, IdentityError};
use rustls::crypto::CryptoProvider;
use rustls::sign::CertifiedKey;
use rustls::{ClientConfig, RootCertStore};
use rustls_pki_types::pem::{self, PemObject};
use rustls_pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use x509_parser::prelude::{FromDer, X509Certificate};

use super::identity::from_certificate;
use super::revocation::{self, RevocationLists};

/// Largest PEM file read, in bytes: a chain of a few certificates is some kilobytes.
const MAX_FILE: u64 = 256 * 1024;
/// Most certificates in one file.
const MAX_CERTIFICATES: usize = 16;

/// Where the TLS files of one party (a node or a client of one) are.
#[derive(Clone, Debug)]
pub struct TlsMaterial {
    /// PEM chain this party presents, leaf first.
    pub certificate: PathBuf,
    /// PEM private key of the leaf (PKCS#8, SEC 1 or PKCS#1).
    pub key: PathBuf,
    /// PEM certificates of the own state's authority; several while it is being replaced.
    pub own_ca: PathBuf,
    /// The own state's trust domain, e.g. `sv.example`.
    pub own_trust_domain: String,
    /// Each partner's trust domain with the PEM certificates of its authority.
    pub partner_cas: Vec<(String, PathBuf)>,
    /// Trust domains with a PEM file of revocation lists, one list of each authority of that domain. Where a domain has none,
    /// revocation is not checked in it.
    pub crls: Vec<(String, PathBuf)>,
}

/// TLS files that were read and fit together; makes the rustls configurations.
#[derive(Clone, Debug)]
pub struct LoadedTls {
    pub(super) certified: Arc<CertifiedKey>,
    pub(super) provider: Arc<CryptoProvider>,
    /// The authorities of each trust domain that is believed.
    pub(super) roots: BTreeMap<String, Arc<RootCertStore>>,
    /// The revocation lists of each trust domain that has any.
    pub(super) crls: BTreeMap<String, RevocationLists>,
    identity: Identity,
    certificate: PathBuf,
}

/// A server outside the exchange that is believed by an authority of its own, a witness for example.
#[derive(Clone, Debug)]
pub struct TrustedServer {
    /// The name or address that it proves.
    pub name: ServerName<'static>,
    /// Shows no certificate of this node.
    pub config: Arc<ClientConfig>,
}

/// A server with this name or IP address that the PEM authorities in `ca` vouch for.
///
/// # Errors
/// [`MaterialError`] naming `ca`.
pub fn trusted_server(name: &str, ca: &Path) -> Result<TrustedServer, MaterialError> {
    let roots = authorities(ca, &certificates(ca)?)?;
    let name = ServerName::try_from(name.to_owned()).map_err(|_| content(ca, "for a server without a usable name"))?;
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let builder = ClientConfig::builder_with_provider(provider).with_protocol_versions(&[&rustls::version::TLS13]);
    let builder = builder.map_err(|error| content(ca, error))?;
    let mut config = builder.with_root_certificates(roots).with_no_client_auth();
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(TrustedServer { name, config: Arc::new(config) })
}

/// Why a TLS file cannot be used. The text starts with the file's path.
#[derive(Debug, thiserror::Error)]
pub enum MaterialError {
    /// The file cannot be read.
    #[error("{path}: cannot be read: {source}", path = path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What the operating system says.
        source: std::io::Error,
    },
    /// The content is not what the file should hold.
    #[error("{path}: {problem}", path = path.display())]
    Content {
        /// The file.
        path: PathBuf,
        /// What is wrong with it, without its content.
        problem: String,
    },
    /// A trust domain is named twice: it would be ambiguous whose authority to believe.
    #[error("{path}: trust domain {trust_domain} already has an authority", path = path.display())]
    TrustDomainTwice {
        /// The second authority's file.
        path: PathBuf,
        /// The trust domain.
        trust_domain: String,
    },
}

impl TlsMaterial {
    /// Reads and checks every file: certificates parse whole, the key belongs to the leaf, the leaf
    /// names an identity of the own trust domain.
    ///
    /// Validity in time is not looked at here: see [`LoadedTls::check_own_chain`].
    ///
    /// # Errors
    /// [`MaterialError`], naming the first file that cannot be used.
    pub fn load(&self) -> Result<LoadedTls, MaterialError> {
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let chain = certificates(&self.certificate)?;
        let identity = self.own_identity(&chain)?;
        let certified = certified_key(chain, &self.certificate, &self.key, &provider)?;
        let mut roots = BTreeMap::new();
        let mut authorities_of = BTreeMap::new();
        let own = (self.own_trust_domain.clone(), self.own_ca.clone());
        for (trust_domain, path) in std::iter::once(&own).chain(&self.partner_cas) {
            let certificates = certificates(path)?;
            if roots.insert(trust_domain.clone(), Arc::new(authorities(path, &certificates)?)).is_some() {
                return Err(MaterialError::TrustDomainTwice { path: path.clone(), trust_domain: trust_domain.clone() });
            }
            authorities_of.insert(trust_domain.clone(), certificates);
        }
        let mut crls = BTreeMap::new();
        for (trust_domain, path) in &self.crls {
            let authorities = authorities_of.get(trust_domain).map(Vec::as_slice).unwrap_or_default();
            let lists = revocation::load(path, &read(path)?, authorities, &provider)?;
            crls.insert(trust_domain.clone(), lists);
        }
        Ok(LoadedTls {
            certified: Arc::new(certified),
            provider,
            roots,
            crls,
            identity,
            certificate: self.certificate.clone(),
        })
    }

    fn own_identity(&self, chain: &[CertificateDer<'static>]) -> Result<Identity, MaterialError> {
        let leaf = chain.first().ok_or_else(|| content(&self.certificate, "no certificate"))?;
        let identity = from_certificate(leaf).map_err(|error: IdentityError| content(&self.certificate, error))?;
        if identity.trust_domain != self.own_trust_domain {
            let problem = format!("names {identity}, which is not of the own trust domain {}", self.own_trust_domain);
            return Err(content(&self.certificate, problem));
        }
        Ok(identity)
    }
}

impl LoadedTls {
    /// The identity in the own certificate.
    pub fn identity(&self) -> &Identity {
        &self.identity
    }

    /// The trust domains that are believed, each by its own authority.
    pub fn trust_domains(&self) -> impl Iterator<Item = &str> {
        self.roots.keys().map(String::as_str)
    }

    /// When the first of the revocation lists of each trust domain runs out, Unix seconds. From then on nobody of that
    /// domain is let in.
    pub fn crl_ends(&self) -> BTreeMap<String, u64> {
        self.crls.iter().map(|(domain, lists)| (domain.clone(), lists.next_update)).collect()
    }

    /// Checks that the own chain leads to the own authority and is valid now, as a peer would.
    /// Now is the machine's clock, which rustls itself reads for each handshake.
    ///
    /// # Errors
    /// [`MaterialError::Content`] naming the certificate's file: expired, not yet valid, of
    /// another authority, or not for client authentication.
    pub fn check_own_chain(&self) -> Result<(), MaterialError> {
        let verifier =
            self.client_verifier(&self.identity.trust_domain).map_err(|error| content(&self.certificate, error))?;
        let (leaf, intermediates) = self.certified.cert.split_first().expect("a loaded chain has a leaf");
        verifier
            .verify_client_cert(leaf, intermediates, rustls_pki_types::UnixTime::now())
            .map(drop)
            .map_err(|error| content(&self.certificate, super::verify::problem(&error)))
    }
}

fn certified_key(
    chain: Vec<CertificateDer<'static>>,
    chain_path: &Path,
    key_path: &Path,
    provider: &CryptoProvider,
) -> Result<CertifiedKey, MaterialError> {
    let key = PrivateKeyDer::from_pem_slice(&read(key_path)?)
        .map_err(|error| content(key_path, pem_problem(&error, "private key")))?;
    CertifiedKey::from_der(chain, key, provider).map_err(|error| match error {
        rustls::Error::InconsistentKeys(_) => {
            content(key_path, format!("is not the key of the certificate in {}", chain_path.display()))
        }
        _ => content(key_path, "unusable or truncated private key"),
    })
}

fn authorities(path: &Path, certificates: &[CertificateDer<'static>]) -> Result<RootCertStore, MaterialError> {
    let mut roots = RootCertStore::empty();
    for certificate in certificates {
        let (_, parsed) = X509Certificate::from_der(certificate)
            .map_err(|_| content(path, "not an X.509 certificate, or a truncated one"))?;
        if !parsed.is_ca() {
            return Err(content(path, "holds a certificate that is not an authority's"));
        }
        roots.add(certificate.clone()).map_err(|_| content(path, "unusable authority certificate"))?;
    }
    Ok(roots)
}

fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, MaterialError> {
    let text = read(path)?;
    let chain = CertificateDer::pem_slice_iter(&text)
        .collect::<Result<Vec<_>, _>>()
        .map_err(|error| content(path, pem_problem(&error, "certificate")))?;
    if chain.is_empty() {
        return Err(content(path, "holds no PEM certificate"));
    }
    if chain.len() > MAX_CERTIFICATES {
        return Err(content(path, format!("holds more than {MAX_CERTIFICATES} certificates")));
    }
    for (index, der) in chain.iter().enumerate() {
        let whole = X509Certificate::from_der(der).is_ok_and(|(rest, _)| rest.is_empty());
        if !whole {
            let problem = format!("truncated or malformed certificate (number {})", index + 1);
            return Err(content(path, problem));
        }
    }
    Ok(chain)
}

fn read(path: &Path) -> Result<Vec<u8>, MaterialError> {
    let unreadable = |source| MaterialError::Unreadable { path: path.to_owned(), source };
    let mut bytes = Vec::new();
    let file = fs::File::open(path).map_err(unreadable)?;
    file.take(MAX_FILE + 1).read_to_end(&mut bytes).map_err(unreadable)?;
    if bytes.len() as u64 > MAX_FILE {
        return Err(content(path, format!("larger than {MAX_FILE} bytes: not a TLS file")));
    }
    Ok(bytes)
}

pub(super) fn pem_problem(error: &pem::Error, what: &str) -> String {
    match error {
        pem::Error::MissingSectionEnd { .. } => {
            format!("truncated {what}: its PEM section does not end")
        }
        pem::Error::Base64Decode(_) => format!("truncated or malformed {what}: bad base64"),
        pem::Error::NoItemsFound => format!("holds no PEM {what}"),
        _ => format!("malformed PEM {what}"),
    }
}

pub(super) fn content(path: &Path, problem: impl ToString) -> MaterialError {
    MaterialError::Content { path: path.to_owned(), problem: problem.to_string() }
}
