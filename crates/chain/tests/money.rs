//! Every entry that moves money or trust, on the bytecode that is published. After each step the state folded
//! from events alone is compared, object by object, with the state of the chain.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use std::collections::BTreeMap;
use std::time::Duration;

use chain::{
    Address, Admin, Court, Draft, Economics, EnclaveClaims, EnclavePayload, EnclaveStatement, Error, Event,
    Evidence, Keypair, Measurement, Migrating, NodeStatement, ObjectKind, Point, RewardTree, Share, Shares,
    SignedNodeStatement, Tier, TokenPath, TouchedObject, Upgrader,
};
use support::oracle::assert_state_is_the_chain;
use support::{SUI, World, wallet};

const HOUR: Duration = Duration::from_secs(3600);
const DAY: Duration = Duration::from_secs(86_400);
const DAY_MS: u64 = 86_400_000;

/// The error's `module::EName`.
fn refusal(error: Error) -> String {
    match error {
        Error::Refused(refusal) => format!("{}::{}", refusal.module, refusal.name.unwrap_or("?")),
        other => panic!("not refused by a contract: {other}"),
    }
}

/// A cluster with an enclave that is old enough to move money, and a node's stake with its token.
struct Scene {
    world: World,
    enclave: Address,
    enclave_key: Keypair,
    measurement: Measurement,
    staker: Keypair,
    holder: Keypair,
    stake: Address,
    token: Address,
}

impl Scene {
    async fn start() -> Scene {
        let world = World::start().await;
        let (calls, cluster, admin) = (&world.calls, &world.cluster, world.admin);
        let staker = wallet(&world.chain, 20 * SUI).await;
        let (_, events) = world.run(&staker, &calls.stake(cluster.id, Tier::Node, 1_000_000)).await;
        let [Event::Staked(staked)] = &events[..] else { panic!("{events:?}") };
        let stake = staked.stake;
        let holder = Keypair::generate().unwrap();
        let draft = calls.issue_token(stake, cluster.id, cluster.names, &holder.public_key(), "node-1");
        let (_, events) = world.run(&staker, &draft).await;
        let [Event::TokenIssued(issued)] = &events[..] else { panic!("{events:?}") };
        let token = issued.token;

        let (verifier, enclave_key) = (Keypair::generate().unwrap(), Keypair::generate().unwrap());
        let measurement = Measurement::new("simulated", &BTreeMap::from([("code".to_owned(), vec![7; 48])]));
        let operator = &world.operator;
        let keys = [verifier.public_key()];
        world.run(operator, &calls.set_verifiers(cluster.registry, admin, &keys, 1)).await;
        world.run(operator, &calls.allow_measurement(cluster.registry, admin, &measurement)).await;
        let now = now(&world).await;
        let claims = EnclaveClaims {
            cluster: cluster.id,
            measurement: measurement.clone(),
            public_key: enclave_key.public_key().to_vec(),
            expires_ms: now + 29 * DAY_MS,
        };
        let verified = claims.sign_all(&[&verifier], now).unwrap();
        let (_, events) = world.run(operator, &calls.register_enclave(cluster.registry, &verified)).await;
        let [Event::EnclaveRegistered(registered)] = &events[..] else { panic!("{events:?}") };
        let enclave = registered.enclave;
        world.chain.advance_clock(DAY + HOUR).await.unwrap();
        Scene { world, enclave, enclave_key, measurement, staker, holder, stake, token }
    }

    async fn stated<T: EnclavePayload>(&self, statement: T) -> EnclaveStatement<T> {
        EnclaveStatement::sign(statement, self.enclave, now(&self.world).await, &self.enclave_key).unwrap()
    }

    async fn evidence(&self, reason: u8, digest: u8, measurement: Option<Measurement>) -> Evidence {
        let to_ms = now(&self.world).await;
        Evidence {
            cluster: self.world.cluster.id,
            stake: self.stake,
            reason,
            from_ms: to_ms - DAY_MS,
            to_ms,
            up_ms: if reason == 0 { DAY_MS / 2 } else { 0 },
            measurement,
            digest: vec![digest; 32],
            locator: "walrus:evidence".to_owned(),
            reporter: self.world.operator.address(),
        }
    }

    fn court(&self) -> Court {
        let cluster = &self.world.cluster;
        Court { cluster: cluster.id, governance: cluster.governance, registry: cluster.registry }
    }

