//! Arm CCA tokens: "Realm Management Monitor specification", Arm DEN0137, section A7.2. A collection of two COSE_Sign1: the
//! platform's, signed by an endorsed key, whose challenge is the hash of the realm's key; and the realm's, signed by that key.

use ciborium::Value;
use coset::{CborSerializable as _, CoseKey, Label};
use ring::digest;

use super::cose::{ClaimSet, Signed};
use super::{Statement, Verifier, arm};
use crate::claims::Signer;
use crate::public_key::PublicKey;
use crate::{Evidence, Refusal};

/// The collection's tag in the specification, and the one that IANA assigned since.
const TAGS: [u64; 2] = [399, 907];
const PLATFORM_TOKEN: u64 = 44234;
const REALM_TOKEN: u64 = 44241;
const PERSONALIZATION: i64 = 44235;
const REALM_KEY: i64 = 44237;
const INITIAL_MEASUREMENT: i64 = 44238;
const EXTENSIBLE_MEASUREMENTS: i64 = 44239;
const REALM_KEY_HASH: i64 = 44240;

impl Verifier<'_> {
    pub(super) fn cca(&self, evidence: &Evidence) -> Result<Statement, Refusal> {
        let raw = evidence.part("token").ok_or_else(|| Refusal::malformed("part \"token\" is missing"))?;
        let (platform, realm) = collection(raw)?;
        let (platform, realm) =
            (Signed::parse(&platform, "CCA platform token")?, Signed::parse(&realm, "CCA realm token")?);
        let (platform_claims, realm_claims) = (platform.claims()?, realm.claims()?);

        let mut statement = realm_statement(&realm_claims)?;
        statement.measurements.extend(arm::components(
            &platform_claims,
            arm::REGISTERED.components,
            "platform-",
        )?);
        let instance = platform_claims.bytes(arm::REGISTERED.instance_id, "instance id")?;
        let implementation = platform_claims.bytes(arm::REGISTERED.implementation_id, "implementation id")?;
        statement.measurements.insert("implementation-id".to_owned(), implementation.to_vec());
        statement.measurements.insert("instance-id".to_owned(), instance.to_vec());
        arm::check_lifecycle(
            platform_claims.number(arm::REGISTERED.lifecycle, "security lifecycle")?,
            &mut statement,
        );

        let realm_key = realm_claims.bytes(REALM_KEY, "realm public key")?;
        let key = public_key(realm_key)
            .ok_or_else(|| Refusal::malformed("CCA realm token: its key is not P-384"))?;
        statement.refusals.extend(realm.refusal(Some(&key), "the key that it names"));
        statement.refusals.extend(binding(&platform_claims, &realm_claims, realm_key)?);
        statement.signers.push(Signer { name: "realm attestation key".to_owned(), sha256: key.sha256() });
        match self.endorsed_key(instance, implementation) {
            Ok(key) => {
                statement
                    .refusals
                    .extend(platform.refusal(Some(&key.key), "the key endorsed for its instance"));
                statement.signers.push(arm::signer(key));
            }
            Err(refusal) => statement.refusals.push(refusal),
        }
        Ok(statement)
    }
}

/// Platform and realm token.
fn collection(raw: &[u8]) -> Result<(Vec<u8>, Vec<u8>), Refusal> {
    let malformed = |why: &str| Refusal::malformed(format!("CCA token: {why}"));
    let value: Value = crate::evidence::read_cbor(raw).map_err(|error| malformed(&error))?;
    let entries = match value {
        Value::Tag(tag, inner) if TAGS.contains(&tag) => match *inner {
            Value::Map(entries) if entries.len() == 2 => entries,
            _ => return Err(malformed("it is no collection of two tokens")),
        },
        _ => return Err(malformed("it is no collection with tag 399 or 907")),
    };
    let token = |name: u64| {
        let (_, value) = entries.iter().find(|(key, _)| *key == Value::from(name))?;
        match value {
            Value::Bytes(bytes) => Some(bytes.clone()),
            // Beside its media type, by name or CoAP number (RFC 9782).
            Value::Array(pair) if pair.len() == 2 && is_eat(&pair[0]) => pair[1].as_bytes().cloned(),
            _ => None,
        }
    };
    token(PLATFORM_TOKEN)
        .zip(token(REALM_TOKEN))
        .ok_or_else(|| malformed("it lacks the platform's or the realm's token"))
}

fn is_eat(media_type: &Value) -> bool {
    const EAT_CWT: u64 = 263;
    *media_type == Value::from(EAT_CWT) || media_type.as_text() == Some("application/eat+cwt")
}

fn realm_statement(claims: &ClaimSet) -> Result<Statement, Refusal> {
    let mut statement = Statement {
        report_data: claims.bytes(arm::REGISTERED.nonce, "challenge")?.to_vec(),
        ..Statement::default()
    };
    let mut measured = |name: String, value: &[u8]| statement.measurements.insert(name, value.to_vec());
    measured("rim".to_owned(), claims.bytes(INITIAL_MEASUREMENT, "initial measurement")?);
    measured("rpv".to_owned(), claims.bytes(PERSONALIZATION, "personalization value")?);
    let extensible = claims.array(EXTENSIBLE_MEASUREMENTS, "extensible measurements")?;
    for (index, value) in extensible.iter().enumerate().take(4) {
        let value = value
            .as_bytes()
            .ok_or_else(|| Refusal::malformed("CCA realm token: a measurement is not bytes"))?;
        measured(format!("rem{index}"), value);
    }
    Ok(statement)
}

/// The platform vouches for the realm's key by its hash.
fn binding(platform: &ClaimSet, realm: &ClaimSet, realm_key: &[u8]) -> Result<Option<Refusal>, Refusal> {
    let algorithm = match realm.text(REALM_KEY_HASH, "hash of the realm's key")? {
        "sha-256" => &digest::SHA256,
        "sha-384" => &digest::SHA384,
        "sha-512" => &digest::SHA512,
        other => {
            return Err(Refusal::malformed(format!("CCA realm token: hash {other:?} is not known here")));
        }
    };
    let bound =
        platform.bytes(arm::REGISTERED.nonce, "challenge")? == digest::digest(algorithm, realm_key).as_ref();
    let what = || "the platform token vouches for another realm key".to_owned();
    Ok((!bound).then(|| Refusal::Binding { what: what() }))
}

/// A COSE_Key (RFC 9052, section 7), or in early versions of the specification the bare point.
fn public_key(bytes: &[u8]) -> Option<PublicKey> {
    const X: Label = Label::Int(-2);
    const Y: Label = Label::Int(-3);
    let point = PublicKey::from_point(bytes).or_else(|| {
        let key = CoseKey::from_slice(bytes).ok()?;
        let coordinate = |label: &Label| key.params.iter().find(|(name, _)| name == label)?.1.as_bytes();
        PublicKey::from_coordinates(coordinate(&X)?, coordinate(&Y)?, 48)
    })?;
    matches!(point, PublicKey::P384(_)).then_some(point)
}
