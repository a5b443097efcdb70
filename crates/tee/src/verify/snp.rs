//! SEV-SNP attestation reports: "SEV Secure Nested Paging Firmware ABI", AMD 56860, section 7.3; the certificates of their
//! keys: "Versioned Chip Endorsement Key (VCEK) Certificate and KDS Interface", AMD 57230.

use x509_parser::certificate::X509Certificate;

use super::chain::{self, Links};
use super::snp_certificate::{self, Product};
use super::{Statement, Verifier, named};
use crate::public_key::{PublicKey, Scheme};
use crate::{Evidence, Refusal};

/// Every report version is this long.
pub(crate) const REPORT_BYTES: usize = 0x4a0;
/// The signature covers the bytes before it.
const SIGNATURE: usize = 0x2a0;
/// r and s are little-endian and padded to 72 bytes each.
const COMPONENT: usize = 72;
const P384_COMPONENT: usize = 48;
const ECDSA_P384_SHA384: u32 = 1;

/// A report's fields that a verifier looks at, by their offsets in table 23 of the ABI.
#[derive(Clone, Copy)]
pub(crate) struct Report<'a>(&'a [u8; REPORT_BYTES]);

impl<'a> Report<'a> {
    pub(crate) fn parse(bytes: &'a [u8]) -> Result<Self, Refusal> {
        let report = <&[u8; REPORT_BYTES]>::try_from(bytes).map(Report).map_err(|_| {
            Refusal::malformed(format!("an SNP report has {REPORT_BYTES} bytes, not {}", bytes.len()))
        })?;
        if !(2..=5).contains(&report.u32(0)) {
            return Err(Refusal::malformed(format!(
                "SNP report version {} is not known here",
                report.u32(0)
            )));
        }
        if report.u32(0x34) != ECDSA_P384_SHA384 {
            return Err(Refusal::malformed("SNP report: its signature is not ECDSA P-384 with SHA-384"));
        }
        Ok(report)
    }

    fn bytes<const N: usize>(&self, at: usize) -> [u8; N] {
        let mut field = [0; N];
        field.copy_from_slice(&self.0[at..at + N]);
        field
    }

    fn u32(&self, at: usize) -> u32 {
        u32::from_le_bytes(self.bytes(at))
    }

    pub(crate) fn chip_id(&self) -> [u8; 64] {
        self.bytes(0x1a0)
    }

    pub(crate) fn reported_tcb(&self) -> [u8; 8] {
        self.bytes(0x180)
    }

    /// Family and model of the processor, from version 3 on.
    pub(crate) fn cpuid(&self) -> Option<(u8, u8)> {
        (self.u32(0) >= 3).then(|| (self.0[0x188], self.0[0x189]))
    }

    /// Which key signed: 0 VCEK, 1 VLEK.
    fn signing_key(&self) -> u32 {
        (self.u32(0x48) >> 2) & 0b111
    }

    pub(crate) fn signed_by_vlek(&self) -> bool {
        self.signing_key() == 1
    }

    /// The guest policy's debug bit.
    fn debug(&self) -> bool {
        u64::from_le_bytes(self.bytes(0x08)) & 1 << 19 != 0
    }

    /// A migration agent can read the guest; its report id is all ones when there is none.
    fn has_migration_agent(&self) -> bool {
        self.bytes::<32>(0x160) != [0xff; 32] && self.bytes::<32>(0x160) != [0; 32]
    }

    /// r ‖ s, big-endian, when everything around them is zero as it has to be.
    fn signature(&self) -> Option<[u8; 2 * P384_COMPONENT]> {
        let mut signature = [0; 2 * P384_COMPONENT];
        let components = self.0[SIGNATURE..][..2 * COMPONENT].chunks_exact(COMPONENT);
        for (component, out) in components.zip(signature.chunks_exact_mut(P384_COMPONENT)) {
            let (number, padding) = component.split_at(P384_COMPONENT);
            if padding.iter().any(|&byte| byte != 0) {
                return None;
            }
            out.copy_from_slice(number);
            out.reverse();
        }
        self.0[SIGNATURE + 2 * COMPONENT..].iter().all(|&byte| byte == 0).then_some(signature)
    }

