//! The insurance pool and what is paid out of it.

use rand::Rng;

use crate::objects;
use crate::world::{Arg, actor, clock, pure};
use crate::{Expect, Play};

pub(crate) struct Payout {
    number: u64,
    amount: u64,
    recipient: usize,
    pub(crate) ripe_ms: u64,
    gone: bool,
}

pub(crate) fn step(play: &mut Play) {
    let (cap, caller) = play.any_cap();
    let works = play.caps[cap].works(caller, play.world.now);
    let (insurance, governance) = (play.world.insurance, play.world.governance);
    let admin = [Arg::Object(insurance), Arg::Read(governance), Arg::Object(play.caps[cap].id)];
    let amount = play.dice.random_range(0..3_000u64);
    let live: Vec<usize> = (0..play.payouts.len()).filter(|index| !play.payouts[*index].gone).collect();
    let at = play.pick(live.len()).map(|index| live[index]);
    // One that is paid or cancelled is tried again, too, and it is known at once whether that is possible.
    let at = if play.chance(35) { play.pick_late(play.payouts.len()) } else { at };
    match (play.dice.random_range(0..5), at) {
        (0, _) => {
            let arguments = vec![Arg::Object(insurance), Arg::Coin(amount)];
            let done = play.world.call(caller, "insurance", "donate", arguments);
            play.judge(&format!("{caller} donates {amount}"), Expect::when(amount > 0), &done);
        }
        (1, Some(at)) => {
            let arguments = [&admin[..], &[pure(&play.payouts[at].number), clock()]].concat();
            let done = play.world.call(caller, "insurance", "cancel_payout", arguments);
            let expect = Expect::when(works && !play.payouts[at].gone);
            play.judge(&format!("payout {at} is cancelled"), expect, &done);
            play.payouts[at].gone |= done.ok();
        }
        (2..4, Some(at)) => {
            let before: objects::Insurance = play.world.read(insurance).unwrap();
            let Payout { number, amount, recipient, ripe_ms, gone } = play.payouts[at];
            let allowed = works && !gone && play.world.now >= ripe_ms && before.balance >= amount;
            let arguments = [&admin[..], &[pure(&number), clock()]].concat();
            let done = play.world.call(caller, "insurance", "pay", arguments);
            play.judge(&format!("payout {at} of {amount} is paid"), Expect::when(allowed), &done);
            if done.ok() {
                assert_eq!(done.received[recipient], i128::from(amount));
                play.payouts[at].gone = true;
            }
        }
        _ => {
            let recipient = play.actor();
            let arguments = [&admin[..], &[pure(&amount), pure(&actor(recipient)), clock()]].concat();
            let room = live.len() < 16;
            let done = play.world.call(caller, "insurance", "propose_payout", arguments);
            play.judge(
                &format!("a payout of {amount} is proposed"),
                Expect::when(works && amount > 0 && room),
                &done,
            );
            if done.ok() {
                let insurance: objects::Insurance = play.world.read(insurance).unwrap();
                let number = insurance.payouts[insurance.payouts.len() - 1].number;
                let ripe_ms = play.world.now + play.rules.timelock_ms;
                play.payouts.push(Payout { number, amount, recipient, ripe_ms, gone: false });
            }
        }
    }
}
