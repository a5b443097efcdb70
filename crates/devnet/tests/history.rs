//! Epochs, history that is dropped, and snapshots.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use std::time::Duration;

use common::{Chain, SUI, config, function, payment};
use devnet::{Config, Devnet, DevnetError, JournalError};
use sui_rpc::proto::sui::rpc::v2 as proto;
use sui_sdk_types::{Address, TransactionExpiration};
use sui_transaction_builder::TransactionBuilder;

async fn epoch(chain: &mut Chain, number: Option<u64>) -> Result<proto::Epoch, tonic::Status> {
    let mut request = proto::GetEpochRequest::default();
    request.epoch = number;
    request.read_mask = Some(prost_types::FieldMask { paths: vec!["*".into()] });
    Ok(chain.client.ledger_client().get_epoch(request).await?.into_inner().epoch.unwrap())
}

/// The epoch that Move code sees, and when it began.
async fn seen(chain: &mut Chain, sender: Address) -> (u64, u64) {
    let mut builder = TransactionBuilder::new();
    builder.set_sender(sender);
    builder.move_call(function("0x2::tx_context::epoch"), vec![]);
    builder.move_call(function("0x2::tx_context::epoch_timestamp_ms"), vec![]);
    let transaction = builder.build(&mut chain.client).await.unwrap();
    let request = proto::SimulateTransactionRequest::default().with_transaction(transaction);
    let simulated = chain.client.execution_client().simulate_transaction(request).await.unwrap().into_inner();
    let value = |command: usize| {
        let output = &simulated.command_outputs[command].return_values[0];
        output.value().deserialize::<u64>().unwrap()
    };
    (value(0), value(1))
}

#[tokio::test]
async fn epochs_end_when_asked_to() {
    let dir = tempfile::tempdir().unwrap();
    let mut chain = Chain::with(config().with_dir(dir.path())).await;
    let alice = chain.wallet(1).await;
    let first = epoch(&mut chain, None).await.unwrap();
    assert_eq!((first.epoch(), first.first_checkpoint(), first.last_checkpoint), (0, 0, None));
    assert_eq!(seen(&mut chain, alice.address).await.0, 0);

    chain.devnet.advance_clock(Duration::from_secs(3_600)).await.unwrap();
    let last = chain.devnet.advance_epoch().await.unwrap();
    assert_eq!(last.summary.epoch, 0);
    assert!(last.summary.end_of_epoch_data.is_some());
    let (number, ended_ms) = (last.summary.sequence_number, last.summary.timestamp_ms);
    let first = epoch(&mut chain, Some(0)).await.unwrap();
    assert_eq!(first.last_checkpoint(), number);
    assert_eq!(first.end, Some(sui_rpc::proto::timestamp_ms_to_proto(ended_ms)));
    let second = epoch(&mut chain, None).await.unwrap();
    assert_eq!((second.epoch(), second.first_checkpoint(), second.end), (1, number + 1, None));
    assert_eq!(second.start, first.end);
    assert!(epoch(&mut chain, Some(2)).await.unwrap_err().message().contains("not begun"));
    assert_eq!(seen(&mut chain, alice.address).await, (1, ended_ms));

    let (gas, _) = chain.coins(alice.address).await.remove(0);
    let mut late = payment(&alice, &gas, Address::TWO, SUI);
    late.set_expiration(TransactionExpiration::Epoch(0));
    let late = late.try_build().unwrap();
    assert!(matches!(late.expiration, TransactionExpiration::Epoch(0)));
    let refused = chain.send(&late, &[&alice]).await.map(|_| ()).unwrap_err();
    assert!(refused.message().contains("expired"), "{refused}");
    let paid = payment(&alice, &gas, Address::TWO, SUI).try_build().unwrap();
    let paid = chain.send(&paid, &[&alice]).await.unwrap().assert_success();
    assert_eq!(paid.effects().epoch, 1);
    let tip = chain.devnet.advance_clock(Duration::ZERO).await.unwrap();
    let gas = &tip.summary.epoch_rolling_gas_cost_summary;
    assert_eq!(
        gas.computation_cost,
        paid.effects().gas_used.computation_cost,
        "counted from the epoch's start"
    );

    chain.devnet.shutdown().await;
    let mut chain = Chain::with(config().with_dir(dir.path())).await;
    assert_eq!(epoch(&mut chain, None).await.unwrap().epoch(), 1);
    assert_eq!(epoch(&mut chain, Some(0)).await.unwrap().last_checkpoint(), number);
}

