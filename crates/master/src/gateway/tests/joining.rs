use sha2::{Digest, Sha256};
use x509_parser::prelude::*;

use super::*;

const CERTIFICATES: [&str; 4] =
    ["client-kubelet", "serving-kubelet", "client-kube-proxy", "client-k3s-controller"];

fn sign(house: &House, client: &Client, what: &str, proof: &str, csr: Vec<u8>) -> RequestBuilder {
    client
        .post(house.url(&format!("/v1-k3s/{what}.crt")))
        .basic_auth("seal", Some(proof))
        .header("k3s-Node-Name", "n1")
        .header("k3s-Node-Password", "whatever")
        .header("k3s-Node-IP", "10.0.0.7,fd00::7")
        .body(csr)
}

#[tokio::test]
async fn a_worker_joins_and_its_certificates_say_who_it_is() {
    let house = House::new().await;
    let client = house.client(None);
    let ca = client.get(house.url("/cacerts")).send().await.unwrap().text().await.unwrap();
    assert_eq!(ca, house.pki.ca_pem());

    let proof = house.proof(NODE);
    let get = |path: &str| client.get(house.url(path)).basic_auth("node", Some(&proof));
    assert_eq!(get("/v1-k3s/readyz").send().await.unwrap().text().await.unwrap(), "ok");
    let config: Value = get("/v1-k3s/config").send().await.unwrap().json().await.unwrap();
    assert_eq!(config["ClusterDNS"], "10.43.0.10");
    assert_eq!(config["k3sDaas"]["clusterCidr"], "10.42.0.0/16");
    let apiservers: Vec<String> = get("/v1-k3s/apiservers").send().await.unwrap().json().await.unwrap();
    assert_eq!(apiservers, ["127.0.0.1:6443"]);
    let client_ca = get("/v1-k3s/client-ca.crt").send().await.unwrap().text().await.unwrap();
    assert_eq!(client_ca, house.pki.client_ca_pem());
    let server_ca = get("/v1-k3s/server-ca.crt").send().await.unwrap().text().await.unwrap();
    assert_eq!(server_ca, house.pki.ca_pem());

    let bound = format!("k3s-daas:token:{NODE}.1");
    let expected = [
        ("system:node:n1", vec!["system:nodes".to_owned(), bound.clone()]),
        ("n1", vec![]),
        ("system:kube-proxy", vec![bound.clone()]),
        ("system:k3s-controller", vec![bound]),
    ];
    for (what, (name, groups)) in CERTIFICATES.into_iter().zip(expected) {
        let answer = sign(&house, &client, what, &proof, csr()).send().await.unwrap();
        assert_eq!(answer.status(), 200, "{what}");
        let pem = answer.text().await.unwrap();
        let (_, parsed) = parse_x509_pem(pem.as_bytes()).unwrap();
        let certificate = parsed.parse_x509().unwrap();
        let subject = certificate.subject();
        assert_eq!(subject.iter_common_name().next().unwrap().as_str().unwrap(), name);
        let found: Vec<_> = subject.iter_organization().map(|group| group.as_str().unwrap()).collect();
        let key = hex::encode(Sha256::digest(certificate.public_key().raw));
        let named = |group: String| match what {
            "client-kubelet" if group != "system:nodes" => format!("{group}.{key}"),
            _ => group,
        };
        let groups: Vec<String> = groups.into_iter().map(named).collect();
        assert_eq!(found, groups, "{what}");
        let names = certificate.subject_alternative_name().unwrap();
        assert_eq!(names.is_some(), what == "serving-kubelet");
        if let Some(names) = names {
            let names = names.value.general_names.iter();
            let addresses = names.filter(|name| matches!(name, GeneralName::IPAddress(_))).count();
            assert_eq!(addresses, 2);
        }
    }
    let list: api::NodeList = client
        .get(house.url("/api/v1/nodes"))
        .bearer_auth(house.proof(USER))
        .send()
        .await
        .unwrap()
        .json()
        .await
        .unwrap();
    assert_eq!(list.nodes.len(), 1);
    assert_eq!((list.nodes[0].name.as_str(), list.nodes[0].state), ("n1", api::NodeState::Joining));
}

