//! The agent against a simulated world: seeded, with faults, in milliseconds that pass only here.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;

const HOLDER: [u8; 32] = [7; 32];
const HOUR: u64 = 3_600_000;

fn settings() -> Settings {
    Settings {
        holder_key: HOLDER,
        chain_poll_ms: 5_000,
        heartbeat_ms: 10_000,
        backoff: Backoff { min_ms: 500, max_ms: 30_000 },
        shows_evidence: true,
        can_renew_token: true,
        seed: 1,
    }
}

fn target(n: u8) -> Target {
    Target {
        endpoint: format!("https://gateway-{n}:9345"),
        ca_hash: [1; 32],
        enclave_id: [2; 32],
        enclave_key: [n; 32],
        enclave_expires_ms: 1_000 * HOUR,
        code_retires_ms: u64::MAX,
        allowed: vec![(tee::PlatformKind::Simulated, BTreeMap::from([("code".to_owned(), vec![n; 48])]))],
        bounds: Vec::new(),
    }
}

fn token() -> Token {
    Token {
        stake_id: [3; 32],
        node_name: "n1".into(),
        public_key: HOLDER,
        seal: [4; 32],
        expires_ms: 24 * HOUR,
        lifetime_ms: 24 * HOUR,
        revoked: false,
        stake_covers_tier: true,
        stake: None,
    }
}

fn view() -> View {
    View { target: Ok(target(1)), token: Some(token()) }
}

fn failure(kind: FailureKind) -> Failure {
    Failure { kind, reason: "test".into(), message: "made to fail".into() }
}

/// What the world is like; its clock is the caller's.
struct World {
    view: View,
    chain_up: bool,
    gateway_up: bool,
    trusted: bool,
    refuses: bool,
    node_starts: bool,
    wants_evidence: bool,
    evidence_is_good: bool,
}

impl World {
    fn new() -> Self {
        Self {
            view: view(),
            chain_up: true,
            gateway_up: true,
            trusted: true,
            refuses: false,
            node_starts: true,
            wants_evidence: false,
            evidence_is_good: true,
        }
    }

    fn answer(&mut self, now_ms: u64, step: &Step) -> Result<Outcome, Failure> {
        match step {
            Step::ReadChain if self.chain_up => Ok(Outcome::View(Box::new(self.view.clone()))),
            Step::RenewToken if self.chain_up => {
                if let Some(token) = &mut self.view.token {
                    token.expires_ms = now_ms + token.lifetime_ms;
                }
                Ok(Outcome::Done)
            }
            Step::ReadChain | Step::RenewToken => Err(failure(FailureKind::Unreachable)),
            Step::Gateway { target, .. } if !self.gateway_up || self.view.target.as_ref() != Ok(target) => {
                Err(failure(FailureKind::Unreachable))
            }
            Step::Gateway { call: Call::PinCa, .. } => Ok(Outcome::Done),
            Step::Gateway { call: Call::Attest, .. } if self.trusted => Ok(Outcome::Done),
            Step::Gateway { call: Call::Attest, .. } => Err(failure(FailureKind::Untrusted)),
            Step::Gateway { .. } if self.refuses => Err(failure(FailureKind::Refused)),
            Step::Gateway { call: Call::Certificates, .. } => {
                Ok(Outcome::Certificates(Validity { from_ms: now_ms, until_ms: now_ms + HOUR }))
            }
            Step::Gateway { call: Call::Heartbeat, .. } => {
                let nonce = self.wants_evidence.then_some([now_ms as u8; 32]);
                Ok(Outcome::Beat { interval_ms: 10_000, nonce })
            }
            Step::ShowEvidence { .. } if self.evidence_is_good => Ok(Outcome::Done),
            Step::ShowEvidence { .. } => Err(failure(FailureKind::Refused)),
            Step::StartNode { .. } if self.node_starts => Ok(Outcome::Done),
            Step::StartNode { .. } => Err(failure(FailureKind::Failed)),
            Step::StopNode(_) => Ok(Outcome::Done),
        }
    }
}

/// Watches every step for what must never happen, whatever the world does.
#[derive(Default)]
struct Monitor {
    attested: Option<(u64, Target)>,
    node_runs: bool,
}

