//! `k3s server` as the control plane. No K3s can be had from a package registry, so a stand-in runs that takes K3s' documented flags,
//! signs with the CA files where K3s looks for them, and is upstream's Kubernetes.

use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::time::Duration;

use chain::Tier;
use engine::pki::Identity;
use master::Engine;
use serde_json::json;
use zeroize::Zeroizing;

use crate::world::{Holder, World};
use crate::{ONE_AT_A_TIME, get, log, look_through, until};

/// How long upstream's kube-apiserver remembers that it accepted a bearer token, and a little.
const TOKENS_REMEMBERED: Duration = Duration::from_secs(12);

#[tokio::test(flavor = "multi_thread")]
async fn k3s_server_runs_on_the_sealed_store_with_the_clusters_own_keys() {
    let _alone = ONE_AT_A_TIME.lock().await;
    log();
    let dir = tempfile::tempdir().unwrap();
    let memory = tempfile::tempdir_in("/dev/shm").unwrap();
    let port = two_free_ports();
    let world = World::start_with(dir.path(), |config| {
        config.engine = Engine::K3s;
        config.k3s.binary = Some(stand_in());
        config.k3s.memory_dir = Some(memory.path().to_owned());
        config.k3s.port = port;
    })
    .await;
    let node = world.stake(Tier::Node, "n1").await;
    let admin = world.stake(Tier::Admin, "").await;
    world.grant(&admin, "", "cluster-admin").await;
    let master = world.master().await;
    assert_eq!(master.status().kubernetes_version, "v1.36.3+k3s0");
    let names: Vec<String> = master.processes().into_iter().map(|process| process.name).collect();
    assert_eq!(names, ["k3s-server", "addon-controllers", "metrics-server"]);

    // Who is who is asked of the gateway, as with the other engine.
    let url = format!("{}/api/v1/namespaces/default/secrets", world.config.apiserver_url);
    let secret = json!({ "metadata": { "name": "s" }, "stringData": { "password": crate::SECRET } });
    let made = world
        .https(None)
        .await
        .post(&url)
        .bearer_auth(world.proof(&admin))
        .json(&secret)
        .send()
        .await
        .unwrap();
    assert_eq!(made.status(), 201, "{}", made.text().await.unwrap());
    let unknown = world.https(None).await.get(&url).bearer_auth("nonsense").send().await.unwrap();
    assert_eq!(unknown.status(), 401);
    the_keys_are_in_memory_alone(&world.config.state_dir, memory.path());
    nobody_else_reaches_the_store(memory.path()).await;
    a_node_lives_and_ends(&world, &node, &admin).await;

    // A user who is revoked is remembered a while by upstream's kube-apiserver.
    world.run(&admin.wallet, &world.calls.revoke_token(admin.token.token)).await;
    let proof = world.proof(&admin);
    let took = until("a refused user", async || {
        world.https(None).await.get(&url).bearer_auth(&proof).send().await.unwrap().status() == 401
    })
    .await;
    assert!(took < TOKENS_REMEMBERED, "{took:?}");

    let other = world.stake(Tier::Admin, "").await;
    world.grant(&other, "", "cluster-admin").await;
    master.shutdown().await;
    assert_eq!(std::fs::read_dir(memory.path()).unwrap().count(), 0, "the keys are gone");
    // Everything again from the sealed store.
    let master = world.master().await;
    until("the secret", async || get(&world, &other, "/api/v1/namespaces/default/secrets/s").await.0 == 200)
        .await;
    master.shutdown().await;
}

fn the_keys_are_in_memory_alone(state: &Path, memory: &Path) {
    let mut keys = 0;
    look_through(memory, &mut |_, bytes| {
        keys += usize::from(bytes.windows(11).any(|window| window == b"PRIVATE KEY"));
    });
    assert!(keys > 4, "{keys} keys are where K3s looks for them");
    look_through(state, &mut |path, bytes| {
        for needle in [crate::SECRET.as_bytes(), b"PRIVATE KEY"] {
            let found = bytes.windows(needle.len()).any(|window| window == needle);
            assert!(!found, "{} holds {:?}", path.display(), String::from_utf8_lossy(needle));
        }
    });
}

