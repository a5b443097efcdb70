//! Random sequences of calls by several wallets on the published bytecode, against a model that foretells
//! every outcome: which call is refused and with which code, and where every MIST is.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "sequences/model.rs"]
mod model;
mod support;

use std::collections::BTreeSet;
use std::time::Duration;

use chain::{
    Address, Config, Draft, Error, Event, Keypair, SealToken, Stake, Tier, TierTerms, TokenPath,
    possession_message,
};
use model::{Model, Move, Outcome, WALLETS};
use proptest::prelude::*;
use support::{SUI, World, wallet};

/// Clock steps and the model's durations never come near each other, so that the test's own running time
/// decides nothing.
const STEP_MS: u64 = 20 * 60_000;

fn config(minimum: u64) -> Config {
    let tiers = [(minimum, 310), (10 * minimum, 10), (100 * minimum, 150)]
        .map(|(minimum, minutes)| TierTerms { minimum, lock_ms: minutes * 60_000 });
    Config { tiers: tiers.to_vec(), unbonding_ms: 30 * 60_000, token_lifetime_ms: 110 * 60_000 }
}

struct Play {
    world: World,
    wallets: Vec<Keypair>,
    balances: Vec<u64>,
    model: Model,
    /// On-chain ids of the model's stakes and of their tokens.
    stakes: Vec<Address>,
    tokens: Vec<Option<Address>>,
}

impl Play {
    async fn start() -> Play {
        let world = World::start().await;
        let mut wallets = Vec::new();
        for _ in 0..WALLETS {
            wallets.push(wallet(&world.chain, 10 * SUI).await);
        }
        let config = config(100);
        world.run(&world.operator, &world.calls.set_config(world.cluster.id, world.admin, &config)).await;
        let balances = vec![10 * SUI; WALLETS];
        Play { world, wallets, balances, model: Model::new(config), stakes: vec![], tokens: vec![] }
    }

    fn path(&self, slot: usize) -> Option<TokenPath> {
        let token = self.tokens[slot]?;
        Some(TokenPath { token, stake: self.stakes[slot], cluster: self.world.cluster.id })
    }

    /// Who calls what; nothing for a move on a token that there never was.
    fn draft(&self, step: &Move) -> Option<(&Keypair, Draft)> {
        let (calls, cluster, admin) = (&self.world.calls, &self.world.cluster, self.world.admin);
        let draft = match step {
            Move::Stake { tier, amount, .. } => calls.stake(cluster.id, *tier, *amount),
            Move::TopUp { slot, amount, .. } => calls.top_up(self.stakes[*slot], *amount),
            Move::Request { slot, .. } => calls.request_unstake(self.stakes[*slot], cluster.id),
            Move::Withdraw { slot, .. } => calls.withdraw(self.stakes[*slot], cluster.names),
            Move::Issue { slot, name, .. } => {
                calls.issue_token(self.stakes[*slot], cluster.id, cluster.names, &[1; 32], name)
            }
            Move::Reissue { slot, .. } => calls.reissue_token(self.path(*slot)?, &[2; 32]),
            Move::Renew { slot, .. } => calls.renew_token(self.path(*slot)?),
            Move::Rotate { slot, ahead, .. } => {
                let (path, key) = (self.path(*slot)?, Keypair::generate().unwrap());
                let generation = self.model.generation(*slot) + ahead;
                let message = possession_message(path.token, generation, &key.public_key()).unwrap();
                calls.rotate_key(path, &key.public_key(), &key.sign(&message))
            }
            Move::Revoke { slot, .. } => calls.revoke_token(self.tokens[*slot]?),
            Move::Bar { slot } => calls.revoke_token_by_governance(self.tokens[*slot]?, admin),
            Move::SetMinimum { minimum } => calls.set_config(cluster.id, admin, &config(*minimum)),
            Move::Advance { .. } => return None,
        };
        Some((step.wallet().map_or(&self.world.operator, |wallet| &self.wallets[wallet]), draft))
    }

