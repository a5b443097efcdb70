//! Heartbeats: what counts, and everything that does not.

use api::{Heartbeat, Instance, NodeMetrics, NodeState};
use ed25519_dalek::Signer;

use super::*;

/// A heartbeat of `n1`, not signed yet.
pub(super) fn unsigned(timestamp_ms: u64) -> Heartbeat {
    Heartbeat {
        node_name: "n1".into(),
        timestamp_ms,
        ready: true,
        reason: None,
        metrics: NodeMetrics { pods: 4, ..NodeMetrics::default() },
        instance: Instance { id: "0a".repeat(16), started_ms: START - 5 },
        signature: None,
    }
}

pub(super) fn signed_by(holder: Id, token: Id, mut beat: Heartbeat) -> Heartbeat {
    let statement = chain::NodeStatement {
        cluster: chain::Address::new([0xcc; 32]),
        token: chain::Address::new(token.0),
        subject: beat.subject(),
        sequence: beat.timestamp_ms,
        digest: beat.digest().to_vec(),
    };
    let message = statement.message(beat.timestamp_ms).unwrap();
    beat.signature = Some(hex::encode(key(holder).sign(&message).to_bytes()));
    beat
}

pub(super) fn signed(beat: Heartbeat) -> Heartbeat {
    signed_by(NODE, NODE, beat)
}

impl House {
    pub(super) fn send(&self, token: Id, beat: &Heartbeat) -> RequestBuilder {
        let url = self.url("/api/v1/nodes/heartbeat");
        self.client(None).post(url).bearer_auth(self.proof(token)).json(beat)
    }

    /// How often heartbeats had this result.
    fn beats(&self, result: &str) -> u64 {
        self.metric(&format!("k3s_daas_heartbeats_total{{result=\"{result}\"}}"))
    }
}

/// A master that has not read the chain refuses heartbeats, and holds that against nobody.
#[tokio::test]
async fn while_the_chain_is_unread_no_node_is_blamed() {
    let house = House::new().await;
    house.shared.tick();
    house.send(NODE, &signed(unsigned(START))).send().await.unwrap();
    let state = || house.shared.health.lock().state("n1", NODE);
    assert_eq!(state(), NodeState::Ready);
    let limits = Limits {
        proof: seal_token::Limits { max_window_ms: WINDOW_MS, max_clock_skew_ms: 1_000 },
        chain_silence_ms: 10_000,
    };
    let unread = crate::membership::Membership::new(house.pki.ca_der_sha256().unwrap(), limits);
    let read = std::mem::replace(&mut *house.shared.membership.write(), unread);
    house.pass(120);
    *house.shared.membership.write() = read;
    house.pass(1);
    assert_eq!(state(), NodeState::Ready, "for two minutes nobody could be heard");
    house.pass(31);
    assert_eq!(state(), NodeState::Down, "silence from now on counts");
}

#[tokio::test]
async fn heartbeats_make_a_node_ready_and_silence_takes_it_down() {
    let house = House::new().await;
    let client = house.client(None);
    house.shared.tick();
    let answer = house.send(NODE, &signed(unsigned(START))).send().await.unwrap();
    let reply: api::HeartbeatReply = answer.json().await.unwrap();
    assert_eq!((reply.timestamp_ms, reply.interval_ms), (START, 5_000));
    let status = async || -> api::MasterStatus {
        client.get(house.url("/api/v1/status")).send().await.unwrap().json().await.unwrap()
    };
    assert_eq!((status().await.nodes_ready, status().await.nodes_total), (1, 1));
    assert!(status().await.tee.simulated);

    house.pass(13);
    let list = || client.get(house.url("/api/v1/nodes")).bearer_auth(house.proof(ADMIN));
    let node = async || {
        let nodes: api::NodeList = list().send().await.unwrap().json().await.unwrap();
        nodes.nodes[0].clone()
    };
    assert_eq!((node().await.state, status().await.nodes_ready), (NodeState::Suspect, 0));
    assert_eq!(node().await.reason.as_deref(), Some("no good sign"));
    house.pass(17);
    assert_eq!((node().await.state, node().await.since_ms), (NodeState::Down, Some(START + 30_000)));
    assert_eq!(node().await.metrics.unwrap().pods, 4);
    house.tell(Fact::Token(Token { revoked: true, ..token(NODE) }));
    house.shared.tick();
    assert_eq!(node().await.state, NodeState::Removed);
    assert_eq!(house.metric("k3s_daas_nodes{state=\"removed\"}"), 1);
    assert_eq!(status().await.nodes_total, 0);
}

