//! A lost cluster comes back by key servers of Seal, SIMULATED, on machines with empty disks that register themselves.

use std::fs;
use std::path::Path;
use std::sync::Arc;

use chain::{Address, Client, Draft, Keypair};
use custody::Listener;
use devnet::Devnet;
use serde_json::Value;
use tokio_util::sync::CancellationToken;

use crate::key_server::{Mood, SimulatedKeyServer};
use crate::machine::{Machine, Service, devnet, founded, free_port};
use crate::recovery::{found, nothing_is_there, write};

const STAND_IN: &[u8] = include_bytes!("../../../custody/tests/key_server/build/key_server.mv");

/// Key servers that are on chain, and how they are named to `committee seal`.
async fn key_servers(
    devnet: &Devnet,
    client: &Client,
    package: Address,
) -> (Vec<Arc<SimulatedKeyServer>>, Vec<String>) {
    let payer = Keypair::generate().unwrap();
    devnet.faucet(payer.address(), 5_000_000_000).await.unwrap();
    let mut draft = Draft::new();
    let cap = draft.publish(vec![STAND_IN.to_vec()], vec![Address::from_static("0x1"), Address::TWO]);
    draft.transfer(vec![cap], payer.address());
    let stand_in = client.execute(&payer, &draft).await.unwrap().package().unwrap();
    let (mut servers, mut named) = (Vec::new(), Vec::new());
    for seed in 1..=3 {
        let server = SimulatedKeyServer::new(seed, package, client.url());
        let listener = Listener::bind("127.0.0.1:0".parse().unwrap()).await.unwrap();
        let url = format!("http://{}", listener.address());
        tokio::spawn(listener.serve(server.router(), CancellationToken::new()));
        server.register(client, &payer, stand_in, &format!("server {seed}"), &url).await;
        named.push(server.object().to_string());
        servers.push(server);
    }
    (servers, named)
}

/// `[master]` of a machine whose snapshots lie in a directory, and which registers itself.
fn settings(snapshots: &Path, keystore: &Path, wallet: &Value, verifier: &Service) -> String {
    format!(
        "listen = \"127.0.0.1:{}\"\napiserver_listen = \"127.0.0.1:{}\"\nsnapshots.interval_ms = 0\n\
         snapshots.place.directory = {snapshots:?}\nchain.gas_keystore = {keystore:?}\nchain.gas_address = {wallet}\n\
         registration.verifiers = [{:?}]\n",
        free_port(),
        free_port(),
        verifier.url
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_cluster_comes_back_by_key_servers_that_the_chain_approves() {
    let devnet = devnet().await;
    let (root, url) = (tempfile::tempdir().unwrap(), devnet.url());
    let (first, verifier, _) = founded(&devnet, root.path()).await;
    let client = Client::connect(&url).await.unwrap();
    let (package, cluster) = (first.id("package"), first.id("cluster").to_string());
    let (servers, named) = key_servers(&devnet, &client, package).await;
    let mut seal = vec!["committee", "seal", "--threshold", "2"];
    named.iter().for_each(|id| seal.extend(["--server", id]));
    // No key server, and one whose URL leads elsewhere.
    let registry = first.id("registry").to_string();
    let refused = first.fails(&["committee", "seal", "--threshold", "1", "--server", &registry], 1).await;
    assert!(refused.contains("none of Seal's key servers"), "{refused}");
    let sealed = first.ok(&seal).await;
    assert!(sealed.to_string().contains("SecretSealed"), "{sealed}");

    // It lives, and is lost; what the operator has besides is a wallet.
    let listed = first.ok(&["enclave", "list"]).await;
    let theirs = listed["enclaves"][0]["enclaveId"].as_str().unwrap().to_owned();
    let operator = first.operator().await;
    let (snapshots, keystore) = (root.path().join("snapshots"), root.path().join("sui.keystore"));
    fs::create_dir_all(&snapshots).unwrap();
    fs::copy(first.dir.join("wallets/sui.keystore"), &keystore).unwrap();
    let settings = || settings(&snapshots, &keystore, &operator, &verifier);
    first.configure(&settings(), "");
    write(&first, 1..4).await;
    let running = first.start_master(&[]).await;
    first.ok(&["snapshot", "save"]).await;
    first.ok(&["anchor"]).await;
    drop(running);
    fs::remove_dir_all(&first.dir).unwrap();

    let machine = |name: &str| {
        let machine = Machine::new(root.path(), name, &url, "version 1");
        machine.configure(&settings(), "");
        machine
    };
    let recover = ["recover", "--cluster", &cluster, "--seal", "--timeout", "60"];
    let back = |machine: &Machine| assert_eq!(found(machine).0, "3");
    let second = machine("second");
    second.ok(&recover).await;
    back(&second);

    // One lies and is named; a second one is too many, and nothing is left behind.
    servers[1].be(Mood::WrongKey);
    let third = machine("third");
    third.ok(&recover).await;
    back(&third);
    servers[2].be(Mood::Refusing);
    let fourth = machine("fourth");
    let words = fourth.fails(&recover, 1).await;
    assert!(words.contains("server 2: gave something else than its key"), "{words}");
    assert!(words.contains("server 3") && words.contains("NoAccess"), "{words}");
    nothing_is_there(&fourth);

    // The secret alone, for a machine that has a state already.
    servers[2].be(Mood::Honest);
    let package = package.to_string();
    let alone = ["committee", "recover", "--seal", "--package", &package, "--cluster", &cluster];
    let fifth = machine("fifth");
    assert_eq!(fifth.ok(&alone).await["recovered"], true);
    assert!(fifth.dir.join("master/sealed/cluster.secret").exists());
    // A registration that is another machine's is of no use.
    let borrowed = [&recover[..], &["--enclave", &theirs]].concat();
    let words = machine("sixth").fails(&borrowed, 1).await;
    assert!(words.contains("NoAccess") && words.contains("0 of 2 shares"), "{words}");

    // Code that the chain does not allow is not even registered.
    servers.iter().for_each(|server| server.be(Mood::Honest));
    let other = Machine::new(root.path(), "other", &url, "version 2");
    other.configure(&settings(), "");
    let words = other.fails(&recover, 1).await;
    assert!(
        words.contains("could not be registered") && words.contains("measurement_not_allowed"),
        "{words}"
    );
    // Where it failed before, it goes on.
    fourth.ok(&recover).await;
    back(&fourth);
    let given: usize =
        servers.iter().map(|server| server.said().iter().filter(|said| **said == "given").count()).sum();
    assert!(given >= 6, "{given}");
}
