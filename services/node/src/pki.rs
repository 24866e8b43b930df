//! A certificate authority in memory: for development sets and tests. A ministry's real authority
//! is offline and none of this service's business, see `certs/README.md`.

use std::net::IpAddr;
use std::time::{Duration, SystemTime};

use rcgen::{
    BasicConstraints, CertificateParams, CertificateRevocationListParams, CertifiedIssuer, DnType,
    ExtendedKeyUsagePurpose, IsCa, Issuer, KeyIdMethod, KeyPair, KeyUsagePurpose, PKCS_ECDSA_P256_SHA256,
    RevokedCertParams, SanType, SerialNumber, date_time_ymd,
};
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject;
use x509_parser::prelude::{FromDer, X509Certificate};

/// Bytes of a serial number: RFC 5280 §4.1.2.2 allows 20, unpredictability asks for 8.
const SERIAL_BYTES: usize = 16;
/// The last second X.509 can write, 9999-12-31T23:59:59Z (RFC 5280 §4.1.2.5).
const LAST_SECOND: u64 = 253_402_300_799;

/// The authority of one trust domain, its P-256 key in memory.
pub struct Authority {
    issuer: CertifiedIssuer<'static, KeyPair>,
    trust_domain: String,
}

/// Makes the revocation list of the authority with this certificate and key (both PEM), in PEM: in force from `now` to
/// `next_update`; `number` is above that of every earlier list (RFC 5280 §5.2.3).
///
/// # Errors
/// [`PkiError`].
pub fn revocation_list(
    certificate: &str,
    key: &str,
    revoked: &[RevokedLeaf],
    number: u64,
    now: SystemTime,
    next_update: SystemTime,
) -> Result<String, PkiError> {
    let issuer = Issuer::from_ca_cert_pem(certificate, KeyPair::from_pem(key).map_err(crypto)?).map_err(crypto)?;
    signed_list(&issuer, revoked, number, now, next_update)
}

fn signed_list(
    issuer: &Issuer<'_, KeyPair>,
    revoked: &[RevokedLeaf],
    number: u64,
    now: SystemTime,
    next_update: SystemTime,
) -> Result<String, PkiError> {
    let epoch = date_time_ymd(1970, 1, 1);
    let (start, end) = (second(now)?, second(next_update)?);
    if end <= start {
        return Err(PkiError::Validity);
    }
    let revoked = revoked.iter().map(|leaf| {
        Ok(RevokedCertParams {
            serial_number: SerialNumber::from_slice(&leaf.serial),
            revocation_time: epoch + Duration::from_secs(second(leaf.since)?),
            reason_code: None,
            invalidity_date: None,
        })
    });
    let params = CertificateRevocationListParams {
        this_update: epoch + Duration::from_secs(start),
        next_update: epoch + Duration::from_secs(end),
        crl_number: SerialNumber::from(number),
        issuing_distribution_point: None,
        revoked_certs: revoked.collect::<Result<_, PkiError>>()?,
        key_identifier_method: KeyIdMethod::Sha256,
    };
    params.signed_by(issuer).and_then(|list| list.pem()).map_err(crypto)
}

/// What a certificate is to say. Nothing is checked against the trust domain: tests of bad
/// certificates are made with it too.
#[derive(Clone, Debug)]
pub struct CertRequest {
    /// The URI subject alternative name, a SPIFFE id.
    pub uri: String,
    /// DNS subject alternative names.
    pub dns: Vec<String>,
    /// IP subject alternative names.
    pub ip: Vec<IpAddr>,
    /// Start of validity; the fraction of a second is dropped.
    pub not_before: SystemTime,
    /// End of validity.
    pub not_after: SystemTime,
    /// What the certificate may be used for.
    pub usage: Usage,
}

/// Extended key usage.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Usage {
    /// A caller.
    Client,
    /// A server that never dials.
    Server,
    /// A node: accepts and dials.
    Both,
}

/// A certificate and its private key, in PEM.
pub struct Issued {
    /// The certificate.
    pub certificate: String,
    /// The private key, PKCS#8.
    pub key: String,
}

/// A certificate that is no longer to be believed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RevokedLeaf {
    /// Its serial number, big-endian.
    pub serial: Vec<u8>,
    /// Since when.
    pub since: SystemTime,
}

/// Serial number of a PEM certificate, big-endian.
///
/// # Errors
/// [`PkiError::Crypto`] if it is no certificate.
pub fn serial_of(certificate: &str) -> Result<Vec<u8>, PkiError> {
    let malformed = || PkiError::Crypto("not a PEM certificate".to_owned());
    let der = CertificateDer::from_pem_slice(certificate.as_bytes()).map_err(|_| malformed())?;
    let (_, parsed) = X509Certificate::from_der(&der).map_err(|_| malformed())?;
    Ok(parsed.raw_serial().to_vec())
}

