use sui_sdk_types::Address;

use super::{CLOCK, Calls};
use crate::Draft;
use crate::package::Package;

const MODULE: &str = "upgrade";

impl Calls {
    /// `upgrade::guard`: puts the package's `UpgradeCap` behind a timelock, for good. Look for
    /// [`Event::UpgraderCreated`](crate::Event::UpgraderCreated).
    pub fn guard(&self, upgrade_cap: Address, delay_ms: u64) -> Draft {
        self.entry(MODULE, "guard").read(upgrade_cap).pure(&delay_ms).draft()
    }

    /// `upgrade::propose`: announces an upgrade by its digest. `policy` is 0 for a compatible one, 128 for an
    /// additive one, 192 when only dependencies change.
    pub fn propose_upgrade(&self, upgrader: Address, policy: u8, digest: &[u8; 32]) -> Draft {
        self.entry(MODULE, "propose").write(upgrader).pure(&policy).pure(digest.as_slice()).at_now()
    }

    /// `upgrade::cancel`: withdraws the announced upgrade.
    pub fn cancel_upgrade(&self, upgrader: Address) -> Draft {
        self.entry(MODULE, "cancel").write(upgrader).draft()
    }

    /// `upgrade::authorize`, the upgrade itself and `upgrade::commit`, in one transaction. `latest` is the
    /// package that is upgraded, `modules` what was announced.
    pub fn upgrade(&self, upgrader: Address, latest: Address, modules: &Package) -> Draft {
        let mut draft = Draft::new();
        let arguments = vec![draft.object_mut(upgrader), draft.object(CLOCK)];
        let ticket = self.call(&mut draft, MODULE, "authorize", arguments);
        let receipt = draft.upgrade(modules.modules.clone(), modules.dependencies.clone(), latest, ticket);
        let arguments = vec![draft.object_mut(upgrader), receipt];
        self.call(&mut draft, MODULE, "commit", arguments);
        draft
    }

    /// `upgrade::offer`: offers the right to upgrade to another address.
    pub fn offer_upgrader(&self, upgrader: Address, recipient: Address) -> Draft {
        self.entry(MODULE, "offer").write(upgrader).pure(&recipient).draft()
    }

    /// `upgrade::accept`: accepts the right to upgrade that is offered to the sender.
    pub fn accept_upgrader(&self, upgrader: Address) -> Draft {
        self.entry(MODULE, "accept").write(upgrader).draft()
    }
}
