//! Seeded runs of whole clusters. A failing seed is printed; `K3S_DAAS_SEED=<seed> cargo test -p master
//! health::simulation` replays it alone.

use api::NodeState;

use super::tests::{LIMITS, TOKEN, heartbeat};
use super::*;

/// SplitMix64.
struct Random(u64);

impl Random {
    fn below(&mut self, end: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % end
    }

    fn chance(&mut self, percent: u64) -> bool {
        self.below(100) < percent
    }
}

/// A machine as it really is.
#[derive(Clone)]
struct Machine {
    name: String,
    stake: Id,
    alive: bool,
    kubelet: bool,
    next_ms: u64,
    started_ms: u64,
    process: u8,
}

const NODES: u8 = 4;
const END_MS: u64 = 20_000;

#[test]
fn clusters_live() {
    match std::env::var("K3S_DAAS_SEED") {
        Ok(seed) => run(seed.parse().unwrap()),
        Err(_) => (0..300).for_each(run),
    }
}

/// One cluster, watched by a machine that looks every millisecond and by one that looks when it pleases and is
/// killed now and then. Both have to come to the same, and to what can be said from outside.
fn run(seed: u64) {
    let result = std::panic::catch_unwind(|| play(seed));
    if let Err(panic) = result {
        eprintln!("failing seed: K3S_DAAS_SEED={seed}");
        std::panic::resume_unwind(panic);
    }
}

fn play(seed: u64) {
    let mut random = Random(seed);
    let (mut precise, mut lazy) = (Health::new(LIMITS), Health::new(LIMITS));
    let mut machines: Vec<Machine> = (0..NODES)
        .map(|n| Machine {
            name: format!("n{n}"),
            stake: Id([n; 32]),
            alive: true,
            kubelet: true,
            next_ms: random.below(100),
            started_ms: 0,
            process: n,
        })
        .collect();
    if random.chance(50) {
        let window = Window { from_ms: random.below(END_MS), to_ms: random.below(END_MS) };
        precise.maintenance(machines[0].stake, window);
        lazy.maintenance(machines[0].stake, window);
    }
    for machine in &machines {
        let sender = Sender { name: &machine.name, token: TOKEN, stake: machine.stake };
        precise.joined(sender, 0);
        lazy.joined(sender, 0);
    }
    let mut good_ms = vec![None::<u64>; machines.len()];
    for now_ms in 0..END_MS {
        precise.tick(|_, _| true, now_ms);
        if random.chance(5) {
            lazy.tick(|_, _| true, now_ms);
        }
        for (n, machine) in machines.iter_mut().enumerate() {
            if random.below(1_500) == 0 {
                machine.alive = !machine.alive;
                (machine.started_ms, machine.process) = (now_ms, machine.process.wrapping_add(NODES));
                machine.next_ms = now_ms + random.below(100);
            }
            if random.below(3_000) == 0 {
                machine.kubelet = !machine.kubelet;
                let view = if machine.kubelet { KubernetesView::Ready } else { KubernetesView::NotReady };
                precise.kubernetes_node(&machine.name, view, now_ms);
                lazy.kubernetes_node(&machine.name, view, now_ms);
            }
            if !machine.alive || machine.next_ms != now_ms {
                continue;
            }
            machine.next_ms = now_ms + 60 + random.below(80);
            if random.chance(10) {
                continue; // lost on the way
            }
            let ready = !random.chance(3);
            let beat = heartbeat(now_ms, ready, machine.process, machine.started_ms);
            let sender = Sender { name: &machine.name, token: TOKEN, stake: machine.stake };
            let said =
                Verified { beat: &beat, digest: beat.digest(), signature: [0; 64], public_key: [0; 32] };
            let taken = precise.beat(sender, &said, now_ms);
            assert_eq!(taken, lazy.beat(sender, &said, now_ms), "{} at {now_ms}", machine.name);
            if taken.is_ok() && ready && machine.kubelet {
                good_ms[n] = Some(now_ms);
            }
        }
        for (machine, good_ms) in machines.iter().zip(&good_ms) {
            let state = precise.state(&machine.name, TOKEN);
            let silence = good_ms.map(|good| now_ms - good);
            if state == NodeState::Ready {
                assert!(
                    silence.is_some_and(|silence| silence <= LIMITS.suspect_after_ms),
                    "{state:?} {silence:?}"
                );
            }
            let planned = precise.window(machine.stake, now_ms.saturating_sub(1_000)).is_some();
            if silence.is_some_and(|silence| silence > LIMITS.down_after_ms) && !planned {
                assert!(matches!(state, NodeState::Down | NodeState::Evicted), "{state:?} {silence:?}");
            }
        }
    }
    precise.tick(|_, _| true, END_MS);
    lazy.tick(|_, _| true, END_MS);
    for machine in &machines {
        let of = |health: &Health| {
            (health.state(&machine.name, TOKEN), health.detail(&machine.name, TOKEN, END_MS))
        };
        assert_eq!(of(&precise), of(&lazy), "{}", machine.name);
    }
    let (precise, lazy) = (precise.close_epoch(1).unwrap(), lazy.close_epoch(1).unwrap());
    assert_eq!(precise.nodes, lazy.nodes);
    for node in &precise.nodes {
        let spent = node.up_ms + node.down_ms + node.maintenance_ms;
        assert!(spent <= END_MS - node.from_ms, "{node:?}");
        assert!(node.judged_up_ms(0, END_MS, 0) >= node.up_ms, "{node:?}");
    }
}
