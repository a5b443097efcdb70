use sui_sdk_types::Address;

use super::{Admin, Calls};
use crate::Draft;

/// An object that is brought to the version of an upgraded package.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Migrating {
    /// A [`Cluster`](crate::Cluster).
    Cluster(Address),
    /// A cluster's [`Names`](crate::Names).
    Names(Address),
    /// A [`Grant`](crate::Grant).
    Grant(Address),
    /// A cluster's [`Registry`](crate::Registry).
    Registry(Address),
    /// An [`Enclave`](crate::Enclave).
    Enclave(Address),
    /// A cluster's [`Anchor`](crate::Anchor).
    Anchor(Address),
    /// A cluster's reward [`Pool`](crate::Pool).
    Pool(Address),
    /// An [`Epoch`](crate::Epoch) of rewards.
    Epoch(Address),
    /// A [`Shard`](crate::Shard) of rewards.
    Shard(Address),
    /// A cluster's [`Insurance`](crate::Insurance).
    Insurance(Address),
    /// An [`Escrow`](crate::Escrow).
    Escrow(Address),
    /// A [`Stake`](crate::Stake).
    Stake(Address),
    /// A [`SealToken`](crate::SealToken).
    Token(Address),
    /// A [`Case`](crate::Case).
    Case(Address),
}

impl Calls {
    /// `governance::migrate`: moves the cluster to the package's version; its other objects follow by
    /// [`Calls::migrate`].
    pub fn migrate_governance(&self, admin: Admin) -> Draft {
        self.entry("governance", "migrate").write(admin.governance).read(admin.cap).at_now()
    }

    /// `upgrade::migrate`: brings the upgrader to the package's version.
    pub fn migrate_upgrader(&self, upgrader: Address) -> Draft {
        self.entry("upgrade", "migrate").write(upgrader).draft()
    }

    /// The `migrate` of an object's module: brings it to the version that `governance` is at; anybody may.
    pub fn migrate(&self, object: Migrating, governance: Address) -> Draft {
        let (module, function, id) = match object {
            Migrating::Cluster(id) => ("k8s_gateway", "migrate_cluster", id),
            Migrating::Names(id) => ("k8s_gateway", "migrate_names", id),
            Migrating::Grant(id) => ("k8s_gateway", "migrate_grant", id),
            Migrating::Registry(id) => ("enclave", "migrate_registry", id),
            Migrating::Enclave(id) => ("enclave", "migrate_enclave", id),
            Migrating::Anchor(id) => ("anchor", "migrate", id),
            Migrating::Pool(id) => ("rewards", "migrate_pool", id),
            Migrating::Epoch(id) => ("rewards", "migrate_epoch", id),
            Migrating::Shard(id) => ("rewards", "migrate_shard", id),
            Migrating::Insurance(id) => ("insurance", "migrate", id),
            Migrating::Escrow(id) => ("usage", "migrate", id),
            Migrating::Stake(id) => ("staking", "migrate", id),
            Migrating::Token(id) => ("seal_token", "migrate", id),
            Migrating::Case(id) => ("slashing", "migrate", id),
        };
        self.entry(module, function).write(id).read(governance).draft()
    }
}
