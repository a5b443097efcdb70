//! The worker against a real TLS server: it joins a master that fits the chain, and tells a master that does
//! not what is wrong without ever showing it a proof.
use std::time::Duration;

use crate::support::{self, Bench, Fault};
use worker::agent::Gone;
use worker::{HolderKey, StopReason};

#[tokio::test]
async fn joins_and_beats() {
    let (mut bench, _running) = Bench::start(|config, _, _, _| config.clone(), Fault::None).await;
    let status = bench.wait("ready", |status| status.phase == "running" && status.node.ready).await;
    assert_eq!(status.node_name, "worker-1");
    assert_eq!(status.problem, None);
    assert!(status.gateway.attested && status.gateway.simulated && status.gateway.link.reachable);
    assert_eq!(status.gateway.platform.as_deref(), Some("simulated"));
    assert!(status.certificates_expire_ms.unwrap() > support::now_ms());

    bench.until("three beats", |bench| bench.gateway.beats.lock().len() >= 3).await;
    {
        let beats = bench.gateway.beats.lock();
        let beat = beats.last().unwrap();
        assert_eq!((beat.node_name.as_str(), beat.ready, beat.metrics.pods), ("worker-1", true, 2));
        assert!(beat.metrics.memory_bytes > 0 && beat.metrics.cpu_cores > 0 && beat.metrics.disk_bytes > 0);
        let bundles = bench.node.bundles.lock();
        assert_eq!(bundles.len(), 1);
        assert_eq!(bundles[0].apiservers, ["127.0.0.1:6443"]);
        assert_eq!(bundles[0].settings.cluster_domain, "cluster.local");
        // Nothing was asked before the master was verified.
        let calls = bench.gateway.calls.lock();
        assert_eq!(calls[..2], ["/cacerts", "/api/v1/attestation"]);
    }
    assert!(bench.gateway.proofs().len() >= 10);

    assert_eq!(bench.get("/healthz").await, (200, "ok".to_owned()));
    assert_eq!(bench.get("/readyz").await.0, 200);
    let shown: api::WorkerStatus = serde_json::from_str(&bench.get("/api/v1/status").await.1).unwrap();
    assert_eq!(shown.phase, "running");
    let metrics = bench.get("/metrics").await.1;
    for line in [
        "k3s_daas_worker_phase{phase=\"running\"} 1",
        "k3s_daas_worker_gateway_attested 1",
        "k3s_daas_worker_node_ready 1",
        "k3s_daas_worker_stake_mist 100",
        "k3s_daas_worker_stake_unbonding 0",
        "k3s_daas_worker_stake_lock_expiry_timestamp_seconds 5",
        "k3s_daas_worker_steps_total{step=\"attest\",result=\"ok\"} 1",
    ] {
        assert!(metrics.contains(line), "{line} is not in\n{metrics}");
    }
    let node = std::sync::Arc::clone(&bench.node);
    bench.stop().await;
    assert_eq!(node.stops.lock()[..], [StopReason::Shutdown]);
}

