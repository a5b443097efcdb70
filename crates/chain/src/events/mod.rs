mod anchor;
mod cluster;
mod enclave;
mod governance;
mod insurance;
mod rewards;
mod seal_policy;
mod seal_token;
mod slashing;
mod staking;
mod upgrade;
mod usage;

pub use anchor::{AnchorCreated, Anchored, OpenedUnanchored};
pub use cluster::{ClusterCreated, ConfigChanged, GrantRevoked, Granted, PauseChanged, PlaceChanged};
pub use enclave::{
    EnclaveRegistered, EnclaveRevoked, MeasurementAllowed, MeasurementRetired, RegistryCreated,
    RetirementPlanned, StatementAccepted, TcbBoundsCleared, TcbBoundsSet, VerifiersSet,
    WorkerMeasurementAllowed, WorkerMeasurementRetired,
};
pub use governance::{
    CapIssued, CapOfferWithdrawn, CapOffered, CapRevoked, EconomicsCancelled, EconomicsChanged,
    EconomicsProposed, Migrated,
};
pub use insurance::{InsuranceCreated, InsuranceFunded, PaidOut, PayoutCancelled, PayoutProposed};
pub use rewards::{Claimed, EpochPosted, EpochSwept, PoolCreated, PoolFunded, ShardOpened, ShardSwept};
pub use seal_policy::SecretSealed;
pub use seal_token::{KeyRotated, TokenIssued, TokenRenewed, TokenRevoked};
pub use slashing::{
    ContradictionShown, EvidenceShown, SlashContested, SlashDropped, SlashExecuted, SlashProposed,
};
pub use staking::{MaintenanceAnnounced, Staked, ToppedUp, UnstakeRequested, Withdrawn};
use sui_sdk_types::Address;
pub use upgrade::{
    UpgradeAuthorized, UpgradeCancelled, UpgradeProposed, Upgraded, UpgraderAccepted, UpgraderCreated,
    UpgraderMigrated, UpgraderOffered,
};
pub use usage::{EscrowChanged, EscrowClosed, EscrowOpened, UsageCollected};

