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
            prop_assert_eq!(event.cluster().is_none(), unknown);
        }
    }
}
