//! Values and references.
//!
//! Values are plain trees; a reference is a root (a local, or a slot of the session) and a path of
//! indices from there. So the interpreter needs neither shared ownership nor unsafe code, and a
//! reference that verified code could not make is an error, not a wild pointer.

use super::error::Resource;
use super::fault::{Fault, Step};
use super::u256::U256;

/// What making a value costs, in instructions, besides its bytes: one instruction for four bytes of
/// memory. So the limit on instructions limits memory as well.
pub(crate) const VALUE_COST: usize = 10;

/// What making or reading `length` bytes costs, in instructions.
pub(crate) fn bytes_cost(length: usize) -> usize {
    length / 4
}

/// How deeply values may nest where they are walked.
pub(crate) const MAX_DEPTH: usize = 128;

/// A value on the operand stack, in a local, or in another value.
#[derive(Debug, Default)]
pub(crate) enum Value {
    /// Nothing: moved away, or not yet there.
    #[default]
    Gone,
    Bool(bool),
    U8(u8),
    U16(u16),
    U32(u32),
    U64(u64),
    /// High and low half: a `u128` would make every value larger.
    U128(u64, u64),
    U256(U256),
    Address([u8; 32]),
    /// `vector<u8>`.
    Bytes(Vec<u8>),
    /// A vector of anything else.
    Vector(Children),
    Struct(Children),
    Variant(Box<Variant>),
    Ref(Ref),
}

/// A value of an enum.
#[derive(Debug)]
pub(crate) struct Variant {
    pub(crate) tag: u16,
    pub(crate) fields: Children,
}

/// Values inside a value. Dropping them needs no stack, however deep they nest.
#[derive(Debug, Default)]
pub(crate) struct Children(pub(crate) Vec<Value>);

impl Drop for Children {
    fn drop(&mut self) {
        let mut work = std::mem::take(&mut self.0);
        while let Some(value) = work.pop() {
            match value {
                Value::Vector(mut children) | Value::Struct(mut children) => work.append(&mut children.0),
                Value::Variant(mut variant) => work.append(&mut variant.fields.0),
                _ => {}
            }
        }
    }
}

impl From<Vec<Value>> for Children {
    fn from(values: Vec<Value>) -> Self {
        Self(values)
    }
}

impl Children {
    /// The values, moved out.
    pub(crate) fn take(mut self) -> Vec<Value> {
        std::mem::take(&mut self.0)
    }
}

/// Where a reference starts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Root {
    /// An index into the locals of all frames.
    Local(u32),
    /// An index into the session's slots.
    Slot(u32),
}

/// Longest path that is kept without an allocation.
const INLINE: usize = 4;

#[derive(Clone, Debug)]
enum Path {
    Inline(u8, [u32; INLINE]),
    Heap(Box<[u32]>),
}

/// A reference.
#[derive(Clone, Debug)]
pub(crate) struct Ref {
    pub(crate) root: Root,
    path: Path,
}

impl Ref {
    pub(crate) fn new(root: Root) -> Self {
        Self { root, path: Path::Inline(0, [0; INLINE]) }
    }

    pub(crate) fn path(&self) -> &[u32] {
        match &self.path {
            Path::Inline(length, indices) => indices.get(..usize::from(*length)).unwrap_or_default(),
            Path::Heap(indices) => indices,
        }
    }

    /// A reference to the part `index` of what this refers to.
    pub(crate) fn part(mut self, index: u32) -> Step<Self> {
        match &mut self.path {
            Path::Inline(length, indices) if usize::from(*length) < INLINE => {
                indices[usize::from(*length)] = index;
                *length += 1;
            }
            _ => {
                if self.path().len() >= MAX_DEPTH {
                    return Err(Fault::OutOf(Resource::TypeDepth));
                }
                self.path = Path::Heap([self.path(), &[index]].concat().into());
            }
        }
        Ok(self)
    }
}

/// What a reference refers to.
pub(crate) enum Place<'v> {
    Value(&'v Value),
    /// An element of a `vector<u8>`.
    Byte(u8),
}

