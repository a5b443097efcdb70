//! Finds the objects a transaction names, and checks that its sender may use them so.

use std::collections::{BTreeSet, HashSet};
use std::sync::Arc;

use sui_sdk_types::{
    Address, Command, Digest, Input, ObjectData, ObjectReference, Owner, ProgrammableTransaction,
    SharedInput, StructTag, Transaction, TransactionExpiration, TransactionKind, Version,
};

use super::CLOCK;
use super::coin;
use super::gas;
use super::objects::{ObjectSource, StoredObject};
use super::rejection::Rejection;

const MAX_TRANSACTION_BYTES: usize = 128 * 1024;
const MAX_INPUTS: usize = 2_048;
const MAX_COMMANDS: usize = 1_024;
const MAX_ARGUMENTS: usize = 512;
const MAX_TYPE_ARGUMENTS: usize = 16;
const MAX_GAS_OBJECTS: usize = 256;
const MAX_PURE_BYTES: usize = 16 * 1024;
const MAX_MODULES: usize = 64;

/// One input of a programmable transaction, found and checked.
#[derive(Clone, Debug)]
pub enum ResolvedInput {
    /// Bytes whose type the use decides.
    Pure(Vec<u8>),
    /// An object that the sender owns.
    Owned(Arc<StoredObject>),
    /// An immutable object.
    Immutable(Arc<StoredObject>),
    /// A shared object.
    Shared {
        /// The object as it is now.
        object: Arc<StoredObject>,
        /// Whether the transaction may change it.
        mutable: bool,
    },
    /// An object that was sent to another object, to be received by it.
    Receiving(Arc<StoredObject>),
}

impl ResolvedInput {
    /// The object, unless the input is pure.
    pub fn object(&self) -> Option<&Arc<StoredObject>> {
        match self {
            Self::Pure(_) => None,
            Self::Owned(object) | Self::Immutable(object) | Self::Receiving(object) => Some(object),
            Self::Shared { object, .. } => Some(object),
        }
    }

    /// The object, if executing the transaction gives it a new version in any case.
    pub fn mutable_object(&self) -> Option<&Arc<StoredObject>> {
        match self {
            Self::Owned(object) | Self::Shared { object, mutable: true } => Some(object),
            _ => None,
        }
    }
}

/// Everything a transaction reads, as it was when the transaction was accepted.
#[derive(Clone, Debug)]
pub struct Inputs {
    /// The inputs, in the transaction's order.
    pub resolved: Vec<ResolvedInput>,
    /// The gas coins, in the transaction's order; never empty.
    pub gas: Vec<Arc<StoredObject>>,
    /// MIST in the gas coins.
    pub gas_balance: u64,
    /// The version that every object written by the transaction gets.
    pub lamport: Version,
    /// Transactions that made the inputs.
    pub dependencies: BTreeSet<Digest>,
}

/// What a transaction must agree with besides objects.
#[derive(Clone, Copy, Debug)]
pub struct Context {
    /// The chain's identifier.
    pub chain_id: Digest,
    /// The current epoch.
    pub epoch: u64,
    /// Time of execution, milliseconds since the Unix epoch.
    pub timestamp_ms: u64,
}

/// The programmable part of a transaction that a user may send.
///
/// # Errors
///
/// [`Rejection::Malformed`] for system transactions.
pub(super) fn programmable(transaction: &Transaction) -> Result<&ProgrammableTransaction, Rejection> {
    match &transaction.kind {
        TransactionKind::ProgrammableTransaction(programmable) => Ok(programmable),
        _ => Err(Rejection::Malformed(
            "only programmable transactions may be sent; the others belong to the system".into(),
        )),
    }
}

/// Checks sizes and counts, which need no objects.
///
/// # Errors
///
/// The first limit that is exceeded.
fn check_limits(transaction: &Transaction) -> Result<(), Rejection> {
    let size = bcs::serialized_size(transaction).map_err(|error| Rejection::Malformed(error.to_string()))?;
    limit("transaction size in bytes", size, MAX_TRANSACTION_BYTES)?;
    limit("number of gas coins", transaction.gas_payment.objects.len(), MAX_GAS_OBJECTS)?;
    let programmable = programmable(transaction)?;
    limit("number of inputs", programmable.inputs.len(), MAX_INPUTS)?;
    limit("number of commands", programmable.commands.len(), MAX_COMMANDS)?;
    if programmable.commands.is_empty() {
        return Err(Rejection::Malformed("there is no command".into()));
    }
    for input in &programmable.inputs {
        if let Input::Pure(bytes) = input {
            limit("size of a pure input in bytes", bytes.len(), MAX_PURE_BYTES)?;
        }
    }
    programmable.commands.iter().try_for_each(check_command)
}

