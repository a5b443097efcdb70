//! Transactions, over gRPC with the unchanged client: what is executed, what is refused, what it
//! does to objects.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use common::{Chain, SUI, Wallet, payment, sui};
use sui_crypto::SuiSigner;
use sui_rpc::proto::sui::rpc::v2 as proto;
use sui_sdk_types::{
    Address, CommandArgumentError, ExecutionError, ExecutionStatus, IdOperation, ObjectIn, ObjectOut, Owner,
};
use sui_transaction_builder::{ObjectInput, TransactionBuilder};
use tonic::Code;

#[tokio::test]
async fn a_payment_moves_money_and_nothing_is_lost() {
    let mut chain = Chain::start().await;
    let alice = chain.wallet(1).await;
    let bob = Wallet::new(2);
    let (gas, before) = chain.coins(alice.address).await.remove(0);

    let transaction = payment(&alice, &gas, bob.address, 7 * SUI).try_build().unwrap();
    let executed = chain.send(&transaction, &[&alice]).await.unwrap().assert_success();

    let effects = executed.effects();
    let gas_used = effects.gas_used.net_gas_usage();
    assert_eq!(chain.balance(bob.address).await, 7 * SUI);
    let after = chain.balance(alice.address).await;
    assert_eq!(i128::from(after), i128::from(before - 7 * SUI) - i128::from(gas_used));

    assert_eq!(effects.transaction_digest, transaction.digest());
    assert_eq!(effects.lamport_version, gas.version() + 1);
    let [created] = executed.created("0x2::coin::Coin<0x2::sui::SUI>").try_into().unwrap();
    let coin = chain.object(*created.object_id()).await.unwrap();
    assert_eq!(coin.digest(), *created.digest());
    assert_eq!(coin.owner(), &Owner::Address(bob.address));
    assert_eq!(coin.previous_transaction(), transaction.digest());
    let gas_change = &effects.changed_objects[effects.gas_object_index.unwrap() as usize];
    assert_eq!(gas_change.object_id, *gas.object_id());
    assert!(matches!(gas_change.input_state, ObjectIn::Exist { version, .. } if version == gas.version()));

    let changes = executed.0.balance_changes;
    let amount = |who: Address| {
        let change = changes.iter().find(|change| change.address() == who.to_string()).unwrap();
        change.amount().parse::<i128>().unwrap()
    };
    assert_eq!(amount(bob.address), i128::from(7 * SUI));
    assert_eq!(amount(alice.address), i128::from(after) - i128::from(before));
}

#[tokio::test]
async fn the_builder_resolves_gas_and_objects_by_simulation() {
    let mut chain = Chain::start().await;
    let alice = chain.wallet(1).await;
    chain.devnet.faucet(alice.address, 3 * SUI).await.unwrap();
    let coins = chain.coins(alice.address).await;
    let small = coins.last().unwrap().0.clone();

    let mut builder = TransactionBuilder::new();
    let coin = builder.object(ObjectInput::new(*small.object_id()));
    let gas = builder.gas();
    builder.merge_coins(gas, vec![coin]);
    let executed = chain.execute(&alice, builder).await.unwrap().assert_success();

    let effects = executed.effects();
    let merged = effects.changed_objects.iter().find(|c| c.object_id == *small.object_id()).unwrap();
    assert_eq!(merged.output_state, ObjectOut::NotExist);
    assert_eq!(merged.id_operation, IdOperation::Deleted);
    let gone = chain.object(*small.object_id()).await.unwrap_err();
    assert_eq!(gone.code(), Code::NotFound);
    assert_eq!(chain.coins(alice.address).await.len(), 1);
    let budget = executed.0.transaction().gas_payment().budget();
    assert!(budget >= effects.gas_used.gas_used() && budget < SUI, "{budget}");
}

#[tokio::test]
async fn the_same_transaction_twice_is_executed_once() {
    let mut chain = Chain::start().await;
    let alice = chain.wallet(1).await;
    let (gas, _) = chain.coins(alice.address).await.remove(0);
    let transaction = payment(&alice, &gas, Address::TWO, SUI).try_build().unwrap();

    let first = chain.send(&transaction, &[&alice]).await.unwrap();
    let balance = chain.balance(alice.address).await;
    let again = chain.send(&transaction, &[&alice]).await.unwrap();
    assert_eq!(first.0.effects().digest(), again.0.effects().digest());
    assert_eq!(first.0.checkpoint(), again.0.checkpoint());
    assert_eq!(chain.balance(alice.address).await, balance);

    // Not by luck of the client: the execution service alone answers the same.
    let signature = alice.key.sign_transaction(&transaction).unwrap();
    let request = proto::ExecuteTransactionRequest::default()
        .with_transaction(transaction)
        .with_signatures(vec![signature.into()]);
    let response = chain.client.execution_client().execute_transaction(request).await.unwrap();
    assert_eq!(response.into_inner().transaction().checkpoint(), first.0.checkpoint());
}