/// The store's port is for the one certificate that was made for K3s.
async fn nobody_else_reaches_the_store(memory: &Path) {
    let home = std::fs::read_dir(memory).unwrap().next().unwrap().unwrap().path();
    let command = command_line(&home);
    let endpoint = command.split('\0').find_map(|arg| arg.strip_prefix("--datastore-endpoint=https://"));
    let address: SocketAddr = endpoint.unwrap().parse().unwrap();
    let read = |name: &str| std::fs::read_to_string(home.join("ours").join(name)).unwrap();
    let ca = read("store-ca.crt");
    let shown =
        Identity { certificate: read("store-client.crt"), key: Zeroizing::new(read("store-client.key")) };
    for (identity, answers) in [(Some(&shown), true), (None, false)] {
        let tls = engine::tls::client(&ca, identity).unwrap();
        let client = reqwest::Client::builder().tls_backend_preconfigured(tls).no_proxy().build().unwrap();
        let answer = client.get(format!("https://{address}/version")).send().await;
        assert_eq!(answer.is_ok(), answers, "{answer:?}");
    }
}

/// The command line, with its zeros, of the K3s that works in `home`.
fn command_line(home: &Path) -> String {
    let wanted = format!("--data-dir={}", home.display());
    let processes = std::fs::read_dir("/proc").unwrap();
    let mut texts =
        processes.filter_map(|entry| std::fs::read_to_string(entry.ok()?.path().join("cmdline")).ok());
    texts.find(|text| text.split('\0').any(|arg| arg == wanted)).unwrap()
}

async fn a_node_lives_and_ends(world: &World, node: &Holder, admin: &Holder) {
    let kubelet = world.https(Some(&world.certificate(node, "client-kubelet").await.unwrap())).await;
    let base = &world.config.apiserver_url;
    let registration = json!({ "metadata": { "name": "n1", "labels": { "kubernetes.io/hostname": "n1" } } });
    let made = kubelet.post(format!("{base}/api/v1/nodes")).json(&registration).send().await.unwrap();
    assert_eq!(made.status(), 201, "{}", made.text().await.unwrap());
    until("the node's label", async || {
        let (_, found) = get(world, admin, "/api/v1/nodes/n1").await;
        found["metadata"]["labels"][master::membership::TOKEN_LABEL].is_string()
    })
    .await;
    let labels = json!({ "metadata": { "labels": { "k3s-daas.io/attested": "true" } } });
    let wish = kubelet
        .patch(format!("{base}/api/v1/nodes/n1"))
        .header("content-type", "application/merge-patch+json")
        .body(labels.to_string());
    assert_eq!(wish.send().await.unwrap().status(), 403, "a node labels itself");

    let (stake, cluster) = (node.token.stake, world.cluster.cluster);
    world.run(&node.wallet, &world.calls.request_unstake(stake, cluster)).await;
    let refused = until("a refused certificate", async || {
        kubelet.get(format!("{base}/api/v1/nodes/n1")).send().await.unwrap().status() == 403
    })
    .await;
    assert!(refused < Duration::from_secs(1), "{refused:?} until the certificate was refused");
    until("without the node", async || get(world, admin, "/api/v1/nodes/n1").await.0 == 404).await;
}

fn stand_in() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/k3s-stand-in/k3s").canonicalize().unwrap()
}

/// The first of two ports beside each other that nobody listens on.
fn two_free_ports() -> u16 {
    let free = |port: u16| TcpListener::bind(("127.0.0.1", port)).is_ok();
    (20_000..30_000).step_by(2).find(|port| free(*port) && free(port + 1)).unwrap()
}
