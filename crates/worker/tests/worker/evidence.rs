//! What the worker shows the master of its own machine.

use std::sync::Arc;

use crate::support::{Bench, Fault, Node, worker_config};
use worker::{NodeAgent, TeeConfig};

fn simulated() -> TeeConfig {
    TeeConfig { platform: Some("simulated".to_owned()), allow_simulated: true }
}

#[tokio::test]
async fn evidence_answers_the_masters_nonce_and_is_bound_to_the_nodes_key() {
    let make = |config: &worker::Config| worker::Config { tee: simulated(), ..config.clone() };
    let (mut bench, _running) = Bench::start(|config, _, _, _| make(config), Fault::None).await;
    let status = bench.wait("ready", |status| status.phase == "running" && status.node.ready).await;
    let evidence = status.evidence.unwrap();
    assert!(evidence.simulated && evidence.verified_ms.is_none() && evidence.problem.is_none());
    assert!(bench.gateway.evidence.lock().is_empty(), "nobody asked for it");

    *bench.gateway.wanted_nonce.lock() = Some([0x41; 32]);
    let taken = |status: &api::WorkerStatus| {
        status.evidence.as_ref().is_some_and(|evidence| evidence.expires_ms.is_some())
    };
    bench.wait("verified", taken).await;
    let own = tee::measure_file(&std::env::current_exe().unwrap()).unwrap();
    {
        let shown = bench.gateway.evidence.lock();
        let [Ok(claims)] = &shown[..] else { panic!("{shown:?}") };
        assert_eq!(claims.measurements["code"], own);
    }

    // What the master does not take is said, and ends nothing.
    *bench.gateway.refuse_evidence.lock() = Some("measurement_not_allowed");
    *bench.gateway.wanted_nonce.lock() = Some([0x42; 32]);
    let refused = |status: &api::WorkerStatus| {
        let problem = status.evidence.as_ref().and_then(|evidence| evidence.problem.as_ref());
        problem.is_some_and(|problem| problem.reason == "measurement_not_allowed")
    };
    let status = bench.wait("refused", refused).await;
    assert_eq!((status.phase.as_str(), status.problem), ("running", None));
    let beats = bench.gateway.beats.lock().len();
    bench.until("more beats", |bench| bench.gateway.beats.lock().len() > beats + 1).await;
    assert!(bench.node.stops.lock().is_empty());

    *bench.gateway.refuse_evidence.lock() = None;
    *bench.gateway.wanted_nonce.lock() = Some([0x43; 32]);
    let mended = |status: &api::WorkerStatus| {
        status.evidence.as_ref().is_some_and(|evidence| evidence.problem.is_none())
    };
    bench.wait("mended", mended).await;
    bench.stop().await;
}

#[tokio::test]
async fn who_is_told_to_show_nothing_shows_nothing() {
    let (mut bench, _running) = Bench::start(|config, _, _, _| config.clone(), Fault::None).await;
    *bench.gateway.wanted_nonce.lock() = Some([0x41; 32]);
    let status = bench.wait("ready", |status| status.phase == "running" && status.node.ready).await;
    assert_eq!(status.evidence, None);
    bench.until("three beats", |bench| bench.gateway.beats.lock().len() >= 3).await;
    assert!(!bench.gateway.calls.lock().iter().any(|path| path.contains("nodes/attestation")));
    bench.stop().await;
}

#[tokio::test]
async fn a_platform_that_cannot_be_is_an_error_at_the_start() {
    let chain = || {
        let view = worker::agent::View {
            target: Err(api::ErrorBody { reason: String::new(), message: String::new() }),
            token: None,
        };
        Arc::new(crate::support::Chain::new(view))
    };
    for (tee, joins, word) in [
        (TeeConfig { allow_simulated: false, ..simulated() }, false, "tee.allow_simulated is not true"),
        (TeeConfig { platform: Some("abacus".to_owned()), ..simulated() }, false, "unknown TEE platform"),
        (TeeConfig { platform: Some("tdx".to_owned()), ..simulated() }, false, "tdx is not available here"),
        (simulated(), true, "keys of its own"),
    ] {
        let dir = tempfile::tempdir().unwrap();
        let config = worker::Config { tee, ..worker_config(dir.path()) };
        worker::HolderKey::open_or_create(&config.holder_key).unwrap();
        let node = Arc::new(Node::default());
        *node.joins.lock() = joins;
        let bound = worker::Worker::bind(config, chain(), node as Arc<dyn NodeAgent>).await;
        let error = bound.map(drop).unwrap_err().to_string();
        assert!(error.contains(word), "{error}");
    }
}
