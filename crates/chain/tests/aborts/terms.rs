//! `economics` and what `governance`, `enclave` and `k8s_gateway` keep terms with; `usage`; `upgrade`.

use chain::{Calls, Economics, Event, Governance, Migrating, Point, Tier};

use super::scene::Scene;
use crate::support::{SUI, wallet};
use crate::{DAY_MS, HOUR_MS, Probe};

pub(crate) async fn economics(p: &Probe) {
    let (calls, admin, operator) = (&p.world.calls, p.world.admin, &p.world.operator);
    let governance: Governance = p.world.client.read(p.world.package(), admin.governance).await.unwrap();
    let good = governance.economics;
    let propose = |change: fn(&mut Economics)| {
        let mut economics = good.clone();
        change(&mut economics);
        calls.propose_economics(admin, &economics)
    };
    p.refused(operator, &propose(|e| e.penalty_bps = vec![1; 3]), "economics::EBadReasons").await;
    let changes: [fn(&mut Economics); 5] = [
        |e| e.penalty_bps[3] = 10_001,
        |e| e.cap_bps = 10_001,
        |e| e.reporter_bps = 5_001,
        |e| e.uptime_bps = 10_001,
        |e| e.payout_bps = 10_001,
    ];
    for change in changes {
        p.refused(operator, &propose(change), "economics::EBadShare").await;
    }
    let changes: [fn(&mut Economics); 18] = [
        |e| e.cap_period_ms = HOUR_MS - 1,
        |e| e.cap_period_ms = 365 * DAY_MS + 1,
        |e| e.contest_ms = HOUR_MS - 1,
        |e| e.contest_ms = 30 * DAY_MS + 1,
        |e| e.extension_ms = 30 * DAY_MS + 1,
        |e| e.execute_ms = HOUR_MS - 1,
        |e| e.execute_ms = 30 * DAY_MS + 1,
        |e| e.evidence_age_ms = HOUR_MS - 1,
        |e| e.evidence_age_ms = 365 * DAY_MS + 1,
        |e| e.epoch_ms = 59_999,
        |e| e.epoch_ms = 30 * DAY_MS + 1,
        |e| e.claim_ms = DAY_MS - 1,
        |e| e.claim_ms = 365 * DAY_MS + 1,
        |e| e.grace_ms = 30 * DAY_MS + 1,
        |e| e.timelock_ms = HOUR_MS - 1,
        |e| e.timelock_ms = 30 * DAY_MS + 1,
        |e| e.contest_ms = u64::MAX,
        |e| e.timelock_ms = u64::MAX,
    ];
    for change in changes {
        p.refused(operator, &propose(change), "economics::EBadDuration").await;
    }
    p.refused(operator, &propose(|e| e.price = 0), "economics::EBadPrice").await;
    p.refused(operator, &propose(|e| e.price = 1_000_000_000_001), "economics::EBadPrice").await;

    p.refused(operator, &calls.apply_economics(admin), "governance::ENotPending").await;
    p.refused(operator, &calls.cancel_economics(admin), "governance::ENotPending").await;
    p.world.run(operator, &propose(|_| {})).await;
    p.refused(operator, &calls.apply_economics(admin), "governance::ETooEarly").await;
    p.world.run(operator, &calls.cancel_economics(admin)).await;
    let stranger = wallet(&p.world.chain, SUI).await;
    p.refused(operator, &calls.withdraw_offer(admin), "governance::ENotOffered").await;
    p.world.run(operator, &calls.offer_cap(admin, stranger.address())).await;
    let accept = calls.accept_cap(admin.governance, admin.cap);
    p.refused(operator, &accept, "governance::ENotOffered").await;
    p.world.run(operator, &calls.withdraw_offer(admin)).await;
    p.refused(&stranger, &accept, "governance::ENotOffered").await;
    let expires_ms = p.now() + DAY_MS;
    let (_, events) = p.world.run(operator, &calls.issue_cap(admin, stranger.address(), expires_ms)).await;
    let [Event::CapIssued(issued)] = &events[..] else { panic!("{events:?}") };
    let theirs = chain::Admin { cap: issued.cap, ..admin };
    p.world.run(&stranger, &calls.offer_cap(theirs, operator.address())).await;
    let (_, events) = p.world.run(operator, &calls.accept_cap(admin.governance, issued.cap)).await;
    let [Event::CapRevoked(_), Event::CapIssued(accepted)] = &events[..] else { panic!("{events:?}") };
    p.world.run(operator, &calls.revoke_cap(admin, accepted.cap)).await;
    p.refused(&stranger, &calls.withdraw_offer(theirs), "governance::ERevoked").await;
    p.refused(operator, &calls.migrate_governance(admin), "governance::EWrongVersion").await;
}