/// What a mutable reference refers to.
pub(crate) enum PlaceMut<'v> {
    Value(&'v mut Value),
    /// An element of a `vector<u8>`.
    Byte(&'v mut u8),
}

const DANGLING: Fault = Fault::BadCode("a reference to nothing");

impl Value {
    pub(crate) fn u128(value: u128) -> Self {
        #[allow(clippy::cast_possible_truncation, reason = "the halves are what is wanted")]
        Self::U128((value >> 64) as u64, value as u64)
    }

    pub(crate) fn string(bytes: Vec<u8>) -> Self {
        Self::Struct(vec![Self::Bytes(bytes)].into())
    }

    fn child(&self, index: u32) -> Option<&Self> {
        match self {
            Self::Vector(children) | Self::Struct(children) => children.0.get(index as usize),
            Self::Variant(variant) => variant.fields.0.get(index as usize),
            _ => None,
        }
    }

    fn child_mut(&mut self, index: u32) -> Option<&mut Self> {
        match self {
            Self::Vector(children) | Self::Struct(children) => children.0.get_mut(index as usize),
            Self::Variant(variant) => variant.fields.0.get_mut(index as usize),
            _ => None,
        }
    }

    /// The part of this value at `path`.
    pub(crate) fn at(&self, path: &[u32]) -> Step<Place<'_>> {
        let mut value = self;
        for (depth, &index) in path.iter().enumerate() {
            if let (Self::Bytes(bytes), true) = (value, depth + 1 == path.len()) {
                return bytes.get(index as usize).copied().map(Place::Byte).ok_or(DANGLING);
            }
            value = value.child(index).ok_or(DANGLING)?;
        }
        if matches!(value, Self::Gone) { Err(DANGLING) } else { Ok(Place::Value(value)) }
    }

    /// The part of this value at `path`, to be changed.
    pub(crate) fn at_mut(&mut self, path: &[u32]) -> Step<PlaceMut<'_>> {
        let mut value = self;
        for (depth, &index) in path.iter().enumerate() {
            if depth + 1 == path.len() && matches!(value, Self::Bytes(_)) {
                let Self::Bytes(bytes) = value else { return Err(DANGLING) };
                return bytes.get_mut(index as usize).map(PlaceMut::Byte).ok_or(DANGLING);
            }
            value = value.child_mut(index).ok_or(DANGLING)?;
        }
        if matches!(value, Self::Gone) { Err(DANGLING) } else { Ok(PlaceMut::Value(value)) }
    }

    /// A copy.
    pub(crate) fn copy(&self, fuel: &mut u64) -> Step<Self> {
        self.copy_at(fuel, 0)
    }

    fn copy_at(&self, fuel: &mut u64, depth: usize) -> Step<Self> {
        if depth > MAX_DEPTH {
            return Err(Fault::OutOf(Resource::TypeDepth));
        }
        let mut all = |children: &Children| -> Step<Children> {
            spend(fuel, children.0.len() * VALUE_COST)?;
            let copies: Step<Vec<_>> =
                children.0.iter().map(|value| value.copy_at(fuel, depth + 1)).collect();
            copies.map(Children)
        };
        Ok(match self {
            Self::Gone => return Err(Fault::BadCode("a value that was moved away")),
            Self::Bool(value) => Self::Bool(*value),
            Self::U8(value) => Self::U8(*value),
            Self::U16(value) => Self::U16(*value),
            Self::U32(value) => Self::U32(*value),
            Self::U64(value) => Self::U64(*value),
            Self::U128(high, low) => Self::U128(*high, *low),
            Self::U256(value) => Self::U256(*value),
            Self::Address(value) => Self::Address(*value),
            Self::Ref(value) => Self::Ref(value.clone()),
            Self::Vector(children) => Self::Vector(all(children)?),
            Self::Struct(children) => Self::Struct(all(children)?),
            Self::Variant(variant) => {
                let fields = all(&variant.fields)?;
                Self::Variant(Box::new(Variant { tag: variant.tag, fields }))
            }
            Self::Bytes(bytes) => {
                spend(fuel, bytes_cost(bytes.len()))?;
                Self::Bytes(bytes.clone())
            }
        })
    }

    /// Whether two values of the same type are equal.
    pub(crate) fn equals(&self, other: &Self, fuel: &mut u64) -> Step<bool> {
        self.equals_at(other, fuel, 0)
    }

    fn equals_at(&self, other: &Self, fuel: &mut u64, depth: usize) -> Step<bool> {
        if depth > MAX_DEPTH {
            return Err(Fault::OutOf(Resource::TypeDepth));
        }
        let mut all = |a: &Children, b: &Children| -> Step<bool> {
            if a.0.len() != b.0.len() {
                return Ok(false);
            }
            spend(fuel, a.0.len() * VALUE_COST)?;
            for (a, b) in a.0.iter().zip(&b.0) {
                if !a.equals_at(b, fuel, depth + 1)? {
                    return Ok(false);
                }
            }
            Ok(true)
        };
        Ok(match (self, other) {
            (Self::Bool(a), Self::Bool(b)) => a == b,
            (Self::U8(a), Self::U8(b)) => a == b,
            (Self::U16(a), Self::U16(b)) => a == b,
            (Self::U32(a), Self::U32(b)) => a == b,
            (Self::U64(a), Self::U64(b)) => a == b,
            (Self::U128(a, c), Self::U128(b, d)) => (a, c) == (b, d),
            (Self::U256(a), Self::U256(b)) => a == b,
            (Self::Address(a), Self::Address(b)) => a == b,
            (Self::Vector(a), Self::Vector(b)) | (Self::Struct(a), Self::Struct(b)) => all(a, b)?,
            (Self::Variant(a), Self::Variant(b)) => a.tag == b.tag && all(&a.fields, &b.fields)?,
            (Self::Bytes(a), Self::Bytes(b)) => {
                spend(fuel, bytes_cost(a.len().min(b.len())))?;
                a == b
            }
            _ => return Err(Fault::BadCode("values of different types are compared")),
        })
    }
}

/// Takes `amount` off `fuel`.
pub(crate) fn spend(fuel: &mut u64, amount: usize) -> Step<()> {
    match fuel.checked_sub(amount as u64) {
        Some(rest) => {
            *fuel = rest;
            Ok(())
        }
        None => {
            *fuel = 0;
            Err(Fault::OutOf(Resource::Instructions))
        }
    }
}
