use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use sui_sdk_types::Address;

use crate::{
    Anchor, Case, Economics, Epoch, Escrow, Event, Insurance, Payout, PendingEconomics, Pool, Shard, Stake,
};

/// Version of every object that the contracts make today.
const VERSION: u64 = 1;
/// Reason of `slashing` whose time is not judged.
const TAMPERING: u8 = 3;

/// What the events say about a cluster's money, and about how far its state is anchored.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Money {
    /// What its money is held to.
    pub economics: Option<Economics>,
    /// What follows when the timelock is over.
    pub pending: Option<PendingEconomics>,
    /// Capabilities that are offered, and to whom.
    pub offers: BTreeMap<Address, Address>,
    /// The reward pool.
    pub pool: Option<Pool>,
    /// The insurance pool.
    pub insurance: Option<Insurance>,
    /// Epochs of rewards by id, until they are swept.
    pub epochs: BTreeMap<Address, Epoch>,
    /// Shards of rewards by id, until they are swept.
    pub shards: BTreeMap<Address, Shard>,
    /// Escrows by id, until they are closed.
    pub escrows: BTreeMap<Address, Escrow>,
    /// Penalties by id, until they are executed or void.
    pub cases: BTreeMap<Address, Case>,
    /// The anchor of sealed state.
    pub anchor: Option<Anchor>,
}

impl Money {
    /// `None` when the event speaks of something that is not there, or of nothing of ours.
    pub(crate) fn fold(&mut self, event: &Event, stakes: &mut BTreeMap<Address, Stake>) -> Option<()> {
        self.fold_governance(event)
            .or_else(|| self.fold_rewards(event))
            .or_else(|| self.fold_insurance(event))
            .or_else(|| self.fold_usage(event))
            .or_else(|| self.fold_slashing(event, stakes))
            .or_else(|| self.fold_anchor(event))
    }

    /// Where the version of an object is kept, when it is one of these.
    pub(crate) fn version_of(&mut self, object: Address) -> Option<&mut u64> {
        let pool = self.pool.as_mut().filter(|one| one.id == object).map(|one| &mut one.version);
        let insurance = self.insurance.as_mut().filter(|one| one.id == object).map(|one| &mut one.version);
        let anchor = self.anchor.as_mut().filter(|one| one.id == object).map(|one| &mut one.version);
        pool.or(insurance)
            .or(anchor)
            .or(self.epochs.get_mut(&object).map(|one| &mut one.version))
            .or(self.shards.get_mut(&object).map(|one| &mut one.version))
            .or(self.escrows.get_mut(&object).map(|one| &mut one.version))
            .or(self.cases.get_mut(&object).map(|one| &mut one.version))
    }

    fn fold_governance(&mut self, event: &Event) -> Option<()> {
        match event {
            Event::CapOffered(e) => {
                self.offers.insert(e.cap, e.recipient);
            }
            Event::CapOfferWithdrawn(e) => {
                self.offers.remove(&e.cap)?;
            }
            Event::EconomicsProposed(e) => {
                let pending = PendingEconomics { economics: e.economics.clone(), ripe_ms: e.ripe_ms };
                self.pending = Some(pending);
            }
            Event::EconomicsCancelled(_) => {
                self.pending.take()?;
            }
            Event::EconomicsChanged(e) => {
                self.pending = None;
                self.economics = Some(e.economics.clone());
            }
            _ => return None,
        }
        Some(())
    }

