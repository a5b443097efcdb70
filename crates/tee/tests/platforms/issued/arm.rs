//! PSA and CCA tokens, signed by keys of these tests.

use ciborium::Value;
use coset::iana::Algorithm;
use coset::{CborSerializable as _, CoseSign1Builder, HeaderBuilder, TaggedCborSerializable as _};
use ring::digest;
use tee::PlatformKind;

use super::{Signer, case, evidence};
use crate::cases::Case;

const INSTANCE: [u8; 33] = [1; 33];
const IMPLEMENTATION: [u8; 32] = [2; 32];
pub(crate) const SECURED: u64 = 0x3000;

fn bytes(bytes: &[u8]) -> Value {
    Value::Bytes(bytes.to_vec())
}

fn map(entries: Vec<(i64, Value)>) -> Value {
    Value::Map(entries.into_iter().map(|(key, value)| (Value::from(key), value)).collect())
}

fn encode(value: &Value) -> Vec<u8> {
    let mut bytes = Vec::new();
    ciborium::into_writer(value, &mut bytes).unwrap();
    bytes
}

fn sign(claims: &Value, signer: &Signer, algorithm: Algorithm, tagged: bool) -> Vec<u8> {
    let message = CoseSign1Builder::new()
        .protected(HeaderBuilder::new().algorithm(algorithm).build())
        .payload(encode(claims))
        .create_signature(&[], |message| signer.sign(message))
        .build();
    if tagged { message.to_tagged_vec().unwrap() } else { message.to_vec().unwrap() }
}

fn components() -> Value {
    let component = |kind: Option<&str>, byte: u8| {
        let mut entries = vec![(2, bytes(&[byte; 32])), (5, bytes(&[9; 32]))];
        entries.extend(kind.map(|kind| (1, Value::from(kind))));
        map(entries)
    };
    Value::Array(vec![
        component(Some("BL"), 1),
        component(Some("PRoT"), 2),
        component(Some("BL"), 3),
        component(None, 4),
    ])
}

/// RFC 9783, section 4.
pub(crate) fn psa_claims(nonce: &[u8], lifecycle: u64) -> Vec<(i64, Value)> {
    vec![
        (10, bytes(nonce)),
        (256, bytes(&INSTANCE)),
        (265, Value::from("tag:psacertified.org,2023:psa#tfm")),
        (2394, Value::from(1)),
        (2395, Value::from(lifecycle)),
        (2396, bytes(&IMPLEMENTATION)),
        (2399, components()),
    ]
}

/// As firmware of the API's first version has them; the profile is left out there as often as not.
pub(crate) fn first_claims(nonce: &[u8], profile: Option<&str>) -> Vec<(i64, Value)> {
    let mut claims = vec![
        (-75001, Value::from(1)),
        (-75002, Value::from(SECURED)),
        (-75003, bytes(&IMPLEMENTATION)),
        (-75006, components()),
        (-75008, bytes(nonce)),
        (-75009, bytes(&INSTANCE)),
    ];
    claims.extend(profile.map(|profile| (-75000, Value::from(profile))));
    claims
}

/// A token over `nonce` as a device's firmware signs it.
pub(crate) fn psa_token(nonce: &[u8], signer: &Signer) -> Vec<u8> {
    sign(&map(psa_claims(nonce, SECURED)), signer, Algorithm::ES256, true)
}

pub(crate) fn psa_of(name: &'static str, claims: Vec<(i64, Value)>) -> Case {
    let signer = Signer::p256();
    let token = sign(&map(claims), &signer, Algorithm::ES256, true);
    let mut case = case(name, "token", evidence(PlatformKind::TrustZone, [("token", token)]));
    case.anchors.keys = signer.trusted();
    case
}

pub(crate) fn psa(name: &'static str, lifecycle: u64) -> Case {
    psa_of(name, psa_claims(&[0x5d; 64], lifecycle))
}

/// With the realm's key as COSE_Key, as the specification has it now; `bound_key` is whose hash the platform vouches for.
pub(crate) fn cca(name: &'static str, lifecycle: u64, other_realm_key: bool) -> Case {
    let (platform, realm, other) = (Signer::p384(), Signer::p384(), Signer::p384());
    let cose_key = |signer: &Signer| {
        let point = signer.point();
        let (x, y) = point[1..].split_at(48);
        encode(&Value::Map(vec![
            (Value::from(1), Value::from(2)),
            (Value::from(-1), Value::from(2)),
            (Value::from(-2), bytes(x)),
            (Value::from(-3), bytes(y)),
        ]))
    };
    let realm_key = cose_key(&realm);
    let vouched_for = if other_realm_key { cose_key(&other) } else { realm_key.clone() };
    let realm_claims = map(vec![
        (10, bytes(&[0x5d; 64])),
        (44235, bytes(&[3; 64])),
        (44236, Value::from("sha-512")),
        (44237, bytes(&realm_key)),
        (44238, bytes(&[4; 64])),
        (44239, Value::Array(vec![bytes(&[5; 64]); 4])),
        (44240, Value::from("sha-384")),
    ]);
    let platform_claims = map(vec![
        (10, bytes(digest::digest(&digest::SHA384, &vouched_for).as_ref())),
        (256, bytes(&INSTANCE)),
        (265, Value::from("tag:arm.com,2023:cca_platform#1.0.0")),
        (2395, Value::from(lifecycle)),
        (2396, bytes(&IMPLEMENTATION)),
        (2399, components()),
    ]);
    let token = |claims: &Value, signer: &Signer| bytes(&sign(claims, signer, Algorithm::ES384, true));
    let entry = |claims: &Value, signer: &Signer| Value::Array(vec![Value::from(263), token(claims, signer)]);
    let collection =
        map(vec![(44234, entry(&platform_claims, &platform)), (44241, entry(&realm_claims, &realm))]);
    let collection = encode(&Value::Tag(907, Box::new(collection)));
    let mut case = case(name, "token", evidence(PlatformKind::Cca, [("token", collection)]));
    case.anchors.keys = platform.trusted();
    case
}
