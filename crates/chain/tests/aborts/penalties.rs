//! `slashing`, `insurance`, and what of `staking` only they reach.

use chain::{
    Address, Court, Event, Evidence, Keypair, Measurement, Migrating, NodeStatement, SignedNodeStatement,
};

use super::scene::Scene;
use crate::support::{SUI, wallet};
use crate::{DAY_MS, HOUR_MS, Probe};

pub(crate) async fn slashing(p: &Probe) {
    let s = Scene::new(p).await;
    let (calls, cluster, admin) = (&p.world.calls, &p.world.cluster, p.world.admin);
    let anybody = wallet(&p.world.chain, SUI).await;
    let propose = |evidence: Evidence| calls.propose_penalty(s.court(), &s.stated(evidence));
    // An hour later there is something to accuse of; a day later the enclave may.
    p.advance(2 * HOUR_MS).await;
    p.refused(&anybody, &propose(s.tampering(1)), "enclave::ETooNew").await;
    p.advance(DAY_MS).await;

    let reason = |reason, up_ms| Evidence { reason, up_ms, ..s.tampering(1) };
    p.refused(&anybody, &propose(reason(2, 0)), "slashing::EBadReason").await;
    p.refused(&anybody, &propose(reason(4, 0)), "slashing::EBadReason").await;
    p.refused(&anybody, &propose(reason(1, 1)), "slashing::EBadReason").await;
    let short = Evidence { digest: vec![1; 31], ..s.tampering(1) };
    p.refused(&anybody, &propose(short), "slashing::EBadHash").await;
    for locator in [String::new(), "l".repeat(257)] {
        p.refused(&anybody, &propose(Evidence { locator, ..s.tampering(1) }), "slashing::EBadLocator").await;
    }
    let period = |from_ms, to_ms| Evidence { from_ms, to_ms, ..s.tampering(1) };
    for (from_ms, to_ms) in [
        (s.start_ms, s.start_ms),
        (0, s.start_ms + HOUR_MS),
        (s.start_ms, p.now() + HOUR_MS),
        (s.start_ms, u64::MAX),
    ] {
        p.refused(&anybody, &propose(period(from_ms, to_ms)), "slashing::EBadPeriod").await;
    }
    let day = (s.start_ms, s.start_ms + DAY_MS);
    let down = |up_ms| Evidence { reason: 0, up_ms, ..period(day.0, day.1) };
    p.refused(&anybody, &propose(down(DAY_MS / 20 * 19)), "slashing::EUptimeKept").await;
    let brief = Evidence { reason: 0, ..period(day.0, day.1 - 1) };
    p.refused(&anybody, &propose(brief), "slashing::EBadPeriod").await;
    let ran = |measurement: &Measurement| Evidence {
        reason: 1,
        measurement: Some(measurement.clone()),
        ..s.tampering(2)
    };
    p.refused(&anybody, &propose(ran(&s.measurement)), "slashing::EMeasurementAllowed").await;
    let other = Measurement { values: vec![vec![9; 48]], ..s.measurement.clone() };
    // A list of its own, and what counted when it ran: both are no fault.
    let (operator, registry) = (&p.world.operator, cluster.registry);
    p.world.run(operator, &calls.allow_worker_measurement(registry, admin, &other)).await;
    p.refused(&anybody, &propose(ran(&other)), "slashing::EWorkerCode").await;
    p.world.run(operator, &calls.retire_worker_measurement(registry, admin, &other)).await;
    p.world.run(operator, &calls.allow_measurement(registry, admin, &other)).await;
    p.world.run(operator, &calls.plan_retirement(registry, admin, &other, p.now() + HOUR_MS)).await;
    p.advance(HOUR_MS).await;
    p.refused(&anybody, &propose(ran(&other)), "slashing::EMeasurementAllowed").await;
    p.world.run(operator, &calls.retire_measurement(registry, admin, &other)).await;
    let forged = chain::EnclaveStatement { signature: vec![0; 64], ..s.stated(s.tampering(1)) };
    p.refused(&anybody, &calls.propose_penalty(s.court(), &forged), "intent_message::EBadSignature").await;
    let foreign = Court { governance: p.other_admin.governance, ..s.court() };
    let draft = calls.propose_penalty(foreign, &s.stated(s.tampering(1)));
    p.refused(&anybody, &draft, "slashing::EWrongCluster").await;

    let contradiction = contradictions(p, &s, &anybody).await;
    let cases = [down(0), ran(&other)];
    let mut opened = Vec::new();
    for evidence in cases {
        opened.push(case(p, &anybody, &propose(evidence)).await);
    }
    opened.push(contradiction);
    p.refused(&anybody, &propose(down(0)), "staking::EJudged").await;
    // Other records do not make of the same time another fault.
    let sliced = Evidence { reason: 0, ..period(day.0 + HOUR_MS, day.1 + HOUR_MS) };
    let sliced = Evidence { digest: vec![99; 32], ..sliced };
    p.refused(&anybody, &propose(sliced), "staking::EJudged").await;
    let (operator, pause) = (&p.world.operator, calls.pause(cluster.id, admin, p.now() + HOUR_MS));
    p.world.run(operator, &pause).await;
    p.refused(&anybody, &propose(s.tampering(7)), "k8s_gateway::EPaused").await;
    p.world.run(operator, &calls.unpause(cluster.id, admin)).await;
    // Contradiction, downtime and measurement: 3000 + 100 + 1000 of at most 5000.
    let last = case(p, &anybody, &propose(s.tampering(7))).await;
    p.refused(&anybody, &propose(s.tampering(8)), "staking::ENothingToTake").await;
    p.world.run(&s.staker, &calls.request_unstake(s.stake, cluster.id)).await;

    let execute = |case, stake, insurance| calls.execute_penalty(case, stake, cluster.id, insurance);
    p.refused(&anybody, &execute(last, s.stake, cluster.insurance), "slashing::ETooEarly").await;
    p.refused(&anybody, &calls.lapse(last, s.stake), "slashing::ETooEarly").await;
    p.refused(&anybody, &calls.contest(last, &[1; 32]), "slashing::ENotOwner").await;
    p.world.run(&s.staker, &calls.contest(last, &[1; 32])).await;
    p.refused(&s.staker, &calls.contest(last, &[1; 32]), "slashing::EContested").await;
    let foreign = calls.dismiss(last, s.stake, p.other_admin);
    p.refused(&p.world.operator, &foreign, "slashing::EWrongCluster").await;
    let migrate = calls.migrate(Migrating::Case(last), admin.governance);
    p.refused(&anybody, &migrate, "slashing::EWrongVersion").await;
    p.advance(2 * DAY_MS).await;
    p.refused(&s.staker, &calls.contest(opened[0], &[1; 32]), "slashing::ETooLate").await;
    p.refused(&anybody, &execute(opened[0], s.stake, p.other.insurance), "slashing::EWrongCluster").await;
    p.refused(&anybody, &execute(last, s.stake, cluster.insurance), "slashing::ETooEarly").await;
    let (_, events) = p.world.run(&anybody, &execute(opened[0], s.stake, cluster.insurance)).await;
    assert!(events.iter().any(|event| matches!(event, Event::SlashExecuted(done) if done.amount == 100)));
    p.advance(14 * DAY_MS).await;
    p.refused(&anybody, &execute(last, s.stake, cluster.insurance), "slashing::ETooLate").await;
    p.refused(&anybody, &propose(s.tampering(9)), "slashing::EBadPeriod").await;
    p.refused(&s.staker, &calls.withdraw(s.stake, cluster.names), "staking::EFrozen").await;
    // Those that were not executed in time lapse, and then the rest leaves.
    for case in [last, opened[1], opened[2]] {
        p.world.run(&anybody, &calls.lapse(case, s.stake)).await;
    }
    let (_, events) = p.world.run(&s.staker, &calls.withdraw(s.stake, cluster.names)).await;
    assert!(matches!(&events[..], [Event::Withdrawn(paid)] if paid.amount == 9_900), "{events:?}");
}