    fn fold_rewards(&mut self, event: &Event) -> Option<()> {
        match event {
            Event::PoolCreated(e) => {
                self.pool = Some(Pool {
                    id: e.pool,
                    version: VERSION,
                    cluster: e.cluster,
                    balance: 0,
                    epoch: 0,
                    until_ms: 0,
                });
            }
            Event::PoolFunded(e) => self.pool.as_mut()?.balance = e.balance,
            Event::EpochPosted(e) => {
                let pool = self.pool.as_mut()?;
                pool.balance = pool.balance.checked_sub(e.budget)?;
                (pool.epoch, pool.until_ms) = (e.number, e.to_ms);
                let epoch = Epoch {
                    id: e.epoch,
                    version: VERSION,
                    cluster: e.cluster,
                    number: e.number,
                    root: e.root.clone(),
                    weight: e.weight,
                    budget: e.budget,
                    balance: e.budget,
                    opened_weight: 0,
                    opened: [0; 32],
                    deadline_ms: e.deadline_ms,
                };
                self.epochs.insert(e.epoch, epoch);
            }
            Event::ShardOpened(e) => {
                let epoch = self.epochs.get_mut(&e.epoch)?;
                epoch.balance = epoch.balance.checked_sub(e.amount)?;
                epoch.opened_weight = epoch.opened_weight.checked_add(e.weight)?;
                set_bit(&mut epoch.opened, e.index);
                let shard = Shard {
                    id: e.shard,
                    version: VERSION,
                    cluster: e.cluster,
                    epoch: e.epoch,
                    number: epoch.number,
                    root: e.root.clone(),
                    weight: epoch.weight,
                    budget: epoch.budget,
                    balance: e.amount,
                    claimed: [0; 32],
                    deadline_ms: epoch.deadline_ms,
                };
                self.shards.insert(e.shard, shard);
            }
            Event::Claimed(e) => {
                let shard = self.shards.get_mut(&e.shard)?;
                shard.balance = shard.balance.checked_sub(e.amount)?;
                set_bit(&mut shard.claimed, e.index);
            }
            Event::ShardSwept(e) => {
                self.shards.remove(&e.shard)?;
            }
            Event::EpochSwept(e) => {
                self.epochs.remove(&e.epoch)?;
            }
            _ => return None,
        }
        Some(())
    }

    fn fold_insurance(&mut self, event: &Event) -> Option<()> {
        match event {
            Event::InsuranceCreated(e) => {
                self.insurance = Some(Insurance {
                    id: e.insurance,
                    version: VERSION,
                    cluster: e.cluster,
                    balance: 0,
                    payouts: Vec::new(),
                    next: 0,
                });
            }
            Event::InsuranceFunded(e) => self.insurance.as_mut()?.balance = e.balance,
            Event::PayoutProposed(e) => {
                let insurance = self.insurance.as_mut()?;
                insurance.next = e.number.checked_add(1)?;
                insurance.payouts.push(Payout {
                    number: e.number,
                    amount: e.amount,
                    recipient: e.recipient,
                    ripe_ms: e.ripe_ms,
                });
            }
            Event::PayoutCancelled(e) => self.end_payout(e.number)?,
            Event::PaidOut(e) => {
                self.end_payout(e.number)?;
                self.insurance.as_mut()?.balance = e.balance;
            }
            _ => return None,
        }
        Some(())
    }

    fn end_payout(&mut self, number: u64) -> Option<()> {
        let payouts = &mut self.insurance.as_mut()?.payouts;
        let at = payouts.iter().position(|payout| payout.number == number)?;
        payouts.remove(at);
        Some(())
    }

    fn fold_usage(&mut self, event: &Event) -> Option<()> {
        match event {
            Event::EscrowOpened(e) => {
                let escrow = Escrow {
                    id: e.escrow,
                    version: VERSION,
                    cluster: e.cluster,
                    owner: e.owner,
                    units: e.units,
                    price: e.price,
                    balance: e.balance,
                    earned: 0,
                    settled_ms: e.settled_ms,
                    status: 0,
                };
                self.escrows.insert(e.escrow, escrow);
            }
            Event::EscrowChanged(e) => {
                let escrow = self.escrows.get_mut(&e.escrow)?;
                (escrow.units, escrow.price) = (e.units, e.price);
                (escrow.balance, escrow.earned) = (e.balance, e.earned);
                (escrow.settled_ms, escrow.status) = (e.settled_ms, e.status);
            }
            Event::UsageCollected(e) => self.escrows.get_mut(&e.escrow)?.earned = 0,
            Event::EscrowClosed(e) => {
                self.escrows.remove(&e.escrow)?;
            }
            _ => return None,
        }
        Some(())
    }

