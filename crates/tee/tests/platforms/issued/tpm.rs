//! TPM quotes with event logs, signed by a key that plays a TPM's.

use std::collections::BTreeMap;

use rcgen::{
    BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, KeyUsagePurpose, date_time_ymd,
};
use ring::digest;
use serde_bytes::ByteBuf;
use tee::{Evidence, PlatformKind};

use super::{Signer, case, evidence};
use crate::cases::Case;

const SHA256: u16 = 0x000b;

pub(crate) fn sha256(parts: &[&[u8]]) -> Vec<u8> {
    digest::digest(&digest::SHA256, &parts.concat()).as_ref().to_vec()
}

/// A machine whose firmware logged `events`: register and measured bytes.
pub(crate) struct Machine {
    pub(crate) ak: Signer,
    pub(crate) registers: BTreeMap<u8, Vec<u8>>,
    pub(crate) log: Vec<u8>,
    pub(crate) restricted: bool,
}

impl Machine {
    pub(crate) fn boot(events: &[(u8, &[u8])]) -> Self {
        let mut registers = BTreeMap::from([(0, vec![0; 32]), (7, vec![0; 32])]);
        let mut log = header();
        for (index, measured) in events {
            let value = sha256(&[measured]);
            let register = registers.entry(*index).or_insert_with(|| vec![0; 32]);
            *register = sha256(&[register, &value]);
            log.extend(event(*index, 0x8000_0001, &value, measured));
        }
        Self { ak: Signer::p256(), registers, log, restricted: true }
    }

    pub(crate) fn evidence(&self) -> Evidence {
        let quote = self.quote();
        let signature = self.ak.sign(&quote);
        let (r, s) = signature.split_at(32);
        // TPMT_SIGNATURE: ECDSA with SHA-256.
        let signature = [&[0x00, 0x18, 0x00, 0x0b][..], &sized(r), &sized(s)].concat();
        let bank: BTreeMap<u8, ByteBuf> =
            self.registers.iter().map(|(index, value)| (*index, ByteBuf::from(value.clone()))).collect();
        let mut pcrs = Vec::new();
        ciborium::into_writer(&BTreeMap::from([("sha256", bank)]), &mut pcrs).unwrap();
        evidence(
            PlatformKind::Tpm,
            [
                ("quote", quote),
                ("signature", signature),
                ("pcrs", pcrs),
                ("ak-public", self.public()),
                ("eventlog", self.log.clone()),
            ],
        )
    }

    pub(crate) fn case(&self, name: &'static str) -> Case {
        let mut case = case(name, "quote", self.evidence());
        case.anchors.keys = crate::cases::keys(&self.public());
        case
    }

    /// The same machine with a certificate of its key instead of a pinned key: certificate and root.
    pub(crate) fn certified(&self, name: &'static str) -> Case {
        let mut root = params("TPM maker");
        root.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        root.key_usages = vec![KeyUsagePurpose::KeyCertSign];
        let root_key = KeyPair::generate().unwrap();
        let certificate =
            params("attestation key").signed_by(&self.ak.1, &Issuer::from_params(&root, &root_key)).unwrap();
        let mut case = self.case(name);
        case.evidence = case.evidence.with_part("ak-cert", certificate.der().to_vec());
        case.anchors.keys.clear();
        case.anchors.roots = vec![root.self_signed(&root_key).unwrap().der().to_vec()];
        case
    }

    /// TPMS_ATTEST with TPMS_QUOTE_INFO over all registers of the SHA-256 bank that there are.
    fn quote(&self) -> Vec<u8> {
        let mut selected = [0u8; 3];
        for index in self.registers.keys() {
            selected[usize::from(index / 8)] |= 1 << (index % 8);
        }
        let values: Vec<&[u8]> = self.registers.values().map(Vec::as_slice).collect();
        [
            &0xff54_4347_u32.to_be_bytes()[..],
            &0x8018_u16.to_be_bytes(),
            &sized(&[0; 34]),
            &sized(&sha256(&[&[0x5d; 64]])),
            // Clock, reset count, restart count, safe, firmware version.
            &[0; 16],
            &[1],
            &7u64.to_be_bytes(),
            // One selection of three bytes.
            &1u32.to_be_bytes(),
            &SHA256.to_be_bytes(),
            &[3],
            &selected,
            &sized(&sha256(&values)),
        ]
        .concat()
    }

    /// TPMT_PUBLIC of a P-256 key, signing with ECDSA.
    fn public(&self) -> Vec<u8> {
        const FIXED_TPM: u32 = 1 << 1;
        const RESTRICTED: u32 = 1 << 16;
        const SIGN: u32 = 1 << 18;
        let attributes = FIXED_TPM | SIGN | if self.restricted { RESTRICTED } else { 0 };
        let point = self.ak.point();
        let (x, y) = point[1..].split_at(32);
        [
            // ECC, SHA-256.
            &[0x00, 0x23, 0x00, 0x0b][..],
            &attributes.to_be_bytes(),
            &sized(&[]),
            // No symmetric, ECDSA with SHA-256, P-256, no KDF.
            &[0x00, 0x10, 0x00, 0x18, 0x00, 0x0b, 0x00, 0x03, 0x00, 0x10],
            &sized(x),
            &sized(y),
        ]
        .concat()
    }
}

fn params(name: &str) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name.push(DnType::CommonName, name);
    params.not_before = date_time_ymd(2020, 1, 1);
    params.not_after = date_time_ymd(2040, 1, 1);
    params
}

fn sized(bytes: &[u8]) -> Vec<u8> {
    [&(bytes.len() as u16).to_be_bytes()[..], bytes].concat()
}

/// TCG_PCClientPCREvent with TCG_EfiSpecIDEvent: SHA-256 alone.
fn header() -> Vec<u8> {
    let event = [
        &b"Spec ID Event03\0"[..],
        &[0, 0, 0, 0, 0, 2, 0, 2],
        &1u32.to_le_bytes(),
        &SHA256.to_le_bytes(),
        &32u16.to_le_bytes(),
        &[0],
    ]
    .concat();
    [&0u32.to_le_bytes()[..], &3u32.to_le_bytes(), &[0; 20], &(event.len() as u32).to_le_bytes(), &event]
        .concat()
}

/// TCG_PCR_EVENT2.
pub(crate) fn event(index: u8, kind: u32, value: &[u8], data: &[u8]) -> Vec<u8> {
    [
        &u32::from(index).to_le_bytes()[..],
        &kind.to_le_bytes(),
        &1u32.to_le_bytes(),
        &SHA256.to_le_bytes(),
        value,
        &(data.len() as u32).to_le_bytes(),
        data,
    ]
    .concat()
}
