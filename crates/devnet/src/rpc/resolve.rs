//! Completes the transactions that clients send to be simulated: object versions, the mutability of
//! shared objects, the gas budget and the gas coins may be left out.

use std::cmp::Reverse;
use std::collections::HashSet;
use std::sync::Arc;

use sui_rpc::proto::sui::rpc::v2 as proto;
use sui_rpc::proto::sui::rpc::v2::input::{InputKind, Mutability};
use sui_sdk_types::{
    Address, Argument, Command, Digest, ExecutionStatus, GasPayment, Input, MoveStruct, Object, ObjectData,
    ObjectReference, Owner, ProgrammableTransaction, SharedInput, SignedTransaction, StructTag, Transaction,
    TransactionExpiration, TransactionKind,
};
use tonic::Status;

use super::execution::check_types;
use super::{parse, rejected};
use crate::introspect;
use crate::ledger::{Execution, Ledger, ObjectSource, StoredObject, VerifiedTransaction, coin, gas};
use crate::node::Node;
use crate::ptb::is_receiving;
use crate::vm::Passing;

/// The coin that pays when no coin is named and none has to be selected.
const MOCK_GAS: Address =
    Address::from_static("0xdede0000000000000000000000000000000000000000000000000000000000a5");
const MAX_GAS_COINS: usize = 256;
/// Units of computation that an estimated budget has to spare.
const SPARE_UNITS: u64 = 1_000;

/// A completed transaction and what it would do.
pub(super) struct Simulation {
    pub(super) transaction: Transaction,
    pub(super) execution: Execution,
}

/// Completes and simulates `message`; selects gas coins if asked to and none are named.
pub(super) fn simulate(
    node: &Node,
    message: &proto::Transaction,
    select_gas: bool,
) -> Result<Simulation, Status> {
    let (mut transaction, budget_given) = {
        let ledger = node.ledger();
        complete(node, &ledger, message)?
    };
    let coins_given = !transaction.gas_payment.objects.is_empty();
    if !budget_given {
        transaction.gas_payment.budget = gas::MAX_BUDGET;
        let trial = run_with_mock_gas(node, transaction.clone())?;
        if *trial.effects.status() != ExecutionStatus::Success {
            return Ok(Simulation { transaction, execution: trial });
        }
        let price = transaction.gas_payment.price;
        let estimate = trial.effects.gas_summary().gas_used();
        let budget = estimate.saturating_add(SPARE_UNITS.saturating_mul(price));
        transaction.gas_payment.budget = budget.min(gas::MAX_BUDGET);
    }
    if !coins_given {
        if !select_gas {
            let execution = run_with_mock_gas(node, transaction.clone())?;
            return Ok(Simulation { transaction, execution });
        }
        transaction.gas_payment.objects = select_coins(&node.ledger(), &transaction)?;
    }
    let execution = run(node, transaction.clone(), None)?;
    Ok(Simulation { transaction, execution })
}

fn run(node: &Node, transaction: Transaction, mock: Option<Arc<StoredObject>>) -> Result<Execution, Status> {
    let signed = SignedTransaction { transaction, signatures: Vec::new() };
    let unverified = VerifiedTransaction::unverified(signed);
    node.simulate_with(&unverified, mock).map_err(|rejection| rejected(&rejection))
}

fn run_with_mock_gas(node: &Node, mut transaction: Transaction) -> Result<Execution, Status> {
    let contents = coin::contents(MOCK_GAS, u64::MAX / 2);
    let structure = MoveStruct::new(StructTag::gas_coin(), true, 1, contents)
        .ok_or_else(|| Status::internal("a coin is not an object"))?;
    let owner = Owner::Address(transaction.gas_payment.owner);
    let object = Object::new(ObjectData::Struct(structure), owner, Digest::ZERO, 0);
    let mock = StoredObject::new(object);
    transaction.gas_payment.objects = vec![mock.reference()];
    run(node, transaction, Some(mock))
}

/// The gas owner's largest coins that are not inputs and together cover the budget.
fn select_coins(ledger: &Ledger, transaction: &Transaction) -> Result<Vec<ObjectReference>, Status> {
    let payment = &transaction.gas_payment;
    let inputs: HashSet<Address> = match &transaction.kind {
        TransactionKind::ProgrammableTransaction(programmable) => {
            programmable.inputs.iter().filter_map(input_id).collect()
        }
        _ => HashSet::new(),
    };
    let mut coins: Vec<_> = ledger
        .objects()
        .owned_by(&payment.owner)
        .filter(|stored| !inputs.contains(&stored.object().object_id()))
        .filter(|stored| {
            let structure = stored.object().as_struct();
            structure.is_some_and(|s| *s.object_type() == StructTag::gas_coin())
        })
        .filter_map(|stored| Some((coin::of_object(stored.object())?.1, stored)))
        .collect();
    coins.sort_unstable_by_key(|(balance, stored)| (Reverse(*balance), stored.object().object_id()));
    let mut selected = Vec::new();
    let mut total: u64 = 0;
    for (balance, stored) in coins.into_iter().take(MAX_GAS_COINS) {
        selected.push(stored.reference());
        total = total.saturating_add(balance);
        if total >= payment.budget {
            return Ok(selected);
        }
    }
    Err(Status::invalid_argument(format!(
        "gas selection: the free SUI coins of {} hold {total} MIST, the transaction needs {}",
        payment.owner, payment.budget
    )))
}

fn input_id(input: &Input) -> Option<Address> {
    match input {
        Input::ImmutableOrOwned(reference) | Input::Receiving(reference) => Some(*reference.object_id()),
        Input::Shared(shared) => Some(shared.object_id()),
        _ => None,
    }
}

