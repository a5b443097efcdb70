//! How many stakes a second the chain executes, signature verification included, and how long a
//! fresh chain takes. Prints numbers, and fails below what is promised; `taskset -c 0 cargo bench -p
//! devnet` measures one core.
#![allow(clippy::unwrap_used, clippy::print_stdout, missing_docs)]

#[path = "../tests/common/mod.rs"]
mod common;

use std::time::{Duration, Instant};

use common::{Chain, SUI, Wallet, config, contracts, function};
use devnet::{Config, Devnet};
use sui_crypto::SuiSigner;
use sui_sdk_types::{Address, ExecutionStatus, ObjectReference, SignedTransaction};
use sui_transaction_builder::{ObjectInput, TransactionBuilder};

const STAKES: usize = 5_000;
const STARTS: u32 = 5;
/// Stakes a second on one core.
const PROMISED_RATE: f64 = 3_000.0;
const PROMISED_START: Duration = Duration::from_millis(200);

fn main() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let mut total = Duration::ZERO;
        for _ in 0..STARTS {
            let start = Instant::now();
            let devnet = Devnet::start(config()).await.unwrap();
            total += start.elapsed();
            drop(devnet);
        }
        let fresh = total / STARTS;
        println!("fresh chain: {:.1} ms", fresh.as_secs_f64() * 1e3);
        assert!(fresh < PROMISED_START, "slower than promised");
        measure("in memory", config()).await;
        let dir = tempfile::tempdir().unwrap();
        measure("journaled", config().with_dir(dir.path())).await;
    });
}

async fn measure(name: &str, config: Config) {
    let mut chain = Chain::with(config).await;
    let wallet = Wallet::new(7);
    for _ in 0..20 {
        chain.devnet.faucet(wallet.address, 1_000 * SUI).await.unwrap();
    }
    let (package, _) = chain.publish(&wallet, contracts()).await;
    let created = chain
        .call(&wallet, package, "k8s_gateway::create_cluster", |b| vec![b.pure(&"bench"), b.pure(&true)])
        .await
        .unwrap()
        .assert_success();
    let cluster = created.created(&format!("{package}::k8s_gateway::Cluster"))[0].clone();
    let gas = split(&mut chain, &wallet).await;
    let transactions: Vec<_> = gas
        .iter()
        .map(|gas| {
            let mut builder = TransactionBuilder::new();
            builder.set_sender(wallet.address);
            builder.set_gas_budget(SUI / 20);
            builder.set_gas_price(1_000);
            builder.add_gas_objects([owned(gas)]);
            let coin = builder.gas();
            let amount = builder.pure(&100u64);
            let coin = builder.split_coins(coin, vec![amount]).remove(0);
            let cluster = builder.object(ObjectInput::shared(*cluster.object_id(), cluster.version(), false));
            let tier = builder.pure(&0u8);
            let clock = builder.object(ObjectInput::shared(Address::from_static("0x6"), 1, false));
            builder
                .move_call(function(&format!("{package}::staking::stake")), vec![cluster, tier, coin, clock]);
            let transaction = builder.try_build().unwrap();
            let signature = wallet.key.sign_transaction(&transaction).unwrap();
            SignedTransaction { transaction, signatures: vec![signature] }
        })
        .collect();
    let count = transactions.len();
    let start = Instant::now();
    let executed =
        futures::future::join_all(transactions.into_iter().map(|signed| chain.devnet.execute(signed))).await;
    let took = start.elapsed();
    for executed in executed {
        assert_eq!(*executed.unwrap().effects.status(), ExecutionStatus::Success);
    }
    let rate = count as f64 / took.as_secs_f64();
    println!("{name}: {count} stakes in {took:.2?}, {rate:.0} a second");
    assert!(rate >= PROMISED_RATE, "slower than promised");
}

/// Makes a gas coin for every stake.
async fn split(chain: &mut Chain, wallet: &Wallet) -> Vec<ObjectReference> {
    let mut made = Vec::new();
    while made.len() < STAKES {
        let mut builder = TransactionBuilder::new();
        let coin = builder.gas();
        let amount = builder.pure(&(SUI / 10));
        let coins = builder.split_coins(coin, vec![amount; 500]);
        let to = builder.pure(&wallet.address);
        builder.transfer_objects(coins, to);
        let executed = chain.execute(wallet, builder).await.unwrap().assert_success();
        made.extend(executed.created("0x2::coin::Coin"));
    }
    made
}

fn owned(reference: &ObjectReference) -> ObjectInput {
    ObjectInput::owned(*reference.object_id(), reference.version(), *reference.digest())
}
