//! Every abort code of the contracts, reached by a transaction on the bytecode that is published.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "aborts/nitro.rs"]
mod nitro;
#[path = "aborts/penalties.rs"]
mod penalties;
#[path = "aborts/rewards.rs"]
mod rewards;
#[path = "aborts/scene.rs"]
mod scene;
mod support;
#[path = "aborts/terms.rs"]
mod terms;

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use chain::{
    Address, Admin, Client, Cluster, Config, Draft, EnclaveClaims, Error, Event, Keypair, Measurement, Place,
    TcbBounds, Tier, TierTerms, TokenPath, VerifiedClaims, possession_message,
};
use support::{SUI, World, wallet};

const MINUTE_MS: u64 = 60_000;
const HOUR_MS: u64 = 3_600_000;
const DAY_MS: u64 = 86_400_000;
const CLOCK: Address = Address::from_static("0x6");

/// A world with a second cluster, which trusts no simulated enclave, and the codes that were reached.
struct Probe {
    world: World,
    other: Cluster,
    other_admin: Admin,
    reached: RefCell<BTreeSet<String>>,
}

impl Probe {
    async fn start() -> Probe {
        let world = World::start().await;
        let (receipt, _) = world.run(&world.operator, &world.calls.create_cluster("other", false)).await;
        let (created, other_admin) = receipt.founded(world.package()).unwrap();
        let other = world.client.read(world.package(), created.cluster).await.unwrap();
        Probe { world, other, other_admin, reached: RefCell::default() }
    }

    /// The draft is refused with this `module::EName`.
    async fn refused(&self, wallet: &Keypair, draft: &Draft, expected: &str) {
        self.refused_on(&self.world.client, wallet, draft, expected).await;
    }

    /// The same on another chain.
    async fn refused_on(&self, client: &Client, wallet: &Keypair, draft: &Draft, expected: &str) {
        match client.execute(wallet, draft).await {
            Err(Error::Refused(refusal)) => {
                let code = format!("{}::{}", refusal.module, refusal.name.unwrap_or("?"));
                assert_eq!(code, expected);
                self.reached.borrow_mut().insert(code);
            }
            other => panic!("{expected} is due, not {other:?}"),
        }
    }

    async fn advance(&self, ms: u64) {
        self.world.chain.advance_clock(Duration::from_millis(ms)).await.unwrap();
    }

    fn now(&self) -> u64 {
        self.world.chain.node().ledger().timestamp_ms()
    }

    async fn staked(&self, wallet: &Keypair, tier: Tier, mist: u64) -> Address {
        let (_, events) =
            self.world.run(wallet, &self.world.calls.stake(self.world.cluster.id, tier, mist)).await;
        let [Event::Staked(staked)] = &events[..] else { panic!("{events:?}") };
        staked.stake
    }

    async fn issued(&self, wallet: &Keypair, stake: Address, name: &str) -> TokenPath {
        let cluster = &self.world.cluster;
        let draft = self.world.calls.issue_token(stake, cluster.id, cluster.names, &[1; 32], name);
        let (_, events) = self.world.run(wallet, &draft).await;
        let [Event::TokenIssued(issued)] = &events[..] else { panic!("{events:?}") };
        TokenPath { token: issued.token, stake, cluster: cluster.id }
    }
}

#[tokio::test]
async fn every_abort_code_is_reached() {
    let probe = Probe::start().await;
    staking(&probe).await;
    seal_token(&probe).await;
    k8s_gateway(&probe).await;
    enclave(&probe).await;
    terms::economics(&probe).await;
    rewards::anchor(&probe).await;
    terms::trust(&probe).await;
    nitro::nitro(&probe).await;
    // Before anything is paid for use, while the pool is empty.
    rewards::rewards(&probe).await;
    terms::usage(&probe).await;
    terms::upgrade(&probe).await;
    penalties::slashing(&probe).await;
    penalties::wrong_stake(&probe).await;
    penalties::insurance(&probe).await;
    // Last, as it changes who governs.
    governance(&probe).await;

    let sources = concat!(env!("CARGO_MANIFEST_DIR"), "/../../contracts/sources");
    let mut declared = BTreeSet::new();
    for file in std::fs::read_dir(sources).unwrap() {
        let path = file.unwrap().path();
        let module = path.file_stem().unwrap().to_str().unwrap();
        for line in std::fs::read_to_string(&path).unwrap().lines() {
            if let Some((name, _)) = line.strip_prefix("const E").and_then(|rest| rest.split_once(':')) {
                declared.insert(format!("{module}::E{name}"));
            }
        }
    }
    assert!(declared.len() > 100);
    assert_eq!(*probe.reached.borrow(), declared);
    probe.world.chain.shutdown().await;
}

