//! A chain that drops its history: what the index does without it, and how fast it is with it.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use std::time::{Duration, Instant};

use chain::{Address, Advance, Client, Draft, Error, Event, Index, Keypair, ServiceInfo, State, Tier};
use devnet::{Config, Devnet};
use sui_rpc::proto::sui::rpc::v2 as proto;
use sui_rpc::proto::sui::rpc::v2::ledger_service_server::{LedgerService, LedgerServiceServer};
use support::{SUI, World, framework, wallet};
use tonic::{Request, Response, Status};

async fn world_that_keeps(checkpoints: u64) -> World {
    let config = Config { keep_checkpoints: Some(checkpoints), ..Config::in_memory(framework()) };
    World::on(Devnet::start(config).await.unwrap()).await
}

async fn stake(world: &World, tier: Tier, mist: u64) -> Address {
    let (_, events) = world.run(&world.operator, &world.calls.stake(world.cluster.id, tier, mist)).await;
    let [Event::Staked(staked)] = &events[..] else { panic!("{events:?}") };
    staked.stake
}

async fn name(world: &World, stake: Address, name: &str) {
    let key = Keypair::generate().unwrap().public_key();
    let draft = world.calls.issue_token(stake, world.cluster.id, world.cluster.names, &key, name);
    world.run(&world.operator, &draft).await;
}

/// Makes so many checkpoints that are not about us.
async fn pass(world: &World, checkpoints: usize) {
    for _ in 0..checkpoints {
        world.chain.faucet(world.operator.address(), 1).await.unwrap();
    }
}

#[tokio::test]
async fn an_index_behind_the_history_is_rebuilt_from_objects() {
    let world = world_that_keeps(40).await;
    let client = &world.client;
    let start = Index::new(world.package(), world.cluster.id, world.cursor().await);
    // This one sees everything; that one sleeps.
    let (mut awake, mut asleep) = (start.clone(), start);
    let known = stake(&world, Tier::User, 1_000).await;
    assert_eq!(asleep.advance(client).await.unwrap(), Advance::Followed);
    for node in 0..5 {
        let id = stake(&world, Tier::Node, 100 + node).await;
        name(&world, id, &format!("node-{node}")).await;
    }
    world.run(&world.operator, &world.calls.top_up(known, 7)).await;
    let unseen = stake(&world, Tier::User, 1_111).await;
    awake.advance(client).await.unwrap();
    pass(&world, 60).await;
    let fresh = stake(&world, Tier::Admin, 10_000).await;
    awake.advance(client).await.unwrap();

    let mut state = State::new(world.cluster.id);
    let error = client.catch_up(world.package(), &mut state, &asleep.cursor).await.unwrap_err();
    assert!(matches!(error, Error::Pruned { .. }), "{error}");
    let from = asleep.cursor.next;
    let advance = asleep.advance(client).await.unwrap();
    let lowest = client.service_info().await.unwrap().lowest_available_checkpoint;
    assert_eq!(advance, Advance::Rebuilt { unseen: Some((from, lowest)) });
    assert_eq!(asleep.state.stakes[&known].amount, 1_007);
    assert!(asleep.state.stakes.contains_key(&fresh));
    // All that is not there is what was said: a user's stake that nobody has spoken of since.
    assert!(!asleep.state.stakes.contains_key(&unseen));
    awake.state.stakes.remove(&unseen);
    assert_eq!(asleep.state, awake.state);

    // From there it goes on by events, over a restart too.
    let mut again = Index::from_bytes(&asleep.to_bytes().unwrap()).unwrap();
    world.run(&world.operator, &world.calls.top_up(unseen, 1)).await;
    let late = stake(&world, Tier::Node, 500).await;
    assert_eq!(again.advance(client).await.unwrap(), Advance::Followed);
    assert!(again.state.stakes.contains_key(&late));
    world.chain.shutdown().await;
}

/// A full node of the same chain that has dropped everything, and says so.
struct Forgetful(ServiceInfo);

#[tonic::async_trait]
impl LedgerService for Forgetful {
    async fn get_service_info(
        &self,
        _: Request<proto::GetServiceInfoRequest>,
    ) -> Result<Response<proto::GetServiceInfoResponse>, Status> {
        let height = self.0.checkpoint_height + 1_000_000;
        Ok(Response::new(
            proto::GetServiceInfoResponse::default()
                .with_chain_id(self.0.chain_id.clone())
                .with_checkpoint_height(height)
                .with_lowest_available_checkpoint(height),
        ))
    }
}

#[tokio::test]
async fn one_endpoint_with_history_among_several_is_enough() {
    let world = World::start().await;
    let start = world.cursor().await;
    let staked = stake(&world, Tier::User, 1_000).await;
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let forgetful = format!("http://{}", listener.local_addr().unwrap());
    let service = LedgerServiceServer::new(Forgetful(world.client.service_info().await.unwrap()));
    let incoming = tonic::transport::server::TcpIncoming::from(listener);
    tokio::spawn(tonic::transport::Server::builder().add_service(service).serve_with_incoming(incoming));

    let client = Client::new(&format!("{forgetful},{}", world.chain.url())).unwrap();
    let mut index = Index::new(world.package(), world.cluster.id, start.clone());
    assert_eq!(index.advance(&client).await.unwrap(), Advance::Followed);
    assert!(index.state.stakes.contains_key(&staked));
    let client = Client::new(&format!("{forgetful},{}", world.chain.url())).unwrap();
    let mut follower = client.follow(world.package(), start);
    loop {
        let checkpoint = follower.next().await.unwrap();
        if checkpoint
            .events
            .iter()
            .any(|at| matches!(&at.event, Event::Staked(event) if event.stake == staked))
        {
            break;
        }
    }
    world.chain.shutdown().await;
}

#[tokio::test]
async fn an_index_of_another_chain_is_refused() {
    let world = World::start().await;
    let mut index = Index::new(world.package(), world.cluster.id, world.cursor().await);
    index.advance(&world.client).await.unwrap();
    let reset = support::start().await;
    let client = Client::connect(&reset.url()).await.unwrap();
    let before = index.clone();
    let error = index.advance(&client).await.unwrap_err();
    assert!(matches!(error, Error::WrongChain { .. }), "{error}");
    assert_eq!(index, before);
    reset.shutdown().await;
    world.chain.shutdown().await;
}

#[tokio::test]
async fn ten_thousand_stakes_are_indexed_from_events_in_two_seconds() {
    const BATCH: usize = 50;
    const BATCHES: usize = 200;
    let world = World::start().await;
    let staker = wallet(&world.chain, 10_000 * SUI).await;
    for _ in 0..BATCHES {
        let mut draft = Draft::new();
        for _ in 0..BATCH {
            let coin = draft.split_gas(1_000);
            let clock = Address::from_static("0x6");
            let arguments = vec![draft.object(world.cluster.id), draft.pure(&1u8), coin, draft.object(clock)];
            draft.call(world.package(), "staking", "stake", vec![], arguments);
        }
        world.client.execute(&staker, &draft).await.unwrap();
    }
    let mut index = Index::new(world.package(), world.cluster.id, world.cursor().await);
    let began = Instant::now();
    index.advance(&world.client).await.unwrap();
    let took = began.elapsed();
    assert_eq!(index.state.stakes.len(), BATCH * BATCHES);
    println!("10,000 stakes of {BATCHES} checkpoints indexed in {took:?}");
    assert!(took < Duration::from_secs(2), "{took:?}");
    world.chain.shutdown().await;
}
