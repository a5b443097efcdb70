//! TPM 2.0 quotes: "TPM 2.0 Library", part 2, TPMS_ATTEST with TPMS_QUOTE_INFO; what the registers stand for: the TCG event log.

use std::collections::BTreeMap;

use ring::digest::{self, Algorithm};
use serde_bytes::ByteBuf;
use tpm2_protocol::TpmUnmarshal;
use tpm2_protocol::data::{TpmAlgId, TpmsAttest, TpmsQuoteInfo, TpmtSignature, TpmuAttest, TpmuSignature};

use super::chain::{self, Links, fingerprint};
use super::event_log::EventLog;
use super::tpm_key::{is_restricted, tpm_public_key};
use super::{Statement, Verifier};
use crate::claims::Signer;
use crate::public_key::{PublicKey, Scheme};
use crate::{Evidence, Refusal};

/// Register values by bank (`sha256` …) and index.
type Registers = BTreeMap<String, BTreeMap<u8, ByteBuf>>;

impl Verifier<'_> {
    pub(super) fn tpm(&self, evidence: &Evidence) -> Result<Statement, Refusal> {
        let part = |name: &str| {
            evidence.part(name).ok_or_else(|| Refusal::malformed(format!("part {name:?} is missing")))
        };
        let raw = part("quote")?;
        let attest: TpmsAttest = read(raw, "TPMS_ATTEST")?;
        let TpmuAttest::Quote(quote) = &attest.attested else {
            return Err(Refusal::malformed("TPMS_ATTEST: it is no quote"));
        };
        let signature: TpmtSignature = read(part("signature")?, "TPMT_SIGNATURE")?;
        let (scheme, hash, signature) = scheme(&signature)?;
        let registers: Registers = crate::evidence::read_cbor(part("pcrs")?)
            .map_err(|error| Refusal::malformed(format!("part \"pcrs\": {error}")))?;

        let mut statement = Statement { report_data: attest.extra_data.to_vec(), ..Statement::default() };
        statement.tcb.versions.insert("firmware".to_owned(), attest.firmware_version.value());
        quoted_registers(quote, &registers, hash, &mut statement)?;
        if let Some(log) = evidence.part("eventlog") {
            statement.refusals.extend(EventLog::parse(log)?.refusals(&registers));
        }
        let key = self.attestation_key(evidence, &mut statement)?;
        if key.is_none_or(|key| !key.verify(scheme, raw, &signature)) {
            statement.refusals.push(Refusal::bad_signature("the TPM quote, by its attestation key"));
        }
        Ok(statement)
    }

    /// The key that the evidence names, when it is pinned or certified; else the statement says why not.
    fn attestation_key(
        &self,
        evidence: &Evidence,
        statement: &mut Statement,
    ) -> Result<Option<PublicKey>, Refusal> {
        let public = evidence.part("ak-public");
        let key = match public {
            Some(area) => Some(tpm_public_key(area).ok_or_else(|| {
                Refusal::malformed("part \"ak-public\" is no TPMT_PUBLIC of an RSA, P-256 or P-384 key")
            })?),
            None => None,
        };
        if public.is_some_and(|area| !is_restricted(area)) {
            let what =
                "the attestation key may sign what is not made in the TPM (it is not restricted)".to_owned();
            statement.refusals.push(Refusal::Configuration { what });
        }
        if let Some(der) = evidence.part("ak-cert") {
            let certificate = chain::certificate(der, "part \"ak-cert\"")?;
            let certified = PublicKey::from_parsed(certificate.public_key());
            if key.is_some() && key != certified {
                let what = "certificate and public area are of different attestation keys".to_owned();
                statement.refusals.push(Refusal::Binding { what });
            }
            let pool: Vec<&[u8]> =
                self.collateral.certificates.iter().chain(&self.anchors.roots).map(Vec::as_slice).collect();
            let crls: Vec<&[u8]> = self.collateral.crls.iter().map(Vec::as_slice).collect();
            let anchors: Vec<[u8; 32]> = self.anchors.roots.iter().map(|der| fingerprint(der)).collect();
            let links =
                Links { certificates: &pool, crls: &crls, anchors: &anchors, now: self.now_seconds() };
            let chain = links.follow(&certificate, der);
            statement.certified = true;
            statement.refusals.extend(chain.refusals);
            statement.signers = chain.signers;
            statement.revocation_unknown = chain.revocation_unknown;
            return Ok(certified);
        }
        let Some(key) = key else {
            return Err(Refusal::malformed("parts \"ak-public\" and \"ak-cert\" are both missing"));
        };
        let pinned = self.anchors.keys.iter().any(|trusted| {
            trusted.key == key && trusted.tpm_public.as_deref().is_none_or(|area| Some(area) == public)
        });
        if !pinned {
            let key = format!("TPM attestation {} {}", key.kind(), hex::encode(key.sha256()));
            statement.refusals.push(Refusal::UnknownKey { key });
        }
        let name = format!("{} TPM attestation {}", if pinned { "pinned" } else { "unknown" }, key.kind());
        statement.signers.push(Signer { name, sha256: key.sha256() });
        Ok(Some(key))
    }
}