impl Monitor {
    fn starts(&self, step: &Step) {
        if let Step::Gateway { session, target, call } = step
            && call.sends_proof()
        {
            let attested = self.attested.as_ref();
            assert_eq!(attested, Some(&(*session, target.clone())), "a proof for a master not attested");
        }
    }

    fn ends(&mut self, step: &Step, result: &Result<Outcome, Failure>) {
        match (step, result) {
            (Step::Gateway { session, target, call: Call::Attest }, Ok(_)) => {
                self.attested = Some((*session, target.clone()));
            }
            (Step::Gateway { .. }, Err(failure))
                if matches!(failure.kind, FailureKind::Unreachable | FailureKind::Untrusted) =>
            {
                self.attested = None;
            }
            (Step::StartNode { .. }, Ok(_)) => self.node_runs = true,
            (Step::StopNode(_), Ok(_)) => self.node_runs = false,
            _ => {}
        }
    }
}

/// Runs until `until_ms`, every step taking `latency_ms`; returns the steps with their start times.
fn run(
    agent: &mut Agent,
    world: &mut World,
    monitor: &mut Monitor,
    now_ms: &mut u64,
    until_ms: u64,
    latency_ms: u64,
) -> Vec<(u64, Step)> {
    let mut log = Vec::new();
    let mut under_way: Vec<(u64, Step)> = Vec::new();
    while *now_ms < until_ms || !under_way.is_empty() {
        for step in agent.poll(*now_ms) {
            monitor.starts(&step);
            log.push((*now_ms, step.clone()));
            under_way.push((*now_ms + latency_ms, step));
        }
        assert!(log.len() < 200_000, "a hot loop: {:?}", &log[log.len() - 5..]);
        let wake_ms = agent.wake_at_ms(*now_ms);
        assert!(wake_ms > *now_ms, "would spin at {now_ms}: {agent:?}");
        let next_ms = under_way.iter().map(|(end_ms, _)| *end_ms).min().unwrap_or(u64::MAX).min(wake_ms);
        *now_ms = next_ms.min(until_ms.max(*now_ms + 1));
        let ended: Vec<_> = under_way.extract_if(.., |(end_ms, _)| *end_ms <= *now_ms).collect();
        for (_, step) in ended {
            let result = world.answer(*now_ms, &step);
            monitor.ends(&step, &result);
            agent.done(*now_ms, &step, result);
        }
    }
    log
}

/// A run with its own monitor and 20 ms a step.
fn advance(agent: &mut Agent, world: &mut World, now_ms: &mut u64, by_ms: u64) -> Vec<(u64, Step)> {
    let until_ms = *now_ms + by_ms;
    let mut monitor =
        Monitor { attested: agent.attested().then(|| (agent.session, target(1))), node_runs: false };
    run(agent, world, &mut monitor, now_ms, until_ms, 20)
}

fn calls(log: &[(u64, Step)]) -> Vec<Call> {
    log.iter()
        .filter_map(|(_, step)| match step {
            Step::Gateway { call, .. } => Some(*call),
            _ => None,
        })
        .collect()
}

/// When evidence was shown, and for which nonce.
fn shown(log: &[(u64, Step)]) -> Vec<(u64, [u8; 32])> {
    let nonce = |(at, step): &(u64, Step)| match step {
        Step::ShowEvidence { nonce, .. } => Some((*at, *nonce)),
        _ => None,
    };
    log.iter().filter_map(nonce).collect()
}