#[tokio::test]
async fn epochs_end_by_the_clock() {
    let mut settings = config();
    settings.epoch = Some(Duration::from_secs(60));
    let mut chain = Chain::with(settings).await;
    chain.devnet.advance_clock(Duration::from_secs(59)).await.unwrap();
    assert_eq!(epoch(&mut chain, None).await.unwrap().epoch(), 0);
    chain.devnet.advance_clock(Duration::from_secs(1)).await.unwrap();
    assert_eq!(epoch(&mut chain, None).await.unwrap().epoch(), 1);
    chain.devnet.advance_clock(Duration::from_secs(30)).await.unwrap();
    assert_eq!(epoch(&mut chain, None).await.unwrap().epoch(), 1);
}

fn short() -> Config {
    let mut settings = config();
    settings.keep_checkpoints = Some(4);
    settings
}

#[tokio::test]
async fn what_is_pruned_is_answered_so() {
    let mut chain = Chain::with(short()).await;
    let alice = chain.wallet(1).await;
    let (gas, _) = chain.coins(alice.address).await.remove(0);
    let transaction = payment(&alice, &gas, Address::TWO, SUI).try_build().unwrap();
    let executed = chain.send(&transaction, &[&alice]).await.unwrap().assert_success();
    let digest = executed.0.digest().to_owned();
    for _ in 0..6 {
        chain.devnet.advance_clock(Duration::ZERO).await.unwrap();
    }
    let mut ledger = chain.client.ledger_client();
    let info = ledger.get_service_info(proto::GetServiceInfoRequest::default()).await.unwrap().into_inner();
    let lowest = info.lowest_available_checkpoint();
    assert_eq!(info.checkpoint_height() - lowest, 3);
    assert_eq!(info.chain_id(), chain.devnet.chain_id().to_string());
    ledger.get_checkpoint(proto::GetCheckpointRequest::by_sequence_number(lowest)).await.unwrap();
    let refused = ledger.get_checkpoint(proto::GetCheckpointRequest::by_sequence_number(lowest - 1)).await;
    let refused = refused.unwrap_err();
    assert_eq!(refused.code(), tonic::Code::NotFound);
    assert!(refused.message().contains(&format!("pruned; the lowest available is {lowest}")), "{refused}");
    let list = |start| {
        let mut request = proto::ListTransactionsRequest::default();
        request.start_checkpoint = Some(start);
        request
    };
    let refused = ledger.list_transactions(list(0)).await.map(|_| ()).unwrap_err();
    assert!(refused.message().contains("pruned"), "{refused}");
    ledger.list_transactions(list(lowest)).await.unwrap();

    // The state is whole: the coin is there, the version before it is not.
    let request = proto::GetTransactionRequest::default().with_digest(&digest);
    assert_eq!(ledger.get_transaction(request).await.unwrap_err().code(), tonic::Code::NotFound);
    let now = chain.reference(*gas.object_id()).await;
    let at = |version| proto::GetObjectRequest::new(gas.object_id()).with_version(version);
    ledger.get_object(at(now.version())).await.unwrap();
    let refused = ledger.get_object(at(gas.version())).await.unwrap_err();
    assert_eq!(refused.code(), tonic::Code::NotFound);
    // Sent again, it is stale and not executed twice.
    let again = chain.send(&transaction, &[&alice]).await.map(|_| ()).unwrap_err();
    assert!(again.message().contains("is not available"), "{again}");
    assert_eq!(chain.balance(Address::TWO).await, SUI);
}