#[tokio::test]
async fn a_hostile_nodes_heartbeats_are_refused_logged_and_counted() {
    let house = House::new().await;
    let client = house.client(None);
    let other = Id([0xa4; 32]);
    house.tell(Fact::Stake(Stake { tier: Tier::Node, ..stake(other) }));
    house.tell(Fact::Token(Token { node_name: Some("n2".into()), ..token(other) }));

    let first = signed(unsigned(START));
    assert_eq!(house.send(NODE, &first).send().await.unwrap().status(), 200);
    expect(house.send(NODE, &first), 409, "stale_heartbeat").await;
    expect(house.send(NODE, &signed(unsigned(START + 61_000))), 400, "clock_skew").await;
    // For another: under the own proof, and with the own signature under the other's name.
    let named = |name: &str| Heartbeat { node_name: name.into(), ..unsigned(START + 1) };
    expect(house.send(NODE, &signed(named("n2"))), 403, "node_name_mismatch").await;
    expect(house.send(USER, &signed(unsigned(START + 1))), 403, "not_a_node_token").await;
    expect(house.send(other, &signed_by(NODE, other, named("n2"))), 400, "bad_heartbeat_signature").await;
    expect(house.send(other, &signed_by(other, NODE, named("n2"))), 400, "bad_heartbeat_signature").await;
    let nobody = client.post(house.url("/api/v1/nodes/heartbeat")).json(&first);
    expect(nobody, 401, "missing_credential").await;
    // Not signed, changed after it was signed, or by nobody that could be.
    expect(house.send(NODE, &unsigned(START + 1)), 400, "bad_heartbeat_signature").await;
    let changed = Heartbeat { ready: false, ..signed(unsigned(START + 1)) };
    expect(house.send(NODE, &changed), 400, "bad_heartbeat_signature").await;
    let signature = Some("zz".into());
    let nonsense = Heartbeat { signature, ..unsigned(START + 1) };
    expect(house.send(NODE, &nonsense), 400, "bad_heartbeat_signature").await;
    // A second agent under the same name: the one that was started later speaks for the node.
    let instance = Instance { id: "0b".repeat(16), started_ms: START - 1 };
    let second = signed(Heartbeat { instance, ..unsigned(START + 2) });
    assert_eq!(house.send(NODE, &second).send().await.unwrap().status(), 200);
    expect(house.send(NODE, &signed(unsigned(START + 3))), 409, "fenced").await;
    // Two words about one time.
    let instance = second.instance.clone();
    let lie = signed(Heartbeat { ready: false, instance, ..unsigned(START + 2) });
    expect(house.send(NODE, &lie), 409, "contradiction").await;
    assert_eq!(house.shared.health.lock().take_contradictions().len(), 1);
    // More than anybody asked for.
    let mut flooded = 0;
    for late in 0..40 {
        let answer = house.send(other, &signed_by(other, other, named("n2"))).send().await.unwrap();
        assert!(late > 0 || answer.status() == 200);
        flooded += usize::from(answer.status() == 429);
    }
    assert!(flooded >= 9, "{flooded}");
    for (result, at_least) in [
        ("accepted", 3),
        ("stale_heartbeat", 1),
        ("clock_skew", 1),
        ("bad_heartbeat_signature", 5),
        ("fenced", 1),
        ("contradiction", 1),
        ("heartbeat_flood", 9),
    ] {
        assert!(house.beats(result) >= at_least, "{result}: {}", house.beats(result));
    }
    assert!(house.refused("node_name_mismatch") >= 1 && house.refused("not_a_node_token") >= 1);
}