#[test]
fn evidence_is_shown_when_the_master_wants_it_once_for_each_nonce() {
    let (mut agent, mut world, mut now) = (Agent::new(settings()), World::new(), 0);
    assert_eq!(shown(&advance(&mut agent, &mut world, &mut now, 20_000)), []);
    world.wants_evidence = true;
    let log = advance(&mut agent, &mut world, &mut now, 10_000);
    assert_eq!(shown(&log).len(), 1, "{log:?}");
    assert!(agent.evidence_failure().is_none());

    // What is refused is tried again with later nonces, ever less often, and heartbeats go on.
    world.evidence_is_good = false;
    let log = advance(&mut agent, &mut world, &mut now, 10 * 60_000);
    let tries = shown(&log);
    assert!((12..60).contains(&tries.len()), "{tries:?}");
    assert_eq!(agent.evidence_failure().map(|failure| failure.kind), Some(FailureKind::Refused));
    assert_eq!(calls(&log).iter().filter(|call| **call != Call::Heartbeat).count(), 0);
    assert!(calls(&log).len() >= 59);
    world.evidence_is_good = true;
    assert!(!shown(&advance(&mut agent, &mut world, &mut now, 60_000)).is_empty());
    assert!(agent.evidence_failure().is_none());

    // A gateway that is trusted no longer is shown nothing, and a nonce of an earlier session is forgotten.
    world.gateway_up = false;
    advance(&mut agent, &mut world, &mut now, 60_000);
    assert_eq!(agent.nonce, None);
    assert_eq!(shown(&advance(&mut agent, &mut world, &mut now, 60_000)), []);

    // Who is told to show nothing shows nothing.
    let quiet = Settings { shows_evidence: false, ..settings() };
    let (mut agent, mut world, mut now) = (Agent::new(quiet), World::new(), 0);
    world.wants_evidence = true;
    assert_eq!(shown(&advance(&mut agent, &mut world, &mut now, 60_000)), []);
}

#[test]
fn renewed_certificates_are_proven_at_once() {
    let (mut agent, mut world, mut now) = (Agent::new(settings()), World::new(), 0);
    world.wants_evidence = true;
    let log = advance(&mut agent, &mut world, &mut now, 2 * HOUR);
    let mut renewals =
        log.iter().filter(|(_, step)| matches!(step, Step::Gateway { call: Call::Certificates, .. }));
    for (at, _) in renewals.by_ref() {
        assert!(
            shown(&log).iter().any(|(shown, _)| (*at..at + 200).contains(shown)),
            "a kubelet waits for {at}"
        );
    }
}

#[test]
fn joins_in_order_and_beats() {
    let (mut agent, mut world, mut now) = (Agent::new(settings()), World::new(), 0);
    let log = advance(&mut agent, &mut world, &mut now, 1_000);
    assert_eq!(calls(&log), [Call::PinCa, Call::Attest, Call::Certificates, Call::Heartbeat]);
    assert_eq!(agent.phase(now), Phase::Running);
    let beats = calls(&advance(&mut agent, &mut world, &mut now, 60_000));
    assert_eq!(beats, [Call::Heartbeat; 6]);
}

#[test]
fn a_node_that_changes_is_reported_before_the_next_beat() {
    let (mut agent, mut world, mut now) = (Agent::new(settings()), World::new(), 0);
    advance(&mut agent, &mut world, &mut now, 12_000);
    agent.node_changed(now);
    assert_eq!(calls(&advance(&mut agent, &mut world, &mut now, 1_000)), [Call::Heartbeat]);
    assert_eq!(calls(&advance(&mut agent, &mut world, &mut now, 8_000)), []);
}

#[test]
fn renews_certificates_and_token_at_two_thirds() {
    let (mut agent, mut world, mut now) = (Agent::new(settings()), World::new(), 0);
    let log = advance(&mut agent, &mut world, &mut now, 100 * HOUR);
    let issued: Vec<u64> = log
        .iter()
        .filter(|(_, step)| matches!(step, Step::Gateway { call: Call::Certificates, .. }))
        .map(|(at_ms, _)| *at_ms)
        .collect();
    assert!(issued.len() > 40, "{}", issued.len());
    for pair in issued.windows(2) {
        let life = pair[1] - pair[0];
        assert!((HOUR * 2 / 3..HOUR * 3 / 4).contains(&life), "renewed after {life} ms");
    }
    let renewals: Vec<_> = log.iter().filter(|(_, step)| *step == Step::RenewToken).collect();
    let due = [16, 32, 48, 64, 80, 96].map(|hours| hours * HOUR);
    assert_eq!(renewals.len(), due.len(), "{renewals:?}");
    for ((at_ms, _), due_ms) in renewals.iter().zip(due) {
        assert!(at_ms.abs_diff(due_ms) < 1_000, "{renewals:?}");
    }
    // The node got every issue.
    let starts = log.iter().filter(|(_, step)| matches!(step, Step::StartNode { .. })).count();
    assert_eq!(starts, issued.len());
    assert_eq!(agent.phase(now), Phase::Running);
}

