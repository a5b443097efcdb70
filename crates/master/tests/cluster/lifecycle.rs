//! A node whose machine dies, and one that is taken out for maintenance: their pods go elsewhere in time.

use std::time::{Duration, Instant};

use chain::Tier;
use serde_json::{Value, json};

use crate::hostile::Agent;
use crate::world::{Holder, World, now_ms};
use crate::{get, until};

/// Two nodes without kubelets: their heartbeats come from here, their Nodes are Ready because nobody says
/// otherwise. One falls silent.
pub(crate) async fn a_dead_nodes_pods_are_started_elsewhere(world: &World, admin: &Holder) {
    let (first, second) = (world.stake(Tier::Node, "first").await, world.stake(Tier::Node, "second").await);
    until("both in", async || world.certificate(&second, "client-kubelet").await.is_ok()).await;
    for holder in [&first, &second] {
        register(world, admin, &holder.token.node_name).await;
    }
    let (first_agent, second_agent) = (Agent::new(world, &first).await, Agent::new(world, &second).await);
    let alive = |agent: &Agent| {
        let agent = agent.clone();
        tokio::spawn(async move {
            loop {
                agent.post(&agent.own_beat()).await;
                tokio::time::sleep(Duration::from_millis(300)).await;
            }
        })
    };
    let (one, two) = (alive(&first_agent), alive(&second_agent));
    for name in ["first", "second"] {
        until("both ready", async || state(world, admin, name).await == "ready").await;
    }
    // Kubernetes takes its own taints from new nodes a moment after it calls them ready.
    for name in ["first", "second"] {
        until("a node without taints", async || {
            let (_, node) = get(world, admin, &format!("/api/v1/nodes/{name}")).await;
            node["spec"]["taints"].is_null()
        })
        .await;
    }
    let deployment = json!({
        "metadata": { "name": "app" },
        "spec": { "replicas": 1, "selector": { "matchLabels": { "app": "app" } }, "template": {
            "metadata": { "labels": { "app": "app" } },
            "spec": { "containers": [{ "name": "c", "image": "none" }],
                "affinity": { "nodeAffinity": { "preferredDuringSchedulingIgnoredDuringExecution": [{ "weight": 100,
                    "preference": { "matchExpressions": [
                        { "key": "kubernetes.io/hostname", "operator": "In", "values": ["first"] }] } }] } } },
        } },
    });
    create(world, admin, "/apis/apps/v1/namespaces/team/deployments", &deployment).await;
    until("a pod on the first node", async || on(world, admin, "first").await == 1).await;

    workloads_choose_by_stake(world, admin).await;
    announced_maintenance_drains(world, admin, &first).await;

    one.abort();
    let died = Instant::now();
    until("suspect", async || state(world, admin, "first").await == "suspect").await;
    until("down", async || state(world, admin, "first").await == "down").await;
    until("the pod on the second node", async || on(world, admin, "second").await == 1).await;
    let took = died.elapsed();
    let limits = world.config.health;
    let allowed = Duration::from_millis(limits.down_after_ms) + Duration::from_secs(4);
    assert!(took <= allowed, "{took:?} until the pod was elsewhere, {allowed:?} are allowed");

    // It comes back without anybody's hand.
    let one = alive(&first_agent);
    until("ready again", async || state(world, admin, "first").await == "ready").await;
    until("without taint", async || {
        let (_, node) = get(world, admin, "/api/v1/nodes/first").await;
        node["spec"]["taints"]
            .as_array()
            .is_none_or(|taints| taints.iter().all(|taint| taint["key"] != "k3s-daas.io/down"))
    })
    .await;
    one.abort();
    two.abort();
}

/// The staker says on chain that the node is taken down: its pods move before, as their budgets allow, and it takes pods again after.
async fn announced_maintenance_drains(world: &World, admin: &Holder, first: &Holder) {
    two_pods_of_which_one_has_to_be_ready(world, admin).await;
    let (from_ms, to_ms) = (now_ms() + 3_000, now_ms() + 25_000);
    world.run(&first.wallet, &world.calls.announce_maintenance(first.token.stake, from_ms, to_ms)).await;
    until("the pod on the other node", async || on(world, admin, "second").await == 1).await;
    let (_, node) = get(world, admin, "/api/v1/nodes/first").await;
    assert_eq!(node["spec"]["unschedulable"], true);

    // One of the two goes. The other stays while nobody is ready in the place of the first, however often it is asked.
    until("one of the two going", async || held(world, admin).await.iter().any(|pod| pod.going)).await;
    tokio::time::sleep(Duration::from_secs(4)).await;
    let pods = held(world, admin).await;
    let stays: Vec<_> = pods.iter().filter(|pod| pod.node == "first" && !pod.going).collect();
    assert_eq!(stays.len(), 1, "{pods:?}");
    until("what is left to be told", async || pods_left(world, admin, "first").await >= Some(2)).await;
    // As a kubelet would: the new one is ready, and those that were told to end have ended.
    let new = pods.iter().find(|pod| pod.node == "second").unwrap();
    be_ready(world, admin, &new.name).await;
    until("the other going", async || {
        held(world, admin).await.iter().any(|pod| pod.name == stays[0].name && pod.going)
    })
    .await;
    until("nothing left", async || {
        end_pods(world, admin, "first").await;
        pods_left(world, admin, "first").await == Some(0)
    })
    .await;
    assert!(now_ms() < to_ms, "drained within the window, not after it");
    until("uncordoned", async || {
        let (_, node) = get(world, admin, "/api/v1/nodes/first").await;
        node["spec"]["unschedulable"].is_null()
            && node["metadata"]["annotations"]["k3s-daas.io/drained"].is_null()
    })
    .await;
    assert!(now_ms() >= to_ms);
    assert_eq!(pods_left(world, admin, "first").await, None, "no drain goes on");
    // Back on the first node, for what comes.
    for path in [
        "/apis/apps/v1/namespaces/team/deployments/held",
        "/api/v1/namespaces/team/pods?labelSelector=app%3Dapp",
    ] {
        let url = format!("{}{path}", world.config.apiserver_url);
        let deleted =
            world.https(None).await.delete(url).bearer_auth(world.proof(admin)).send().await.unwrap();
        assert_eq!(deleted.status(), 200);
    }
    until("a pod on the first node again", async || on(world, admin, "first").await == 1).await;
}

