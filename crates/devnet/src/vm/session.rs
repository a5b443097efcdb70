//! One transaction's use of the interpreter.

use std::sync::Arc;

use sui_sdk_types::{Address, Identifier, TypeTag};

use super::codec;
use super::error::{Resource, VmError};
use super::loader::Loader;
use super::machine::{CONTEXT_SLOT, Machine};
use super::module::Module;
use super::types::{SUI, Type};
use super::value::{Ref, Root, Value as Inner};
use super::{Backing, Limits, SessionOutput, TxContext, Vm};

/// What may be done with values of a type.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct AbilitySet {
    /// Values may be copied.
    pub copy: bool,
    /// Values may be dropped.
    pub drop: bool,
    /// Values may be kept in objects.
    pub store: bool,
    /// Values are objects.
    pub key: bool,
}

/// Who may call a function.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Visibility {
    /// Its module only.
    Private,
    /// Everybody.
    Public,
    /// Its module and that module's friends.
    Friend,
}

/// How an argument is passed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Passing {
    /// By value.
    Value,
    /// By `&`.
    Reference,
    /// By `&mut`.
    MutableReference,
}

/// A parameter or a result.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Param {
    /// How it is passed.
    pub passing: Passing,
    /// The type passed, or referred to.
    pub ty: TypeTag,
    /// Whether it is a reference to `0x2::tx_context::TxContext`, which the session supplies:
    /// [`Session::call`] is given no argument for it.
    pub is_tx_context: bool,
}

/// A function's signature.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FunctionInfo {
    /// Who may call it.
    pub visibility: Visibility,
    /// Whether a transaction may call it whatever its visibility.
    pub is_entry: bool,
    /// Parameters, type arguments filled in.
    pub params: Vec<Param>,
    /// Results.
    pub returns: Vec<Param>,
}

/// A Move value outside of running code. It does not know its type.
#[derive(Debug)]
pub struct Value(Inner);

/// An argument of a call. The caller owns what is referred to, and finds it changed afterwards.
#[derive(Debug)]
pub enum Arg<'v> {
    /// For a parameter taken by value.
    Value(Value),
    /// For a parameter taken by `&` or `&mut`.
    Ref(&'v mut Value),
}

/// The interpreter at work for one transaction.
pub struct Session<'a> {
    pub(super) machine: Machine<'a>,
    limits: Limits,
}

impl<'a> Session<'a> {
    /// Starts.
    pub fn new(vm: &'a Vm, backing: &'a dyn Backing, context: TxContext, limits: Limits) -> Self {
        let machine = Machine::new(Loader::new(vm, backing), context, limits);
        Self { machine, limits }
    }

    /// Looks a function up and fills in its type arguments, whose number and abilities are checked.
    ///
    /// # Errors
    ///
    /// If there is no such function, or the type arguments do not fit.
    pub fn function(
        &mut self,
        package: Address,
        module: &Identifier,
        function: &Identifier,
        type_arguments: &[TypeTag],
    ) -> Result<FunctionInfo, VmError> {
        let call = self.prepare(package, module, function, type_arguments)?;
        let params = |types: &[Type]| types.iter().map(param).collect::<Result<_, _>>();
        Ok(FunctionInfo {
            visibility: call.visibility,
            is_entry: call.entry,
            params: params(&call.params)?,
            returns: params(&call.returns)?,
        })
    }

    /// Abilities of a type.
    ///
    /// # Errors
    ///
    /// If there is no such type.
    pub fn abilities(&mut self, ty: &TypeTag) -> Result<AbilitySet, VmError> {
        self.machine.loader.ty(ty).map(|ty| ty.ability_set())
    }

    /// Reads a value; checks everything that its type demands (UTF-8 of strings, length of options).
    ///
    /// # Errors
    ///
    /// If `bytes` are not exactly one value of the type.
    pub fn deserialize(&mut self, ty: &TypeTag, bytes: &[u8]) -> Result<Value, VmError> {
        let ty = self.machine.loader.ty(ty)?;
        codec::decode(&ty, bytes, &mut self.machine.fuel).map(Value)
    }