    /// Proposes the penalty for what the enclave saw; gives the case.
    async fn propose(&self, evidence: Evidence) -> Address {
        let draft = self.world.calls.propose_penalty(self.court(), &self.stated(evidence).await);
        let (_, events) = self.world.run(&self.world.operator, &draft).await;
        let [Event::SlashProposed(proposed), Event::EvidenceShown(_)] = &events[..] else {
            panic!("{events:?}")
        };
        proposed.case
    }

    /// What stakers do often never waits for others (docs/decisions/0008): it writes no object but this one and its gas.
    async fn writes_only(&self, draft: &Draft, own: Address) {
        let sender = self.staker.address();
        let dry = self.world.client.dry_run(sender, sender, draft).await.unwrap();
        let mutated = |object: &&TouchedObject| {
            object.kind == ObjectKind::Mutated && !object.type_.contains("::coin::Coin<")
        };
        let written: Vec<Address> =
            dry.changes.objects.iter().filter(mutated).map(|object| object.id).collect();
        assert_eq!(written, [own], "{:?}", dry.changes.objects);
    }

    async fn refused(&self, wallet: &Keypair, draft: &Draft) -> String {
        refusal(self.world.client.execute(wallet, draft).await.unwrap_err())
    }
}

async fn now(world: &World) -> u64 {
    world.client.service_info().await.unwrap().timestamp_ms
}

#[tokio::test]
async fn rewards_are_posted_opened_claimed_and_swept() {
    let scene = Scene::start().await;
    let (world, calls, cluster) = (&scene.world, &scene.world.calls, &scene.world.cluster);
    world.run(&world.operator, &calls.fund(cluster.pool, 1_000_003)).await;
    let share =
        |byte, weight| Share { stake: Address::new([byte; 32]), owner: Address::new([byte; 32]), weight };
    let own = Share { stake: scene.stake, owner: scene.staker.address(), weight: 5 };
    let tree = RewardTree::new(cluster.id, 1, vec![share(1, 7), own, share(3, 2)]).unwrap();
    let to_ms = now(world).await;
    let shares = Shares {
        cluster: cluster.id,
        number: 1,
        from_ms: to_ms - DAY_MS,
        to_ms,
        weight: tree.weight(),
        root: tree.root(),
    };
    let posted = scene.stated(shares).await;
    let draft = calls.post_epoch(cluster.pool, cluster.governance, cluster.registry, &posted);
    let (_, events) = world.run(&world.operator, &draft).await;
    let [Event::StatementAccepted(_), Event::EpochPosted(epoch)] = &events[..] else { panic!("{events:?}") };
    assert_eq!(epoch.budget, 1_000_003);
    assert_state_is_the_chain(world).await;

    let (place, claim) = tree.claim(scene.stake).unwrap();
    let (_, events) =
        world.run(&world.operator, &calls.open_shard(epoch.epoch, &tree.shard(place).unwrap())).await;
    let [Event::ShardOpened(shard)] = &events[..] else { panic!("{events:?}") };
    let path = TokenPath { token: scene.token, stake: scene.stake, cluster: cluster.id };
    scene.writes_only(&calls.top_up(scene.stake, 7), scene.stake).await;
    scene.writes_only(&calls.renew_token(path), scene.token).await;
    scene.writes_only(&calls.claim(shard.shard, &claim), shard.shard).await;
    let before = world.client.balance(scene.staker.address()).await.unwrap();
    world.run(&world.operator, &calls.claim(shard.shard, &claim)).await;
    let paid = world.client.balance(scene.staker.address()).await.unwrap() - before;
    assert_eq!(paid, 1_000_003 * 5 / 14, "rounded down, in the pool's favour");
    assert_eq!(scene.refused(&world.operator, &calls.claim(shard.shard, &claim)).await, "rewards::EClaimed");
    assert_state_is_the_chain(world).await;

    let sweep = calls.sweep_shard(shard.shard, cluster.pool);
    assert_eq!(scene.refused(&world.operator, &sweep).await, "rewards::ETooEarly");
    world.chain.advance_clock(31 * DAY).await.unwrap();
    world.run(&world.operator, &sweep).await;
    world.run(&world.operator, &calls.sweep_epoch(epoch.epoch, cluster.pool)).await;
    let state = assert_state_is_the_chain(world).await;
    assert_eq!(state.money.pool.unwrap().balance, 1_000_003 - paid);
}