macro_rules! events {
    (
        of a cluster { $($name:ident in $module:literal: $doc:literal),* $(,)? }
        of a package { $($other:ident in $place:literal: $note:literal),* $(,)? }
    ) => {
        /// What the contracts say has happened. Enough to rebuild all of their state.
        #[derive(Clone, Debug, PartialEq, Eq)]
        #[non_exhaustive]
        pub enum Event {
            $(#[doc = $doc] $name($name),)*
            $(#[doc = $note] $other($other),)*
            /// An event of our package that this version does not know or cannot decode.
            Unknown {
                /// `module::Name`.
                name: String,
                /// Its BCS bytes.
                contents: Vec<u8>,
            },
        }

        impl Event {
            /// Decodes an event of our package. Never fails: what is not understood is [`Event::Unknown`].
            pub fn decode(event: &sui_sdk_types::Event) -> Event {
                let (module, name) = (event.type_.module().as_str(), event.type_.name().as_str());
                let known = match (module, name) {
                    $(($module, stringify!($name)) => bcs::from_bytes(&event.contents).ok().map(Event::$name),)*
                    $(($place, stringify!($other)) => bcs::from_bytes(&event.contents).ok().map(Event::$other),)*
                    _ => None,
                };
                known.unwrap_or_else(|| Event::Unknown {
                    name: format!("{module}::{name}"),
                    contents: event.contents.clone(),
                })
            }

            /// The cluster that it is about; those of a package's upgrades are about all of its clusters.
            pub fn cluster(&self) -> Option<Address> {
                match self {
                    $(Event::$name(event) => Some(event.cluster),)*
                    $(Event::$other(_) => None,)*
                    Event::Unknown { .. } => None,
                }
            }

            /// `module::Name`, as the contracts call it.
            pub fn name(&self) -> String {
                match self {
                    $(Event::$name(_) => format!("{}::{}", $module, stringify!($name)),)*
                    $(Event::$other(_) => format!("{}::{}", $place, stringify!($other)),)*
                    Event::Unknown { name, .. } => name.clone(),
                }
            }

            /// Its fields, for people and programs.
            ///
            /// # Errors
            /// Never for the events of this crate, which all have a JSON form.
            pub fn to_json(&self) -> Result<serde_json::Value, serde_json::Error> {
                match self {
                    $(Event::$name(event) => serde_json::to_value(event),)*
                    $(Event::$other(event) => serde_json::to_value(event),)*
                    Event::Unknown { contents, .. } => serde_json::to_value(contents),
                }
            }
        }

        /// Every event type that is decoded: module, name, fields.
        #[cfg(test)]
        pub(crate) fn known() -> Vec<(&'static str, &'static str, &'static [&'static str])> {
            vec![
                $(($module, stringify!($name), crate::layout::fields::<$name>()),)*
                $(($place, stringify!($other), crate::layout::fields::<$other>()),)*
            ]
        }
    };
}

events! {
    of a cluster {
        CapIssued in "governance": "A capability was given to an address.",
        CapRevoked in "governance": "A capability became worthless.",
        RegistryCreated in "enclave": "A cluster's registry of trusted code was created.",
        MeasurementAllowed in "enclave": "Code may be a master.",
        MeasurementRetired in "enclave": "Code may no longer be a master.",
        VerifiersSet in "enclave": "Who verifies evidence.",
        TcbBoundsSet in "enclave": "What a platform is held to.",
        TcbBoundsCleared in "enclave": "A platform is held to nothing any more.",
        WorkerMeasurementAllowed in "enclave": "Workers may prove that they run this code.",
        WorkerMeasurementRetired in "enclave": "Workers may no longer prove that they run this code.",
        EnclaveRegistered in "enclave": "An enclave was registered.",
        ClusterCreated in "k8s_gateway": "A cluster was made.",
        ConfigChanged in "k8s_gateway": "What stakes and tokens are held to has changed.",
        PlaceChanged in "k8s_gateway": "An enclave said where the cluster is.",
        Granted in "k8s_gateway": "An address has a role.",
        GrantRevoked in "k8s_gateway": "An address no longer has a role.",
        Staked in "staking": "A stake was made.",
        ToppedUp in "staking": "A stake grew.",
        UnstakeRequested in "staking": "A stake was asked back.",
        MaintenanceAnnounced in "staking": "A node is to be taken down on purpose.",
        Withdrawn in "staking": "A stake was paid out.",
        TokenIssued in "seal_token": "A seal token was issued.",
        TokenRenewed in "seal_token": "A seal token lives longer.",
        KeyRotated in "seal_token": "A seal token belongs to another key.",
        TokenRevoked in "seal_token": "A seal token is worth nothing.",
        InsuranceCreated in "insurance": "A cluster has an insurance pool.",
        InsuranceFunded in "insurance": "The insurance pool grew.",
        PayoutProposed in "insurance": "A payout was proposed.",
        PayoutCancelled in "insurance": "A proposed payout was withdrawn.",
        PaidOut in "insurance": "A payout was made.",
        PoolCreated in "rewards": "A cluster has a reward pool.",
        PoolFunded in "rewards": "The reward pool grew.",
        EpochPosted in "rewards": "The shares of an epoch were posted; its budget left the pool.",
        ShardOpened in "rewards": "A shard of an epoch can be claimed from.",
        Claimed in "rewards": "A reward was paid.",
        ShardSwept in "rewards": "A shard is gone; what was not claimed went back to the pool.",
        EpochSwept in "rewards": "An epoch is gone; what no shard took went back to the pool.",
        AnchorCreated in "anchor": "A cluster has an anchor.",
        Anchored in "anchor": "A point of the cluster's state was anchored.",
        OpenedUnanchored in "anchor": "An enclave has served a state without having read the anchor.",
        SecretSealed in "seal_policy": "An enclave encrypted the cluster's secret to key servers of Seal.",
        EscrowOpened in "usage": "An escrow was opened.",
        EscrowChanged in "usage": "Use was paid, or money or terms of an escrow have changed.",
        UsageCollected in "usage": "What was used went to the reward pool.",
        EscrowClosed in "usage": "An escrow was ended.",
        SlashProposed in "slashing": "A penalty was proposed; its amount is frozen.",
        EvidenceShown in "slashing": "The evidence of a penalty: an enclave's statement.",
        ContradictionShown in "slashing": "The evidence of a penalty: two statements of the staker's own key.",
        SlashContested in "slashing": "A penalty was contested.",
        SlashExecuted in "slashing": "A penalty was taken.",
        SlashDropped in "slashing": "A penalty is void.",
        CapOffered in "governance": "A capability is offered to another address.",
        CapOfferWithdrawn in "governance": "The offer of a capability was withdrawn.",
        EconomicsProposed in "governance": "Other economics wait for the timelock.",
        EconomicsCancelled in "governance": "Proposed economics were withdrawn.",
        EconomicsChanged in "governance": "Economics are in force.",
        Migrated in "governance": "An object was brought to the version of the package.",
        PauseChanged in "k8s_gateway": "The cluster was paused, or the pause has ended.",
        RetirementPlanned in "enclave": "A measurement counts until a time and not from then on.",
        StatementAccepted in "enclave": "A statement of an enclave was used up.",
        EnclaveRevoked in "enclave": "An enclave has lost its standing for good.",
    }
    of a package {
        UpgraderCreated in "upgrade": "The right to upgrade is behind a timelock.",
        UpgradeProposed in "upgrade": "An upgrade was announced.",
        UpgradeCancelled in "upgrade": "An announced upgrade was withdrawn.",
        UpgradeAuthorized in "upgrade": "An announced upgrade may be made.",
        Upgraded in "upgrade": "The package was upgraded.",
        UpgraderOffered in "upgrade": "The right to upgrade is offered to another address.",
        UpgraderAccepted in "upgrade": "The right to upgrade has another owner.",
        UpgraderMigrated in "upgrade": "The upgrader has the package's version.",
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use sui_sdk_types::{Identifier, StructTag};

    use super::*;

    fn on_chain(module: &str, name: &str, contents: Vec<u8>) -> sui_sdk_types::Event {
        let (module, name) = (Identifier::new(module).unwrap(), Identifier::new(name).unwrap());
        sui_sdk_types::Event {
            package_id: Address::TWO,
            module: module.clone(),
            sender: Address::ZERO,
            type_: StructTag::new(Address::TWO, module, name, vec![]),
            contents,
        }
    }

    #[test]
    fn what_is_known_is_decoded_and_what_has_more_fields_is_not() {
        let issued = ToppedUp { cluster: Address::TWO, stake: Address::ZERO, added: 1, amount: 2 };
        let mut contents = bcs::to_bytes(&issued).unwrap();
        assert_eq!(
            Event::decode(&on_chain("staking", "ToppedUp", contents.clone())),
            Event::ToppedUp(issued)
        );
        contents.push(0);
        let unknown = Event::decode(&on_chain("staking", "ToppedUp", contents.clone()));
        assert_eq!(unknown, Event::Unknown { name: "staking::ToppedUp".into(), contents });
    }

    proptest! {
        #[test]
        fn any_bytes_are_decoded_or_unknown(which in any::<prop::sample::Index>(), bytes: Vec<u8>) {
            let known = known();
            let (module, name, _) = known[which.index(known.len())];
            let event = Event::decode(&on_chain(module, name, bytes));
            let unknown = matches!(event, Event::Unknown { .. });
            prop_assert!(event.cluster().is_none() || !unknown);
        }
    }
}