pub(crate) async fn trust(p: &Probe) {
    let s = Scene::new(p).await;
    let (calls, cluster, admin) = (&p.world.calls, &p.world.cluster, p.world.admin);
    let operator = &p.world.operator;
    let plan = |at_ms| calls.plan_retirement(cluster.registry, admin, &s.measurement, at_ms);
    p.refused(operator, &plan(p.now()), "enclave::ERetiredBefore").await;
    let at_ms = p.now() + HOUR_MS;
    p.world.run(operator, &plan(at_ms)).await;
    let point = Point {
        cluster: cluster.id,
        revision: 1_000,
        state_root: vec![1; 32],
        log_hash: vec![2; 32],
        blob: vec![],
        key_epoch: 1_000,
    };
    let record = |point| calls.record(cluster.anchor, cluster.registry, &s.stated(point));
    p.advance(HOUR_MS).await;
    p.refused(operator, &record(point.clone()), "enclave::EMeasurementNotAllowed").await;
    let at_ms = p.now() + HOUR_MS;
    p.world.run(operator, &plan(at_ms)).await;
    p.world.run(operator, &record(point.clone())).await;
    p.world.run(operator, &calls.revoke_enclave(s.enclave, admin)).await;
    p.advance(1).await;
    let later = Point { revision: 1_001, ..point };
    p.refused(operator, &record(later), "enclave::EExpired").await;
    let foreign = calls.revoke_enclave(s.enclave, p.other_admin);
    p.refused(operator, &foreign, "enclave::EWrongCluster").await;
    let registry = calls.migrate(Migrating::Registry(cluster.registry), admin.governance);
    p.refused(operator, &registry, "enclave::EWrongVersion").await;

    let pause = |until_ms| calls.pause(cluster.id, admin, until_ms);
    p.refused(operator, &calls.unpause(cluster.id, admin), "k8s_gateway::ENotPaused").await;
    p.refused(operator, &pause(p.now()), "k8s_gateway::EOutOfBounds").await;
    p.refused(operator, &pause(p.now() + 15 * DAY_MS), "k8s_gateway::EOutOfBounds").await;
    p.world.run(operator, &pause(p.now() + DAY_MS)).await;
    p.refused(&s.staker, &calls.stake(cluster.id, Tier::Node, 100), "k8s_gateway::EPaused").await;
    p.world.run(operator, &calls.unpause(cluster.id, admin)).await;
    for (object, code) in [
        (Migrating::Cluster(cluster.id), "k8s_gateway::EWrongVersion"),
        (Migrating::Names(cluster.names), "k8s_gateway::EWrongVersion"),
        (Migrating::Stake(s.stake), "staking::EWrongVersion"),
        (Migrating::Token(s.token), "seal_token::EWrongVersion"),
        (Migrating::Enclave(s.enclave), "enclave::EWrongVersion"),
    ] {
        p.refused(operator, &calls.migrate(object, admin.governance), code).await;
        let foreign = calls.migrate(object, p.other_admin.governance);
        let wrong = match object {
            Migrating::Token(_) => "seal_token::EWrongStake".to_owned(),
            _ => code.replace("EWrongVersion", "EWrongCluster"),
        };
        p.refused(operator, &foreign, &wrong).await;
    }
}