/// A pod of the deployment with a budget.
#[derive(Debug)]
struct Held {
    name: String,
    node: String,
    going: bool,
}

async fn held(world: &World, admin: &Holder) -> Vec<Held> {
    let (_, pods) = get(world, admin, "/api/v1/namespaces/team/pods?labelSelector=app%3Dheld").await;
    let read = |pod: &Value| Held {
        name: pod["metadata"]["name"].as_str().unwrap().to_owned(),
        node: pod["spec"]["nodeName"].as_str().unwrap_or_default().to_owned(),
        going: !pod["metadata"]["deletionTimestamp"].is_null(),
    };
    pods["items"].as_array().unwrap().iter().map(read).collect()
}

/// Both on the first node and ready, with a budget that lets one go at a time.
async fn two_pods_of_which_one_has_to_be_ready(world: &World, admin: &Holder) {
    let budget = json!({ "metadata": { "name": "held" }, "spec": {
        "minAvailable": 1, "selector": { "matchLabels": { "app": "held" } } } });
    create(world, admin, "/apis/policy/v1/namespaces/team/poddisruptionbudgets", &budget).await;
    let deployment = json!({
        "metadata": { "name": "held" },
        "spec": { "replicas": 2, "selector": { "matchLabels": { "app": "held" } }, "template": {
            "metadata": { "labels": { "app": "held" } },
            "spec": { "containers": [{ "name": "c", "image": "none" }],
                "affinity": { "nodeAffinity": { "preferredDuringSchedulingIgnoredDuringExecution": [{ "weight": 100,
                    "preference": { "matchExpressions": [
                        { "key": "kubernetes.io/hostname", "operator": "In", "values": ["first"] }] } }] } } },
        } },
    });
    create(world, admin, "/apis/apps/v1/namespaces/team/deployments", &deployment).await;
    until("both on the first node", async || {
        let pods = held(world, admin).await;
        pods.len() == 2 && pods.iter().all(|pod| pod.node == "first")
    })
    .await;
    for pod in held(world, admin).await {
        be_ready(world, admin, &pod.name).await;
    }
    until("one may go", async || {
        let path = "/apis/policy/v1/namespaces/team/poddisruptionbudgets/held";
        get(world, admin, path).await.1["status"]["disruptionsAllowed"] == 1
    })
    .await;
}

/// Says what a kubelet would say of a pod that runs.
async fn be_ready(world: &World, admin: &Holder, pod: &str) {
    let status = json!({ "status": { "phase": "Running", "conditions": [
        { "type": "Ready", "status": "True", "lastTransitionTime": "2026-01-01T00:00:00Z" }] } });
    let url = format!("{}/api/v1/namespaces/team/pods/{pod}/status", world.config.apiserver_url);
    let request = world.https(None).await.patch(url).bearer_auth(world.proof(admin));
    let request = request.header("content-type", "application/strategic-merge-patch+json");
    assert_eq!(request.body(status.to_string()).send().await.unwrap().status(), 200);
}

/// Does what a kubelet does to pods that were told to end.
async fn end_pods(world: &World, admin: &Holder, node: &str) {
    let path = format!("/api/v1/namespaces/team/pods?fieldSelector=spec.nodeName%3D{node}");
    let (_, pods) = get(world, admin, &path).await;
    let going = |pod: &&Value| !pod["metadata"]["deletionTimestamp"].is_null();
    for pod in pods["items"].as_array().unwrap().iter().filter(going) {
        let name = pod["metadata"]["name"].as_str().unwrap();
        let url =
            format!("{}/api/v1/namespaces/team/pods/{name}?gracePeriodSeconds=0", world.config.apiserver_url);
        world.https(None).await.delete(url).bearer_auth(world.proof(admin)).send().await.unwrap();
    }
}

