//! The state of an interpreter at work: operand stack, locals, slots, and what natives may ask of
//! them.

use std::sync::Arc;

use sui_sdk_types::{Address, Identifier};

use super::error::{Location, Resource};
use super::fault::{Fault, Step};
use super::gas::{self, Meter};
use super::loader::Loader;
use super::module::Module;
use super::objects::Objects;
use super::value::{Place, PlaceMut, Ref, Root, VALUE_COST, Value, spend};
use super::{Limits, TxContext};

/// Most values on the operand stack.
const MAX_STACK: usize = 1024;
/// The slot that holds the `TxContext`.
pub(crate) const CONTEXT_SLOT: u32 = 0;

/// An interpreter at work.
pub(crate) struct Machine<'a> {
    pub(crate) loader: Loader<'a>,
    pub(crate) context: TxContext,
    /// Instructions left.
    pub(crate) fuel: u64,
    pub(crate) meter: Meter,
    pub(crate) stack: Vec<Value>,
    /// Where the part of the stack begins that the running function may use.
    pub(crate) floor: usize,
    /// Locals of all frames.
    pub(crate) locals: Vec<Value>,
    /// Values that live longer than a frame: the context, arguments by reference, child objects.
    pub(crate) slots: Vec<Value>,
    pub(crate) objects: Objects,
    /// The function that the transaction called: package and module that events name.
    pub(crate) entry: Option<(Address, Identifier)>,
}

const WRONG_TYPE: Fault = Fault::BadCode("an operand of the wrong type");

/// What `reference` refers to.
pub(crate) fn resolve<'v>(locals: &'v [Value], slots: &'v [Value], reference: &Ref) -> Step<Place<'v>> {
    let (values, index) = match reference.root {
        Root::Local(index) => (locals, index),
        Root::Slot(index) => (slots, index),
    };
    let value = values.get(index as usize).ok_or(Fault::BadCode("a reference to nothing"))?;
    value.at(reference.path())
}

impl<'a> Machine<'a> {
    pub(crate) fn new(loader: Loader<'a>, context: TxContext, limits: Limits) -> Self {
        let tx_context = Value::Struct(
            vec![
                Value::Address(context.sender.into_inner()),
                Value::Bytes(context.digest.to_vec()),
                Value::U64(context.epoch),
                Value::U64(context.epoch_timestamp_ms),
                // Identifiers are counted by the session; this field is always 0.
                Value::U64(0),
            ]
            .into(),
        );
        let objects = Objects::new(context.ids_created);
        Self {
            loader,
            context,
            fuel: limits.instructions,
            meter: Meter::new(limits.gas),
            stack: Vec::new(),
            floor: 0,
            locals: Vec::new(),
            slots: vec![tx_context],
            objects,
            entry: None,
        }
    }

    pub(crate) fn spend(&mut self, amount: usize) -> Step<()> {
        spend(&mut self.fuel, amount)
    }

    /// Charges for results of a native function that are on the stack.
    pub(crate) fn charge_results(&mut self, count: usize) -> Step<()> {
        let from = self.stack.len().saturating_sub(count);
        let size = self.stack.iter().skip(from).map(gas::size).sum();
        self.meter.charge(0, count as u64, 0, size)
    }

    /// Keeps a value in a new slot.
    pub(crate) fn new_slot(&mut self, value: Value) -> Step<u32> {
        let index = u32::try_from(self.slots.len()).map_err(|_| Fault::OutOf(Resource::Objects))?;
        self.slots.push(value);
        Ok(index)
    }

    pub(crate) fn push(&mut self, value: Value) -> Step<()> {
        if self.stack.len() >= MAX_STACK {
            return Err(Fault::OutOf(Resource::Stack));
        }
        self.stack.push(value);
        Ok(())
    }

    pub(crate) fn pop(&mut self) -> Step<Value> {
        if self.stack.len() <= self.floor {
            return Err(Fault::BadCode("the operand stack is empty"));
        }
        self.stack.pop().ok_or(Fault::BadCode("the operand stack is empty"))
    }

