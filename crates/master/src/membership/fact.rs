use std::fmt;

use serde::{Deserialize, Serialize};

use crate::Id;

/// What a stake is for. Each later tier may do what an earlier one may, except that only [`Tier::Node`]
/// brings a machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Tier {
    /// Brings a machine.
    Node,
    /// Uses the cluster.
    User,
    /// Administers the cluster.
    Admin,
}

impl Tier {
    /// `node`, `user` or `admin`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Node => "node",
            Self::User => "user",
            Self::Admin => "admin",
        }
    }
}

impl fmt::Display for Tier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Smallest stake per tier, MIST.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Requirements {
    /// For [`Tier::Node`].
    pub node_mist: u64,
    /// For [`Tier::User`].
    pub user_mist: u64,
    /// For [`Tier::Admin`].
    pub admin_mist: u64,
}

impl Requirements {
    /// The smallest stake of `tier`, MIST.
    pub fn of(&self, tier: Tier) -> u64 {
        match tier {
            Tier::Node => self.node_mist,
            Tier::User => self.user_mist,
            Tier::Admin => self.admin_mist,
        }
    }
}

/// A stake as the chain has it now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stake {
    /// Object id.
    pub id: Id,
    /// The wallet that owns it.
    pub owner: Id,
    /// What it is for.
    pub tier: Tier,
    /// Principal that is left after slashing, MIST.
    pub amount_mist: u64,
    /// False from the request to unstake on.
    pub active: bool,
}

/// A seal token as the chain has it now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Token {
    /// Object id.
    pub id: Id,
    /// The stake behind it.
    pub stake: Id,
    /// The holder's ed25519 key.
    pub public_key: [u8; 32],
    /// The current seal.
    pub seal: [u8; 32],
    /// The node name pinned to it; only tokens of [`Tier::Node`] have one.
    pub node_name: Option<String>,
    /// Counts key rotations; a certificate is bound to one generation.
    pub generation: u64,
    /// When it runs out unless renewed, milliseconds since the Unix epoch.
    pub expires_ms: u64,
    /// Whether it was revoked.
    pub revoked: bool,
}

/// A role that a wallet was given on chain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Grant {
    /// Object id.
    pub id: Id,
    /// The wallet.
    pub grantee: Id,
    /// Where it holds; `None` for the whole cluster.
    pub namespace: Option<String>,
    /// Name of a ClusterRole: `view`, `edit`, `admin`, `cluster-admin` …
    pub role: String,
    /// When it ends by itself, milliseconds since the Unix epoch.
    pub expires_ms: Option<u64>,
}

/// One thing that the chain says now. Facts replace what was said before about the same object, so applying
/// one twice changes nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fact {
    /// The tiers' smallest stakes.
    Requirements(Requirements),
    /// A stake is new or has changed.
    Stake(Stake),
    /// A stake was paid out; it is no more.
    StakeGone(Id),
    /// A token is new or has changed.
    Token(Token),
    /// A token object was deleted.
    TokenGone(Id),
    /// A grant is new or has changed.
    Grant(Grant),
    /// A grant was revoked.
    GrantGone(Id),
}