    fn fold_slashing(&mut self, event: &Event, stakes: &mut BTreeMap<Address, Stake>) -> Option<()> {
        match event {
            Event::SlashProposed(e) => {
                let stake = stakes.get_mut(&e.stake)?;
                let penalties = &mut stake.penalties;
                if penalties.period_ms != e.period_ms {
                    (penalties.period_ms, penalties.base, penalties.taken) = (e.period_ms, stake.amount, 0);
                }
                penalties.frozen = penalties.frozen.checked_add(e.amount)?;
                penalties.cases = penalties.cases.checked_add(1)?;
                penalties.taken = penalties.taken.checked_add(e.amount)?;
                let case = Case {
                    id: e.case,
                    version: VERSION,
                    cluster: e.cluster,
                    stake: e.stake,
                    owner: e.owner,
                    reason: e.reason,
                    amount: e.amount,
                    period_ms: e.period_ms,
                    reporter: e.reporter,
                    reporter_bps: e.reporter_bps,
                    extension_ms: e.extension_ms,
                    contested: false,
                    executes_ms: e.executes_ms,
                    lapses_ms: e.lapses_ms,
                };
                self.cases.insert(e.case, case);
            }
            Event::EvidenceShown(e) if e.evidence.reason == TAMPERING => {}
            Event::EvidenceShown(e) => {
                let judged = &mut stakes.get_mut(&e.evidence.stake)?.penalties.judged_ms;
                *judged.get_mut(usize::from(e.evidence.reason))? = e.evidence.to_ms;
            }
            Event::ContradictionShown(_) => {}
            Event::SlashContested(e) => {
                let case = self.cases.get_mut(&e.case)?;
                case.contested = true;
                (case.executes_ms, case.lapses_ms) = (e.executes_ms, e.lapses_ms);
            }
            Event::SlashExecuted(e) => {
                self.cases.remove(&e.case)?;
                let stake = stakes.get_mut(&e.stake)?;
                stake.amount = e.left;
                stake.penalties.frozen = stake.penalties.frozen.checked_sub(e.amount)?;
                stake.penalties.cases = stake.penalties.cases.checked_sub(1)?;
            }
            Event::SlashDropped(e) => {
                let case = self.cases.remove(&e.case)?;
                let penalties = &mut stakes.get_mut(&e.stake)?.penalties;
                penalties.frozen = penalties.frozen.checked_sub(e.amount)?;
                penalties.cases = penalties.cases.checked_sub(1)?;
                if penalties.period_ms == case.period_ms {
                    penalties.taken = penalties.taken.checked_sub(e.amount)?;
                }
            }
            _ => return None,
        }
        Some(())
    }

    fn fold_anchor(&mut self, event: &Event) -> Option<()> {
        match event {
            Event::AnchorCreated(e) => {
                self.anchor = Some(Anchor {
                    id: e.anchor,
                    version: VERSION,
                    cluster: e.cluster,
                    revision: 0,
                    state_root: Vec::new(),
                    log_hash: Vec::new(),
                    blob: Vec::new(),
                    key_epoch: 0,
                    enclave: None,
                    anchored_ms: 0,
                });
            }
            Event::Anchored(e) => {
                let anchor = self.anchor.as_mut()?;
                (anchor.revision, anchor.key_epoch) = (e.revision, e.key_epoch);
                anchor.state_root = e.state_root.clone();
                anchor.log_hash = e.log_hash.clone();
                anchor.blob = e.blob.clone();
                (anchor.enclave, anchor.anchored_ms) = (Some(e.enclave), e.anchored_ms);
            }
            // The anchor stays as it is.
            Event::OpenedUnanchored(_) | Event::SecretSealed(_) => {
                self.anchor.as_ref()?;
            }
            _ => return None,
        }
        Some(())
    }
}

/// Sets a bit of a `u256`, which BCS writes with its lowest byte first.
fn set_bit(bits: &mut [u8; 32], index: u8) {
    bits[usize::from(index / 8)] |= 1 << (index % 8);
}