/// What the gateway tells of a drain.
async fn pods_left(world: &World, admin: &Holder, name: &str) -> Option<u64> {
    node(world, admin, name).await["drain"]["podsLeft"].as_u64()
}

/// The examples that are handed out, as they are.
async fn workloads_choose_by_stake(world: &World, admin: &Holder) {
    let examples = [
        include_str!("../../../../deploy/examples/attested.yaml"),
        include_str!("../../../../deploy/examples/spread-over-operators.yaml"),
        include_str!("../../../../deploy/examples/large-stake.yaml"),
    ];
    for document in examples.iter().flat_map(|text| text.split("\n---\n")) {
        let name = document.lines().find_map(|line| line.strip_prefix("  name: ")).unwrap();
        let path = if document.contains("kind: Deployment") {
            format!("/apis/apps/v1/namespaces/team/deployments/{name}")
        } else {
            format!("/apis/policy/v1/namespaces/team/poddisruptionbudgets/{name}")
        };
        let url = format!("{}{path}?fieldManager=test", world.config.apiserver_url);
        let request = world.https(None).await.patch(url).bearer_auth(world.proof(admin));
        let request = request.header("content-type", "application/apply-patch+yaml").body(document);
        let answer = request.send().await.unwrap();
        assert_eq!(answer.status(), 201, "{name}: {}", answer.text().await.unwrap());
    }
    let nodes = async |app: &str| -> Vec<String> {
        let path = format!("/api/v1/namespaces/team/pods?labelSelector=app%3D{app}");
        let (_, pods) = get(world, admin, &path).await;
        let pods = pods["items"].as_array().cloned().unwrap_or_default();
        pods.iter().map(|pod| pod["spec"]["nodeName"].as_str().unwrap_or_default().to_owned()).collect()
    };
    until("replicas with two operators", async || {
        let mut found = nodes("spread").await;
        found.sort();
        found == ["first", "second"]
    })
    .await;
    until("a pod where more is staked", async || {
        nodes("large-stake").await.iter().any(|node| !node.is_empty())
    })
    .await;
    assert_eq!(nodes("attested").await, ["", ""], "no node has shown its hardware, so they wait");
    for app in ["attested", "spread", "large-stake"] {
        let url = format!("{}/apis/apps/v1/namespaces/team/deployments/{app}", world.config.apiserver_url);
        let deleted =
            world.https(None).await.delete(url).bearer_auth(world.proof(admin)).send().await.unwrap();
        assert_eq!(deleted.status(), 200);
    }
}

async fn state(world: &World, admin: &Holder, name: &str) -> String {
    node(world, admin, name).await["state"].as_str().unwrap_or_default().to_owned()
}

/// A node as the gateway lists it.
async fn node(world: &World, admin: &Holder, name: &str) -> Value {
    let url = format!("{}/api/v1/nodes", world.config.gateway_url);
    let answer = world.https(None).await.get(url).bearer_auth(world.proof(admin)).send().await.unwrap();
    let list: Value = answer.json().await.unwrap();
    let nodes = list["nodes"].as_array().unwrap();
    nodes.iter().find(|node| node["name"] == name).cloned().unwrap_or_default()
}

/// How many pods of the app are to run on a node.
async fn on(world: &World, admin: &Holder, node: &str) -> usize {
    let (_, pods) = get(world, admin, "/api/v1/namespaces/team/pods?labelSelector=app%3Dapp").await;
    let there =
        |pod: &&Value| pod["spec"]["nodeName"] == node && pod["metadata"]["deletionTimestamp"].is_null();
    pods["items"].as_array().map_or(0, |pods| pods.iter().filter(there).count())
}

/// A Node that is Ready and stays so: no kubelet renews its lease, so the test marks it as kwok's are.
async fn register(world: &World, admin: &Holder, name: &str) {
    let node = json!({
        "metadata": { "name": name, "labels": { "kubernetes.io/hostname": name } },
    });
    create(world, admin, "/api/v1/nodes", &node).await;
    let status = json!({ "status": {
        "allocatable": { "cpu": "4", "memory": "8Gi", "pods": "110" },
        "capacity": { "cpu": "4", "memory": "8Gi", "pods": "110" },
        "conditions": [{ "type": "Ready", "status": "True", "reason": "Test", "message": "",
            "lastHeartbeatTime": "2026-01-01T00:00:00Z", "lastTransitionTime": "2026-01-01T00:00:00Z" }],
    } });
    let url = format!("{}/api/v1/nodes/{name}/status", world.config.apiserver_url);
    let request = world.https(None).await.patch(url).bearer_auth(world.proof(admin));
    let request = request.header("content-type", "application/merge-patch+json").body(status.to_string());
    let answer = request.send().await.unwrap();
    assert_eq!(answer.status(), 200, "{}", answer.text().await.unwrap());
}

pub(crate) async fn create(world: &World, admin: &Holder, path: &str, body: &Value) {
    let url = format!("{}{path}", world.config.apiserver_url);
    let request = world.https(None).await.post(url).bearer_auth(world.proof(admin)).json(body);
    let answer = request.send().await.unwrap();
    assert_eq!(answer.status(), 201, "{}", answer.text().await.unwrap());
}