#[tokio::test]
async fn a_penalty_is_proposed_contested_dismissed_executed_and_lapses() {
    let scene = Scene::start().await;
    let (world, calls, cluster) = (&scene.world, &scene.world.calls, &scene.world.cluster);
    let (operator, admin) = (&world.operator, world.admin);

    let case = scene.propose(scene.evidence(0, 1, None).await).await;
    assert_state_is_the_chain(world).await;
    world.run(&scene.staker, &calls.contest(case, &[9; 32])).await;
    assert_state_is_the_chain(world).await;
    world.run(operator, &calls.dismiss(case, scene.stake, admin)).await;
    assert_state_is_the_chain(world).await;

    let case = scene.propose(scene.evidence(3, 2, None).await).await;
    let execute = calls.execute_penalty(case, scene.stake, cluster.id, cluster.insurance);
    assert_eq!(scene.refused(operator, &execute).await, "slashing::ETooEarly");
    world.chain.advance_clock(2 * DAY).await.unwrap();
    world.run(operator, &execute).await;
    let state = assert_state_is_the_chain(world).await;
    assert_eq!(state.stakes[&scene.stake].amount, 500_000);
    assert_eq!(state.money.insurance.unwrap().balance, 450_000, "a tenth is the reporter's");

    let retired = Measurement::new("simulated", &BTreeMap::from([("code".to_owned(), vec![1; 48])]));
    let draft =
        calls.propose_penalty(scene.court(), &scene.stated(scene.evidence(1, 3, Some(retired)).await).await);
    assert_eq!(scene.refused(operator, &draft).await, "staking::ENothingToTake", "the cap of the period");
    world.chain.advance_clock(10 * DAY).await.unwrap();
    let allowed = scene.evidence(1, 3, Some(scene.measurement.clone())).await;
    let draft = calls.propose_penalty(scene.court(), &scene.stated(allowed).await);
    assert_eq!(scene.refused(operator, &draft).await, "slashing::EMeasurementAllowed");
}

#[tokio::test]
async fn a_key_that_contradicts_itself_is_reported_without_an_enclave() {
    let scene = Scene::start().await;
    let (world, calls) = (&scene.world, &scene.world.calls);
    let statement = |digest| {
        let statement = NodeStatement {
            cluster: world.cluster.id,
            token: scene.token,
            subject: b"pod-image".to_vec(),
            sequence: 4,
            digest: vec![digest; 32],
        };
        SignedNodeStatement::sign(statement, 77, &scene.holder).unwrap()
    };
    let propose = |first: &SignedNodeStatement, second: &SignedNodeStatement| {
        calls.propose_contradiction(scene.court(), scene.stake, &scene.holder.public_key(), first, second)
    };
    let (first, second) = (statement(1), statement(2));
    assert_eq!(scene.refused(&world.operator, &propose(&first, &first)).await, "slashing::ENoContradiction");
    let (_, events) = world.run(&world.operator, &propose(&first, &second)).await;
    let [Event::SlashProposed(proposed), Event::ContradictionShown(shown)] = &events[..] else {
        panic!("{events:?}")
    };
    assert_eq!((&shown.first, &shown.second), (&first.statement, &second.statement));
    assert_state_is_the_chain(world).await;
    let lapse = calls.lapse(proposed.case, scene.stake);
    assert_eq!(scene.refused(&world.operator, &lapse).await, "slashing::ETooEarly");
    world.chain.advance_clock(9 * DAY).await.unwrap();
    world.run(&world.operator, &lapse).await;
    let state = assert_state_is_the_chain(world).await;
    assert_eq!(state.stakes[&scene.stake].penalties.cases, 0);
}

