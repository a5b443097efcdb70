//! What is in the contracts' objects: their BCS, written down a second time.

use devnet::ledger::{StoredObject, coin};
use serde::Deserialize;
use sui_sdk_types::Address;

#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Stake {
    pub(crate) id: Address,
    _version: u64,
    _cluster: Address,
    pub(crate) owner: Address,
    pub(crate) tier: u8,
    pub(crate) balance: u64,
    _staked_ms: u64,
    _locked_until_ms: u64,
    _unbonding_ms: Option<u64>,
    pub(crate) node_name: Option<String>,
    pub(crate) token: Option<Address>,
    _generation: u64,
    _notice_ms: u64,
    pub(crate) frozen: u64,
    pub(crate) cases: u64,
    _period_ms: u64,
    _base: u64,
    _taken: u64,
    _judged_ms: Vec<u64>,
}

#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Case {
    pub(crate) id: Address,
    _version: u64,
    _cluster: Address,
    pub(crate) stake: Address,
    _owner: Address,
    _reason: u8,
    pub(crate) amount: u64,
    pub(crate) period_ms: u64,
    pub(crate) reporter: Address,
    _reporter_bps: u64,
    _extension_ms: u64,
    _contested: bool,
    _executes_ms: u64,
    _lapses_ms: u64,
}

#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Token {
    pub(crate) id: Address,
    _version: u64,
    _cluster: Address,
    pub(crate) stake: Address,
    _owner: Address,
    pub(crate) public_key: Vec<u8>,
    pub(crate) node_name: String,
    _seal: Vec<u8>,
    _issued_ms: u64,
    pub(crate) expires_ms: u64,
    pub(crate) generation: u64,
    pub(crate) revoked: bool,
    pub(crate) barred: bool,
}

#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Grant {
    pub(crate) id: Address,
    _version: u64,
    _cluster: Address,
    _grantee: Address,
    _namespace: String,
    _role: String,
}

#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Anchor {
    _id: Address,
    _version: u64,
    _cluster: Address,
    pub(crate) revision: u64,
    _state_root: Vec<u8>,
    _log_hash: Vec<u8>,
    _blob: Vec<u8>,
    pub(crate) key_epoch: u64,
    _enclave: Option<Address>,
    _anchored_ms: u64,
}

#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Cluster {
    _id: Address,
    _version: u64,
    _name: String,
    _gateway: String,
    _apiserver: String,
    pub(crate) ca_hash: Vec<u8>,
    _enclave: Option<Address>,
    _tiers: Vec<(u64, u64)>,
    _unbonding_ms: u64,
    _token_lifetime_ms: u64,
    /// Governance, registry, names, anchor, pool and insurance.
    _objects: [Address; 6],
    _paused_until_ms: u64,
}

#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Pool {
    _id: Address,
    _version: u64,
    _cluster: Address,
    pub(crate) balance: u64,
    pub(crate) epoch: u64,
    pub(crate) until_ms: u64,
}

#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Epoch {
    pub(crate) id: Address,
    _version: u64,
    _cluster: Address,
    _number: u64,
    _root: Vec<u8>,
    _weight: u64,
    pub(crate) budget: u64,
    pub(crate) balance: u64,
    _opened_weight: u64,
    _opened: [u8; 32],
    _deadline_ms: u64,
}

#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Shard {
    pub(crate) id: Address,
    _version: u64,
    _cluster: Address,
    _epoch: Address,
    _number: u64,
    _root: Vec<u8>,
    _weight: u64,
    _budget: u64,
    pub(crate) balance: u64,
    _claimed: [u8; 32],
    _deadline_ms: u64,
}

#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Payout {
    pub(crate) number: u64,
    _amount: u64,
    _recipient: Address,
    _ripe_ms: u64,
}

#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Insurance {
    _id: Address,
    _version: u64,
    _cluster: Address,
    pub(crate) balance: u64,
    pub(crate) payouts: Vec<Payout>,
    _next: u64,
}

#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub(crate) struct Escrow {
    pub(crate) id: Address,
    _version: u64,
    _cluster: Address,
    pub(crate) owner: Address,
    pub(crate) units: u64,
    pub(crate) price: u64,
    pub(crate) balance: u64,
    pub(crate) earned: u64,
    pub(crate) settled_ms: u64,
    /// 0 active, 1 in grace, 2 suspended.
    pub(crate) status: u8,
}

/// Decodes an object that the contracts made; panics if it has another form than is written here.
pub(crate) fn decode<T: for<'a> Deserialize<'a>>(object: &StoredObject) -> T {
    let contents = object.object().as_struct().unwrap().contents();
    bcs::from_bytes(contents).unwrap()
}

/// Module and name of an object's type.
pub(crate) fn kind(object: &StoredObject) -> (&str, &str) {
    match object.object().as_struct() {
        Some(object) => (object.object_type().module().as_str(), object.object_type().name().as_str()),
        None => ("", ""),
    }
}

/// MIST that an object holds.
pub(crate) fn money(object: &StoredObject) -> u128 {
    if let Some((_, balance)) = coin::of_object(object.object()) {
        return balance.into();
    }
    u128::from(match kind(object) {
        ("staking", "Stake") => decode::<Stake>(object).balance,
        ("rewards", "Pool") => decode::<Pool>(object).balance,
        ("rewards", "Epoch") => decode::<Epoch>(object).balance,
        ("rewards", "Shard") => decode::<Shard>(object).balance,
        ("insurance", "Insurance") => decode::<Insurance>(object).balance,
        ("usage", "Escrow") => {
            let escrow = decode::<Escrow>(object);
            return u128::from(escrow.balance) + u128::from(escrow.earned);
        }
        _ => 0,
    })
}
