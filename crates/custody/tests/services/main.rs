//! Custodians, verifiers and a master's key release over real sockets, with the real contracts on a development chain.
#![allow(clippy::unwrap_used, unreachable_pub, reason = "a test fails by panicking")]

mod key_server;
mod seal;
mod seal_sdk;
mod world;

use std::sync::Arc;
use std::time::Duration;

use axum::routing::{get, post};
use chain::Keypair;
use custody::{Error, Releaser, no_collateral};
use parking_lot::Mutex;
use serde_bytes::ByteArray;
use tee::custody::{Answer, CustodyError, Dealing, Member, Request, Share};
use tee::{Anchors, ClusterSecret, Policy};
use world::{Machine, World, clock};

const LIMIT: Duration = Duration::from_secs(10);

#[tokio::test(flavor = "multi_thread")]
async fn two_of_three_verifiers_register_an_enclave_and_none_signs_for_other_code() {
    let world = World::start().await;
    let machine = world.machine("m", b"code");
    let keys: Vec<Keypair> = (0..3).map(|_| Keypair::generate().unwrap()).collect();
    world.set_verifiers(&keys.iter().collect::<Vec<_>>(), 2).await;
    let mut urls = Vec::new();
    for key in &keys[..2] {
        urls.push(world.verifier(key).await);
    }
    urls.push("http://127.0.0.1:1".to_owned());

    let error = world.register(&machine, &urls).await.unwrap_err();
    assert!(matches!(error, Error::TooFewVerifiers { have: 0, want: 2, .. }), "{error}");
    assert!(error.to_string().contains("measurement_not_allowed"), "{error}");

    world.allow(&machine).await;
    world.register(&machine, &urls).await.unwrap();

    // A verifier that the registry does not name counts for nothing, and one alone is too few.
    let stranger = world.verifier(&Keypair::generate().unwrap()).await;
    let error = world.register(&machine, &[urls[0].clone(), stranger, urls[0].clone()]).await.unwrap_err();
    assert!(matches!(error, Error::TooFewVerifiers { have: 1, want: 2, .. }), "{error}");
    assert!(error.to_string().contains("none of the cluster's verifiers"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_committee_brings_the_secret_back_with_one_member_down_or_lying_and_not_with_one_fewer() {
    let world = World::start().await;
    let master = world.first_master(b"code").await;
    let secret = ClusterSecret::generate().unwrap();

    let dirs: Vec<_> = (0..3).map(|at| world.dir.path().join(format!("holder {at}"))).collect();
    let mut members = Vec::new();
    let mut urls = Vec::new();
    for (at, dir) in dirs.iter().enumerate() {
        let custodian = world.custodian(dir);
        let key = custodian.public_key();
        urls.push(world.serve(custodian.router()).await);
        members.push(Member {
            name: format!("holder {at}"),
            url: urls[at].clone(),
            key: ByteArray::new(key),
        });
    }
    let dealing = world.deal(&secret, 2, members.clone(), &master);
    let http = reqwest::Client::new();
    let put = async |url: &str, dealing: &Dealing| {
        let sent = http.put(format!("{url}/v1/dealing")).body(dealing.encode()).send().await.unwrap();
        (sent.status().as_u16(), sent.text().await.unwrap())
    };
    // Whoever is not at the cluster's place deals nothing.
    let stranger = world.machine("stranger", b"code");
    let (code, text) = put(&urls[0], &world.deal(&secret, 2, members.clone(), &stranger)).await;
    assert!(code == 403 && text.contains("not the one at the cluster's place"), "{code} {text}");
    for url in &urls {
        assert_eq!(put(url, &dealing).await.0, 200);
    }

    // Another machine, the same code, nothing carried over.
    let machine = world.machine("second", b"code");
    let found = custody::fetch_dealing(&urls[1]).await.unwrap();
    assert_eq!(found.dealer(), master.key.public_key());
    let all = world.asking(&machine, None).committee(found, LIMIT).await.unwrap();
    assert_eq!(all.secret.commitment(), secret.commitment());

    // One down: dealt as before, but nobody answers at the first member's URL.
    let down = with_url(&members, 0, "http://127.0.0.1:1");
    let dealing = world.deal(&secret, 2, down.clone(), &master);
    for url in &urls[1..] {
        assert_eq!(put(url, &dealing).await.0, 200);
    }
    let one_down = world.asking(&machine, None).committee(dealing, LIMIT).await.unwrap();
    assert_eq!(one_down.secret.commitment(), secret.commitment());

    // One lies: it gives the share of an earlier dealing, which is none of this.
    let liar = liar(&world, &dirs[0], &put_aside(&world, &secret, &members, &master)).await;
    let lying = with_url(&members, 0, &liar);
    let dealing = world.deal(&secret, 3, lying, &master);
    for url in &urls[1..] {
        assert_eq!(put(url, &dealing).await.0, 200);
    }
    let error = world.asking(&machine, None).committee(dealing, LIMIT).await.unwrap_err();
    assert!(matches!(error, Error::Custody(CustodyError::TooFew { threshold: 3, .. })), "{error}");
    assert!(error.to_string().contains("holder 0: gave something else"), "{error}");
    let dealing = world.deal(&secret, 2, with_url(&members, 0, &liar), &master);
    for url in &urls[1..] {
        assert_eq!(put(url, &dealing).await.0, 200);
    }
    let recovered = world.asking(&machine, None).committee(dealing.clone(), LIMIT).await.unwrap();
    assert_eq!(recovered.secret.commitment(), secret.commitment());

    // Code that the chain does not allow, however genuine its evidence is; until it is allowed.
    let next = world.machine("third", b"next code");
    let refused = world.asking(&next, None).committee(dealing.clone(), LIMIT).await.unwrap_err();
    assert!(refused.to_string().contains("measurement_not_allowed"), "{refused}");
    world.allow(&next).await;
    world.asking(&next, None).committee(dealing, LIMIT).await.unwrap();
}

/// A dealing of the same secret to the same people, that is never used.
fn put_aside(world: &World, secret: &ClusterSecret, members: &[Member], dealer: &Machine) -> Dealing {
    world.deal(secret, 2, members.to_vec(), dealer)
}

fn with_url(members: &[Member], at: usize, url: &str) -> Vec<Member> {
    let mut members = members.to_vec();
    members[at].url = url.to_owned();
    members
}

/// A holder that answers whoever asks, with a share of `dealing`.
async fn liar(world: &World, dir: &std::path::Path, dealing: &Dealing) -> String {
    let holder = custody::open_holder_key(&dir.join("custodian.key")).unwrap();
    let share: Share = dealing.share_of(&holder).unwrap();
    let answer = async move |body: axum::body::Bytes| {
        Answer::share(&Request::decode(&body).unwrap(), &share).unwrap().encode()
    };
    let nonce = async || axum::Json(serde_json::json!({ "nonce": hex::encode([1; 32]) }));
    let router =
        axum::Router::new().route("/v1/nonce", post(nonce)).route("/v1/key-release", post(answer.clone()));
    world.serve(router.route("/healthz", get(async || "ok"))).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_running_master_gives_the_secret_to_a_registered_enclave_of_allowed_code_alone() {
    let world = World::start().await;
    let _master = world.first_master(b"code").await;
    let verifier = Keypair::generate().unwrap();
    world.set_verifiers(&[&verifier], 1).await;
    let verifiers = [world.verifier(&verifier).await];

    let secret = ClusterSecret::generate().unwrap();
    let seen = Arc::new(Mutex::new(Vec::new()));
    let (kept, log) = (secret.clone(), seen.clone());
    let releaser = Releaser::new(
        world.on_chain(),
        move |request| Answer::secret(request, &kept),
        true,
        Policy::default(),
        Anchors::default(),
        no_collateral(),
        clock(),
        Arc::new(move |outcome| log.lock().push(outcome)),
    );
    let url = world.serve(axum::Router::new().nest("/v1-daas", releaser.router())).await;
    let http = reqwest::Client::new();
    let commitment = Some(secret.commitment());

    // The next version on another machine: not allowed, allowed but not registered, registered.
    let next = world.machine("third", b"next code");
    let refused = world.asking(&next, None).master(&http, &url, commitment).await.unwrap_err();
    assert!(refused.to_string().contains("measurement_not_allowed"), "{refused}");
    world.allow(&next).await;
    let refused = world.asking(&next, None).master(&http, &url, commitment).await.unwrap_err();
    assert!(refused.to_string().contains("not_registered"), "{refused}");
    let enclave = world.register(&next, &verifiers).await.unwrap();
    let released = world.asking(&next, Some(enclave)).master(&http, &url, commitment).await.unwrap();
    assert_eq!(released.commitment(), secret.commitment());

    // Somebody else's registration is of no use, nor is something that is no enclave.
    let other = world.machine("fourth", b"next code");
    for borrowed in [enclave, world.cluster.registry] {
        let refused = world.asking(&other, Some(borrowed)).master(&http, &url, commitment).await.unwrap_err();
        assert!(refused.to_string().contains("not_registered"), "{refused}");
    }
    assert_eq!(
        *seen.lock(),
        [
            Some("measurement_not_allowed"),
            Some("not_registered"),
            None,
            Some("not_registered"),
            Some("not_registered")
        ]
    );

    // What the chain asks of the platform holds at once, here and at verifiers: nothing simulated has a security version.
    let (registry, admin) = (world.cluster.registry, world.admin);
    world.run(&world.calls.set_tcb_bounds(registry, admin, &bounds())).await;
    let refused = world.asking(&next, Some(enclave)).master(&http, &url, commitment).await.unwrap_err();
    assert!(refused.to_string().contains("microcode"), "{refused}");
    let refused = world.register(&next, &verifiers).await.unwrap_err();
    assert!(refused.to_string().contains("microcode"), "{refused}");
    world.run(&world.calls.clear_tcb_bounds(registry, admin, "simulated")).await;
    world.asking(&next, Some(enclave)).master(&http, &url, commitment).await.unwrap();
    world.register(&next, &verifiers).await.unwrap();

    // Retired on chain: refused from the next request on.
    let measurement = chain::Measurement::new("simulated", &next.platform.measurement());
    world.run(&world.calls.retire_measurement(world.cluster.registry, world.admin, &measurement)).await;
    let refused = world.asking(&next, Some(enclave)).master(&http, &url, commitment).await.unwrap_err();
    assert!(refused.to_string().contains("measurement_not_allowed"), "{refused}");
}

fn bounds() -> chain::TcbBounds {
    chain::TcbBounds {
        platform: "simulated".into(),
        components: vec!["microcode".into()],
        minimums: vec![1],
        statuses: Vec::new(),
        any_advisory: true,
        advisories: Vec::new(),
        max_age_ms: 300_000,
    }
}
