//! A node that belongs to an enemy: it has all the certificates that a node gets, and uses them against the others.

use std::time::Duration;

use api::{Heartbeat, Instance, NodeMetrics};
use chain::Tier;
use ed25519_dalek::Signer;
use reqwest::{Client, Method};
use serde_json::{Value, json};

use crate::world::{Holder, World, now_ms, proof};
use crate::{get, until};

const MERGE: &str = "application/merge-patch+json";

/// One node's client of the apiserver.
struct Kubelet {
    client: Client,
    base: String,
}

impl Kubelet {
    async fn new(world: &World, holder: &Holder) -> Self {
        let identity = world.certificate(holder, "client-kubelet").await.unwrap();
        Self { client: world.https(Some(&identity)).await, base: world.config.apiserver_url.clone() }
    }

    async fn send(&self, method: Method, path: &str, kind: &str, body: Option<&Value>) -> (u16, String) {
        let mut request =
            self.client.request(method, format!("{}{path}", self.base)).header("content-type", kind);
        if let Some(body) = body {
            request = request.body(body.to_string());
        }
        let response = request.send().await.unwrap();
        (response.status().as_u16(), response.text().await.unwrap())
    }

    async fn refused(&self, what: &str, method: Method, path: &str, body: Option<&Value>) {
        let kind = if method == Method::PATCH { MERGE } else { "application/json" };
        let (code, text) = self.send(method, path, kind, body).await;
        assert_eq!(code, 403, "{what}: {text}");
    }

    async fn register(&self, name: &str) {
        let node = json!({ "metadata": { "name": name, "labels": { "kubernetes.io/hostname": name } } });
        let (code, text) = self.send(Method::POST, "/api/v1/nodes", "application/json", Some(&node)).await;
        assert_eq!(code, 201, "{text}");
    }
}