#[tokio::test]
async fn a_master_that_does_not_fit_the_chain_never_sees_a_proof() {
    for (fault, reason, words) in [
        (Fault::OtherCa, "ca_mismatch", "gateway's CA differs from the chain: expected"),
        (Fault::TwoCas, "ca_malformed", "not exactly one PEM certificate"),
        (Fault::OtherTls, "tls_untrusted", "that the cluster's CA did not sign"),
        (
            Fault::NoEvidence,
            "no_evidence",
            "of the cluster's CA, but the peer's certificate carries no attestation",
        ),
        (
            Fault::OldEvidence,
            "evidence_old",
            "its evidence is older than the policy allows; no proof was sent",
        ),
        (
            Fault::CopiedEvidence,
            "evidence_of_another_key",
            "made for another key: whoever shows it has copied it",
        ),
        (
            Fault::OtherCodeInTls,
            "measurement_mismatch",
            "certificate is refused: measurement \"code\" differs",
        ),
        (Fault::GarbageInTls, "evidence_malformed", "carries no readable evidence"),
        (Fault::OtherCode, "measurement_mismatch", "attestation is refused: measurement \"code\" differs"),
        (Fault::OtherKey, "enclave_key_mismatch", "enclave key differs from the chain: expected"),
        (Fault::StolenName, "attestation_refused", "report data differs"),
        (Fault::StaleNonce, "attestation_refused", "report data differs"),
        (Fault::Tampered, "attestation_refused", "signature is not valid"),
        (Fault::Garbage, "evidence_malformed", "unreadable; no proof was sent: not attestation evidence"),
        (Fault::Old, "attestation_refused", "ms old, at most 300000 ms are allowed"),
        (Fault::Endless, "gateway_malformed", "more than 1048576 bytes"),
        (Fault::Redirect, "no_reason", "status 302"),
    ] {
        let (mut bench, _running) = Bench::start(|config, _, _, _| config.clone(), fault).await;
        let status = bench.wait("a problem", |status| status.problem.is_some()).await;
        let problem = status.problem.unwrap();
        assert_eq!(problem.reason, reason, "{fault:?}: {problem:?}");
        assert!(problem.message.contains(words), "{fault:?}: {problem:?}");
        if matches!(fault, Fault::OtherCode | Fault::OtherCodeInTls) {
            let expected = hex::encode(tee::measure_bytes(b"released code"));
            let actual = hex::encode(tee::measure_bytes(b"patched code"));
            assert!(
                problem.message.contains(&format!("expected {expected}, actual {actual}")),
                "{problem:?}"
            );
        }
        let in_tls = matches!(
            fault,
            Fault::NoEvidence
                | Fault::OldEvidence
                | Fault::CopiedEvidence
                | Fault::OtherCodeInTls
                | Fault::GarbageInTls
        );
        // It tries again, and still shows nothing.
        let tries = bench.gateway.calls.lock().len();
        if fault != Fault::OtherTls {
            bench.until("tried again", |bench| bench.gateway.calls.lock().len() > tries + 2).await;
        }
        assert_eq!(bench.gateway.authorizations.lock()[..], [], "{fault:?}");
        assert!(bench.node.bundles.lock().is_empty());
        assert_eq!(bench.get("/readyz").await.0, 503);

        // Mended, the same worker joins: what stopped it was the fault.
        if !in_tls && !matches!(fault, Fault::OtherCa | Fault::OtherTls | Fault::TwoCas) {
            bench.gateway.set(Fault::None);
            bench.phase("running").await;
        }
        bench.stop().await;
    }
}

#[tokio::test]
async fn simulated_evidence_is_refused_unless_allowed() {
    let strict = |config: &worker::Config| worker::Config { allow_simulated: false, ..config.clone() };
    let (mut bench, _running) = Bench::start(|config, _, _, _| strict(config), Fault::None).await;
    let status = bench.wait("a problem", |status| status.problem.is_some()).await;
    assert!(status.problem.unwrap().message.contains("proves nothing about hardware"));
    assert!(bench.gateway.authorizations.lock().is_empty());
    bench.stop().await;
}

#[tokio::test]
async fn a_master_that_comes_back_changed_gets_nothing_more() {
    let (mut bench, running) = Bench::start(|config, _, _, _| config.clone(), Fault::None).await;
    bench.phase("running").await;
    let address = running.address;
    drop(running);
    let status = bench.phase("reconnecting").await;
    assert_eq!(status.problem.unwrap().reason, "gateway_unreachable");

    bench.gateway.set(Fault::OtherCode);
    let sent = bench.gateway.authorizations.lock().len();
    let running = support::start_at(&bench.gateway, address).await;
    let mismatch = |status: &api::WorkerStatus| {
        status.problem.as_ref().is_some_and(|problem| problem.reason == "measurement_mismatch")
    };
    bench.wait("a mismatch", mismatch).await;
    assert_eq!(bench.gateway.authorizations.lock().len(), sent);

    // A new gateway elsewhere, announced on chain.
    drop(running);
    bench.gateway.set(Fault::None);
    let running = support::start(&bench.gateway).await;
    bench.chain.view.lock().target = Ok(bench.gateway.target(running.address));
    let status = bench.phase("running").await;
    assert!(status.gateway.link.url.ends_with(&running.address.to_string()));
    // It kept its certificates and its node.
    assert_eq!(bench.node.bundles.lock().len(), 1);
    bench.stop().await;
}

