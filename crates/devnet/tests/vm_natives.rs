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

/// Vectors of the tests of Sui's framework: a key of each curve signed "Hello, world!".
#[test]
fn ecdsa_verifies_and_recovers() {
    let (vm, memory) = (Vm::new(), with_framework());
    let mut session = session(&vm, &memory);
    let k1 = "02337cca2171fdbfcfd657fa59881f46269f1e590b5ffab6023686c7ad2ecc2c1c";
    let r1 = "0227322b3a891a0a280d6bc1fb2cbb23d28f54906fd6407f5f741f6def5762609a";
    for (module, curve, key, hash, signature, id) in [
        (
            "ecdsa_k1",
            "secp256k1",
            k1,
            0u8,
            "7e4237ebfbc36613e166bfc5f6229360a9c1949242da97ca04867e4de57b2df30c8340bcb320328cf46d71bda51fcb519e3ce53b348eec62de852e350edbd886",
            0u8,
        ),
        (
            "ecdsa_k1",
            "secp256k1",
            k1,
            1,
            "e5847245b38548547f613aaea3421ad47f5b95a222366fb9f9b8c57568feb19c7077fc31e7d83e00acc1347d08c3e1ad50a4eeb6ab044f25c861ddc7be5b8f9f",
            1,
        ),
        (
            "ecdsa_r1",
            "secp256r1",
            r1,
            0,
            "209841acabd0fdf6d25fa0948b2f5c6c74f930eede89c6fce59502218a3134a147535921bf0cdf5d1990f6f0b3dadb8c05069ddc531db057d325857ce198a529",
            0,
        ),
        (
            "ecdsa_r1",
            "secp256r1",
            r1,
            1,
            "26d84720652d8bc4ddd1986434a10b3b7b69f0e35a17c6a5987e6d1cba69652f4384a342487642df5e44592d304bea0ceb0fae2e347fa3cec5ce1a8144cfbbb2",
            0,
        ),
    ] {
        let (key, signature) = (hex::decode(key).unwrap(), hex::decode(signature).unwrap());
        let path = format!("sui::{module}::{curve}_verify");
        let mut verify = |signature: &[u8], key: &[u8], message: &[u8], hash: u8| {
            let args = [bytes(signature), bytes(key), bytes(message), vec![hash]];
            one(&mut session, &path, &args).unwrap() == [1]
        };
        assert!(verify(&signature, &key, b"Hello, world!", hash), "{module} {hash}");
        assert!(!verify(&signature, &key, b"Farewell, world!", hash));
        assert!(!verify(&signature, &key, b"Hello, world!", 1 - hash));
        assert!(!verify(&signature, &key, b"Hello, world!", 2));
        assert!(!verify(&signature, &key[1..], b"Hello, world!", hash));
        let recoverable = [&signature[..], &[id]].concat();
        assert!(!verify(&recoverable, &key, b"Hello, world!", hash));

        let path = format!("sui::{module}::{curve}_ecrecover");
        let mut recover = |signature: &[u8], hash: u8| {
            one(&mut session, &path, &[bytes(signature), bytes(b"Hello, world!"), vec![hash]])
        };
        assert_eq!(recover(&recoverable, hash).unwrap()[1..], key, "{module} {hash}");
        let refused = |result: Result<_, VmError>| match result {
            Err(VmError::Abort { code, .. }) => code,
            other => panic!("{other:?}"),
        };
        assert_eq!(refused(recover(&signature, hash)), 1);
        assert_eq!(refused(recover(&recoverable, 2)), 0);
    }
    let open = one(&mut session, "sui::ecdsa_k1::decompress_pubkey", &[bytes(&hex::decode(k1).unwrap())]);
    let open = open.unwrap();
    assert_eq!((open[1], open.len()), (4, 66));
    assert_eq!(hex::encode(&open[2..34]), k1[2..]);
}