    async fn step(&mut self, step: &Move) {
        if let Move::Advance { steps } = step {
            self.world.chain.advance_clock(Duration::from_millis(steps * STEP_MS)).await.unwrap();
            return;
        }
        let Some((wallet, draft)) = self.draft(step) else { return };
        let wallet_address = wallet.address();
        let outcome = self.world.client.execute(wallet, &draft).await;
        let now_ms = self.world.chain.node().ledger().timestamp_ms();
        let due = match step {
            Move::SetMinimum { minimum } => self.model.set_config(config(*minimum)),
            step => self.model.play(step, now_ms),
        };
        match (&due, outcome) {
            (Outcome::Refused(code), Err(Error::Refused(refusal))) => {
                assert_eq!(format!("{}::{}", refusal.module, refusal.name.unwrap_or("?")), *code, "{step:?}");
            }
            (Outcome::Gone, Err(error)) if error.is_not_found() => {}
            (Outcome::Done { paid, received }, Ok(receipt)) => {
                if let Some(wallet) = step.wallet() {
                    let expected = i128::from(self.balances[wallet]) - i128::from(*paid)
                        + i128::from(*received)
                        - i128::from(receipt.gas().net_gas_usage());
                    self.balances[wallet] = u64::try_from(expected).unwrap();
                }
                for event in receipt.events_of(self.world.package()) {
                    match event {
                        Event::Staked(staked) => {
                            let lock_ms = self.model.config.terms(staked.tier).unwrap().lock_ms;
                            assert_eq!(staked.locked_until_ms, staked.staked_ms + lock_ms);
                            self.model.stays_until(self.stakes.len(), staked.locked_until_ms);
                            self.stakes.push(staked.stake);
                            self.tokens.push(None);
                        }
                        Event::TokenIssued(issued) => {
                            let slot = self.stakes.iter().position(|stake| *stake == issued.stake).unwrap();
                            self.tokens[slot] = Some(issued.token);
                        }
                        Event::UnstakeRequested(asked) => {
                            let slot = self.stakes.iter().position(|stake| *stake == asked.stake).unwrap();
                            let unbonded = asked.unbonding_ms + self.model.config.unbonding_ms;
                            assert_eq!(asked.locked_until_ms, self.model.stays(slot).max(unbonded));
                            self.model.stays_until(slot, asked.locked_until_ms);
                        }
                        _ => {}
                    }
                }
            }
            (due, outcome) => panic!("{step:?}: {due:?} is due, not {outcome:?}"),
        }
        if let Some(wallet) = step.wallet() {
            // A call that was refused has cost nothing, not even gas.
            let balance = self.world.client.balance(wallet_address).await.unwrap();
            assert_eq!(balance, self.balances[wallet], "{step:?}");
        }
    }

    /// The chain, the state folded from its events and the model say the same.
    async fn compare(&self) {
        let (client, package) = (&self.world.client, self.world.package());
        let state = self.world.state().await;
        let mut names = BTreeSet::new();
        let mut locked = 0;
        for (slot, id) in self.stakes.iter().enumerate() {
            let Some(expected) = self.model.stake(slot) else {
                assert!(client.read::<Stake>(package, *id).await.unwrap_err().is_not_found());
                assert!(!state.stakes.contains_key(id));
                continue;
            };
            let stake: Stake = client.read(package, *id).await.unwrap();
            assert_eq!(Some(&stake), state.stakes.get(id));
            assert_eq!(stake.amount, expected.amount);
            assert_eq!(stake.token, self.tokens[slot]);
            locked += stake.amount;
            if let Some(name) = &stake.node_name {
                assert!(names.insert(name.clone()), "two stakes have the name {name}");
            }
            if let Some(token) = stake.token {
                let token: SealToken = client.read(package, token).await.unwrap();
                assert_eq!(token.stake, *id);
                assert_eq!((token.generation, token.revoked, token.barred), expected.token_state().unwrap());
                assert_eq!(Some(&token), state.tokens.get(&token.id));
            }
        }
        assert_eq!(locked, self.model.locked(), "every MIST that was paid in and not paid out is locked");
    }
}

fn step() -> impl Strategy<Value = Move> {
    let wallet = 0..WALLETS;
    let slot = 0..6usize;
    let on = (wallet.clone(), slot.clone());
    let tier = prop_oneof![Just(Tier::Node), Just(Tier::User), Just(Tier::Admin)];
    let name = prop_oneof![Just(""), Just("a"), Just("b"), Just("c"), Just("Not-A-Label")];
    // Around the minimums that the tiers have in turn.
    prop_oneof![
        3 => (wallet, tier, 60u64..250).prop_map(|(wallet, tier, amount)| {
            Move::Stake { wallet, tier, amount: amount * 10u64.pow(tier.index().into()) }
        }),
        2 => (on.clone(), 0u64..500)
            .prop_map(|((wallet, slot), amount)| Move::TopUp { wallet, slot, amount }),
        2 => on.clone().prop_map(|(wallet, slot)| Move::Request { wallet, slot }),
        4 => on.clone().prop_map(|(wallet, slot)| Move::Withdraw { wallet, slot }),
        4 => (on.clone(), name).prop_map(|((wallet, slot), name)| Move::Issue { wallet, slot, name }),
        2 => on.clone().prop_map(|(wallet, slot)| Move::Reissue { wallet, slot }),
        2 => on.clone().prop_map(|(wallet, slot)| Move::Renew { wallet, slot }),
        2 => (on.clone(), 0u64..3).prop_map(|((wallet, slot), ahead)| Move::Rotate { wallet, slot, ahead }),
        1 => on.prop_map(|(wallet, slot)| Move::Revoke { wallet, slot }),
        1 => slot.prop_map(|slot| Move::Bar { slot }),
        2 => (50u64..200).prop_map(|minimum| Move::SetMinimum { minimum }),
        4 => (1u64..5).prop_map(|steps| Move::Advance { steps }),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 16, max_shrink_iters: 200, ..ProptestConfig::default() })]

    #[test]
    fn the_contracts_do_what_the_model_says(steps in proptest::collection::vec(step(), 100..200)) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let mut play = Play::start().await;
            for step in &steps {
                // Most moves are by the owner; a slot that is not there yet is the last one that is.
                let Some(step) = play.model.aim(step) else { continue };
                play.step(&step).await;
            }
            play.compare().await;
            play.world.chain.shutdown().await;
        });
    }
}
