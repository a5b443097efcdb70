use rcgen::{CertificateSigningRequestParams, PublicKey};
use rustls::pki_types::CertificateSigningRequestDer;
use rustls::pki_types::pem::PemObject;

use super::error::PkiError;

/// A signing request is at most this long, bytes; real ones have a few hundred.
const MAX_BYTES: usize = 16 * 1024;

/// The public key of a signing request in DER or PEM whose signature fits it. Subject and extensions are the
/// requester's wishes and not looked at.
pub(crate) fn public_key(request: &[u8]) -> Result<PublicKey, PkiError> {
    let bad = |reason: String| PkiError::BadRequest { reason };
    if request.len() > MAX_BYTES {
        return Err(bad(format!("longer than {MAX_BYTES} bytes")));
    }
    let der = if request.trim_ascii_start().starts_with(b"-----BEGIN") {
        CertificateSigningRequestDer::from_pem_slice(request).map_err(|error| bad(error.to_string()))?
    } else {
        CertificateSigningRequestDer::from(request.to_vec())
    };
    let parsed = CertificateSigningRequestParams::from_der(&der).map_err(|error| bad(error.to_string()))?;
    Ok(parsed.public_key)
}
