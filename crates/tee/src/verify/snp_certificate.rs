//! What AMD's certificates of report-signing keys say: AMD 57230, table 8 (VCEK) and table 10 (VLEK).

use std::collections::BTreeMap;

use x509_parser::certificate::X509Certificate;
use x509_parser::der_parser::{Oid, asn1_rs::oid};

use super::snp::Report;
use crate::Refusal;

const PRODUCT_NAME: Oid<'static> = oid!(1.3.6.1.4.1.3704.1.2);
const BOOTLOADER: Oid<'static> = oid!(1.3.6.1.4.1.3704.1.3.1);
const TEE: Oid<'static> = oid!(1.3.6.1.4.1.3704.1.3.2);
const SNP: Oid<'static> = oid!(1.3.6.1.4.1.3704.1.3.3);
const MICROCODE: Oid<'static> = oid!(1.3.6.1.4.1.3704.1.3.8);
const FMC: Oid<'static> = oid!(1.3.6.1.4.1.3704.1.3.9);
const HARDWARE_ID: Oid<'static> = oid!(1.3.6.1.4.1.3704.1.4);

/// A processor generation: each has its own root and its own layout of versions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Product {
    Milan,
    Genoa,
    Turin,
}

impl Product {
    /// AMD's name of it in addresses of the key server.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Milan => "Milan",
            Self::Genoa => "Genoa",
            Self::Turin => "Turin",
        }
    }

    /// By family and model (CPUID Fn0000_0001, extended parts included).
    pub(crate) fn of_cpuid(family: u8, model: u8) -> Option<Self> {
        match (family, model) {
            (0x19, 0x00..=0x0f) => Some(Self::Milan),
            (0x19, 0x10..=0x1f | 0xa0..=0xaf) => Some(Self::Genoa),
            (0x1a, 0x00..=0x11) => Some(Self::Turin),
            _ => None,
        }
    }

    /// Root and VCEK intermediate.
    pub(super) fn issuers(self) -> [&'static [u8]; 2] {
        match self {
            Self::Milan => [
                include_bytes!("../../roots/amd-ark-milan.der"),
                include_bytes!("../../roots/amd-ask-milan.der"),
            ],
            Self::Genoa => [
                include_bytes!("../../roots/amd-ark-genoa.der"),
                include_bytes!("../../roots/amd-ask-genoa.der"),
            ],
            Self::Turin => [
                include_bytes!("../../roots/amd-ark-turin.der"),
                include_bytes!("../../roots/amd-ask-turin.der"),
            ],
        }
    }

    /// TCB_VERSION by component: AMD 56860, tables 3 and 4.
    pub(crate) fn tcb(self, version: &[u8; 8]) -> BTreeMap<String, u64> {
        let components: &[(&str, usize)] = match self {
            Self::Milan | Self::Genoa => &[("bootloader", 0), ("tee", 1), ("snp", 6), ("microcode", 7)],
            Self::Turin => &[("fmc", 0), ("bootloader", 1), ("tee", 2), ("snp", 3), ("microcode", 7)],
        };
        components.iter().map(|&(name, at)| (name.to_owned(), version[at].into())).collect()
    }

    /// How long the hardware id in the certificate is.
    pub(crate) fn hardware_id_bytes(self) -> usize {
        if self == Self::Turin { 8 } else { 64 }
    }
}

/// Only certificates of report-signing keys name a bootloader version.
pub(super) fn is_endorsement(certificate: &X509Certificate) -> bool {
    extension(certificate, &BOOTLOADER).is_some()
}

/// The product that the certificate is for: an IA5String such as `Milan-B0`.
pub(super) fn product(certificate: &X509Certificate) -> Option<Product> {
    let value = extension(certificate, &PRODUCT_NAME)?;
    let name = value.get(2..)?;
    [Product::Milan, Product::Genoa, Product::Turin]
        .into_iter()
        .find(|product| name.starts_with(product.as_str().as_bytes()))
}

/// Where the certificate is for another chip or firmware version than the report is of.
pub(super) fn mismatches(report: &Report, certificate: &X509Certificate, product: Product) -> Vec<Refusal> {
    let mut refusals = Vec::new();
    let mut compare = |field: &str, certified: String, reported: String| {
        if certified != reported {
            let (certificate, evidence) = (certified, reported);
            refusals.push(Refusal::Endorsement { field: field.to_owned(), certificate, evidence });
        }
    };
    if let Some(reported) = report.cpuid().map(|(family, model)| Product::of_cpuid(family, model)) {
        let reported = reported.map_or("unknown", Product::as_str);
        compare("product", product.as_str().to_owned(), reported.to_owned());
    }
    let versions = product.tcb(&report.reported_tcb());
    for (name, id) in
        [("bootloader", BOOTLOADER), ("tee", TEE), ("snp", SNP), ("microcode", MICROCODE), ("fmc", FMC)]
    {
        let text =
            |number: Option<u64>| number.map_or_else(|| "none".to_owned(), |number| number.to_string());
        let certified = extension(certificate, &id).and_then(small_integer);
        compare(name, text(certified), text(versions.get(name).copied()));
    }
    // A VLEK belongs to a provider and not to a chip; a masked chip id is all zeros and cannot be compared.
    let chip_id = &report.chip_id()[..product.hardware_id_bytes()];
    if !report.signed_by_vlek() && chip_id.iter().any(|&byte| byte != 0) {
        let certified = extension(certificate, &HARDWARE_ID).map_or_else(|| "none".to_owned(), hex::encode);
        compare("chip id", certified, hex::encode(chip_id));
    }
    refusals
}

/// The certificates of the table that a host hands its guests: "Guest-Hypervisor Communication Block
/// Standardization", AMD 56421, section 4.1.8.1: entries of GUID, offset and length, little-endian, ended by zeros.
pub(super) fn table(table: &[u8]) -> Result<Vec<&[u8]>, Refusal> {
    const ENTRY: usize = 24;
    const MAX_ENTRIES: usize = 16;
    let malformed = || Refusal::malformed("certificate table: an entry points outside of it");
    let mut certificates = Vec::new();
    for entry in table.chunks_exact(ENTRY).take(MAX_ENTRIES) {
        let (guid, place) = entry.split_at(16);
        if guid.iter().all(|&byte| byte == 0) {
            break;
        }
        let number =
            |at: usize| u32::from_le_bytes([place[at], place[at + 1], place[at + 2], place[at + 3]]) as usize;
        let end = number(0).checked_add(number(4)).ok_or_else(malformed)?;
        certificates.push(table.get(number(0)..end).ok_or_else(malformed)?);
    }
    Ok(certificates)
}

fn extension<'a>(certificate: &'a X509Certificate, id: &Oid) -> Option<&'a [u8]> {
    certificate.extensions().iter().find(|extension| extension.oid == *id).map(|extension| extension.value)
}

/// A DER INTEGER between 0 and 255.
fn small_integer(der: &[u8]) -> Option<u64> {
    match der {
        [2, 1, value] if *value < 0x80 => Some((*value).into()),
        [2, 2, 0, value] if *value >= 0x80 => Some((*value).into()),
        _ => None,
    }
}