/// A signature by the other `s` is as right as the first and is refused all the same; its key is found.
#[test]
fn ecdsa_wants_the_lower_half() {
    use k256::ecdsa::{Signature, SigningKey, signature::hazmat::PrehashSigner};
    use sha2::{Digest, Sha256};
    let (vm, memory) = (Vm::new(), with_framework());
    let mut session = session(&vm, &memory);
    let key = SigningKey::from_slice(&[7; 32]).unwrap();
    let (low, id) = key.sign_prehash_recoverable(&Sha256::digest(b"m")).unwrap();
    let _: Signature = key.sign_prehash(&Sha256::digest(b"m")).unwrap();
    let high = Signature::from_scalars(low.r(), -*low.s()).unwrap();
    let public = key.verifying_key().to_encoded_point(true);
    for (signature, id, valid) in [(low, id.to_byte(), 1), (high, id.to_byte() ^ 1, 0)] {
        let args = [bytes(&signature.to_bytes()), bytes(public.as_bytes()), bytes(b"m"), vec![1]];
        assert_eq!(one(&mut session, "sui::ecdsa_k1::secp256k1_verify", &args).unwrap(), [valid]);
        let signature = [&signature.to_bytes()[..], &[id]].concat();
        let args = [bytes(&signature), bytes(b"m"), vec![1]];
        let found = one(&mut session, "sui::ecdsa_k1::secp256k1_ecrecover", &args).unwrap();
        assert_eq!(found[1..], *public.as_bytes());
    }
}

const NITRO_DOCUMENT: &[u8] = include_bytes!("nitro/attestation.cose");
/// When it was made.
const NITRO_TIME_MS: u64 = 1_736_179_625_472;

#[derive(Debug, serde::Deserialize)]
struct Nitro {
    module_id: String,
    timestamp: u64,
    digest: String,
    pcrs: Vec<(u8, Vec<u8>)>,
    public_key: Option<Vec<u8>>,
    user_data: Option<Vec<u8>>,
    nonce: Option<Vec<u8>>,
}

#[test]
fn a_real_nitro_document_verifies_at_its_time_only() {
    let (vm, memory) = (Vm::new(), with_framework());
    let mut session = session(&vm, &memory);
    let mut load = |document: &[u8], now_ms: u64| {
        let clock = [bcs::to_bytes(&sui_sdk_types::Address::from_static("0x6")), bcs::to_bytes(&now_ms)];
        let clock = clock.map(Result::unwrap).concat();
        one(&mut session, "sui::nitro_attestation::load_nitro_attestation", &[bytes(document), clock])
    };
    let loaded: Nitro = bcs::from_bytes(&load(NITRO_DOCUMENT, NITRO_TIME_MS).unwrap()).unwrap();
    assert_eq!(loaded.module_id, "i-0bee92034f3d60691-enc01943c5eaab3ad6a");
    assert_eq!((loaded.timestamp, loaded.digest.as_str()), (NITRO_TIME_MS, "SHA384"));
    let indices: Vec<u8> = loaded.pcrs.iter().map(|(index, _)| *index).collect();
    assert_eq!(indices, [0, 1, 2, 3, 4, 8]);
    assert!(hex::encode(&loaded.pcrs[0].1).starts_with("8bb159f202bb95d6d4d98e0e10391824"));
    assert_eq!(loaded.pcrs[5].1, [0; 48], "the image was not signed");
    assert_eq!(loaded.public_key.unwrap().len(), 294);
    assert_eq!((loaded.user_data, loaded.nonce), (None, None));

    let code = |result: Result<Vec<u8>, VmError>| match result {
        Err(VmError::Abort { code, .. }) => code,
        other => panic!("{other:?}"),
    };
    const HOUR: u64 = 3_600_000;
    load(NITRO_DOCUMENT, NITRO_TIME_MS + 2 * HOUR).unwrap();
    assert_eq!(code(load(NITRO_DOCUMENT, NITRO_TIME_MS + 4 * HOUR)), 2, "the certificate lasts three hours");
    assert_eq!(code(load(NITRO_DOCUMENT, NITRO_TIME_MS - HOUR)), 2);
    assert_eq!(code(load(NITRO_DOCUMENT, 0)), 2);
    assert_eq!(code(load(NITRO_DOCUMENT, u64::MAX)), 2);
    assert_eq!(code(load(b"", NITRO_TIME_MS)), 1);
    assert_eq!(code(load(&NITRO_DOCUMENT[..4000], NITRO_TIME_MS)), 1);
    // Whatever bit is changed, the document is refused.
    for at in (0..NITRO_DOCUMENT.len()).step_by(61) {
        let mut changed = NITRO_DOCUMENT.to_vec();
        changed[at] ^= 1;
        assert!([1, 2].contains(&code(load(&changed, NITRO_TIME_MS))), "byte {at}");
    }
}

