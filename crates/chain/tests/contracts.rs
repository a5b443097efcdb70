//! Every call and read, on the bytecode that is published.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use std::collections::BTreeMap;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use chain::{
    Config, Economics, Enclave, EnclaveClaims, Error, Event, Governance, Keypair, Measurement, Names, Place,
    Registry, Stake, TcbBounds, Tier, TierTerms, TokenPath, possession_message,
};
use support::oracle::assert_state_is_the_chain;
use support::{SUI, World, wallet};

fn now_ms() -> u64 {
    u64::try_from(SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis()).unwrap()
}

fn measurement(byte: u8) -> Measurement {
    Measurement::new("simulated", &BTreeMap::from([("code".to_owned(), vec![byte; 48])]))
}

/// The error's `module::EName`.
fn refusal(error: Error) -> String {
    match error {
        Error::Refused(refusal) => format!("{}::{}", refusal.module, refusal.name.unwrap_or("?")),
        other => panic!("not refused by a contract: {other}"),
    }
}

#[tokio::test]
async fn the_life_of_a_stake() {
    let world = World::start().await;
    let (client, calls, cluster) = (&world.client, &world.calls, &world.cluster);
    let staker = wallet(&world.chain, 5 * SUI).await;
    let node_key = Keypair::generate().unwrap();

    let error = client.execute(&staker, &calls.stake(cluster.id, Tier::Node, 99)).await.unwrap_err();
    assert_eq!(refusal(error), "staking::ETooSmall");

    let (receipt, events) = world.run(&staker, &calls.stake(cluster.id, Tier::Node, 100)).await;
    let [Event::Staked(staked)] = &events[..] else { panic!("{events:?}") };
    assert_eq!((staked.owner, staked.tier, staked.amount), (staker.address(), Tier::Node, 100));
    assert!(receipt.checkpoint.is_some());
    assert!(world.state().await.covers_tier(&staked.stake));

    let names = cluster.names;
    let issue = |name| calls.issue_token(staked.stake, cluster.id, names, &node_key.public_key(), name);
    let error = client.execute(&staker, &issue("Not-A-Label")).await.unwrap_err();
    assert_eq!(refusal(error), "seal_token::EBadName");
    let stranger = wallet(&world.chain, SUI).await;
    let error = client.execute(&stranger, &issue("node-1")).await.unwrap_err();
    assert_eq!(refusal(error), "staking::ENotOwner");
    let (_, events) = world.run(&staker, &issue("node-1")).await;
    let [Event::TokenIssued(issued)] = &events[..] else { panic!("{events:?}") };
    assert_eq!(issued.public_key, node_key.public_key());
    assert_eq!((issued.seal.len(), issued.generation), (32, 1));
    let on_chain: Names = client.read(world.package(), names).await.unwrap();
    assert_eq!(client.pinned_stake(&on_chain, "node-1").await.unwrap(), Some(staked.stake));
    assert_eq!(client.pinned_stake(&on_chain, "node-2").await.unwrap(), None);

    // Another stake cannot have the name.
    let (_, events) = world.run(&stranger, &calls.stake(cluster.id, Tier::Node, 100)).await;
    let [Event::Staked(other)] = &events[..] else { panic!("{events:?}") };
    let take = calls.issue_token(other.stake, cluster.id, names, &node_key.public_key(), "node-1");
    assert_eq!(refusal(client.execute(&stranger, &take).await.unwrap_err()), "k8s_gateway::ENameTaken");

    let path = TokenPath { token: issued.token, stake: staked.stake, cluster: cluster.id };
    world.chain.advance_clock(Duration::from_secs(60)).await.unwrap();
    let (_, events) = world.run(&staker, &calls.renew_token(path)).await;
    let [Event::TokenRenewed(renewed)] = &events[..] else { panic!("{events:?}") };
    assert!(renewed.expires_ms >= issued.expires_ms + 60_000);

    // The new key has to sign, for the next generation and not for this one.
    let new_key = Keypair::generate().unwrap();
    let rotate = |generation| {
        let message = possession_message(issued.token, generation, &new_key.public_key()).unwrap();
        calls.rotate_key(path, &new_key.public_key(), &new_key.sign(&message))
    };
    assert_eq!(refusal(client.execute(&staker, &rotate(1)).await.unwrap_err()), "seal_token::EBadSignature");
    let (_, events) = world.run(&staker, &rotate(2)).await;
    assert!(matches!(&events[..], [Event::KeyRotated(rotated)] if rotated.generation == 2));
    let (_, events) = world.run(&staker, &calls.top_up(staked.stake, 23)).await;
    assert!(matches!(&events[..], [Event::ToppedUp(grown)] if grown.amount == 123));
    assert_state_is_the_chain(&world).await;

    world.run(&staker, &calls.revoke_token(issued.token)).await;
    assert_eq!(
        refusal(client.execute(&staker, &calls.renew_token(path)).await.unwrap_err()),
        "seal_token::ERevoked"
    );
    assert!(world.state().await.tokens[&issued.token].revoked);
    world.run(&staker, &calls.reissue_token(path, &node_key.public_key())).await;
    world.run(&world.operator, &calls.revoke_token_by_governance(issued.token, world.admin)).await;
    let state = assert_state_is_the_chain(&world).await;
    assert!(state.tokens[&issued.token].revoked);

    let withdraw = calls.withdraw(staked.stake, names);
    assert_eq!(refusal(client.execute(&staker, &withdraw).await.unwrap_err()), "staking::ENotUnbonding");
    world.run(&staker, &calls.request_unstake(staked.stake, cluster.id)).await;
    let state = assert_state_is_the_chain(&world).await;
    assert!(!state.covers_tier(&staked.stake), "an unbonding stake counts for nothing");
    assert_eq!(refusal(client.execute(&staker, &withdraw).await.unwrap_err()), "staking::ELocked");
    let locked_until = state.stakes[&staked.stake].locked_until_ms;
    world.chain.advance_clock(Duration::from_millis(locked_until - now_ms())).await.unwrap();
    let before = client.balance(staker.address()).await.unwrap();
    let (receipt, events) = world.run(&staker, &withdraw).await;
    assert!(matches!(&events[..], [Event::Withdrawn(paid)] if paid.amount == 123));
    let gas = receipt.gas().net_gas_usage();
    assert_eq!(
        client.balance(staker.address()).await.unwrap(),
        before.checked_add(123).unwrap().checked_add_signed(-gas).unwrap()
    );
    assert_eq!(client.pinned_stake(&on_chain, "node-1").await.unwrap(), None, "the name is free");
    let state = assert_state_is_the_chain(&world).await;
    assert!(!state.stakes.contains_key(&staked.stake) && !state.tokens.contains_key(&issued.token));
    assert!(client.read::<Stake>(world.package(), staked.stake).await.unwrap_err().is_not_found());
    world.chain.shutdown().await;
}

