use sui_sdk_types::Address;

use super::{Admin, Calls, clock};
use crate::Draft;

const MODULE: &str = "governance";

impl Calls {
    /// `governance::issue_cap`: gives `recipient` the right to change the cluster until `expires_ms`.
    pub fn issue_cap(&self, admin: Admin, recipient: Address, expires_ms: u64) -> Draft {
        let mut draft = Draft::new();
        let arguments = vec![
            draft.object_mut(admin.governance),
            draft.object(admin.cap),
            draft.pure(&recipient),
            draft.pure(&expires_ms),
            clock(&mut draft),
        ];
        self.call(&mut draft, MODULE, "issue_cap", arguments);
        draft
    }

    /// `governance::revoke_cap`: makes a capability worthless.
    pub fn revoke_cap(&self, admin: Admin, revoked: Address) -> Draft {
        let mut draft = Draft::new();
        let arguments = vec![
            draft.object_mut(admin.governance),
            draft.object(admin.cap),
            draft.pure(&revoked),
            clock(&mut draft),
        ];
        self.call(&mut draft, MODULE, "revoke_cap", arguments);
        draft
    }
}