    fn statement(&self) -> Statement {
        let mut statement = Statement {
            certified: true,
            debug: self.debug(),
            report_data: self.bytes::<64>(0x50).to_vec(),
            measurements: named([
                ("measurement", &self.0[0x90..0xc0]),
                ("hostdata", &self.0[0xc0..0xe0]),
                ("idkeydigest", &self.0[0xe0..0x110]),
                ("authorkeydigest", &self.0[0x110..0x140]),
                ("familyid", &self.0[0x10..0x20]),
                ("imageid", &self.0[0x20..0x30]),
                ("policy", &self.bytes::<8>(0x08)),
                ("vmpl", &self.bytes::<4>(0x30)),
                ("platforminfo", &self.bytes::<8>(0x40)),
            ]),
            ..Statement::default()
        };
        statement.tcb.versions.insert("guestsvn".to_owned(), self.u32(0x04).into());
        if self.has_migration_agent() {
            let what = "a migration agent is bound to the guest and can read it".to_owned();
            statement.refusals.push(Refusal::Configuration { what });
        }
        statement
    }
}

impl Verifier<'_> {
    pub(super) fn snp(&self, evidence: &Evidence) -> Result<Statement, Refusal> {
        let raw = evidence.part("report").ok_or_else(|| Refusal::malformed("part \"report\" is missing"))?;
        let report = Report::parse(raw)?;
        let mut statement = report.statement();

        let mut given: Vec<&[u8]> = self.collateral.certificates.iter().map(Vec::as_slice).collect();
        given.extend(evidence.part("vcek"));
        if let Some(table) = evidence.part("certs") {
            given.extend(snp_certificate::table(table)?);
        }
        let kind = if report.signed_by_vlek() { "VLEK" } else { "VCEK" };
        let mut endorsed = given
            .iter()
            .filter_map(|der| Some((chain::certificate(der, kind).ok()?, *der)))
            .filter(|(certificate, _)| snp_certificate::is_endorsement(certificate));
        let Some((certificate, der)) = endorsed.next() else {
            let what =
                format!("the {kind} certificate of this chip and firmware version, from AMD's key server");
            statement.refusals.push(Refusal::CollateralMissing { what });
            return Ok(statement);
        };
        let Some(product) = snp_certificate::product(&certificate) else {
            let subject = certificate.subject().to_string();
            let why = format!("it is no {kind} of a product that is known here");
            statement.refusals.push(Refusal::Certificate { subject, why });
            return Ok(statement);
        };
        self.check_endorsement(&report, &certificate, der, product, &given, &mut statement);
        Ok(statement)
    }

    fn check_endorsement(
        &self,
        report: &Report,
        certificate: &X509Certificate,
        der: &[u8],
        product: Product,
        given: &[&[u8]],
        statement: &mut Statement,
    ) {
        let key = PublicKey::from_parsed(certificate.public_key());
        let signed = &report.0[..SIGNATURE];
        let valid = key
            .zip(report.signature())
            .is_some_and(|(key, signature)| key.verify(Scheme::EcdsaSha384, signed, &signature));
        if !valid {
            let signer = certificate.subject().to_string();
            statement.refusals.push(Refusal::bad_signature(format!("the SNP report, by {signer:?}")));
        }
        statement.refusals.extend(snp_certificate::mismatches(report, certificate, product));
        statement.tcb.versions.extend(product.tcb(&report.reported_tcb()));

        let certificates: Vec<&[u8]> = given.iter().copied().chain(product.issuers()).collect();
        let crls: Vec<&[u8]> = self.collateral.crls.iter().map(Vec::as_slice).collect();
        let links = Links {
            certificates: &certificates,
            crls: &crls,
            anchors: &self.anchors.amd,
            now: self.now_seconds(),
        };
        let chain = links.follow(certificate, der);
        statement.refusals.extend(chain.refusals);
        statement.signers = chain.signers;
        // AMD lists its intermediates and not the chips' keys, which its firmware versions replace.
        let subject = certificate.subject().to_string();
        statement.revocation_unknown = chain.revocation_unknown;
        statement.revocation_unknown.retain(|unknown| *unknown != subject);
    }
}