#[tokio::test]
async fn a_new_cluster_has_the_defaults() {
    let world = World::start().await;
    assert_eq!(world.cluster.config, Config::default());
    let governance: Governance = world.client.read(world.package(), world.admin.governance).await.unwrap();
    assert_eq!(governance.economics, Economics::default());
    world.chain.shutdown().await;
}

#[tokio::test]
async fn an_enclave_says_where_the_cluster_is() {
    let world = World::start().await;
    let (client, calls, cluster, admin) = (&world.client, &world.calls, &world.cluster, world.admin);
    let (operator, enclave_key) = (&world.operator, Keypair::generate().unwrap());
    let verifiers =
        [Keypair::generate().unwrap(), Keypair::generate().unwrap(), Keypair::generate().unwrap()];
    let keys: Vec<[u8; 32]> = verifiers.iter().map(Keypair::public_key).collect();
    world.run(operator, &calls.set_verifiers(cluster.registry, admin, &keys, 2)).await;
    let claims = || EnclaveClaims {
        cluster: cluster.id,
        measurement: measurement(7),
        public_key: enclave_key.public_key().to_vec(),
        expires_ms: now_ms() + 3_600_000,
    };
    let by = |signers: &[&Keypair]| {
        calls.register_enclave(cluster.registry, &claims().sign_all(signers, now_ms()).unwrap())
    };
    let both = [&verifiers[0], &verifiers[2]];

    let error = client.execute(operator, &by(&both)).await.unwrap_err();
    assert_eq!(refusal(error), "enclave::EMeasurementNotAllowed");
    world.run(operator, &calls.allow_measurement(cluster.registry, admin, &measurement(7))).await;
    let error = client.execute(operator, &by(&both[..1])).await.unwrap_err();
    assert_eq!(refusal(error), "intent_message::ETooFewSignatures");
    let error = client.execute(operator, &by(&[both[0], both[0]])).await.unwrap_err();
    assert_eq!(refusal(error), "intent_message::ETooFewSignatures");
    let mut forged = claims().sign_all(&both, now_ms()).unwrap();
    forged.claims.expires_ms += 1;
    let error =
        client.execute(operator, &calls.register_enclave(cluster.registry, &forged)).await.unwrap_err();
    assert_eq!(refusal(error), "intent_message::EBadSignature");
    let (_, events) = world.run(operator, &by(&both)).await;
    let [Event::EnclaveRegistered(enclave)] = &events[..] else { panic!("{events:?}") };
    assert_eq!(enclave.public_key, enclave_key.public_key());

    let place = Place {
        cluster: cluster.id,
        gateway: "https://127.0.0.1:9345".into(),
        apiserver: "https://127.0.0.1:6443".into(),
        ca_hash: vec![3; 32],
    };
    let set = |timestamp_ms: u64| {
        let signature = enclave_key.sign(&place.message(enclave.enclave, timestamp_ms).unwrap());
        calls.set_place(cluster.registry, enclave.enclave, &place, timestamp_ms, &signature)
    };
    let signed_at = now_ms();
    world.run(operator, &set(signed_at)).await;
    let state = assert_state_is_the_chain(&world).await;
    assert_eq!(state.cluster.as_ref().unwrap().ca_hash, place.ca_hash);
    assert_eq!(state.cluster.unwrap().enclave, Some(enclave.enclave));
    assert_eq!(
        refusal(client.execute(operator, &set(signed_at)).await.unwrap_err()),
        "enclave::EBadTimestamp"
    );

    assert!(world.state().await.enclave_in_standing(&enclave.enclave, now_ms()));
    world.run(operator, &calls.retire_measurement(cluster.registry, admin, &measurement(7))).await;
    let error = client.execute(operator, &set(signed_at + 1)).await.unwrap_err();
    assert_eq!(refusal(error), "enclave::EMeasurementNotAllowed");
    assert!(!world.state().await.enclave_in_standing(&enclave.enclave, now_ms()));
    let registry: Registry = client.read(world.package(), cluster.registry).await.unwrap();
    let on_chain: Enclave = client.read(world.package(), enclave.enclave).await.unwrap();
    assert!(!on_chain.in_standing(&registry, now_ms()));
    world.chain.shutdown().await;
}

