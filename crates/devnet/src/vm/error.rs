//! What can go wrong when bytecode is loaded or run.

use std::fmt;

use sui_sdk_types::{Address, Identifier, TypeTag};

use super::binary::Rejected;

/// A place in a module's code.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Location {
    /// The package, by storage identifier.
    pub package: Address,
    /// The module.
    pub module: Identifier,
    /// Index of the function among the module's definitions.
    pub function: u16,
    /// Its name.
    pub function_name: Identifier,
    /// Index of the instruction in the function; 0 in a native function.
    pub instruction: u16,
}

impl fmt::Display for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { package, module, function_name, instruction, .. } = self;
        write!(f, "{package}::{module}::{function_name} at instruction {instruction}")
    }
}

/// What an instruction could not do with the numbers or vectors it was given.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Primitive {
    /// Overflow, underflow, division by zero, too wide a shift, or a cast that loses bits.
    #[error("arithmetic error")]
    Arithmetic,
    /// A vector has no element at this index.
    #[error("vector index out of bounds")]
    IndexOutOfBounds,
    /// `pop_back` of an empty vector.
    #[error("pop from an empty vector")]
    EmptyVector,
    /// A vector was unpacked into another number of elements than it has.
    #[error("vector has another length than it is unpacked into")]
    VectorLength,
    /// An enum has another variant than the one it is unpacked as.
    #[error("enum has another variant than it is unpacked as")]
    Variant,
}

/// A resource of a transaction that is limited.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Resource {
    /// Instructions, as set by [`Limits::instructions`](super::Limits::instructions).
    #[error("instructions")]
    Instructions,
    /// What the transaction pays for.
    #[error("gas")]
    Gas,
    /// Nested calls.
    #[error("nested calls")]
    CallDepth,
    /// Values on the operand stack.
    #[error("operand stack")]
    Stack,
    /// Nesting of types or values.
    #[error("nesting of types")]
    TypeDepth,
    /// Events, or bytes of one event.
    #[error("events")]
    Events,
    /// Objects created, or bytes of one object.
    #[error("objects")]
    Objects,
}

/// Why code was not loaded, or did not run to its end.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum VmError {
    /// The code aborted.
    #[error("abort {code} in {location}")]
    Abort {
        /// Where. For an abort of a native function, that function.
        location: Box<Location>,
        /// The abort code.
        code: u64,
    },
    /// An instruction failed on its operands.
    #[error("{what} in {location}")]
    Primitive {
        /// Where.
        location: Box<Location>,
        /// How.
        what: Primitive,
    },
    /// The transaction used up what it may use.
    #[error("out of {0}")]
    OutOf(Resource),
    /// The interpreter does not have this instruction or native function.
    #[error("{0} is not supported by the development chain")]
    Unsupported(String),
    /// There is no such module.
    #[error("there is no module {package}::{module}")]
    MissingModule {
        /// The package.
        package: Address,
        /// The module.
        module: Identifier,
    },
    /// There is no such function.
    #[error("there is no function {package}::{module}::{function}")]
    MissingFunction {
        /// The package.
        package: Address,
        /// The module.
        module: Identifier,
        /// The function.
        function: Identifier,
    },
    /// There is no such type.
    #[error("there is no type {0}")]
    MissingType(String),
    /// Type arguments are too many, too few, or lack an ability.
    #[error("bad type arguments: {0}")]
    TypeArguments(String),
    /// There are too many or too few arguments, or one is no value of its parameter's type.
    #[error("argument {index}: {problem}")]
    Argument {
        /// Which one, from 0.
        index: u16,
        /// What is wrong with it.
        problem: String,
    },
    /// Bytes are no value of the type.
    #[error("not a {ty}: {problem}")]
    Value {
        /// The type.
        ty: Box<TypeTag>,
        /// What is wrong.
        problem: &'static str,
    },
    /// A module is malformed, or does not fit the modules it uses.
    #[error("bad module: {0}")]
    BadModule(String),
    /// Code did what verified code cannot do.
    #[error("bad code: {problem} in {location}")]
    BadCode {
        /// Where.
        location: Box<Location>,
        /// What.
        problem: &'static str,
    },
}

impl From<Rejected> for VmError {
    fn from(rejected: Rejected) -> Self {
        match rejected {
            Rejected::Malformed(problem) => Self::BadModule(problem.into()),
            Rejected::Opcode(opcode) => Self::Unsupported(format!("instruction {opcode:#04x}")),
        }
    }
}