    /// Writes a value as BCS.
    ///
    /// # Errors
    ///
    /// If there is no such type, or the value is not of it.
    pub fn serialize(&mut self, ty: &TypeTag, value: &Value) -> Result<Vec<u8>, VmError> {
        let resolved = self.machine.loader.ty(ty)?;
        if !codec::conforms(&value.0, &resolved)? {
            let problem = "the value has another type";
            return Err(VmError::Value { ty: Box::new(ty.clone()), problem });
        }
        codec::encode(&value.0, &mut self.machine.fuel).map_err(|fault| match VmError::try_from(fault) {
            Ok(error) => error,
            Err(problem) => VmError::Value { ty: Box::new(ty.clone()), problem },
        })
    }

    /// Number of bytes of the value of type `ty` that `bytes` start with.
    ///
    /// # Errors
    ///
    /// If they start with no such value.
    pub fn measure(&mut self, ty: &TypeTag, bytes: &[u8]) -> Result<usize, VmError> {
        let ty = self.machine.loader.ty(ty)?;
        codec::measure(&ty, bytes, &mut self.machine.fuel)
    }

    /// Calls a function, whatever its visibility. `arguments` are those of the parameters that are
    /// not [`Param::is_tx_context`]. Referred-to values are changed in place; if the call fails,
    /// what they hold is unspecified.
    ///
    /// Results are returned with their types; a function that returns references cannot be called.
    ///
    /// # Errors
    ///
    /// If an argument does not fit its parameter, or the function does not run to its end. The
    /// session is of no further use then, except for [`Session::instructions`].
    pub fn call(
        &mut self,
        package: Address,
        module: &Identifier,
        function: &Identifier,
        type_arguments: &[TypeTag],
        arguments: Vec<Arg<'_>>,
    ) -> Result<Vec<(TypeTag, Value)>, VmError> {
        let call = self.prepare(package, module, function, type_arguments)?;
        let tags: Option<Vec<TypeTag>> = call.returns.iter().map(Type::tag).collect();
        let tags =
            tags.ok_or_else(|| VmError::Unsupported(format!("{function}, which returns references,")))?;
        let mut lent = Vec::new();
        let mut values = Vec::with_capacity(call.params.len());
        let mut arguments = arguments.into_iter().enumerate();
        for param in &call.params {
            if is_tx_context(param) {
                values.push(self.context_reference());
                continue;
            }
            let missing = || argument(values.len(), "it is missing");
            let (index, given) = arguments.next().ok_or_else(missing)?;
            values.push(self.pass(index, param, given, &mut lent)?);
        }
        if let Some((index, _)) = arguments.next() {
            return Err(argument(index, "there is no parameter for it"));
        }
        self.machine.entry = Some((package, module.clone()));
        let returned = self.machine.run(&call.module, call.function, call.type_args, values)?;
        for (slot, owner) in lent {
            if let Some(value) = self.machine.slots.get_mut(slot as usize) {
                *owner = Value(std::mem::take(value));
            }
        }
        Ok(tags.into_iter().zip(returned.into_iter().map(Value)).collect())
    }

    /// Checks one argument and makes it an operand.
    fn pass<'v>(
        &mut self,
        index: usize,
        param: &Type,
        given: Arg<'v>,
        lent: &mut Vec<(u32, &'v mut Value)>,
    ) -> Result<Inner, VmError> {
        let fits = match &given {
            Arg::Value(value) => !param.is_reference() && codec::conforms(&value.0, param)?,
            Arg::Ref(value) => param.is_reference() && codec::conforms(&value.0, param.referent())?,
        };
        if !fits {
            return Err(argument(index, "it does not have the parameter's type"));
        }
        match given {
            Arg::Value(value) => Ok(value.0),
            Arg::Ref(value) => {
                let slot = self.machine.new_slot(std::mem::take(&mut value.0));
                let slot = slot.map_err(|_| argument(index, "there are too many"))?;
                lent.push((slot, value));
                Ok(Inner::Ref(Ref::new(Root::Slot(slot))))
            }
        }
    }