fn check_command(command: &Command) -> Result<(), Rejection> {
    let (arguments, least) = match command {
        Command::MoveCall(call) => {
            limit("number of type arguments", call.type_arguments.len(), MAX_TYPE_ARGUMENTS)?;
            (call.arguments.len(), 0)
        }
        Command::TransferObjects(transfer) => (transfer.objects.len(), 1),
        Command::SplitCoins(split) => (split.amounts.len(), 1),
        Command::MergeCoins(merge) => (merge.coins_to_merge.len(), 1),
        Command::MakeMoveVector(make) => (make.elements.len(), usize::from(make.type_.is_none())),
        Command::Publish(publish) => {
            limit("number of modules", publish.modules.len(), MAX_MODULES)?;
            (publish.modules.len(), 1)
        }
        Command::Upgrade(upgrade) => {
            limit("number of modules", upgrade.modules.len(), MAX_MODULES)?;
            (upgrade.modules.len(), 1)
        }
        _ => return Err(Rejection::Unsupported("this kind of command".into())),
    };
    if arguments < least {
        return Err(Rejection::Malformed("a command lacks its arguments".into()));
    }
    limit("number of arguments of a command", arguments, MAX_ARGUMENTS)
}

fn limit(what: &'static str, actual: usize, limit: usize) -> Result<(), Rejection> {
    if actual > limit { Err(Rejection::Limit { what, actual, limit }) } else { Ok(()) }
}

/// Finds and checks everything `transaction` names.
///
/// # Errors
///
/// The first [`Rejection`] found.
pub fn resolve(
    transaction: &Transaction,
    source: &dyn ObjectSource,
    context: Context,
) -> Result<Inputs, Rejection> {
    check_limits(transaction)?;
    check_expiration(&transaction.expiration, context)?;
    let payment = &transaction.gas_payment;
    let min = gas::REFERENCE_GAS_PRICE;
    range("price", payment.price, min, gas::MAX_GAS_PRICE)?;
    let least = gas::MIN_BUDGET_UNITS.saturating_mul(payment.price);
    range("budget", payment.budget, least, gas::MAX_BUDGET)?;

    let mut seen = HashSet::new();
    let mut gas_coins = Vec::with_capacity(payment.objects.len());
    let mut balance: u128 = 0;
    for reference in &payment.objects {
        once(&mut seen, reference.object_id())?;
        let coin = owned(source, reference, payment.owner)?;
        balance += u128::from(gas_coin_balance(&coin)?);
        gas_coins.push(coin);
    }
    if gas_coins.is_empty() {
        return Err(Rejection::Malformed("there is no gas coin".into()));
    }
    if balance < u128::from(payment.budget) {
        return Err(Rejection::GasBalance { balance, budget: payment.budget });
    }
    let gas_balance = u64::try_from(balance)
        .map_err(|_| Rejection::Malformed("the gas coins hold more than 2^64 MIST".into()))?;

    let mut resolved = Vec::new();
    for input in &programmable(transaction)?.inputs {
        resolved.push(resolve_input(input, transaction.sender, source, &mut seen)?);
    }

    let objects = || gas_coins.iter().chain(resolved.iter().filter_map(ResolvedInput::object));
    let lamport = objects().map(|object| object.object().version()).max().unwrap_or(0) + 1;
    let dependencies = objects().map(|object| object.object().previous_transaction()).collect();
    Ok(Inputs { gas: gas_coins, gas_balance, lamport, dependencies, resolved })
}

fn range(what: &'static str, actual: u64, min: u64, max: u64) -> Result<(), Rejection> {
    if (min..=max).contains(&actual) { Ok(()) } else { Err(Rejection::GasRange { what, actual, min, max }) }
}

fn once(seen: &mut HashSet<Address>, id: &Address) -> Result<(), Rejection> {
    if seen.insert(*id) { Ok(()) } else { Err(Rejection::DuplicateObject(*id)) }
}

fn resolve_input(
    input: &Input,
    sender: Address,
    source: &dyn ObjectSource,
    seen: &mut HashSet<Address>,
) -> Result<ResolvedInput, Rejection> {
    match input {
        Input::Pure(bytes) => Ok(ResolvedInput::Pure(bytes.clone())),
        Input::ImmutableOrOwned(reference) => {
            once(seen, reference.object_id())?;
            let object = referenced(source, reference)?;
            if matches!(object.object().data(), ObjectData::Package(_)) {
                return Err(ownership(&object, "packages cannot be used as inputs"));
            }
            match object.object().owner() {
                Owner::Immutable => Ok(ResolvedInput::Immutable(object)),
                Owner::Address(owner) if *owner == sender => Ok(ResolvedInput::Owned(object)),
                Owner::Address(_) => Err(ownership(&object, "not by the sender")),
                _ => Err(ownership(&object, "but used as an owned or immutable input")),
            }
        }
        Input::Shared(shared) => {
            once(seen, &shared.object_id())?;
            resolve_shared(shared, source)
        }
        Input::Receiving(reference) => {
            once(seen, reference.object_id())?;
            let object = referenced(source, reference)?;
            match object.object().owner() {
                Owner::Address(_) => Ok(ResolvedInput::Receiving(object)),
                _ => Err(ownership(&object, "so it cannot be received")),
            }
        }
        Input::FundsWithdrawal(_) => Err(Rejection::Unsupported("withdrawals from address balances".into())),
        _ => Err(Rejection::Unsupported("this kind of input".into())),
    }
}

