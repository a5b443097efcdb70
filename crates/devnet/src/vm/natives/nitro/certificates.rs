//! Whether a document was signed under AWS's root, or a simulated one where that was asked for.

use ring::signature::{ECDSA_P384_SHA384_FIXED, UnparsedPublicKey};
use sha2::{Digest, Sha256};
use x509_parser::prelude::{ASN1Time, FromDer, X509Certificate};
use x509_parser::public_key::PublicKey;

use super::document::Document;

/// SHA-256 of the certificate "aws.nitro-enclaves", Root-G1, as AWS publishes it.
const ROOT: [u8; 32] = [
    0x64, 0x1a, 0x03, 0x21, 0xa3, 0xe2, 0x44, 0xef, 0xe4, 0x56, 0x46, 0x31, 0x95, 0xd6, 0x06, 0x31, 0x7e,
    0xd7, 0xcd, 0xcc, 0x3c, 0x17, 0x56, 0xe0, 0x98, 0x93, 0xf3, 0xc6, 0x8f, 0x79, 0xbb, 0x5b,
];
/// Most certificates from the signer's to the root.
const MAX_CHAIN: usize = 10;

/// Checks the certificates at `now_s`, seconds since the Unix epoch, and the signature. `simulated` is the SHA-256 of a
/// root besides AWS's.
///
/// # Errors
///
/// What does not hold.
pub(super) fn verify(
    document: &Document,
    now_s: u64,
    simulated: Option<[u8; 32]>,
) -> Result<(), &'static str> {
    let root = document.issuers.first().ok_or("there is no issuer")?;
    let digest: [u8; 32] = Sha256::digest(root).into();
    if digest != ROOT && Some(digest) != simulated {
        return Err("the first issuer is not AWS's root");
    }
    if document.issuers.len() >= MAX_CHAIN {
        return Err("there are too many certificates");
    }
    let now = i64::try_from(now_s).ok().and_then(|now| ASN1Time::from_timestamp(now).ok());
    let now = now.ok_or("the time is out of range")?;
    let mut issuer = parse(root)?;
    for (depth, der) in document.issuers.iter().chain([&document.certificate]).enumerate() {
        let certificate = parse(der)?;
        if !certificate.validity().is_valid_at(now) {
            return Err("a certificate is not valid at this time");
        }
        if certificate.issuer() != issuer.subject() {
            return Err("a certificate has another issuer");
        }
        certificate
            .verify_signature(Some(issuer.public_key()))
            .map_err(|_| "the signature of a certificate is wrong")?;
        if depth < document.issuers.len() && !may_issue(&certificate) {
            return Err("a certificate may not issue others");
        }
        issuer = certificate;
    }
    let signer = issuer;
    let Ok(PublicKey::EC(point)) = signer.public_key().parsed() else {
        return Err("the signer's key is not on a curve");
    };
    UnparsedPublicKey::new(&ECDSA_P384_SHA384_FIXED, point.data())
        .verify(&document.signed, &document.signature)
        .map_err(|_| "the signature is wrong")
}

fn parse(der: &[u8]) -> Result<X509Certificate<'_>, &'static str> {
    match X509Certificate::from_der(der) {
        Ok(([], certificate)) => Ok(certificate),
        _ => Err("a certificate cannot be read"),
    }
}

fn may_issue(certificate: &X509Certificate<'_>) -> bool {
    let ca = certificate.basic_constraints().ok().flatten().is_some_and(|constraints| constraints.value.ca);
    let usage = certificate.key_usage().ok().flatten();
    ca && usage.is_none_or(|usage| usage.value.key_cert_sign())
}
