//! Committees of every size with holders that answer, are down for a while or for good, refuse, or lie; each life is one seed.

use std::collections::BTreeMap;

use proptest::prelude::*;
use zeroize::Zeroizing;

use super::collector::{Collector, Step};
use super::dealing::tests::dealt;
use super::polling::HolderState;
use super::{CustodyError, Share};

#[derive(Clone, Copy, Debug, PartialEq)]
enum Conduct {
    Gives,
    /// Fails so many times first.
    Late(u32),
    Down,
    Refuses,
    /// A share with one bit changed.
    Lies,
    /// The share of another holder.
    PassesOn,
    Nonsense,
}

fn conduct() -> impl Strategy<Value = Conduct> {
    prop_oneof![
        3 => Just(Conduct::Gives),
        2 => (1u32..5).prop_map(Conduct::Late),
        1 => Just(Conduct::Down),
        1 => Just(Conduct::Refuses),
        1 => Just(Conduct::Lies),
        1 => Just(Conduct::PassesOn),
        1 => Just(Conduct::Nonsense),
    ]
}

const DEADLINE_MS: u64 = 60_000;

/// Plays until the end; answers arrive after a delay of their own, so that they overtake one another.
fn play(threshold: u8, conducts: &[Conduct], delays: &[u64]) {
    let (secret, holders, dealing) = dealt(threshold, conducts.len() as u8);
    let shares: Vec<Share> = holders.iter().map(|holder| dealing.share_of(holder).unwrap()).collect();
    let mut collector = Collector::new(dealing, 0, DEADLINE_MS);
    let mut now_ms = 0;
    let mut arriving: BTreeMap<(u64, usize), ()> = BTreeMap::new();
    let mut asked = vec![0u32; conducts.len()];
    let outcome = loop {
        match collector.step(now_ms) {
            Step::Done(found) => break Ok(found),
            Step::Failed(error) => break Err(error),
            Step::Ask(whom) => {
                for at in whom {
                    asked[at] += 1;
                    arriving.insert((now_ms + delays[at % delays.len()], at), ());
                }
            }
            Step::Wait { until_ms } => {
                let next = arriving.first_key_value().map(|(key, ())| *key);
                match next.filter(|(at_ms, _)| *at_ms <= until_ms) {
                    None => {
                        assert!(until_ms > now_ms, "it waits for nothing");
                        now_ms = until_ms;
                    }
                    Some(key) => {
                        arriving.remove(&key);
                        now_ms = now_ms.max(key.0);
                        answer(&mut collector, key.1, conducts, &shares, asked[key.1], now_ms);
                    }
                }
            }
        }
    };
    let lies = |conduct: Conduct| matches!(conduct, Conduct::Lies | Conduct::Nonsense | Conduct::PassesOn);
    let honest = conducts.iter().filter(|c| matches!(c, Conduct::Gives | Conduct::Late(_))).count();
    match outcome {
        Ok(found) => {
            assert!(honest >= usize::from(threshold));
            assert_eq!(found.commitment(), secret.commitment());
        }
        Err(CustodyError::TooFew { good, .. }) => {
            assert!(honest < usize::from(threshold), "{good} shares, {honest} honest");
            assert!(good < usize::from(threshold));
        }
        Err(error) => panic!("{error}"),
    }
    for (at, state) in collector.holders().iter().enumerate() {
        // Nobody is called a liar who is none, and no liar's word is taken.
        match state {
            HolderState::Lies => assert!(lies(conducts[at]), "{at}"),
            HolderState::Gave => assert!(!lies(conducts[at]), "{at}"),
            _ => {}
        }
    }
}

fn answer(
    collector: &mut Collector,
    at: usize,
    conducts: &[Conduct],
    shares: &[Share],
    asked: u32,
    now_ms: u64,
) {
    match conducts[at] {
        Conduct::Late(failures) if asked <= failures => collector.failed(at, "late".to_owned(), now_ms),
        Conduct::Gives | Conduct::Late(_) => {
            assert!(collector.gave(at, shares[at].clone()));
            assert!(!collector.gave(at, shares[at].clone()), "the same share counts once");
        }
        Conduct::Down => collector.failed(at, "no answer".to_owned(), now_ms),
        Conduct::Refuses => collector.refused(at, "no".to_owned()),
        Conduct::Lies => {
            let mut values = *shares[at].values;
            values[31] ^= 1;
            let lie = Share { index: shares[at].index, values: Zeroizing::new(values) };
            assert!(!collector.gave(at, lie));
        }
        Conduct::PassesOn => {
            let other = &shares[(at + 1) % shares.len()];
            // In a committee of one there is nobody else.
            let lie = Share { index: other.index, values: Zeroizing::new([0; 32]) };
            assert!(!collector.gave(at, if shares.len() > 1 { other.clone() } else { lie }));
        }
        Conduct::Nonsense => collector.gave_nonsense(at),
    }
}

proptest! {
    #[test]
    fn enough_honest_holders_give_the_secret_whatever_the_others_do(
        conducts in prop::collection::vec(conduct(), 1..9),
        threshold in any::<prop::sample::Index>(),
        delays in prop::collection::vec(0u64..3_000, 1..9),
    ) {
        let threshold = threshold.index(conducts.len()) as u8 + 1;
        play(threshold, &conducts, &delays);
    }
}

#[test]
fn one_fewer_than_the_threshold_fails_and_the_error_names_each() {
    let (_, holders, dealing) = dealt(3, 4);
    let shares: Vec<Share> = holders.iter().map(|holder| dealing.share_of(holder).unwrap()).collect();
    let mut collector = Collector::new(dealing, 0, 1_000);
    assert!(matches!(collector.step(0), Step::Ask(whom) if whom == [0, 1, 2, 3]));
    assert!(collector.gave(0, shares[0].clone()) && collector.gave(1, shares[1].clone()));
    collector.gave_nonsense(2);
    collector.refused(3, "its measurement is not allowed".to_owned());
    let Step::Failed(error) = collector.step(1) else { panic!("two of three") };
    let text = error.to_string();
    assert!(text.contains("2 of 3 shares") && text.contains("holder 3: gave something else"), "{text}");
    assert!(text.contains("holder 4: its measurement is not allowed"), "{text}");
    assert_eq!(collector.liars().collect::<Vec<_>>(), ["holder 3"]);
}
