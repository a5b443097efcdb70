use api::{Heartbeat, NodeMetrics, NodeState};
use proptest::prelude::*;

use super::*;

pub(super) const TOKEN: Id = Id([1; 32]);
pub(super) const STAKE: Id = Id([2; 32]);
pub(super) const N: Sender<'static> = Sender { name: "n", token: TOKEN, stake: STAKE };

pub(super) const LIMITS: HealthLimits = HealthLimits {
    interval_ms: 100,
    suspect_after_ms: 200,
    down_after_ms: 400,
    evict_after_ms: 300,
    ready_after_ms: 150,
    join_within_ms: 1_000,
    max_clock_skew_ms: 50,
    list_removed_ms: 1_000,
    drain_before_ms: 60,
    max_maintenance_ms: 500,
};

pub(super) fn heartbeat(timestamp_ms: u64, ready: bool, instance: u8, started_ms: u64) -> Heartbeat {
    Heartbeat {
        node_name: "n".into(),
        timestamp_ms,
        ready,
        reason: None,
        metrics: NodeMetrics { pods: 7, ..NodeMetrics::default() },
        instance: api::Instance { id: hex::encode([instance; 16]), started_ms },
        signature: None,
    }
}

fn send(health: &mut Health, beat: &Heartbeat, now_ms: u64) -> Result<u64, BeatError> {
    let said = Verified { beat, digest: beat.digest(), signature: [0; 64], public_key: [9; 32] };
    health.beat(N, &said, now_ms)
}

pub(super) fn beat(health: &mut Health, now_ms: u64, ready: bool) -> Result<u64, BeatError> {
    send(health, &heartbeat(now_ms, ready, 1, 0), now_ms)
}

fn at(health: &mut Health, now_ms: u64) -> NodeState {
    health.tick(|_, _| true, now_ms);
    health.state("n", TOKEN)
}

#[test]
fn a_life() {
    let mut health = Health::new(LIMITS);
    assert_eq!(at(&mut health, 0), NodeState::Pending);
    health.joined(N, 0);
    assert_eq!(at(&mut health, 999), NodeState::Joining);
    assert_eq!(at(&mut health, 1_000), NodeState::Down, "certificates, but never a sign of life");
    assert_eq!(beat(&mut health, 1_100, true), Ok(100));
    assert_eq!(at(&mut health, 1_249), NodeState::Down, "one sign is not enough");
    beat(&mut health, 1_200, true).unwrap();
    beat(&mut health, 1_250, true).unwrap();
    assert_eq!(at(&mut health, 1_250), NodeState::Ready);
    assert_eq!(at(&mut health, 1_449), NodeState::Ready);
    assert_eq!(at(&mut health, 1_450), NodeState::Suspect);
    assert_eq!(at(&mut health, 1_650), NodeState::Down);
    assert_eq!(at(&mut health, 1_949), NodeState::Down);
    assert_eq!(at(&mut health, 1_950), NodeState::Evicted);
    let (since, complaint) = health.detail("n", TOKEN, 1_950).unwrap();
    assert_eq!((since, complaint.as_deref()), (1_950, Some("stayed down")));

    health.tick(|_, _| false, 2_000);
    assert_eq!(health.state("n", TOKEN), NodeState::Removed);
    assert_eq!(health.removed().count(), 1);
    assert_eq!(health.state("n", Id([2; 32])), NodeState::Pending, "the name's next holder");
    health.tick(|_, _| true, 2_999);
    assert_eq!(health.removed().count(), 1);
    health.tick(|_, _| true, 3_000);
    assert_eq!(health.removed().count(), 0);
}

#[test]
fn a_flapping_node_is_not_ready() {
    let mut health = Health::new(LIMITS);
    beat(&mut health, 0, true).unwrap();
    assert_eq!(at(&mut health, 0), NodeState::Ready);
    // A short bad time is none.
    beat(&mut health, 100, false).unwrap();
    beat(&mut health, 150, true).unwrap();
    assert_eq!(at(&mut health, 349), NodeState::Ready);
    assert_eq!(at(&mut health, 350), NodeState::Suspect);
    for now in [400, 500, 600] {
        beat(&mut health, now, true).unwrap();
        beat(&mut health, now + 50, false).unwrap();
        assert_ne!(at(&mut health, now + 50), NodeState::Ready, "a good sign and a bad one in turn");
    }
}

