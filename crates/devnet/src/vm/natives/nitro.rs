//! `0x2::nitro_attestation`: documents of AWS Nitro enclaves.

mod certificates;
mod document;

use super::super::fault::{Fault, Step};
use super::super::machine::Machine;
use super::super::types::Type;
use super::super::value::{Value, bytes_cost};
use document::Document;

/// Abort codes of the module.
const PARSE_ERROR: u64 = 1;
const VERIFY_ERROR: u64 = 2;

/// What reading and verifying a document costs, in instructions.
const COST: usize = 50_000;
/// Internal units of gas by the byte, for the document, and by the issuer's certificate.
const GAS_PER_BYTE: u64 = 50;
const GAS_TO_VERIFY: u64 = 2_481_600;
const GAS_PER_ISSUER: u64 = 2_618_450;

/// `load_nitro_attestation_internal(attestation: &vector<u8>, now_ms: u64): NitroAttestationDocument`
pub(super) fn load(machine: &mut Machine<'_>, _: &[Type]) -> Step<()> {
    let now_ms = machine.pop_u64()?;
    let attestation = machine.pop_ref()?;
    let length = machine.bytes_at(&attestation)?.len();
    machine.spend(COST + bytes_cost(length))?;
    machine.meter.deduct(GAS_PER_BYTE * length as u64)?;
    let attestation = machine.bytes_at(&attestation)?;
    let document = Document::parse(attestation).map_err(|problem| {
        tracing::debug!(problem, "not a Nitro document");
        Fault::Abort(PARSE_ERROR)
    })?;
    machine.meter.deduct(GAS_TO_VERIFY + GAS_PER_ISSUER * document.issuers.len() as u64)?;
    let simulated = machine.loader.vm.simulated_nitro_root;
    certificates::verify(&document, now_ms / 1000, simulated).map_err(|problem| {
        tracing::debug!(problem, "a Nitro document does not verify");
        Fault::Abort(VERIFY_ERROR)
    })?;
    machine.push(value(document))
}

fn value(document: Document) -> Value {
    let optional = |bytes: Option<Vec<u8>>| {
        let held: Vec<Value> = bytes.into_iter().map(Value::Bytes).collect();
        Value::Struct(vec![Value::Vector(held.into())].into())
    };
    let entry = |(index, value)| Value::Struct(vec![Value::U8(index), Value::Bytes(value)].into());
    let pcrs: Vec<Value> = document.pcrs.into_iter().map(entry).collect();
    let fields = vec![
        Value::Bytes(document.module_id.into_bytes()),
        Value::U64(document.timestamp_ms),
        Value::Bytes(document.digest.into_bytes()),
        Value::Vector(pcrs.into()),
        optional(document.public_key),
        optional(document.user_data),
        optional(document.nonce),
    ];
    Value::Struct(fields.into())
}