#[tokio::test]
async fn use_is_paid_by_the_second_out_of_an_escrow() {
    let scene = Scene::start().await;
    let (world, calls, cluster) = (&scene.world, &scene.world.calls, &scene.world.cluster);
    let (governance, operator) = (cluster.governance, &world.operator);
    let user = wallet(&world.chain, 5 * SUI).await;
    let (_, events) = world.run(&user, &calls.open_escrow(cluster.id, governance, 10, 1_000_000)).await;
    let [Event::EscrowOpened(opened)] = &events[..] else { panic!("{events:?}") };
    let escrow = opened.escrow;
    world.chain.advance_clock(2 * HOUR).await.unwrap();
    world.run(operator, &calls.settle(escrow, governance)).await;
    let state = assert_state_is_the_chain(world).await;
    assert!(state.money.escrows[&escrow].earned >= 72_000);
    world.run(&user, &calls.top_up_escrow(escrow, governance, 5_000)).await;
    world.run(&user, &calls.resize(escrow, governance, 20)).await;
    world.run(&user, &calls.withdraw_escrow(escrow, governance, 100_000)).await;
    world.run(operator, &calls.collect(escrow, cluster.pool)).await;
    assert_state_is_the_chain(world).await;

    assert_eq!(scene.refused(operator, &calls.reprice(escrow, governance)).await, "usage::ESamePrice");
    let dearer = Economics { price: 2, ..state.money.economics.unwrap() };
    let admin = world.admin;
    world.run(operator, &calls.propose_economics(admin, &dearer)).await;
    assert_state_is_the_chain(world).await;
    world.run(operator, &calls.cancel_economics(admin)).await;
    world.run(operator, &calls.propose_economics(admin, &dearer)).await;
    assert_eq!(scene.refused(operator, &calls.apply_economics(admin)).await, "governance::ETooEarly");
    // A day of 20 units is more than there is: the escrow is used up, and nobody owes anything.
    world.chain.advance_clock(DAY).await.unwrap();
    world.run(operator, &calls.apply_economics(admin)).await;
    world.run(operator, &calls.reprice(escrow, governance)).await;
    let state = assert_state_is_the_chain(world).await;
    assert_eq!(state.money.escrows[&escrow].status, 2);
    assert_eq!(state.money.economics, Some(dearer));
    world.run(&user, &calls.close_escrow(escrow, cluster.pool, governance)).await;
    assert!(assert_state_is_the_chain(world).await.money.escrows.is_empty());
}

#[tokio::test]
async fn a_new_cluster_has_the_defaults_that_are_said_here() {
    let world = World::start().await;
    let state = assert_state_is_the_chain(&world).await;
    assert_eq!(state.cluster.unwrap().config, chain::Config::default());
    assert_eq!(state.money.economics, Some(Economics::default()));
}

#[tokio::test]
async fn insurance_pays_behind_the_timelock() {
    let world = World::start().await;
    let (calls, operator, insurance) = (&world.calls, &world.operator, world.cluster.insurance);
    let harmed = Keypair::generate().unwrap().address();
    world.run(operator, &calls.donate(insurance, 9_000)).await;
    for mist in [4_000, 5_000] {
        world.run(operator, &calls.propose_payout(insurance, world.admin, mist, harmed)).await;
    }
    assert_state_is_the_chain(&world).await;
    world.run(operator, &calls.cancel_payout(insurance, world.admin, 0)).await;
    let pay = calls.pay(insurance, world.admin, 1);
    assert_eq!(refusal(world.client.execute(operator, &pay).await.unwrap_err()), "insurance::ETooEarly");
    world.chain.advance_clock(DAY).await.unwrap();
    world.run(operator, &pay).await;
    assert_eq!(world.client.balance(harmed).await.unwrap(), 5_000);
    let state = assert_state_is_the_chain(&world).await;
    assert_eq!(state.money.insurance.unwrap().balance, 4_000);
}

