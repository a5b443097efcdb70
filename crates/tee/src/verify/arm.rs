//! What PSA tokens (RFC 9783) and the platform tokens of Arm CCA have in common: life cycle, software components, and keys
//! that are endorsed one by one because Arm has no common root.

use coset::cbor::Value;

use super::cose::ClaimSet;
use super::{Statement, Verifier};
use crate::claims::Signer;
use crate::{Measurements, Refusal, TrustedKey};

/// Under which keys a token has its claims.
pub(super) struct Labels {
    pub(super) nonce: i64,
    pub(super) instance_id: i64,
    pub(super) profile: i64,
    pub(super) lifecycle: i64,
    pub(super) implementation_id: i64,
    pub(super) components: i64,
}

/// RFC 9783, section 4; the platform token of Arm CCA has the same.
pub(super) const REGISTERED: Labels = Labels {
    nonce: 10,
    instance_id: 256,
    profile: 265,
    lifecycle: 2395,
    implementation_id: 2396,
    components: 2399,
};

/// What the first version of PSA's attestation API gave out, from a range that nobody had registered; its claims mean the same (RFC 9783,
/// "Backwards Compatibility Considerations"). Firmware in the field still does.
pub(super) const FIRST_VERSION: Labels = Labels {
    nonce: -75008,
    instance_id: -75009,
    profile: -75000,
    lifecycle: -75002,
    implementation_id: -75003,
    components: -75006,
};

/// RFC 9783, section 4.4.1: entries of a software component.
const COMPONENT_TYPE: u64 = 1;
const COMPONENT_VALUE: u64 = 2;
const COMPONENT_SIGNER: u64 = 5;
/// More than any platform boots through.
const MAX_COMPONENTS: usize = 64;

impl Verifier<'_> {
    /// The key that is endorsed for the instance and implementation that a token names.
    pub(super) fn endorsed_key(
        &self,
        instance: &[u8],
        implementation: &[u8],
    ) -> Result<&TrustedKey, Refusal> {
        let fits =
            |expected: &Option<Vec<u8>>, actual: &[u8]| expected.as_ref().is_none_or(|id| id == actual);
        self.anchors
            .keys
            .iter()
            .find(|key| fits(&key.instance_id, instance) && fits(&key.implementation_id, implementation))
            .ok_or_else(|| Refusal::UnknownKey { key: format!("of instance {}", hex::encode(instance)) })
    }
}

/// RFC 9783, section 4.3.1: the high byte of the life cycle is its phase.
pub(super) fn check_lifecycle(state: u64, statement: &mut Statement) {
    const SECURED: u64 = 0x30;
    const NON_PSA_ROT_DEBUG: u64 = 0x40;
    const RECOVERABLE_PSA_ROT_DEBUG: u64 = 0x50;
    match state >> 8 {
        SECURED => {}
        NON_PSA_ROT_DEBUG | RECOVERABLE_PSA_ROT_DEBUG => statement.debug = true,
        _ => statement.refusals.push(Refusal::Lifecycle { state }),
    }
}

/// One measurement per component, named by its type where that is unique, else by its place; `-signer` is who signed it.
pub(super) fn components(claims: &ClaimSet, key: i64, prefix: &str) -> Result<Measurements, Refusal> {
    let list = claims.array(key, "software components")?;
    if list.is_empty() || list.len() > MAX_COMPONENTS {
        return Err(Refusal::malformed(format!(
            "{} software components; 1 to {MAX_COMPONENTS} are read",
            list.len()
        )));
    }
    let mut measurements = Measurements::new();
    for (place, component) in list.iter().enumerate() {
        let entry = |key: u64| {
            let entries = component.as_map()?;
            entries.iter().find(|(name, _)| *name == Value::from(key)).map(|(_, value)| value)
        };
        let bytes = |key| entry(key).and_then(Value::as_bytes).cloned();
        let value = bytes(COMPONENT_VALUE)
            .ok_or_else(|| Refusal::malformed(format!("software component {place} has no measurement")))?;
        let kind = entry(COMPONENT_TYPE)
            .and_then(Value::as_text)
            .map(|kind| format!("{prefix}{}", kind.to_lowercase()));
        let name = kind
            .filter(|name| !measurements.contains_key(name))
            .unwrap_or_else(|| format!("{prefix}sw{place}"));
        if let Some(signer) = bytes(COMPONENT_SIGNER) {
            measurements.insert(format!("{name}-signer"), signer);
        }
        measurements.insert(name, value);
    }
    Ok(measurements)
}

/// An endorsed key has no certificate and no name.
pub(super) fn signer(key: &TrustedKey) -> Signer {
    Signer { name: format!("endorsed {}", key.key.kind()), sha256: key.key.sha256() }
}