#[test]
fn stops_the_node_when_the_membership_is_over_and_says_why() {
    let over = [
        (None, Gone::NoToken),
        (Some(Token { node_name: String::new(), ..token() }), Gone::NotANode),
        (Some(Token { revoked: true, ..token() }), Gone::Revoked),
        (Some(Token { stake_covers_tier: false, ..token() }), Gone::Stake),
        (Some(Token { public_key: [9; 32], ..token() }), Gone::OtherKey),
    ];
    for (token, gone) in over {
        let (mut agent, mut world, mut now) = (Agent::new(settings()), World::new(), 0);
        advance(&mut agent, &mut world, &mut now, 1_000);
        world.view.token = token;
        let log = advance(&mut agent, &mut world, &mut now, 20_000);
        let stopped = log.iter().find(|(_, step)| *step == Step::StopNode(gone));
        let Some((at_ms, _)) = stopped else { panic!("never stopped for {gone:?}") };
        assert!(*at_ms < 6_100, "stopped only at {at_ms}");
        assert!(!log.iter().any(|(begun, step)| begun > at_ms && matches!(step, Step::Gateway { .. })));
        assert_eq!((agent.phase(now), agent.gone(now)), (Phase::Gone, Some(gone)));

        world.view = view();
        advance(&mut agent, &mut world, &mut now, 10_000);
        assert_eq!(agent.phase(now), Phase::Running, "did not come back after {gone:?}");
    }
}

#[test]
fn a_token_that_runs_out_unrenewed_ends_the_membership_on_time() {
    let mut agent = Agent::new(Settings { can_renew_token: false, ..settings() });
    let (mut world, mut now) = (World::new(), 0);
    let log = advance(&mut agent, &mut world, &mut now, 25 * HOUR);
    let stops: Vec<_> = log.iter().filter(|(_, step)| matches!(step, Step::StopNode(_))).collect();
    assert_eq!(stops, [&(24 * HOUR, Step::StopNode(Gone::Expired))]);
}

#[test]
fn joined_goes_on_without_a_chain_and_new_joins_wait() {
    let (mut agent, mut world, mut now) = (Agent::new(settings()), World::new(), 0);
    advance(&mut agent, &mut world, &mut now, 1_000);
    world.chain_up = false;
    let log = advance(&mut agent, &mut world, &mut now, 60_000);
    assert_eq!(calls(&log), [Call::Heartbeat; 6]);
    assert_eq!(agent.phase(now), Phase::Running);
    assert!(agent.chain_failure().is_some());

    let (mut agent, mut now) = (Agent::new(settings()), 0);
    let log = advance(&mut agent, &mut world, &mut now, 60_000);
    assert!(calls(&log).is_empty());
    assert_eq!((agent.phase(now), agent.chain_failure().is_some()), (Phase::ReadingChain, true));
    world.chain_up = true;
    advance(&mut agent, &mut world, &mut now, 31_000);
    assert_eq!(agent.phase(now), Phase::Running);
}

#[test]
fn an_unreachable_gateway_is_attested_again_and_its_new_endpoint_read() {
    let (mut agent, mut world, mut now) = (Agent::new(settings()), World::new(), 0);
    advance(&mut agent, &mut world, &mut now, 1_000);
    world.gateway_up = false;
    advance(&mut agent, &mut world, &mut now, 30_000);
    assert_eq!(agent.phase(now), Phase::Reconnecting);
    world.gateway_up = true;
    world.view.target = Ok(target(2));
    let log = advance(&mut agent, &mut world, &mut now, 31_000);
    let moved: Vec<_> = log
        .iter()
        .filter_map(|(_, step)| match step {
            Step::Gateway { target: to, call, .. } if *to == target(2) => Some(*call),
            _ => None,
        })
        .collect();
    // What comes with the certificates names the apiserver, which has moved with the gateway: once is enough.
    assert_eq!(moved[..4], [Call::PinCa, Call::Attest, Call::Certificates, Call::Heartbeat]);
    assert!(!moved[4..].contains(&Call::Certificates));
    let started = log.iter().filter(|(_, step)| matches!(step, Step::StartNode { issue: 2 })).count();
    assert_eq!((started, agent.phase(now)), (1, Phase::Running));

    // Another enclave at the same place: the node stays as it is.
    world.view.target = Ok(Target { enclave_key: [9; 32], ..target(2) });
    let log = advance(&mut agent, &mut world, &mut now, 31_000);
    assert!(calls(&log).contains(&Call::Attest) && !calls(&log).contains(&Call::Certificates));
}