#[tokio::test]
async fn every_reason_to_refuse_a_proof_is_distinct_in_answer_and_metric() {
    let house = House::new().await;
    let client = house.client(None);
    let other = |change: &dyn Fn(&mut Claims)| {
        let mut claims = house.claims(NODE);
        change(&mut claims);
        Proof::mint(&key(NODE), claims).to_string()
    };
    let forged = Proof::mint(&key(USER), house.claims(NODE)).to_string();
    let cases = [
        ("malformed", "not-a-proof".to_owned()),
        ("unknown_token", other(&|claims| claims.token_id = [0x77; 32])),
        ("wrong_audience", other(&|claims| claims.audience = [0; 32])),
        ("not_yet_valid", other(&|claims| claims.not_before_ms += 5_000)),
        ("malformed", other(&|claims| claims.not_after_ms = claims.not_before_ms - 1)),
        (
            "expired",
            other(&|claims| (claims.not_before_ms, claims.not_after_ms) = (START - 9_000, START - 5_000)),
        ),
        ("window_too_long", other(&|claims| claims.not_after_ms += 1)),
        ("bad_signature", forged),
        ("seal_mismatch", other(&|claims| claims.seal = [4; 32])),
    ];
    for (reason, proof) in cases {
        let before = house.refused(reason);
        let message = expect(sign(&house, &client, "client-kubelet", &proof, csr()), 401, reason).await;
        assert!(!message.contains(&proof));
        assert_eq!(house.refused(reason), before + 1, "{reason}");
    }
    let refuse = async |reason: &str, fact: Fact| {
        house.tell(fact);
        let proof = house.proof(NODE);
        expect(sign(&house, &client, "client-kubelet", &proof, csr()), 401, reason).await;
        let read = client.get(house.url("/v1-k3s/config")).basic_auth("seal", Some(&proof));
        expect(read, 401, reason).await;
        expect(client.get(house.url("/api/v1/nodes")).bearer_auth(&proof), 401, reason).await;
        assert_eq!(house.refused(reason), 3);
        house.tell(Fact::Token(token(NODE)));
        house.tell(Fact::Stake(stake(NODE)));
    };
    refuse("token_expired", Fact::Token(Token { expires_ms: START, ..token(NODE) })).await;
    refuse("token_revoked", Fact::Token(Token { revoked: true, ..token(NODE) })).await;
    refuse("stake_insufficient", Fact::Stake(Stake { active: false, ..stake(NODE) })).await;
    let good = sign(&house, &client, "client-kubelet", &house.proof(NODE), csr()).send().await.unwrap();
    assert_eq!(good.status(), 200);
}

#[tokio::test]
async fn a_proof_is_for_one_token_one_name_and_one_key() {
    let house = House::new().await;
    let client = house.client(None);

    let other_name = sign(&house, &client, "client-kubelet", &house.proof(NODE), csr());
    let mut request = other_name.build().unwrap();
    request.headers_mut().insert("k3s-Node-Name", "n2".parse().unwrap());
    let message = problem(client.execute(request).await.unwrap(), 403, "node_name_mismatch").await;
    assert!(message.contains("n1"));
    let user = sign(&house, &client, "client-kubelet", &house.proof(USER), csr());
    expect(user, 403, "not_a_node_token").await;
    expect(client.get(house.url("/v1-k3s/config")), 401, "missing_credential").await;
    house.tell(Fact::Token(Token { node_name: Some("N 1".into()), ..token(NODE) }));
    expect(sign(&house, &client, "client-kubelet", &house.proof(NODE), csr()), 403, "bad_node_name").await;
    house.tell(Fact::Token(token(NODE)));

    let (proof, mine) = (house.proof(NODE), csr());
    for _ in 0..2 {
        let again = sign(&house, &client, "client-kubelet", &proof, mine.clone()).send().await.unwrap();
        assert_eq!(again.status(), 200, "the same call, once more");
    }
    expect(sign(&house, &client, "client-kubelet", &proof, csr()), 401, "proof_replayed").await;
    for _ in 0..crate::membership::Nonces::PER_TOKEN - 1 {
        let more = sign(&house, &client, "client-kubelet", &house.proof(NODE), mine.clone());
        assert_eq!(more.send().await.unwrap().status(), 200);
    }
    expect(sign(&house, &client, "client-kubelet", &house.proof(NODE), csr()), 429, "too_many_proofs").await;
    for reason in
        ["node_name_mismatch", "not_a_node_token", "proof_replayed", "too_many_proofs", "bad_node_name"]
    {
        assert_eq!(house.refused(reason), 1, "{reason}");
    }
}

#[tokio::test]
async fn while_the_chain_is_silent_only_joined_nodes_go_on() {
    let house = House::new().await;
    let client = house.client(None);
    house.wait(10_001);
    expect(sign(&house, &client, "client-kubelet", &house.proof(NODE), csr()), 503, "chain_unreachable")
        .await;
    house.contact();
    let joined = sign(&house, &client, "client-kubelet", &house.proof(NODE), csr()).send().await.unwrap();
    assert_eq!(joined.status(), 200);

    house.wait(60_000);
    let renewed = sign(&house, &client, "client-kubelet", &house.proof(NODE), csr()).send().await.unwrap();
    assert_eq!(renewed.status(), 200, "a joined node renews");
    let users = client.get(house.url("/api/v1/nodes")).bearer_auth(house.proof(USER)).send().await.unwrap();
    assert_eq!(users.status(), 200);
    house.tell(Fact::Token(Token { id: Id([0xa9; 32]), node_name: Some("n9".into()), ..token(NODE) }));
    let claims = Claims { token_id: [0xa9; 32], ..house.claims(NODE) };
    let newcomer = Proof::mint(&key(NODE), claims).to_string();
    let mut request = sign(&house, &client, "client-kubelet", &newcomer, csr()).build().unwrap();
    request.headers_mut().insert("k3s-Node-Name", "n9".parse().unwrap());
    problem(client.execute(request).await.unwrap(), 503, "chain_unreachable").await;
    assert_eq!(house.refused("chain_unreachable"), 2);
}