    /// Pops the topmost `count` values, to be kept in another value; the first pushed comes first.
    pub(crate) fn pop_many(&mut self, count: usize) -> Step<Vec<Value>> {
        self.spend(count * VALUE_COST)?;
        let at = self.stack.len().checked_sub(count).filter(|&at| at >= self.floor);
        Ok(self.stack.split_off(at.ok_or(Fault::BadCode("the operand stack is empty"))?))
    }

    pub(crate) fn pop_bool(&mut self) -> Step<bool> {
        if let Value::Bool(value) = self.pop()? { Ok(value) } else { Err(WRONG_TYPE) }
    }

    pub(crate) fn pop_u64(&mut self) -> Step<u64> {
        if let Value::U64(value) = self.pop()? { Ok(value) } else { Err(WRONG_TYPE) }
    }

    pub(crate) fn pop_address(&mut self) -> Step<Address> {
        if let Value::Address(value) = self.pop()? { Ok(Address::new(value)) } else { Err(WRONG_TYPE) }
    }

    pub(crate) fn pop_bytes(&mut self) -> Step<Vec<u8>> {
        if let Value::Bytes(value) = self.pop()? { Ok(value) } else { Err(WRONG_TYPE) }
    }

    pub(crate) fn pop_ref(&mut self) -> Step<Ref> {
        if let Value::Ref(value) = self.pop()? { Ok(value) } else { Err(WRONG_TYPE) }
    }

    pub(crate) fn place(&self, reference: &Ref) -> Step<Place<'_>> {
        resolve(&self.locals, &self.slots, reference)
    }

    pub(crate) fn place_mut(&mut self, reference: &Ref) -> Step<PlaceMut<'_>> {
        let (values, index) = match reference.root {
            Root::Local(index) => (&mut self.locals, index),
            Root::Slot(index) => (&mut self.slots, index),
        };
        let value = values.get_mut(index as usize).ok_or(Fault::BadCode("a reference to nothing"))?;
        value.at_mut(reference.path())
    }

    /// The value referred to, which is not an element of a `vector<u8>`.
    pub(crate) fn value_at(&self, reference: &Ref) -> Step<&Value> {
        match self.place(reference)? {
            Place::Value(value) => Ok(value),
            Place::Byte(_) => Err(WRONG_TYPE),
        }
    }

    /// The value referred to, to be changed, which is not an element of a `vector<u8>`.
    pub(crate) fn value_at_mut(&mut self, reference: &Ref) -> Step<&mut Value> {
        match self.place_mut(reference)? {
            PlaceMut::Value(value) => Ok(value),
            PlaceMut::Byte(_) => Err(WRONG_TYPE),
        }
    }

    /// The `vector<u8>` referred to.
    pub(crate) fn bytes_at(&self, reference: &Ref) -> Step<&[u8]> {
        if let Value::Bytes(bytes) = self.value_at(reference)? { Ok(bytes) } else { Err(WRONG_TYPE) }
    }

    /// The identifier in an `0x2::object::UID` or an object that is referred to: the first leaf.
    pub(crate) fn id_at(&self, reference: &Ref) -> Step<Address> {
        object_id(self.value_at(reference)?)
    }
}

/// The identifier of an object, `UID` or `ID`: its first leaf.
pub(crate) fn object_id(value: &Value) -> Step<Address> {
    let mut value = value;
    loop {
        match value {
            Value::Struct(fields) => value = fields.0.first().ok_or(WRONG_TYPE)?,
            Value::Address(id) => return Ok(Address::new(*id)),
            _ => return Err(WRONG_TYPE),
        }
    }
}

/// A place in a module's code.
pub(crate) fn location(module: &Arc<Module>, function: u16, instruction: usize) -> Location {
    Location {
        package: module.package,
        module: module.name.clone(),
        function,
        function_name: match module.functions.get(usize::from(function)) {
            Some(function) => function.name.clone(),
            None => module.name.clone(),
        },
        instruction: u16::try_from(instruction).unwrap_or(u16::MAX),
    }
}
