//! The store on a simulated disk that loses, tears, flips and refuses: what was acknowledged is there afterwards, or the
//! store says clearly why it does not open. Never a silent loss, never a wrong answer.
//!
//! A failing case prints its seed; `STORE_DISK_SEED=<seed> cargo test -p store --test disk <test>` runs it alone.
//! `STORE_DISK_SEEDS=<number>` runs more of them.
#![allow(clippy::unwrap_used, clippy::print_stderr, reason = "a test")]

#[path = "common/sim_disk.rs"]
mod sim_disk;
#[path = "common/witness.rs"]
mod witness;

use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::Path;
use std::sync::Arc;

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use sim_disk::{Confession, Fault, SimDisk, Step};
use store::{Config, Store, StoreError};
use tee::SealingKey;
use witness::{Act, Stop, Witness};

/// Random scenarios with random faults in a usual run.
const SEEDS: u64 = 300;
/// How often a scenario opens the store while faults go on.
const OPENINGS: usize = 4;

fn config(disk: &SimDisk, anchored: bool) -> Config {
    let mut config = Config::new("/data", SealingKey::from_bytes([7; 32]));
    config.disk = Arc::new(disk.clone());
    // Small, so that a few acts fill several.
    config.segment_bytes = 3_000;
    if anchored { config.with_anchor_file("/anchor") } else { config }
}

fn acts(random: &mut StdRng, count: usize) -> Vec<Act> {
    let one = |random: &mut StdRng| match random.random_range(0..20) {
        0..=9 => {
            let first: u8 = random.random_range(0..6);
            let lease = |random: &mut StdRng| {
                if random.random_range(0..3) == 0 { random.random_range(1..3) } else { 0 }
            };
            Act::Puts((0..random.random_range(1..4)).map(|n| ((first + n) % 6, lease(random))).collect())
        }
        10..=12 => Act::Delete(random.random_range(0..6)),
        13 | 14 => Act::Grant(random.random_range(1..3)),
        15 => Act::Revoke(random.random_range(1..3)),
        16 | 17 => Act::Compact(random.random_range(0..6)),
        _ => Act::Snapshot,
    };
    (0..count).map(|_| one(random)).collect()
}

/// Opens the store, acts until it stops or all is done, and closes it.
fn live(disk: &SimDisk, anchored: bool, witness: &mut Witness, acts: &[Act]) -> Result<(), StoreError> {
    live_and_lie(disk, anchored, witness, acts, None)
}

/// The same; from act number `lie_from` on the disk lies about syncs of the store's own files, not of the anchor.
fn live_and_lie(
    disk: &SimDisk,
    anchored: bool,
    witness: &mut Witness,
    acts: &[Act],
    lie_from: Option<usize>,
) -> Result<(), StoreError> {
    let store = Store::open(config(disk, anchored))?;
    witness.check(&store);
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let stopped = runtime.block_on(async {
        for (number, act) in acts.iter().enumerate() {
            if lie_from == Some(number) {
                disk.lie_in(Path::new("/data"));
            }
            if let Err(stop) = witness.act(&store, act).await {
                return Some(stop);
            }
        }
        None
    });
    if let Some(Stop::Failed(_)) = stopped {
        // Stopped means stopped: nothing is acknowledged from here on.
        let more = runtime
            .block_on(store.put(store::proto::PutRequest { key: "more".into(), ..Default::default() }));
        assert!(more.is_err(), "acknowledged a write after {stopped:?}");
    }
    store.close();
    Ok(())
}

/// Opens on a disk that works again and holds the store to what it said, then to what it says now.
fn recover(disk: &SimDisk, anchored: bool, witness: &mut Witness) {
    disk.set_plan(Box::new(|_| None));
    let more = [Act::Puts(vec![(0, 0), (1, 0)]), Act::Delete(1), Act::Snapshot, Act::Puts(vec![(2, 0)])];
    for round in 0..3 {
        // At first without a snapshot, which would take the place of what may be wrong with the log.
        let more = if round == 0 { &more[..2] } else { &more[..] };
        live(disk, anchored, witness, more)
            .unwrap_or_else(|error| panic!("opening again, round {round}: {error:?}"));
        disk.restart(true);
    }
}

