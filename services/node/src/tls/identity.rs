//! The name in a certificate.

use convenio_model::{Identity, IdentityError};
use rustls_pki_types::CertificateDer;
use x509_parser::extensions::GeneralName;
use x509_parser::prelude::{FromDer, X509Certificate};

/// Reads the identity of a certificate, given in DER. Verifies nothing: the chain is the verifier's
/// matter.
///
/// # Errors
/// [`IdentityError`] if the certificate does not name exactly one well-formed identity.
pub fn from_certificate(certificate: &CertificateDer<'_>) -> Result<Identity, IdentityError> {
    let (rest, certificate) = X509Certificate::from_der(certificate).map_err(|_| IdentityError::Malformed)?;
    if !rest.is_empty() {
        return Err(IdentityError::Malformed);
    }
    let names =
        certificate.subject_alternative_name().map_err(|_| IdentityError::Malformed)?.ok_or(IdentityError::NoUri)?;
    let mut uris = names.value.general_names.iter().filter_map(|name| match name {
        GeneralName::URI(uri) => Some(*uri),
        _ => None,
    });
    let uri = uris.next().ok_or(IdentityError::NoUri)?;
    if uris.next().is_some() {
        return Err(IdentityError::SeveralUris);
    }
    uri.parse()
}
