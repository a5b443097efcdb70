//! What clients read: service info, masks, batches, pages, checkpoints, lists and streams.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use std::pin::pin;
use std::time::Duration;

use common::{Chain, SUI, config};
use futures::{StreamExt, TryStreamExt};
use sui_rpc::client::{
    CheckpointStreamRequest, CheckpointStreamStart, EventStreamRequest, EventStreamStart,
    TransactionStreamRequest, TransactionStreamStart,
};
use sui_rpc::field::{FieldMask, FieldMaskUtil};
use sui_rpc::proto::sui::rpc::v2 as proto;
use sui_rpc::proto::sui::rpc::v2::filter::transaction as tx;
use sui_sdk_types::{Address, CheckpointContents, CheckpointSummary, Digest};
use tonic::Code;

#[tokio::test]
async fn the_chain_says_what_it_is() {
    let mut chain = Chain::start().await;
    let request = proto::GetServiceInfoRequest::default();
    let response = chain.client.ledger_client().get_service_info(request).await.unwrap();
    assert_eq!(response.metadata().get("x-sui-chain").unwrap(), devnet::CHAIN_NAME);
    let info = response.into_inner();
    assert_eq!(info.chain_id(), chain.devnet.chain_id().to_string());
    assert_eq!(info.chain(), "devnet-embedded");
    assert!(info.server().starts_with("k3s-daas-devnet/") && info.server().contains("not a validator"));
    assert_eq!(chain.client.get_reference_gas_price().await.unwrap(), 1_000);
    let first = checkpoint(&mut chain, proto::GetCheckpointRequest::by_sequence_number(0)).await;
    assert_eq!(first.digest(), info.chain_id());
}

#[tokio::test]
async fn masks_are_honoured_and_checked() {
    let mut chain = Chain::start().await;
    let request = proto::GetObjectRequest::new(&Address::TWO);
    let default =
        chain.client.ledger_client().get_object(request.clone()).await.unwrap().into_inner().object.unwrap();
    assert!(default.object_id.is_some() && default.version.is_some() && default.digest.is_some());
    assert!(default.owner.is_none() && default.bcs.is_none() && default.package.is_none());
    let request = request.with_read_mask(FieldMask::from_str("owner"));
    let owner = chain.client.ledger_client().get_object(request).await.unwrap().into_inner().object.unwrap();
    assert!(owner.owner.is_some() && owner.digest.is_none());
    for mask in ["nonsense", "owner.nonsense", &"owner.".repeat(100)] {
        let request = proto::GetObjectRequest::new(&Address::TWO).with_read_mask(FieldMask::from_str(mask));
        let refused = chain.client.ledger_client().get_object(request).await.unwrap_err();
        assert_eq!(refused.code(), Code::InvalidArgument, "{mask}");
    }
}

#[tokio::test]
async fn what_is_not_there_is_not_found() {
    let mut chain = Chain::start().await;
    let mut ledger = chain.client.ledger_client();
    let nobody = Address::from_static("0xbad");
    let missing = ledger.get_object(proto::GetObjectRequest::new(&nobody)).await.unwrap_err();
    assert_eq!(missing.code(), Code::NotFound);
    let request = proto::GetTransactionRequest::default().with_digest(Digest::ZERO);
    assert_eq!(ledger.get_transaction(request).await.unwrap_err().code(), Code::NotFound);
    let request = proto::GetCheckpointRequest::by_sequence_number(1 << 40);
    assert_eq!(ledger.get_checkpoint(request).await.unwrap_err().code(), Code::NotFound);
    let request = proto::GetTransactionRequest::default().with_digest("nonsense");
    assert_eq!(ledger.get_transaction(request).await.unwrap_err().code(), Code::InvalidArgument);
    let empty = proto::GetObjectRequest::default();
    assert_eq!(ledger.get_object(empty).await.unwrap_err().code(), Code::InvalidArgument);

    let request = proto::BatchGetObjectsRequest::default().with_requests(vec![
        proto::GetObjectRequest::new(&Address::TWO),
        proto::GetObjectRequest::new(&nobody),
    ]);
    let batch = ledger.batch_get_objects(request).await.unwrap().into_inner();
    assert!(batch.objects[0].object_opt().is_some());
    assert_eq!(batch.objects[1].error().code, Code::NotFound as i32);
}

#[tokio::test]
async fn old_versions_stay_readable() {
    let mut chain = Chain::start().await;
    let alice = chain.wallet(1).await;
    let (gas, _) = chain.coins(alice.address).await.remove(0);
    let transaction = common::payment(&alice, &gas, Address::TWO, SUI).try_build().unwrap();
    chain.send(&transaction, &[&alice]).await.unwrap();
    let request = proto::GetObjectRequest::new(gas.object_id())
        .with_version(gas.version())
        .with_read_mask(FieldMask::from_str("*"));
    let old = chain.client.ledger_client().get_object(request).await.unwrap().into_inner().object.unwrap();
    assert_eq!(old.digest(), gas.digest().to_string());
    assert_eq!(old.balance(), 100 * SUI);
}