/// One fault at every operation of a scenario in turn, each with a power cut and with a mere restart after it.
fn every_step(fault: Fault) {
    let script = acts(&mut StdRng::seed_from_u64(4), 30);
    let scenario = |disk: &SimDisk, witness: &mut Witness| -> Result<(), StoreError> {
        live(disk, true, witness, &script[..15])?;
        disk.restart(false);
        live(disk, true, witness, &script[15..])
    };
    let perfect = SimDisk::perfect();
    scenario(&perfect, &mut Witness::default()).unwrap();
    let steps = perfect.steps();
    assert!(steps.len() > 100, "only {} operations: the test tests nothing", steps.len());
    let (mut struck, mut acknowledged) = (0, 0);
    for (number, step) in steps.iter().enumerate() {
        for power_cut in [true, false] {
            let target = step.clone();
            let disk = SimDisk::new(number as u64, Box::new(move |step| (*step == target).then_some(fault)));
            let mut witness = Witness::default();
            let outcome = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
                let _refused = scenario(&disk, &mut witness);
                disk.restart(power_cut);
                recover(&disk, true, &mut witness);
            }));
            if let Err(panic) = outcome {
                eprintln!("{fault:?} at {step:?} (step {number}), power cut after it: {power_cut}");
                std::panic::resume_unwind(panic);
            }
            struck += disk.struck().len();
            acknowledged += witness.acknowledged;
        }
    }
    eprintln!("{fault:?}: {} steps, {struck} faults, {acknowledged} acknowledged effects held", steps.len());
    // A full disk matters only to what needs space.
    let vulnerable = steps.iter().filter(|step| fault.strikes(step)).count();
    assert!(
        struck > vulnerable,
        "{vulnerable} operations can fail so, but only {struck} did, of twice as many"
    );
}

#[test]
fn power_may_go_at_every_step() {
    every_step(Fault::PowerCut);
}

#[test]
fn input_and_output_may_fail_at_every_step() {
    every_step(Fault::Error);
}

#[test]
fn the_disk_may_be_full_at_every_step_for_a_moment() {
    every_step(Fault::FullOnce);
}

#[test]
fn the_disk_may_be_full_from_every_step_on() {
    every_step(Fault::FullFromHere);
}

/// Seeds to run: one given by hand, or the usual number of them.
fn seeds(usual: u64) -> std::ops::Range<u64> {
    let number = |name| std::env::var(name).ok().map(|value| value.parse::<u64>().unwrap());
    match number("STORE_DISK_SEED") {
        Some(seed) => seed..seed + 1,
        None => 0..number("STORE_DISK_SEEDS").unwrap_or(usual),
    }
}

fn for_every_seed(usual: u64, mut run: impl FnMut(u64)) {
    for seed in seeds(usual) {
        let outcome = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| run(seed)));
        if let Err(panic) = outcome {
            eprintln!("failed with STORE_DISK_SEED={seed}");
            std::panic::resume_unwind(panic);
        }
    }
}

fn chance(of: impl Hash) -> u64 {
    let mut hasher = DefaultHasher::new();
    of.hash(&mut hasher);
    hasher.finish()
}

/// One operation in `rate` fails, somehow.
fn random_faults(seed: u64, rate: u64) -> impl Fn(&Step) -> Option<Fault> + Send {
    move |step| {
        let chance = chance((seed, "fault", step));
        (chance % rate == 0).then(|| match (chance / rate) % 5 {
            0 => Fault::Error,
            1 => Fault::FullOnce,
            2 => Fault::FullFromHere,
            _ => Fault::PowerCut,
        })
    }
}

#[test]
fn random_faults_over_several_lives() {
    for_every_seed(SEEDS, |seed| {
        let mut random = StdRng::seed_from_u64(seed);
        let anchored = random.random();
        let rate = random.random_range(20..200);
        let disk = SimDisk::new(seed, Box::new(random_faults(seed, rate)));
        let _confession = Confession(disk.clone());
        let mut witness = Witness::default();
        for _ in 0..OPENINGS {
            let count = random.random_range(1..25);
            let _refused = live(&disk, anchored, &mut witness, &acts(&mut random, count));
            disk.restart(random.random());
        }
        recover(&disk, anchored, &mut witness);
    });
}

