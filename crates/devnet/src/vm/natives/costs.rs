//! What native functions cost, in internal units of gas, besides what depends on their arguments.
//!
//! From Sui's public protocol configuration (version 120), as is everything by the byte in the
//! functions themselves.

use sui_sdk_types::Address;

use super::super::types::STD;

/// What most functions cost.
const USUAL: u64 = 52;

/// Cost of calling a native function.
pub(crate) fn base(package: Address, module: &str, function: &str) -> u64 {
    match (module, function) {
        ("bcs", _) if package == STD => 0,
        ("hash", _) if package != STD => 10,
        ("ed25519", _) => 1_802,
        ("ecdsa_k1", "secp256k1_ecrecover") => 500,
        ("ecdsa_k1", "secp256k1_verify") => 1_470,
        ("ecdsa_r1", "secp256r1_ecrecover") => 1_173,
        ("ecdsa_r1", "secp256r1_verify") => 4_225,
        ("nitro_attestation", _) => 2_650,
        ("tx_context", "fresh_id" | "derive_id") => USUAL,
        ("tx_context", _) => 30,
        _ => USUAL,
    }
}

/// Cost of hashing or signing `length` bytes in blocks of `block`: two for each byte and each block.
pub(super) fn hashed(length: usize, block: usize) -> u64 {
    2 * (length + length.div_ceil(block)) as u64
}