#[tokio::test]
async fn checkpoints_are_chained_and_their_digests_hold() {
    let mut chain = Chain::start().await;
    for _ in 0..3 {
        chain.wallet(1).await;
    }
    let mut previous = None;
    for number in 0..4 {
        let request =
            proto::GetCheckpointRequest::by_sequence_number(number).with_read_mask(FieldMask::from_str("*"));
        let found = checkpoint(&mut chain, request).await;
        let summary: CheckpointSummary = found.summary().bcs().deserialize().unwrap();
        let contents: CheckpointContents = found.contents().bcs().deserialize().unwrap();
        assert_eq!(summary.digest().to_string(), found.digest());
        assert_eq!(summary.previous_digest, previous);
        assert_eq!(summary.content_digest, contents.digest());
        assert_eq!(contents.transactions().len(), found.transactions.len());
        for (info, executed) in contents.transactions().iter().zip(&found.transactions) {
            let transaction: sui_sdk_types::Transaction = executed.transaction().bcs().deserialize().unwrap();
            let effects: sui_sdk_types::TransactionEffects = executed.effects().bcs().deserialize().unwrap();
            assert_eq!(*info.transaction(), transaction.digest());
            assert_eq!(*info.effects(), effects.digest());
        }
        let by_digest = proto::GetCheckpointRequest::by_digest(&summary.digest());
        assert_eq!(checkpoint(&mut chain, by_digest).await.sequence_number(), number);
        previous = Some(summary.digest());
    }
}

#[tokio::test]
async fn pages_cover_everything_once() {
    let mut chain = Chain::start().await;
    let alice = common::Wallet::new(1);
    for amount in 1..=7 {
        chain.devnet.faucet(alice.address, amount).await.unwrap();
    }
    let request = proto::ListOwnedObjectsRequest::default()
        .with_owner(alice.address)
        .with_page_size(3u32)
        .with_read_mask(FieldMask::from_str("balance"));
    let coins: Vec<_> = chain.client.list_owned_objects(request.clone()).try_collect().await.unwrap();
    let balances: Vec<_> = coins.iter().map(proto::Object::balance).collect();
    assert_eq!(balances, [7, 6, 5, 4, 3, 2, 1]);

    let page = chain.client.state_client().list_owned_objects(request.clone()).await.unwrap().into_inner();
    let token = page.next_page_token.unwrap();
    let other = request.clone().with_owner(Address::TWO).with_page_token(token.clone());
    let refused = chain.client.state_client().list_owned_objects(other).await.unwrap_err();
    assert_eq!(refused.code(), Code::InvalidArgument);
    let garbled = request.with_page_token(token.slice(1..));
    let refused = chain.client.state_client().list_owned_objects(garbled).await.unwrap_err();
    assert_eq!(refused.code(), Code::InvalidArgument);

    let request = proto::ListBalancesRequest::default().with_owner(alice.address);
    let balances: Vec<_> = chain.client.list_balances(request).try_collect().await.unwrap();
    assert_eq!(balances.len(), 1);
    assert_eq!(balances[0].balance(), 28);
    let request = proto::GetCoinInfoRequest::default().with_coin_type("0x2::sui::SUI");
    let info = chain.client.state_client().get_coin_info(request).await.unwrap().into_inner();
    assert_eq!((info.metadata().decimals(), info.metadata().symbol()), (9, "SUI"));
}

#[tokio::test]
async fn subscribers_see_every_checkpoint_and_an_idle_chain_goes_on() {
    let mut config = config();
    config.idle_checkpoint = Duration::from_millis(50);
    let mut chain = Chain::with(config).await;
    let mask = FieldMask::from_str("sequence_number,transactions.digest,transactions.effects.status");
    let request = proto::SubscribeCheckpointsRequest::default().with_read_mask(mask);
    let stream = chain.client.subscription_client().subscribe_checkpoints(request).await.unwrap();
    let mut stream = pin!(stream.into_inner());
    let first = stream.next().await.unwrap().unwrap().cursor();
    let paid = chain.devnet.faucet(Address::TWO, 5).await.unwrap();
    let mut seen = false;
    for number in first + 1..first + 8 {
        let frame = stream.next().await.unwrap().unwrap();
        assert_eq!((frame.cursor(), frame.checkpoint().sequence_number()), (number, number));
        let digest = paid.transaction.to_string();
        seen |= frame.checkpoint().transactions.iter().any(|executed| executed.digest() == digest);
    }
    assert!(seen);
}

