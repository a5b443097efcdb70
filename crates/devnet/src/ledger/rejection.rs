//! Why a transaction is refused before it is executed.

use sui_sdk_types::{Address, Digest, Owner, Version};

/// A transaction that was refused: nothing was executed, charged or recorded.
///
/// A transaction that was *executed* and failed is not a rejection; it has effects.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Rejection {
    /// The transaction is not well formed, or of a kind that users may not send.
    #[error("malformed transaction: {0}")]
    Malformed(String),
    /// It exceeds a limit.
    #[error("{what} is {actual}, more than the limit of {limit}")]
    Limit {
        /// What was measured.
        what: &'static str,
        /// What was found.
        actual: usize,
        /// The most that is accepted.
        limit: usize,
    },
    /// Its signatures do not authorise it.
    #[error("not authorised: {0}")]
    Signature(String),
    /// It names an object that never existed.
    #[error("object {0} does not exist")]
    ObjectNotFound(Address),
    /// It names an object that was deleted or wrapped into another.
    #[error("object {id} was deleted or wrapped at version {version}")]
    ObjectRemoved {
        /// The object.
        id: Address,
        /// Since when.
        version: Version,
    },
    /// It names another version of an object than the live one: somebody else's transaction used
    /// the object first. Fetch the object again and build a new transaction.
    #[error("object {id} at version {wanted} is not available, its version is now {live}")]
    VersionUnavailable {
        /// The object.
        id: Address,
        /// The version asked for.
        wanted: Version,
        /// The live version.
        live: Version,
    },
    /// It names the right version of an object with a wrong digest.
    #[error("object {id} at version {version} has digest {live}, not {wanted}")]
    DigestMismatch {
        /// The object.
        id: Address,
        /// Its version.
        version: Version,
        /// The digest asked for.
        wanted: Digest,
        /// The object's digest.
        live: Digest,
    },
    /// It uses an object in a way that the object's owner does not allow.
    #[error("object {id} is {}, {reason}", describe(owner))]
    Ownership {
        /// The object.
        id: Address,
        /// Its owner.
        owner: Owner,
        /// What is wrong with it.
        reason: String,
    },
    /// It names the same object twice.
    #[error("object {0} is used twice among the inputs and gas coins")]
    DuplicateObject(Address),
    /// Its gas price or budget is out of range.
    #[error("gas {what} is {actual}, must be between {min} and {max}")]
    GasRange {
        /// "price" or "budget".
        what: &'static str,
        /// What was offered.
        actual: u64,
        /// The least accepted.
        min: u64,
        /// The most accepted.
        max: u64,
    },
    /// Its gas coins hold less than its budget.
    #[error("the gas coins hold {balance} MIST, less than the budget of {budget} MIST")]
    GasBalance {
        /// MIST in the gas coins.
        balance: u128,
        /// The budget.
        budget: u64,
    },
    /// It may not be executed any more, or not on this chain.
    #[error("the transaction is not valid now: {0}")]
    Expired(String),
    /// It needs something that this chain does not have.
    #[error("not supported by the development chain: {0}")]
    Unsupported(String),
}

impl Rejection {
    /// True when the same intent may succeed in a transaction that is built anew from fresh reads.
    pub fn is_stale(&self) -> bool {
        matches!(
            self,
            Self::VersionUnavailable { .. }
                | Self::ObjectRemoved { .. }
                | Self::GasBalance { .. }
                | Self::Expired(_)
        )
    }
}

fn describe(owner: &Owner) -> String {
    match owner {
        Owner::Address(address) => format!("owned by {address}"),
        Owner::Object(parent) => format!("a child of object {parent}"),
        Owner::Shared(version) => format!("shared since version {version}"),
        Owner::Immutable => "immutable".to_owned(),
        Owner::ConsensusAddress { owner, .. } => format!("a consensus object of {owner}"),
        _ => "owned in an unknown way".to_owned(),
    }
}