async fn staking(p: &Probe) {
    let (calls, cluster) = (&p.world.calls, &p.world.cluster);
    let (staker, stranger) = (wallet(&p.world.chain, SUI).await, wallet(&p.world.chain, SUI).await);
    for (tier, minimum) in [(Tier::Node, 100), (Tier::User, 1_000), (Tier::Admin, 10_000)] {
        p.refused(&staker, &calls.stake(cluster.id, tier, minimum - 1), "staking::ETooSmall").await;
    }
    let stake = p.staked(&staker, Tier::User, 1_000).await;
    p.refused(&stranger, &calls.top_up(stake, 1), "staking::ENotOwner").await;
    p.refused(&stranger, &calls.request_unstake(stake, cluster.id), "staking::ENotOwner").await;
    p.refused(&staker, &calls.request_unstake(stake, p.other.id), "staking::EWrongCluster").await;
    p.refused(&staker, &calls.withdraw(stake, cluster.names), "staking::ENotUnbonding").await;
    let now = p.now();
    let soon = now + MINUTE_MS;
    for (from_ms, to_ms) in [(now - 1, now), (soon, soon), (soon, soon + DAY_MS + 1)] {
        let announce = calls.announce_maintenance(stake, from_ms, to_ms);
        p.refused(&staker, &announce, "staking::EBadMaintenance").await;
    }
    let announce = calls.announce_maintenance(stake, soon, soon + DAY_MS);
    p.refused(&stranger, &announce, "staking::ENotOwner").await;
    let (_, events) = p.world.run(&staker, &announce).await;
    assert!(matches!(&events[..], [Event::MaintenanceAnnounced(told)] if told.stake == stake), "{events:?}");
    // Lock-up is over; unbonding still has to pass.
    p.advance(8 * DAY_MS).await;
    p.world.run(&staker, &calls.request_unstake(stake, cluster.id)).await;
    p.refused(&staker, &calls.request_unstake(stake, cluster.id), "staking::EUnbonding").await;
    p.refused(&staker, &calls.top_up(stake, 1), "staking::EUnbonding").await;
    p.refused(&staker, &calls.withdraw(stake, cluster.names), "staking::ELocked").await;
    p.advance(7 * DAY_MS - MINUTE_MS).await;
    p.refused(&staker, &calls.withdraw(stake, cluster.names), "staking::ELocked").await;
    p.advance(MINUTE_MS).await;
    p.refused(&stranger, &calls.withdraw(stake, cluster.names), "staking::ENotOwner").await;
    p.world.run(&staker, &calls.withdraw(stake, cluster.names)).await;
}

