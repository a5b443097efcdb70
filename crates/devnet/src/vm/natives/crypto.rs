//! Hashes and signatures.

use blake2::Blake2b;
use blake2::digest::consts::U32;
use ed25519_dalek::{Signature, Verifier, VerifyingKey};
use hmac::{Hmac, Mac};
use sha2::{Digest, Sha256};
use sha3::{Keccak256, Sha3_256};

use super::super::fault::{Fault, Step};
use super::super::machine::Machine;
use super::super::types::Type;
use super::super::value::{Value, bytes_cost};
use super::costs::hashed;

const BLAKE2B_BLOCK: usize = 128;
const KECCAK_BLOCK: usize = 136;
const SHA512_BLOCK: usize = 128;

fn hash_value<D: Digest>(machine: &mut Machine<'_>) -> Step<()> {
    let bytes = machine.pop_bytes()?;
    machine.meter.deduct(2 * bytes.len().max(1) as u64)?;
    machine.spend(bytes_cost(bytes.len()))?;
    machine.push(Value::Bytes(D::digest(bytes).to_vec()))
}

fn hash_reference<D: Digest>(machine: &mut Machine<'_>, block: usize) -> Step<()> {
    let reference = machine.pop_ref()?;
    let length = machine.bytes_at(&reference)?.len();
    machine.meter.deduct(hashed(length, block))?;
    let bytes = machine.bytes_at(&reference)?;
    let hash = D::digest(bytes).to_vec();
    machine.spend(bytes_cost(length))?;
    machine.push(Value::Bytes(hash))
}

/// `0x1::hash::sha2_256(vector<u8>): vector<u8>`
pub(super) fn sha2_256(machine: &mut Machine<'_>, _: &[Type]) -> Step<()> {
    hash_value::<Sha256>(machine)
}

/// `0x1::hash::sha3_256(vector<u8>): vector<u8>`
pub(super) fn sha3_256(machine: &mut Machine<'_>, _: &[Type]) -> Step<()> {
    hash_value::<Sha3_256>(machine)
}

/// `0x2::hash::blake2b256(&vector<u8>): vector<u8>`
pub(super) fn blake2b256(machine: &mut Machine<'_>, _: &[Type]) -> Step<()> {
    hash_reference::<Blake2b<U32>>(machine, BLAKE2B_BLOCK)
}

/// `0x2::hash::keccak256(&vector<u8>): vector<u8>`
pub(super) fn keccak256(machine: &mut Machine<'_>, _: &[Type]) -> Step<()> {
    hash_reference::<Keccak256>(machine, KECCAK_BLOCK)
}

/// `0x2::hmac::hmac_sha3_256(key: &vector<u8>, message: &vector<u8>): vector<u8>`
pub(super) fn hmac_sha3_256(machine: &mut Machine<'_>, _: &[Type]) -> Step<()> {
    let message = machine.pop_ref()?;
    let key = machine.pop_ref()?;
    let (key, message) = (machine.bytes_at(&key)?, machine.bytes_at(&message)?);
    let mac = Hmac::<Sha3_256>::new_from_slice(key);
    let mut mac = mac.map_err(|_| Fault::BadCode("a key of impossible length"))?;
    mac.update(message);
    let cost = bytes_cost(key.len() + message.len());
    let gas = hashed(key.len() + message.len(), KECCAK_BLOCK);
    let code = mac.finalize().into_bytes().to_vec();
    machine.spend(cost)?;
    machine.meter.deduct(gas)?;
    machine.push(Value::Bytes(code))
}

/// `0x2::ed25519::ed25519_verify(signature, public_key, message: &vector<u8>): bool`; whatever is no
/// signature or no key is just not valid.
pub(super) fn ed25519_verify(machine: &mut Machine<'_>, _: &[Type]) -> Step<()> {
    /// What a verification costs, in instructions.
    const COST: usize = 1000;
    let message = machine.pop_ref()?;
    let key = machine.pop_ref()?;
    let signature = machine.pop_ref()?;
    let message = machine.bytes_at(&message)?;
    let cost = COST + bytes_cost(message.len());
    let gas = hashed(message.len(), SHA512_BLOCK);
    let key = machine.bytes_at(&key)?.try_into().ok().and_then(|key| VerifyingKey::from_bytes(key).ok());
    let signature = Signature::from_slice(machine.bytes_at(&signature)?).ok();
    let valid = key.zip(signature).is_some_and(|(key, signature)| key.verify(message, &signature).is_ok());
    machine.spend(cost)?;
    machine.meter.deduct(gas)?;
    machine.push(Value::Bool(valid))
}
