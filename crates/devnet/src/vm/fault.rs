//! Errors inside the interpreter, before it is known where they happened.

use super::error::{Location, Primitive, Resource, VmError};

/// Why an instruction or native function failed.
#[derive(Debug)]
pub(crate) enum Fault {
    Abort(u64),
    Primitive(Primitive),
    OutOf(Resource),
    BadCode(&'static str),
    /// Something that says itself where it happened.
    Other(Box<VmError>),
}

/// The outcome of an instruction or native function.
pub(crate) type Step<T> = Result<T, Fault>;

impl Fault {
    /// The error, given where it happened.
    pub(crate) fn at(self, location: impl FnOnce() -> Location) -> VmError {
        match self {
            Self::Abort(code) => VmError::Abort { location: Box::new(location()), code },
            Self::Primitive(what) => VmError::Primitive { location: Box::new(location()), what },
            Self::OutOf(resource) => VmError::OutOf(resource),
            Self::BadCode(problem) => VmError::BadCode { location: Box::new(location()), problem },
            Self::Other(error) => *error,
        }
    }
}

impl From<VmError> for Fault {
    fn from(error: VmError) -> Self {
        match error {
            VmError::OutOf(resource) => Self::OutOf(resource),
            other => Self::Other(Box::new(other)),
        }
    }
}

/// The error if it needs no location, else what is wrong.
impl TryFrom<Fault> for VmError {
    type Error = &'static str;

    fn try_from(fault: Fault) -> Result<Self, &'static str> {
        match fault {
            Fault::OutOf(resource) => Ok(Self::OutOf(resource)),
            Fault::Other(error) => Ok(*error),
            Fault::BadCode(problem) => Err(problem),
            Fault::Abort(_) | Fault::Primitive(_) => Err("it cannot be done"),
        }
    }
}
