//! What has to be fetched from platforms' makers to verify a piece of evidence, and what the answers amount to. Pure: whoever
//! has a network does the fetching.

use dcap_qvl::QuoteCollateralV3;
use dcap_qvl::config::PckCa;
use dcap_qvl::intel;
use dcap_qvl::quote::Quote;
use serde::Deserialize;
use serde_json::value::RawValue;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;
use x509_parser::certificate::X509Certificate;
use x509_parser::prelude::FromDer;
use x509_parser::revocation_list::CertificateRevocationList;

use crate::verify::{Product, Report};
use crate::{Collateral, Evidence, PlatformKind, TeeError};

/// Intel's provisioning certification service, "PCS v4".
pub const INTEL_PCS: &str = "https://api.trustedservices.intel.com";
/// AMD's key distribution service.
pub const AMD_KDS: &str = "https://kdsintf.amd.com";
/// Intel keeps the root's revocation list apart; a caching service has it under its own address.
const INTEL_ROOT_CRL: &str = "https://certificates.trustedservices.intel.com/IntelSGXRootCA.der";

/// Who publishes a document.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Maker {
    /// By [`INTEL_PCS`] or a caching service (PCCS) with the same paths.
    Intel,
    /// By [`AMD_KDS`] or a caching service with the same paths.
    Amd,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    TcbInfo,
    QeIdentity,
    PckCrl,
    RootCrl,
    Certificate,
    Certificates,
    Crl,
}

/// One document to fetch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CollateralRequest {
    maker: Maker,
    kind: Kind,
    /// Path and query; the first that exists is the one.
    paths: Vec<String>,
}

/// What came for a [`CollateralRequest`].
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CollateralResponse {
    /// The body.
    pub body: Vec<u8>,
    /// The value of the header that [`CollateralRequest::issuer_chain_headers`] names.
    pub issuer_chain: Option<String>,
}

impl CollateralRequest {
    /// Who publishes it.
    pub fn maker(&self) -> Maker {
        self.maker
    }

    /// Its addresses at the service `base`: the first that is found is the one.
    pub fn urls(&self, base: &str) -> Vec<String> {
        let base = base.trim_end_matches('/');
        if self.kind == Kind::RootCrl && base == INTEL_PCS {
            return vec![INTEL_ROOT_CRL.to_owned()];
        }
        self.paths.iter().map(|path| format!("{base}{path}")).collect()
    }

    /// The response header with the certificates of the document's signer, by its names over time.
    pub fn issuer_chain_headers(&self) -> &'static [&'static str] {
        match self.kind {
            Kind::TcbInfo => &["TCB-Info-Issuer-Chain", "SGX-TCB-Info-Issuer-Chain"],
            Kind::QeIdentity => &["SGX-Enclave-Identity-Issuer-Chain"],
            Kind::PckCrl => &["SGX-PCK-CRL-Issuer-Chain"],
            Kind::RootCrl | Kind::Certificate | Kind::Certificates | Kind::Crl => &[],
        }
    }

    /// Until when a response may be kept, Unix seconds; none when it does not say, so that it is not kept.
    pub fn valid_until(&self, response: &CollateralResponse) -> Option<i64> {
        match self.kind {
            Kind::TcbInfo | Kind::QeIdentity => {
                let signed = signed_document(&response.body).ok()?;
                let NextUpdate { next_update } = serde_json::from_str(&signed.document).ok()?;
                OffsetDateTime::parse(&next_update, &Rfc3339).ok().map(OffsetDateTime::unix_timestamp)
            }
            Kind::PckCrl | Kind::RootCrl | Kind::Crl => {
                let der = der_or_hex(&response.body);
                let (_, crl) = CertificateRevocationList::from_der(&der).ok()?;
                crl.next_update().map(|time| time.timestamp())
            }
            Kind::Certificate => {
                let (_, certificate) = X509Certificate::from_der(&response.body).ok()?;
                Some(certificate.validity().not_after.timestamp())
            }
            Kind::Certificates => {
                let pems = x509_parser::pem::Pem::iter_from_buffer(&response.body);
                pems.map(|pem| Some(pem.ok()?.parse_x509().ok()?.validity().not_after.timestamp()))
                    .min()
                    .flatten()
            }
        }
    }
}

/// The documents that it takes to verify `evidence`; none for platforms that need nothing from outside.
///
/// # Errors
///
/// [`TeeError::Evidence`] when the evidence does not say which platform it is from.
pub fn collateral_requests(evidence: &Evidence) -> Result<Vec<CollateralRequest>, TeeError> {
    let part =
        |name| evidence.part(name).ok_or_else(|| TeeError::Evidence(format!("part {name:?} is missing")));
    match evidence.platform() {
        PlatformKind::Sgx => intel_requests(part("quote")?, "sgx"),
        PlatformKind::Tdx => intel_requests(part("quote")?, "tdx"),
        PlatformKind::SevSnp => {
            let report =
                Report::parse(part("report")?).map_err(|refusal| TeeError::Evidence(refusal.to_string()))?;
            let has_certificates = evidence.part("vcek").is_some() || evidence.part("certs").is_some();
            Ok(amd_requests(&report, has_certificates))
        }
        _ => Ok(Vec::new()),
    }
}

