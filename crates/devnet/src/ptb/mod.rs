//! Runs programmable transactions on the interpreter.

mod backing;
mod machine;
mod outcome;
mod publish;
mod pure;
mod run;
mod slot;
mod upgrade;

use sui_sdk_types::{Address, Argument, Digest, Event, ExecutionError, ProgrammableTransaction, TypeTag};

pub(crate) use backing::{ChainBacking, original_id};
use machine::Machine;
pub(crate) use machine::is_receiving;
pub(crate) use publish::package;

use crate::ledger::changes::Changes;
use crate::ledger::{Inputs, ObjectSource};
use crate::vm::Vm;

/// A programmable transaction and what it is executed with.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Request<'a> {
    /// Inputs and commands.
    pub(crate) transaction: &'a ProgrammableTransaction,
    /// Who sent it.
    pub(crate) sender: Address,
    /// Who pays for it.
    pub(crate) gas_owner: Address,
    /// Its digest, from which new identifiers are derived.
    pub(crate) digest: Digest,
    /// The epoch.
    pub(crate) epoch: u64,
    /// When the epoch began, milliseconds since the Unix epoch.
    pub(crate) epoch_timestamp_ms: u64,
    /// MIST per unit of computation.
    pub(crate) gas_price: u64,
    /// The most that may be charged; kept out of the gas coin's reach.
    pub(crate) gas_budget: u64,
    /// The inputs, found and checked.
    pub(crate) inputs: &'a Inputs,
    /// Most internal units of gas to use.
    pub(crate) gas_limit: u64,
    /// Internal units for reading what the transaction names.
    pub(crate) read_cost: u64,
}

/// How a run ended.
#[derive(Clone, Debug)]
pub(crate) struct Run {
    /// What it led to.
    pub(crate) outcome: Result<Success, Failure>,
    /// Internal units of gas used.
    pub(crate) gas: u64,
}

/// What a successful run changed.
#[derive(Clone, Debug, Default)]
pub(crate) struct Success {
    /// Objects written and removed, the gas coin excepted.
    pub(crate) changes: Changes,
    /// MIST taken out of the gas coin.
    pub(crate) gas_taken: u64,
    /// MIST put into the gas coin.
    pub(crate) gas_added: u64,
    /// Whom the gas coin was transferred to, if it was.
    pub(crate) gas_owner: Option<Address>,
    /// Events in the order they were emitted.
    pub(crate) events: Vec<Event>,
    /// Results of each command.
    pub(crate) outputs: Vec<CommandOutputs>,
}

/// Why a run failed.
#[derive(Clone, Debug)]
pub(crate) struct Failure {
    /// What went wrong.
    pub(crate) error: Box<ExecutionError>,
    /// Index of the command that failed.
    pub(crate) command: Option<u64>,
}

/// What one command gave back.
#[derive(Clone, Debug, Default)]
pub struct CommandOutputs {
    /// Values returned, as BCS.
    pub returned: Vec<(TypeTag, Vec<u8>)>,
    /// Values changed through `&mut` arguments, as BCS.
    pub mutated: Vec<(Argument, TypeTag, Vec<u8>)>,
}

/// Runs a programmable transaction.
///
/// # Errors
///
/// What the transaction needs and the interpreter does not have.
pub(crate) fn run(vm: &Vm, source: &dyn ObjectSource, request: &Request<'_>) -> Result<Run, String> {
    let backing = ChainBacking::new(source, Some(request.inputs));
    let mut machine = Machine::new(vm, &backing, source, request);
    let ran = run::Executor::new(&mut machine, request).run();
    let gas = machine.gas();
    let outcome = match ran {
        Err(failure) => match machine.unsupported {
            Some(what) => return Err(what),
            None => Err(failure),
        },
        Ok(leftovers) => {
            let (output, unsupported) = machine.finish(&request.inputs.resolved);
            if let Some(what) = unsupported {
                return Err(what);
            }
            output
                .and_then(|output| outcome::conclude(request, leftovers, output))
                .map_err(|error| Failure { error: Box::new(error), command: None })
        }
    };
    Ok(Run { outcome, gas })
}
