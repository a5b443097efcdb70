//! Checks that what is declared here is what `contracts/sources` declares.

use serde::de::{Deserialize, Deserializer, Visitor, value::Error};

/// Names of a struct's fields, in the order of its BCS form.
pub(crate) fn fields<'de, T: Deserialize<'de>>() -> &'static [&'static str] {
    let mut fields: &'static [&'static str] = &[];
    // Always an error: it only wants to be asked for a struct.
    assert!(T::deserialize(Probe(&mut fields)).is_err());
    fields
}

struct Probe<'a>(&'a mut &'static [&'static str]);

impl<'de> Deserializer<'de> for Probe<'_> {
    type Error = Error;

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        fields: &'static [&'static str],
        _visitor: V,
    ) -> Result<V::Value, Error> {
        *self.0 = fields;
        Err(serde::de::Error::custom("fields taken"))
    }

    fn deserialize_any<V: Visitor<'de>>(self, _visitor: V) -> Result<V::Value, Error> {
        Err(serde::de::Error::custom("not a struct"))
    }

    serde::forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf option unit unit_struct
        newtype_struct seq tuple tuple_struct map enum identifier ignored_any
    }
}

mod tests {
    use std::collections::BTreeSet;

    use crate::package::SOURCES;
    use crate::{EnclaveClaims, Place, TierTerms, events, objects};

    fn source(module: &str) -> &'static str {
        SOURCES.iter().find(|(name, _)| *name == module).unwrap_or_else(|| panic!("no module {module}")).1
    }

    /// Field names of a Move struct.
    fn move_fields(module: &str, name: &str) -> Vec<&'static str> {
        let text = source(module);
        let start =
            text.find(&format!("public struct {name} has")).unwrap_or_else(|| panic!("no {module}::{name}"));
        let body = &text[start..];
        let body = &body[body.find('{').unwrap() + 1..body.find('}').unwrap()];
        body.lines()
            .map(str::trim)
            .filter(|line| !line.is_empty() && !line.starts_with("//"))
            .map(|line| line.split_once(':').unwrap().0)
            .collect()
    }

    /// What a field is called here, where it is not what Move calls it.
    fn renamed<'a>(name: &str, field: &'a str) -> Vec<&'a str> {
        match (name, field) {
            ("Stake", "balance") => vec!["amount"],
            // A `Table` is an id and a size.
            ("Names", "stakes") => vec!["table", "size"],
            _ => vec![field],
        }
    }

    #[test]
    fn structs_have_the_fields_of_the_sources_in_their_order() {
        let statements = [
            ("enclave", "Claims", super::fields::<EnclaveClaims>()),
            ("tcb", "Bounds", super::fields::<crate::TcbBounds>()),
            ("k8s_gateway", "Place", super::fields::<Place>()),
            ("k8s_gateway", "Config", super::fields::<crate::Config>()),
            ("k8s_gateway", "Tier", super::fields::<TierTerms>()),
            ("economics", "Economics", super::fields::<crate::Economics>()),
            ("governance", "Pending", super::fields::<crate::PendingEconomics>()),
            ("governance", "Offer", super::fields::<crate::Offer>()),
            ("insurance", "Payout", super::fields::<crate::Payout>()),
            ("staking", "Penalties", super::fields::<crate::Penalties>()),
            ("upgrade", "Proposal", super::fields::<crate::UpgradeProposal>()),
            ("slashing", "Evidence", super::fields::<crate::Evidence>()),
            ("slashing", "NodeStatement", super::fields::<crate::NodeStatement>()),
            ("rewards", "Shares", super::fields::<crate::Shares>()),
            ("anchor", "Point", super::fields::<crate::Point>()),
            ("anchor", "Unanchored", super::fields::<crate::Unanchored>()),
            ("seal_policy", "Sealed", super::fields::<crate::Sealed>()),
            ("seal_policy", "Sealing", super::fields::<crate::Sealing>()),
        ];
        for (module, name, ours) in events::known().into_iter().chain(objects::known()).chain(statements) {
            let theirs: Vec<_> =
                move_fields(module, name).into_iter().flat_map(|field| renamed(name, field)).collect();
            assert_eq!(ours, theirs, "{module}::{name}");
        }
    }

    #[test]
    fn every_event_of_the_sources_is_known() {
        let known: BTreeSet<_> =
            events::known().into_iter().map(|(module, name, _)| (module, name)).collect();
        let mut emitted = BTreeSet::new();
        for (module, text) in SOURCES {
            for (_, rest) in
                text.match_indices("event::emit(").map(|(at, found)| text.split_at(at + found.len()))
            {
                emitted.insert((*module, rest.split([' ', '{']).next().unwrap()));
            }
        }
        assert_eq!(known, emitted);
    }

    #[test]
    fn every_entry_of_the_sources_has_a_call() {
        let calls = [
            include_str!("calls/anchor.rs"),
            include_str!("calls/caps.rs"),
            include_str!("calls/cluster.rs"),
            include_str!("calls/enclave.rs"),
            include_str!("calls/governance.rs"),
            include_str!("calls/insurance.rs"),
            include_str!("calls/migration.rs"),
            include_str!("calls/rewards.rs"),
            include_str!("calls/seal_policy.rs"),
            include_str!("calls/seal_token.rs"),
            include_str!("calls/slashing.rs"),
            include_str!("calls/staking.rs"),
            include_str!("calls/trust.rs"),
            include_str!("calls/upgrade.rs"),
            include_str!("calls/usage.rs"),
        ]
        .concat();
        let entries: Vec<_> = SOURCES.iter().flat_map(|(module, text)| entries(module, text)).collect();
        assert!(entries.len() >= 70, "{}", entries.len());
        for (module, name) in entries {
            assert!(calls.contains(&format!("\"{name}\"")), "no call for {module}::{name}");
            let at = SOURCES.iter().position(|(found, _)| *found == module).unwrap();
            let compiled = &crate::package::bundled().modules[at];
            let there = compiled.windows(name.len()).any(|bytes| bytes == name.as_bytes());
            assert!(there, "{module}::{name} is not in the compiled module");
        }
    }

    /// Public functions that change something: those that give nothing back, and the upgrade's ticket.
    fn entries<'a>(module: &'a str, text: &'a str) -> Vec<(&'a str, &'a str)> {
        text.match_indices("\npublic fun ")
            .map(|(at, found)| text[at + found.len()..].split_once('{').unwrap().0)
            .filter(|head| !head.contains("):") || head.contains("): UpgradeTicket"))
            .map(|head| (module, head.split(['(', '<']).next().unwrap()))
            .filter(|(_, name)| !name.starts_with("check"))
            .collect()
    }
}
