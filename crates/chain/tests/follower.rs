//! Every checkpoint once and in order, through lost connections and lost endpoints.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use std::time::{Duration, SystemTime};

use chain::{Checkpoint, Client, Cursor, Event, FollowError, Follower, Tier};
use devnet::{Config, Devnet};
use support::proxy::Proxy;
use support::{SUI, World, framework, wallet};

const PATIENCE: Duration = Duration::from_secs(20);

async fn next(follower: &mut Follower) -> Checkpoint {
    tokio::time::timeout(PATIENCE, follower.next()).await.expect("the follower stands still").unwrap()
}

async fn until_reachable(follower: &Follower, reachable: bool) -> chain::Reachability {
    let mut status = follower.reachability();
    let status =
        tokio::time::timeout(PATIENCE, status.wait_for(|status| status.reachable == reachable)).await;
    status.expect("reachability does not change").unwrap().clone()
}

#[tokio::test]
async fn nothing_is_lost_or_repeated_while_connections_break() {
    let world = World::start().await;
    let proxy = Proxy::start(world.chain.local_addr()).await;
    let through_proxy = Client::connect(&proxy.url()).await.unwrap();
    let mut follower = through_proxy.follow(world.package(), world.cursor().await);

    let stakes = async {
        for amount in 1000..1040 {
            world.run(&world.operator, &world.calls.stake(world.cluster.id, Tier::User, amount)).await;
        }
    };
    let storms = async {
        for round in 0..8 {
            tokio::time::sleep(Duration::from_millis(40)).await;
            if round % 3 == 2 {
                proxy.set_down(true);
                tokio::time::sleep(Duration::from_millis(50)).await;
                proxy.set_down(false);
            } else {
                proxy.cut();
            }
        }
    };
    let mut expected = world.cursor().await.next;
    let mut amounts = Vec::new();
    let reading = async {
        while amounts.len() < 40 {
            let checkpoint = next(&mut follower).await;
            assert_eq!(checkpoint.sequence, expected);
            expected += 1;
            amounts.extend(checkpoint.events.iter().filter_map(|at| match &at.event {
                Event::Staked(staked) => Some(staked.amount),
                _ => None,
            }));
        }
    };
    tokio::join!(stakes, storms, reading);
    assert_eq!(amounts, (1000..1040).collect::<Vec<u64>>());
    world.chain.shutdown().await;
}

#[tokio::test]
async fn a_cursor_goes_on_where_it_stopped() {
    let world = World::start().await;
    let mut cursor = world.cursor().await;
    let start = cursor.next;
    assert!(start > 0, "the package is not part of the first checkpoint");
    for amount in 1000..1003 {
        world.run(&world.operator, &world.calls.stake(world.cluster.id, Tier::User, amount)).await;
    }
    let mut follower = world.client.follow(world.package(), cursor.clone());
    let mut seen = Vec::new();
    for _ in 0..3 {
        let checkpoint = next(&mut follower).await;
        cursor = cursor.after(&checkpoint);
        seen.push(checkpoint);
    }
    drop(follower);
    let mut follower = world.client.follow(world.package(), cursor);
    seen.push(next(&mut follower).await);
    assert_eq!(
        seen.iter().map(|checkpoint| checkpoint.sequence).collect::<Vec<_>>(),
        (start..start + 4).collect::<Vec<_>>()
    );
    assert!(seen.windows(2).all(|pair| pair[0].timestamp_ms <= pair[1].timestamp_ms));
    world.chain.shutdown().await;
}

#[tokio::test]
async fn an_outage_is_reported_and_survived() {
    let world = World::start().await;
    let proxy = Proxy::start(world.chain.local_addr()).await;
    let client = Client::connect(&proxy.url()).await.unwrap();
    let mut follower = client.follow(world.package(), world.cursor().await);
    let up = until_reachable(&follower, true).await;
    assert!(up.error.is_none() && up.last_contact.is_some());

    let before = SystemTime::now();
    proxy.set_down(true);
    let down = until_reachable(&follower, false).await;
    assert!(down.since >= before && down.error.is_some(), "{down:?}");
    let user = wallet(&world.chain, SUI).await;
    world.run(&user, &world.calls.stake(world.cluster.id, Tier::User, 1234)).await;
    proxy.set_down(false);
    loop {
        let checkpoint = next(&mut follower).await;
        if checkpoint
            .events
            .iter()
            .any(|at| matches!(&at.event, Event::Staked(staked) if staked.amount == 1234))
        {
            break;
        }
    }
    assert!(until_reachable(&follower, true).await.since > down.since);
    world.chain.shutdown().await;
}

#[tokio::test]
async fn a_chain_that_comes_back_is_followed_and_one_that_was_reset_is_not() {
    let directory = tempfile::tempdir().unwrap();
    let config = Config::in_memory(framework()).with_dir(directory.path().join("one"));
    let first = Devnet::start(config.clone()).await.unwrap();
    let address = first.local_addr();
    let client = Client::connect(&first.url()).await.unwrap();
    let cursor = Cursor { chain_id: client.chain_id().await.unwrap(), next: 0 };
    let package = chain::Address::TWO;
    let mut follower = client.follow(package, cursor.clone());
    assert_eq!(next(&mut follower).await.sequence, 0);
    first.shutdown().await;
    until_reachable(&follower, false).await;

    let again = Devnet::start(config.with_listen(address)).await.unwrap();
    assert_eq!(again.chain_id().to_string(), cursor.chain_id);
    wallet(&again, SUI).await;
    let mut last = 0;
    while last < again.node().ledger().height() {
        let checkpoint = next(&mut follower).await;
        assert_eq!(checkpoint.sequence, last + 1);
        last = checkpoint.sequence;
    }
    again.shutdown().await;

    let reset = Devnet::start(Config::in_memory(framework()).with_listen(address)).await.unwrap();
    let end = tokio::time::timeout(PATIENCE, follower.next()).await.unwrap().unwrap_err();
    assert_eq!(
        end,
        FollowError::ChainChanged { expected: cursor.chain_id, found: reset.chain_id().to_string() }
    );
    assert_eq!(follower.next().await.unwrap_err(), FollowError::Ended);
    reset.shutdown().await;
}

#[tokio::test]
async fn the_way_from_execution_to_follower_is_short() {
    let world = World::start().await;
    let start = world.client.service_info().await.unwrap().checkpoint_height + 1;
    let cursor = Cursor { next: start, ..world.cursor().await };
    let mut follower = world.client.follow(world.package(), cursor);
    until_reachable(&follower, true).await;
    for amount in 1000..1005 {
        let (receipt, _) =
            world.run(&world.operator, &world.calls.stake(world.cluster.id, Tier::User, amount)).await;
        let executed = std::time::Instant::now();
        while next(&mut follower).await.sequence < receipt.checkpoint.unwrap() {}
        assert!(executed.elapsed() < Duration::from_millis(500), "{:?}", executed.elapsed());
    }
    world.chain.shutdown().await;
}
