use sui_sdk_types::Address;

use super::Calls;
use crate::{ClaimProof, Draft, EnclaveStatement, ShardProof, Shares};

const MODULE: &str = "rewards";

impl Calls {
    /// `rewards::fund`: adds `mist` MIST to the reward pool.
    pub fn fund(&self, pool: Address, mist: u64) -> Draft {
        self.entry(MODULE, "fund").write(pool).coin(mist).draft()
    }

    /// `rewards::post_epoch`: posts the shares of an epoch. Look for
    /// [`Event::EpochPosted`](crate::Event::EpochPosted).
    pub fn post_epoch(
        &self,
        pool: Address,
        governance: Address,
        registry: Address,
        stated: &EnclaveStatement<Shares>,
    ) -> Draft {
        let shares = &stated.statement;
        self.entry(MODULE, "post_epoch")
            .write(pool)
            .read(governance)
            .read(registry)
            .write(stated.enclave)
            .pure(&shares.number)
            .pure(&shares.from_ms)
            .pure(&shares.to_ms)
            .pure(&shares.weight)
            .pure(&shares.root)
            .pure(&stated.timestamp_ms)
            .pure(&stated.signature)
            .at_now()
    }

    /// `rewards::open_shard`: opens a shard of an epoch for claims; anybody may. Look for
    /// [`Event::ShardOpened`](crate::Event::ShardOpened).
    pub fn open_shard(&self, epoch: Address, shard: &ShardProof) -> Draft {
        self.entry(MODULE, "open_shard")
            .write(epoch)
            .pure(&shard.index)
            .pure(&shard.weight)
            .pure(&shard.root)
            .pure(&shard.proof)
            .at_now()
    }

    /// `rewards::claim`: pays what a stake has earned to its owner; anybody may ask for it.
    pub fn claim(&self, shard: Address, claim: &ClaimProof) -> Draft {
        self.entry(MODULE, "claim")
            .write(shard)
            .pure(&claim.index)
            .pure(&claim.share.stake)
            .pure(&claim.share.owner)
            .pure(&claim.share.weight)
            .pure(&claim.proof)
            .at_now()
    }

    /// `rewards::sweep_shard`: gives what was not claimed back to the pool, after the deadline.
    pub fn sweep_shard(&self, shard: Address, pool: Address) -> Draft {
        self.entry(MODULE, "sweep_shard").write(shard).write(pool).at_now()
    }

    /// `rewards::sweep_epoch`: gives what no shard took back to the pool, after the deadline.
    pub fn sweep_epoch(&self, epoch: Address, pool: Address) -> Draft {
        self.entry(MODULE, "sweep_epoch").write(epoch).write(pool).at_now()
    }
}
