//! What the contracts promise, written down a second time in the simplest form.

use std::collections::BTreeMap;

use chain::{Config, Tier};

/// Wallets that play.
pub(crate) const WALLETS: usize = 3;

/// One call. `slot` counts the stakes in the order they were made.
#[derive(Clone, Debug)]
pub(crate) enum Move {
    Stake {
        wallet: usize,
        tier: Tier,
        amount: u64,
    },
    TopUp {
        wallet: usize,
        slot: usize,
        amount: u64,
    },
    Request {
        wallet: usize,
        slot: usize,
    },
    Withdraw {
        wallet: usize,
        slot: usize,
    },
    Issue {
        wallet: usize,
        slot: usize,
        name: &'static str,
    },
    Reissue {
        wallet: usize,
        slot: usize,
    },
    Renew {
        wallet: usize,
        slot: usize,
    },
    /// `ahead` is one for the generation that the new key has to sign.
    Rotate {
        wallet: usize,
        slot: usize,
        ahead: u64,
    },
    Revoke {
        wallet: usize,
        slot: usize,
    },
    Bar {
        slot: usize,
    },
    SetMinimum {
        minimum: u64,
    },
    Advance {
        steps: u64,
    },
}

impl Move {
    /// Who calls; the operator where it says nobody.
    pub(crate) fn wallet(&self) -> Option<usize> {
        match self {
            Move::Stake { wallet, .. }
            | Move::TopUp { wallet, .. }
            | Move::Request { wallet, .. }
            | Move::Withdraw { wallet, .. }
            | Move::Issue { wallet, .. }
            | Move::Reissue { wallet, .. }
            | Move::Renew { wallet, .. }
            | Move::Rotate { wallet, .. }
            | Move::Revoke { wallet, .. } => Some(*wallet),
            Move::Bar { .. } | Move::SetMinimum { .. } | Move::Advance { .. } => None,
        }
    }

    fn target(&mut self) -> Option<(Option<&mut usize>, &mut usize)> {
        match self {
            Move::TopUp { wallet, slot, .. }
            | Move::Request { wallet, slot }
            | Move::Withdraw { wallet, slot }
            | Move::Issue { wallet, slot, .. }
            | Move::Reissue { wallet, slot }
            | Move::Renew { wallet, slot }
            | Move::Rotate { wallet, slot, .. }
            | Move::Revoke { wallet, slot } => Some((Some(wallet), slot)),
            Move::Bar { slot } => Some((None, slot)),
            Move::Stake { .. } | Move::SetMinimum { .. } | Move::Advance { .. } => None,
        }
    }
}

/// What a call comes to.
#[derive(Debug)]
pub(crate) enum Outcome {
    /// It took effect: MIST that the wallet paid in and got back.
    Done { paid: u64, received: u64 },
    /// It is refused with this code.
    Refused(&'static str),
    /// The stake is no more.
    Gone,
}

const DONE: Outcome = Outcome::Done { paid: 0, received: 0 };

#[derive(Debug)]
pub(crate) struct ModelStake {
    owner: usize,
    tier: Tier,
    pub(crate) amount: u64,
    /// The money stays until then.
    until_ms: u64,
    unbonding: bool,
    generation: u64,
    token: Option<ModelToken>,
    withdrawn: bool,
}

impl ModelStake {
    /// Generation, revoked, barred.
    pub(crate) fn token_state(&self) -> Option<(u64, bool, bool)> {
        self.token.as_ref().map(|token| (self.generation, token.revoked, token.barred))
    }
}

#[derive(Debug)]
struct ModelToken {
    expires_ms: u64,
    revoked: bool,
    barred: bool,
}

pub(crate) struct Model {
    pub(crate) config: Config,
    stakes: Vec<ModelStake>,
    names: BTreeMap<&'static str, usize>,
    paid_in: u64,
    paid_out: u64,
}

impl Model {
    pub(crate) fn new(config: Config) -> Model {
        Model { config, stakes: Vec::new(), names: BTreeMap::new(), paid_in: 0, paid_out: 0 }
    }

    pub(crate) fn stake(&self, slot: usize) -> Option<&ModelStake> {
        self.stakes.get(slot).filter(|stake| !stake.withdrawn)
    }

    pub(crate) fn generation(&self, slot: usize) -> u64 {
        self.stakes[slot].generation
    }

    pub(crate) fn locked(&self) -> u64 {
        self.paid_in - self.paid_out
    }

    /// Until when the money of a stake stays, as the caller has checked it.
    pub(crate) fn stays_until(&mut self, slot: usize, until_ms: u64) {
        self.stakes[slot].until_ms = until_ms;
    }

    pub(crate) fn stays(&self, slot: usize) -> u64 {
        self.stakes[slot].until_ms
    }

    pub(crate) fn set_config(&mut self, config: Config) -> Outcome {
        self.config = config;
        DONE
    }

    /// The move with a slot that exists, and by its owner unless the wallet drawn is the last one.
    pub(crate) fn aim(&self, step: &Move) -> Option<Move> {
        let mut step = step.clone();
        if let Some((wallet, slot)) = step.target() {
            *slot = (*slot).min(self.stakes.len().checked_sub(1)?);
            if let Some(wallet) = wallet
                && *wallet != WALLETS - 1
            {
                *wallet = self.stakes[*slot].owner;
            }
        }
        Some(step)
    }

    /// What comes of a call at `now_ms`.
    pub(crate) fn play(&mut self, step: &Move, now_ms: u64) -> Outcome {
        self.try_play(step, now_ms).unwrap_or_else(|refusal| refusal)
    }