#[tokio::test]
async fn governance_is_handed_on_pauses_and_ends_trust() {
    let scene = Scene::start().await;
    let (world, calls, cluster) = (&scene.world, &scene.world.calls, &scene.world.cluster);
    let (operator, admin) = (&world.operator, world.admin);
    let until = now(world).await + DAY_MS;
    world.run(operator, &calls.pause(cluster.id, admin, until)).await;
    assert_state_is_the_chain(world).await;
    let stake = calls.stake(cluster.id, Tier::User, 1_000);
    assert_eq!(scene.refused(operator, &stake).await, "k8s_gateway::EPaused");
    world.run(operator, &calls.unpause(cluster.id, admin)).await;
    world.run(operator, &stake).await;

    let point = Point {
        cluster: cluster.id,
        revision: 12,
        state_root: vec![1; 32],
        log_hash: vec![2; 32],
        blob: b"blob".to_vec(),
        key_epoch: 1,
    };
    let stated = scene.stated(point).await;
    world.run(operator, &calls.record(cluster.anchor, cluster.registry, &stated)).await;
    assert_eq!(
        scene.refused(operator, &calls.record(cluster.anchor, cluster.registry, &stated)).await,
        "anchor::ENotNewer"
    );
    let at_ms = now(world).await + DAY_MS;
    world.run(operator, &calls.plan_retirement(cluster.registry, admin, &scene.measurement, at_ms)).await;
    let state = assert_state_is_the_chain(world).await;
    assert!(state.enclave_in_standing(&scene.enclave, at_ms - 1));
    assert!(!state.enclave_in_standing(&scene.enclave, at_ms));
    world.run(operator, &calls.revoke_enclave(scene.enclave, admin)).await;
    assert!(!assert_state_is_the_chain(world).await.enclave_in_standing(&scene.enclave, 1));

    let successor = wallet(&world.chain, SUI).await;
    world.run(operator, &calls.offer_cap(admin, scene.staker.address())).await;
    world.run(operator, &calls.withdraw_offer(admin)).await;
    world.run(operator, &calls.offer_cap(admin, successor.address())).await;
    assert_state_is_the_chain(world).await;
    let (_, events) = world.run(&successor, &calls.accept_cap(cluster.governance, admin.cap)).await;
    let issued = events.iter().find_map(|event| match event {
        Event::CapIssued(issued) => Some(issued.cap),
        _ => None,
    });
    assert_eq!(scene.refused(operator, &calls.pause(cluster.id, admin, until)).await, "governance::ERevoked");
    let now_admin = Admin { cap: issued.unwrap(), ..admin };
    world.run(&successor, &calls.pause(cluster.id, now_admin, until)).await;
    assert_state_is_the_chain(world).await;
    // Nothing is older than the package.
    let objects = [
        Migrating::Cluster(cluster.id),
        Migrating::Names(cluster.names),
        Migrating::Registry(cluster.registry),
        Migrating::Enclave(scene.enclave),
        Migrating::Anchor(cluster.anchor),
        Migrating::Pool(cluster.pool),
        Migrating::Insurance(cluster.insurance),
        Migrating::Stake(scene.stake),
        Migrating::Token(scene.token),
    ];
    for object in objects {
        let why = scene.refused(operator, &calls.migrate(object, cluster.governance)).await;
        assert!(why.ends_with("::EWrongVersion"), "{object:?}: {why}");
    }
    let migrate = calls.migrate_governance(now_admin);
    assert_eq!(scene.refused(&successor, &migrate).await, "governance::EWrongVersion");
}

#[tokio::test]
async fn the_package_is_upgraded_behind_a_timelock() {
    let world = World::start().await;
    let (client, calls, operator) = (&world.client, &world.calls, &world.operator);
    let cap_type = chain::sui::StructTag::new(
        Address::TWO,
        chain::sui::Identifier::new("package").unwrap(),
        chain::sui::Identifier::new("UpgradeCap").unwrap(),
        vec![],
    );
    let caps = client.owned(operator.address(), &cap_type).await.unwrap();
    let (_, events) = world.run(operator, &calls.guard(caps[0], DAY_MS)).await;
    let [Event::UpgraderCreated(created)] = &events[..] else { panic!("{events:?}") };
    let upgrader = created.upgrader;
    let package = support::contracts();
    let propose = calls.propose_upgrade(upgrader, 0, &package.digest());
    world.run(operator, &propose).await;
    world.run(operator, &calls.cancel_upgrade(upgrader)).await;
    world.run(operator, &propose).await;
    let upgrade = calls.upgrade(upgrader, world.package(), &package);
    assert_eq!(refusal(client.execute(operator, &upgrade).await.unwrap_err()), "upgrade::ETooEarly");
    world.chain.advance_clock(DAY).await.unwrap();
    let receipt = client.execute(operator, &upgrade).await.unwrap();
    let events = receipt.events_of(world.package());
    let [Event::UpgradeAuthorized(_), Event::Upgraded(upgraded)] = &events[..] else { panic!("{events:?}") };
    let now: Upgrader = client.read(world.package(), upgrader).await.unwrap();
    assert_eq!((now.cap.package, now.cap.version), (upgraded.package, 2));

    let successor = wallet(&world.chain, SUI).await;
    world.run(operator, &calls.offer_upgrader(upgrader, successor.address())).await;
    world.run(&successor, &calls.accept_upgrader(upgrader)).await;
    let now: Upgrader = client.read(world.package(), upgrader).await.unwrap();
    assert_eq!(now.owner, successor.address());
    let migrate = calls.migrate_upgrader(upgrader);
    assert_eq!(refusal(client.execute(&successor, &migrate).await.unwrap_err()), "upgrade::EWrongVersion");
}

#[tokio::test]
async fn a_nitro_document_that_is_none_is_refused_by_the_chain() {
    let world = World::start().await;
    let draft = world.calls.register_nitro(world.cluster.registry, b"no document", 1);
    let error = world.client.execute(&world.operator, &draft).await.unwrap_err();
    assert!(matches!(error, Error::Refused(_) | Error::Failed { .. }), "{error}");
}