#[tokio::test]
async fn the_end_of_the_membership_stops_the_node_and_leaves_the_api() {
    let (mut bench, _running) = Bench::start(|config, _, _, _| config.clone(), Fault::None).await;
    bench.phase("running").await;
    bench.chain.view.lock().token.as_mut().unwrap().revoked = true;
    let status = bench.wait("gone", |status| status.phase == "gone" && !status.node.ready).await;
    assert_eq!(status.problem.unwrap().reason, "token_revoked");
    assert_eq!(bench.node.stops.lock()[..], [StopReason::Gone(Gone::Revoked)]);
    let (code, body) = bench.get("/readyz").await;
    assert_eq!(code, 503);
    assert!(body.contains("token_revoked"), "{body}");
    // What was on its way may still arrive.
    tokio::time::sleep(Duration::from_millis(300)).await;
    let sent = bench.gateway.authorizations.lock().len();
    tokio::time::sleep(Duration::from_millis(1_200)).await;
    assert_eq!(bench.gateway.authorizations.lock().len(), sent);
    bench.stop().await;
}

#[tokio::test]
async fn a_node_agent_that_fails_leaves_api_reason_and_heartbeats() {
    let failing = |config: &worker::Config, node: &support::Node| {
        *node.fails.lock() = true;
        config.clone()
    };
    let (mut bench, _running) = Bench::start(|config, _, _, node| failing(config, node), Fault::None).await;
    let status =
        bench.wait("a reason", |status| status.node.reason.is_some() && status.problem.is_some()).await;
    assert_eq!(status.phase, "startingNode");
    assert!(status.problem.unwrap().message.contains("containerd is not installed"));
    assert_eq!(bench.get("/healthz").await.0, 200);
    bench.until("a beat", |bench| bench.gateway.beats.lock().iter().any(|beat| !beat.ready)).await;
    *bench.node.fails.lock() = false;
    bench.wait("ready", |status| status.node.ready && status.problem.is_none()).await;

    // Started and then unwell: the reason is shown too.
    *bench.node.running.lock() = false;
    let status = bench.wait("unwell", |status| status.problem.is_some()).await;
    assert_eq!(
        (status.phase.as_str(), status.problem.unwrap().reason.as_str()),
        ("running", "node_not_ready")
    );
    bench.stop().await;
}

#[tokio::test]
async fn certificates_and_token_are_renewed_early() {
    let short = |config: &worker::Config, gateway: &support::Gateway, chain: &support::Chain| {
        *gateway.certificate_life_s.lock() = 3;
        // A second and a half more than the third of its life at which it is renewed.
        chain.view.lock().token.as_mut().unwrap().expires_ms = support::now_ms() + 1_201_500;
        config.clone()
    };
    let (mut bench, _running) =
        Bench::start(|config, gateway, chain, _| short(config, gateway, chain), Fault::None).await;
    bench.phase("running").await;
    bench.until("three bundles", |bench| bench.node.bundles.lock().len() >= 3).await;
    {
        let bundles = bench.node.bundles.lock();
        assert_ne!(*bundles[0].client_kubelet.key_pem, *bundles[1].client_kubelet.key_pem);
    }
    assert_eq!(*bench.chain.renewals.lock(), 1);
    assert_eq!(bench.status.borrow().phase, "running");
    bench.stop().await;
}

#[tokio::test]
async fn a_refused_proof_says_the_gateways_reason() {
    let (mut bench, _running) = Bench::start(
        |config, gateway, _, _| {
            *gateway.refuse.lock() = Some("unknown_token");
            config.clone()
        },
        Fault::None,
    )
    .await;
    let status = bench.wait("a problem", |status| status.problem.is_some()).await;
    assert_eq!(status.problem.unwrap().reason, "unknown_token");
    assert_eq!(status.phase, "requestingCertificates");
    *bench.gateway.refuse.lock() = None;
    bench.phase("running").await;
    bench.stop().await;
}

