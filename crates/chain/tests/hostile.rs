//! An endpoint that repeats, swaps, drops, lags and lies. It speaks the protocol and has no chain behind it.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use chain::{Address, Client, Cursor, Error, FollowError, Follower, State};
use futures::StreamExt as _;
use sui_rpc::proto::sui::rpc::v2 as proto;
use sui_rpc::proto::sui::rpc::v2::ledger_service_server::{LedgerService, LedgerServiceServer};
use sui_rpc::proto::sui::rpc::v2::state_service_server::{StateService, StateServiceServer};
use sui_rpc::proto::sui::rpc::v2::subscription_service_server::{
    SubscriptionService, SubscriptionServiceServer,
};
use tonic::{Request, Response, Status};

const CHAIN: &str = "4btiuiMPvEENsttpZC7CZ53DruC3MAgfznDbASZ7DR6S";
const PATIENCE: Duration = Duration::from_secs(20);

/// How the endpoint misbehaves.
#[derive(Clone, Default)]
struct Script {
    height: u64,
    lowest: u64,
    /// Sequence numbers that each subscription brings before it ends; `None` is a frame without checkpoint.
    stream: Vec<Option<u64>>,
    /// How often each checkpoint is not found before it is.
    lag: usize,
    lie: Lie,
}

#[derive(Clone, Copy, Default, PartialEq, Eq)]
enum Lie {
    #[default]
    None,
    WrongCheckpoint,
    NoTimestamp,
    BadEvents,
    BadObject,
    EndlessPages,
}

#[derive(Clone)]
struct Endpoint {
    script: Arc<Script>,
    fetched: Arc<AtomicUsize>,
    subscriptions: Arc<AtomicU64>,
}

fn digest(sequence: u64) -> String {
    let mut bytes = [0u8; 32];
    bytes[..8].copy_from_slice(&sequence.to_le_bytes());
    sui_sdk_types::Digest::new(bytes).to_string()
}

impl Endpoint {
    fn checkpoint(&self, sequence: u64) -> proto::Checkpoint {
        let lie = self.script.lie;
        let number = if lie == Lie::WrongCheckpoint { sequence + 1 } else { sequence };
        let mut summary = proto::CheckpointSummary::default();
        if lie != Lie::NoTimestamp {
            summary.timestamp = Some(sui_rpc::proto::timestamp_ms_to_proto(sequence));
        }
        let mut checkpoint = proto::Checkpoint::default()
            .with_sequence_number(number)
            .with_digest(digest(number))
            .with_summary(summary);
        if lie == Lie::BadEvents {
            // Says that there are 2^28 events, and has none of them.
            let events = proto::TransactionEvents::default().with_bcs(vec![0x80, 0x80, 0x80, 0x80, 0x01]);
            checkpoint.transactions = vec![proto::ExecutedTransaction::default().with_events(events)];
        }
        checkpoint
    }
}

#[tonic::async_trait]
impl LedgerService for Endpoint {
    async fn get_service_info(
        &self,
        _: Request<proto::GetServiceInfoRequest>,
    ) -> Result<Response<proto::GetServiceInfoResponse>, Status> {
        Ok(Response::new(
            proto::GetServiceInfoResponse::default()
                .with_chain_id(CHAIN)
                .with_checkpoint_height(self.script.height)
                .with_lowest_available_checkpoint(self.script.lowest),
        ))
    }

    async fn get_checkpoint(
        &self,
        request: Request<proto::GetCheckpointRequest>,
    ) -> Result<Response<proto::GetCheckpointResponse>, Status> {
        let sequence = request.get_ref().sequence_number();
        if self.fetched.fetch_add(1, Ordering::SeqCst) < self.script.lag {
            return Err(Status::not_found("this node lags"));
        }
        Ok(Response::new(proto::GetCheckpointResponse::default().with_checkpoint(self.checkpoint(sequence))))
    }

