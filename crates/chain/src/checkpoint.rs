use serde::{Deserialize, Serialize};
use sui_rpc::proto::proto_to_timestamp_ms;
use sui_rpc::proto::sui::rpc::v2 as proto;
use sui_sdk_types::{Address, Digest};

use crate::client::parse_digest;
use crate::receipt::decode_events;
use crate::{Error, Event};

const CALL: &str = "GetCheckpoint";
/// The parts of a checkpoint that are read.
pub(crate) const MASK: [&str; 5] =
    ["sequence_number", "digest", "summary.timestamp", "transactions.digest", "transactions.events.bcs"];

/// One checkpoint of the chain, with the contracts' events in the order in which they happened.
#[derive(Clone, Debug, PartialEq)]
pub struct Checkpoint {
    /// Its number; they have no gaps.
    pub sequence: u64,
    /// Its digest.
    pub digest: Digest,
    /// When it was made, milliseconds since the Unix epoch by the chain's clock.
    pub timestamp_ms: u64,
    /// The contracts' events.
    pub events: Vec<EventAt>,
}

/// An event and where it happened.
#[derive(Clone, Debug, PartialEq)]
pub struct EventAt {
    /// What happened.
    pub event: Event,
    /// The transaction that emitted it.
    pub transaction: Digest,
    /// Its place among all events of that transaction.
    pub index: u32,
}

/// Where to go on: write it down after a checkpoint was worked off.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cursor {
    /// Identifier of the chain that is followed.
    pub chain_id: String,
    /// The next checkpoint to read.
    pub next: u64,
}

impl Cursor {
    /// The cursor that comes after `checkpoint`.
    #[must_use]
    pub fn after(&self, checkpoint: &Checkpoint) -> Cursor {
        Cursor { chain_id: self.chain_id.clone(), next: checkpoint.sequence.saturating_add(1) }
    }
}

pub(crate) fn decode(package: Address, answer: proto::Checkpoint) -> Result<Checkpoint, Error> {
    let timestamp = answer
        .summary
        .and_then(|summary| summary.timestamp)
        .ok_or_else(|| Error::malformed(CALL, "no timestamp"))?;
    let mut events = Vec::new();
    for transaction in &answer.transactions {
        let emitted = decode_events(CALL, transaction.events.as_ref())?;
        if !emitted.iter().any(|event| event.type_.address() == &package) {
            continue;
        }
        let digest = parse_digest(CALL, transaction.digest.as_deref())?;
        for (index, event) in (0u32..).zip(&emitted) {
            if event.type_.address() == &package {
                events.push(EventAt { event: Event::decode(event), transaction: digest, index });
            }
        }
    }
    Ok(Checkpoint {
        sequence: answer.sequence_number.ok_or_else(|| Error::malformed(CALL, "no number"))?,
        digest: parse_digest(CALL, answer.digest.as_deref())?,
        timestamp_ms: proto_to_timestamp_ms(timestamp).map_err(|error| Error::malformed(CALL, error))?,
        events,
    })
}
