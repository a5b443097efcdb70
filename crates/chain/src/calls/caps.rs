use sui_sdk_types::Address;

use super::{Admin, Calls};
use crate::{Draft, Economics};

const MODULE: &str = "governance";

impl Calls {
    /// `governance::offer_cap`: offers to hand the capability to another address.
    pub fn offer_cap(&self, admin: Admin, recipient: Address) -> Draft {
        self.entry(MODULE, "offer_cap").write(admin.governance).read(admin.cap).pure(&recipient).at_now()
    }

    /// `governance::withdraw_offer`: takes the offer of the capability back.
    pub fn withdraw_offer(&self, admin: Admin) -> Draft {
        self.entry(MODULE, "withdraw_offer").write(admin.governance).read(admin.cap).at_now()
    }

    /// `governance::accept_cap`: accepts a capability that is offered to the sender, who is issued a new one.
    pub fn accept_cap(&self, governance: Address, cap: Address) -> Draft {
        self.entry(MODULE, "accept_cap").write(governance).pure(&cap).at_now()
    }

    /// `governance::propose_economics`: they can be applied when the present timelock is over.
    pub fn propose_economics(&self, admin: Admin, economics: &Economics) -> Draft {
        let e = economics;
        self.entry(MODULE, "propose_economics")
            .write(admin.governance)
            .read(admin.cap)
            .pure(&e.penalty_bps)
            .pure(&e.cap_bps)
            .pure(&e.cap_period_ms)
            .pure(&e.contest_ms)
            .pure(&e.extension_ms)
            .pure(&e.execute_ms)
            .pure(&e.evidence_age_ms)
            .pure(&e.reporter_bps)
            .pure(&e.uptime_bps)
            .pure(&e.epoch_ms)
            .pure(&e.payout_bps)
            .pure(&e.claim_ms)
            .pure(&e.price)
            .pure(&e.grace_ms)
            .pure(&e.timelock_ms)
            .at_now()
    }

    /// `governance::cancel_economics`: withdraws what waits for the timelock.
    pub fn cancel_economics(&self, admin: Admin) -> Draft {
        self.entry(MODULE, "cancel_economics").write(admin.governance).read(admin.cap).at_now()
    }

    /// `governance::apply_economics`: puts in force what was proposed, once the timelock is over.
    pub fn apply_economics(&self, admin: Admin) -> Draft {
        self.entry(MODULE, "apply_economics").write(admin.governance).read(admin.cap).at_now()
    }
}