pub(crate) async fn a_hostile_node_gets_nothing(world: &World, admin: &Holder) {
    let (enemy, victim) = (world.stake(Tier::Node, "enemy").await, world.stake(Tier::Node, "victim").await);
    until("both in", async || world.certificate(&victim, "client-kubelet").await.is_ok()).await;
    let (kubelet, honest) = (Kubelet::new(world, &enemy).await, Kubelet::new(world, &victim).await);

    // As it registers: labels, taints and addresses of its own choice.
    let node = |metadata: Value, spec: Value| {
        let mut node = json!({ "metadata": { "name": "enemy" }, "spec": spec });
        for (key, value) in metadata.as_object().unwrap() {
            node["metadata"][key] = value.clone();
        }
        node
    };
    let trusted = json!({ "labels": { "k3s-daas.io/attested": "true" } });
    for (what, body) in [
        ("calls itself attested", node(trusted.clone(), json!({}))),
        ("under another domain", node(json!({ "labels": { "x.k3s-daas.io/tier": "admin" } }), json!({}))),
        ("annotates itself", node(json!({ "annotations": { "k3s-daas.io/drained": "true" } }), json!({}))),
        (
            "taints itself",
            node(json!({}), json!({ "taints": [{ "key": "k3s-daas.io/x", "effect": "NoSchedule" }] })),
        ),
        (
            "takes addresses",
            node(json!({}), json!({ "podCIDR": "10.42.0.0/24", "podCIDRs": ["10.42.0.0/24"] })),
        ),
        ("cannot be removed", node(json!({ "finalizers": ["enemy.example/stay"] }), json!({}))),
        ("another's token", node(json!({ "labels": { (master::membership::TOKEN_LABEL): "x" } }), json!({}))),
    ] {
        kubelet.refused(what, Method::POST, "/api/v1/nodes", Some(&body)).await;
    }
    let other = json!({ "metadata": { "name": "victim" } });
    kubelet.refused("takes another's name", Method::POST, "/api/v1/nodes", Some(&other)).await;
    kubelet.register("enemy").await;
    honest.register("victim").await;

    // The master labels both, from the chain.
    until("labels from the chain", async || {
        let (_, found) = get(world, admin, "/api/v1/nodes/enemy").await;
        let labels = &found["metadata"]["labels"];
        labels["k3s-daas.io/tier"] == "node"
            && labels["k3s-daas.io/attested"] == "false"
            && labels["k3s-daas.io/stake-mist"] == "10000"
            && labels["k3s-daas.io/operator"].as_str().is_some_and(|operator| operator.len() == 40)
    })
    .await;
    // Later: on its own Node, on its status, on another's.
    for (what, path) in [
        ("labels itself", "/api/v1/nodes/enemy"),
        ("labels itself by its status", "/api/v1/nodes/enemy/status"),
        ("labels another", "/api/v1/nodes/victim"),
        ("changes another's status", "/api/v1/nodes/victim/status"),
    ] {
        kubelet.refused(what, Method::PATCH, path, Some(&json!({ "metadata": trusted }))).await;
    }
    let unlabelled = json!({ "metadata": { "labels": { "k3s-daas.io/stake-mist": null } } });
    kubelet.refused("takes a label away", Method::PATCH, "/api/v1/nodes/enemy", Some(&unlabelled)).await;
    let cordoned = json!({ "spec": { "unschedulable": true } });
    kubelet.refused("cordons itself", Method::PATCH, "/api/v1/nodes/enemy", Some(&cordoned)).await;
    kubelet.refused("removes another", Method::DELETE, "/api/v1/nodes/victim", None).await;

    // What others keep: a secret of a pod on another node, all secrets, another's service account.
    kubelet.refused("reads a secret", Method::GET, "/api/v1/namespaces/team/secrets/s", None).await;
    kubelet.refused("lists secrets", Method::GET, "/api/v1/secrets", None).await;
    kubelet.refused("lists a namespace's", Method::GET, "/api/v1/namespaces/team/secrets", None).await;
    let request = json!({ "apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": {} });
    let tokens = "/api/v1/namespaces/kube-system/serviceaccounts/node-controller/token";
    kubelet.refused("speaks for a controller", Method::POST, tokens, Some(&request)).await;
    // A pod of its own making would get a service's traffic.
    let mirror = json!({
        "metadata": { "name": "p-enemy", "annotations": { "kubernetes.io/config.mirror": "x",
            "kubernetes.io/config.source": "file", "kubernetes.io/config.hash": "x" }, "labels": { "app": "bank" } },
        "spec": { "nodeName": "enemy", "containers": [{ "name": "c", "image": "x" }] },
    });
    kubelet.refused("makes a pod", Method::POST, "/api/v1/namespaces/team/pods", Some(&mirror)).await;
    let lease = json!({ "metadata": { "name": "victim", "namespace": "kube-node-lease" },
        "spec": { "holderIdentity": "enemy", "leaseDurationSeconds": 40 } });
    let leases = "/apis/coordination.k8s.io/v1/namespaces/kube-node-lease/leases";
    kubelet.refused("renews another's lease", Method::POST, leases, Some(&lease)).await;
    let role = json!({ "metadata": { "name": "x" }, "roleRef": { "apiGroup": "rbac.authorization.k8s.io",
        "kind": "ClusterRole", "name": "cluster-admin" }, "subjects": [] });
    let roles = "/apis/rbac.authorization.k8s.io/v1/clusterrolebindings";
    kubelet.refused("gives itself a role", Method::POST, roles, Some(&role)).await;

    heartbeats_of_an_enemy(world, &enemy, &victim).await;

    // All of it is told to the master, which counts it.
    let metrics = async || {
        let url = format!("{}/metrics", world.config.gateway_url);
        world.https(None).await.get(url).send().await.unwrap().text().await.unwrap()
    };
    let count = |text: &str, series: &str| -> u64 {
        let line = text.lines().find_map(|line| line.strip_prefix(series)?.trim().parse().ok());
        line.unwrap_or(0)
    };
    for (resource, verb, at_least) in [
        ("nodes", "create", 8),
        ("nodes", "patch", 6),
        ("nodes", "delete", 1),
        ("secrets", "get", 1),
        ("secrets", "list", 2),
        ("pods", "create", 1),
        ("serviceaccounts", "create", 1),
    ] {
        let series =
            format!("k3s_daas_node_requests_denied_total{{resource=\"{resource}\",verb=\"{verb}\"}}");
        until(&series, async || count(&metrics().await, &series) >= at_least).await;
    }
    let text = metrics().await;
    for (series, at_least) in [
        ("k3s_daas_heartbeats_total{result=\"accepted\"}", 2),
        ("k3s_daas_heartbeats_total{result=\"stale_heartbeat\"}", 1),
        ("k3s_daas_heartbeats_total{result=\"bad_heartbeat_signature\"}", 1),
        ("k3s_daas_heartbeats_total{result=\"heartbeat_flood\"}", 1),
        ("k3s_daas_token_refusals_total{reason=\"node_name_mismatch\"}", 2),
    ] {
        assert!(count(&text, series) >= at_least, "{series}: {}", count(&text, series));
    }
}

