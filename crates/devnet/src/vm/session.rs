//! One transaction's use of the interpreter.

use std::collections::BTreeMap;
use std::sync::Arc;

use sui_sdk_types::{Address, Identifier, StructTag, TypeTag};

use super::{Backing, Limits, SessionOutput, TxContext, Vm, VmError};

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
#[derive(Clone, Debug)]
pub struct Value(());

/// An argument of a call. The caller owns what is referred to, and finds it changed afterwards.
#[derive(Debug)]
pub enum Arg<'v> {
    /// For a parameter taken by value.
    Value(Value),
    /// For a parameter taken by `&` or `&mut`.
    Ref(&'v mut Value),
}

/// A package to publish.
#[derive(Clone, Debug)]
pub struct Publication {
    /// Storage identifier of the new package.
    pub id: Address,
    /// Its modules; their own address is `0x0`, or for an upgrade its original identifier.
    pub modules: Vec<Vec<u8>>,
    /// Original identifier of the package: `id`, unless it is an upgrade.
    pub original: Address,
    /// Storage identifier of each dependency, by original identifier.
    pub linkage: BTreeMap<Address, Address>,
    /// Storage identifier of the version that first had a type, for types that are older than this
    /// version; by module and type name.
    pub type_origins: BTreeMap<(Identifier, Identifier), Address>,
}

/// A package that was checked and can be called in the same session.
#[derive(Clone, Debug)]
pub struct Published {
    /// Bytes of each module, now with the package's own address.
    pub modules: BTreeMap<Identifier, Arc<[u8]>>,
    /// Modules and names of the package's structs and enums, in order.
    pub datatypes: Vec<(Identifier, Identifier)>,
    /// Original identifiers of the packages that the modules use.
    pub dependencies: Vec<Address>,
    /// Modules with a function `init`.
    pub initializers: Vec<Identifier>,
}

/// The interpreter at work for one transaction.
pub struct Session<'a> {
    vm: &'a Vm,
    backing: &'a dyn Backing,
    context: TxContext,
    limits: Limits,
}

impl<'a> Session<'a> {
    /// Starts.
    pub fn new(vm: &'a Vm, backing: &'a dyn Backing, context: TxContext, limits: Limits) -> Self {
        Self { vm, backing, context, limits }
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
        let _ =
            (self.vm, self.backing, &self.context, self.limits, package, module, function, type_arguments);
        Err(VmError::Unsupported("function".into()))
    }

    /// Abilities of a type.
    ///
    /// # Errors
    ///
    /// If there is no such type.
    pub fn abilities(&mut self, ty: &TypeTag) -> Result<AbilitySet, VmError> {
        Err(VmError::Unsupported(ty.to_string()))
    }

    /// Reads a value; checks everything that its type demands (UTF-8 of strings, length of options).
    ///
    /// # Errors
    ///
    /// If `bytes` are not exactly one value of the type.
    pub fn deserialize(&mut self, ty: &TypeTag, bytes: &[u8]) -> Result<Value, VmError> {
        let _ = bytes;
        Err(VmError::Unsupported(ty.to_string()))
    }

    /// Writes a value as BCS.
    ///
    /// # Errors
    ///
    /// If there is no such type, or the value is not of it.
    pub fn serialize(&mut self, ty: &TypeTag, value: &Value) -> Result<Vec<u8>, VmError> {
        let _ = value;
        Err(VmError::Unsupported(ty.to_string()))
    }

    /// Number of bytes of the value of type `ty` that `bytes` start with.
    ///
    /// # Errors
    ///
    /// If they start with no such value.
    pub fn measure(&mut self, ty: &TypeTag, bytes: &[u8]) -> Result<usize, VmError> {
        let _ = bytes;
        Err(VmError::Unsupported(ty.to_string()))
    }

    /// Calls a function, whatever its visibility. `arguments` are those of the parameters that are
    /// not [`Param::is_tx_context`]; values must be of the parameters' types (the caller checks, with
    /// [`Session::function`]). Referred-to values are changed in place, also if the call fails.
    ///
    /// Results are returned with their types; a function that returns references cannot be called.
    ///
    /// # Errors
    ///
    /// If the function does not run to its end. The session is of no further use then, except for
    /// [`Session::instructions`].
    pub fn call(
        &mut self,
        package: Address,
        module: &Identifier,
        function: &Identifier,
        type_arguments: &[TypeTag],
        arguments: Vec<Arg<'_>>,
    ) -> Result<Vec<(TypeTag, Value)>, VmError> {
        let _ = (package, module, function, type_arguments, arguments);
        Err(VmError::Unsupported("call".into()))
    }

    /// Gives a package's modules their address, checks and links them. From now on this session can
    /// call it; others can when [`Backing`] has it.
    ///
    /// # Errors
    ///
    /// If a module is malformed, is there twice, or does not fit what it uses.
    pub fn publish(&mut self, publication: Publication) -> Result<Published, VmError> {
        let _ = publication;
        Err(VmError::Unsupported("publish".into()))
    }

    /// Runs the `init` functions of a package published in this session, with one-time witnesses for
    /// those that take one.
    ///
    /// # Errors
    ///
    /// As [`Session::call`].
    pub fn initialize(&mut self, published: &Published, package: Address) -> Result<(), VmError> {
        let _ = (published, package);
        Err(VmError::Unsupported("init".into()))
    }

    /// Derives a new object identifier and counts the object as created.
    pub fn fresh_id(&mut self) -> Address {
        Address::ZERO
    }

    /// Counts an object as deleted, as `0x2::object::delete` does.
    pub fn delete_id(&mut self, id: Address) {
        let _ = id;
    }

    /// Instructions used so far.
    pub fn instructions(&self) -> u64 {
        0
    }

    /// Ends the session.
    ///
    /// # Errors
    ///
    /// If an object cannot be encoded, or is larger than an object may be.
    pub fn finish(self) -> Result<SessionOutput, VmError> {
        let _: Option<StructTag> = None;
        Ok(SessionOutput::default())
    }
}
