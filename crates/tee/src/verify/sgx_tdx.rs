//! SGX and TDX quotes by Intel's DCAP (ECDSA quotes, versions 3, 4 and 5). `dcap-qvl` follows signatures, certificates,
//! revocation lists, QE identity and TCB info; what the quote says, and whether that is good, is decided here.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use dcap_qvl::quote::{EnclaveReport, Quote, Report, TDReport10};
use dcap_qvl::verify::QuoteVerifier;
use dcap_qvl::{QuoteClaims, QuoteCollateralV3, QuotePolicy, intel};

use scale::Encode as _;

use super::chain::{Chain, Links, certificate, fingerprint};
use super::dcap_error;
use super::{Statement, Verifier, named};
use crate::claims::{Signer, Tcb};
use crate::{Evidence, PlatformKind, Refusal};

/// SHA-256 of Intel's SGX root certificate (DER), `https://certificates.trustedservices.intel.com/IntelSGXRootCA.der`.
const INTEL_ROOT: &str = "44a0196b2b99f889b8e149e95b807a350e7424964399e885a7cbb8ccfab674d3";
/// Certification data of this type is a PCK certificate chain.
const PEM_CHAIN: u16 = 5;

impl Verifier<'_> {
    pub(super) fn dcap(&self, evidence: &Evidence) -> Result<Statement, Refusal> {
        let raw = evidence.part("quote").ok_or_else(|| Refusal::malformed("part \"quote\" is missing"))?;
        let quote = parse(raw, evidence.platform())?;
        let mut statement = said_by(&quote);

        let collateral = evidence.part("collateral").or(self.collateral.dcap.as_deref());
        let Some(collateral) = collateral else {
            let what = "TCB info, QE identity and revocation lists of Intel for this platform".to_owned();
            statement.refusals.push(Refusal::CollateralMissing { what });
            return Ok(statement);
        };
        let chain = self.pck_chain(&quote);
        match self.appraise(raw, collateral) {
            Ok(claims) => {
                statement.tcb.status = Some(dcap_error::status(claims.tcb.status));
                statement.tcb.advisories.extend(claims.tcb.advisory_ids.iter().cloned());
                add_versions(&mut statement.tcb, &claims);
                let sha256 = qe_binding(&claims);
                statement
                    .signers
                    .push(Signer { name: "quoting enclave's attestation key".to_owned(), sha256 });
            }
            // The library names the error and not the certificate; the chain's own check does.
            Err(message) if dcap_error::is_about_a_chain(&message) && !chain.refusals.is_empty() => {}
            Err(message) => statement.refusals.push(dcap_error::refusal(&message)),
        }
        statement.refusals.extend(chain.refusals);
        statement.signers.extend(chain.signers);
        Ok(statement)
    }

    fn appraise(&self, raw: &[u8], collateral: &[u8]) -> Result<QuoteClaims, String> {
        let collateral: QuoteCollateralV3 = serde_json::from_slice(collateral)
            .map_err(|error| format!("collateral is not Intel's JSON: {error}"))?;
        let verifier = match &self.anchors.intel {
            Some(root) => QuoteVerifier::new(root.clone()),
            None => QuoteVerifier::new_prod(),
        };
        let now = self.now_ms / 1000;
        // Debug mode is refused by the policy's evaluation, beside whatever else is wrong.
        verifier
            .allow_debug(true)
            .verify_with_policy(raw, collateral, now, &QuotePolicy::claims_only(now))
            .map_err(|error| format!("{error:#}"))
    }

    /// The certificate chain in the quote: PCK certificate, Intel's CA, Intel's root, and nothing that is not checked.
    fn pck_chain(&self, quote: &Quote) -> Chain {
        let refused = |refusal| Chain { refusals: vec![refusal], ..Chain::default() };
        if quote.inner_cert_type() != PEM_CHAIN {
            let found = quote.inner_cert_type();
            return refused(Refusal::malformed(format!(
                "quote: its certification data is of type {found}; only a PCK certificate chain (5) is read"
            )));
        }
        let chain = intel::extract_cert_chain(quote).unwrap_or_default();
        if !is_pem_of(&chain, quote.inner_cert_data()) {
            return refused(Refusal::malformed(
                "quote: its certificates are not in the form in which Intel writes them",
            ));
        }
        let Some((leaf_der, issuers)) = chain.split_first() else {
            return refused(Refusal::malformed("quote: it holds no certificates"));
        };
        let leaf = match certificate(leaf_der, "the PCK certificate") {
            Ok(leaf) => leaf,
            Err(refusal) => return refused(refusal),
        };
        let root = match &self.anchors.intel {
            Some(root) => fingerprint(root),
            None => crate::anchors::fingerprint(INTEL_ROOT),
        };
        let certificates: Vec<&[u8]> = issuers.iter().map(Vec::as_slice).collect();
        let links =
            Links { certificates: &certificates, crls: &[], anchors: &[root], now: self.now_seconds() };
        // Revocation is looked up by the library, in Intel's lists.
        let mut followed = Chain { revocation_unknown: Vec::new(), ..links.follow(&leaf, leaf_der) };
        if followed.refusals.is_empty() && followed.signers.len() != chain.len() {
            followed
                .refusals
                .push(Refusal::malformed("quote: it holds certificates that are not part of its chain"));
        }
        followed
    }
}

