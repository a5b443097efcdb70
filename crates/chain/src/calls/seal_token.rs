use sui_sdk_types::Address;

use super::{Admin, Calls, clock};
use crate::Draft;

const MODULE: &str = "seal_token";

/// The objects that a change of a seal token reads: the token, its stake and its cluster.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TokenPath {
    /// The [`SealToken`](crate::SealToken).
    pub token: Address,
    /// Its [`Stake`](crate::Stake).
    pub stake: Address,
    /// Its [`Cluster`](crate::Cluster).
    pub cluster: Address,
}

impl Calls {
    /// `seal_token::issue`: issues the first token of a stake. `names` is the cluster's
    /// [`Names`](crate::Names) object, `node_name` is for a node's stake and empty for the others. Look for
    /// [`Event::TokenIssued`](crate::Event::TokenIssued).
    pub fn issue_token(
        &self,
        stake: Address,
        cluster: Address,
        names: Address,
        public_key: &[u8; 32],
        node_name: &str,
    ) -> Draft {
        let mut draft = Draft::new();
        let arguments = vec![
            draft.object_mut(stake),
            draft.object(cluster),
            draft.object_mut(names),
            draft.pure(&public_key.as_slice()),
            draft.pure(node_name),
            clock(&mut draft),
        ];
        self.call(&mut draft, MODULE, "issue", arguments);
        draft
    }

    /// `seal_token::reissue`: issues a token anew after it was revoked or has expired.
    pub fn reissue_token(&self, path: TokenPath, public_key: &[u8; 32]) -> Draft {
        let mut draft = Draft::new();
        let arguments = vec![
            draft.object_mut(path.token),
            draft.object_mut(path.stake),
            draft.object(path.cluster),
            draft.pure(&public_key.as_slice()),
            clock(&mut draft),
        ];
        self.call(&mut draft, MODULE, "reissue", arguments);
        draft
    }

    /// `seal_token::renew`: a live token lives on for the cluster's token lifetime from now.
    pub fn renew_token(&self, path: TokenPath) -> Draft {
        let mut draft = Draft::new();
        let arguments = vec![
            draft.object_mut(path.token),
            draft.object(path.stake),
            draft.object(path.cluster),
            clock(&mut draft),
        ];
        self.call(&mut draft, MODULE, "renew", arguments);
        draft
    }

    /// `seal_token::rotate_key`: replaces the holder's key. `signature` is the new key's over
    /// [`possession_message`](crate::possession_message).
    pub fn rotate_key(&self, path: TokenPath, public_key: &[u8; 32], signature: &[u8; 64]) -> Draft {
        let mut draft = Draft::new();
        let arguments = vec![
            draft.object_mut(path.token),
            draft.object_mut(path.stake),
            draft.object(path.cluster),
            draft.pure(&public_key.as_slice()),
            draft.pure(&signature.as_slice()),
            clock(&mut draft),
        ];
        self.call(&mut draft, MODULE, "rotate_key", arguments);
        draft
    }

    /// `seal_token::revoke`: the owner ends a token.
    pub fn revoke_token(&self, token: Address) -> Draft {
        let mut draft = Draft::new();
        let arguments = vec![draft.object_mut(token)];
        self.call(&mut draft, MODULE, "revoke", arguments);
        draft
    }

    /// `seal_token::revoke_by_governance`: governance ends a token.
    pub fn revoke_token_by_governance(&self, token: Address, admin: Admin) -> Draft {
        let mut draft = Draft::new();
        let arguments = vec![
            draft.object_mut(token),
            draft.object(admin.governance),
            draft.object(admin.cap),
            clock(&mut draft),
        ];
        self.call(&mut draft, MODULE, "revoke_by_governance", arguments);
        draft
    }
}