fn intel_requests(quote: &[u8], tee: &str) -> Result<Vec<CollateralRequest>, TeeError> {
    let refuse = |error: &dyn std::fmt::Display| TeeError::Evidence(format!("quote: {error:#}"));
    let quote = Quote::parse(quote).map_err(|error| refuse(&error))?;
    let fmspc = hex::encode_upper(intel::quote_fmspc(&quote).map_err(|error| refuse(&error))?);
    let ca = match intel::quote_ca(&quote).map_err(|error| refuse(&error))? {
        PckCa::Platform => "platform",
        PckCa::Processor => "processor",
    };
    let request = |kind, path: String| CollateralRequest { maker: Maker::Intel, kind, paths: vec![path] };
    Ok(vec![
        request(Kind::TcbInfo, format!("/{tee}/certification/v4/tcb?fmspc={fmspc}")),
        request(Kind::QeIdentity, format!("/{tee}/certification/v4/qe/identity")),
        request(Kind::PckCrl, format!("/sgx/certification/v4/pckcrl?ca={ca}&encoding=der")),
        request(Kind::RootCrl, "/sgx/certification/v4/rootcacrl".to_owned()),
    ])
}

/// AMD 57230, chapter 4. Reports before version 3 do not name the product; Turin's are newer than that.
fn amd_requests(report: &Report, has_certificates: bool) -> Vec<CollateralRequest> {
    let products = match report.cpuid().and_then(|(family, model)| Product::of_cpuid(family, model)) {
        Some(product) => vec![product],
        None => vec![Product::Milan, Product::Genoa],
    };
    let request = |kind, path: &dyn Fn(Product) -> String| CollateralRequest {
        maker: Maker::Amd,
        kind,
        paths: products.iter().map(|product| path(*product)).collect(),
    };
    let key = if report.signed_by_vlek() { "vlek" } else { "vcek" };
    let mut requests = vec![request(Kind::Crl, &|product| format!("/{key}/v1/{}/crl", product.as_str()))];
    if report.signed_by_vlek() {
        // The VLEK itself comes from the provider that owns the machine.
        requests.push(request(Kind::Certificates, &|product| {
            format!("/vlek/v1/{}/cert_chain", product.as_str())
        }));
    } else if !has_certificates {
        requests.push(request(Kind::Certificate, &|product| vcek_path(report, product)));
    }
    requests
}

fn vcek_path(report: &Report, product: Product) -> String {
    let chip_id = hex::encode(&report.chip_id()[..product.hardware_id_bytes()]);
    let versions = product.tcb(&report.reported_tcb());
    let query: Vec<String> = [
        ("fmc", "fmcSPL"),
        ("bootloader", "blSPL"),
        ("tee", "teeSPL"),
        ("snp", "snpSPL"),
        ("microcode", "ucodeSPL"),
    ]
    .iter()
    .filter_map(|(component, name)| Some(format!("{name}={:02}", versions.get(*component)?)))
    .collect();
    format!("/vcek/v1/{}/{chip_id}?{}", product.as_str(), query.join("&"))
}

/// What the answers to [`collateral_requests`] amount to.
///
/// # Errors
///
/// [`TeeError::Collateral`] when an answer cannot be read.
pub fn assemble_collateral(
    answers: &[(CollateralRequest, CollateralResponse)],
) -> Result<Collateral, TeeError> {
    let refuse = |why: &str| TeeError::Collateral(why.to_owned());
    let mut collateral = Collateral::default();
    for (request, response) in answers {
        match request.kind {
            Kind::Certificate => collateral.certificates.push(response.body.clone()),
            Kind::Certificates => {
                for pem in x509_parser::pem::Pem::iter_from_buffer(&response.body) {
                    let pem = pem.map_err(|error| refuse(&format!("certificates are no PEM: {error}")))?;
                    collateral.certificates.push(pem.contents);
                }
            }
            Kind::Crl => collateral.crls.push(response.body.clone()),
            Kind::TcbInfo | Kind::QeIdentity | Kind::PckCrl | Kind::RootCrl => {}
        }
    }
    if answers.iter().any(|(request, _)| request.maker == Maker::Intel) {
        collateral.dcap = Some(assemble_intel(answers)?);
    }
    Ok(collateral)
}

