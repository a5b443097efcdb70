mod cluster;
mod enclave;
mod governance;
mod seal_token;
mod staking;

pub use cluster::{ClusterCreated, ConfigChanged, GrantRevoked, Granted, PlaceChanged};
pub use enclave::{EnclaveRegistered, MeasurementAllowed, MeasurementRetired, RegistryCreated, VerifiersSet};
pub use governance::{CapIssued, CapRevoked};
pub use seal_token::{KeyRotated, TokenIssued, TokenRenewed, TokenRevoked};
pub use staking::{Staked, ToppedUp, UnstakeRequested, Withdrawn};
use sui_sdk_types::Address;

macro_rules! events {
    ($($name:ident in $module:literal: $doc:literal),* $(,)?) => {
        /// What the contracts say has happened. Enough to rebuild all of their state.
        #[derive(Clone, Debug, PartialEq, Eq)]
        #[non_exhaustive]
        pub enum Event {
            $(#[doc = $doc] $name($name),)*
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
                    _ => None,
                };
                known.unwrap_or_else(|| Event::Unknown {
                    name: format!("{module}::{name}"),
                    contents: event.contents.clone(),
                })
            }

            /// The cluster that it is about.
            pub fn cluster(&self) -> Option<Address> {
                match self {
                    $(Event::$name(event) => Some(event.cluster),)*
                    Event::Unknown { .. } => None,
                }
            }
        }

        /// Every event type that is decoded: module, name, fields.
        #[cfg(test)]
        pub(crate) fn known() -> Vec<(&'static str, &'static str, &'static [&'static str])> {
            vec![$(($module, stringify!($name), crate::layout::fields::<$name>())),*]
        }
    };
}

events! {
    CapIssued in "governance": "A capability was given to an address.",
    CapRevoked in "governance": "A capability became worthless.",
    RegistryCreated in "enclave": "A cluster's registry of trusted code was created.",
    MeasurementAllowed in "enclave": "Code may be a master.",
    MeasurementRetired in "enclave": "Code may no longer be a master.",
    VerifiersSet in "enclave": "Who verifies evidence.",
    EnclaveRegistered in "enclave": "An enclave was registered.",
    ClusterCreated in "k8s_gateway": "A cluster was made.",
    ConfigChanged in "k8s_gateway": "What stakes and tokens are held to has changed.",
    PlaceChanged in "k8s_gateway": "An enclave said where the cluster is.",
    Granted in "k8s_gateway": "An address has a role.",
    GrantRevoked in "k8s_gateway": "An address no longer has a role.",
    Staked in "staking": "A stake was made.",
    ToppedUp in "staking": "A stake grew.",
    UnstakeRequested in "staking": "A stake was asked back.",
    Withdrawn in "staking": "A stake was paid out.",
    TokenIssued in "seal_token": "A seal token was issued.",
    TokenRenewed in "seal_token": "A seal token lives longer.",
    KeyRotated in "seal_token": "A seal token belongs to another key.",
    TokenRevoked in "seal_token": "A seal token is worth nothing.",
}
