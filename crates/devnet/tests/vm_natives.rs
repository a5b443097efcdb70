//! Native functions against published vectors and other implementations.

mod vm_support;

use devnet::vm::{Session, Vm, VmError};
use ed25519_dalek::{Signer, SigningKey};
use vm_support::{STD, SUI, call, session, with_framework};

fn bytes(value: &[u8]) -> Vec<u8> {
    bcs::to_bytes(&value.to_vec()).expect("encodable")
}

/// Calls a function that returns one value.
fn one(session: &mut Session<'_>, path: &str, args: &[Vec<u8>]) -> Result<Vec<u8>, VmError> {
    let mut parts = path.split("::");
    let package = if parts.next() == Some("std") { STD } else { SUI };
    let (module, function) = (parts.next().expect("a module"), parts.next().expect("a function"));
    call(session, package, module, function, &[], args).map(|mut values| values.remove(0))
}

#[test]
fn hashes() {
    let (vm, memory) = (Vm::new(), with_framework());
    let mut session = session(&vm, &memory);
    // FIPS 180-4, FIPS 202, the original Keccak submission, and RFC 7693's function at 32 bytes: of "abc".
    for (function, expected) in [
        ("std::hash::sha2_256", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"),
        ("std::hash::sha3_256", "3a985da74fe225b2045c172d6bd390bd855f086e3e9d525b46bfe24511431532"),
        ("sui::hash::keccak256", "4e03657aea45a94fc7d47ba826c8d667c0d1e6e33a64a036ec44f58fa12d6c45"),
        ("sui::hash::blake2b256", "bddd813c634239723171ef3fee98579b94964e3bb1cb3e427262c8c068d52319"),
    ] {
        let hash = one(&mut session, function, &[bytes(b"abc")]).unwrap();
        assert_eq!(hex::encode(&hash[1..]), expected, "{function}");
    }
    // NIST's sample for HMAC-SHA3-256 with a key of 32 bytes.
    let key: Vec<u8> = (0..32).collect();
    let code = one(
        &mut session,
        "sui::hmac::hmac_sha3_256",
        &[bytes(&key), bytes(b"Sample message for keylen<blocklen")],
    )
    .unwrap();
    assert_eq!(hex::encode(&code[1..]), "4fe8e202c4f058e8dddc23d8c34e467343e23555e24fc2f025d598f558f67205");
}

#[test]
fn addresses_are_big_endian_numbers() {
    let (vm, memory) = (Vm::new(), with_framework());
    let mut session = session(&vm, &memory);
    let mut address = vec![0; 32];
    address[31] = 2;
    address[0] = 1;
    let mut number = address.clone();
    number.reverse();
    assert_eq!(one(&mut session, "sui::address::to_u256", std::slice::from_ref(&address)).unwrap(), number);
    assert_eq!(one(&mut session, "sui::address::from_u256", &[number]).unwrap(), address);
    assert_eq!(one(&mut session, "sui::address::from_bytes", &[bytes(&address)]).unwrap(), address);
    let error = one(&mut session, "sui::address::from_bytes", &[bytes(&address[1..])]).unwrap_err();
    assert!(matches!(error, VmError::Abort { code: 0, .. }), "{error}");
}

#[test]
fn signatures_verify_only_what_was_signed() {
    let (vm, memory) = (Vm::new(), with_framework());
    let mut session = session(&vm, &memory);
    let key = SigningKey::from_bytes(&[5; 32]);
    let signature = key.sign(b"message").to_bytes();
    let public = key.verifying_key().to_bytes();
    let mut verify = |signature: &[u8], public: &[u8], message: &[u8]| {
        let args = [bytes(signature), bytes(public), bytes(message)];
        one(&mut session, "sui::ed25519::ed25519_verify", &args).unwrap() == [1]
    };
    assert!(verify(&signature, &public, b"message"));
    assert!(!verify(&signature, &public, b"massage"));
    let mut other = signature;
    other[3] ^= 1;
    assert!(!verify(&other, &public, b"message"));
    assert!(!verify(&signature[1..], &public, b"message"));
    assert!(!verify(&signature, &public[1..], b"message"));
    assert!(!verify(&signature, &[0xff; 32], b"message"));
}

#[test]
fn the_transaction_is_seen_as_it_is() {
    let (vm, memory) = (Vm::new(), with_framework());
    let mut session = session(&vm, &memory);
    let context = vm_support::context();
    assert_eq!(one(&mut session, "sui::tx_context::sender", &[]).unwrap(), context.sender.as_bytes());
    assert_eq!(one(&mut session, "sui::tx_context::epoch", &[]).unwrap(), 3u64.to_le_bytes());
    assert_eq!(one(&mut session, "sui::tx_context::gas_price", &[]).unwrap(), 1000u64.to_le_bytes());
    assert_eq!(one(&mut session, "sui::tx_context::sponsor", &[]).unwrap(), [0]);
    for index in 0..3 {
        let id = one(&mut session, "sui::tx_context::fresh_object_address", &[]).unwrap();
        let expected = sui_sdk_types::Address::derive_id(context.digest.into(), index);
        assert_eq!(id, expected.as_bytes());
    }
}