#[test]
fn an_untrusted_master_never_gets_a_proof() {
    let (mut agent, mut world, mut now) = (Agent::new(settings()), World::new(), 0);
    world.trusted = false;
    let log = advance(&mut agent, &mut world, &mut now, HOUR);
    assert!(calls(&log).iter().all(|call| !call.sends_proof()));
    assert!(calls(&log).len() > 100, "gave up");
    assert_eq!(agent.gateway_failure().map(|failure| failure.kind), Some(FailureKind::Untrusted));
}

#[test]
fn the_master_hears_of_a_node_agent_that_fails() {
    let (mut agent, mut world, mut now) = (Agent::new(settings()), World::new(), 0);
    world.node_starts = false;
    let log = advance(&mut agent, &mut world, &mut now, 61_000);
    let starts = log.iter().filter(|(_, step)| matches!(step, Step::StartNode { .. })).count();
    assert!((3..12).contains(&starts), "{starts} starts");
    assert_eq!(calls(&log).iter().filter(|call| **call == Call::Heartbeat).count(), 7);
    assert_eq!(agent.phase(now), Phase::StartingNode);
    assert!(agent.node_failure().is_some());
    world.node_starts = true;
    advance(&mut agent, &mut world, &mut now, 31_000);
    assert_eq!((agent.phase(now), agent.node_failure()), (Phase::Running, None));
    agent.node_failed(now, failure(FailureKind::Failed));
    assert_eq!(agent.phase(now), Phase::StartingNode);
    advance(&mut agent, &mut world, &mut now, 31_000);
    assert_eq!(agent.phase(now), Phase::Running);
}

#[test]
fn a_clock_set_back_does_not_silence_the_worker() {
    let (mut agent, mut world, mut now) = (Agent::new(settings()), World::new(), 10 * HOUR);
    advance(&mut agent, &mut world, &mut now, 1_000);
    now -= 9 * HOUR;
    let log = advance(&mut agent, &mut world, &mut now, 60_000);
    assert!(calls(&log).len() >= 6, "{log:?}");
}

#[test]
fn what_an_earlier_run_left_is_cleared_once_when_the_membership_is_over() {
    let (mut agent, mut world, mut now) = (Agent::new(settings()), World::new(), 0);
    world.view.token = None;
    let log = advance(&mut agent, &mut world, &mut now, 60_000);
    let stops = log.iter().filter(|(_, step)| matches!(step, Step::StopNode(_))).count();
    assert_eq!(stops, 1);
}

/// Evidence that was asked for before the membership broke off says nothing about what is there after.
#[test]
fn an_answer_of_a_session_that_is_over_does_not_count() {
    let mut agent = Agent::new(settings());
    let read = |agent: &mut Agent, now_ms, view: View| {
        assert_eq!(agent.poll(now_ms), [Step::ReadChain]);
        agent.done(now_ms, &Step::ReadChain, Ok(Outcome::View(Box::new(view))));
    };
    read(&mut agent, 0, view());
    let gateway_step = |agent: &mut Agent, now_ms| {
        let steps = agent.poll(now_ms);
        let [step @ Step::Gateway { call, .. }] = &steps[..] else { panic!("{steps:?}") };
        (step.clone(), *call)
    };
    let (pin, _) = gateway_step(&mut agent, 1);
    agent.done(2, &pin, Ok(Outcome::Done));
    let (attest, call) = gateway_step(&mut agent, 3);
    assert_eq!(call, Call::Attest);

    read(&mut agent, 6_000, View { token: Some(Token { revoked: true, ..token() }), ..view() });
    assert_eq!(agent.poll(6_001), [Step::StopNode(Gone::Revoked)]);
    agent.done(6_001, &attest, Ok(Outcome::Done));
    assert!(!agent.attested());
    read(&mut agent, 12_000, view());
    assert_eq!(gateway_step(&mut agent, 12_001).1, Call::PinCa);
}

