//! Nitro attestation documents: "Verifying the root of trust", AWS Nitro enclaves user guide; the layout is in the NSM API's
//! `docs/attestation_process.md`.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_bytes::ByteBuf;

use super::chain::{self, Links};
use super::cose::Signed;
use super::{Statement, Verifier};
use crate::public_key::PublicKey;
use crate::{Evidence, Refusal};

/// The payload of the COSE_Sign1; lengths are bounded by that of the evidence.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Document {
    #[serde(rename = "module_id")]
    _module_id: String,
    digest: String,
    timestamp: u64,
    pcrs: BTreeMap<u8, ByteBuf>,
    certificate: ByteBuf,
    cabundle: Vec<ByteBuf>,
    #[serde(rename = "public_key")]
    _public_key: Option<ByteBuf>,
    user_data: Option<ByteBuf>,
    nonce: Option<ByteBuf>,
}

impl Verifier<'_> {
    pub(super) fn nitro(&self, evidence: &Evidence) -> Result<Statement, Refusal> {
        let raw =
            evidence.part("document").ok_or_else(|| Refusal::malformed("part \"document\" is missing"))?;
        let signed = Signed::parse(raw, "Nitro document")?;
        let document: Document = crate::evidence::read_cbor(signed.payload()?)
            .map_err(|error| Refusal::malformed(format!("Nitro document: {error}")))?;
        if document.digest != "SHA384" || document.pcrs.values().any(|value| value.len() != 48) {
            return Err(Refusal::malformed("Nitro document: its registers are not SHA-384"));
        }
        let mut statement = document.statement();

        let leaf = chain::certificate(&document.certificate, "Nitro document's certificate")?;
        let key = PublicKey::from_parsed(leaf.public_key());
        statement.refusals.extend(signed.refusal(key.as_ref(), "its certificate"));
        let given = document.cabundle.iter().map(|der| &der[..]);
        let certificates: Vec<&[u8]> =
            given.chain(self.collateral.certificates.iter().map(Vec::as_slice)).collect();
        let crls: Vec<&[u8]> = self.collateral.crls.iter().map(Vec::as_slice).collect();
        let links = Links {
            certificates: &certificates,
            crls: &crls,
            anchors: &self.anchors.nitro,
            now: self.now_seconds(),
        };
        let chain = links.follow(&leaf, &document.certificate);
        statement.refusals.extend(chain.refusals);
        statement.signers = chain.signers;
        statement.revocation_unknown = chain.revocation_unknown;
        Ok(statement)
    }
}

impl Document {
    fn statement(&self) -> Statement {
        // In debug mode the hypervisor leaves the registers of image, kernel and application zero.
        let zero = |index: u8| self.pcrs.get(&index).is_none_or(|value| value.iter().all(|&byte| byte == 0));
        let bound = self.user_data.as_ref().or(self.nonce.as_ref());
        Statement {
            certified: true,
            debug: (0..=2).any(zero),
            measurements: self
                .pcrs
                .iter()
                .map(|(index, value)| (format!("pcr{index}"), value.to_vec()))
                .collect(),
            report_data: bound.map(|data| data.to_vec()).unwrap_or_default(),
            timestamp_ms: Some(self.timestamp),
            ..Statement::default()
        }
    }
}