#[tokio::test]
async fn what_platforms_are_held_to_and_what_workers_may_prove() {
    let world = World::start().await;
    let (calls, registry, admin) = (&world.calls, world.cluster.registry, world.admin);
    let bounds = |platform: &str, minimum| TcbBounds {
        platform: platform.to_owned(),
        components: vec!["microcode".into(), "snp".into()],
        minimums: vec![72, minimum],
        statuses: vec!["SWHardeningNeeded".into()],
        any_advisory: false,
        advisories: vec!["INTEL-SA-00334".into()],
        max_age_ms: 60_000,
    };
    let known = async || assert_state_is_the_chain(&world).await.registry.unwrap();
    for change in [bounds("sev-snp", 8), bounds("tdx", 1), bounds("sev-snp", 9)] {
        world.run(&world.operator, &calls.set_tcb_bounds(registry, admin, &change)).await;
    }
    assert_eq!(known().await.bounds, [bounds("sev-snp", 9), bounds("tdx", 1)]);
    world.run(&world.operator, &calls.clear_tcb_bounds(registry, admin, "sev-snp")).await;
    assert_eq!(known().await.bounds, [bounds("tdx", 1)]);

    for byte in [1, 2] {
        world
            .run(&world.operator, &calls.allow_worker_measurement(registry, admin, &measurement(byte)))
            .await;
    }
    let (both, masters) = (known().await.worker_code, known().await.allowed);
    assert_eq!((both, masters), (vec![measurement(1), measurement(2)], vec![]));
    world.run(&world.operator, &calls.retire_worker_measurement(registry, admin, &measurement(1))).await;
    assert_eq!(known().await.worker_code, [measurement(2)]);
    world.chain.shutdown().await;
}

