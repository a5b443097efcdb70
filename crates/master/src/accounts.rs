//! What follows from an epoch: who has earned which share of its rewards, and who was up for less than agreed.
//! Pure.

use std::collections::BTreeMap;

use chain::{Economics, Share};
use serde::Serialize;
use sha2::{Digest, Sha256};

use crate::Id;
use crate::facts::address;
use crate::health::{EpochReport, NodeEpoch};
use crate::membership::Roster;

/// Faults are at most this many an epoch; more at once would be the master's own trouble.
const MAX_FAULTS: usize = 10_000;

/// The records that show a downtime, as they are published: their SHA-256 is on chain.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Records<'a> {
    cluster: String,
    from_ms: u64,
    to_ms: u64,
    /// How much of it the master did not see; it counts as up.
    unobserved_ms: u64,
    /// For how much of it the node counts as up.
    judged_up_ms: u64,
    node: &'a NodeEpoch,
}

/// A downtime with its records.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Fault {
    pub(crate) stake: Id,
    pub(crate) up_ms: u64,
    pub(crate) digest: Id,
    /// JSON.
    pub(crate) records: Vec<u8>,
}

/// The shares of an epoch: seconds of uptime, times the stake. Only stakes that are there at its end have one.
/// All are made smaller alike when their sum would not fit the contracts' numbers.
pub(crate) fn shares(report: &EpochReport, roster: &Roster) -> Vec<Share> {
    let mut weights: BTreeMap<Id, (Id, u128)> = BTreeMap::new();
    for node in &report.nodes {
        let Some(stake) = roster.stake(&node.stake) else { continue };
        let weight = u128::from(node.up_ms / 1000) * u128::from(stake.amount_mist);
        let known = weights.entry(stake.id).or_insert((stake.owner, 0));
        known.1 = known.1.saturating_add(weight);
    }
    let sum = weights.values().fold(0u128, |sum, (_, weight)| sum.saturating_add(*weight));
    let shift = (u128::BITS - sum.leading_zeros()).saturating_sub(u64::BITS - 1);
    weights
        .into_iter()
        .filter_map(|(stake, (owner, weight))| {
            let weight = u64::try_from(weight >> shift).ok().filter(|weight| *weight > 0)?;
            Some(Share { stake: address(stake), owner: address(owner), weight })
        })
        .collect()
}

/// The nodes that were up for less than agreed, of those that were there for the whole epoch.
pub(crate) fn faults(
    cluster: &str,
    report: &EpochReport,
    economics: &Economics,
    max_maintenance_ms: u64,
) -> Vec<Fault> {
    let EpochReport { from_ms, to_ms, unobserved_ms, .. } = *report;
    let agreed = u128::from(to_ms.saturating_sub(from_ms)) * u128::from(economics.uptime_bps);
    let faults = report.nodes.iter().filter(|node| node.from_ms <= from_ms).filter_map(|node| {
        let judged_up_ms = node.judged_up_ms(from_ms, to_ms, max_maintenance_ms);
        if u128::from(judged_up_ms) * 10_000 >= agreed {
            return None;
        }
        let records =
            Records { cluster: cluster.to_owned(), from_ms, to_ms, unobserved_ms, judged_up_ms, node };
        let records = serde_json::to_vec(&records).ok()?;
        let digest = Id(Sha256::digest(&records).into());
        Some(Fault { stake: node.stake, up_ms: judged_up_ms, digest, records })
    });
    faults.take(MAX_FAULTS).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::membership::{Fact, Stake, Tier};

    fn id(n: u8) -> Id {
        Id([n; 32])
    }

    fn node(stake: u8, up_ms: u64, down_ms: u64) -> NodeEpoch {
        NodeEpoch {
            name: format!("n{stake}"),
            token: id(stake),
            stake: id(stake),
            from_ms: 0,
            up_ms,
            down_ms,
            maintenance_ms: 0,
            transitions: Vec::new(),
        }
    }

    fn roster(amounts: &[u64]) -> Roster {
        let mut roster = Roster::default();
        for (n, amount_mist) in amounts.iter().enumerate() {
            let n = u8::try_from(n).unwrap();
            let (owner, tier) = (id(100 + n), Tier::Node);
            roster.apply(Fact::Stake(Stake {
                id: id(n),
                owner,
                tier,
                amount_mist: *amount_mist,
                active: true,
            }));
        }
        roster
    }

    fn report(nodes: Vec<NodeEpoch>) -> EpochReport {
        EpochReport { from_ms: 0, to_ms: 100_000, unobserved_ms: 0, nodes }
    }

    #[test]
    fn shares_are_uptime_times_stake() {
        let nodes = vec![node(0, 50_000, 0), node(1, 100_999, 0), node(2, 999, 0), node(9, 100_000, 0)];
        let shares = shares(&report(nodes), &roster(&[1_000, 10, 1_000]));
        let weights: Vec<u64> = shares.iter().map(|share| share.weight).collect();
        assert_eq!(weights, [50_000, 1_000], "nothing for less than a second, and for a stake that is gone");
        assert_eq!(shares[0].owner, address(id(100)));
    }

    proptest! {
        /// Whatever the stakes, there is a tree, and who has more does not have less of it.
        #[test]
        fn shares_always_make_a_tree(amounts in prop::collection::vec(1u64..=u64::MAX, 1..20), up in 1_000u64..=1 << 60) {
            let nodes = (0..amounts.len()).map(|n| node(n as u8, up, 0)).collect();
            let shares = shares(&report(nodes), &roster(&amounts));
            let tree = chain::RewardTree::new(chain::Address::ZERO, 1, shares.clone());
            prop_assert!(tree.is_ok(), "{tree:?}");
            for pair in shares.windows(2) {
                let amount = |share: &Share| amounts[usize::from(share.stake.into_inner()[0])];
                prop_assert!((amount(&pair[0]) < amount(&pair[1])) <= (pair[0].weight <= pair[1].weight));
            }
        }
    }

    #[test]
    fn only_who_was_down_for_too_long_is_accused() {
        let economics = Economics::default();
        let late = NodeEpoch { from_ms: 1, ..node(3, 0, 90_000) };
        let planned = NodeEpoch { maintenance_ms: 50_000, ..node(4, 50_000, 0) };
        let nodes = vec![node(0, 95_000, 5_000), node(1, 94_999, 5_001), node(2, 0, 0), late, planned];
        let faults = faults("0xc", &report(nodes), &economics, 50_000);
        let [fault] = &faults[..] else { panic!("{faults:?}") };
        assert_eq!((fault.stake, fault.up_ms), (id(1), 94_999));
        assert_eq!(fault.digest, Id(Sha256::digest(&fault.records).into()));
        let text = String::from_utf8(fault.records.clone()).unwrap();
        assert!(text.contains("\"judgedUpMs\":94999") && text.contains("\"name\":\"n1\""), "{text}");
    }
}
