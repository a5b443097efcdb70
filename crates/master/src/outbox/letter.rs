use chain::{Address, Share};
use serde::{Deserialize, Serialize};

use crate::Id;
use crate::health::Contradiction;

/// What the master has to say on chain. Kept on disk until it is said, or cannot be said any more.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) enum Letter {
    /// Shares of an epoch of rewards.
    Epoch(EpochLetter),
    /// A node was up for less than agreed.
    Downtime(DowntimeLetter),
    /// A key signed two things.
    Contradiction(ContradictionLetter),
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct EpochLetter {
    pub(crate) from_ms: u64,
    pub(crate) to_ms: u64,
    pub(crate) shares: Vec<Share>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct DowntimeLetter {
    pub(crate) stake: Id,
    pub(crate) from_ms: u64,
    pub(crate) to_ms: u64,
    pub(crate) up_ms: u64,
    /// SHA-256 of the records.
    pub(crate) digest: Id,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct ContradictionLetter {
    pub(crate) stake: Id,
    pub(crate) token: Id,
    pub(crate) public_key: Id,
    pub(crate) subject: String,
    pub(crate) sequence: u64,
    /// Digest and signature of each statement, hexadecimal.
    pub(crate) statements: [(Id, String); 2],
}

impl ContradictionLetter {
    pub(crate) fn of(found: &Contradiction) -> Self {
        let [first, second] = found.statements;
        let stated = |(digest, signature): ([u8; 32], [u8; 64])| (Id(digest), hex::encode(signature));
        Self {
            stake: found.stake,
            token: found.token,
            public_key: Id(found.public_key),
            subject: hex::encode(&found.subject),
            sequence: found.sequence,
            statements: [stated(first), stated(second)],
        }
    }
}

impl Letter {
    /// The same for the same fact, however often it is found; letters are sent in the order of their keys.
    pub(crate) fn key(&self) -> String {
        let short = |id: &Id| hex::encode(&id.0[..16]);
        match self {
            Self::Epoch(epoch) => format!("epoch-{:016}", epoch.to_ms),
            Self::Downtime(down) => format!("downtime-{:016}-{}", down.to_ms, short(&down.stake)),
            Self::Contradiction(found) => {
                format!("contradiction-{:016}-{}", found.sequence, short(&found.stake))
            }
        }
    }

    /// The kind, for metrics.
    pub(crate) fn kind(&self) -> &'static str {
        match self {
            Self::Epoch(_) => "epoch",
            Self::Downtime(_) => "downtime",
            Self::Contradiction(_) => "contradiction",
        }
    }
}

/// The shares of an epoch that was posted: what claims are proven with. Public.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Published {
    /// Number of the epoch.
    pub(crate) number: u64,
    /// The epoch object on chain.
    pub(crate) epoch: Address,
    pub(crate) shares: Vec<Share>,
}
