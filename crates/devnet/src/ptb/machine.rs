//! The interpreter as commands use it: values are BCS, errors are Sui's.

use std::collections::BTreeMap;

use sui_sdk_types::{
    Address, CommandArgumentError, Event, ExecutionError, MoveCall, MoveLocation, MovePackage, StructTag,
    TypeArgumentError, TypeTag,
};

use super::Request;
use super::backing::ChainBacking;
use super::outcome::{Moved, Output};
use crate::ledger::changes::NewOwner;
use crate::ledger::gas::{self, REFERENCE_GAS_PRICE};
use crate::ledger::{ObjectSource, ResolvedInput};
use crate::vm::{
    self, AbilitySet, Arg, ChildFate, FunctionInfo, Limits, Passing, Resource, Session, Value, Visibility,
    Vm, VmError,
};

/// The interpreter at work for one programmable transaction.
pub(super) struct Machine<'a> {
    pub(super) session: Session<'a>,
    pub(super) source: &'a dyn ObjectSource,
    pub(super) packages: BTreeMap<Address, MovePackage>,
    /// What the transaction needs and the interpreter does not have.
    pub(super) unsupported: Option<String>,
}

/// What a call led to.
pub(super) struct CallOutcome {
    pub(super) returned: Vec<(TypeTag, Vec<u8>)>,
    /// Values of the `&mut` arguments, in order.
    pub(super) mutated: Vec<Vec<u8>>,
}

impl<'a> Machine<'a> {
    pub(super) fn new(
        vm: &'a Vm,
        backing: &'a ChainBacking<'a>,
        source: &'a dyn ObjectSource,
        request: &Request<'_>,
    ) -> Self {
        let context = vm::TxContext {
            sender: request.sender,
            sponsor: (request.gas_owner != request.sender).then_some(request.gas_owner),
            digest: request.digest.into_inner(),
            epoch: request.epoch,
            epoch_timestamp_ms: request.epoch_timestamp_ms,
            gas_price: request.gas_price,
            reference_gas_price: REFERENCE_GAS_PRICE,
            gas_budget: request.gas_budget,
            ids_created: 0,
        };
        let limits = Limits { instructions: gas::MAX_INSTRUCTIONS, gas: request.gas_limit };
        let session = Session::new(vm, backing, context, limits);
        Self { session, source, packages: BTreeMap::new(), unsupported: None }
    }

    /// Internal units of gas used so far.
    pub(super) fn gas(&self) -> u64 {
        self.session.gas()
    }

    /// Charges for what is not bytecode.
    pub(super) fn charge(&mut self, gas: u64) -> Result<(), ExecutionError> {
        self.session.charge(gas).map_err(|error| self.explain(error))
    }

    pub(super) fn abilities(&mut self, tag: &TypeTag) -> Result<AbilitySet, ExecutionError> {
        let abilities = self.session.abilities(tag);
        abilities.map_err(|error| self.explain(error))
    }

    pub(super) fn fresh_id(&mut self) -> Address {
        self.session.fresh_id()
    }

    pub(super) fn delete_id(&mut self, id: Address) {
        self.session.delete_id(id);
    }

    /// The signature of a function that transactions may call, without the `TxContext`.
    pub(super) fn signature(&mut self, call: &MoveCall) -> Result<FunctionInfo, ExecutionError> {
        let found = self.session.function(call.package, &call.module, &call.function, &call.type_arguments);
        let mut function = found.map_err(|error| self.explain(error))?;
        if function.visibility != Visibility::Public && !function.is_entry {
            return Err(ExecutionError::NonEntryFunctionInvoked);
        }
        let reference = |param: &vm::Param| param.passing != Passing::Value;
        if let Some(index) = function.returns.iter().position(reference) {
            let index = u16::try_from(index).unwrap_or(u16::MAX);
            return Err(ExecutionError::InvalidPublicFunctionReturnType { index });
        }
        function.params.retain(|param| !param.is_tx_context);
        Ok(function)
    }

    /// Calls a function with the arguments its signature asks for.
    pub(super) fn call(
        &mut self,
        call: &MoveCall,
        signature: &FunctionInfo,
        arguments: &[Vec<u8>],
    ) -> Result<CallOutcome, ExecutionError> {
        let mut values: Vec<Value> = Vec::with_capacity(arguments.len());
        for (index, (param, bytes)) in signature.params.iter().zip(arguments).enumerate() {
            let value = self.session.deserialize(&param.ty, bytes);
            values.push(value.map_err(|error| match error {
                VmError::Value { .. } => super::slot::at(index)(CommandArgumentError::InvalidBcsBytes),
                other => self.explain(other),
            })?);
        }
        let mut by_value = Vec::new();
        let mut by_reference = Vec::new();
        for (param, value) in signature.params.iter().zip(values) {
            match param.passing {
                Passing::Value => by_value.push(value),
                _ => by_reference.push(value),
            }
        }
        let (mut moved, mut referred) = (by_value.into_iter(), by_reference.iter_mut());
        let passed = signature
            .params
            .iter()
            .filter_map(|param| match param.passing {
                Passing::Value => moved.next().map(Arg::Value),
                _ => referred.next().map(Arg::Ref),
            })
            .collect();
        let returned = self
            .session
            .call(call.package, &call.module, &call.function, &call.type_arguments, passed)
            .map_err(|error| self.explain(error))?;
        let mut outcome = CallOutcome { returned: Vec::new(), mutated: Vec::new() };
        let referred = signature.params.iter().filter(|param| param.passing != Passing::Value);
        for (param, value) in referred.zip(&by_reference) {
            if param.passing == Passing::MutableReference {
                outcome.mutated.push(self.serialize(&param.ty, value)?);
            }
        }
        for (tag, value) in returned {
            let bytes = self.serialize(&tag, &value)?;
            outcome.returned.push((tag, bytes));
        }
        Ok(outcome)
    }

