use sui_sdk_types::Address;

use super::{Admin, Calls};
use crate::Draft;

const MODULE: &str = "insurance";

impl Calls {
    /// `insurance::donate`: adds `mist` MIST to the insurance pool.
    pub fn donate(&self, insurance: Address, mist: u64) -> Draft {
        self.entry(MODULE, "donate").write(insurance).coin(mist).draft()
    }

    /// `insurance::propose_payout`: proposes to pay `mist` MIST to `recipient` when the timelock is over.
    pub fn propose_payout(&self, insurance: Address, admin: Admin, mist: u64, recipient: Address) -> Draft {
        self.entry(MODULE, "propose_payout")
            .write(insurance)
            .admin(admin)
            .pure(&mist)
            .pure(&recipient)
            .at_now()
    }

    /// `insurance::cancel_payout`: withdraws a proposed payout.
    pub fn cancel_payout(&self, insurance: Address, admin: Admin, number: u64) -> Draft {
        self.entry(MODULE, "cancel_payout").write(insurance).admin(admin).pure(&number).at_now()
    }

    /// `insurance::pay`: pays a proposed payout, once the timelock is over.
    pub fn pay(&self, insurance: Address, admin: Admin, number: u64) -> Draft {
        self.entry(MODULE, "pay").write(insurance).admin(admin).pure(&number).at_now()
    }
}
