//! Drafts of transactions, one function for each entry of the contracts.

mod anchor;
mod caps;
mod cluster;
mod enclave;
mod entry;
mod governance;
mod insurance;
mod migration;
mod rewards;
mod seal_policy;
mod seal_token;
mod slashing;
mod staking;
mod trust;
mod upgrade;
mod usage;

pub use migration::Migrating;
pub use seal_token::TokenPath;
pub use slashing::Court;
use sui_sdk_types::{Address, Argument};

use crate::Draft;

/// Id of the shared `0x2::clock::Clock`.
const CLOCK: Address = {
    let mut bytes = [0u8; 32];
    bytes[31] = 6;
    Address::new(bytes)
};

/// The contracts of one published package: makes the transactions that call them.
///
/// ```
/// # use chain::{Address, Calls};
/// let calls = Calls::new(Address::ZERO);
/// assert_eq!(calls.package(), Address::ZERO);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Calls {
    package: Address,
}

/// What an administrator proves their right with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Admin {
    /// The cluster's `Governance` object.
    pub governance: Address,
    /// An [`AdminCap`](crate::AdminCap) that the wallet owns.
    pub cap: Address,
}

impl Calls {
    /// The contracts of `package`.
    pub fn new(package: Address) -> Calls {
        Calls { package }
    }

    /// The package.
    pub fn package(&self) -> Address {
        self.package
    }

    fn call(&self, draft: &mut Draft, module: &str, function: &str, arguments: Vec<Argument>) -> Argument {
        draft.call(self.package, module, function, vec![], arguments)
    }
}

fn clock(draft: &mut Draft) -> Argument {
    draft.object(CLOCK)
}