/// Fills in what is missing, except gas coins; says whether a budget was given.
fn complete(
    node: &Node,
    ledger: &Ledger,
    message: &proto::Transaction,
) -> Result<(Transaction, bool), Status> {
    check_types(message)?;
    let invalid =
        |error: sui_rpc::proto::TryFromProtoError| Status::invalid_argument(format!("transaction: {error}"));
    if message.bcs.is_some() {
        let transaction = Transaction::try_from(message).map_err(invalid)?;
        let budget_given = transaction.gas_payment.budget != 0;
        return Ok((transaction, budget_given));
    }
    let sender = parse::address("sender", message.sender.as_deref())?;
    let programmable = message.kind().programmable_transaction();
    let commands: Vec<Command> =
        programmable.commands.iter().map(TryInto::try_into).collect::<Result<_, _>>().map_err(invalid)?;
    let mut inputs = Vec::with_capacity(programmable.inputs.len());
    for (index, input) in programmable.inputs.iter().enumerate() {
        let index =
            u16::try_from(index).map_err(|_| Status::invalid_argument("transaction: too many inputs"))?;
        let used = || usage(node, ledger, &commands, Argument::Input(index));
        inputs.push(complete_input(ledger, input, used)?);
    }
    let payment = message.gas_payment();
    let gas_payment = GasPayment {
        objects: payment
            .objects
            .iter()
            .map(|reference| complete_reference(ledger, reference))
            .collect::<Result<_, _>>()?,
        owner: match &payment.owner {
            Some(owner) => parse::address("gas_payment.owner", Some(owner))?,
            None => sender,
        },
        price: payment.price.unwrap_or(gas::REFERENCE_GAS_PRICE),
        budget: payment.budget.unwrap_or(0),
    };
    let expiration = match &message.expiration {
        Some(expiration) => expiration.try_into().map_err(invalid)?,
        None => TransactionExpiration::None,
    };
    let kind = TransactionKind::ProgrammableTransaction(ProgrammableTransaction { inputs, commands });
    Ok((Transaction { kind, sender, gas_payment, expiration }, payment.budget.is_some()))
}

fn complete_reference(
    ledger: &Ledger,
    reference: &proto::ObjectReference,
) -> Result<ObjectReference, Status> {
    let id = parse::address("object_id", reference.object_id.as_deref())?;
    let stored = live(ledger, &id)?;
    pin(&stored, reference.version, reference.digest.as_deref())
}

/// How a transaction uses an input.
#[derive(Clone, Copy, Debug, Default)]
struct Usage {
    mutable: bool,
    receiving: bool,
}

fn complete_input(
    ledger: &Ledger,
    input: &proto::Input,
    used: impl FnOnce() -> Usage,
) -> Result<Input, Status> {
    if input.literal.is_some() {
        return Err(Status::invalid_argument("inputs: literals are not supported, use pure"));
    }
    if let Some(pure) = &input.pure {
        return Ok(Input::Pure(pure.to_vec()));
    }
    if matches!(input.kind(), InputKind::FundsWithdrawal) {
        return Err(Status::invalid_argument("inputs: there are no address balances here"));
    }
    let id = parse::address("inputs.object_id", input.object_id.as_deref())?;
    let stored = live(ledger, &id)?;
    if let Owner::Shared(initial) = stored.object().owner() {
        let mutable = match (input.mutability(), input.mutable) {
            (Mutability::Mutable, _) => true,
            (Mutability::Immutable, _) => false,
            (_, Some(mutable)) => mutable,
            _ => used().mutable,
        };
        let initial = input.version.unwrap_or(*initial);
        return Ok(Input::Shared(SharedInput::new(id, initial, mutable)));
    }
    let reference = pin(&stored, input.version, input.digest.as_deref())?;
    let receiving = match input.kind() {
        InputKind::Receiving => true,
        InputKind::ImmutableOrOwned => false,
        _ => used().receiving,
    };
    Ok(if receiving { Input::Receiving(reference) } else { Input::ImmutableOrOwned(reference) })
}

fn pin(stored: &StoredObject, version: Option<u64>, digest: Option<&str>) -> Result<ObjectReference, Status> {
    let id = stored.object().object_id();
    let version = version.unwrap_or_else(|| stored.object().version());
    let digest = match digest {
        Some(digest) => parse::digest("digest", Some(digest))?,
        None => stored.digest(),
    };
    Ok(ObjectReference::new(id, version, digest))
}

fn live(ledger: &Ledger, id: &Address) -> Result<Arc<StoredObject>, Status> {
    ledger.objects().live(id).ok_or_else(|| Status::invalid_argument(format!("there is no live object {id}")))
}

fn usage(node: &Node, ledger: &Ledger, commands: &[Command], input: Argument) -> Usage {
    let mut usage = Usage::default();
    for command in commands {
        match command {
            Command::MoveCall(call) => {
                let Some(function) = introspect::signature(node.vm(), ledger, call) else {
                    continue;
                };
                for (argument, param) in call.arguments.iter().zip(&function.params) {
                    if *argument == input {
                        usage.mutable |= param.passing != Passing::Reference;
                        usage.receiving |= is_receiving(&param.ty);
                    }
                }
            }
            Command::TransferObjects(transfer) => {
                usage.mutable |= transfer.objects.contains(&input);
            }
            Command::SplitCoins(split) => usage.mutable |= split.coin == input,
            Command::MergeCoins(merge) => {
                usage.mutable |= merge.coin == input || merge.coins_to_merge.contains(&input);
            }
            Command::MakeMoveVector(make) => usage.mutable |= make.elements.contains(&input),
            _ => {}
        }
    }
    usage
}