async fn seal_token(p: &Probe) {
    let (calls, cluster) = (&p.world.calls, &p.world.cluster);
    let (staker, stranger) = (wallet(&p.world.chain, SUI).await, wallet(&p.world.chain, SUI).await);
    let node = p.staked(&staker, Tier::Node, 100).await;
    let user = p.staked(&staker, Tier::User, 1_000).await;
    let issue = |stake, name: &str| calls.issue_token(stake, cluster.id, cluster.names, &[1; 32], name);

    let long = "a".repeat(64);
    for name in ["", "-a", "a-", "A", "a.b", "a b", "ä", &long] {
        p.refused(&staker, &issue(node, name), "seal_token::EBadName").await;
    }
    p.refused(&staker, &issue(user, "node-1"), "seal_token::ENotANode").await;
    let mut short_key = Draft::new();
    let arguments = vec![
        short_key.object_mut(node),
        short_key.object(cluster.id),
        short_key.object_mut(cluster.names),
        short_key.pure(&vec![1u8; 31]),
        short_key.pure("node-1"),
        short_key.object(CLOCK),
    ];
    short_key.call(calls.package(), "seal_token", "issue", vec![], arguments);
    p.refused(&staker, &short_key, "seal_token::EBadKey").await;

    let path = p.issued(&staker, node, &"a".repeat(63)).await;
    p.refused(&staker, &issue(node, "node-1"), "seal_token::ELiveToken").await;
    p.refused(&staker, &calls.reissue_token(path, &[2; 32]), "seal_token::ELiveToken").await;
    p.refused(&staker, &calls.renew_token(TokenPath { stake: user, ..path }), "seal_token::EWrongStake")
        .await;
    p.refused(&stranger, &calls.revoke_token(path.token), "seal_token::EWrongStake").await;
    let rotate = calls.rotate_key(path, &[2; 32], &[0; 64]);
    p.refused(&staker, &rotate, "seal_token::EBadSignature").await;
    // A signature for another token is not one for this.
    let key = Keypair::generate().unwrap();
    let signature = key.sign(&possession_message(user, 2, &key.public_key()).unwrap());
    let rotate = calls.rotate_key(path, &key.public_key(), &signature);
    p.refused(&staker, &rotate, "seal_token::EBadSignature").await;

    p.advance(30 * DAY_MS).await;
    p.refused(&staker, &calls.renew_token(path), "seal_token::EExpired").await;
    p.refused(&staker, &rotate, "seal_token::EExpired").await;
    p.world.run(&staker, &calls.reissue_token(path, &[2; 32])).await;
    p.world.run(&staker, &calls.revoke_token(path.token)).await;
    p.refused(&staker, &calls.renew_token(path), "seal_token::ERevoked").await;
    p.refused(&staker, &calls.revoke_token(path.token), "seal_token::ERevoked").await;
    // What governance revoked stays revoked, also when the owner had revoked it before.
    p.world.run(&p.world.operator, &calls.revoke_token_by_governance(path.token, p.world.admin)).await;
    p.refused(&staker, &calls.reissue_token(path, &[3; 32]), "seal_token::EBarred").await;
    let again = calls.revoke_token_by_governance(path.token, p.world.admin);
    p.refused(&p.world.operator, &again, "seal_token::EBarred").await;
    let foreign = calls.revoke_token_by_governance(path.token, p.other_admin);
    p.refused(&p.world.operator, &foreign, "seal_token::EWrongStake").await;
}

async fn k8s_gateway(p: &Probe) {
    let (calls, cluster, admin) = (&p.world.calls, &p.world.cluster, p.world.admin);
    let (operator, staker) = (&p.world.operator, wallet(&p.world.chain, SUI).await);
    for name in [String::new(), "n".repeat(257)] {
        p.refused(operator, &calls.create_cluster(&name, true), "k8s_gateway::EBadString").await;
    }
    let grant = |namespace, role| calls.grant(cluster.id, admin, Address::ZERO, namespace, role);
    p.refused(operator, &grant("Team", "view"), "k8s_gateway::EBadNamespace").await;
    for (namespace, role) in [("team", "root"), ("team", "cluster-admin"), ("team", ""), ("", "Admin")] {
        p.refused(operator, &grant(namespace, role), "k8s_gateway::EBadRole").await;
    }
    let foreign = calls.grant(p.other.id, admin, Address::ZERO, "", "view");
    p.refused(operator, &foreign, "k8s_gateway::EWrongCluster").await;

    let terms = |minimum, lock_ms| TierTerms { minimum, lock_ms };
    let year = 365 * DAY_MS;
    let good = Config { tiers: vec![terms(1, year); 3], unbonding_ms: year, token_lifetime_ms: MINUTE_MS };
    let set = |config: &Config| calls.set_config(p.other.id, p.other_admin, config);
    p.world.run(operator, &set(&good)).await;
    let two = Config { tiers: vec![terms(1, 0); 2], ..good.clone() };
    p.refused(operator, &set(&two), "k8s_gateway::EBadTier").await;
    for bad in [
        Config { tiers: vec![terms(0, 0); 3], ..good.clone() },
        Config { tiers: vec![terms(10_000_000_000_000_000_001, 0); 3], ..good.clone() },
        Config { tiers: vec![terms(1, year + 1); 3], ..good.clone() },
        Config { unbonding_ms: year + 1, ..good.clone() },
        Config { token_lifetime_ms: MINUTE_MS - 1, ..good.clone() },
        Config { token_lifetime_ms: year + 1, ..good.clone() },
    ] {
        p.refused(operator, &set(&bad), "k8s_gateway::EOutOfBounds").await;
    }

    let (first, second) =
        (p.staked(&staker, Tier::Node, 100).await, p.staked(&staker, Tier::Node, 100).await);
    p.issued(&staker, first, "taken").await;
    let take = calls.issue_token(second, cluster.id, cluster.names, &[1; 32], "taken");
    p.refused(&staker, &take, "k8s_gateway::ENameTaken").await;
    let elsewhere = calls.issue_token(second, cluster.id, p.other.names, &[1; 32], "taken");
    p.refused(&staker, &elsewhere, "k8s_gateway::EWrongCluster").await;
}

