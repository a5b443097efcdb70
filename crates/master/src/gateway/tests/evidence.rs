//! Nodes' evidence: the way from a heartbeat's nonce to the label, and every reason to refuse.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use sha2::{Digest, Sha256};
use tee::{Measurements, PlatformKind, Policy};

use super::*;
use crate::attestations::Book;
use crate::membership::{ATTESTED_LABEL, PLATFORM_LABEL, node_labels};

const OTHER: Id = Id([0xa4; 32]);
const ROUTE: &str = "/api/v1/nodes/attestation";

/// A node's machine: its kubelet's key, certificate and platform.
struct Machine {
    token: Id,
    name: &'static str,
    client: Client,
    key: [u8; 32],
    platform: SimulatedPlatform,
    _dir: tempfile::TempDir,
}

fn machine(house: &House, token: Id, name: &'static str, code: &[u8]) -> Machine {
    let real = crate::shared::system_clock()();
    let (user, bound) = (format!("system:node:{name}"), format!("k3s-daas:token:{token}.1"));
    let identity = house.pki.issue(&Profile::client(&user, &["system:nodes", &bound], 3600), real).unwrap();
    let dir = tempfile::tempdir().unwrap();
    Machine {
        token,
        name,
        client: house.client(Some(&identity)),
        key: key_of(&identity),
        platform: SimulatedPlatform::open(dir.path(), &tee::measure_bytes(code)).unwrap(),
        _dir: dir,
    }
}

pub(super) fn key_of(identity: &Identity) -> [u8; 32] {
    let (_, pem) = x509_parser::pem::parse_x509_pem(identity.certificate.as_bytes()).unwrap();
    Sha256::digest(pem.parse_x509().unwrap().public_key().raw).into()
}

/// What nodes have to run.
pub(super) fn policy(code: &[u8]) -> Policy {
    let code = Measurements::from([("code".to_owned(), tee::measure_bytes(code).to_vec())]);
    Policy { allowed: vec![(PlatformKind::Simulated, code)], allow_simulated: true, ..Policy::default() }
}

impl House {
    pub(super) fn decree(&self, policy: Option<Policy>) -> Vec<String> {
        self.shared.workers.book.lock().decree(policy, self.shared.now_ms())
    }

    /// What the next heartbeat's answer would ask for.
    fn nonce_of(&self, machine: &Machine) -> Option<[u8; 32]> {
        let fresh = tee::fresh_nonce().unwrap();
        self.shared.workers.book.lock().offer(machine.name, machine.token, fresh, self.shared.now_ms())
    }

    /// The evidence of `machine` as `token` with `key`, and what it says of itself.
    fn evidence(&self, machine: &Machine, nonce: [u8; 32], token: Id, key: [u8; 32]) -> api::NodeEvidence {
        let report_data = tee::node_report_data(&nonce, &[0xcc; 32], &token.0, &key);
        let evidence = machine.platform.attest(&report_data, self.shared.now_ms()).unwrap();
        api::NodeEvidence {
            nonce: hex::encode(nonce),
            token_id: token.to_string(),
            key_sha256: hex::encode(key),
            evidence: STANDARD.encode(evidence.encode()),
        }
    }

    fn good(&self, machine: &Machine) -> api::NodeEvidence {
        let nonce = self.nonce_of(machine).unwrap();
        self.evidence(machine, nonce, machine.token, machine.key)
    }

    fn show(&self, client: &Client, evidence: &api::NodeEvidence) -> RequestBuilder {
        client.post(self.url(ROUTE)).json(evidence)
    }

    fn shown(&self, result: &str) -> u64 {
        self.metric(&format!("k3s_daas_node_attestations_total{{result=\"{result}\"}}"))
    }

    fn labels(&self, name: &str) -> (String, String) {
        let labels = node_labels(&stake(NODE), self.shared.wanted().attestations.get(name));
        (labels[ATTESTED_LABEL].clone(), labels[PLATFORM_LABEL].clone())
    }

    fn second_node(&self) {
        self.tell(Fact::Stake(Stake { tier: Tier::Node, ..stake(OTHER) }));
        self.tell(Fact::Token(Token { node_name: Some("n2".into()), ..token(OTHER) }));
    }
}

