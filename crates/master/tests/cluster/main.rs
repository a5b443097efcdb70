//! The master with real parts on both sides: contracts on a development chain, kube-apiserver over the sealed
//! store.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::path::Path;
use std::time::{Duration, Instant};

use chain::Tier;
use reqwest::Client;
use serde_json::{Value, json};

use world::{Holder, SILENCE_MS, World};

mod hostile;
mod k3s_server;
mod lifecycle;
mod wire;
mod world;

const SECRET: &str = "5hJqz-a-secret-that-must-not-lie-on-a-disk";

/// A control plane takes what this machine has.
static ONE_AT_A_TIME: tokio::sync::Mutex<()> = tokio::sync::Mutex::const_new(());

/// Asks until `good` or half a minute has passed; gives how long it took.
async fn until(what: &str, mut good: impl AsyncFnMut() -> bool) -> Duration {
    let started = Instant::now();
    while !good().await {
        assert!(started.elapsed() < Duration::from_secs(30), "never {what}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    started.elapsed()
}

#[tokio::test(flavor = "multi_thread")]
async fn stakes_on_chain_are_nodes_and_users_in_kubernetes_and_end_with_them() {
    let _alone = ONE_AT_A_TIME.lock().await;
    log();
    let dir = tempfile::tempdir().unwrap();
    let world = World::start(dir.path()).await;
    let node = world.stake(Tier::Node, "n1").await;
    let user = world.stake(Tier::User, "").await;
    let admin = world.stake(Tier::Admin, "").await;
    world.grant(&user, "team", "edit").await;
    world.grant(&admin, "", "cluster-admin").await;
    let master = world.master().await;
    assert_eq!(master.status().nodes_total, 1);

    posts_its_place(&world).await;
    users_have_their_grants_and_no_more(&world, &user, &admin).await;
    secrets_are_sealed(&world, &admin).await;
    a_node_lives_and_ends(&world, &node, &admin).await;
    hostile::a_hostile_node_gets_nothing(&world, &admin).await;
    lifecycle::a_dead_nodes_pods_are_started_elsewhere(&world, &admin).await;
    a_revoked_user_is_nobody(&world, &user).await;

    // Everything again from the disk.
    master.shutdown().await;
    let master = world.master().await;
    assert_eq!(master.status().ca_hash, hex::encode(world.ca_hash));
    let (code, found) = get(&world, &admin, "/api/v1/namespaces/team/secrets/s").await;
    assert_eq!((code, found["metadata"]["name"].as_str()), (200, Some("s")));

    without_the_chain_users_go_on_and_nobody_new_joins(&world, &admin).await;
    master.shutdown().await;
}

fn log() {
    let filter = std::env::var("K3S_DAAS_LOG").unwrap_or_else(|_| "error".to_owned());
    let _already = tracing_subscriber::fmt().with_env_filter(filter).with_test_writer().try_init();
}

async fn get(world: &World, holder: &Holder, path: &str) -> (u16, Value) {
    let url = format!("{}{path}", world.config.apiserver_url);
    let request = world.https(None).await.get(url).bearer_auth(world.proof(holder));
    let response = request.send().await.unwrap();
    (response.status().as_u16(), response.json().await.unwrap())
}

async fn posts_its_place(world: &World) {
    let package = world.calls.package();
    until("the place on chain", async || {
        let cluster: chain::Cluster = world.client.read(package, world.cluster.cluster).await.unwrap();
        cluster.gateway == world.config.gateway_url
            && cluster.apiserver == world.config.apiserver_url
            && cluster.ca_hash == world.ca_hash
    })
    .await;
    // And the state is anchored; the next anchor is a minute away.
    until("an anchor", async || {
        let cluster: chain::Cluster = world.client.read(package, world.cluster.cluster).await.unwrap();
        let anchor: chain::Anchor = world.client.read(package, cluster.anchor).await.unwrap();
        anchor.revision > 1
    })
    .await;
    // Once they are there nothing more is paid for.
    let before = world.client.balance(world.operator.address()).await.unwrap();
    tokio::time::sleep(Duration::from_secs(3)).await;
    assert_eq!(world.client.balance(world.operator.address()).await.unwrap(), before);
}

async fn users_have_their_grants_and_no_more(world: &World, user: &Holder, admin: &Holder) {
    let (code, answer) = get(world, user, "/api/v1/namespaces/team/configmaps").await;
    assert_eq!(code, 200, "{answer}");
    assert_eq!(get(world, user, "/api/v1/namespaces/default/configmaps").await.0, 403);
    assert_eq!(get(world, user, "/api/v1/nodes").await.0, 403);
    assert_eq!(get(world, admin, "/api/v1/nodes").await.0, 200);
    let url = format!("{}/api/v1/namespaces", world.config.apiserver_url);
    let unknown = world.https(None).await.get(&url).bearer_auth("nonsense").send().await.unwrap();
    assert_eq!(unknown.status(), 401);

    // A grant made while the master runs.
    world.grant(user, "second", "view").await;
    until("a role in the second namespace", async || {
        get(world, user, "/api/v1/namespaces/second/configmaps").await.0 == 200
    })
    .await;
}

async fn secrets_are_sealed(world: &World, admin: &Holder) {
    let url = format!("{}/api/v1/namespaces/team/secrets", world.config.apiserver_url);
    let secret = json!({ "metadata": { "name": "s" }, "stringData": { "password": SECRET } });
    let made =
        world.https(None).await.post(url).bearer_auth(world.proof(admin)).json(&secret).send().await.unwrap();
    assert_eq!(made.status(), 201);
    let mut files = 0;
    look_through(&world.config.state_dir, &mut |path, bytes| {
        files += 1;
        for needle in [SECRET.as_bytes(), b"PRIVATE KEY"] {
            let found = bytes.windows(needle.len()).any(|window| window == needle);
            assert!(!found, "{} holds {:?}", path.display(), String::from_utf8_lossy(needle));
        }
    });
    assert!(files > 5, "looked through {files} files only");
}

fn look_through(dir: &Path, look: &mut impl FnMut(&Path, &[u8])) {
    for entry in std::fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            look_through(&path, look);
        } else if path.is_file() {
            look(&path, &std::fs::read(&path).unwrap());
        }
    }
}

