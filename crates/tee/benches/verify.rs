//! How long verification takes, with collateral at hand: `cargo bench -p tee`. Prints the median and the 99th of 100 percent of
//! 500 runs of each recorded piece of evidence, on one core.
#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "a benchmark prints")]
#![allow(dead_code, reason = "shared with the tests")]

#[path = "../tests/platforms/cases.rs"]
mod cases;
#[path = "../tests/platforms/fixtures.rs"]
mod fixtures;

use std::time::{Duration, Instant};

use tee::{Evidence, PlatformKind};

const RUNS: usize = 500;

fn main() {
    println!("{:<32} {:>10} {:>10}", "evidence", "median", "p99");
    for case in cases::accepted() {
        report(case.name, || assert!(case.verify().is_ok()));
    }
    let large = vec![b'A'; 10 << 20];
    for platform in PlatformKind::ALL {
        report(&format!("10 MiB of nothing as {platform}"), || {
            assert!(Evidence::from_raw(platform, &large).is_err());
        });
    }
}

fn report(name: &str, mut run: impl FnMut()) {
    run();
    let mut times: Vec<Duration> = (0..RUNS)
        .map(|_| {
            let started = Instant::now();
            run();
            started.elapsed()
        })
        .collect();
    times.sort_unstable();
    println!("{name:<32} {:>10.2?} {:>10.2?}", times[RUNS / 2], times[RUNS * 99 / 100]);
}