#[tokio::test]
async fn evidence_that_answers_a_heartbeats_nonce_labels_the_node_until_it_runs_out() {
    let house = House::new().await;
    let n1 = machine(&house, NODE, "n1", b"kubelet");
    let beat = async |at: u64| -> api::HeartbeatReply {
        let beat = beats::signed(beats::unsigned(at));
        house.send(NODE, &beat).send().await.unwrap().json().await.unwrap()
    };
    assert_eq!(beat(START).await.attestation_nonce, None, "no policy, no evidence");
    let nobody = api::NodeEvidence {
        nonce: "00".repeat(32),
        token_id: NODE.to_string(),
        key_sha256: "00".repeat(32),
        evidence: String::new(),
    };
    expect(house.show(&n1.client, &nobody), 404, "evidence_not_taken").await;

    house.decree(Some(policy(b"kubelet")));
    let mut nonce = [0; 32];
    hex::decode_to_slice(beat(START + 1).await.attestation_nonce.unwrap(), &mut nonce).unwrap();
    let answer = house.show(&n1.client, &house.evidence(&n1, nonce, NODE, n1.key)).send().await.unwrap();
    assert_eq!(answer.status(), 200, "{}", answer.text().await.unwrap());
    let attested: api::NodeAttested = answer.json().await.unwrap();
    assert!(attested.simulated);
    assert_eq!((attested.verified_ms, attested.expires_ms), (START, START + 300_000));
    assert_eq!(house.shown("accepted"), 1);
    assert_eq!(house.labels("n1"), ("simulated".into(), "simulated".into()));
    let node = || house.shared.node_list().nodes[0].clone();
    assert_eq!((node().attested.as_str(), node().attested_until_ms), ("simulated", Some(START + 300_000)));

    // The next is wanted when half of its time is over.
    house.wait(149_999);
    house.contact();
    assert_eq!(house.nonce_of(&n1), None);
    house.wait(1);
    assert!(house.nonce_of(&n1).is_some());
    house.wait(149_999);
    house.shared.tick();
    assert_eq!(house.labels("n1").0, "simulated");
    house.wait(1);
    house.shared.tick();
    assert_eq!(house.labels("n1"), ("false".into(), "none".into()));
    assert_eq!(node().attested, "false");
}