#[test]
fn kubernetes_has_its_say_while_it_is_heard() {
    let mut health = Health::new(LIMITS);
    health.joined(N, 0);
    health.kubernetes(|_| KubernetesView::Absent, 0);
    beat(&mut health, 10, true).unwrap();
    assert_eq!(at(&mut health, 10), NodeState::Joining);
    let complaint = health.detail("n", TOKEN, 10).unwrap().1.unwrap();
    assert!(complaint.contains("no Node"), "{complaint}");
    health.kubernetes_node("n", KubernetesView::Ready, 20);
    beat(&mut health, 30, true).unwrap();
    assert_eq!(at(&mut health, 30), NodeState::Ready);
    // The kubelet is dead, the worker's agent beats on.
    health.kubernetes_node("n", KubernetesView::NotReady, 40);
    for now in [100, 200, 300] {
        beat(&mut health, now, true).unwrap();
    }
    assert_eq!(at(&mut health, 300), NodeState::Suspect);
    // A view from long ago, since when the apiserver is silent, does not count.
    let mut health = Health::new(LIMITS);
    beat(&mut health, 10, true).unwrap();
    health.kubernetes_node("n", KubernetesView::NotReady, 20);
    for now in (1..=800).map(|beat| beat * 100) {
        let _ = beat_or_flood(&mut health, now);
    }
    assert_eq!(at(&mut health, 80_000), NodeState::Ready);
}

fn beat_or_flood(health: &mut Health, now: u64) -> Result<u64, BeatError> {
    health.tick(|_, _| true, now);
    beat(health, now, true)
}

#[test]
fn a_heartbeat_that_does_not_count_changes_nothing() {
    let mut health = Health::new(LIMITS);
    beat(&mut health, 1_000, true).unwrap();
    assert_eq!(beat(&mut health, 1_000, true), Err(BeatError::Stale), "a replay");
    assert_eq!(send(&mut health, &heartbeat(999, true, 1, 0), 1_001), Err(BeatError::Stale));
    let off = |off_ms| Err(BeatError::ClockSkew { off_ms });
    assert_eq!(send(&mut health, &heartbeat(1_052, false, 1, 0), 1_001), off(51));
    assert_eq!(send(&mut health, &heartbeat(0, false, 1, 0), 1_001), off(1_001));
    let mut bad = heartbeat(1_001, false, 1, 0);
    bad.instance.id = "not hexadecimal".into();
    assert_eq!(send(&mut health, &bad, 1_001), Err(BeatError::BadInstance));
    assert_eq!(send(&mut health, &heartbeat(1_001, false, 2, 9_999), 1_001), Err(BeatError::BadInstance));
    assert_eq!(at(&mut health, 1_001), NodeState::Ready);
    assert!(health.take_contradictions().is_empty());
}

#[test]
fn of_two_agents_the_older_is_fenced_also_after_a_restart() {
    let mut health = Health::new(LIMITS);
    send(&mut health, &heartbeat(1_000, true, 1, 100), 1_000).unwrap();
    send(&mut health, &heartbeat(1_010, true, 2, 900), 1_010).unwrap();
    assert_eq!(send(&mut health, &heartbeat(1_020, true, 1, 100), 1_020), Err(BeatError::Fenced));
    let mut health = Health::restore(LIMITS, health.save(), 1_030);
    assert_eq!(send(&mut health, &heartbeat(1_040, true, 1, 100), 1_040), Err(BeatError::Fenced));
    send(&mut health, &heartbeat(1_050, true, 2, 900), 1_050).unwrap();
    // What was taken before the restart is not taken again.
    assert_eq!(send(&mut health, &heartbeat(1_010, true, 2, 900), 1_055), Err(BeatError::Stale));
    // Started anew, it is the newer one.
    send(&mut health, &heartbeat(1_060, true, 3, 1_055), 1_060).unwrap();
    assert_eq!(send(&mut health, &heartbeat(1_070, true, 2, 900), 1_070), Err(BeatError::Fenced));
}

#[test]
fn two_statements_about_one_time_are_evidence() {
    let mut health = Health::new(LIMITS);
    let said = heartbeat(1_000, true, 1, 0);
    send(&mut health, &said, 1_000).unwrap();
    send(&mut health, &heartbeat(1_010, true, 1, 0), 1_010).unwrap();
    assert_eq!(send(&mut health, &said, 1_020), Err(BeatError::Stale), "the same again is no lie");
    let lie = heartbeat(1_000, false, 1, 0);
    assert_eq!(send(&mut health, &lie, 1_020), Err(BeatError::Contradiction));
    let [found] = &health.take_contradictions()[..] else { panic!("not one") };
    assert_eq!((found.stake, found.token, found.sequence), (STAKE, TOKEN, 1_000));
    assert_eq!(found.statements.map(|(digest, _)| digest), [said.digest(), lie.digest()]);
    // Two processes are two subjects: a machine that was cloned by accident is fenced and not punished.
    assert_eq!(send(&mut health, &heartbeat(1_010, true, 2, 5), 1_020), Ok(100));
    assert!(health.take_contradictions().is_empty());
}

