use ciborium::Value;
use ring::digest;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use time::OffsetDateTime;
use x509_parser::prelude::{FromDer, X509Certificate};

use super::RaTlsError;
use crate::evidence::read_cbor;
use crate::{EVIDENCE_MEDIA_TYPE, Evidence, MAX_EVIDENCE_BYTES, Platform};

/// id-pe-cmw.
pub const CMW_OID: [u64; 9] = [1, 3, 6, 1, 5, 5, 7, 1, 35];

/// Certificates with evidence are valid from this long before it was made, seconds: for plain clients whose clock is behind.
/// It is part of the format: who verifies takes the time of the evidence from the start of the validity.
pub const CERTIFICATE_LEAD_SECONDS: u64 = 300;

/// Report data of TLS keys is never mistaken for any other.
const DOMAIN: &[u8] = b"k3s-daas/ra-tls/v1\0";
/// The most evidence that a certificate carries: a TLS stack takes 64 KiB of certificates (rustls' limit of a handshake
/// message), and the chain and its names need some.
const MAX_CARRIED_BYTES: usize = 48 << 10;
/// What a TPM's evidence can do without: it names what the registers hold, and is large on some machines.
const EVENT_LOG: &str = "eventlog";
const OCTET_STRING: u8 = 0x04;

/// A key and the certificate with the evidence for it.
pub struct Attested {
    /// The certificate, signed by its own key.
    pub certificate: CertificateDer<'static>,
    /// The key; it never leaves the program.
    pub key: PrivateKeyDer<'static>,
}

/// Makes a fresh P-256 key for `names` and a certificate with evidence for it, made at `now_ms` (milliseconds since the
/// Unix epoch, cut to seconds) and valid for `lifetime_ms`.
///
/// # Errors
/// When a name is none, or the platform does not attest.
pub fn issue_attested(
    platform: &dyn Platform,
    names: &[String],
    now_ms: u64,
    lifetime_ms: u64,
) -> Result<Attested, RaTlsError> {
    let key = rcgen::KeyPair::generate().map_err(RaTlsError::Issue)?;
    let mut params = rcgen::CertificateParams::new(names.to_vec()).map_err(RaTlsError::Issue)?;
    params.distinguished_name = rcgen::DistinguishedName::new();
    let made = now_ms / 1_000;
    params.not_before = at(made.saturating_sub(CERTIFICATE_LEAD_SECONDS));
    params.not_after = at(made.saturating_add(lifetime_ms / 1_000));
    let spki = rcgen::PublicKeyData::subject_public_key_info(&key);
    params.custom_extensions = vec![attested_extension(platform, &spki, now_ms)?];
    let certificate = params.self_signed(&key).map_err(RaTlsError::Issue)?;
    let key = PrivatePkcs8KeyDer::from(key.serialize_der()).into();
    Ok(Attested { certificate: certificate.der().clone(), key })
}

/// The extension for a certificate of the key `spki` (SubjectPublicKeyInfo, DER) that is made at `now_ms`, for whoever signs
/// certificates otherwise. The certificate has to be valid from [`CERTIFICATE_LEAD_SECONDS`] before.
///
/// # Errors
/// When the platform does not attest, or gives more evidence than a certificate carries (48 KiB; a TPM's event log is left
/// out for that).
pub fn attested_extension(
    platform: &dyn Platform,
    spki: &[u8],
    now_ms: u64,
) -> Result<rcgen::CustomExtension, RaTlsError> {
    let report_data = report_data(spki, now_ms / 1_000);
    let mut evidence = platform.attest(&report_data, now_ms).map_err(RaTlsError::Attest)?;
    let mut encoded = evidence.encode();
    if encoded.len() > MAX_CARRIED_BYTES {
        evidence.remove_part(EVENT_LOG);
        encoded = evidence.encode();
    }
    if encoded.len() > MAX_CARRIED_BYTES {
        return Err(RaTlsError::TooLarge { bytes: encoded.len(), at_most: MAX_CARRIED_BYTES });
    }
    let wrapped = Value::Array(vec![EVIDENCE_MEDIA_TYPE.into(), encoded.into()]);
    let mut cbor = Vec::new();
    ciborium::into_writer(&wrapped, &mut cbor).expect("writing to memory does not fail");
    Ok(rcgen::CustomExtension::from_oid_content(&CMW_OID, octet_string(&cbor)))
}