/// A flipped bit is found, or does no harm. The anchor vouches for the end of the log after a close.
#[test]
fn flipped_bits_are_noticed_or_harmless() {
    let noticed = std::cell::Cell::new(0);
    for_every_seed(SEEDS, |seed| {
        let mut random = StdRng::seed_from_u64(seed);
        let disk = SimDisk::new(seed, Box::new(|_| None));
        let mut witness = Witness::default();
        live(&disk, true, &mut witness, &acts(&mut random, 20)).unwrap();
        disk.restart(true);
        let files: Vec<_> = disk.files().into_iter().filter(|(_, bytes)| *bytes > 0).collect();
        let (path, bytes) = &files[random.random_range(0..files.len())];
        let bit = random.random_range(0..bytes * 8);
        disk.flip(path, bit);
        match live(&disk, true, &mut witness, &[Act::Puts(vec![(0, 0)])]) {
            Ok(()) => {}
            Err(error) => {
                assert!(!matches!(error, StoreError::Io { .. }), "byte {} of {path:?}: {error:?}", bit / 8);
                noticed.set(noticed.get() + 1);
            }
        }
    });
    eprintln!("{} flips were refused", noticed.get());
    assert!(std::env::var_os("STORE_DISK_SEED").is_some() || noticed.get() > 0, "no flip was ever noticed");
}

/// A store whose disk begins to lie about syncs some acts before power goes.
fn lied_to(seed: u64, anchored: bool, witness: &mut Witness) -> SimDisk {
    let mut random = StdRng::seed_from_u64(seed);
    let disk = SimDisk::new(seed, Box::new(|_| None));
    let acts = acts(&mut random, 15);
    let lie_from = acts.len() - random.random_range(1..10);
    live_and_lie(&disk, anchored, witness, &acts, Some(lie_from)).unwrap();
    disk.restart(true);
    disk
}

/// With an anchor elsewhere, what a lying disk lost is noticed at the next start.
#[test]
fn an_anchor_notices_what_a_disk_lost_that_lies_about_syncs() {
    let (mut rolled_back, mut refused) = (0, 0);
    for_every_seed(SEEDS, |seed| {
        let mut witness = Witness::default();
        let disk = lied_to(seed, true, &mut witness);
        // Opened: then everything is there.
        match live(&disk, true, &mut witness, &[Act::Puts(vec![(0, 0)])]) {
            Ok(()) => {}
            Err(StoreError::RolledBack { .. }) => rolled_back += 1,
            Err(error) => {
                assert!(!matches!(error, StoreError::Io { .. }), "{error:?}");
                refused += 1;
            }
        }
    });
    eprintln!("{rolled_back} were refused as rolled back, {refused} as damaged");
    assert!(std::env::var_os("STORE_DISK_SEED").is_some() || rolled_back > 0, "nothing was lost");
}

/// Without one, the store goes on from an earlier state that was true once, or refuses; it never serves a gap.
#[test]
fn a_disk_that_lies_about_syncs_leaves_an_earlier_state_or_none() {
    let (mut earlier, mut lost, mut refused) = (0, 0, 0);
    for_every_seed(SEEDS, |seed| {
        let mut witness = Witness::default();
        let disk = lied_to(seed, false, &mut witness);
        match Store::open(config(&disk, false)) {
            Ok(store) => {
                let gone = witness.lost_after(store.revision());
                store.close();
                disk.restart(false);
                recover(&disk, false, &mut witness);
                earlier += usize::from(gone > 0);
                lost += gone;
            }
            Err(error) => {
                assert!(!matches!(error, StoreError::Io { .. }), "{error:?}");
                refused += 1;
            }
        }
    });
    eprintln!("{earlier} opened at an earlier state ({lost} effects lost), {refused} were refused");
    assert!(std::env::var_os("STORE_DISK_SEED").is_some() || earlier > 0, "nothing was lost");
}