async fn contradictions(p: &Probe, s: &Scene<'_>, anybody: &Keypair) -> Address {
    let (calls, cluster) = (&p.world.calls, &p.world.cluster);
    let say = |digest, subject: &[u8], at| {
        let statement = NodeStatement {
            cluster: cluster.id,
            token: s.token,
            subject: subject.to_vec(),
            sequence: 9,
            digest: vec![digest; 32],
        };
        SignedNodeStatement::sign(statement, at, &s.holder).unwrap()
    };
    let accuse = |key: &[u8; 32], first: &SignedNodeStatement, second: &SignedNodeStatement| {
        calls.propose_contradiction(s.court(), s.stake, key, first, second)
    };
    let key = s.holder.public_key();
    let (first, second) = (say(1, b"beat", 1), say(2, b"beat", 2));
    p.refused(anybody, &accuse(&[1; 32], &first, &second), "slashing::EWrongKey").await;
    let nothing = say(1, b"", 1);
    p.refused(anybody, &accuse(&key, &nothing, &second), "slashing::EBadSubject").await;
    p.refused(anybody, &accuse(&key, &first, &say(1, b"beat", 3)), "slashing::ENoContradiction").await;
    p.refused(anybody, &accuse(&key, &first, &say(2, b"other", 2)), "slashing::EBadSignature").await;
    let opened = case(p, anybody, &accuse(&key, &first, &second)).await;
    p.refused(anybody, &accuse(&key, &second, &first), "staking::EJudged").await;
    opened
}