/// The other agent was started later: this one ends its node and does not beat again, whatever the chain says.
#[test]
fn a_fenced_agent_ends_its_node_and_is_silent() {
    let mut agent = Agent::new(settings());
    let mut world = World::new();
    let mut now_ms = 0;
    while !matches!(agent.node, Node::Running { .. }) {
        for step in agent.poll(now_ms) {
            let answer = world.answer(now_ms, &step);
            agent.done(now_ms, &step, answer);
        }
        now_ms += 100;
        assert!(now_ms < HOUR);
    }
    now_ms += 11_000;
    let steps = agent.poll(now_ms);
    let beat = steps.iter().find(|step| matches!(step, Step::Gateway { call: Call::Heartbeat, .. }));
    let fenced = Failure { reason: "fenced".into(), ..failure(FailureKind::Fenced) };
    agent.done(now_ms, beat.unwrap(), Err(fenced));
    assert_eq!((agent.gone(now_ms), agent.phase(now_ms)), (Some(Gone::Fenced), Phase::Gone));
    let mut steps = Vec::new();
    for _ in 0..100 {
        for step in agent.poll(now_ms) {
            let answer = world.answer(now_ms, &step);
            agent.done(now_ms, &step, answer);
            steps.push(step);
        }
        now_ms += 1_000;
    }
    assert!(steps.contains(&Step::StopNode(Gone::Fenced)));
    assert!(
        !steps.iter().any(|step| matches!(step, Step::Gateway { .. } | Step::StartNode { .. })),
        "{steps:?}"
    );
}

/// At once by the operator, or as planned while the chain is silent: the node ends, nothing more is said to the master, and code
/// that is allowed is joined anew.
#[test]
fn a_retired_measurement_ends_the_node_within_a_minute_and_an_allowed_one_is_joined_again() {
    for planned in [false, true] {
        let (mut agent, mut world, mut now_ms) = (Agent::new(settings()), World::new(), 0);
        advance(&mut agent, &mut world, &mut now_ms, 60_000);
        assert_eq!(agent.phase(now_ms), Phase::Running);
        let session = agent.session();
        let retired_ms = now_ms + 30_000;
        if planned {
            world.view.target = Ok(Target { code_retires_ms: retired_ms, ..target(1) });
            advance(&mut agent, &mut world, &mut now_ms, 29_000);
            assert_eq!(agent.phase(now_ms), Phase::Running);
            world.chain_up = false;
        } else {
            advance(&mut agent, &mut world, &mut now_ms, 30_000);
            let body = api::ErrorBody { reason: MEASUREMENT_RETIRED.into(), message: "test".into() };
            world.view.target = Err(body);
        }
        let log = advance(&mut agent, &mut world, &mut now_ms, 120_000);
        let stop = |(_, step): &&(u64, Step)| *step == Step::StopNode(Gone::Measurement);
        let stopped_ms = log.iter().find(stop).map(|(at_ms, _)| *at_ms).unwrap();
        assert!((retired_ms..retired_ms + 60_000).contains(&stopped_ms), "{planned} {stopped_ms}");
        let after = log.iter().filter(|(at_ms, _)| *at_ms > stopped_ms);
        assert!(!after.clone().any(|(_, step)| matches!(step, Step::Gateway { .. })), "{planned} {log:?}");
        assert_eq!((agent.phase(now_ms), agent.gone(now_ms)), (Phase::Gone, Some(Gone::Measurement)));
        // Whatever was open belongs to a session that is over.
        assert!(agent.session() > session && agent.certificates().is_none(), "{planned}");

        world.chain_up = true;
        world.view.target = Ok(target(2));
        advance(&mut agent, &mut world, &mut now_ms, 120_000);
        assert_eq!(agent.phase(now_ms), Phase::Running, "{planned}");
    }
}