    /// Derives a new object identifier and counts the object as created.
    pub fn fresh_id(&mut self) -> Address {
        let digest = self.machine.context.digest;
        self.machine.objects.fresh_id(&digest)
    }

    /// Counts an object as deleted, as `0x2::object::delete` does.
    pub fn delete_id(&mut self, id: Address) {
        self.machine.objects.record_deleted(id);
    }

    /// Instructions used so far.
    pub fn instructions(&self) -> u64 {
        self.limits.instructions - self.machine.fuel
    }

    /// Charges for what the session does not do itself.
    ///
    /// # Errors
    ///
    /// [`VmError::OutOf`] if the limit is passed.
    pub fn charge(&mut self, gas: u64) -> Result<(), VmError> {
        self.machine.meter.deduct(gas).map_err(|_| VmError::OutOf(Resource::Gas))
    }

    /// Gas used so far, in thousandths of Sui's units of computation.
    pub fn gas(&self) -> u64 {
        self.machine.meter.used()
    }

    /// Ends the session.
    ///
    /// # Errors
    ///
    /// If an object cannot be encoded, or is larger than an object may be.
    pub fn finish(self) -> Result<SessionOutput, VmError> {
        let instructions = self.instructions();
        self.machine.output(instructions)
    }

    pub(super) fn context_reference(&self) -> Inner {
        Inner::Ref(Ref::new(Root::Slot(CONTEXT_SLOT)))
    }

    fn prepare(
        &mut self,
        package: Address,
        name: &Identifier,
        function: &Identifier,
        type_arguments: &[TypeTag],
    ) -> Result<Call, VmError> {
        let module = self.machine.loader.module(package, name)?;
        let missing =
            || VmError::MissingFunction { package, module: name.clone(), function: function.clone() };
        let (index, found) = module.function(function).ok_or_else(missing)?;
        if found.type_params.len() != type_arguments.len() {
            let (wanted, given) = (found.type_params.len(), type_arguments.len());
            return Err(VmError::TypeArguments(format!("{name}::{function} takes {wanted}, not {given}")));
        }
        let mut type_args = Vec::with_capacity(type_arguments.len());
        for (constraints, tag) in found.type_params.iter().zip(type_arguments) {
            let ty = self.machine.loader.ty(tag)?;
            if !ty.has(*constraints) {
                let problem = format!("{tag} lacks an ability that {name}::{function} asks for");
                return Err(VmError::TypeArguments(problem));
            }
            type_args.push(ty);
        }
        let fill =
            |types: &[Type]| types.iter().map(|ty| ty.substitute(&type_args)).collect::<Result<_, _>>();
        Ok(Call {
            function: index,
            visibility: found.visibility,
            entry: found.entry,
            params: fill(&found.params)?,
            returns: fill(&found.returns)?,
            module: Arc::clone(&module),
            type_args,
        })
    }
}

/// A function with its type arguments filled in.
struct Call {
    module: Arc<Module>,
    function: u16,
    visibility: Visibility,
    entry: bool,
    type_args: Vec<Type>,
    params: Vec<Type>,
    returns: Vec<Type>,
}

fn argument(index: usize, problem: &str) -> VmError {
    VmError::Argument { index: u16::try_from(index).unwrap_or(u16::MAX), problem: problem.into() }
}

fn is_tx_context(ty: &Type) -> bool {
    let datatype = ty.referent().as_datatype();
    ty.is_reference() && datatype.is_some_and(|datatype| datatype.is(SUI, "tx_context", "TxContext"))
}

fn param(ty: &Type) -> Result<Param, VmError> {
    let passing = match ty {
        Type::Reference(_) => Passing::Reference,
        Type::MutableReference(_) => Passing::MutableReference,
        _ => Passing::Value,
    };
    let nameless = || VmError::BadModule("a parameter's type has no name".into());
    let tag = ty.referent().tag().ok_or_else(nameless)?;
    Ok(Param { passing, ty: tag, is_tx_context: is_tx_context(ty) })
}
