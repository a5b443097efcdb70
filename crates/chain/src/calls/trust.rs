use sui_sdk_types::Address;

use super::{Admin, CLOCK, Calls};
use crate::{Draft, Measurement, TcbBounds};

/// Sui's framework.
const SUI: Address = Address::TWO;

impl Calls {
    /// `enclave::plan_retirement`: an allowed measurement counts until `at_ms` and not from then on.
    pub fn plan_retirement(
        &self,
        registry: Address,
        admin: Admin,
        measurement: &Measurement,
        at_ms: u64,
    ) -> Draft {
        self.entry("enclave", "plan_retirement")
            .write(registry)
            .admin(admin)
            .pure(&measurement.platform)
            .pure(&measurement.names)
            .pure(&measurement.values)
            .pure(&at_ms)
            .at_now()
    }

    /// `enclave::set_tcb_bounds`: what a platform is held to, in place of what it was before.
    pub fn set_tcb_bounds(&self, registry: Address, admin: Admin, bounds: &TcbBounds) -> Draft {
        self.entry("enclave", "set_tcb_bounds")
            .write(registry)
            .admin(admin)
            .pure(&bounds.platform)
            .pure(&bounds.components)
            .pure(&bounds.minimums)
            .pure(&bounds.statuses)
            .pure(&bounds.any_advisory)
            .pure(&bounds.advisories)
            .pure(&bounds.max_age_ms)
            .at_now()
    }

    /// `enclave::clear_tcb_bounds`: a platform is held to the policies of those who verify alone.
    pub fn clear_tcb_bounds(&self, registry: Address, admin: Admin, platform: &str) -> Draft {
        self.entry("enclave", "clear_tcb_bounds").write(registry).admin(admin).pure(platform).at_now()
    }

    /// `enclave::allow_worker_measurement`: workers may prove that they run code with this measurement.
    pub fn allow_worker_measurement(
        &self,
        registry: Address,
        admin: Admin,
        measurement: &Measurement,
    ) -> Draft {
        self.change_measurement("allow_worker_measurement", registry, admin, measurement)
    }

    /// `enclave::retire_worker_measurement`: they may no longer.
    pub fn retire_worker_measurement(
        &self,
        registry: Address,
        admin: Admin,
        measurement: &Measurement,
    ) -> Draft {
        self.change_measurement("retire_worker_measurement", registry, admin, measurement)
    }

    /// `enclave::register_nitro`: registers a Nitro enclave by its attestation document, which the chain verifies.
    pub fn register_nitro(&self, registry: Address, document: &[u8], expires_ms: u64) -> Draft {
        let mut draft = Draft::new();
        let arguments = vec![draft.pure(document), draft.object(CLOCK)];
        let verified = draft.call(SUI, "nitro_attestation", "load_nitro_attestation", vec![], arguments);
        let arguments = vec![draft.object(registry), verified, draft.pure(&expires_ms), draft.object(CLOCK)];
        self.call(&mut draft, "enclave", "register_nitro", arguments);
        draft
    }

    /// `enclave::revoke_enclave`: ends the standing of one enclave for good.
    pub fn revoke_enclave(&self, enclave: Address, admin: Admin) -> Draft {
        self.entry("enclave", "revoke_enclave").write(enclave).admin(admin).at_now()
    }

    /// `k8s_gateway::pause`: no new stakes, penalties and escrows until `until_ms`, at most 14 days ahead.
    pub fn pause(&self, cluster: Address, admin: Admin, until_ms: u64) -> Draft {
        self.entry("k8s_gateway", "pause").write(cluster).admin(admin).pure(&until_ms).at_now()
    }

    /// `k8s_gateway::unpause`: ends a pause.
    pub fn unpause(&self, cluster: Address, admin: Admin) -> Draft {
        self.entry("k8s_gateway", "unpause").write(cluster).admin(admin).at_now()
    }
}