#[tokio::test]
async fn a_snapshot_goes_on_where_the_chain_was() {
    for settings in [config(), short()] {
        let (dir, copy) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let mut chain = Chain::with(settings.clone().with_dir(dir.path())).await;
        let alice = chain.wallet(1).await;
        for _ in 0..4 {
            let (gas, _) = chain.coins(alice.address).await.remove(0);
            let payment = payment(&alice, &gas, Address::TWO, SUI).try_build().unwrap();
            chain.send(&payment, &[&alice]).await.unwrap().assert_success();
        }
        chain.devnet.advance_epoch().await.unwrap();
        let tip = chain.devnet.advance_clock(Duration::ZERO).await.unwrap();
        let coins = chain.coins(alice.address).await;
        chain.devnet.snapshot(copy.path()).await.unwrap();
        let again = chain.devnet.snapshot(copy.path()).await.unwrap_err();
        assert!(matches!(again, DevnetError::Journal(JournalError::Exists { .. })), "{again}");

        let mut other = Chain::with(settings.clone().with_dir(copy.path())).await;
        assert_eq!(other.devnet.chain_id(), chain.devnet.chain_id());
        assert_eq!(other.coins(alice.address).await, coins);
        assert_eq!(epoch(&mut other, None).await.unwrap(), epoch(&mut chain, None).await.unwrap());
        let live = |chain: &Chain| {
            let mut live: Vec<_> =
                chain.devnet.node().ledger().objects().iter().map(|object| object.reference()).collect();
            live.sort_by_key(|reference| *reference.object_id());
            live
        };
        assert_eq!(live(&other), live(&chain));
        let next = other.devnet.advance_clock(Duration::ZERO).await.unwrap();
        assert_eq!(next.summary.previous_digest, Some(tip.digest));
        other.wallet(9).await;
        // And what it did since then is there after a restart.
        let coins = other.coins(alice.address).await;
        other.devnet.shutdown().await;
        let other = Chain::with(settings.with_dir(copy.path())).await;
        assert_eq!(other.coins(alice.address).await, coins);
    }
}

#[tokio::test]
async fn the_journal_of_a_short_history_stays_short() {
    let dir = tempfile::tempdir().unwrap();
    let mut settings = short().with_dir(dir.path());
    settings.compact_above = 0;
    let chain = Chain::with(settings.clone()).await;
    let alice = chain.wallet(1).await;
    let length = || std::fs::metadata(dir.path().join("chain.journal")).unwrap().len();
    let mut longest = 0;
    for round in 0..300 {
        chain.devnet.faucet(alice.address, 1_000_000 + round).await.unwrap();
        longest = longest.max(length());
    }
    let coins = chain.coins(alice.address).await;
    // The framework and three hundred coins, at most three times over.
    assert!(longest < 2 << 20, "{longest}");
    chain.devnet.shutdown().await;
    let chain = Chain::with(settings.clone()).await;
    assert_eq!(chain.coins(alice.address).await, coins);
    chain.devnet.shutdown().await;

    // A snapshot that lost its end is not taken for a chain.
    let file = dir.path().join("chain.journal");
    let chain = Chain::with(settings.clone()).await;
    let copy = tempfile::tempdir().unwrap();
    chain.devnet.snapshot(copy.path()).await.unwrap();
    chain.devnet.shutdown().await;
    let whole = std::fs::read(copy.path().join("chain.journal")).unwrap();
    std::fs::write(&file, &whole[..whole.len() - 1]).unwrap();
    let refused = Devnet::start(settings).await.map(|_| ()).unwrap_err();
    assert!(refused.to_string().contains("not whole"), "{refused}");
}