#[tokio::test]
async fn streams_of_the_client_replay_and_follow() {
    let chain = Chain::start().await;
    let alice = common::Wallet::new(1);
    let mut paid = Vec::new();
    for amount in 1..=3 {
        paid.push(chain.devnet.faucet(alice.address, amount).await.unwrap().transaction.to_string());
    }
    let mask = FieldMask::from_str("checkpoint,transaction_index,digest");
    let request = TransactionStreamRequest::new()
        .with_read_mask(mask)
        .with_filter(proto::TransactionFilter::matching(tx::affected_address(alice.address)))
        .with_start(TransactionStreamStart::Checkpoint(0));
    let mut stream = pin!(chain.client.stream_transactions(request));
    let mut seen = Vec::new();
    while seen.len() < 5 {
        if seen.len() == 3 && paid.len() == 3 {
            for amount in 4..=5 {
                paid.push(chain.devnet.faucet(alice.address, amount).await.unwrap().transaction.to_string());
            }
        }
        let frame = tokio::time::timeout(Duration::from_secs(20), stream.next()).await;
        let frame = frame.expect("in time").unwrap().unwrap();
        seen.extend(frame.transaction.map(|executed| executed.digest().to_owned()));
    }
    assert_eq!(seen, paid);

    let request = CheckpointStreamRequest::new()
        .with_read_mask(FieldMask::from_str("sequence_number"))
        .with_start(CheckpointStreamStart::Checkpoint(0));
    let numbers: Vec<_> = chain
        .client
        .stream_checkpoints(request)
        .take(5)
        .map_ok(|frame| frame.cursor)
        .try_collect()
        .await
        .unwrap();
    assert_eq!(numbers, [0, 1, 2, 3, 4]);
    let request = EventStreamRequest::new()
        .with_read_mask(FieldMask::from_str("checkpoint,transaction_index,event_index"))
        .with_start(EventStreamStart::Checkpoint(0));
    let mut events = pin!(chain.client.stream_events(request));
    let frame = tokio::time::timeout(Duration::from_secs(20), events.next()).await.expect("in time");
    assert!(frame.unwrap().unwrap().event.is_none(), "payments emit no events");
}

#[tokio::test]
async fn lists_have_bounds_both_ways() {
    let mut chain = Chain::start().await;
    for _ in 0..5 {
        chain.devnet.faucet(Address::TWO, 1).await.unwrap();
    }
    let list = |options: proto::QueryOptions| {
        proto::ListCheckpointsRequest::default()
            .with_start_checkpoint(1)
            .with_end_checkpoint(5)
            .with_options(options)
    };
    let collect = async |chain: &mut Chain, request: proto::ListCheckpointsRequest| {
        let stream = chain.client.ledger_client().list_checkpoints(request).await.unwrap().into_inner();
        let frames: Vec<_> = stream.try_collect().await.unwrap();
        let numbers: Vec<_> = frames
            .iter()
            .filter_map(|f| f.checkpoint.as_ref())
            .map(proto::Checkpoint::sequence_number)
            .collect();
        (numbers, frames.last().unwrap().clone())
    };
    let (numbers, last) = collect(&mut chain, list(proto::QueryOptions::default())).await;
    assert_eq!(numbers, [1, 2, 3, 4]);
    assert_eq!(last.end().reason(), proto::QueryEndReason::CheckpointBound);
    let descending = proto::QueryOptions::default().with_ordering(proto::Ordering::Descending).with_limit(3);
    let (numbers, last) = collect(&mut chain, list(descending.clone())).await;
    assert_eq!(numbers, [4, 3, 2]);
    assert_eq!(last.end().reason(), proto::QueryEndReason::ItemLimit);
    let rest = descending.with_before(last.watermark().cursor().to_vec());
    let (numbers, _) = collect(&mut chain, list(rest)).await;
    assert_eq!(numbers, [1]);
}

async fn checkpoint(chain: &mut Chain, request: proto::GetCheckpointRequest) -> proto::Checkpoint {
    chain.client.ledger_client().get_checkpoint(request).await.unwrap().into_inner().checkpoint.unwrap()
}

#[tokio::test]
async fn a_batch_that_would_be_too_large_is_refused() {
    let mut chain = Chain::start().await;
    let batch = |count: usize| {
        proto::BatchGetObjectsRequest::default()
            .with_requests(vec![proto::GetObjectRequest::new(&Address::TWO); count])
            .with_read_mask(FieldMask::from_str("bcs"))
    };
    chain.client.ledger_client().batch_get_objects(batch(2)).await.unwrap();
    let refused = chain.client.ledger_client().batch_get_objects(batch(1_000)).await.unwrap_err();
    assert_eq!(refused.code(), Code::ResourceExhausted, "{refused}");
}