    async fn batch_get_objects(
        &self,
        _: Request<proto::BatchGetObjectsRequest>,
    ) -> Result<Response<proto::BatchGetObjectsResponse>, Status> {
        let object = proto::Object::default().with_bcs(vec![0xff; 100]);
        Ok(Response::new(proto::BatchGetObjectsResponse::new(vec![proto::GetObjectResult::new_object(
            object,
        )])))
    }
}

#[tonic::async_trait]
impl StateService for Endpoint {
    async fn list_owned_objects(
        &self,
        _: Request<proto::ListOwnedObjectsRequest>,
    ) -> Result<Response<proto::ListOwnedObjectsResponse>, Status> {
        let mut answer = proto::ListOwnedObjectsResponse::default();
        if self.script.lie == Lie::EndlessPages {
            answer.next_page_token = Some(vec![1].into());
        }
        Ok(Response::new(answer))
    }
}

#[tonic::async_trait]
impl SubscriptionService for Endpoint {
    async fn subscribe_checkpoints(
        &self,
        _: Request<proto::SubscribeCheckpointsRequest>,
    ) -> Result<
        Response<futures::stream::BoxStream<'static, Result<proto::SubscribeCheckpointsResponse, Status>>>,
        Status,
    > {
        self.subscriptions.fetch_add(1, Ordering::SeqCst);
        let frames: Vec<_> = self
            .script
            .stream
            .iter()
            .map(|item| match item {
                Some(sequence) => proto::SubscribeCheckpointsResponse::default()
                    .with_cursor(*sequence)
                    .with_checkpoint(self.checkpoint(*sequence)),
                None => proto::SubscribeCheckpointsResponse::default().with_cursor(self.script.height),
            })
            .map(Ok)
            .collect();
        let end = futures::stream::once(async {
            tokio::time::sleep(Duration::from_millis(20)).await;
            Err(Status::unavailable("cut"))
        });
        Ok(Response::new(futures::stream::iter(frames).chain(end).boxed()))
    }
}

async fn serve(script: Script) -> (SocketAddr, Endpoint) {
    let endpoint =
        Endpoint { script: Arc::new(script), fetched: Arc::default(), subscriptions: Arc::default() };
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let router = tonic::transport::Server::builder()
        .add_service(LedgerServiceServer::new(endpoint.clone()))
        .add_service(StateServiceServer::new(endpoint.clone()))
        .add_service(SubscriptionServiceServer::new(endpoint.clone()));
    let incoming = futures::stream::unfold(listener, |listener| async {
        let connection = listener.accept().await.map(|(stream, _)| stream);
        Some((connection, listener))
    });
    tokio::spawn(router.serve_with_incoming(incoming));
    (address, endpoint)
}

async fn follow(script: Script, next: u64) -> (Follower, Endpoint) {
    let (address, endpoint) = serve(script).await;
    let client = Client::connect(&format!("http://{address}")).await.unwrap();
    (client.follow(Address::TWO, Cursor { chain_id: CHAIN.into(), next }), endpoint)
}

async fn take(follower: &mut Follower, count: usize) -> Vec<u64> {
    let mut taken = Vec::new();
    for _ in 0..count {
        taken.push(tokio::time::timeout(PATIENCE, follower.next()).await.unwrap().unwrap().sequence);
    }
    taken
}

#[tokio::test]
async fn repeats_swaps_gaps_and_old_news_are_put_in_order() {
    let stream = [3, 3, 7, 6, 2, 0, 12, 9, 9, 11].into_iter().map(Some).chain([None]).collect();
    let (mut follower, endpoint) = follow(Script { height: 12, stream, ..Script::default() }, 2).await;
    assert_eq!(take(&mut follower, 11).await, (2..=12).collect::<Vec<_>>());
    // The stream goes on bringing the same; nothing of it is new.
    let more = tokio::time::timeout(Duration::from_millis(700), follower.next()).await;
    assert!(more.is_err(), "{more:?}");
    assert!(endpoint.subscriptions.load(Ordering::SeqCst) > 1, "the stream was dropped and opened again");
}