/// Reads one structure that fills `bytes`.
pub(super) fn read<T: TpmUnmarshal>(bytes: &[u8], what: &str) -> Result<T, Refusal> {
    match T::unmarshal(bytes) {
        Ok((value, [])) => Ok(value),
        Ok(_) => Err(Refusal::malformed(format!("{what}: there are bytes after its end"))),
        Err(error) => Err(Refusal::malformed(format!("{what}: {error}"))),
    }
}

/// How the quote was signed, with which hash, and the signature as `ring` reads it.
fn scheme(signature: &TpmtSignature) -> Result<(Scheme, &'static Algorithm, Vec<u8>), Refusal> {
    let unknown = || Refusal::malformed("TPMT_SIGNATURE: its scheme is not known here");
    Ok(match &signature.signature {
        TpmuSignature::Ecdsa(ecdsa) => {
            let (scheme, hash, length) = match ecdsa.hash {
                TpmAlgId::Sha256 => (Scheme::EcdsaSha256, &digest::SHA256, 32),
                TpmAlgId::Sha384 => (Scheme::EcdsaSha384, &digest::SHA384, 48),
                _ => return Err(unknown()),
            };
            let point = PublicKey::from_coordinates(&ecdsa.signature_r, &ecdsa.signature_s, length);
            let Some(PublicKey::P256(bytes) | PublicKey::P384(bytes)) = point else { return Err(unknown()) };
            (scheme, hash, bytes[1..].to_vec())
        }
        TpmuSignature::Rsassa(rsa) => match rsa.hash {
            TpmAlgId::Sha256 => (Scheme::RsaPkcs1Sha256, &digest::SHA256, rsa.sig.to_vec()),
            TpmAlgId::Sha384 => (Scheme::RsaPkcs1Sha384, &digest::SHA384, rsa.sig.to_vec()),
            TpmAlgId::Sha512 => (Scheme::RsaPkcs1Sha512, &digest::SHA512, rsa.sig.to_vec()),
            _ => return Err(unknown()),
        },
        TpmuSignature::Rsapss(rsa) => match rsa.hash {
            TpmAlgId::Sha256 => (Scheme::RsaPssSha256, &digest::SHA256, rsa.sig.to_vec()),
            TpmAlgId::Sha384 => (Scheme::RsaPssSha384, &digest::SHA384, rsa.sig.to_vec()),
            TpmAlgId::Sha512 => (Scheme::RsaPssSha512, &digest::SHA512, rsa.sig.to_vec()),
            _ => return Err(unknown()),
        },
        _ => return Err(unknown()),
    })
}

/// The quoted registers by name, when their values fit the quoted digest; part 1, section "Attestation, quote".
fn quoted_registers(
    quote: &TpmsQuoteInfo,
    registers: &Registers,
    hash: &'static Algorithm,
    statement: &mut Statement,
) -> Result<(), Refusal> {
    let mut context = digest::Context::new(hash);
    let mut selected = 0;
    for selection in quote.pcr_select.iter() {
        let bank = bank_name(selection.hash)?;
        for index in 0..24u8 {
            let chosen = selection
                .pcr_select
                .get(usize::from(index / 8))
                .is_some_and(|byte| byte & (1 << (index % 8)) != 0);
            if !chosen {
                continue;
            }
            let value = registers.get(bank).and_then(|bank| bank.get(&index)).ok_or_else(|| {
                Refusal::malformed(format!("part \"pcrs\" lacks {bank} register {index}, which was quoted"))
            })?;
            context.update(value);
            selected += 1;
            statement.measurements.insert(register_name(bank, index), value.to_vec());
        }
    }
    if selected != registers.values().map(BTreeMap::len).sum::<usize>() {
        return Err(Refusal::malformed("part \"pcrs\" holds registers that were not quoted"));
    }
    if context.finish().as_ref() != &quote.pcr_digest[..] {
        let what = "the register values are not those of the quoted digest".to_owned();
        statement.refusals.push(Refusal::Binding { what });
    }
    Ok(())
}

fn bank_name(hash: TpmAlgId) -> Result<&'static str, Refusal> {
    match hash {
        TpmAlgId::Sha1 => Ok("sha1"),
        TpmAlgId::Sha256 => Ok("sha256"),
        TpmAlgId::Sha384 => Ok("sha384"),
        TpmAlgId::Sha512 => Ok("sha512"),
        other => Err(Refusal::malformed(format!("register bank {other:?} is not known here"))),
    }
}

/// `pcr7` in the SHA-256 bank, `sha384-pcr7` in another.
pub(super) fn register_name(bank: &str, index: u8) -> String {
    if bank == "sha256" { format!("pcr{index}") } else { format!("{bank}-pcr{index}") }
}
