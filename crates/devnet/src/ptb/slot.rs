//! Places where a programmable transaction keeps values between commands.

use sui_sdk_types::{Address, CommandArgumentError, ExecutionError, TypeTag};

/// Where a value came from, which decides what may be done with it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Origin {
    /// Bytes of the transaction.
    Pure,
    /// The coin that pays for gas.
    Gas,
    /// An object of the sender.
    Owned(Address),
    /// A shared object that may be changed.
    Shared(Address),
    /// An immutable object, or a shared one that may only be read.
    ReadOnly,
    /// An object sent to another object.
    Receiving,
    /// A command.
    Result,
}

/// What is in a slot.
#[derive(Clone, Debug)]
pub(super) enum State {
    /// Bytes whose type is not known yet.
    Untyped(Vec<u8>),
    /// A value, as BCS.
    Value {
        /// Its type.
        tag: TypeTag,
        /// Its bytes.
        bytes: Vec<u8>,
        /// Whether it may be used again after being used by value.
        copy: bool,
    },
    /// Nothing: the value was used.
    Taken,
}

/// One place for a value.
#[derive(Clone, Debug)]
pub(super) struct Slot {
    pub(super) origin: Origin,
    pub(super) state: State,
}

/// An error about an argument, before it is known which one.
pub(super) type ArgumentResult<T> = Result<T, CommandArgumentError>;

impl Slot {
    pub(super) fn value(origin: Origin, tag: TypeTag, bytes: Vec<u8>, copy: bool) -> Self {
        Self { origin, state: State::Value { tag, bytes, copy } }
    }

    /// The type of the value, if there is a typed one.
    pub(super) fn tag(&self) -> Option<&TypeTag> {
        match &self.state {
            State::Value { tag, .. } => Some(tag),
            _ => None,
        }
    }

    /// Uses the value up, unless it can be copied.
    pub(super) fn take(&mut self) -> ArgumentResult<(TypeTag, Vec<u8>)> {
        if self.origin == Origin::ReadOnly {
            return Err(CommandArgumentError::InvalidObjectByValue);
        }
        match &self.state {
            State::Untyped(_) => Err(CommandArgumentError::TypeMismatch),
            State::Taken => Err(CommandArgumentError::InvalidValueUsage),
            State::Value { tag, bytes, copy: true } => Ok((tag.clone(), bytes.clone())),
            State::Value { .. } => match std::mem::replace(&mut self.state, State::Taken) {
                State::Value { tag, bytes, .. } => Ok((tag, bytes)),
                _ => Err(CommandArgumentError::InvalidValueUsage),
            },
        }
    }

    /// Reads the value.
    pub(super) fn read(&self) -> ArgumentResult<(&TypeTag, &[u8])> {
        match &self.state {
            State::Value { tag, bytes, .. } => Ok((tag, bytes)),
            State::Untyped(_) => Err(CommandArgumentError::TypeMismatch),
            State::Taken => Err(CommandArgumentError::InvalidValueUsage),
        }
    }

    /// Checks that the value may be changed in place.
    pub(super) fn check_mutable(&self) -> ArgumentResult<()> {
        if self.origin == Origin::ReadOnly {
            Err(CommandArgumentError::InvalidObjectByMutRef)
        } else {
            Ok(())
        }
    }
}

/// Says which argument of a command an error is about.
pub(super) fn at(index: usize) -> impl FnOnce(CommandArgumentError) -> ExecutionError {
    let argument = u16::try_from(index).unwrap_or(u16::MAX);
    move |kind| ExecutionError::CommandArgumentError { argument, kind }
}
