//! The life of a seal token after it was issued.

use rand::Rng;
use sui_sdk_types::Address;

use crate::objects;
use crate::world::{Arg, DAY_MS, clock, key, public, pure, sign};
use crate::{Expect, Play};

const INTENT_POSSESSION: u8 = 2;
const LIFETIME_MS: u64 = 30 * DAY_MS;
/// Apart from the seed of a stake's first key is that of its second.
pub(crate) const SECOND_KEY: u8 = 0x40;

/// A stake's one token.
pub(crate) struct Token {
    pub(crate) id: Address,
    pub(crate) expires_ms: u64,
    generation: u64,
    revoked: bool,
    barred: bool,
}

impl Token {
    pub(crate) fn issued(id: Address, now: u64) -> Self {
        Self { id, expires_ms: now + LIFETIME_MS, generation: 1, revoked: false, barred: false }
    }

    fn is_live(&self, now: u64) -> bool {
        !self.revoked && now < self.expires_ms
    }
}

/// Something is done to the token of the stake `at`.
pub(crate) fn step(play: &mut Play, at: usize) {
    let stake = &play.stakes[at];
    let Some(token) = &stake.token else { return };
    let now = play.world.now;
    let (id, live, generation, barred) = (token.id, token.is_live(now), token.generation, token.barred);
    let ended = token.revoked || now >= token.expires_ms;
    let revoked = token.revoked;
    let minimum = play.rules.minimums[usize::from(stake.tier)];
    let covers = stake.asked_ms.is_none() && stake.amount() >= minimum;
    let caller = play.mostly(play.stakes[at].owner);
    // By another stake, sometimes.
    let by = if play.chance(10) { play.dice.random_range(0..play.stakes.len()) } else { at };
    let mine = caller == play.stakes[at].owner;
    let held = by == at && mine && covers;
    let stake = play.stakes[by].id;
    let cluster = Arg::Read(play.world.cluster);
    let token = Arg::Object(id);
    let new_key = play.stakes[at].key ^ if play.chance(70) { SECOND_KEY } else { 0 };
    let what = match play.dice.random_range(0..12) {
        0..4 => "renew",
        4..7 => "rotate_key",
        7..9 => "revoke",
        9 => "revoke_by_governance",
        _ => "reissue",
    };
    let (caller, arguments, allowed) = match what {
        "renew" => (caller, vec![token, Arg::Read(stake), cluster, clock()], held && live),
        "rotate_key" => {
            let honest = play.chance(80);
            let signer = if honest { new_key } else { new_key ^ 0x80 };
            let stated = (INTENT_POSSESSION, generation + 1, id, public(&key(new_key)));
            let signature = sign(&key(signer), &stated);
            let arguments = vec![
                token,
                Arg::Object(stake),
                cluster,
                pure(&public(&key(new_key))),
                pure(&signature),
                clock(),
            ];
            (caller, arguments, held && live && honest)
        }
        "revoke" => {
            let caller = if play.chance(40) { play.actor() } else { caller };
            (caller, vec![token], caller == play.stakes[at].owner && !revoked)
        }
        "revoke_by_governance" => {
            let (cap, caller) = play.any_cap();
            let admin = [Arg::Read(play.world.governance), Arg::Object(play.caps[cap].id), clock()];
            let allowed = play.caps[cap].works(caller, now) && !barred;
            (caller, [&[token][..], &admin].concat(), allowed)
        }
        _ => {
            let arguments = vec![token, Arg::Object(stake), cluster, pure(&public(&key(new_key))), clock()];
            (caller, arguments, held && ended && !barred)
        }
    };
    let done = play.world.call(caller, "seal_token", what, arguments);
    play.judge(&format!("{caller} calls {what} of the token of stake {at}"), Expect::when(allowed), &done);
    if !done.ok() {
        return;
    }
    let stake = &mut play.stakes[at];
    let token = stake.token.as_mut().unwrap();
    match what {
        "renew" => token.expires_ms = now + LIFETIME_MS,
        "rotate_key" => token.generation += 1,
        "reissue" => {
            token.generation += 1;
            token.expires_ms = now + LIFETIME_MS;
            token.revoked = false;
        }
        other => {
            token.revoked = true;
            token.barred |= other == "revoke_by_governance";
        }
    }
    if matches!(what, "rotate_key" | "reissue") {
        stake.key = new_key;
        stake.keys.insert(new_key);
    }
}

/// Tokens are what was made of them.
pub(crate) fn check(play: &Play) {
    for stake in play.stakes.iter().filter(|stake| !stake.gone) {
        let Some(known) = &stake.token else { continue };
        let token: objects::Token = play.world.read(known.id).unwrap();
        assert_eq!((token.revoked, token.barred), (known.revoked, known.barred));
        assert_eq!((token.expires_ms, token.generation), (known.expires_ms, known.generation));
        assert_eq!(token.public_key, public(&key(stake.key)), "the key that was proven last");
    }
}