/// One change of the world.
#[derive(Clone, Debug)]
enum Change {
    Chain(bool),
    Gateway(bool),
    Trusted(bool),
    Refuses(bool),
    NodeStarts(bool),
    Moves(u8),
    NoTarget,
    Retired,
    Retires(u64),
    Revoked(bool),
    Stake(bool),
    NodeDies,
    ClockBack,
}

fn change() -> impl Strategy<Value = Change> {
    prop_oneof![
        any::<bool>().prop_map(Change::Chain),
        any::<bool>().prop_map(Change::Gateway),
        any::<bool>().prop_map(Change::Trusted),
        any::<bool>().prop_map(Change::Refuses),
        any::<bool>().prop_map(Change::NodeStarts),
        (1u8..4).prop_map(Change::Moves),
        Just(Change::NoTarget),
        Just(Change::Retired),
        (0..HOUR).prop_map(Change::Retires),
        any::<bool>().prop_map(Change::Revoked),
        any::<bool>().prop_map(Change::Stake),
        Just(Change::NodeDies),
        Just(Change::ClockBack),
    ]
}

fn apply(change: &Change, agent: &mut Agent, world: &mut World, monitor: &mut Monitor, now_ms: &mut u64) {
    match *change {
        Change::Chain(up) => world.chain_up = up,
        Change::Gateway(up) => world.gateway_up = up,
        Change::Trusted(yes) => world.trusted = yes,
        Change::Refuses(yes) => world.refuses = yes,
        Change::NodeStarts(yes) => world.node_starts = yes,
        Change::Moves(n) => world.view.target = Ok(target(n)),
        Change::NoTarget => {
            world.view.target =
                Err(api::ErrorBody { reason: "no_gateway".into(), message: "no endpoint yet".into() });
        }
        Change::Retired => {
            let body = api::ErrorBody { reason: MEASUREMENT_RETIRED.into(), message: "test".into() };
            world.view.target = Err(body);
        }
        Change::Retires(in_ms) => {
            world.view.target = Ok(Target { code_retires_ms: *now_ms + in_ms, ..target(1) });
        }
        Change::Revoked(yes) => {
            if let Some(token) = &mut world.view.token {
                token.revoked = yes;
            }
        }
        Change::Stake(covers) => {
            if let Some(token) = &mut world.view.token {
                token.stake_covers_tier = covers;
            }
        }
        Change::NodeDies => {
            agent.node_failed(*now_ms, failure(FailureKind::Failed));
            monitor.node_runs = false;
        }
        Change::ClockBack => *now_ms -= (*now_ms).min(60_000),
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    /// Whatever happens: no proof without attestation of exactly that session and target, no spinning, a node
    /// that is no member stops while the chain answers, and when all is well again the worker runs.
    #[test]
    fn any_history_is_safe_and_recovers(
        changes in prop::collection::vec((change(), 0u64..40_000), 0..40),
        latency_ms in 1u64..3_000,
        seed in any::<u64>(),
    ) {
        let mut agent = Agent::new(Settings { seed, ..settings() });
        let (mut world, mut monitor, mut now) = (World::new(), Monitor::default(), HOUR);
        for (change, wait_ms) in &changes {
            apply(change, &mut agent, &mut world, &mut monitor, &mut now);
            let until = now + wait_ms;
            run(&mut agent, &mut world, &mut monitor, &mut now, until, latency_ms);
        }
        let mut settle = |agent: &mut Agent, world: &mut World, monitor: &mut Monitor| {
            let until = now + 120_000;
            run(agent, world, monitor, &mut now, until, latency_ms);
            now
        };
        world = World { view: World::new().view, ..World::new() };
        world.view.token.as_mut().unwrap().revoked = true;
        let end = settle(&mut agent, &mut world, &mut monitor);
        prop_assert_eq!(agent.gone(end), Some(Gone::Revoked));
        prop_assert!(!monitor.node_runs, "a revoked node still runs");

        world.view.token = Some(Token { expires_ms: end + 24 * HOUR, ..token() });
        let end = settle(&mut agent, &mut world, &mut monitor);
        prop_assert_eq!(agent.phase(end), Phase::Running);
        prop_assert!(monitor.node_runs);
    }
}