#[tokio::test]
async fn a_long_history_is_fetched_in_order() {
    let (mut follower, _endpoint) = follow(Script { height: 1500, ..Script::default() }, 0).await;
    assert_eq!(take(&mut follower, 1501).await, (0..=1500).collect::<Vec<_>>());
    assert_eq!(follower.reachability().borrow().height, Some(1500));
}

#[tokio::test]
async fn a_lagging_node_is_waited_for() {
    let (mut follower, _endpoint) = follow(Script { height: 3, lag: 5, ..Script::default() }, 0).await;
    assert_eq!(take(&mut follower, 4).await, [0, 1, 2, 3]);
}

#[tokio::test]
async fn dropped_checkpoints_end_the_following() {
    let (mut follower, _endpoint) = follow(Script { height: 9, lowest: 5, ..Script::default() }, 4).await;
    let end = tokio::time::timeout(PATIENCE, follower.next()).await.unwrap().unwrap_err();
    assert_eq!(end, FollowError::Pruned { next: 4, lowest: 5 });
}

#[tokio::test]
async fn an_endpoint_that_is_behind_is_not_reachable_and_says_so() {
    let (follower, _endpoint) = follow(Script { height: 3, ..Script::default() }, 9).await;
    let mut status = follower.reachability();
    let status = tokio::time::timeout(PATIENCE, status.wait_for(|status| status.error.is_some())).await;
    let error = status.unwrap().unwrap().error.clone().unwrap();
    assert!(error.contains("checkpoint 3") && error.contains("8 was already read"), "{error}");
}

#[tokio::test]
async fn lies_are_malformed_answers() {
    for lie in [Lie::WrongCheckpoint, Lie::NoTimestamp, Lie::BadEvents, Lie::BadObject, Lie::EndlessPages] {
        let (address, _endpoint) = serve(Script { height: 3, lie, ..Script::default() }).await;
        let client = Client::connect(&format!("http://{address}")).await.unwrap();
        let error = match lie {
            Lie::BadObject => client.object(Address::TWO).await.unwrap_err(),
            Lie::EndlessPages => client.balance(Address::TWO).await.unwrap_err(),
            _ => client.checkpoint(Address::TWO, 1).await.unwrap_err(),
        };
        assert!(matches!(error, Error::Malformed { .. }), "{error}");
    }
}

#[tokio::test]
async fn a_call_that_the_endpoint_does_not_have_is_named() {
    let (address, _endpoint) = serve(Script::default()).await;
    let client = Client::connect(&format!("http://{address}")).await.unwrap();
    let error = client.epoch().await.unwrap_err();
    assert!(matches!(error, Error::Rpc { call: "GetEpoch", .. }), "{error}");
    assert!(!client.is_devnet().await.unwrap());
}

#[tokio::test]
async fn an_endpoint_without_an_index_is_caught_up_with_checkpoint_by_checkpoint() {
    let (address, endpoint) = serve(Script { height: 40, lowest: 3, ..Script::default() }).await;
    let client = Client::connect(&format!("http://{address}")).await.unwrap();
    let mut state = State::new(Address::ZERO);
    let cursor = |next| Cursor { chain_id: CHAIN.into(), next };
    let next = client.catch_up(Address::TWO, &mut state, &cursor(7)).await.unwrap();
    assert_eq!(next, cursor(41));
    assert_eq!(endpoint.fetched.load(Ordering::SeqCst), 34);
    assert_eq!(client.catch_up(Address::TWO, &mut state, &next).await.unwrap(), next);
    let error = client.catch_up(Address::TWO, &mut state, &cursor(2)).await.unwrap_err();
    assert!(matches!(error, Error::Pruned { next: 2, lowest: 3 }), "{error}");
    let other = Cursor { chain_id: "another".into(), next: 0 };
    let error = client.catch_up(Address::TWO, &mut state, &other).await.unwrap_err();
    assert!(matches!(error, Error::WrongChain { .. }), "{error}");
}
