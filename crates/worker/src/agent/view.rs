use tee::{Measurements, PlatformKind, TcbBounds};

/// Why the chain does not vouch for a master whose measurement it once allowed.
pub(crate) const MEASUREMENT_RETIRED: &str = "measurement_retired";

/// The gateway as the chain describes it: everything that a master must match before it gets a proof.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    /// Base URL of the gateway, `https://host:port`.
    pub endpoint: String,
    /// SHA-256 of the cluster CA certificate in DER.
    pub ca_hash: [u8; 32],
    /// Object id of the registered enclave.
    pub enclave_id: [u8; 32],
    /// The enclave's ed25519 key.
    pub enclave_key: [u8; 32],
    /// When the registration runs out, milliseconds since the Unix epoch.
    pub enclave_expires_ms: u64,
    /// When the cluster's operator has the enclave's code retired, milliseconds since the Unix epoch; `u64::MAX` for never.
    pub code_retires_ms: u64,
    /// Code that the cluster allows.
    pub allowed: Vec<(PlatformKind, Measurements)>,
    /// What the cluster asks of platforms beyond the code.
    pub bounds: Vec<(PlatformKind, TcbBounds)>,
}

/// The worker's seal token as the chain has it, and the stake behind it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Token {
    /// Object id of the stake.
    pub stake_id: [u8; 32],
    /// Name of the node, pinned to the stake; empty when the stake is not a node's.
    pub node_name: String,
    /// The holder's ed25519 key.
    pub public_key: [u8; 32],
    /// The current seal.
    pub seal: [u8; 32],
    /// When it runs out, milliseconds since the Unix epoch.
    pub expires_ms: u64,
    /// How long it lives after a renewal, milliseconds.
    pub lifetime_ms: u64,
    /// Whether it was revoked.
    pub revoked: bool,
    /// Whether the stake covers its tier and is not being withdrawn.
    pub stake_covers_tier: bool,
    /// The stake itself, while there is one.
    pub stake: Option<api::StakeStatus>,
}

impl Token {
    /// When a third of its life is left: time to renew.
    pub(crate) fn renew_at_ms(&self) -> u64 {
        self.expires_ms.saturating_sub(self.lifetime_ms / 3)
    }
}

/// What one read of the chain gave.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct View {
    /// The gateway, or what the cluster lacks to have one.
    pub target: Result<Target, api::ErrorBody>,
    /// The token; `None` when the chain has no such object.
    pub token: Option<Token>,
}

/// Why this worker is no member of the cluster.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Gone {
    /// The chain has no such token.
    #[error("the chain has no such seal token of this cluster; stake and have one issued")]
    NoToken,
    /// The token is a user's.
    #[error("the seal token is of a user's stake and names no node; stake in tier node")]
    NotANode,
    /// The token was revoked.
    #[error("the seal token was revoked on chain")]
    Revoked,
    /// The token has run out.
    #[error("the seal token has expired on chain; its owner must issue it anew (`k3s-daas token issue`)")]
    Expired,
    /// The stake is withdrawn, being withdrawn, or too small.
    #[error("the stake no longer covers the node's tier, or is being withdrawn")]
    Stake,
    /// The master's code is no longer allowed; its own words are in [`View::target`] if it was retired at once.
    #[error(
        "the measurement of the cluster's enclave was retired on chain; its operator must start code that is allowed"
    )]
    Measurement,
    /// The token belongs to another key.
    #[error("the seal token on chain has another key than this worker's key file; was it rotated?")]
    OtherKey,
    /// Another agent speaks for the node.
    #[error(
        "another agent of this node was started later and has taken over; stop that one and start this one again"
    )]
    Fenced,
}

impl Gone {
    /// Stable name in snake_case.
    pub fn reason(self) -> &'static str {
        match self {
            Self::NoToken => "unknown_token",
            Self::NotANode => "not_a_node_token",
            Self::Revoked => "token_revoked",
            Self::Expired => "token_expired",
            Self::Stake => "stake_insufficient",
            Self::Measurement => MEASUREMENT_RETIRED,
            Self::OtherKey => "key_rotated",
            Self::Fenced => "fenced",
        }
    }
}

impl View {
    /// Whether the holder of `holder_key` is a member at `now_ms`.
    pub(crate) fn membership(&self, holder_key: &[u8; 32], now_ms: u64) -> Result<&Token, Gone> {
        let token = self.token.as_ref().ok_or(Gone::NoToken)?;
        if token.node_name.is_empty() {
            Err(Gone::NotANode)
        } else if token.revoked {
            Err(Gone::Revoked)
        } else if !token.stake_covers_tier {
            Err(Gone::Stake)
        } else if token.public_key != *holder_key {
            Err(Gone::OtherKey)
        } else if now_ms >= token.expires_ms {
            Err(Gone::Expired)
        } else if self.code_retired(now_ms) {
            Err(Gone::Measurement)
        } else {
            Ok(token)
        }
    }

    /// Whether the chain says that the code of the cluster's master is not to be trusted any more.
    fn code_retired(&self, now_ms: u64) -> bool {
        match &self.target {
            Ok(target) => now_ms >= target.code_retires_ms,
            Err(lacking) => lacking.reason == MEASUREMENT_RETIRED,
        }
    }
}

/// When something was issued and runs out, milliseconds since the Unix epoch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Validity {
    /// Start.
    pub from_ms: u64,
    /// End, exclusive.
    pub until_ms: u64,
}

impl Validity {
    /// When two thirds of the life are over: time to renew.
    pub fn renew_at_ms(self) -> u64 {
        self.from_ms + self.until_ms.saturating_sub(self.from_ms) / 3 * 2
    }
}
