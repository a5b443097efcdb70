use sui_sdk_types::{Address, GasCostSummary, ObjectReference};

use crate::Error;

/// Sui refuses more coins in one gas payment.
pub(crate) const MAX_GAS_COINS: usize = 256;
/// Budget of the dry run when the wallet has it: half a SUI, far above what any of our calls costs.
const PROBE_BUDGET: u64 = 500_000_000;
/// Sui's protocol refuses a budget under this many units of gas.
const MIN_GAS_UNITS: u64 = 2_000;
/// Sui's protocol refuses a higher budget: 50 SUI.
const MAX_BUDGET: u64 = 50_000_000_000;

/// A `Coin<SUI>` of the wallet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct GasCoin {
    pub(crate) reference: ObjectReference,
    pub(crate) balance: u64,
}

/// The coins that pay, and how much of them the dry run may burn.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Payment {
    pub(crate) coins: Vec<ObjectReference>,
    pub(crate) probe_budget: u64,
    /// Everything in `coins` that is not spent by the transaction itself.
    pub(crate) limit: u64,
    have: u64,
}

/// Chooses coins that cover `spends` and gas, the largest first so that few are needed.
pub(crate) fn select(
    address: Address,
    mut coins: Vec<GasCoin>,
    spends: u64,
    gas_price: u64,
) -> Result<Payment, Error> {
    coins.sort_by(|a, b| {
        b.balance.cmp(&a.balance).then_with(|| a.reference.object_id().cmp(b.reference.object_id()))
    });
    let least = MIN_GAS_UNITS.saturating_mul(gas_price);
    let wanted = spends.saturating_add(PROBE_BUDGET.max(least));
    let mut chosen = Vec::new();
    let mut have = 0u64;
    for coin in coins.into_iter().take(MAX_GAS_COINS) {
        if have >= wanted {
            break;
        }
        have = have.saturating_add(coin.balance);
        chosen.push(coin.reference);
    }
    let need = spends.saturating_add(least);
    if chosen.is_empty() || have < need {
        return Err(Error::InsufficientGas { address, have, need });
    }
    let limit = (have - spends).min(MAX_BUDGET);
    Ok(Payment { coins: chosen, probe_budget: limit.min(PROBE_BUDGET.max(least)), limit, have })
}

/// One coin that covers `spends`, for a sender whose gas somebody else pays: the smallest that does.
pub(crate) fn purse(address: Address, coins: Vec<GasCoin>, spends: u64) -> Result<ObjectReference, Error> {
    let have = coins.iter().map(|coin| coin.balance).max().unwrap_or_default();
    coins
        .into_iter()
        .filter(|coin| coin.balance >= spends)
        .min_by_key(|coin| coin.balance)
        .map(|coin| coin.reference)
        .ok_or(Error::NoCoin { address, have, need: spends })
}

impl Payment {
    /// The budget to sign for, after a dry run cost `used`: a fifth more, so that a slightly larger
    /// state at execution does not fail it.
    pub(crate) fn budget(
        &self,
        address: Address,
        used: &GasCostSummary,
        gas_price: u64,
    ) -> Result<u64, Error> {
        let cost = used.computation_cost.saturating_add(used.storage_cost);
        let least = MIN_GAS_UNITS.saturating_mul(gas_price);
        let budget = cost.saturating_add(cost / 5).saturating_add(least / 2).max(least);
        if budget <= self.limit {
            return Ok(budget);
        }
        // The margin is a courtesy; the cost itself is not.
        if cost.max(least) <= self.limit {
            return Ok(self.limit);
        }
        Err(Error::InsufficientGas { address, have: self.have, need: self.have - self.limit + budget })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use sui_sdk_types::Digest;

    use super::*;

    fn coin(id: u8, balance: u64) -> GasCoin {
        GasCoin { reference: ObjectReference::new(Address::new([id; 32]), 1, Digest::ZERO), balance }
    }

    fn cost(computation: u64, storage: u64) -> GasCostSummary {
        GasCostSummary::new(computation, storage, 0, 0)
    }

    #[test]
    fn an_empty_wallet_is_told_what_it_needs() {
        let error = select(Address::ZERO, vec![], 100, 1000).unwrap_err();
        assert!(matches!(error, Error::InsufficientGas { have: 0, need: 2_000_100, .. }), "{error}");
    }

    #[test]
    fn what_is_spent_does_not_pay_for_gas() {
        let error = select(Address::ZERO, vec![coin(1, 1_999_999 + 100)], 100, 1000).unwrap_err();
        assert!(matches!(error, Error::InsufficientGas { have: 2_000_099, need: 2_000_100, .. }), "{error}");
        assert!(select(Address::ZERO, vec![coin(1, 2_000_000 + 100)], 100, 1000).is_ok());
    }

    #[test]
    fn one_large_coin_is_enough() {
        let payment = select(Address::ZERO, vec![coin(1, 5), coin(2, 10_000_000_000)], 1000, 1000).unwrap();
        assert_eq!(payment.coins.len(), 1);
        assert_eq!(payment.probe_budget, PROBE_BUDGET);
    }

    #[test]
    fn a_poor_wallet_may_spend_all_it_has_on_gas() {
        let payment = select(Address::ZERO, vec![coin(1, 3_000_000)], 0, 1000).unwrap();
        assert_eq!(payment.probe_budget, 3_000_000);
        assert_eq!(payment.budget(Address::ZERO, &cost(1_000_000, 1_900_000), 1000).unwrap(), 3_000_000);
        assert!(payment.budget(Address::ZERO, &cost(1_000_000, 2_000_001), 1000).is_err());
    }

    proptest! {
        #[test]
        fn a_payment_always_covers_what_is_spent_and_budgeted(
            balances in proptest::collection::vec(any::<u64>(), 0..400),
            spends: u64,
            gas_price in 1u64..100_000,
            computation in 0u64..1_000_000_000,
            storage in 0u64..1_000_000_000,
        ) {
            let coins: Vec<_> = balances.iter().enumerate()
                .map(|(i, b)| GasCoin { balance: *b, reference: ObjectReference::new(
                    Address::new([(i % 251) as u8; 32]), i as u64, Digest::ZERO) })
                .collect();
            if let Ok(payment) = select(Address::ZERO, coins.clone(), spends, gas_price) {
                prop_assert!(payment.coins.len() <= MAX_GAS_COINS);
                let have = coins.iter().filter(|c| payment.coins.contains(&c.reference))
                    .fold(0u64, |sum, c| sum.saturating_add(c.balance));
                prop_assert!(have >= spends.saturating_add(payment.probe_budget));
                if let Ok(budget) = payment.budget(Address::ZERO, &cost(computation, storage), gas_price) {
                    prop_assert!(have >= spends.saturating_add(budget));
                    prop_assert!(budget >= computation + storage);
                    prop_assert!(budget <= MAX_BUDGET);
                }
            }
        }
    }
}
