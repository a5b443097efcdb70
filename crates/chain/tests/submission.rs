//! A transaction takes effect once, whatever the network does.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use chain::{Client, Draft, Error, Event, Keypair, Signed, Tier};
use support::proxy::{Loss, Proxy};
use support::{SUI, World, start, wallet};

/// How many clusters of this name were made.
async fn clusters(world: &World, name: &str) -> usize {
    let height = world.client.service_info().await.unwrap().checkpoint_height;
    let mut count = 0;
    for sequence in 0..=height {
        let checkpoint = world.client.checkpoint(world.package(), sequence).await.unwrap();
        count += checkpoint
            .events
            .iter()
            .filter(|at| matches!(&at.event, Event::ClusterCreated(e) if e.name == name))
            .count();
    }
    count
}

async fn lossy(loss: Loss) {
    let world = World::start().await;
    let proxy = Proxy::start(world.chain.local_addr()).await;
    let client = Client::connect(&proxy.url()).await.unwrap();
    // The name passes in the dry run and then in the execution, which is the one to lose.
    proxy.trap(b"doubtful-cluster", 2, loss);
    let draft = world.calls.create_cluster("doubtful-cluster", true);
    let receipt = client.execute(&world.operator, &draft).await.unwrap();
    assert_eq!(proxy.sprung(), 1);
    assert!(receipt.checkpoint.is_some());
    assert_eq!(clusters(&world, "doubtful-cluster").await, 1);
    world.chain.shutdown().await;
}

#[tokio::test]
async fn a_lost_request_is_sent_again() {
    lossy(Loss::Request).await;
}

#[tokio::test]
async fn a_lost_answer_is_looked_up() {
    lossy(Loss::Answer).await;
}

#[tokio::test]
async fn a_signed_transaction_outlives_its_process() {
    let world = World::start().await;
    let draft = world.calls.create_cluster("once", true);
    let signed = world.client.prepare(&world.operator, &draft).await.unwrap();
    let on_disk = signed.to_bytes().unwrap();
    let first = world.client.submit(&signed).await.unwrap();
    // A new process that does not know whether the first one had sent it.
    let client = Client::connect(&world.chain.url()).await.unwrap();
    let again = client.submit(&Signed::from_bytes(&on_disk).unwrap()).await.unwrap();
    assert_eq!(first, again);
    assert_eq!(clusters(&world, "once").await, 1);

    let other = start().await;
    let error = Client::connect(&other.url()).await.unwrap().submit(&signed).await.unwrap_err();
    assert!(matches!(error, Error::WrongChain { .. }), "{error}");
    world.chain.shutdown().await;
    other.shutdown().await;
}

#[tokio::test]
async fn a_transaction_that_lost_its_coin_is_proven_lost() {
    let world = World::start().await;
    let stale =
        world.client.prepare(&world.operator, &world.calls.create_cluster("stale", true)).await.unwrap();
    // Something else uses the coin, more than once.
    for name in ["first", "second", "third"] {
        world.run(&world.operator, &world.calls.create_cluster(name, true)).await;
    }
    let error = world.client.submit(&stale).await.unwrap_err();
    assert!(matches!(&error, Error::Rejected { digest, .. } if *digest == stale.digest()), "{error}");
    assert_eq!(clusters(&world, "stale").await, 0);
    world.chain.shutdown().await;
}

#[tokio::test]
async fn many_transactions_of_one_wallet_wait_for_each_other() {
    let world = World::start().await;
    let drafts: Vec<Draft> =
        (0..12).map(|i| world.calls.stake(world.cluster.id, Tier::User, 1000 + i)).collect();
    let receipts =
        futures::future::join_all(drafts.iter().map(|draft| world.client.execute(&world.operator, draft)))
            .await;
    for receipt in receipts {
        receipt.unwrap();
    }
    let mut amounts: Vec<u64> = world.state().await.stakes.values().map(|stake| stake.amount).collect();
    amounts.sort_unstable();
    assert_eq!(amounts, (1000..1012).collect::<Vec<u64>>());
    world.chain.shutdown().await;
}

#[tokio::test]
async fn a_wallet_shared_by_two_processes_rebuilds_after_a_lost_race() {
    let world = World::start().await;
    let (one, two) = (
        Client::connect(&world.chain.url()).await.unwrap(),
        Client::connect(&world.chain.url()).await.unwrap(),
    );
    let stake = |amount| world.calls.stake(world.cluster.id, Tier::User, amount);
    for round in 0..5 {
        let (a, b) = (stake(2000 + round), stake(3000 + round));
        let (a, b) = tokio::join!(one.execute(&world.operator, &a), two.execute(&world.operator, &b));
        a.unwrap();
        b.unwrap();
    }
    assert_eq!(world.state().await.stakes.len(), 10);
    world.chain.shutdown().await;
}

#[tokio::test]
async fn an_empty_wallet_hears_how_much_it_needs() {
    let world = World::start().await;
    let poor = Keypair::generate().unwrap();
    let draft = world.calls.stake(world.cluster.id, Tier::Node, 100);
    let error = world.client.execute(&poor, &draft).await.unwrap_err();
    assert!(matches!(error, Error::InsufficientGas { have: 0, .. }), "{error}");
    assert!(error.to_string().contains(&poor.address().to_string()));
    // Enough for the stake, not for the gas.
    world.chain.faucet(poor.address(), 1_000).await.unwrap();
    let error = world.client.execute(&poor, &draft).await.unwrap_err();
    assert!(matches!(error, Error::InsufficientGas { have: 1_000, .. }), "{error}");
    // Dust in many coins adds up.
    for _ in 0..30 {
        world.chain.faucet(poor.address(), 4_000_000).await.unwrap();
    }
    world.client.execute(&poor, &draft).await.unwrap();
    world.chain.shutdown().await;
}

#[tokio::test]
async fn a_refused_transaction_costs_nothing() {
    let world = World::start().await;
    let user = wallet(&world.chain, SUI).await;
    let error =
        world.client.execute(&user, &world.calls.stake(world.cluster.id, Tier::Admin, 1)).await.unwrap_err();
    assert!(matches!(&error, Error::Refused(refusal) if refusal.is("staking", "ETooSmall")), "{error}");
    assert_eq!(world.client.balance(user.address()).await.unwrap(), SUI);
    world.chain.shutdown().await;
}

#[tokio::test]
async fn the_faucet_pays_on_a_development_chain() {
    let chain = start().await;
    let client = Client::connect(&chain.url()).await.unwrap();
    let wallet = Keypair::generate().unwrap();
    client.faucet(wallet.address(), Some(12_345)).await.unwrap();
    assert_eq!(client.balance(wallet.address()).await.unwrap(), 12_345);
    let error = client.faucet(wallet.address(), Some(0)).await.unwrap_err();
    assert!(error.to_string().contains("between 1 and"), "{error}");
    chain.shutdown().await;
}