#[tokio::test]
async fn without_a_chain_nobody_joins_and_the_reason_shows() {
    let down = |config: &worker::Config, chain: &support::Chain| {
        *chain.up.lock() = false;
        config.clone()
    };
    let (mut bench, _running) = Bench::start(|config, _, chain, _| down(config, chain), Fault::None).await;
    let status = bench.wait("a problem", |status| status.problem.is_some()).await;
    assert_eq!(status.problem.unwrap().reason, "chain_unreachable");
    assert!(!status.chain.reachable && status.phase == "readingChain");
    assert!(bench.gateway.calls.lock().is_empty());
    *bench.chain.up.lock() = true;
    bench.phase("running").await;

    *bench.chain.up.lock() = false;
    bench.wait("chain lost", |status| !status.chain.reachable).await;
    let beats = bench.gateway.beats.lock().len();
    bench.until("more beats", |bench| bench.gateway.beats.lock().len() > beats + 1).await;
    assert_eq!(bench.status.borrow().phase, "running");
    bench.stop().await;
}

#[tokio::test]
async fn a_rotated_key_is_taken_from_its_file_and_the_node_goes_on() {
    let (mut bench, _running) = Bench::start(|config, _, _, _| config.clone(), Fault::None).await;
    bench.wait("running", |status| status.phase == "running" && status.node.ready).await;
    let first = bench.node.bundles.lock().len();
    // As `token rotate` does it: a new key beside the old, then the chain, then the name.
    let rotated = HolderKey::open_or_create(&bench.dir.path().join("holder-next.pem")).unwrap();
    bench.chain.view.lock().token.as_mut().unwrap().public_key = rotated.public_key();
    bench.gateway.record.lock().public_key = rotated.public_key();
    bench.until("certificates for the new key", |bench| bench.node.bundles.lock().len() > first).await;
    let beats = bench.gateway.beats.lock().len();
    bench.until("beats under the new key", |bench| bench.gateway.beats.lock().len() > beats + 2).await;
    std::fs::rename(bench.dir.path().join("holder-next.pem"), bench.dir.path().join("holder.pem")).unwrap();
    assert_eq!(bench.node.stops.lock()[..], [], "the node was stopped");

    // A key that comes later ends the node until it is there.
    let later = HolderKey::open_or_create(&bench.dir.path().join("elsewhere.pem")).unwrap();
    bench.chain.view.lock().token.as_mut().unwrap().public_key = later.public_key();
    bench.gateway.record.lock().public_key = later.public_key();
    bench.wait("gone", |status| status.phase == "gone").await;
    std::fs::rename(bench.dir.path().join("elsewhere.pem"), bench.dir.path().join("holder.pem")).unwrap();
    bench.wait("running again", |status| status.phase == "running" && status.node.ready).await;
}

#[tokio::test]
async fn a_node_that_joins_itself_has_a_fresh_token_at_each_heartbeat() {
    let joining = |config: &worker::Config, node: &support::Node| {
        *node.joins.lock() = true;
        config.clone()
    };
    let (mut bench, running) = Bench::start(|config, _, _, node| joining(config, node), Fault::None).await;
    bench.phase("running").await;
    bench.until("three beats", |bench| bench.node.invitations.lock().len() >= 4).await;
    let invitations = bench.node.invitations.lock().clone();
    let pem = bench.gateway.ca.certificate.pem();
    let pin: [u8; 32] =
        ring::digest::digest(&ring::digest::SHA256, pem.as_bytes()).as_ref().try_into().unwrap();
    let mut proofs = std::collections::HashSet::new();
    for (gateway, token) in &invitations {
        assert_eq!(gateway.trim_end_matches('/'), format!("https://{}", running.address));
        let token: seal_token::K3sToken = token.parse().unwrap();
        assert_eq!((token.ca_hash, token.username.as_str()), (pin, "seal"));
        assert!(token.password.parse::<seal_token::Proof>().is_ok());
        assert!(proofs.insert(token.password), "each proof is used once");
    }
    // Its tunnel is its own.
    assert!(!bench.gateway.calls.lock().iter().any(|call| call.ends_with("/connect")));
    bench.stop().await;
}