/// Whether `data` is the PEM of `chain` as Intel writes it: lines of 64 characters, perhaps ended by zeros.
fn is_pem_of(chain: &[Vec<u8>], data: &[u8]) -> bool {
    let mut pem = String::new();
    for der in chain {
        pem.push_str("-----BEGIN CERTIFICATE-----\n");
        let text = STANDARD.encode(der);
        for line in text.as_bytes().chunks(64) {
            pem.extend(line.iter().copied().map(char::from));
            pem.push('\n');
        }
        pem.push_str("-----END CERTIFICATE-----\n");
    }
    let rest = data.strip_prefix(pem.as_bytes()).or_else(|| data.strip_prefix(pem.trim_end().as_bytes()));
    rest.is_some_and(|rest| rest.iter().all(|&byte| byte == 0))
}

/// The quote, when it fills `raw` and is of `platform`.
fn parse(raw: &[u8], platform: PlatformKind) -> Result<Quote, Refusal> {
    let quote = Quote::parse(raw).map_err(|error| Refusal::malformed(format!("quote: {error:#}")))?;
    let found = if quote.header.is_sgx() { PlatformKind::Sgx } else { PlatformKind::Tdx };
    if found != platform {
        return Err(Refusal::malformed(format!("the quote is of platform {found}")));
    }
    // The decoder skips what follows the quote or its certificates. A quote has one form; it may lie in a larger buffer.
    let padding = raw.strip_prefix(&quote.encode()[..]);
    if padding.is_none_or(|padding| padding.iter().any(|&byte| byte != 0)) {
        return Err(Refusal::malformed("quote: it is not in the one form that it is written in"));
    }
    Ok(quote)
}

fn said_by(quote: &Quote) -> Statement {
    let mut statement = Statement { certified: true, ..Statement::default() };
    match &quote.report {
        Report::SgxEnclave(report) => sgx(report, &mut statement),
        Report::TD10(report) => tdx(report, &mut statement),
        Report::TD15(report) => tdx(&report.base, &mut statement),
        Report::TD15Ex(report) => tdx(&report.base.base, &mut statement),
    }
    statement
}

/// Intel SDM volume 3D, REPORT and ATTRIBUTES.
fn sgx(report: &EnclaveReport, statement: &mut Statement) {
    const DEBUG: u8 = 1 << 1;
    statement.debug = report.attributes[0] & DEBUG != 0;
    statement.report_data = report.report_data.to_vec();
    statement.measurements = named([
        ("mrenclave", &report.mr_enclave[..]),
        ("mrsigner", &report.mr_signer),
        ("attributes", &report.attributes),
        ("isvprodid", &report.isv_prod_id.to_be_bytes()),
    ]);
    statement.tcb.versions.insert("isvsvn".to_owned(), report.isv_svn.into());
}

/// Intel TDX module ABI, TDREPORT_STRUCT and TD ATTRIBUTES.
fn tdx(report: &TDReport10, statement: &mut Statement) {
    // Bits 7:0 are the "TD under debug" group: any of them makes the TD untrusted.
    statement.debug = report.td_attributes[0] != 0;
    statement.report_data = report.report_data.to_vec();
    statement.measurements = named([
        ("mrtd", &report.mr_td[..]),
        ("rtmr0", &report.rt_mr0),
        ("rtmr1", &report.rt_mr1),
        ("rtmr2", &report.rt_mr2),
        ("rtmr3", &report.rt_mr3),
        ("mrseam", &report.mr_seam),
        ("mrconfigid", &report.mr_config_id),
        ("mrowner", &report.mr_owner),
        ("mrownerconfig", &report.mr_owner_config),
        ("tdattributes", &report.td_attributes),
        ("xfam", &report.xfam),
    ]);
    for (index, &svn) in report.tee_tcb_svn.iter().enumerate() {
        statement.tcb.versions.insert(format!("teetcbsvn{index:02}"), svn.into());
    }
}

/// The numbers of the certified platform (PCK certificate) and of Intel's evaluation.
fn add_versions(tcb: &mut Tcb, claims: &QuoteClaims) {
    let versions = &mut tcb.versions;
    versions.insert("tcb-evaluation-data-number".to_owned(), claims.tcb.eval_data_number.into());
    versions.insert("pcesvn".to_owned(), claims.platform.pck.pce_svn.into());
    for (index, &svn) in claims.platform.pck.cpu_svn.iter().enumerate() {
        versions.insert(format!("cpusvn{index:02}"), svn.into());
    }
}

/// The quoting enclave's report data starts with the SHA-256 of its attestation key and auth data.
fn qe_binding(claims: &QuoteClaims) -> [u8; 32] {
    let mut sha256 = [0; 32];
    sha256.copy_from_slice(&claims.qe.report.report_data[..32]);
    sha256
}