/// A document is the framework's to verify: that of a real enclave has expired, one that was changed is no
/// document at all.
pub(crate) async fn usage(p: &Probe) {
    let (calls, cluster, admin) = (&p.world.calls, &p.world.cluster, p.world.admin);
    let governance = admin.governance;
    let (user, stranger) = (wallet(&p.world.chain, SUI).await, wallet(&p.world.chain, SUI).await);
    let open = |units, mist| calls.open_escrow(cluster.id, governance, units, mist);
    p.refused(&user, &open(0, 10_000), "usage::EBadUnits").await;
    p.refused(&user, &open(1_000_001, 10_000), "usage::EBadUnits").await;
    p.refused(&user, &open(1, 3_600), "usage::ETooLow").await;
    let foreign = calls.open_escrow(p.other.id, governance, 1, 10_000);
    p.refused(&user, &foreign, "usage::EWrongCluster").await;
    let (_, events) = p.world.run(&user, &open(1, 10_000)).await;
    let [Event::EscrowOpened(opened)] = &events[..] else { panic!("{events:?}") };
    let escrow = opened.escrow;
    p.refused(&user, &calls.top_up_escrow(escrow, governance, 0), "usage::EBadAmount").await;
    p.refused(&stranger, &calls.withdraw_escrow(escrow, governance, 1), "usage::ENotOwner").await;
    p.refused(&stranger, &calls.resize(escrow, governance, 1), "usage::ENotOwner").await;
    let close = calls.close_escrow(escrow, cluster.pool, governance);
    p.refused(&stranger, &close, "usage::ENotOwner").await;
    p.refused(&user, &calls.withdraw_escrow(escrow, governance, 7_000), "usage::ETooLow").await;
    p.refused(&user, &calls.reprice(escrow, governance), "usage::ESamePrice").await;
    p.refused(&user, &calls.collect(escrow, cluster.pool), "usage::ENothingEarned").await;
    p.advance(HOUR_MS).await;
    p.world.run(&stranger, &calls.settle(escrow, governance)).await;
    p.refused(&user, &calls.collect(escrow, p.other.pool), "usage::EWrongCluster").await;
    let migrate = calls.migrate(Migrating::Escrow(escrow), governance);
    p.refused(&user, &migrate, "usage::EWrongVersion").await;
    p.world.run(&user, &close).await;
}

pub(crate) async fn upgrade(p: &Probe) {
    let owner = wallet(&p.world.chain, 10 * SUI).await;
    let published = p.world.client.publish(&owner, &crate::support::contracts()).await.unwrap();
    let calls = Calls::new(published.package);
    let [cap] = &published.created[..] else { panic!("{:?}", published.created) };
    let cap = cap.id;
    p.refused(&owner, &calls.guard(cap, HOUR_MS - 1), "upgrade::EBadDelay").await;
    let receipt = p.world.client.execute(&owner, &calls.guard(cap, HOUR_MS)).await.unwrap();
    let events = receipt.events_of(published.package);
    let [Event::UpgraderCreated(made)] = &events[..] else { panic!("{events:?}") };
    let upgrader = made.upgrader;
    let stranger = wallet(&p.world.chain, SUI).await;
    let package = crate::support::contracts();
    let make = calls.upgrade(upgrader, published.package, &package);
    p.refused(&stranger, &calls.propose_upgrade(upgrader, 0, &[1; 32]), "upgrade::ENotOwner").await;
    p.refused(&owner, &make, "upgrade::ENotPending").await;
    p.refused(&owner, &calls.cancel_upgrade(upgrader), "upgrade::ENotPending").await;
    p.world.client.execute(&owner, &calls.propose_upgrade(upgrader, 0, &[1; 32])).await.unwrap();
    p.refused(&owner, &make, "upgrade::ETooEarly").await;
    p.refused(&stranger, &calls.accept_upgrader(upgrader), "upgrade::ENotOffered").await;
    p.refused(&owner, &calls.migrate_upgrader(upgrader), "upgrade::EWrongVersion").await;
    let mut short = chain::Draft::new();
    let arguments = vec![
        short.object_mut(upgrader),
        short.pure(&0u8),
        short.pure(&vec![1u8; 31]),
        short.object(crate::CLOCK),
    ];
    short.call(calls.package(), "upgrade", "propose", vec![], arguments);
    p.refused(&owner, &short, "upgrade::EBadHash").await;
}
