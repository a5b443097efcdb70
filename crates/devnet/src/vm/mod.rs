//! The Move bytecode interpreter and the object runtime under it.
//!
//! [`Vm`] keeps loaded modules and is shared by all transactions; a [`Session`] runs one. The
//! interpreter knows nothing of transactions' wire form, of gas coins or of effects: it is given
//! modules and child objects through [`Backing`], values as BCS, and says at the end what was
//! transferred, emitted, created and deleted ([`SessionOutput`]).
//!
//! What it executes is the bytecode itself, of our contracts as of the framework. It is not a
//! bytecode verifier: what the Move compiler makes behaves as on Sui, but hand-made bytecode that a
//! validator would refuse to publish may run, and treat values as what they are not, until it meets
//! [`VmError::BadCode`]. It never harms the process. An instruction or native function that the
//! interpreter does not have is [`VmError::Unsupported`], by name.
//!
//! Upgrades: a package has a storage identifier (its object) and its modules name themselves and
//! each other by original identifiers. [`Backing::linked`] says which storage identifier stands for
//! an original one. Each package is linked by its own table, where Sui links everything that a command
//! calls by the table of the package it names; the two differ when versions of one package meet.

mod arith;
mod binary;
mod codec;
pub mod describe;
mod error;
mod exec;
mod fault;
mod gas;
mod link;
mod loader;
mod machine;
mod module;
mod natives;
mod objects;
mod output;
mod publish;
mod session;
mod types;
mod u256;
mod value;

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

use parking_lot::RwLock;
use sha2::{Digest as _, Sha256};
use sui_sdk_types::{Address, Identifier, StructTag};

pub use error::{Location, Primitive, Resource, VmError};
pub use gas::INTERNAL_PER_UNIT;
pub use output::{ChildChange, ChildFate, EmittedEvent, LoadedChild, NewOwner, SessionOutput, Transfer};
pub use publish::{Publication, Published, module_name};
pub use session::{AbilitySet, Arg, FunctionInfo, Param, Passing, Session, Value, Visibility};

use module::Module;

/// What a session may use up before it is stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Instructions. Making, copying, hashing and encoding values counts by size, one for four bytes
    /// of memory; so this limits memory too.
    pub instructions: u64,
    /// What the transaction pays for, in thousandths of Sui's units of computation.
    pub gas: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self { instructions: 5_000_000, gas: 5_000_000 * INTERNAL_PER_UNIT }
    }
}

/// What code can learn about the transaction it runs in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TxContext {
    /// Who sent it.
    pub sender: Address,
    /// Who pays for it, if that is not the sender.
    pub sponsor: Option<Address>,
    /// Its digest, from which new identifiers are derived.
    pub digest: [u8; 32],
    /// The epoch.
    pub epoch: u64,
    /// When the epoch began, milliseconds since the Unix epoch.
    pub epoch_timestamp_ms: u64,
    /// MIST per unit of computation that the transaction offers.
    pub gas_price: u64,
    /// MIST per unit of computation that the epoch asks for.
    pub reference_gas_price: u64,
    /// The most MIST that may be charged.
    pub gas_budget: u64,
    /// Identifiers derived before this session starts.
    pub ids_created: u64,
}

/// An object that was there before the transaction.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredObject {
    /// Its version.
    pub version: u64,
    /// Its type.
    pub ty: StructTag,
    /// BCS of its value, identifier first.
    pub contents: Arc<[u8]>,
}

/// Modules and objects as they were before the transaction.
pub trait Backing {
    /// Bytes of a module of the package with storage identifier `package`.
    fn module(&self, package: Address, name: &Identifier) -> Option<Arc<[u8]>>;

    /// The object `id` if it is owned by the object `parent` (a dynamic field of it).
    fn child(&self, parent: Address, id: Address) -> Option<StoredObject>;

    /// The object `id` at `version` if it is owned by the *address* `parent` and an input of the
    /// transaction that may be received.
    fn receivable(&self, parent: Address, id: Address, version: u64) -> Option<StoredObject> {
        let _ = (parent, id, version);
        None
    }

    /// Whether the object `id` is a shared input of the transaction, so that code that takes it by
    /// value may share it again.
    fn is_shared(&self, id: Address) -> bool {
        let _ = id;
        false
    }

    /// Storage identifier that the package with storage identifier `package` uses for the package
    /// with original identifier `original`. The default: packages that were never upgraded.
    fn linked(&self, package: Address, original: Address) -> Address {
        let _ = package;
        original
    }

    /// Storage identifier of the package version that first had this type, whose modules' storage
    /// identifier is `package`. The default: packages that were never upgraded.
    fn type_origin(&self, package: Address, module: &Identifier, datatype: &Identifier) -> Address {
        let _ = (module, datatype);
        package
    }
}

/// Loaded modules, shared by all sessions of one chain.
#[derive(Default)]
pub struct Vm {
    /// By storage identifier of the package, then by name.
    modules: RwLock<HashMap<Address, HashMap<Identifier, Arc<Module>>>>,
    /// SHA-256 of a root of Nitro documents besides AWS's.
    simulated_nitro_root: Option<[u8; 32]>,
}

impl Vm {
    /// An interpreter that has loaded nothing yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// The same, which also takes Nitro documents under a root that is not AWS's: its certificate, DER.
    #[must_use]
    pub fn with_simulated_nitro_root(mut self, root: &[u8]) -> Self {
        self.simulated_nitro_root = Some(Sha256::digest(root).into());
        self
    }

    /// Whether it takes Nitro documents that no enclave of AWS's has made.
    pub fn simulates_nitro(&self) -> bool {
        self.simulated_nitro_root.is_some()
    }

    fn cached(&self, package: Address, name: &Identifier) -> Option<Arc<Module>> {
        self.modules.read().get(&package)?.get(name).cloned()
    }

    fn cache(&self, module: Arc<Module>) {
        let mut modules = self.modules.write();
        modules.entry(module.package).or_default().insert(module.name.clone(), module);
    }
}

impl fmt::Debug for Vm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Vm").field("packages", &self.modules.read().len()).finish()
    }
}
