use sui_sdk_types::Address;

use super::{Admin, Calls, clock};
use crate::{Config, Draft, Place};

const MODULE: &str = "k8s_gateway";

impl Calls {
    /// `k8s_gateway::create_cluster`: makes a cluster; its capability goes to the sender. Look for
    /// [`Event::ClusterCreated`](crate::Event::ClusterCreated) and [`Event::CapIssued`](crate::Event::CapIssued).
    pub fn create_cluster(&self, name: &str, allow_simulated: bool) -> Draft {
        let mut draft = Draft::new();
        let arguments = vec![draft.pure(name), draft.pure(&allow_simulated)];
        self.call(&mut draft, MODULE, "create_cluster", arguments);
        draft
    }

    /// `k8s_gateway::set_config`: what stakes and tokens are held to from now on.
    pub fn set_config(&self, cluster: Address, admin: Admin, config: &Config) -> Draft {
        let mut draft = Draft::new();
        let minimums: Vec<u64> = config.tiers.iter().map(|tier| tier.minimum).collect();
        let locks_ms: Vec<u64> = config.tiers.iter().map(|tier| tier.lock_ms).collect();
        let arguments = vec![
            draft.object_mut(cluster),
            draft.object(admin.governance),
            draft.object(admin.cap),
            draft.pure(&minimums),
            draft.pure(&locks_ms),
            draft.pure(&config.unbonding_ms),
            draft.pure(&config.token_lifetime_ms),
            clock(&mut draft),
        ];
        self.call(&mut draft, MODULE, "set_config", arguments);
        draft
    }

    /// `k8s_gateway::set_place`: says where the cluster is. `signature` is the enclave's over
    /// [`Place::message`] at `timestamp_ms`.
    pub fn set_place(
        &self,
        registry: Address,
        enclave: Address,
        place: &Place,
        timestamp_ms: u64,
        signature: &[u8; 64],
    ) -> Draft {
        let mut draft = Draft::new();
        let arguments = vec![
            draft.object_mut(place.cluster),
            draft.object(registry),
            draft.object_mut(enclave),
            draft.pure(&place.gateway),
            draft.pure(&place.apiserver),
            draft.pure(&place.ca_hash),
            draft.pure(&timestamp_ms),
            draft.pure(&signature.as_slice()),
            clock(&mut draft),
        ];
        self.call(&mut draft, MODULE, "set_place", arguments);
        draft
    }

    /// `k8s_gateway::grant`: gives an address a role (`view`, `edit`, `admin`, `cluster-admin`) in a namespace,
    /// or in the whole cluster when `namespace` is empty.
    pub fn grant(
        &self,
        cluster: Address,
        admin: Admin,
        grantee: Address,
        namespace: &str,
        role: &str,
    ) -> Draft {
        let mut draft = Draft::new();
        let arguments = vec![
            draft.object(cluster),
            draft.object(admin.governance),
            draft.object(admin.cap),
            draft.pure(&grantee),
            draft.pure(namespace),
            draft.pure(role),
            clock(&mut draft),
        ];
        self.call(&mut draft, MODULE, "grant", arguments);
        draft
    }

    /// `k8s_gateway::revoke_grant`: takes a role back.
    pub fn revoke_grant(&self, admin: Admin, grant: Address) -> Draft {
        let mut draft = Draft::new();
        let arguments = vec![
            draft.object_mut(grant),
            draft.object(admin.governance),
            draft.object(admin.cap),
            clock(&mut draft),
        ];
        self.call(&mut draft, MODULE, "revoke_grant", arguments);
        draft
    }
}
