//! Certificate revocation lists (RFC 5280 §5), checked whole when they are read: a list that cannot be used would otherwise
//! show only in handshakes, by refusing everybody.

use std::path::Path;

use rustls::crypto::CryptoProvider;
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, CertificateRevocationListDer, UnixTime};
use x509_parser::prelude::{CertificateRevocationList, FromDer, X509Certificate};

use super::material::{MaterialError, content, pem_problem};

/// Most lists in one file: one of each authority, while one is being replaced.
const MAX_LISTS: usize = 16;

/// The lists of one trust domain.
#[derive(Clone, Debug)]
pub(super) struct RevocationLists {
    pub der: Vec<CertificateRevocationListDer<'static>>,
    /// When the first of them runs out, Unix seconds.
    pub next_update: u64,
}

/// Reads a PEM file of lists: each signed by one of `authorities` and in force, and one for each of them.
pub(super) fn load(
    path: &Path,
    text: &[u8],
    authorities: &[CertificateDer<'static>],
    provider: &CryptoProvider,
) -> Result<RevocationLists, MaterialError> {
    let der = CertificateRevocationListDer::pem_slice_iter(text)
        .collect::<Result<Vec<_>, _>>()
        .map_err(|error| content(path, pem_problem(&error, "revocation list")))?;
    if der.is_empty() {
        return Err(content(path, "holds no PEM revocation list (X509 CRL)"));
    }
    if der.len() > MAX_LISTS {
        return Err(content(path, format!("holds more than {MAX_LISTS} revocation lists")));
    }
    let mut listed = vec![false; authorities.len()];
    let mut next_update = u64::MAX;
    for (index, list) in der.iter().enumerate() {
        let number = index + 1;
        let refused = |problem: &str| content(path, format!("revocation list {number}: {problem}"));
        let (rest, parsed) =
            CertificateRevocationList::from_der(list).map_err(|_| refused("truncated or malformed"))?;
        if !rest.is_empty() {
            return Err(refused("truncated or malformed"));
        }
        next_update = next_update.min(in_force(&parsed).map_err(refused)?);
        let issuer = authorities.iter().position(|authority| issued(&parsed, authority, provider));
        listed[issuer.ok_or_else(|| refused("is signed by none of the domain's authorities"))?] = true;
    }
    if let Some(missing) = listed.iter().position(|listed| !listed) {
        return Err(content(path, format!("has no list of authority {} of the domain's file", missing + 1)));
    }
    Ok(RevocationLists { der, next_update })
}

/// The end of a list that is in force, Unix seconds; by the machine's clock, as in each handshake.
fn in_force(list: &CertificateRevocationList<'_>) -> Result<u64, &'static str> {
    let now = i64::try_from(UnixTime::now().as_secs()).unwrap_or(i64::MAX);
    if list.last_update().timestamp() > now {
        return Err("is not in force yet");
    }
    let end = list.next_update().ok_or("does not say when the next one comes")?.timestamp();
    if end <= now { Err("has run out") } else { Ok(u64::try_from(end).unwrap_or(0)) }
}

fn issued(list: &CertificateRevocationList<'_>, authority: &CertificateDer<'_>, provider: &CryptoProvider) -> bool {
    let Ok((_, authority)) = X509Certificate::from_der(authority) else { return false };
    if authority.subject().as_raw() != list.issuer().as_raw() {
        return false;
    }
    let key = authority.public_key().subject_public_key.data.as_ref();
    let (message, signature) = (list.tbs_cert_list.as_ref(), list.signature_value.data.as_ref());
    let algorithms = provider.signature_verification_algorithms.all;
    algorithms.iter().any(|algorithm| algorithm.verify_signature(key, message, signature).is_ok())
}
