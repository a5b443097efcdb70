//! SEV-SNP reports under a certificate authority like AMD's.

use rcgen::{
    BasicConstraints, CertificateParams, CertificateRevocationListParams, CustomExtension, DnType, IsCa,
    Issuer, KeyIdMethod, KeyPair, KeyUsagePurpose, PKCS_ECDSA_P384_SHA384, RevokedCertParams, SerialNumber,
    date_time_ymd,
};
use ring::digest;
use tee::PlatformKind;

use super::{Signer, case, evidence};
use crate::cases::Case;

pub(crate) const CHIP_ID: [u8; 64] = [0xc1; 64];
/// bootloader 3, tee 0, snp 8, microcode 115.
pub(crate) const TCB: [u8; 8] = [3, 0, 0, 0, 0, 0, 8, 115];
const VCEK_SERIAL: u64 = 77;

/// Everything that a scenario may want different.
pub(crate) struct Wanted {
    pub(crate) product: &'static str,
    pub(crate) version: u32,
    /// Family and model.
    pub(crate) cpuid: [u8; 2],
    pub(crate) certified_chip_id: Vec<u8>,
    pub(crate) certified_fmc: Option<u8>,
    pub(crate) reported_tcb: [u8; 8],
    pub(crate) policy: u64,
    pub(crate) migration_agent: [u8; 32],
    pub(crate) vlek: bool,
    pub(crate) intermediate: IsCa,
    pub(crate) intermediate_usage: KeyUsagePurpose,
    pub(crate) critical: bool,
}

impl Default for Wanted {
    fn default() -> Self {
        Self {
            product: "Milan-B0",
            version: 2,
            cpuid: [0, 0],
            certified_chip_id: CHIP_ID.to_vec(),
            certified_fmc: None,
            reported_tcb: TCB,
            policy: 0x3_0000,
            migration_agent: [0xff; 32],
            vlek: false,
            intermediate: IsCa::Ca(BasicConstraints::Constrained(0)),
            intermediate_usage: KeyUsagePurpose::KeyCertSign,
            critical: false,
        }
    }
}

pub(crate) struct Issued {
    pub(crate) case: Case,
    pub(crate) vcek: Vec<u8>,
    ask_params: CertificateParams,
    ask_key: KeyPair,
    ark_params: CertificateParams,
    ark_key: KeyPair,
}

pub(crate) fn issue(name: &'static str, wanted: &Wanted) -> Issued {
    let authority = |name: &str, is_ca: IsCa, usage: KeyUsagePurpose| {
        let mut params = params(name);
        params.is_ca = is_ca;
        params.key_usages = vec![usage];
        params
    };
    let mut ask_params = authority("SEV-Test", wanted.intermediate, wanted.intermediate_usage);
    if wanted.critical {
        let mut unknown = CustomExtension::from_oid_content(&[1, 2, 3, 4], vec![5, 0]);
        unknown.set_criticality(true);
        ask_params.custom_extensions.push(unknown);
    }
    let ark_params =
        authority("ARK-Test", IsCa::Ca(BasicConstraints::Unconstrained), KeyUsagePurpose::KeyCertSign);
    let key = || KeyPair::generate_for(&PKCS_ECDSA_P384_SHA384).unwrap();
    let (ark_key, ask_key, signer) = (key(), key(), Signer::p384());

    let ark = ark_params.self_signed(&ark_key).unwrap().der().to_vec();
    let ask =
        ask_params.signed_by(&ask_key, &Issuer::from_params(&ark_params, &ark_key)).unwrap().der().to_vec();
    let mut vcek_params = params("SEV-VCEK");
    vcek_params.serial_number = Some(SerialNumber::from(VCEK_SERIAL));
    vcek_params.custom_extensions = extensions(wanted);
    let ask_issuer = Issuer::from_params(&ask_params, &ask_key);
    let vcek = vcek_params.signed_by(&signer.1, &ask_issuer).unwrap().der().to_vec();

    let mut case =
        case(name, "report", evidence(PlatformKind::SevSnp, [("report", report(wanted, &signer))]));
    case.anchors.amd = vec![digest::digest(&digest::SHA256, &ark).as_ref().try_into().unwrap()];
    case.collateral.certificates = vec![ark, ask, vcek.clone()];
    Issued { case, vcek, ask_params, ask_key, ark_params, ark_key }
}