#[test]
fn a_simulated_root_is_taken_where_it_was_asked_for() {
    let nitro = devnet::SimulatedNitro::generate().unwrap();
    let document = nitro.document(&devnet::SimulatedDocument {
        timestamp_ms: NITRO_TIME_MS,
        code: [[1; 48], [2; 48], [3; 48]],
        public_key: Some(vec![9; 32]),
        user_data: Some(vec![8; 32]),
    });
    let document = document.unwrap();
    let load = |vm: &Vm, document: &[u8]| -> Result<Nitro, VmError> {
        let memory = with_framework();
        let clock = bcs::to_bytes(&sui_sdk_types::Address::from_static("0x6")).unwrap();
        let clock = [clock, NITRO_TIME_MS.to_le_bytes().to_vec()].concat();
        let path = "sui::nitro_attestation::load_nitro_attestation";
        let loaded = one(&mut session(vm, &memory), path, &[bytes(document), clock])?;
        Ok(bcs::from_bytes(&loaded).unwrap())
    };
    let refused =
        |vm: &Vm, document: &[u8]| matches!(load(vm, document), Err(VmError::Abort { code: 1 | 2, .. }));
    let vm = Vm::new().with_simulated_nitro_root(nitro.root());
    let loaded = load(&vm, &document).unwrap();
    assert_eq!((loaded.module_id.as_str(), loaded.pcrs[2].1.as_slice()), ("SIMULATED", &[3; 48][..]));
    assert_eq!((loaded.public_key, loaded.user_data), (Some(vec![9; 32]), Some(vec![8; 32])));
    assert!(load(&vm, NITRO_DOCUMENT).is_ok(), "AWS's root stays");
    for at in (0..document.len()).step_by(61) {
        let mut changed = document.clone();
        changed[at] ^= 1;
        assert!(refused(&vm, &changed), "byte {at}");
    }
    assert!(refused(&Vm::new(), &document));
    let another = devnet::SimulatedNitro::generate().unwrap();
    assert!(refused(&Vm::new().with_simulated_nitro_root(another.root()), &document));
}

/// Gas of one call, in thousandths of a unit.
fn gas(path: &str, args: &[Vec<u8>]) -> u64 {
    let (vm, memory) = (Vm::new(), with_framework());
    let mut session = session(&vm, &memory);
    one(&mut session, path, args).expect("a call that succeeds");
    session.gas()
}

#[test]
fn natives_cost_what_the_protocol_says() {
    // By byte and block: 10 + 2 * 200 + 2 * 2, against 10 + 2 * 100 + 2 * 1.
    let hash = |length| gas("sui::hash::blake2b256", &[bytes(&vec![7; length])]);
    assert_eq!(hash(200) - hash(100), 202);
    let sha = |length| gas("std::hash::sha2_256", &[bytes(&vec![7; length])]);
    assert_eq!(sha(1) - sha(0), 0, "no message counts as one byte");
    assert_eq!(sha(101) - sha(1), 200);
    let verify = |length| {
        gas("sui::ed25519::ed25519_verify", &[bytes(&[0; 64]), bytes(&[0; 32]), bytes(&vec![7; length])])
    };
    assert_eq!(verify(128) - verify(0), 258);
    assert!((1_802..1_900).contains(&verify(0)), "{}", verify(0));
    let clock = bcs::to_bytes(&sui_sdk_types::Address::from_static("0x6")).unwrap();
    let clock = [clock, NITRO_TIME_MS.to_le_bytes().to_vec()].concat();
    let nitro = gas("sui::nitro_attestation::load_nitro_attestation", &[bytes(NITRO_DOCUMENT), clock]);
    let published = 2_650 + 50 * NITRO_DOCUMENT.len() as u64 + 2_481_600 + 4 * 2_618_450;
    assert!((published..published + 10_000).contains(&nitro), "{nitro}");
}