fn resolve_shared(shared: &SharedInput, source: &dyn ObjectSource) -> Result<ResolvedInput, Rejection> {
    let object = live(source, &shared.object_id())?;
    match object.object().owner() {
        Owner::Shared(initial) if *initial == shared.version() => {}
        Owner::Shared(_) => {
            let reason = format!("not since version {}", shared.version());
            return Err(ownership(&object, reason));
        }
        _ => return Err(ownership(&object, "but used as a shared input")),
    }
    let mutable = match shared.mutability() {
        sui_sdk_types::Mutability::Immutable => false,
        sui_sdk_types::Mutability::Mutable => true,
        sui_sdk_types::Mutability::NonExclusiveWrite => {
            return Err(Rejection::Unsupported("non-exclusive writes of shared objects".into()));
        }
    };
    if mutable && shared.object_id() == CLOCK {
        return Err(ownership(&object, "and may only be read"));
    }
    Ok(ResolvedInput::Shared { object, mutable })
}

fn owned(
    source: &dyn ObjectSource,
    reference: &ObjectReference,
    owner: Address,
) -> Result<Arc<StoredObject>, Rejection> {
    let object = referenced(source, reference)?;
    if *object.object().owner() == Owner::Address(owner) {
        Ok(object)
    } else {
        Err(ownership(&object, format!("so {owner} cannot pay with it")))
    }
}

fn referenced(
    source: &dyn ObjectSource,
    reference: &ObjectReference,
) -> Result<Arc<StoredObject>, Rejection> {
    let id = *reference.object_id();
    let object = live(source, &id)?;
    let version = object.object().version();
    if version != reference.version() {
        let wanted = reference.version();
        return Err(Rejection::VersionUnavailable { id, wanted, live: version });
    }
    if object.digest() != *reference.digest() {
        let (wanted, live) = (*reference.digest(), object.digest());
        return Err(Rejection::DigestMismatch { id, version, wanted, live });
    }
    Ok(object)
}

fn live(source: &dyn ObjectSource, id: &Address) -> Result<Arc<StoredObject>, Rejection> {
    source.live(id).ok_or_else(|| match source.removed(id) {
        Some(version) => Rejection::ObjectRemoved { id: *id, version },
        None => Rejection::ObjectNotFound(*id),
    })
}

fn gas_coin_balance(coin: &StoredObject) -> Result<u64, Rejection> {
    let structure = coin.object().as_struct();
    structure
        .filter(|structure| *structure.object_type() == StructTag::gas_coin())
        .and_then(|structure| coin::balance(structure.contents()))
        .ok_or_else(|| ownership(coin, "and is not a SUI coin, so it cannot pay for gas"))
}

fn ownership(object: &StoredObject, reason: impl Into<String>) -> Rejection {
    let object = object.object();
    Rejection::Ownership { id: object.object_id(), owner: *object.owner(), reason: reason.into() }
}

fn check_expiration(expiration: &TransactionExpiration, context: Context) -> Result<(), Rejection> {
    let (min_epoch, max_epoch, min_timestamp, max_timestamp, chain) = match expiration {
        TransactionExpiration::None => return Ok(()),
        TransactionExpiration::Epoch(epoch) => (None, Some(*epoch), None, None, context.chain_id),
        TransactionExpiration::ValidDuring {
            min_epoch,
            max_epoch,
            min_timestamp,
            max_timestamp,
            chain,
            ..
        } => (*min_epoch, *max_epoch, *min_timestamp, *max_timestamp, *chain),
        _ => return Err(Rejection::Unsupported("this kind of expiration".into())),
    };
    let (epoch, now) = (context.epoch, context.timestamp_ms);
    if chain != context.chain_id {
        return Err(Rejection::Expired(format!("it is for chain {chain}")));
    }
    if max_epoch.is_some_and(|max| epoch > max) || max_timestamp.is_some_and(|max| now > max) {
        return Err(Rejection::Expired("it expired".into()));
    }
    if min_epoch.is_some_and(|min| epoch < min) || min_timestamp.is_some_and(|min| now < min) {
        return Err(Rejection::Expired("its time has not come".into()));
    }
    Ok(())
}