impl Issued {
    /// Revocation lists of both authorities until the end of `until`; the VCEK is on its list when `revoked`.
    pub(crate) fn crls(&self, until: i32, revoked: bool) -> Vec<Vec<u8>> {
        let list = |serials: Vec<u64>, params: &CertificateParams, key: &KeyPair| {
            let revoked = serials.into_iter().map(|serial| RevokedCertParams {
                serial_number: SerialNumber::from(serial),
                revocation_time: date_time_ymd(2023, 1, 1),
                reason_code: None,
                invalidity_date: None,
            });
            let list = CertificateRevocationListParams {
                this_update: date_time_ymd(2022, 1, 1),
                next_update: date_time_ymd(until, 12, 31),
                crl_number: SerialNumber::from(1),
                issuing_distribution_point: None,
                revoked_certs: revoked.collect(),
                key_identifier_method: KeyIdMethod::Sha256,
            };
            list.signed_by(&Issuer::from_params(params, key)).unwrap().der().to_vec()
        };
        let serials = if revoked { vec![VCEK_SERIAL] } else { vec![] };
        let mut ask_params = self.ask_params.clone();
        let mut ark_params = self.ark_params.clone();
        for params in [&mut ask_params, &mut ark_params] {
            params.key_usages.push(KeyUsagePurpose::CrlSign);
        }
        vec![list(serials, &ask_params, &self.ask_key), list(vec![], &ark_params, &self.ark_key)]
    }

    pub(crate) fn ask(&self) -> &[u8] {
        &self.case.collateral.certificates[1]
    }
}

fn params(name: &str) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name.push(DnType::CommonName, name);
    params.not_before = date_time_ymd(2020, 1, 1);
    params.not_after = date_time_ymd(2040, 1, 1);
    params
}

/// As AMD writes them: versions are DER INTEGERs, the product an IA5String, the hardware id bare.
fn extensions(wanted: &Wanted) -> Vec<CustomExtension> {
    const AMD: [u64; 8] = [1, 3, 6, 1, 4, 1, 3704, 1];
    let extension = |arcs: &[u64], content: Vec<u8>| {
        CustomExtension::from_oid_content(&[&AMD[..], arcs].concat(), content)
    };
    let integer = |value: u8| if value < 0x80 { vec![2, 1, value] } else { vec![2, 2, 0, value] };
    let at = if wanted.certified_fmc.is_some() { [1, 2, 3, 7] } else { [0, 1, 6, 7] };
    let mut extensions = vec![
        extension(&[2], [&[0x16, wanted.product.len() as u8], wanted.product.as_bytes()].concat()),
        extension(&[3, 1], integer(TCB[at[0]])),
        extension(&[3, 2], integer(TCB[at[1]])),
        extension(&[3, 3], integer(TCB[at[2]])),
        extension(&[3, 8], integer(TCB[at[3]])),
    ];
    if let Some(fmc) = wanted.certified_fmc {
        extensions.push(extension(&[3, 9], integer(fmc)));
    }
    if !wanted.vlek {
        extensions.push(extension(&[4], wanted.certified_chip_id.clone()));
    }
    extensions
}

fn report(wanted: &Wanted, signer: &Signer) -> Vec<u8> {
    let mut report = vec![0; 0x4a0];
    let mut put = |at: usize, bytes: &[u8]| report[at..at + bytes.len()].copy_from_slice(bytes);
    put(0x00, &wanted.version.to_le_bytes());
    put(0x08, &wanted.policy.to_le_bytes());
    put(0x34, &1u32.to_le_bytes());
    put(0x48, &(u32::from(wanted.vlek) << 2).to_le_bytes());
    put(0x50, &[0x5d; 64]);
    put(0x90, &[0xaa; 48]);
    put(0x160, &wanted.migration_agent);
    put(0x180, &wanted.reported_tcb);
    put(0x188, &wanted.cpuid);
    put(0x1a0, &CHIP_ID);
    let signature = signer.sign(&report[..0x2a0]);
    for (component, at) in signature.chunks_exact(48).zip([0x2a0, 0x2a0 + 72]) {
        let little_endian: Vec<u8> = component.iter().rev().copied().collect();
        report[at..at + 48].copy_from_slice(&little_endian);
    }
    report
}
