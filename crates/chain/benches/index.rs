//! How long a state takes that is rebuilt from the events of 10,000 stakes, over gRPC. Prints it, and fails above what is promised.
#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a benchmark fails by panicking, and its output is the result"
)]

use std::path::PathBuf;
use std::time::{Duration, Instant};

use chain::{Calls, Client, Draft, Keypair, State, Tier};
use devnet::{Config, Devnet};

const STAKES: usize = 10_000;
const IN_ONE: usize = 100;
const SUI: u64 = 1_000_000_000;
const PROMISED: Duration = Duration::from_secs(2);

fn main() {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    runtime.block_on(measure());
}

async fn measure() {
    let framework = std::env::var_os("K3S_DAAS_FRAMEWORK").map_or_else(
        || PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../.cache/framework.bcs")),
        PathBuf::from,
    );
    let chain = Devnet::start(Config::in_memory(framework)).await.unwrap();
    let client = Client::connect(&chain.url()).await.unwrap();
    let wallet = Keypair::generate().unwrap();
    chain.faucet(wallet.address(), 1_000 * SUI).await.unwrap();
    let published = client.publish(&wallet, &chain::package::bundled()).await.unwrap();
    let calls = Calls::new(published.package);
    let receipt = client.execute(&wallet, &calls.create_cluster("bench", true)).await.unwrap();
    let cluster = receipt.founded(calls.package()).unwrap().0.cluster;
    for _ in 0..STAKES / IN_ONE {
        client.execute(&wallet, &many(&calls, cluster)).await.unwrap();
    }
    let from = client.start_of(calls.package()).await.unwrap();
    let mut state = State::new(cluster);
    let start = Instant::now();
    client.catch_up(calls.package(), &mut state, &from).await.unwrap();
    let took = start.elapsed();
    assert_eq!(state.stakes.len(), STAKES);
    println!("{STAKES} stakes indexed in {took:.2?}");
    assert!(took < PROMISED, "slower than promised");
    chain.shutdown().await;
}

fn many(calls: &Calls, cluster: chain::Address) -> Draft {
    let mut draft = Draft::new();
    for _ in 0..IN_ONE {
        let coin = draft.split_gas(100);
        let clock = draft.object(chain::Address::from_static("0x6"));
        let arguments = vec![draft.object(cluster), draft.pure(&Tier::Node.index()), coin, clock];
        draft.call(calls.package(), "staking", "stake", vec![], arguments);
    }
    draft
}
