//! `0x2::ecdsa_k1` and `0x2::ecdsa_r1`.
//!
//! Both curves refuse a signature whose `s` is in the upper half of the order when they verify, as
//! Sui asks of signers; recovery takes either half.

use k256::ecdsa::RecoveryId;
use k256::ecdsa::signature::hazmat::PrehashVerifier;
use sha2::{Digest, Sha256};
use sha3::Keccak256;

use super::super::fault::{Fault, Step};
use super::super::machine::Machine;
use super::super::types::Type;
use super::super::value::{Value, bytes_cost};
use super::costs::hashed;

/// Abort codes of both modules.
const FAIL_TO_RECOVER_PUBKEY: u64 = 0;
const INVALID_SIGNATURE: u64 = 1;
const INVALID_PUBKEY: u64 = 2;

/// What a signature costs, in instructions.
const COST: usize = 2000;

/// The message's digest by the hash function that `hash` names; `None` if it names none.
fn prehash(hash: u8, message: &[u8]) -> Option<[u8; 32]> {
    match hash {
        0 => Some(Keccak256::digest(message).into()),
        1 => Some(Sha256::digest(message).into()),
        _ => None,
    }
}

/// What hashing costs in internal units of gas.
fn gas(hash: u8, message: &[u8]) -> u64 {
    const KECCAK_BLOCK: usize = 136;
    const SHA256_BLOCK: usize = 64;
    hashed(message.len(), if hash == 0 { KECCAK_BLOCK } else { SHA256_BLOCK })
}

fn pop_hash(machine: &mut Machine<'_>) -> Step<u8> {
    match machine.pop()? {
        Value::U8(hash) => Ok(hash),
        _ => Err(Fault::BadCode("an operand of the wrong type")),
    }
}

/// Arguments `(signature, public_key, message: &vector<u8>, hash: u8)`; pushes what `verify` says of
/// signature, key and digest.
fn verify(machine: &mut Machine<'_>, verify: impl Fn(&[u8], &[u8], &[u8; 32]) -> Option<bool>) -> Step<()> {
    let hash = pop_hash(machine)?;
    let message = machine.pop_ref()?;
    let key = machine.pop_ref()?;
    let signature = machine.pop_ref()?;
    let message = machine.bytes_at(&message)?;
    let cost = COST + bytes_cost(message.len());
    let gas = gas(hash, message);
    let valid = match prehash(hash, message) {
        Some(digest) => verify(machine.bytes_at(&signature)?, machine.bytes_at(&key)?, &digest),
        None => None,
    };
    machine.spend(cost)?;
    machine.meter.deduct(gas)?;
    machine.push(Value::Bool(valid.unwrap_or(false)))
}

/// Arguments `(signature, message: &vector<u8>, hash: u8)`; pushes what `recover` makes of
/// signature, recovery byte and digest.
fn recover(
    machine: &mut Machine<'_>,
    recover: impl Fn(&[u8; 64], RecoveryId, &[u8; 32]) -> Result<Vec<u8>, u64>,
) -> Step<()> {
    let hash = pop_hash(machine)?;
    let message = machine.pop_ref()?;
    let signature = machine.pop_ref()?;
    let message = machine.bytes_at(&message)?;
    let cost = COST + bytes_cost(message.len());
    let gas = gas(hash, message);
    let digest = prehash(hash, message).ok_or(Fault::Abort(FAIL_TO_RECOVER_PUBKEY))?;
    let bytes: &[u8; 65] =
        machine.bytes_at(&signature)?.try_into().map_err(|_| Fault::Abort(INVALID_SIGNATURE))?;
    let [scalars @ .., id] = bytes;
    let id = RecoveryId::from_byte(*id).ok_or(Fault::Abort(INVALID_SIGNATURE))?;
    let key = recover(scalars, id, &digest).map_err(Fault::Abort)?;
    machine.spend(cost)?;
    machine.meter.deduct(gas)?;
    machine.push(Value::Bytes(key))
}

/// `0x2::ecdsa_k1::secp256k1_verify(signature, public_key, message: &vector<u8>, hash: u8): bool`
pub(super) fn k1_verify(machine: &mut Machine<'_>, _: &[Type]) -> Step<()> {
    verify(machine, |signature, key, digest| {
        let signature = k256::ecdsa::Signature::from_slice(signature).ok()?;
        let key = k256::ecdsa::VerifyingKey::from_sec1_bytes(key).ok()?;
        Some(signature.normalize_s().is_none() && key.verify_prehash(digest, &signature).is_ok())
    })
}

/// `0x2::ecdsa_r1::secp256r1_verify(signature, public_key, message: &vector<u8>, hash: u8): bool`
pub(super) fn r1_verify(machine: &mut Machine<'_>, _: &[Type]) -> Step<()> {
    verify(machine, |signature, key, digest| {
        let signature = p256::ecdsa::Signature::from_slice(signature).ok()?;
        let key = p256::ecdsa::VerifyingKey::from_sec1_bytes(key).ok()?;
        Some(signature.normalize_s().is_none() && key.verify_prehash(digest, &signature).is_ok())
    })
}

/// `0x2::ecdsa_k1::secp256k1_ecrecover(signature, message: &vector<u8>, hash: u8): vector<u8>`: the
/// compressed public key.
pub(super) fn k1_recover(machine: &mut Machine<'_>, _: &[Type]) -> Step<()> {
    recover(machine, |scalars, id, digest| {
        let no_key = if scalars == &[0; 64] { FAIL_TO_RECOVER_PUBKEY } else { INVALID_SIGNATURE };
        let signature = k256::ecdsa::Signature::from_slice(scalars).map_err(|_| no_key)?;
        let (signature, id) = match signature.normalize_s() {
            Some(low) => (low, RecoveryId::new(!id.is_y_odd(), id.is_x_reduced())),
            None => (signature, id),
        };
        let key = k256::ecdsa::VerifyingKey::recover_from_prehash(digest, &signature, id);
        key.map(|key| key.to_encoded_point(true).as_bytes().to_vec()).map_err(|_| FAIL_TO_RECOVER_PUBKEY)
    })
}

/// `0x2::ecdsa_r1::secp256r1_ecrecover(signature, message: &vector<u8>, hash: u8): vector<u8>`: the
/// compressed public key.
pub(super) fn r1_recover(machine: &mut Machine<'_>, _: &[Type]) -> Step<()> {
    recover(machine, |scalars, id, digest| {
        let signature = p256::ecdsa::Signature::from_slice(scalars).map_err(|_| INVALID_SIGNATURE)?;
        let key = p256::ecdsa::VerifyingKey::recover_from_prehash(digest, &signature, id);
        key.map(|key| key.to_encoded_point(true).as_bytes().to_vec()).map_err(|_| FAIL_TO_RECOVER_PUBKEY)
    })
}

/// `0x2::ecdsa_k1::decompress_pubkey(&vector<u8>): vector<u8>`
pub(super) fn k1_decompress(machine: &mut Machine<'_>, _: &[Type]) -> Step<()> {
    let key = machine.pop_ref()?;
    let key = k256::ecdsa::VerifyingKey::from_sec1_bytes(machine.bytes_at(&key)?);
    let key = key.map_err(|_| Fault::Abort(INVALID_PUBKEY))?;
    machine.spend(COST)?;
    machine.push(Value::Bytes(key.to_encoded_point(false).as_bytes().to_vec()))
}