/// The evidence that a certificate carries; whether it is genuine and for this certificate is not looked at.
///
/// # Errors
/// That the certificate cannot be read or carries none.
pub fn certificate_evidence(certificate: &CertificateDer<'_>) -> Result<Evidence, RaTlsError> {
    carried(certificate).map(|carried| carried.evidence)
}

/// What a certificate says of its key.
pub(super) struct Carried {
    pub(super) evidence: Evidence,
    pub(super) report_data: [u8; 64],
    /// When the evidence was made, seconds since the Unix epoch.
    pub(super) made: i64,
    /// When the certificate ends.
    pub(super) not_after: i64,
}

/// Reads the evidence out of a certificate.
pub(super) fn carried(certificate: &CertificateDer<'_>) -> Result<Carried, RaTlsError> {
    let (rest, parsed) = X509Certificate::from_der(certificate).map_err(|_| RaTlsError::Certificate)?;
    if !rest.is_empty() {
        return Err(RaTlsError::Certificate);
    }
    let mut found = parsed
        .extensions()
        .iter()
        .filter(|extension| extension.oid.iter().is_some_and(|numbers| numbers.eq(CMW_OID)));
    let (Some(extension), None) = (found.next(), found.next()) else {
        return Err(RaTlsError::NoEvidence);
    };
    let cbor = from_octet_string(extension.value).ok_or(RaTlsError::Wrapper("no DER octet string"))?;
    let (media_type, evidence): (String, serde_bytes::ByteBuf) =
        read_cbor(cbor).map_err(|_| RaTlsError::Wrapper("not [media type, bytes] in CBOR"))?;
    if media_type != EVIDENCE_MEDIA_TYPE {
        return Err(RaTlsError::Wrapper("its media type is not known here"));
    }
    let validity = parsed.validity();
    let made = validity.not_before.timestamp().saturating_add(CERTIFICATE_LEAD_SECONDS as i64);
    let seconds = u64::try_from(made).map_err(|_| RaTlsError::Validity("it begins before 1970"))?;
    Ok(Carried {
        evidence: Evidence::decode(&evidence).map_err(RaTlsError::Evidence)?,
        report_data: report_data(parsed.public_key().raw, seconds),
        made,
        not_after: validity.not_after.timestamp(),
    })
}

fn report_data(spki: &[u8], made_seconds: u64) -> [u8; 64] {
    let mut context = digest::Context::new(&digest::SHA512);
    context.update(DOMAIN);
    context.update(&made_seconds.to_be_bytes());
    context.update(spki);
    let mut bytes = [0; 64];
    bytes.copy_from_slice(context.finish().as_ref());
    bytes
}

/// DER, with the shortest length.
fn octet_string(content: &[u8]) -> Vec<u8> {
    let length = content.len().to_be_bytes();
    let significant = &length[length.iter().take_while(|byte| **byte == 0).count()..];
    let mut der = vec![OCTET_STRING];
    match content.len() {
        0..0x80 => der.push(content.len() as u8),
        _ => {
            der.push(0x80 | significant.len() as u8);
            der.extend_from_slice(significant);
        }
    }
    der.extend_from_slice(content);
    der
}

fn from_octet_string(der: &[u8]) -> Option<&[u8]> {
    let (tag, rest) = der.split_first()?;
    let (first, rest) = rest.split_first()?;
    let (length, content) = if *first < 0x80 {
        (usize::from(*first), rest)
    } else {
        let (bytes, content) = rest.split_at_checked(usize::from(first & 0x7f).min(5))?;
        (bytes.iter().fold(0, |length, byte| length << 8 | usize::from(*byte)), content)
    };
    let whole = *tag == OCTET_STRING && length == content.len() && length <= MAX_EVIDENCE_BYTES + 128;
    // Only what we would write: no other spelling of the length passes.
    (whole && octet_string(content) == der).then_some(content)
}

fn at(seconds: u64) -> OffsetDateTime {
    i64::try_from(seconds)
        .ok()
        .and_then(|seconds| OffsetDateTime::from_unix_timestamp(seconds).ok())
        .unwrap_or(OffsetDateTime::UNIX_EPOCH)
}