#[tokio::test]
async fn grants_configuration_and_capabilities() {
    let world = World::start().await;
    let (client, calls, cluster, admin) = (&world.client, &world.calls, &world.cluster, world.admin);
    let (operator, user) = (&world.operator, wallet(&world.chain, SUI).await);

    let grant = |namespace, role| calls.grant(cluster.id, admin, user.address(), namespace, role);
    let error = client.execute(operator, &grant("team-a", "cluster-admin")).await.unwrap_err();
    assert_eq!(refusal(error), "k8s_gateway::EBadRole");
    let (_, events) = world.run(operator, &grant("team-a", "edit")).await;
    let [Event::Granted(granted)] = &events[..] else { panic!("{events:?}") };
    world.run(operator, &grant("", "cluster-admin")).await;
    assert_eq!(assert_state_is_the_chain(&world).await.grants.len(), 2);
    world.run(operator, &calls.revoke_grant(admin, granted.grant)).await;
    assert_eq!(assert_state_is_the_chain(&world).await.grants.len(), 1);
    let error = client.execute(&user, &calls.revoke_grant(admin, granted.grant)).await.unwrap_err();
    assert!(error.is_not_found(), "{error}");

    let config = Config {
        tiers: vec![
            TierTerms { minimum: 5, lock_ms: 0 },
            TierTerms { minimum: 6, lock_ms: 1 },
            TierTerms { minimum: 7, lock_ms: 2 },
        ],
        unbonding_ms: 0,
        token_lifetime_ms: 60_000,
    };
    world.run(operator, &calls.set_config(cluster.id, admin, &config)).await;
    assert_eq!(assert_state_is_the_chain(&world).await.cluster.unwrap().config, config);

    let (_, events) =
        world.run(operator, &calls.issue_cap(admin, user.address(), now_ms() + 3_600_000)).await;
    let [Event::CapIssued(issued)] = &events[..] else { panic!("{events:?}") };
    assert_state_is_the_chain(&world).await;
    world.run(operator, &calls.revoke_cap(admin, issued.cap)).await;
    assert_state_is_the_chain(&world).await;
    let theirs = chain::Admin { cap: issued.cap, ..admin };
    let error = client.execute(&user, &calls.revoke_cap(theirs, admin.cap)).await.unwrap_err();
    assert_eq!(refusal(error), "governance::ERevoked");
    let text = client.execute(&user, &calls.revoke_cap(theirs, admin.cap)).await.unwrap_err().to_string();
    assert!(text.contains("The capability was revoked") && text.contains("governance::ERevoked"), "{text}");
    world.chain.shutdown().await;
}

#[tokio::test]
async fn an_id_of_something_else_is_refused() {
    let world = World::start().await;
    let error = world.client.read::<Stake>(world.package(), world.cluster.id).await.unwrap_err();
    assert!(matches!(&error, Error::WrongType { .. }), "{error}");
    let error = world.client.read::<Stake>(world.package(), world.package()).await.unwrap_err();
    assert!(matches!(&error, Error::WrongType { found, .. } if found == "package"), "{error}");
    // Objects of another publication of the same code are not ours either.
    let other = world.client.publish(&world.operator, &chain::package::bundled()).await.unwrap().package;
    let error = world.client.read::<chain::Cluster>(other, world.cluster.id).await.unwrap_err();
    assert!(matches!(&error, Error::WrongType { .. }), "{error}");
    world.chain.shutdown().await;
}