async fn enclave(p: &Probe) {
    let (calls, cluster, admin) = (&p.world.calls, &p.world.cluster, p.world.admin);
    let operator = &p.world.operator;
    let (verifier, key) = (Keypair::generate().unwrap(), Keypair::generate().unwrap());
    let verifiers =
        |registry, keys: &[[u8; 32]], threshold| calls.set_verifiers(registry, admin, keys, threshold);
    let one = verifier.public_key();
    p.refused(operator, &verifiers(cluster.registry, &[one], 0), "enclave::EBadThreshold").await;
    p.refused(operator, &verifiers(cluster.registry, &[one], 2), "enclave::EBadThreshold").await;
    p.refused(operator, &verifiers(cluster.registry, &[one, one], 1), "enclave::EBadKey").await;
    let many: Vec<[u8; 32]> = (0..33).map(|byte| [byte; 32]).collect();
    p.refused(operator, &verifiers(cluster.registry, &many, 1), "enclave::ETooMany").await;
    p.refused(operator, &verifiers(p.other.registry, &[one], 1), "enclave::EWrongCluster").await;
    p.world.run(operator, &verifiers(cluster.registry, &[one], 1)).await;

    let measured = |platform: &str, names: &[&str], bytes: usize| Measurement {
        platform: platform.to_owned(),
        names: names.iter().map(|name| (*name).to_owned()).collect(),
        values: names.iter().map(|_| vec![7; bytes]).collect(),
    };
    let good = Measurement::new("simulated", &BTreeMap::from([("code".to_owned(), vec![7; 48])]));
    let allow = |measurement: &Measurement| calls.allow_measurement(cluster.registry, admin, measurement);
    let name = "n".repeat(33);
    for bad in [
        measured("simulated", &[], 1),
        measured("simulated", &["b", "a"], 1),
        measured("simulated", &["a", "a"], 1),
        measured("simulated", &["ab", "a"], 1),
        measured("simulated", &[""], 1),
        measured("simulated", &[&name], 1),
        measured("simulated", &["a"], 0),
        measured("simulated", &["a"], 65),
        Measurement { values: vec![], ..good.clone() },
    ] {
        p.refused(operator, &allow(&bad), "measurement::EBadMeasurement").await;
    }
    p.refused(operator, &allow(&measured("Simulated", &["a"], 1)), "measurement::EUnknownPlatform").await;
    let elsewhere = calls.allow_measurement(p.other.registry, p.other_admin, &good);
    p.refused(operator, &elsewhere, "enclave::ESimulated").await;
    let retire = calls.retire_measurement(cluster.registry, admin, &good);
    p.refused(operator, &retire, "enclave::EMeasurementNotAllowed").await;
    p.world.run(operator, &allow(&good)).await;
    p.refused(operator, &allow(&good), "enclave::EAlreadyAllowed").await;

    let bounds = TcbBounds {
        platform: "tdx".into(),
        components: vec![],
        minimums: vec![],
        statuses: vec![],
        any_advisory: true,
        advisories: vec![],
        max_age_ms: 1_000,
    };
    let set = |bounds: TcbBounds| calls.set_tcb_bounds(cluster.registry, admin, &bounds);
    for max_age_ms in [0, 999, 30 * DAY_MS + 1, u64::MAX] {
        p.refused(operator, &set(TcbBounds { max_age_ms, ..bounds.clone() }), "tcb::EBadAge").await;
    }
    let names = |names: &[&str]| -> Vec<String> { names.iter().map(|name| (*name).to_owned()).collect() };
    for (components, minimums) in [
        (names(&["a"]), vec![]),
        (names(&[]), vec![1]),
        (names(&["b", "a"]), vec![1, 1]),
        (names(&["a", "a"]), vec![1, 1]),
        (names(&[""]), vec![1]),
        (names(&[&"a".repeat(65)]), vec![1]),
    ] {
        p.refused(operator, &set(TcbBounds { components, minimums, ..bounds.clone() }), "tcb::EBadBounds")
            .await;
    }
    p.refused(
        operator,
        &set(TcbBounds { platform: "vax".into(), ..bounds }),
        "measurement::EUnknownPlatform",
    )
    .await;
    let clear = calls.clear_tcb_bounds(cluster.registry, admin, "tdx");
    p.refused(operator, &clear, "enclave::ENoBounds").await;
    let elsewhere = calls.allow_worker_measurement(p.other.registry, p.other_admin, &good);
    p.refused(operator, &elsewhere, "enclave::ESimulated").await;
    let retire = calls.retire_worker_measurement(cluster.registry, admin, &good);
    p.refused(operator, &retire, "enclave::EMeasurementNotAllowed").await;
    let workers = calls.allow_worker_measurement(cluster.registry, admin, &good);
    p.world.run(operator, &workers).await;
    p.refused(operator, &workers, "enclave::EAlreadyAllowed").await;

    let claims = || EnclaveClaims {
        cluster: cluster.id,
        measurement: good.clone(),
        public_key: key.public_key().to_vec(),
        expires_ms: p.now() + HOUR_MS,
    };
    let sign = |claims: EnclaveClaims, at| claims.sign_all(&[&verifier], at).unwrap();
    let register = |verified: &VerifiedClaims| calls.register_enclave(cluster.registry, verified);
    let short_key = EnclaveClaims { public_key: vec![1; 31], ..claims() };
    p.refused(operator, &register(&sign(short_key, p.now())), "enclave::EBadKey").await;
    for expires_ms in [p.now() - 1, p.now() + 30 * DAY_MS + MINUTE_MS] {
        let claims = EnclaveClaims { expires_ms, ..claims() };
        p.refused(operator, &register(&sign(claims, p.now())), "enclave::EExpired").await;
    }
    for at in [p.now() - 6 * MINUTE_MS, p.now() + 6 * MINUTE_MS, 0, u64::MAX] {
        p.refused(operator, &register(&sign(claims(), at)), "enclave::EBadTimestamp").await;
    }
    let unsigned = VerifiedClaims { claims: claims(), timestamp_ms: p.now(), signatures: vec![] };
    p.refused(operator, &register(&unsigned), "intent_message::ETooFewSignatures").await;
    let stranger = claims().sign_all(&[&key], p.now()).unwrap();
    p.refused(operator, &register(&stranger), "intent_message::ETooFewSignatures").await;
    let forged = VerifiedClaims { timestamp_ms: p.now() + 1, ..sign(claims(), p.now()) };
    p.refused(operator, &register(&forged), "intent_message::EBadSignature").await;
    let elsewhere = calls.register_enclave(p.other.registry, &sign(claims(), p.now()));
    p.refused(operator, &elsewhere, "enclave::ESimulated").await;

    // The same key, registered twice: a statement for one registration is none for the other.
    let verified = sign(claims(), p.now());
    let mut twins = Vec::new();
    for _ in 0..2 {
        let (_, events) = p.world.run(operator, &register(&verified)).await;
        let [Event::EnclaveRegistered(registered)] = &events[..] else { panic!("{events:?}") };
        twins.push(registered.enclave);
    }
    let place = |cluster, ca_hash| Place {
        cluster,
        gateway: "https://127.0.0.1:9345".into(),
        apiserver: "https://127.0.0.1:6443".into(),
        ca_hash,
    };
    let here = place(cluster.id, vec![3; 32]);
    let set = |registry, enclave, place: &Place, at: u64, signature: &[u8; 64]| {
        calls.set_place(registry, enclave, place, at, signature)
    };
    let at = p.now();
    let signature = key.sign(&here.message(twins[0], at).unwrap());
    let replayed = set(cluster.registry, twins[1], &here, at, &signature);
    p.refused(operator, &replayed, "intent_message::EBadSignature").await;
    p.world.run(operator, &set(cluster.registry, twins[0], &here, at, &signature)).await;
    let again = set(cluster.registry, twins[0], &here, at, &signature);
    p.refused(operator, &again, "enclave::EBadTimestamp").await;
    let foreign = set(p.other.registry, twins[0], &here, at + 1, &signature);
    p.refused(operator, &foreign, "enclave::EWrongCluster").await;
    let there = set(cluster.registry, twins[0], &place(p.other.id, vec![3; 32]), at + 1, &signature);
    p.refused(operator, &there, "k8s_gateway::EWrongCluster").await;
    let short = set(cluster.registry, twins[0], &place(cluster.id, vec![3; 31]), at + 1, &signature);
    p.refused(operator, &short, "k8s_gateway::EBadHash").await;
    p.advance(HOUR_MS).await;
    let at = p.now();
    let signature = key.sign(&here.message(twins[0], at).unwrap());
    let late = set(cluster.registry, twins[0], &here, at, &signature);
    p.refused(operator, &late, "enclave::EExpired").await;
}