#[tokio::test]
async fn of_two_transactions_with_one_coin_one_is_refused() {
    let mut chain = Chain::start().await;
    let alice = chain.wallet(1).await;
    let (gas, _) = chain.coins(alice.address).await.remove(0);
    let one = payment(&alice, &gas, Address::TWO, SUI).try_build().unwrap();
    let other = payment(&alice, &gas, Address::ZERO, SUI).try_build().unwrap();

    chain.send(&one, &[&alice]).await.unwrap().assert_success();
    let refused = chain.send(&other, &[&alice]).await.map(|_| ()).unwrap_err();
    assert_eq!(refused.code(), Code::FailedPrecondition);
    assert!(refused.message().contains("is not available"), "{refused}");
    assert_eq!(chain.balance(Address::ZERO).await, 0);
}

#[tokio::test]
async fn signatures_that_do_not_authorise_are_refused() {
    let mut chain = Chain::start().await;
    let alice = chain.wallet(1).await;
    let mallory = chain.wallet(2).await;
    let (gas, _) = chain.coins(alice.address).await.remove(0);
    let transaction = payment(&alice, &gas, mallory.address, SUI).try_build().unwrap();

    for signers in [vec![], vec![&mallory], vec![&alice, &mallory]] {
        let refused = chain.send(&transaction, &signers).await.map(|_| ()).unwrap_err();
        assert_eq!(refused.code(), Code::InvalidArgument, "{refused}");
        assert!(refused.message().contains("not authorised"), "{refused}");
    }
    // The right key over another transaction.
    let other = payment(&alice, &gas, mallory.address, 2 * SUI).try_build().unwrap();
    let signature = alice.key.sign_transaction(&other).unwrap();
    let request = proto::ExecuteTransactionRequest::default()
        .with_transaction(transaction)
        .with_signatures(vec![signature.into()]);
    let refused = chain.client.execution_client().execute_transaction(request).await.unwrap_err();
    assert!(refused.message().contains("is wrong"), "{refused}");
    assert_eq!(chain.balance(mallory.address).await, 100 * SUI);
}

#[tokio::test]
async fn somebody_elses_objects_are_refused() {
    let mut chain = Chain::start().await;
    let alice = chain.wallet(1).await;
    let mallory = chain.wallet(2).await;
    let (hers, _) = chain.coins(alice.address).await.remove(0);
    let (own, _) = chain.coins(mallory.address).await.remove(0);

    let as_gas = payment(&mallory, &hers, mallory.address, SUI).try_build().unwrap();
    let mut builder = payment(&mallory, &own, mallory.address, SUI);
    let coin = builder.object(ObjectInput::owned(*hers.object_id(), hers.version(), *hers.digest()));
    let to = builder.pure(&mallory.address);
    builder.transfer_objects(vec![coin], to);
    let as_input = builder.try_build().unwrap();
    for transaction in [as_gas, as_input] {
        let refused = chain.send(&transaction, &[&mallory]).await.map(|_| ()).unwrap_err();
        assert_eq!(refused.code(), Code::InvalidArgument, "{refused}");
        assert!(refused.message().contains("owned by"), "{refused}");
    }
}

#[tokio::test]
async fn a_failed_transaction_costs_gas_and_does_nothing_else() {
    let mut chain = Chain::start().await;
    let alice = chain.wallet(1).await;
    let (gas, before) = chain.coins(alice.address).await.remove(0);
    let transaction = payment(&alice, &gas, Address::TWO, before).try_build().unwrap();

    let executed = chain.send(&transaction, &[&alice]).await.unwrap();
    let effects = executed.effects();
    let error = ExecutionError::InsufficientCoinBalance;
    assert_eq!(effects.status, ExecutionStatus::Failure { error, command: Some(0) });
    assert_eq!(effects.changed_objects.len(), 1);
    let after = chain.balance(alice.address).await;
    assert_eq!(i128::from(after), i128::from(before) - i128::from(effects.gas_used.net_gas_usage()));
    assert!(after < before);
    assert_eq!(chain.balance(Address::TWO).await, 0);
    let (now, _) = chain.coins(alice.address).await.remove(0);
    assert_eq!(now.version(), gas.version() + 1);
}

#[tokio::test]
async fn gas_coins_are_merged_and_bounds_are_kept() {
    let mut chain = Chain::start().await;
    let alice = chain.wallet(1).await;
    chain.devnet.faucet(alice.address, 5 * SUI).await.unwrap();
    let coins = chain.coins(alice.address).await;
    let total: u64 = coins.iter().map(|(_, balance)| balance).sum();

    let mut builder = payment(&alice, &coins[1].0, Address::TWO, 50 * SUI);
    let second = &coins[0].0;
    builder.add_gas_objects([ObjectInput::owned(*second.object_id(), second.version(), *second.digest())]);
    let executed = chain.send(&builder.try_build().unwrap(), &[&alice]).await.unwrap().assert_success();
    let left = chain.coins(alice.address).await;
    assert_eq!(left.len(), 1);
    assert_eq!(left[0].0.object_id(), coins[1].0.object_id());
    let used = executed.effects().gas_used.net_gas_usage();
    assert_eq!(i128::from(left[0].1), i128::from(total - 50 * SUI) - i128::from(used));

    let gas = left[0].0.clone();
    for (price, budget) in
        [(999, SUI), (50_000_000_001, SUI), (1_000, 999_999), (1_000, 2_000 * SUI), (1_000, 50_001 * SUI)]
    {
        let mut builder = payment(&alice, &gas, Address::TWO, 1);
        builder.set_gas_price(price);
        builder.set_gas_budget(budget);
        let refused = chain.send(&builder.try_build().unwrap(), &[&alice]).await.map(|_| ()).unwrap_err();
        assert!(refused.message().contains("gas"), "{refused}");
    }
}

