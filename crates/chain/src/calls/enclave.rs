use sui_sdk_types::Address;

use super::{Admin, Calls, clock};
use crate::{Draft, Measurement, VerifiedClaims};

const MODULE: &str = "enclave";

impl Calls {
    /// `enclave::allow_measurement`: code with this measurement may be a master.
    pub fn allow_measurement(&self, registry: Address, admin: Admin, measurement: &Measurement) -> Draft {
        self.change_measurement("allow_measurement", registry, admin, measurement)
    }

    /// `enclave::retire_measurement`: it may no longer.
    pub fn retire_measurement(&self, registry: Address, admin: Admin, measurement: &Measurement) -> Draft {
        self.change_measurement("retire_measurement", registry, admin, measurement)
    }

    /// `enclave::set_verifiers`: ed25519 public keys of those who verify evidence, and how many it takes.
    pub fn set_verifiers(
        &self,
        registry: Address,
        admin: Admin,
        verifiers: &[[u8; 32]],
        threshold: u64,
    ) -> Draft {
        let mut draft = Draft::new();
        let verifiers: Vec<&[u8]> = verifiers.iter().map(<[u8; 32]>::as_slice).collect();
        let arguments = vec![
            draft.object_mut(registry),
            draft.object(admin.governance),
            draft.object(admin.cap),
            draft.pure(&verifiers),
            draft.pure(&threshold),
            clock(&mut draft),
        ];
        self.call(&mut draft, MODULE, "set_verifiers", arguments);
        draft
    }

    /// `enclave::register_enclave`: registers an enclave that verifiers vouch for.
    pub fn register_enclave(&self, registry: Address, verified: &VerifiedClaims) -> Draft {
        let mut draft = Draft::new();
        let VerifiedClaims { claims, timestamp_ms, signatures } = verified;
        let (verifiers, signatures): (Vec<&[u8]>, Vec<&[u8]>) =
            signatures.iter().map(|(key, signature)| (key.as_slice(), signature.as_slice())).unzip();
        let arguments = vec![
            draft.object(registry),
            draft.pure(&claims.measurement.platform),
            draft.pure(&claims.measurement.names),
            draft.pure(&claims.measurement.values),
            draft.pure(&claims.public_key),
            draft.pure(&claims.expires_ms),
            draft.pure(timestamp_ms),
            draft.pure(&verifiers),
            draft.pure(&signatures),
            clock(&mut draft),
        ];
        self.call(&mut draft, MODULE, "register_enclave", arguments);
        draft
    }

    pub(super) fn change_measurement(
        &self,
        function: &str,
        registry: Address,
        admin: Admin,
        measurement: &Measurement,
    ) -> Draft {
        let mut draft = Draft::new();
        let arguments = vec![
            draft.object_mut(registry),
            draft.object(admin.governance),
            draft.object(admin.cap),
            draft.pure(&measurement.platform),
            draft.pure(&measurement.names),
            draft.pure(&measurement.values),
            clock(&mut draft),
        ];
        self.call(&mut draft, MODULE, function, arguments);
        draft
    }
}