async fn case(p: &Probe, wallet: &Keypair, draft: &chain::Draft) -> Address {
    let (_, events) = p.world.run(wallet, draft).await;
    let case = events.iter().find_map(|event| match event {
        Event::SlashProposed(proposed) => Some(proposed.case),
        _ => None,
    });
    case.unwrap()
}

/// A penalty is executed on its own stake only.
pub(crate) async fn wrong_stake(p: &Probe) {
    let s = Scene::new(p).await;
    let (calls, cluster) = (&p.world.calls, &p.world.cluster);
    p.advance(DAY_MS).await;
    let opened = case(p, &s.staker, &calls.propose_penalty(s.court(), &s.stated(s.tampering(1)))).await;
    p.advance(2 * DAY_MS).await;
    let other = p.staked(&s.staker, chain::Tier::Node, 10_000).await;
    let wrong = calls.execute_penalty(opened, other, cluster.id, cluster.insurance);
    p.refused(&s.staker, &wrong, "slashing::EWrongStake").await;
}

pub(crate) async fn insurance(p: &Probe) {
    let (calls, cluster, admin) = (&p.world.calls, &p.world.cluster, p.world.admin);
    let (operator, id) = (&p.world.operator, cluster.insurance);
    p.refused(operator, &calls.donate(id, 0), "insurance::EBadAmount").await;
    let propose = |id, admin, mist| calls.propose_payout(id, admin, mist, operator.address());
    p.refused(operator, &propose(id, admin, 0), "insurance::EBadAmount").await;
    p.refused(operator, &propose(p.other.insurance, admin, 1), "insurance::EWrongCluster").await;
    p.refused(operator, &calls.pay(id, admin, 0), "insurance::EUnknownPayout").await;
    for _ in 0..16 {
        p.world.run(operator, &propose(id, admin, u64::MAX)).await;
    }
    p.refused(operator, &propose(id, admin, 1), "insurance::ETooMany").await;
    p.refused(operator, &calls.pay(id, admin, 0), "insurance::ETooEarly").await;
    p.advance(DAY_MS).await;
    p.refused(operator, &calls.pay(id, admin, 0), "insurance::EBadAmount").await;
    p.world.run(operator, &calls.cancel_payout(id, admin, 0)).await;
    let (_, events) = p.world.run(operator, &propose(id, admin, 1)).await;
    let [Event::PayoutProposed(proposed)] = &events[..] else { panic!("{events:?}") };
    p.world.run(operator, &calls.donate(id, 10)).await;
    p.advance(DAY_MS).await;
    p.world.run(operator, &calls.pay(id, admin, proposed.number)).await;
    p.refused(operator, &calls.pay(id, admin, proposed.number), "insurance::EUnknownPayout").await;
    let migrate = calls.migrate(Migrating::Insurance(id), admin.governance);
    p.refused(operator, &migrate, "insurance::EWrongVersion").await;
}