#[tokio::test]
async fn values_are_used_by_the_rules() {
    let mut chain = Chain::start().await;
    let alice = chain.wallet(1).await;
    let (gas, _) = chain.coins(alice.address).await.remove(0);
    let start = |amount: u64| {
        let mut builder = payment(&alice, &gas, alice.address, 1);
        let coin = builder.gas();
        let amount = builder.pure(&amount);
        let coins = builder.split_coins(coin, vec![amount]);
        (builder, coins)
    };
    let argument = |argument, kind| ExecutionError::CommandArgumentError { argument, kind };

    let (unused, _) = start(5);
    let (mut twice, coins) = start(5);
    let to = twice.pure(&alice.address);
    twice.transfer_objects(vec![coins[0], coins[0]], to);
    let (mut address, coins) = start(5);
    let to = address.pure(&1u8);
    address.transfer_objects(coins, to);
    let (mut missing, _) = start(5);
    let coins = missing.gas().to_nested(1);
    drop(coins);
    let (mut into_itself, coins) = start(5);
    into_itself.merge_coins(coins[0], vec![coins[0]]);
    let to = into_itself.pure(&alice.address);
    into_itself.transfer_objects(coins, to);

    let cases = [
        (unused, ExecutionError::UnusedValueWithoutDrop { result: 2, subresult: 0 }),
        (twice, argument(1, CommandArgumentError::InvalidValueUsage)),
        (address, argument(1, CommandArgumentError::InvalidBcsBytes)),
        (into_itself, argument(1, CommandArgumentError::InvalidValueUsage)),
    ];
    for (builder, expected) in cases {
        let transaction = builder.try_build().unwrap();
        let simulated = simulate(&mut chain, &transaction).await;
        let ExecutionStatus::Failure { error, .. } = simulated else { panic!("{expected:?} succeeds") };
        assert_eq!(error, expected);
    }
    drop(missing);
}

async fn simulate(chain: &mut Chain, transaction: &sui_sdk_types::Transaction) -> ExecutionStatus {
    let request = proto::SimulateTransactionRequest::default().with_transaction(transaction.clone());
    let response = chain.client.execution_client().simulate_transaction(request).await.unwrap();
    let response = response.into_inner();
    let effects: sui_sdk_types::TransactionEffects =
        response.transaction().effects().bcs().deserialize().unwrap();
    effects.status().clone()
}

#[tokio::test]
async fn a_sponsor_pays_if_both_sign() {
    let mut chain = Chain::start().await;
    let alice = chain.wallet(1).await;
    let sponsor = chain.wallet(2).await;
    let (coin, _) = chain.coins(alice.address).await.remove(0);
    let (gas, _) = chain.coins(sponsor.address).await.remove(0);

    let mut builder = TransactionBuilder::new();
    builder.set_sender(alice.address);
    builder.set_sponsor(sponsor.address);
    builder.set_gas_budget(SUI);
    builder.set_gas_price(1_000);
    builder.add_gas_objects([ObjectInput::owned(*gas.object_id(), gas.version(), *gas.digest())]);
    let object = builder.object(ObjectInput::owned(*coin.object_id(), coin.version(), *coin.digest()));
    let to = builder.pure(&Address::TWO);
    builder.transfer_objects(vec![object], to);
    let transaction = builder.try_build().unwrap();

    assert!(chain.send(&transaction, &[&alice]).await.is_err());
    chain.send(&transaction, &[&alice, &sponsor]).await.unwrap().assert_success();
    assert_eq!(chain.balance(Address::TWO).await, 100 * SUI);
    assert!(chain.balance(sponsor.address).await < 100 * SUI);
}

#[tokio::test]
async fn coins_are_selected_from_the_largest() {
    let chain = Chain::start().await;
    let alice = chain.wallet(1).await;
    for amount in [3, 1, 2] {
        chain.devnet.faucet(alice.address, amount * SUI).await.unwrap();
    }
    let balances: Vec<_> = chain.coins(alice.address).await.iter().map(|(_, b)| b / SUI).collect();
    assert_eq!(balances, [100, 3, 2, 1]);
    let selected = chain.client.select_coins(&alice.address, &sui(), 102 * SUI, &[]).await.unwrap();
    assert_eq!(selected.len(), 2);
    let refused = chain.client.select_coins(&alice.address, &sui(), 107 * SUI, &[]).await;
    assert_eq!(refused.unwrap_err().code(), Code::FailedPrecondition);
}