/// Why no certificate was made.
#[derive(Debug, thiserror::Error)]
pub enum PkiError {
    /// A moment that X.509 cannot write, or an end that is not after the start.
    #[error("validity is empty or outside the years 1970 to 9999")]
    Validity,
    /// A name with characters that the certificate cannot carry.
    #[error("the name {0:?} cannot be written into a certificate")]
    Name(String),
    /// Key generation, randomness or signing failed.
    #[error("cannot make a certificate: {0}")]
    Crypto(String),
}

impl Authority {
    /// Makes a new authority with a new key, self-signed, that signs leaves only.
    ///
    /// # Errors
    /// [`PkiError`].
    pub fn create(trust_domain: &str, not_before: SystemTime, not_after: SystemTime) -> Result<Self, PkiError> {
        let mut params = params(&format!("{trust_domain} CA"), not_before, not_after)?;
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let issuer = CertifiedIssuer::self_signed(params, key()?).map_err(crypto)?;
        Ok(Self { issuer, trust_domain: trust_domain.to_owned() })
    }

    /// The trust domain it was created for.
    pub fn trust_domain(&self) -> &str {
        &self.trust_domain
    }

    /// The authority's certificate, PEM.
    pub fn certificate(&self) -> String {
        self.issuer.pem()
    }

    /// The authority's private key, PEM (PKCS#8).
    pub fn key(&self) -> String {
        self.issuer.key().serialize_pem()
    }

    /// Its revocation list, in PEM, as [`revocation_list`].
    ///
    /// # Errors
    /// [`PkiError`].
    pub fn revoke(
        &self,
        revoked: &[RevokedLeaf],
        number: u64,
        now: SystemTime,
        next_update: SystemTime,
    ) -> Result<String, PkiError> {
        signed_list(&self.issuer, revoked, number, now, next_update)
    }

    /// Issues a certificate with a new P-256 key and a random serial number.
    ///
    /// # Errors
    /// [`PkiError`].
    pub fn issue(&self, request: &CertRequest) -> Result<Issued, PkiError> {
        let mut params = params(&request.uri, request.not_before, request.not_after)?;
        params.is_ca = IsCa::ExplicitNoCa;
        params.use_authority_key_identifier_extension = true;
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = request.usage.purposes();
        params.subject_alt_names = request.alternative_names()?;
        let key = key()?;
        let certificate = params.signed_by(&key, &self.issuer).map_err(crypto)?;
        Ok(Issued { certificate: certificate.pem(), key: key.serialize_pem() })
    }
}

impl CertRequest {
    fn alternative_names(&self) -> Result<Vec<SanType>, PkiError> {
        let name = |text: &String| text.as_str().try_into().map_err(|_| PkiError::Name(text.clone()));
        let mut names = vec![SanType::URI(name(&self.uri)?)];
        for dns in &self.dns {
            names.push(SanType::DnsName(name(dns)?));
        }
        names.extend(self.ip.iter().copied().map(SanType::IpAddress));
        Ok(names)
    }
}

impl Usage {
    fn purposes(self) -> Vec<ExtendedKeyUsagePurpose> {
        use ExtendedKeyUsagePurpose::{ClientAuth, ServerAuth};
        match self {
            Self::Client => vec![ClientAuth],
            Self::Server => vec![ServerAuth],
            Self::Both => vec![ServerAuth, ClientAuth],
        }
    }
}

fn params(name: &str, not_before: SystemTime, not_after: SystemTime) -> Result<CertificateParams, PkiError> {
    let (start, end) = (second(not_before)?, second(not_after)?);
    if end <= start {
        return Err(PkiError::Validity);
    }
    let epoch = date_time_ymd(1970, 1, 1);
    let mut params = CertificateParams::default();
    params.not_before = epoch + Duration::from_secs(start);
    params.not_after = epoch + Duration::from_secs(end);
    params.serial_number = Some(serial()?);
    params.distinguished_name = rcgen::DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, name);
    Ok(params)
}

fn second(moment: SystemTime) -> Result<u64, PkiError> {
    let since = moment.duration_since(SystemTime::UNIX_EPOCH).map_err(|_| PkiError::Validity)?;
    if since.as_secs() > LAST_SECOND { Err(PkiError::Validity) } else { Ok(since.as_secs()) }
}

/// Keys and serial numbers come from the cryptographic library itself, never from the injected
/// entropy: a seeded test set would be a set of known private keys.
fn key() -> Result<KeyPair, PkiError> {
    KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).map_err(crypto)
}

fn serial() -> Result<SerialNumber, PkiError> {
    let mut bytes = [0; SERIAL_BYTES];
    rustls::crypto::aws_lc_rs::default_provider()
        .secure_random
        .fill(&mut bytes)
        .map_err(|_| PkiError::Crypto("no randomness".to_owned()))?;
    // Positive and of constant length in DER.
    bytes[0] = bytes[0] & 0x7f | 0x40;
    Ok(SerialNumber::from_slice(&bytes))
}

fn crypto(error: rcgen::Error) -> PkiError {
    PkiError::Crypto(error.to_string())
}
