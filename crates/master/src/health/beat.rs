use api::{Heartbeat, NodeMetrics};
use serde::{Deserialize, Serialize};

use crate::Id;

/// Why a heartbeat does not count.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum BeatError {
    /// The worker's clock is too far off.
    #[error("the heartbeat's time is {off_ms} ms off the master's clock; set the clock (NTP)")]
    ClockSkew {
        /// How far.
        off_ms: u64,
    },
    /// A later one has arrived already, or this one.
    #[error("this heartbeat or a later one has already arrived")]
    Stale,
    /// Another process speaks for the node, which was started later.
    #[error("another agent, started later, speaks for this node; this one is fenced: stop it")]
    Fenced,
    /// The instance is not what an agent calls itself.
    #[error("instance is not 32 hexadecimal digits and a start time in the past")]
    BadInstance,
    /// Not signed by the holder of the token.
    #[error("the heartbeat is not signed by the token's holder key; upgrade the worker")]
    BadSignature,
    /// It says something else than one with the same number before. Both are kept as evidence.
    #[error("this heartbeat contradicts one that the same key signed before; both are evidence now")]
    Contradiction,
    /// Many more than were asked for.
    #[error("more heartbeats than were asked for; wait for the interval in the answer")]
    Flooding,
}

impl BeatError {
    /// Stable name in snake_case.
    pub fn reason(&self) -> &'static str {
        match self {
            Self::ClockSkew { .. } => "clock_skew",
            Self::Stale => "stale_heartbeat",
            Self::Fenced => "fenced",
            Self::BadInstance => "bad_instance",
            Self::BadSignature => "bad_heartbeat_signature",
            Self::Contradiction => "contradiction",
            Self::Flooding => "heartbeat_flood",
        }
    }

    /// Every reason that [`BeatError::reason`] can give.
    pub const REASONS: [&str; 7] = [
        "clock_skew",
        "stale_heartbeat",
        "fenced",
        "bad_instance",
        "bad_heartbeat_signature",
        "contradiction",
        "heartbeat_flood",
    ];
}

/// Who sends a heartbeat, as its credential said.
#[derive(Clone, Copy, Debug)]
pub struct Sender<'a> {
    /// Name pinned on chain.
    pub name: &'a str,
    /// Seal token.
    pub token: Id,
    /// Stake behind it.
    pub stake: Id,
}

/// A heartbeat whose signature was found good.
#[derive(Clone, Copy, Debug)]
pub struct Verified<'a> {
    /// What was sent.
    pub beat: &'a Heartbeat,
    /// [`Heartbeat::digest`].
    pub digest: [u8; 32],
    /// The holder's signature over the node statement of it.
    pub signature: [u8; 64],
    /// The key that it was checked with.
    pub public_key: [u8; 32],
}

/// What the last heartbeat said.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LastBeat {
    /// By the master's clock.
    pub received_ms: u64,
    /// By the worker's clock.
    pub sent_ms: u64,
    /// Whether container runtime and kubelet are up.
    pub ready: bool,
    /// Why not, at most 256 characters.
    pub reason: Option<String>,
    /// The machine.
    pub metrics: NodeMetrics,
}

impl LastBeat {
    const MAX_REASON: usize = 256;

    pub(super) fn of(beat: &Heartbeat, received_ms: u64) -> Self {
        let reason = beat.reason.as_ref().filter(|_| !beat.ready);
        Self {
            received_ms,
            sent_ms: beat.timestamp_ms,
            ready: beat.ready,
            reason: reason.map(|text| text.chars().take(Self::MAX_REASON).collect()),
            metrics: beat.metrics,
        }
    }
}

/// Which process speaks for a node. Of two, the one that was started later is the right one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(super) struct Instance {
    started_ms: u64,
    id: [u8; 16],
}

impl Instance {
    pub(super) fn parse(instance: &api::Instance) -> Option<Self> {
        let mut id = [0; 16];
        hex::decode_to_slice(&instance.id, &mut id).ok()?;
        Some(Self { started_ms: instance.started_ms, id })
    }

    pub(super) fn started_ms(&self) -> u64 {
        self.started_ms
    }
}

/// Two statements of one key about the same that do not say the same: what `slashing::propose_contradiction`
/// takes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Contradiction {
    /// The stake that answers for it.
    pub stake: Id,
    /// The token whose holder signed.
    pub token: Id,
    /// The holder's key.
    pub public_key: [u8; 32],
    /// What both are about.
    pub subject: Vec<u8>,
    /// Their sequence number, which is their time too.
    pub sequence: u64,
    /// Digest and signature of each.
    pub statements: [([u8; 32], [u8; 64]); 2],
}