#[test]
fn more_than_is_asked_for_is_a_flood() {
    let mut health = Health::new(LIMITS);
    let taken = (0..100).filter(|_| health.admit(N, 1_000).is_ok()).count();
    assert_eq!(taken, 30);
    assert!(health.admit(N, 1_100).is_ok());
}

#[test]
fn announced_maintenance_is_no_downtime() {
    let mut health = Health::new(LIMITS);
    health.maintenance(STAKE, Window { from_ms: 1_000, to_ms: 3_000 });
    health.tick(|_, _| true, 0);
    for now in (0..=950).step_by(50) {
        beat(&mut health, now, true).unwrap();
    }
    assert_eq!(health.care(|_| None, 930), BTreeMap::new());
    health.tick(|_, _| true, 950);
    assert!(health.care(|_| None, 950)["n"].drain, "drained a little before");
    assert_eq!(at(&mut health, 1_150), NodeState::Suspect);
    assert_eq!(at(&mut health, 3_399), NodeState::Suspect, "no worse, and grace from the end on");
    assert!(!health.care(|_| None, 3_399).contains_key("n"));
    assert_eq!(at(&mut health, 3_400), NodeState::Down);
    let report = health.close_epoch(1).unwrap();
    let node = &report.nodes[0];
    assert_eq!((node.up_ms, node.maintenance_ms, node.down_ms), (1_150, 1_850, 400));
    assert_eq!(node.judged_up_ms(0, 3_400, 10_000), 3_000);
    assert_eq!(node.judged_up_ms(0, 3_400, 500), 3_000 - 1_350, "maintenance without end is none");
}

#[test]
fn the_masters_own_absence_is_held_against_nobody() {
    let mut health = Health::new(LIMITS);
    beat(&mut health, 0, true).unwrap();
    health.tick(|_, _| true, 0);
    health.tick(|_, _| true, 100);
    // The process stood still for ten seconds.
    health.tick(|_, _| true, 10_100);
    assert_eq!(health.state("n", TOKEN), NodeState::Ready);
    // It was killed and started again a minute later.
    let mut health = Health::restore(LIMITS, health.save(), 70_100);
    assert_eq!(at(&mut health, 70_200), NodeState::Ready);
    assert_eq!(at(&mut health, 70_300), NodeState::Suspect);
    assert_eq!(at(&mut health, 70_500), NodeState::Down);
    health.tick(|_, _| true, 70_600);
    let report = health.close_epoch(1).unwrap();
    assert_eq!((report.from_ms, report.to_ms, report.unobserved_ms), (0, 70_600, 70_000));
    assert_eq!((report.nodes[0].up_ms, report.nodes[0].down_ms), (300, 300));
    assert_eq!(report.nodes[0].judged_up_ms(0, 70_600, 0), 70_300);
}

#[test]
fn removed_nodes_are_bounded() {
    let mut health = Health::new(LIMITS);
    for n in 0..Health::MAX_REMOVED + 10 {
        health.joined(Sender { name: &format!("n{n}"), ..N }, 0);
    }
    health.tick(|_, _| false, 1);
    assert_eq!(health.removed().count(), Health::MAX_REMOVED);
}

proptest! {
    /// Ready is said only of a node whose last good sign is fresh, under its live token.
    #[test]
    fn ready_needs_a_fresh_sign(steps in prop::collection::vec((0u64..150, 0u8..6, any::<bool>()), 1..60)) {
        let mut health = Health::new(LIMITS);
        let (mut now_ms, mut last, mut live, mut agrees) = (100, None, true, true);
        for (wait, what, flag) in steps {
            now_ms += wait;
            match what {
                0 => health.joined(N, now_ms),
                1 | 2 if live && beat(&mut health, now_ms, flag).is_ok() && flag && agrees => last = Some(now_ms),
                3 => live = flag,
                // Known to the machine only once the node is.
                4 if health.last_beat("n", TOKEN).is_some() => {
                    agrees = flag;
                    let view = if flag { KubernetesView::Ready } else { KubernetesView::NotReady };
                    health.kubernetes_node("n", view, now_ms);
                }
                _ => {}
            }
            health.tick(|_, _| live, now_ms);
            if !live {
                agrees = true;
                last = None;
            }
            let state = health.state("n", TOKEN);
            if state == NodeState::Ready {
                prop_assert!(live && last.is_some_and(|at| now_ms - at < LIMITS.suspect_after_ms), "{now_ms} {last:?}");
            }
            if !live {
                prop_assert!(matches!(state, NodeState::Removed | NodeState::Pending));
            }
        }
    }
}
