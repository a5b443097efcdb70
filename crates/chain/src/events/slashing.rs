use serde::{Deserialize, Serialize};
use sui_sdk_types::Address;

use crate::{Evidence, NodeStatement};

/// A penalty was proposed; its amount is frozen.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SlashProposed {
    /// The cluster.
    pub cluster: Address,
    /// The case object.
    pub case: Address,
    /// The stake.
    pub stake: Address,
    /// Whose it is.
    pub owner: Address,
    /// 0 downtime, 1 attestation, 2 contradiction, 3 tampering.
    pub reason: u8,
    /// What tells the fault apart: it is judged once.
    pub fault: Vec<u8>,
    /// How much, in MIST.
    pub amount: u64,
    /// When the period of the cap began that it counts in, milliseconds since the Unix epoch.
    pub period_ms: u64,
    /// Who reported it.
    pub reporter: Address,
    /// The reporter's share, in basis points.
    pub reporter_bps: u64,
    /// How much a contest delays it, in milliseconds.
    pub extension_ms: u64,
    /// Not executed before this time, milliseconds since the Unix epoch.
    pub executes_ms: u64,
    /// Not executed from this time on, milliseconds since the Unix epoch.
    pub lapses_ms: u64,
}

/// The evidence of a penalty: an enclave's statement.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct EvidenceShown {
    /// The cluster.
    pub cluster: Address,
    /// The case object.
    pub case: Address,
    /// The enclave that says so.
    pub enclave: Address,
    /// What the enclave signed.
    pub evidence: Evidence,
    /// When it was signed, milliseconds since the Unix epoch.
    pub timestamp_ms: u64,
    /// Its signature, 64 bytes.
    pub signature: Vec<u8>,
}

/// The evidence of a penalty: two statements of the staker's own key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ContradictionShown {
    /// The cluster.
    pub cluster: Address,
    /// The case object.
    pub case: Address,
    /// The staker's ed25519 key.
    pub public_key: Vec<u8>,
    /// One statement.
    pub first: NodeStatement,
    /// When it was signed, milliseconds since the Unix epoch.
    pub first_ms: u64,
    /// Its signature.
    pub first_signature: Vec<u8>,
    /// The other statement.
    pub second: NodeStatement,
    /// When it was signed, milliseconds since the Unix epoch.
    pub second_ms: u64,
    /// Its signature.
    pub second_signature: Vec<u8>,
}

/// A penalty was contested.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SlashContested {
    /// The cluster.
    pub cluster: Address,
    /// The case object.
    pub case: Address,
    /// The stake.
    pub stake: Address,
    /// SHA-256 of what the staker has to say.
    pub statement: Vec<u8>,
    /// Not executed before this time, milliseconds since the Unix epoch.
    pub executes_ms: u64,
    /// Not executed from this time on, milliseconds since the Unix epoch.
    pub lapses_ms: u64,
}

/// A penalty was taken.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SlashExecuted {
    /// The cluster.
    pub cluster: Address,
    /// The case object.
    pub case: Address,
    /// The stake.
    pub stake: Address,
    /// Who reported it.
    pub reporter: Address,
    /// What was taken, and of it the reporter's share.
    pub amount: u64,
    /// The reporter's share, in MIST.
    pub reported: u64,
    /// What is left of the stake.
    pub left: u64,
}

/// A penalty is void.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SlashDropped {
    /// The cluster.
    pub cluster: Address,
    /// The case object.
    pub case: Address,
    /// The stake.
    pub stake: Address,
    /// How much, in MIST.
    pub amount: u64,
    /// Whether governance dismissed it; else it was not executed in time.
    pub by_governance: bool,
}