/// Heartbeats for another, replayed, and in floods.
async fn heartbeats_of_an_enemy(world: &World, enemy: &Holder, victim: &Holder) {
    let (bad, honest) = (Agent::new(world, enemy).await, Agent::new(world, victim).await);
    let name = &victim.token.node_name;
    let good = honest.own_beat();
    assert_eq!(honest.post(&good).await, (200, String::new()));
    assert_eq!(honest.post(&good).await, (409, "stale_heartbeat".into()), "a replay");
    // The other's heartbeat under the own proof, and one of the own making.
    assert_eq!(bad.post(&good).await, (403, "node_name_mismatch".into()));
    assert_eq!(bad.post(&bad.beat(name)).await, (403, "node_name_mismatch".into()));
    // The other's proof, overheard, with a heartbeat of the own making.
    assert_eq!(honest.post(&bad.beat(name)).await, (400, "bad_heartbeat_signature".into()));
    // A certificate for another's name.
    let thief = Holder {
        token: chain::TokenIssued { node_name: name.clone(), ..enemy.token.clone() },
        ..enemy.clone()
    };
    let refused = world.certificate(&thief, "client-kubelet").await.unwrap_err();
    assert_eq!(refused, (403, "node_name_mismatch".into()));
    let mut flooded = false;
    for _ in 0..100 {
        flooded |= bad.post(&bad.own_beat()).await == (429, "heartbeat_flood".into());
    }
    assert!(flooded);
    // The victim is not held up by it.
    tokio::time::sleep(Duration::from_millis(2)).await;
    assert_eq!(honest.post(&honest.own_beat()).await.0, 200);
}

/// What a worker's agent says to the gateway, with one connection.
#[derive(Clone)]
pub(crate) struct Agent {
    client: Client,
    url: String,
    cluster: chain::Address,
    ca_hash: [u8; 32],
    holder: Holder,
}

impl Agent {
    pub(crate) async fn new(world: &World, holder: &Holder) -> Self {
        Self {
            client: world.https(None).await,
            url: format!("{}/api/v1/nodes/heartbeat", world.config.gateway_url),
            cluster: world.cluster.cluster,
            ca_hash: world.ca_hash,
            holder: holder.clone(),
        }
    }

    /// A heartbeat signed by the holder, under any name.
    fn beat(&self, name: &str) -> Heartbeat {
        let mut beat = Heartbeat {
            node_name: name.to_owned(),
            timestamp_ms: now_ms(),
            ready: true,
            reason: None,
            metrics: NodeMetrics::default(),
            instance: Instance { id: "0c".repeat(16), started_ms: 1 },
            signature: None,
        };
        let statement = chain::NodeStatement {
            cluster: self.cluster,
            token: self.holder.token.token,
            subject: beat.subject(),
            sequence: beat.timestamp_ms,
            digest: beat.digest().to_vec(),
        };
        let message = statement.message(beat.timestamp_ms).unwrap();
        beat.signature = Some(hex::encode(self.holder.key.sign(&message).to_bytes()));
        beat
    }

    pub(crate) fn own_beat(&self) -> Heartbeat {
        self.beat(&self.holder.token.node_name)
    }

    /// Sends it; gives status and reason.
    pub(crate) async fn post(&self, beat: &Heartbeat) -> (u16, String) {
        let request = self.client.post(&self.url).bearer_auth(proof(self.ca_hash, &self.holder)).json(beat);
        let response = request.send().await.unwrap();
        let status = response.status().as_u16();
        let reason = response.json::<api::ErrorBody>().await.map(|body| body.reason).unwrap_or_default();
        (status, reason)
    }
}