#[tokio::test]
async fn every_reason_to_refuse_evidence_is_its_own_in_answer_metric_and_list() {
    let house = House::new().await;
    house.second_node();
    house.decree(Some(policy(b"kubelet")));
    let n1 = machine(&house, NODE, "n1", b"kubelet");
    let n2 = machine(&house, OTHER, "n2", b"kubelet");
    let refuse = async |client: &Client, evidence: &api::NodeEvidence, status: u16, reason: &str| {
        let before = house.shown(reason);
        let message = expect(house.show(client, evidence), status, reason).await;
        assert_eq!(house.shown(reason), before + 1, "{reason}");
        // Tries are few a minute.
        house.wait(60_000);
        house.contact();
        message
    };

    // Old: the nonce was spent, or given too long ago.
    let evidence = house.good(&n1);
    assert_eq!(house.show(&n1.client, &evidence).send().await.unwrap().status(), 200);
    refuse(&n1.client, &evidence, 409, "stale_evidence").await;
    house.wait(120_000);
    house.contact();
    let evidence = house.good(&n1);
    house.wait(60_000);
    refuse(&n1.client, &evidence, 409, "nonce_expired").await;
    refuse(&n1.client, &evidence, 409, "stale_evidence").await;

    // Bound to another key: what the worker showed, over the connection of somebody else who has a certificate of the node.
    let evidence = house.good(&n1);
    let thief = machine(&house, NODE, "n1", b"kubelet");
    refuse(&thief.client, &evidence, 403, "evidence_for_other_key").await;
    // Of another node: made there for its token, with the nonce that this one was given.
    let nonce = house.nonce_of(&n1).unwrap();
    refuse(&n1.client, &house.evidence(&n2, nonce, OTHER, n2.key), 403, "evidence_for_other_node").await;
    // The other's nonce is not this one's.
    let theirs = house.good(&n2);
    refuse(&n1.client, &theirs, 409, "stale_evidence").await;
    // Bound to what nobody names, or said to be for this node while it is not.
    let nonce = house.nonce_of(&n1).unwrap();
    let lie = api::NodeEvidence {
        token_id: NODE.to_string(),
        key_sha256: hex::encode(n1.key),
        ..house.evidence(&n2, nonce, OTHER, n2.key)
    };
    refuse(&n1.client, &lie, 403, "evidence_unbound").await;

    // Code that nobody allows on nodes; the message names it.
    let patched = machine(&house, NODE, "n1", b"patched kubelet");
    let message = refuse(&patched.client, &house.good(&patched), 403, "measurement_not_allowed").await;
    assert!(message.contains("measurement \"code\" differs"), "{message}");
    let node = &house.shared.node_list().nodes[0];
    assert_eq!(node.attestation_problem.as_ref(), Some(&message));
    // Made long before.
    let nonce = house.nonce_of(&n1).unwrap();
    let report_data = tee::node_report_data(&nonce, &[0xcc; 32], &NODE.0, &n1.key);
    let old = n1.platform.attest(&report_data, house.shared.now_ms() - 300_001).unwrap();
    let old = api::NodeEvidence {
        evidence: STANDARD.encode(old.encode()),
        ..house.evidence(&n1, nonce, NODE, n1.key)
    };
    refuse(&n1.client, &old, 403, "evidence_expired").await;
    // Changed on the way.
    let mut evidence = house.good(&n1);
    let mut bytes = STANDARD.decode(&evidence.evidence).unwrap();
    *bytes.last_mut().unwrap() ^= 1;
    evidence.evidence = STANDARD.encode(bytes);
    refuse(&n1.client, &evidence, 403, "evidence_refused").await;
    // No evidence at all.
    for garbage in ["!", "AAAA"] {
        let garbage = api::NodeEvidence { evidence: garbage.into(), ..house.good(&n1) };
        refuse(&n1.client, &garbage, 400, "evidence_malformed").await;
    }
    let odd = api::NodeEvidence { nonce: "0".into(), ..house.good(&n1) };
    refuse(&n1.client, &odd, 400, "evidence_malformed").await;

    // More than anybody needs: before it is read.
    let evidence = house.good(&n1);
    assert_eq!(house.show(&n1.client, &evidence).send().await.unwrap().status(), 200);
    for _ in 0..5 {
        expect(house.show(&n1.client, &evidence), 409, "stale_evidence").await;
    }
    expect(house.show(&n1.client, &evidence), 429, "too_much_evidence").await;
    assert_eq!(house.shown("too_much_evidence"), 1);
    // None of it took away what was good.
    assert_eq!(house.labels("n1").0, "simulated");
}

#[tokio::test]
async fn evidence_comes_with_a_kubelets_certificate_of_a_live_token_or_not_at_all() {
    let house = House::new().await;
    house.decree(Some(policy(b"kubelet")));
    let n1 = machine(&house, NODE, "n1", b"kubelet");
    let evidence = house.good(&n1);
    expect(house.show(&house.client(None), &evidence), 401, "missing_credential").await;
    let with_proof = house.show(&house.client(None), &evidence).bearer_auth(house.proof(NODE));
    expect(with_proof, 401, "missing_credential").await;
    let bound = format!("k3s-daas:token:{NODE}.1");
    for (user, groups) in [
        ("system:kube-proxy", vec![bound.as_str()]),
        ("system:node:n1", vec![bound.as_str()]),
        ("system:node:n1", vec!["system:nodes"]),
    ] {
        let client = house.client_as(user, &groups);
        expect(house.show(&client, &evidence), 403, "not_a_node_certificate").await;
    }
    house.tell(Fact::Token(Token { revoked: true, ..token(NODE) }));
    expect(house.show(&n1.client, &evidence), 401, "certificate_revoked").await;
    assert_eq!(house.shown("accepted"), 0);
}

