//! COSE_Sign1 (RFC 9052) as Nitro and Arm use it: one signature, its algorithm protected, nothing unprotected.

use std::collections::BTreeMap;

use coset::cbor::Value;
use coset::iana::Algorithm;
use coset::{CborSerializable as _, CoseSign1, RegisteredLabelWithPrivate, TaggedCborSerializable as _};

use crate::Refusal;
use crate::public_key::{PublicKey, Scheme};

/// CBOR's major type 6, number 18: a tagged COSE_Sign1.
const TAG_SIGN1: u8 = 0xd2;

/// One signed message.
pub(super) struct Signed {
    message: CoseSign1,
    scheme: Scheme,
    what: &'static str,
}

impl Signed {
    /// Reads a message that fills `bytes`; `what` names it in refusals.
    pub(super) fn parse(bytes: &[u8], what: &'static str) -> Result<Self, Refusal> {
        let parsed = if bytes.first() == Some(&TAG_SIGN1) {
            CoseSign1::from_tagged_slice(bytes)
        } else {
            CoseSign1::from_slice(bytes)
        };
        let message =
            parsed.map_err(|error| Refusal::malformed(format!("{what}: no COSE_Sign1: {error}")))?;
        if !message.unprotected.is_empty() {
            return Err(Refusal::malformed(format!("{what}: it has unprotected headers")));
        }
        let scheme = match message.protected.header.alg {
            Some(RegisteredLabelWithPrivate::Assigned(Algorithm::ES256)) => Scheme::EcdsaSha256,
            Some(RegisteredLabelWithPrivate::Assigned(Algorithm::ES384)) => Scheme::EcdsaSha384,
            Some(RegisteredLabelWithPrivate::Assigned(Algorithm::PS256)) => Scheme::RsaPssSha256,
            _ => {
                return Err(Refusal::malformed(format!(
                    "{what}: its algorithm is none of ES256, ES384, PS256"
                )));
            }
        };
        Ok(Self { message, scheme, what })
    }

    pub(super) fn payload(&self) -> Result<&[u8], Refusal> {
        self.message
            .payload
            .as_deref()
            .ok_or_else(|| Refusal::malformed(format!("{}: it has no payload", self.what)))
    }

    /// The payload as a map of claims with integer keys; others are extensions that are not looked at.
    pub(super) fn claims(&self) -> Result<ClaimSet, Refusal> {
        let value: Value = crate::evidence::read_cbor(self.payload()?)
            .map_err(|error| Refusal::malformed(format!("{}: {error}", self.what)))?;
        let Value::Map(entries) = value else {
            return Err(Refusal::malformed(format!("{}: its payload is no map", self.what)));
        };
        let mut claims = BTreeMap::new();
        for (key, value) in entries {
            let Some(key) = key.as_integer().and_then(|key| i64::try_from(key).ok()) else { continue };
            if claims.insert(key, value).is_some() {
                return Err(Refusal::malformed(format!("{}: claim {key} is there twice", self.what)));
            }
        }
        Ok(ClaimSet { claims, what: self.what })
    }

    /// Nothing when `key` made the signature.
    pub(super) fn refusal(&self, key: Option<&PublicKey>, by: &str) -> Option<Refusal> {
        let valid = key.is_some_and(|key| {
            let check = |signature: &[u8], signed: &[u8]| {
                if key.verify(self.scheme, signed, signature) { Ok(()) } else { Err(()) }
            };
            self.message.verify_signature(&[], check).is_ok()
        });
        (!valid).then(|| Refusal::bad_signature(format!("the {}, by {by}", self.what)))
    }
}

/// The claims of an entity attestation token.
pub(super) struct ClaimSet {
    claims: BTreeMap<i64, Value>,
    what: &'static str,
}

impl ClaimSet {
    pub(super) fn has(&self, key: i64) -> bool {
        self.claims.contains_key(&key)
    }

    pub(super) fn bytes(&self, key: i64, name: &str) -> Result<&[u8], Refusal> {
        self.get(key)
            .and_then(Value::as_bytes)
            .map(Vec::as_slice)
            .ok_or_else(|| self.lacks(key, name, "bytes"))
    }

    pub(super) fn text(&self, key: i64, name: &str) -> Result<&str, Refusal> {
        self.get(key).and_then(Value::as_text).ok_or_else(|| self.lacks(key, name, "text"))
    }

    pub(super) fn number(&self, key: i64, name: &str) -> Result<u64, Refusal> {
        let number = self.get(key).and_then(Value::as_integer).and_then(|number| u64::try_from(number).ok());
        number.ok_or_else(|| self.lacks(key, name, "a number"))
    }

    pub(super) fn array(&self, key: i64, name: &str) -> Result<&[Value], Refusal> {
        self.get(key)
            .and_then(Value::as_array)
            .map(Vec::as_slice)
            .ok_or_else(|| self.lacks(key, name, "a list"))
    }

    fn get(&self, key: i64) -> Option<&Value> {
        self.claims.get(&key)
    }

    fn lacks(&self, key: i64, name: &str, kind: &str) -> Refusal {
        Refusal::malformed(format!("{}: claim {key} ({name}) is missing or not {kind}", self.what))
    }
}