fn assemble_intel(answers: &[(CollateralRequest, CollateralResponse)]) -> Result<Vec<u8>, TeeError> {
    let refuse = |why: String| TeeError::Collateral(why);
    let answer = |kind: Kind| {
        let found = answers.iter().find(|(request, _)| request.kind == kind);
        found.map(|(_, response)| response).ok_or_else(|| refuse(format!("Intel's {kind:?} is missing")))
    };
    let chain =
        |response: &CollateralResponse| percent_decoded(response.issuer_chain.as_deref().unwrap_or_default());
    let (tcb, qe, pck_crl, root_crl) =
        (answer(Kind::TcbInfo)?, answer(Kind::QeIdentity)?, answer(Kind::PckCrl)?, answer(Kind::RootCrl)?);
    let (tcb_info, qe_identity) =
        (signed_document(&tcb.body).map_err(refuse)?, signed_document(&qe.body).map_err(refuse)?);
    let collateral = QuoteCollateralV3 {
        pck_crl_issuer_chain: chain(pck_crl),
        root_ca_crl: der_or_hex(&root_crl.body),
        pck_crl: der_or_hex(&pck_crl.body),
        tcb_info_issuer_chain: chain(tcb),
        tcb_info: tcb_info.document,
        tcb_info_signature: tcb_info.signature,
        qe_identity_issuer_chain: chain(qe),
        qe_identity: qe_identity.document,
        qe_identity_signature: qe_identity.signature,
        pck_certificate_chain: None,
    };
    serde_json::to_vec(&collateral).map_err(|error| refuse(error.to_string()))
}

/// The bytes that Intel signed, as they are, and the signature.
struct SignedDocument {
    document: String,
    signature: Vec<u8>,
}

fn signed_document(body: &[u8]) -> Result<SignedDocument, String> {
    #[derive(Deserialize)]
    struct Body<'a> {
        #[serde(borrow, alias = "tcbInfo", alias = "enclaveIdentity")]
        document: &'a RawValue,
        signature: String,
    }
    let body: Body = serde_json::from_slice(body).map_err(|error| format!("Intel's document: {error}"))?;
    let signature = hex::decode(&body.signature).map_err(|error| format!("Intel's signature: {error}"))?;
    Ok(SignedDocument { document: body.document.get().to_owned(), signature })
}

#[derive(Deserialize)]
struct NextUpdate {
    #[serde(rename = "nextUpdate")]
    next_update: String,
}

/// Caching services send lists in hexadecimal.
fn der_or_hex(body: &[u8]) -> Vec<u8> {
    hex::decode(body.trim_ascii()).unwrap_or_else(|_| body.to_vec())
}

/// Headers cannot hold line breaks, so Intel writes the PEM percent-encoded (RFC 3986).
fn percent_decoded(text: &str) -> String {
    let mut decoded = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&byte, after)) = rest.split_first() {
        let escaped =
            (byte == b'%').then(|| after.get(..2).and_then(|digits| hex::decode(digits).ok())).flatten();
        match escaped {
            Some(value) => {
                decoded.extend(value);
                rest = &after[2..];
            }
            None => {
                decoded.push(byte);
                rest = after;
            }
        }
    }
    String::from_utf8_lossy(&decoded).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percent_encoding_is_undone() {
        assert_eq!(percent_decoded("-----BEGIN%20X-----%0Aab%2B/"), "-----BEGIN X-----\nab+/");
        assert_eq!(percent_decoded("100%"), "100%");
        assert_eq!(percent_decoded("%zz%4"), "%zz%4");
    }

    #[test]
    fn intels_root_list_has_an_address_of_its_own() {
        let paths = vec!["/sgx/certification/v4/rootcacrl".to_owned()];
        let request = CollateralRequest { maker: Maker::Intel, kind: Kind::RootCrl, paths };
        assert_eq!(request.urls(INTEL_PCS), [INTEL_ROOT_CRL]);
        assert_eq!(request.urls("http://cache:8081/"), ["http://cache:8081/sgx/certification/v4/rootcacrl"]);
    }

    #[test]
    fn answers_that_cannot_be_read_are_named() {
        let request = |kind| CollateralRequest { maker: Maker::Intel, kind, paths: vec![] };
        let refused = |answers: &[(CollateralRequest, CollateralResponse)]| {
            assemble_collateral(answers).unwrap_err().to_string()
        };
        let empty = CollateralResponse::default;
        assert!(refused(&[(request(Kind::TcbInfo), empty())]).contains("QeIdentity is missing"));
        let all = [Kind::TcbInfo, Kind::QeIdentity, Kind::PckCrl, Kind::RootCrl]
            .map(|kind| (request(kind), empty()));
        assert!(refused(&all).contains("Intel's document"));
        assert_eq!(request(Kind::TcbInfo).valid_until(&empty()), None);
        assert_eq!(request(Kind::Crl).valid_until(&empty()), None);
        assert_eq!(request(Kind::Certificate).valid_until(&empty()), None);
        assert_eq!(request(Kind::Certificates).valid_until(&empty()), None);
    }
}