#[tokio::test]
async fn a_measurement_that_is_retired_takes_the_label_at_once_and_any_other_change_within_a_minute() {
    let house = House::new().await;
    house.decree(Some(policy(b"kubelet")));
    let n1 = machine(&house, NODE, "n1", b"kubelet");
    house.show(&n1.client, &house.good(&n1)).send().await.unwrap().error_for_status().unwrap();
    assert_eq!(house.labels("n1").0, "simulated");

    // Something else is demanded besides: shown again it counts, not shown it is gone within a minute.
    let stricter = Policy { max_clock_skew_ms: 1, ..policy(b"kubelet") };
    assert!(house.decree(Some(stricter.clone())).is_empty());
    let evidence = house.good(&n1);
    house.wait(44_000);
    assert_eq!(house.labels("n1").0, "simulated");
    house.wait(1_000);
    assert_eq!(house.labels("n1").0, "false");
    house.show(&n1.client, &evidence).send().await.unwrap().error_for_status().unwrap();
    assert_eq!(house.labels("n1").0, "simulated");

    // A master's measurement is none of a worker's.
    assert_eq!(house.decree(Some(Policy { allowed: policy(b"master").allowed, ..stricter })), ["n1"]);
    assert_eq!(house.labels("n1"), ("false".into(), "none".into()));
    expect(house.show(&n1.client, &house.good(&n1)), 403, "measurement_not_allowed").await;
}

/// What kube-apiserver would hear about a kubelet's certificate for this key.
async fn authorized(house: &House, key: Option<[u8; 32]>) -> bool {
    let key = key.map(|key| format!(".{}", hex::encode(key))).unwrap_or_default();
    let groups = ["system:nodes".to_owned(), format!("k3s-daas:token:{NODE}.1{key}")];
    asked(house, "system:node:n1", &groups).await
}

async fn asked(house: &House, user: &str, groups: &[String]) -> bool {
    let apiserver = house.client_as(WEBHOOK_CLIENT, &[]);
    let review = json!({
        "apiVersion": "authorization.k8s.io/v1", "kind": "SubjectAccessReview",
        "spec": { "user": user, "groups": groups },
    });
    let url = house.url("/webhook/authorize");
    let answer: Value = apiserver.post(url).json(&review).send().await.unwrap().json().await.unwrap();
    answer["status"]["denied"] != true
}

#[tokio::test]
async fn only_the_attested_key_speaks_for_an_attested_node() {
    let house = House::new().await;
    house.decree(Some(policy(b"kubelet")));
    let n1 = machine(&house, NODE, "n1", b"kubelet");
    let other = [0x33; 32];
    // Nothing was shown and nothing is required.
    assert!(authorized(&house, None).await && authorized(&house, Some(other)).await);
    let proxy = [format!("k3s-daas:token:{NODE}.1")];
    assert!(asked(&house, "system:kube-proxy", &proxy).await);
    house.show(&n1.client, &house.good(&n1)).send().await.unwrap().error_for_status().unwrap();
    assert!(authorized(&house, Some(n1.key)).await);
    // A certificate that the holder of the token had signed for a machine that proves nothing.
    assert!(!authorized(&house, Some(other)).await);
    assert!(!authorized(&house, None).await);
    assert!(house.refused("key_not_attested") >= 2);

    // Where it is required, nobody acts who was never attested; and who was keeps its key, until its code is retired.
    *house.shared.workers.book.lock() = Book::new(true);
    house.decree(Some(policy(b"kubelet")));
    assert!(!authorized(&house, Some(n1.key)).await);
    assert!(!asked(&house, "system:kube-proxy", &proxy).await);
    house.show(&n1.client, &house.good(&n1)).send().await.unwrap().error_for_status().unwrap();
    assert!(authorized(&house, Some(n1.key)).await);
    assert!(asked(&house, "system:kube-proxy", &proxy).await);
    house.wait(300_000);
    house.contact();
    house.shared.tick();
    assert_eq!(house.labels("n1").0, "false");
    assert!(house.shared.wanted().require_attested);
    assert!(authorized(&house, Some(n1.key)).await, "so that its pods end in order");
    assert!(!authorized(&house, Some(other)).await);
    house.show(&n1.client, &house.good(&n1)).send().await.unwrap().error_for_status().unwrap();
    house.decree(Some(policy(b"another kubelet")));
    assert!(!authorized(&house, Some(n1.key)).await);
}
