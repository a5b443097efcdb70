use sui_sdk_types::Address;

use super::Calls;
use crate::Draft;

const MODULE: &str = "usage";

impl Calls {
    /// `usage::open`: opens an escrow of `mist` MIST for so many units. Look for
    /// [`Event::EscrowOpened`](crate::Event::EscrowOpened).
    pub fn open_escrow(&self, cluster: Address, governance: Address, units: u64, mist: u64) -> Draft {
        self.entry(MODULE, "open").read(cluster).read(governance).pure(&units).coin(mist).at_now()
    }

    /// `usage::top_up`: adds `mist` MIST to an escrow.
    pub fn top_up_escrow(&self, escrow: Address, governance: Address, mist: u64) -> Draft {
        self.entry(MODULE, "top_up").write(escrow).read(governance).coin(mist).at_now()
    }

    /// `usage::settle`: pays for the use so far.
    pub fn settle(&self, escrow: Address, governance: Address) -> Draft {
        self.entry(MODULE, "settle").write(escrow).read(governance).at_now()
    }

    /// `usage::withdraw`: takes `mist` MIST out that are not needed to stay ahead.
    pub fn withdraw_escrow(&self, escrow: Address, governance: Address, mist: u64) -> Draft {
        self.entry(MODULE, "withdraw").write(escrow).read(governance).pure(&mist).at_now()
    }

    /// `usage::resize`: changes the number of units, at the cluster's present price.
    pub fn resize(&self, escrow: Address, governance: Address, units: u64) -> Draft {
        self.entry(MODULE, "resize").write(escrow).read(governance).pure(&units).at_now()
    }

    /// `usage::reprice`: brings an escrow to the cluster's present price.
    pub fn reprice(&self, escrow: Address, governance: Address) -> Draft {
        self.entry(MODULE, "reprice").write(escrow).read(governance).at_now()
    }

    /// `usage::collect`: brings what was used to the reward pool.
    pub fn collect(&self, escrow: Address, pool: Address) -> Draft {
        self.entry(MODULE, "collect").write(escrow).write(pool).draft()
    }

    /// `usage::close`: ends an escrow; the rest goes back to its owner.
    pub fn close_escrow(&self, escrow: Address, pool: Address, governance: Address) -> Draft {
        self.entry(MODULE, "close").write(escrow).write(pool).read(governance).at_now()
    }
}
