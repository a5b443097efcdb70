//! X.509 chains (RFC 5280, the parts that attestation PKIs use) from a signing key to a trust anchor.

use ring::digest;
use x509_parser::certificate::X509Certificate;
use x509_parser::extensions::ParsedExtension;
use x509_parser::prelude::FromDer;
use x509_parser::revocation_list::CertificateRevocationList;

use crate::Refusal;
use crate::claims::Signer;

/// More links than any platform's chain has.
const MAX_DEPTH: usize = 8;
/// More certificates than any platform hands out.
const MAX_CERTIFICATES: usize = 64;
/// The largest certificate or revocation list: 1 MiB.
const MAX_DER_BYTES: usize = 1 << 20;

/// A chain as far as it could be followed.
#[derive(Default)]
pub(super) struct Chain {
    /// What is wrong with it.
    pub(super) refusals: Vec<Refusal>,
    /// Its certificates, the signing key's first.
    pub(super) signers: Vec<Signer>,
    /// Subjects that no current revocation list covers.
    pub(super) revocation_unknown: Vec<String>,
}

/// What a chain is followed with.
pub(super) struct Links<'a> {
    /// Certificates between leaf and anchor, DER, in any order.
    pub(super) certificates: &'a [&'a [u8]],
    /// Revocation lists, DER.
    pub(super) crls: &'a [&'a [u8]],
    /// SHA-256 of the certificates that are trusted.
    pub(super) anchors: &'a [[u8; 32]],
    /// The verifier's clock, Unix seconds.
    pub(super) now: i64,
}

/// Reads one certificate that fills `der`.
pub(super) fn certificate<'a>(der: &'a [u8], whose: &str) -> Result<X509Certificate<'a>, Refusal> {
    match X509Certificate::from_der(der) {
        Ok((rest, certificate)) if rest.is_empty() && der.len() <= MAX_DER_BYTES => Ok(certificate),
        Ok(_) => Err(Refusal::malformed(format!("{whose} has bytes after its end"))),
        Err(error) => Err(Refusal::malformed(format!("{whose}: {error}"))),
    }
}

/// SHA-256 of some DER.
pub(super) fn fingerprint(der: &[u8]) -> [u8; 32] {
    let mut sha256 = [0; 32];
    sha256.copy_from_slice(digest::digest(&digest::SHA256, der).as_ref());
    sha256
}

impl Links<'_> {
    /// Follows `leaf` (with its DER) to an anchor. Every certificate on the way is checked, also after a failure.
    pub(super) fn follow(&self, leaf: &X509Certificate, leaf_der: &[u8]) -> Chain {
        let mut chain = Chain::default();
        let pool: Vec<(X509Certificate, &[u8])> = self
            .certificates
            .iter()
            .take(MAX_CERTIFICATES)
            .filter_map(|der| Some((certificate(der, "").ok()?, *der)))
            .collect();
        let crls: Vec<CertificateRevocationList> = self
            .crls
            .iter()
            .take(MAX_CERTIFICATES)
            .filter(|der| der.len() <= MAX_DER_BYTES)
            .filter_map(|der| Some(CertificateRevocationList::from_der(der).ok()?.1))
            .collect();

        let (mut current, mut der) = (leaf, leaf_der);
        for depth in 0..MAX_DEPTH {
            let sha256 = fingerprint(der);
            let anchored = self.anchors.contains(&sha256);
            chain.signers.push(Signer { name: current.subject().to_string(), sha256 });
            chain.refusals.extend(self.validity(current));
            if depth > 0 {
                chain.refusals.extend(issuer_fitness(current, depth));
            }
            if anchored {
                return chain;
            }
            if current.subject() == current.issuer() {
                chain.refusals.push(Refusal::UntrustedRoot { root: current.subject().to_string() });
                return chain;
            }
            let mut named = pool.iter().filter(|(issuer, _)| issuer.subject() == current.issuer()).peekable();
            if named.peek().is_none() {
                chain.refusals.push(Refusal::ChainCut { issuer: current.issuer().to_string() });
                return chain;
            }
            let Some((issuer, issuer_der)) = named.find(|(issuer, _)| signed_by(current, issuer)) else {
                let what = format!("the certificate of {:?}, by its issuer", current.subject().to_string());
                chain.refusals.push(Refusal::BadSignature { what });
                return chain;
            };
            self.revocation(current, issuer, &crls, &mut chain);
            (current, der) = (issuer, issuer_der);
        }
        chain.refusals.push(Refusal::ChainCut { issuer: current.issuer().to_string() });
        chain
    }

    fn validity(&self, certificate: &X509Certificate) -> Option<Refusal> {
        let what = || format!("certificate of {:?}", certificate.subject().to_string());
        let (not_before, not_after) =
            (certificate.validity().not_before.timestamp(), certificate.validity().not_after.timestamp());
        if self.now > not_after {
            Some(Refusal::Expired { what: what(), not_after })
        } else if self.now < not_before {
            Some(Refusal::NotYetValid { what: what(), not_before })
        } else {
            None
        }
    }

    fn revocation(
        &self,
        certificate: &X509Certificate,
        issuer: &X509Certificate,
        crls: &[CertificateRevocationList],
        chain: &mut Chain,
    ) {
        let subject = certificate.subject().to_string();
        // A list counts when the issuer signed it; one of another key with the same name is not looked at.
        let Some(crl) = crls.iter().find(|crl| {
            crl.issuer() == issuer.subject() && crl.verify_signature(issuer.public_key()).is_ok()
        }) else {
            chain.revocation_unknown.push(subject);
            return;
        };
        if crl.iter_revoked_certificates().any(|entry| entry.raw_serial() == certificate.raw_serial()) {
            chain.refusals.push(Refusal::Revoked { what: format!("certificate of {subject:?}") });
        }
        let next_update = crl.next_update().map_or(i64::MIN, |time| time.timestamp());
        if self.now < crl.last_update().timestamp() || self.now > next_update {
            chain.revocation_unknown.push(subject);
        }
    }
}

fn signed_by(certificate: &X509Certificate, issuer: &X509Certificate) -> bool {
    certificate.signature_algorithm == certificate.tbs_certificate.signature
        && certificate.verify_signature(Some(issuer.public_key())).is_ok()
}

/// Whether a certificate may issue another `depth` links above the leaf.
fn issuer_fitness(certificate: &X509Certificate, depth: usize) -> Vec<Refusal> {
    let refuse =
        |why: &str| Refusal::Certificate { subject: certificate.subject().to_string(), why: why.to_owned() };
    let mut refusals = Vec::new();
    match certificate.basic_constraints() {
        Ok(Some(constraints)) if constraints.value.ca => {
            let longest = constraints.value.path_len_constraint.map_or(usize::MAX, |length| length as usize);
            if depth - 1 > longest {
                refusals.push(refuse("more certificates follow it than it allows"));
            }
        }
        _ => refusals.push(refuse("it is no certificate authority")),
    }
    if matches!(certificate.key_usage(), Ok(Some(usage)) if !usage.value.key_cert_sign()) {
        refusals.push(refuse("its key may not sign certificates"));
    }
    let unknown = certificate.extensions().iter().any(|extension| {
        extension.critical
            && !matches!(
                extension.parsed_extension(),
                ParsedExtension::BasicConstraints(_) | ParsedExtension::KeyUsage(_)
            )
    });
    if unknown {
        refusals.push(refuse("it has a critical extension that is not known here"));
    }
    refusals
}