#[tokio::test]
async fn before_the_chain_was_read_nobody_is_known() {
    let house = House::new().await;
    *house.shared.membership.write() = crate::membership::Membership::new(
        house.pki.ca_der_sha256().unwrap(),
        Limits {
            proof: seal_token::Limits { max_window_ms: WINDOW_MS, max_clock_skew_ms: 1_000 },
            chain_silence_ms: 10_000,
        },
    );
    let client = house.client(None);
    expect(sign(&house, &client, "client-kubelet", &house.proof(NODE), csr()), 503, "chain_not_synced").await;
    let ready = client.get(house.url("/readyz")).send().await.unwrap();
    assert_eq!(ready.status(), 503);
    assert!(ready.text().await.unwrap().contains("[-]chain-sync failed"));
}

#[tokio::test]
async fn a_node_certificate_reads_and_renews_while_its_token_lives() {
    let house = House::new().await;
    let bound = format!("k3s-daas:token:{NODE}.1");
    let node = house.client_as("system:node:n1", &["system:nodes", &bound]);
    let config = || node.get(house.url("/v1-k3s/config"));
    assert_eq!(config().send().await.unwrap().status(), 200);
    let renew = node.post(house.url("/v1-k3s/client-kubelet.crt")).header("k3s-Node-Name", "n1").body(csr());
    assert_eq!(renew.send().await.unwrap().status(), 200);

    let unbound = house.client_as("system:node:n1", &["system:nodes"]);
    expect(unbound.get(house.url("/v1-k3s/config")), 403, "not_a_node_certificate").await;
    let stranger = house.client_as("system:node:n2", &["system:nodes", &bound]);
    expect(stranger.get(house.url("/v1-k3s/config")), 401, "certificate_revoked").await;
    house.tell(Fact::Token(Token { generation: 2, ..token(NODE) }));
    expect(config(), 401, "certificate_revoked").await;
    house.tell(Fact::Token(Token { revoked: true, ..token(NODE) }));
    expect(config(), 401, "certificate_revoked").await;
}

#[tokio::test]
async fn attestation_is_fresh_and_bound() {
    let house = House::new().await;
    let client = house.client(None);
    let ask = |nonce: &str| client.get(house.url(&format!("/api/v1/attestation?nonce={nonce}")));
    let reply: api::AttestationReply = ask(&"5a".repeat(32)).send().await.unwrap().json().await.unwrap();
    assert!(reply.simulated && reply.platform == "simulated");
    use base64::Engine;
    let evidence = base64::engine::general_purpose::STANDARD.decode(&reply.evidence).unwrap();
    let evidence = Evidence::decode(&evidence).unwrap();
    let policy = tee::Policy {
        allowed: vec![(tee::PlatformKind::Simulated, house.shared.platform.measurement())],
        allow_simulated: true,
        ..tee::Policy::default()
    };
    let ca_hash = house.pki.ca_der_sha256().unwrap();
    let bound = tee::report_data(&[0x5a; 32], &[0xee; 32], &ca_hash);
    tee::verify(&evidence, &policy, &bound, START).unwrap();
    let other = tee::report_data(&[0x5b; 32], &[0xee; 32], &ca_hash);
    assert!(tee::verify(&evidence, &policy, &other, START).is_err());

    expect(client.get(house.url("/api/v1/attestation")), 400, "bad_query").await;
    for bad in ["", "5a", &"zz".repeat(32), &"5a".repeat(33)] {
        expect(ask(bad), 400, "bad_query").await;
    }
}

#[tokio::test]
async fn without_its_right_on_chain_the_master_signs_no_certificate_and_says_why() {
    let house = House::new().await;
    let client = house.client(None);
    let reason = "this enclave was revoked on chain";
    house.shared.board.update(|board| board.right = crate::right::Right::Lost(reason));
    for what in CERTIFICATES {
        let refused = sign(&house, &client, what, &house.proof(NODE), csr()).send().await.unwrap();
        assert_eq!(refused.status(), 503, "{what}");
        let body: Value = refused.json().await.unwrap();
        assert_eq!(body["reason"], "enclave_not_in_standing");
        assert!(body["message"].as_str().unwrap().contains(reason), "{body}");
    }
    let ready = client.get(house.url("/readyz")).send().await.unwrap().text().await.unwrap();
    assert!(ready.contains(&format!("[-]enclave failed: {reason}")), "{ready}");
    let status: Value = client.get(house.url("/api/v1/status")).send().await.unwrap().json().await.unwrap();
    assert_eq!(status["tee"]["problem"], reason);

    house.shared.board.update(|board| board.right = crate::right::Right::Held);
    let signed = sign(&house, &client, "client-kubelet", &house.proof(NODE), csr()).send().await.unwrap();
    assert_eq!(signed.status(), 200);
}