async fn governance(p: &Probe) {
    let (calls, admin, operator) = (&p.world.calls, p.world.admin, &p.world.operator);
    let deputy = wallet(&p.world.chain, SUI).await;
    let foreign = Admin { cap: p.other_admin.cap, ..admin };
    let far = p.now() + DAY_MS;
    p.refused(operator, &calls.issue_cap(foreign, deputy.address(), far), "governance::EWrongCluster").await;
    p.refused(operator, &calls.issue_cap(admin, deputy.address(), p.now()), "governance::EExpired").await;
    p.refused(operator, &calls.revoke_cap(admin, Address::ZERO), "governance::EUnknownCap").await;

    let expires_ms = p.now() + HOUR_MS;
    let (_, events) = p.world.run(operator, &calls.issue_cap(admin, deputy.address(), expires_ms)).await;
    let [Event::CapIssued(issued)] = &events[..] else { panic!("{events:?}") };
    let theirs = Admin { cap: issued.cap, ..admin };
    let longer = calls.issue_cap(theirs, deputy.address(), expires_ms + 1);
    p.refused(&deputy, &longer, "governance::EOutlives").await;
    p.refused(&deputy, &calls.revoke_cap(theirs, admin.cap), "governance::EOutlives").await;
    // The deputy's does not count: one that never expires has to be left.
    p.refused(operator, &calls.revoke_cap(admin, admin.cap), "governance::ELastCap").await;
    for _ in 2..32 {
        p.world.run(&deputy, &calls.issue_cap(theirs, deputy.address(), expires_ms)).await;
    }
    let one_more = calls.issue_cap(admin, deputy.address(), expires_ms);
    p.refused(operator, &one_more, "governance::ETooManyCaps").await;

    p.advance(HOUR_MS).await;
    p.refused(&deputy, &calls.revoke_cap(theirs, theirs.cap), "governance::EExpired").await;
    p.world.run(operator, &calls.revoke_cap(admin, theirs.cap)).await;
    p.refused(&deputy, &calls.revoke_cap(theirs, theirs.cap), "governance::ERevoked").await;
    let mut heir = calls.issue_cap(admin, operator.address(), u64::MAX);
    let (_, events) = p.world.run(operator, &heir).await;
    let [Event::CapIssued(issued)] = &events[..] else { panic!("{events:?}") };
    p.world.run(operator, &calls.revoke_cap(admin, admin.cap)).await;
    heir = calls.revoke_cap(Admin { cap: issued.cap, ..admin }, issued.cap);
    p.refused(operator, &heir, "governance::ELastCap").await;
}
