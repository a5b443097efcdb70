use sui_sdk_types::Address;

use super::{Calls, clock};
use crate::{Draft, Tier};

const MODULE: &str = "staking";

impl Calls {
    /// `staking::stake`: locks `mist` MIST of the wallet for a tier. Look for
    /// [`Event::Staked`](crate::Event::Staked).
    pub fn stake(&self, cluster: Address, tier: Tier, mist: u64) -> Draft {
        let mut draft = Draft::new();
        let coin = draft.split_gas(mist);
        let arguments = vec![draft.object(cluster), draft.pure(&tier.index()), coin, clock(&mut draft)];
        self.call(&mut draft, MODULE, "stake", arguments);
        draft
    }

    /// `staking::top_up`: adds `mist` MIST to a stake.
    pub fn top_up(&self, stake: Address, mist: u64) -> Draft {
        let mut draft = Draft::new();
        let coin = draft.split_gas(mist);
        let arguments = vec![draft.object_mut(stake), coin];
        self.call(&mut draft, MODULE, "top_up", arguments);
        draft
    }

    /// `staking::announce_maintenance`: says that the node is taken down from `from_ms` to `to_ms`, at most a day.
    pub fn announce_maintenance(&self, stake: Address, from_ms: u64, to_ms: u64) -> Draft {
        self.entry(MODULE, "announce_maintenance").read(stake).pure(&from_ms).pure(&to_ms).at_now()
    }

    /// `staking::request_unstake`: asks a stake back; its token is worth nothing at once.
    pub fn request_unstake(&self, stake: Address, cluster: Address) -> Draft {
        let mut draft = Draft::new();
        let arguments = vec![draft.object_mut(stake), draft.object(cluster), clock(&mut draft)];
        self.call(&mut draft, MODULE, "request_unstake", arguments);
        draft
    }

    /// `staking::withdraw`: takes the money of a stake whose time is over. `names` is the cluster's
    /// [`Names`](crate::Names) object.
    pub fn withdraw(&self, stake: Address, names: Address) -> Draft {
        let mut draft = Draft::new();
        let arguments = vec![draft.object_mut(stake), draft.object_mut(names), clock(&mut draft)];
        self.call(&mut draft, MODULE, "withdraw", arguments);
        draft
    }
}
