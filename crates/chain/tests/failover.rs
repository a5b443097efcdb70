//! Several endpoints of one chain: nothing is lost, repeated or executed twice when one fails.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use std::time::Duration;

use chain::{Client, Cursor, Error, Event, FollowError, State, Tier};
use support::proxy::{Loss, Proxy};
use support::{SUI, World, start, wallet};

const PATIENCE: Duration = Duration::from_secs(20);

/// A chain behind two endpoints that can be lost, and a client of both.
async fn twice(world: &World) -> (Proxy, Proxy, Client) {
    let (one, two) =
        (Proxy::start(world.chain.local_addr()).await, Proxy::start(world.chain.local_addr()).await);
    let client = Client::new(&format!("{}, {}", one.url(), two.url())).unwrap();
    (one, two, client)
}

#[tokio::test]
async fn reads_and_transactions_go_on_at_the_next_endpoint() {
    let world = World::start().await;
    let (one, two, client) = twice(&world).await;
    let staker = wallet(&world.chain, 5 * SUI).await;
    let stake = |mist| world.calls.stake(world.cluster.id, Tier::User, mist);
    client.execute(&staker, &stake(1000)).await.unwrap();
    assert_eq!(client.url(), one.url());

    one.set_down(true);
    client.execute(&staker, &stake(1001)).await.unwrap();
    assert_eq!(client.url(), two.url());
    let status = client.endpoints();
    assert!(status[0].failures > 0 && status[1].current && status[1].failures == 0, "{status:?}");

    one.set_down(false);
    two.set_down(true);
    assert!(client.balance(staker.address()).await.unwrap() > 0);
    one.set_down(true);
    let error = client.balance(staker.address()).await.unwrap_err();
    assert!(matches!(error, Error::Unreachable { .. }), "{error}");
    world.chain.shutdown().await;
}

#[tokio::test]
async fn a_transaction_whose_answer_is_lost_is_found_at_the_next_endpoint() {
    let world = World::start().await;
    let (one, two, client) = twice(&world).await;
    let maker = wallet(&world.chain, 5 * SUI).await;
    // The second time that the name passes is the execution; the first is the dry run.
    one.trap(b"doubtful-cluster", 2, Loss::Answer);
    let draft = world.calls.create_cluster("doubtful-cluster", true);
    let receipt = client.execute(&maker, &draft).await.unwrap();
    assert_eq!(one.sprung(), 1);
    assert_eq!(client.url(), two.url());
    assert!(receipt.checkpoint.is_some());
    let caps = client.read_owned::<chain::AdminCap>(world.package(), maker.address()).await.unwrap();
    assert_eq!(caps.len(), 1, "executed once");
    world.chain.shutdown().await;
}

#[tokio::test]
async fn a_follower_goes_from_endpoint_to_endpoint_without_losing_or_repeating() {
    let world = World::start().await;
    let (one, two, client) = twice(&world).await;
    let mut follower = client.follow(world.package(), world.cursor().await);
    let stakes = async {
        for amount in 1000..1030 {
            world.run(&world.operator, &world.calls.stake(world.cluster.id, Tier::User, amount)).await;
        }
    };
    let storms = async {
        for round in 0..6 {
            tokio::time::sleep(Duration::from_millis(50)).await;
            let (down, up) = if round % 2 == 0 { (&one, &two) } else { (&two, &one) };
            up.set_down(false);
            down.set_down(true);
        }
    };
    let mut amounts = Vec::new();
    let reading = async {
        let mut expected = None;
        while amounts.len() < 30 {
            let checkpoint = tokio::time::timeout(PATIENCE, follower.next()).await.unwrap().unwrap();
            assert!(expected.is_none_or(|expected| expected == checkpoint.sequence));
            expected = Some(checkpoint.sequence + 1);
            amounts.extend(checkpoint.events.iter().filter_map(|at| match &at.event {
                Event::Staked(staked) => Some(staked.amount),
                _ => None,
            }));
        }
    };
    tokio::join!(stakes, storms, reading);
    assert_eq!(amounts, (1000..1030).collect::<Vec<u64>>());
    world.chain.shutdown().await;
}

#[tokio::test]
async fn an_endpoint_of_another_chain_is_never_used() {
    let world = World::start().await;
    let foreign = start().await;
    let proxy = Proxy::start(world.chain.local_addr()).await;
    let client = Client::new(&format!("{},{}", proxy.url(), foreign.url())).unwrap();
    let ours = client.chain_id().await.unwrap();
    let mut follower = client.follow(world.package(), world.cursor().await);
    tokio::time::timeout(PATIENCE, follower.next()).await.unwrap().unwrap();

    proxy.set_down(true);
    let error = client.epoch().await.unwrap_err();
    let text = error.to_string();
    assert!(matches!(error, Error::WrongChain { .. } | Error::Unreachable { .. }), "{text}");
    tokio::time::sleep(Duration::from_millis(300)).await;
    proxy.set_down(false);
    assert_eq!(client.chain_id().await.unwrap(), ours);
    // The follower, too, waited for the right chain instead of going over to the wrong one.
    world.run(&world.operator, &world.calls.stake(world.cluster.id, Tier::User, 4321)).await;
    loop {
        let checkpoint = tokio::time::timeout(PATIENCE, follower.next()).await.unwrap().unwrap();
        if checkpoint.events.iter().any(|at| matches!(&at.event, Event::Staked(e) if e.amount == 4321)) {
            break;
        }
    }
    foreign.shutdown().await;
    world.chain.shutdown().await;
}

#[tokio::test]
async fn when_every_endpoint_serves_another_chain_following_ends() {
    let world = World::start().await;
    let (_one, _two, client) = twice(&world).await;
    let cursor = Cursor { chain_id: "4btiuiMPvEENsttpZC7CZ53DruC3MAgfznDbASZ7DR6S".into(), next: 0 };
    let mut follower = client.follow(world.package(), cursor.clone());
    let end = tokio::time::timeout(PATIENCE, follower.next()).await.unwrap().unwrap_err();
    assert!(matches!(end, FollowError::ChainChanged { .. }), "{end}");
    let mut state = State::new(world.cluster.id);
    let error = client.catch_up(world.package(), &mut state, &cursor).await.unwrap_err();
    assert!(matches!(error, Error::WrongChain { .. }), "{error}");
    world.chain.shutdown().await;
}

#[tokio::test]
async fn a_long_gap_is_leapt_over_and_its_events_come_in_order() {
    let world = World::start().await;
    let cursor = world.cursor().await;
    let start = cursor.next;
    for amount in 1000..1005 {
        world.run(&world.operator, &world.calls.stake(world.cluster.id, Tier::User, amount)).await;
        for _ in 0..40 {
            world.chain.faucet(world.operator.address(), 1).await.unwrap();
        }
    }
    let height = world.client.service_info().await.unwrap().checkpoint_height;
    assert!(height - start > 200);
    let mut follower = world.client.follow(world.package(), cursor);
    let (mut amounts, mut count, mut last) = (vec![], 0, 0);
    while last < height {
        let checkpoint = tokio::time::timeout(PATIENCE, follower.next()).await.unwrap().unwrap();
        assert!(checkpoint.sequence > last);
        (last, count) = (checkpoint.sequence, count + 1);
        amounts.extend(checkpoint.events.iter().filter_map(|at| match &at.event {
            Event::Staked(staked) => Some(staked.amount),
            _ => None,
        }));
    }
    assert_eq!(amounts, (1000..1005).collect::<Vec<u64>>());
    assert!(count < 20, "{count} checkpoints came for 7 with events and the last");
    world.chain.shutdown().await;
}