    fn try_play(&mut self, step: &Move, now_ms: u64) -> Result<Outcome, Outcome> {
        let expires_ms = now_ms + self.config.token_lifetime_ms;
        match *step {
            Move::Stake { wallet, tier, amount } => {
                let terms = self.config.terms(tier).unwrap();
                refuse(amount < terms.minimum, "staking::ETooSmall")?;
                self.stakes.push(ModelStake {
                    owner: wallet,
                    tier,
                    amount,
                    until_ms: 0,
                    unbonding: false,
                    generation: 0,
                    token: None,
                    withdrawn: false,
                });
                self.paid_in += amount;
                return Ok(Outcome::Done { paid: amount, received: 0 });
            }
            Move::TopUp { wallet, slot, amount } => {
                let stake = self.owned(wallet, slot)?;
                refuse(stake.unbonding, "staking::EUnbonding")?;
                stake.amount += amount;
                self.paid_in += amount;
                return Ok(Outcome::Done { paid: amount, received: 0 });
            }
            Move::Request { wallet, slot } => {
                let stake = self.owned(wallet, slot)?;
                refuse(stake.unbonding, "staking::EUnbonding")?;
                stake.unbonding = true;
            }
            Move::Withdraw { wallet, slot } => {
                let stake = self.owned(wallet, slot)?;
                refuse(!stake.unbonding, "staking::ENotUnbonding")?;
                refuse(now_ms < stake.until_ms, "staking::ELocked")?;
                stake.withdrawn = true;
                let received = stake.amount;
                self.paid_out += received;
                self.names.retain(|_, holder| *holder != slot);
                return Ok(Outcome::Done { paid: 0, received });
            }
            Move::Issue { wallet, slot, name } => {
                self.covered(wallet, slot)?;
                let stake = &self.stakes[slot];
                refuse(stake.token.is_some(), "seal_token::ELiveToken")?;
                if stake.tier == Tier::Node {
                    refuse(!["a", "b", "c"].contains(&name), "seal_token::EBadName")?;
                    refuse(self.names.contains_key(name), "k8s_gateway::ENameTaken")?;
                    self.names.insert(name, slot);
                } else {
                    refuse(!name.is_empty(), "seal_token::ENotANode")?;
                }
                let stake = &mut self.stakes[slot];
                stake.generation = 1;
                stake.token = Some(ModelToken { expires_ms, revoked: false, barred: false });
            }
            Move::Reissue { wallet, slot } => {
                self.covered(wallet, slot)?;
                let (stake, token) = self.token(slot);
                refuse(token.barred, "seal_token::EBarred")?;
                refuse(!token.revoked && now_ms < token.expires_ms, "seal_token::ELiveToken")?;
                *token = ModelToken { expires_ms, revoked: false, barred: false };
                *stake += 1;
            }
            Move::Renew { wallet, slot } => {
                self.live(wallet, slot, now_ms)?.expires_ms = expires_ms;
            }
            Move::Rotate { wallet, slot, ahead } => {
                self.live(wallet, slot, now_ms)?;
                refuse(ahead != 1, "seal_token::EBadSignature")?;
                self.stakes[slot].generation += 1;
            }
            Move::Revoke { wallet, slot } => {
                // A token outlives its stake and can still be revoked.
                refuse(self.stakes[slot].owner != wallet, "seal_token::EWrongStake")?;
                let (_, token) = self.token(slot);
                refuse(token.revoked, "seal_token::ERevoked")?;
                token.revoked = true;
            }
            Move::Bar { slot } => {
                let (_, token) = self.token(slot);
                refuse(token.barred, "seal_token::EBarred")?;
                (token.revoked, token.barred) = (true, true);
            }
            Move::SetMinimum { .. } | Move::Advance { .. } => unreachable!("no call of a stake"),
        }
        Ok(DONE)
    }

    fn owned(&mut self, wallet: usize, slot: usize) -> Result<&mut ModelStake, Outcome> {
        let stake = &mut self.stakes[slot];
        if stake.withdrawn {
            return Err(Outcome::Gone);
        }
        refuse(stake.owner != wallet, "staking::ENotOwner")?;
        Ok(stake)
    }

    fn covered(&mut self, wallet: usize, slot: usize) -> Result<(), Outcome> {
        let stake = self.owned(wallet, slot)?;
        let (unbonding, amount, tier) = (stake.unbonding, stake.amount, stake.tier);
        refuse(unbonding, "staking::EUnbonding")?;
        refuse(amount < self.config.terms(tier).unwrap().minimum, "staking::ETooSmall")
    }

    fn live(&mut self, wallet: usize, slot: usize, now_ms: u64) -> Result<&mut ModelToken, Outcome> {
        self.covered(wallet, slot)?;
        let (_, token) = self.token(slot);
        refuse(token.revoked, "seal_token::ERevoked")?;
        refuse(now_ms >= token.expires_ms, "seal_token::EExpired")?;
        Ok(token)
    }

    /// The stake's generation and its token, which is there.
    fn token(&mut self, slot: usize) -> (&mut u64, &mut ModelToken) {
        let stake = &mut self.stakes[slot];
        (&mut stake.generation, stake.token.as_mut().unwrap())
    }
}

fn refuse(when: bool, code: &'static str) -> Result<(), Outcome> {
    if when { Err(Outcome::Refused(code)) } else { Ok(()) }
}
