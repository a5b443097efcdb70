#![allow(dead_code, reason = "each test binary uses a part of it")]

pub(crate) mod oracle;
pub(crate) mod proxy;

use std::path::PathBuf;

use chain::package::Package;
use chain::{Address, Admin, Calls, Client, Cluster, Cursor, Draft, Event, Keypair, Receipt, State};
use devnet::{Config, Devnet};

/// A SUI, in MIST.
pub(crate) const SUI: u64 = 1_000_000_000;

/// The framework's bytecode, which `make setup` fetches.
pub(crate) fn framework() -> PathBuf {
    let path = std::env::var_os("K3S_DAAS_FRAMEWORK").map_or_else(
        || PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../.cache/framework.bcs")),
        PathBuf::from,
    );
    assert!(path.exists(), "{} is missing: run `make setup`", path.display());
    path
}

/// The contracts under test: those that are committed, or mutants of them (`contracts/tools/mutants.mjs`).
pub(crate) fn contracts() -> Package {
    std::env::var_os("K3S_DAAS_CONTRACTS")
        .map_or_else(chain::package::bundled, |directory| chain::package::load(directory.as_ref()).unwrap())
}

pub(crate) async fn start() -> Devnet {
    Devnet::start(Config::in_memory(framework())).await.unwrap()
}

/// A chain with our contracts and one cluster on it.
pub(crate) struct World {
    pub(crate) chain: Devnet,
    pub(crate) client: Client,
    /// Made the cluster and holds its capability.
    pub(crate) operator: Keypair,
    pub(crate) calls: Calls,
    pub(crate) cluster: Cluster,
    pub(crate) admin: Admin,
}

impl World {
    pub(crate) async fn start() -> World {
        World::on(start().await).await
    }

    pub(crate) async fn on(chain: Devnet) -> World {
        let client = Client::connect(&chain.url()).await.unwrap();
        let operator = wallet(&chain, 100 * SUI).await;
        let published = client.publish(&operator, &contracts()).await.unwrap();
        let calls = Calls::new(published.package);
        let receipt = client.execute(&operator, &calls.create_cluster("test", true)).await.unwrap();
        let (created, admin) = receipt.founded(calls.package()).unwrap();
        let cluster = client.read(calls.package(), created.cluster).await.unwrap();
        World { chain, client, operator, calls, cluster, admin }
    }

    pub(crate) async fn run(&self, wallet: &Keypair, draft: &Draft) -> (Receipt, Vec<Event>) {
        let receipt = self.client.execute(wallet, draft).await.unwrap();
        let events = receipt.events_of(self.calls.package());
        (receipt, events)
    }

    pub(crate) async fn cursor(&self) -> Cursor {
        self.client.start_of(self.package()).await.unwrap()
    }

    /// Everything, folded from the events of all checkpoints.
    pub(crate) async fn state(&self) -> State {
        let mut state = State::new(self.cluster.id);
        self.client.catch_up(self.calls.package(), &mut state, &self.cursor().await).await.unwrap();
        state
    }

    pub(crate) fn package(&self) -> Address {
        self.calls.package()
    }
}

/// A new wallet with this much in it.
pub(crate) async fn wallet(chain: &Devnet, mist: u64) -> Keypair {
    let wallet = Keypair::generate().unwrap();
    chain.faucet(wallet.address(), mist).await.unwrap();
    wallet
}