async fn a_node_lives_and_ends(world: &World, node: &Holder, admin: &Holder) {
    let kubelet = world.certificate(node, "client-kubelet").await.unwrap();
    let proxy = world.certificate(node, "client-kube-proxy").await.unwrap();
    let (kubelet, proxy) = (world.https(Some(&kubelet)).await, world.https(Some(&proxy)).await);
    let base = &world.config.apiserver_url;
    let registration = json!({ "metadata": { "name": "n1", "labels": { "kubernetes.io/hostname": "n1" } } });
    let made = kubelet.post(format!("{base}/api/v1/nodes")).json(&registration).send().await.unwrap();
    assert_eq!(made.status(), 201, "{}", made.text().await.unwrap());
    let code = async |client: &Client, path: &str| {
        client.get(format!("{base}{path}")).send().await.unwrap().status().as_u16()
    };
    assert_eq!(code(&kubelet, "/api/v1/nodes/n1").await, 200);
    assert_eq!(code(&kubelet, "/api/v1/namespaces/team/secrets/s").await, 403, "the Node authorizer decides");
    assert_eq!(code(&proxy, "/api/v1/services").await, 200);
    until("the node's label", async || {
        let (_, found) = get(world, admin, "/api/v1/nodes/n1").await;
        let label = &found["metadata"]["labels"][master::membership::TOKEN_LABEL];
        label.as_str().is_some_and(|label| node.token.token.to_string().contains(label))
    })
    .await;
    let pod = json!({ "metadata": { "name": "p" }, "spec": { "nodeName": "n1",
        "containers": [{ "name": "c", "image": "none" }], "terminationGracePeriodSeconds": 3600 } });
    until("a service account", async || {
        get(world, admin, "/api/v1/namespaces/team/serviceaccounts/default").await.0 == 200
    })
    .await;
    let pods = format!("{base}/api/v1/namespaces/team/pods");
    let made =
        world.https(None).await.post(pods).bearer_auth(world.proof(admin)).json(&pod).send().await.unwrap();
    assert_eq!(made.status(), 201);

    let (stake, cluster) = (node.token.stake, world.cluster.cluster);
    world.run(&node.wallet, &world.calls.request_unstake(stake, cluster)).await;
    // The transaction is in a checkpoint when `run` returns or a moment later.
    let refused =
        until("a refused certificate", async || code(&kubelet, "/api/v1/nodes/n1").await == 403).await;
    assert!(refused < Duration::from_secs(1), "{refused:?} until the certificate was refused");
    assert_eq!(code(&proxy, "/api/v1/services").await, 403);
    assert_eq!(
        world.certificate(node, "client-kubelet").await.unwrap_err(),
        (401, "stake_insufficient".into())
    );
    let gone = until("without the node", async || get(world, admin, "/api/v1/nodes/n1").await.0 == 404).await;
    assert!(gone < Duration::from_secs(2), "{gone:?} until the node was gone");
    assert_eq!(get(world, admin, "/api/v1/namespaces/team/pods/p").await.0, 404);
}

async fn a_revoked_user_is_nobody(world: &World, user: &Holder) {
    let proof = world.proof(user);
    world.run(&user.wallet, &world.calls.revoke_token(user.token.token)).await;
    let url = format!("{}/api/v1/namespaces/team/configmaps", world.config.apiserver_url);
    let client = world.https(None).await;
    let took = until("a refused user", async || {
        client.get(&url).bearer_auth(&proof).send().await.unwrap().status() == 401
    })
    .await;
    assert!(took < Duration::from_secs(1), "{took:?}");
}

async fn without_the_chain_users_go_on_and_nobody_new_joins(world: &World, admin: &Holder) {
    let joined = world.stake(Tier::Node, "n2").await;
    until("n2 in", async || world.certificate(&joined, "client-kubelet").await.is_ok()).await;
    let newcomer = world.stake(Tier::Node, "n3").await;
    tokio::time::sleep(Duration::from_secs(1)).await;

    world.wire.set(false);
    tokio::time::sleep(Duration::from_millis(SILENCE_MS + 500)).await;
    let refused = world.certificate(&newcomer, "client-kubelet").await.unwrap_err();
    assert_eq!(refused, (503, "chain_unreachable".to_owned()));
    assert_eq!(get(world, admin, "/api/v1/nodes").await.0, 200, "users go on");
    world.certificate(&joined, "client-kubelet").await.expect("joined nodes renew");
    let status = world.https(None).await.get(format!("{}/api/v1/status", world.config.gateway_url));
    let status: api::MasterStatus = status.send().await.unwrap().json().await.unwrap();
    assert!(!status.chain.reachable && status.chain.error.is_some(), "{:?}", status.chain);
    // What happens on chain meanwhile is not seen ...
    world.run(&joined.wallet, &world.calls.revoke_token(joined.token.token)).await;
    world.certificate(&joined, "client-kubelet").await.expect("the master cannot know yet");

    // ... and caught up with afterwards.
    world.wire.set(true);
    until("n3 in", async || world.certificate(&newcomer, "client-kubelet").await.is_ok()).await;
    let refused = world.certificate(&joined, "client-kubelet").await.unwrap_err();
    assert_eq!(refused, (401, "token_revoked".to_owned()));
}
