//! What a proof of a reward takes, of an epoch with as many shares as there can be:
//! `cargo run --release -p chain --example reward_proofs`.
#![allow(clippy::print_stdout, reason = "it prints what it measures")]

use std::time::Instant;

use chain::{Address, RewardTree, Share};

const SHARES: u64 = 65_536;
/// Every so many shares one is proven.
const STEP: usize = 64;

fn main() -> Result<(), chain::Error> {
    let id = |number: u64| {
        let mut id = [0; 32];
        id[..8].copy_from_slice(&number.wrapping_mul(0x9e37_79b9_7f4a_7c15).to_be_bytes());
        Address::new(id)
    };
    let shares: Vec<Share> = (0..SHARES)
        .map(|number| Share { stake: id(number), owner: id(number + 1), weight: number + 1 })
        .collect();
    let started = Instant::now();
    let tree = RewardTree::new(Address::ZERO, 1, shares)?;
    let made = started.elapsed();
    let started = Instant::now();
    let mut found = 0_u32;
    for number in (0..SHARES).step_by(STEP) {
        let claim = tree.claim(id(number));
        found += u32::from(claim.is_some_and(|(place, _)| tree.shard(place).is_some()));
    }
    let proofs = started.elapsed();
    println!("the tree of {SHARES} shares: {:.1} ms", made.as_secs_f64() * 1e3);
    println!("a proof of it: {:.3} ms ({found} proofs)", proofs.as_secs_f64() * 1e3 / f64::from(found));
    Ok(())
}