    fn serialize(&mut self, tag: &TypeTag, value: &Value) -> Result<Vec<u8>, ExecutionError> {
        let bytes = self.session.serialize(tag, value);
        bytes.map_err(|error| self.explain(error))
    }

    /// Ends the session.
    pub(super) fn finish(self, inputs: &[ResolvedInput]) -> (Result<Output, ExecutionError>, Option<String>) {
        let Self { session, packages, mut unsupported, .. } = self;
        let finished = session.finish().map_err(|error| explain(error, &mut unsupported));
        let output = finished.map(|finished| {
            let mut output = Output {
                created: finished.created,
                deleted: finished.deleted,
                packages,
                ..Output::default()
            };
            for transfer in finished.transfers {
                output.moved.push(Moved {
                    id: transfer.id,
                    owner: match transfer.owner {
                        vm::NewOwner::Address(address) => NewOwner::Address(address),
                        vm::NewOwner::Shared => NewOwner::Shared,
                        vm::NewOwner::Immutable => NewOwner::Immutable,
                    },
                    type_: transfer.ty,
                    has_public_transfer: transfer.has_public_transfer,
                    contents: transfer.contents,
                });
            }
            for child in finished.children {
                match child.fate {
                    ChildFate::Written { ty, has_public_transfer, contents } => {
                        output.moved.push(Moved {
                            id: child.id,
                            owner: NewOwner::Object(child.parent),
                            type_: ty,
                            has_public_transfer,
                            contents,
                        });
                    }
                    ChildFate::Removed => {
                        output.detached.insert(child.id);
                    }
                }
            }
            for loaded in finished.loaded {
                let received = inputs.iter().any(|input| match input {
                    ResolvedInput::Receiving(object) => object.object().object_id() == loaded.id,
                    _ => false,
                });
                if received {
                    output.detached.insert(loaded.id);
                }
            }
            output.events = finished
                .events
                .into_iter()
                .map(|event| Event {
                    package_id: event.package,
                    module: event.module,
                    sender: event.sender,
                    type_: event.ty,
                    contents: event.contents,
                })
                .collect();
            output
        });
        (output, unsupported)
    }

    pub(super) fn explain(&mut self, error: VmError) -> ExecutionError {
        explain(error, &mut self.unsupported)
    }
}

/// Says an interpreter's error in Sui's words.
fn explain(error: VmError, unsupported: &mut Option<String>) -> ExecutionError {
    let located = |location: Box<vm::Location>| MoveLocation {
        package: location.package,
        module: location.module,
        function: location.function,
        instruction: location.instruction,
        function_name: Some(location.function_name),
    };
    match error {
        VmError::Abort { location, code } => ExecutionError::MoveAbort { location: located(location), code },
        VmError::Primitive { location, .. } => {
            ExecutionError::MovePrimitiveRuntimeError { location: Some(located(location)) }
        }
        VmError::OutOf(Resource::Gas | Resource::Instructions) => ExecutionError::InsufficientGas,
        VmError::OutOf(_) => ExecutionError::MovePrimitiveRuntimeError { location: None },
        VmError::Unsupported(what) => {
            *unsupported = Some(what);
            ExecutionError::FeatureNotYetSupported
        }
        VmError::MissingModule { .. } | VmError::MissingFunction { .. } => ExecutionError::FunctionNotFound,
        VmError::MissingType(_) => {
            ExecutionError::TypeArgumentError { type_argument: 0, kind: TypeArgumentError::TypeNotFound }
        }
        VmError::TypeArguments(_) => ExecutionError::TypeArgumentError {
            type_argument: 0,
            kind: TypeArgumentError::ConstraintNotSatisfied,
        },
        VmError::Argument { index, .. } => {
            ExecutionError::CommandArgumentError { argument: index, kind: CommandArgumentError::TypeMismatch }
        }
        VmError::Value { .. } => ExecutionError::VmInvariantViolation,
        VmError::BadModule(reason) => {
            tracing::debug!(reason, "a module is refused");
            ExecutionError::VmVerificationOrDeserializationError
        }
        other => {
            tracing::warn!(error = %other, "code did what verified code cannot do");
            ExecutionError::VmInvariantViolation
        }
    }
}

/// True for `0x2::transfer::Receiving<T>`.
pub(crate) fn is_receiving(tag: &TypeTag) -> bool {
    let receiving = |tag: &StructTag| {
        *tag.address() == Address::TWO
            && tag.module().as_str() == "transfer"
            && tag.name().as_str() == "Receiving"
    };
    matches!(tag, TypeTag::Struct(tag) if receiving(tag))
}
