//! Integer instructions. Everything that loses information is an error, except shifted-out bits.

use super::binary::{Op, Width};
use super::error::Primitive;
use super::fault::{Fault, Step};
use super::u256::U256;
use super::value::Value;

const ERROR: Fault = Fault::Primitive(Primitive::Arithmetic);
const MISMATCH: Fault = Fault::BadCode("integers of different types, or no integers");

fn half(high: u64, low: u64) -> u128 {
    u128::from(high) << 64 | u128::from(low)
}

/// Applies a checked method to two integers of the same type.
macro_rules! checked {
    ($a:expr, $b:expr, $method:ident) => {
        match ($a, $b) {
            (Value::U8(a), Value::U8(b)) => a.$method(b).map(Value::U8),
            (Value::U16(a), Value::U16(b)) => a.$method(b).map(Value::U16),
            (Value::U32(a), Value::U32(b)) => a.$method(b).map(Value::U32),
            (Value::U64(a), Value::U64(b)) => a.$method(b).map(Value::U64),
            (Value::U128(a, b), Value::U128(c, d)) => half(a, b).$method(half(c, d)).map(Value::u128),
            (Value::U256(a), Value::U256(b)) => a.$method(b).map(Value::U256),
            _ => return Err(MISMATCH),
        }
        .ok_or(ERROR)
    };
}

/// Applies an operator to two integers of the same type.
macro_rules! bitwise {
    ($a:expr, $b:expr, $operator:tt) => {
        Ok(match ($a, $b) {
            (Value::U8(a), Value::U8(b)) => Value::U8(a $operator b),
            (Value::U16(a), Value::U16(b)) => Value::U16(a $operator b),
            (Value::U32(a), Value::U32(b)) => Value::U32(a $operator b),
            (Value::U64(a), Value::U64(b)) => Value::U64(a $operator b),
            (Value::U128(a, b), Value::U128(c, d)) => Value::U128(a $operator c, b $operator d),
            (Value::U256(a), Value::U256(b)) => Value::U256(a $operator b),
            _ => return Err(MISMATCH),
        })
    };
}

/// Shifts an integer by fewer bits than it has.
macro_rules! shift {
    ($a:expr, $bits:expr, $method:ident) => {
        match $a {
            Value::U8(a) => a.$method($bits).map(Value::U8),
            Value::U16(a) => a.$method($bits).map(Value::U16),
            Value::U32(a) => a.$method($bits).map(Value::U32),
            Value::U64(a) => a.$method($bits).map(Value::U64),
            Value::U128(a, b) => half(a, b).$method($bits).map(Value::u128),
            Value::U256(a) => a.$method($bits).map(Value::U256),
            _ => return Err(MISMATCH),
        }
        .ok_or(ERROR)
    };
}

/// An instruction on two integers.
pub(crate) fn binary(op: Op, a: Value, b: Value) -> Step<Value> {
    match op {
        Op::Add => checked!(a, b, checked_add),
        Op::Sub => checked!(a, b, checked_sub),
        Op::Mul => checked!(a, b, checked_mul),
        Op::Div => checked!(a, b, checked_div),
        Op::Mod => checked!(a, b, checked_rem),
        Op::BitOr => bitwise!(a, b, |),
        Op::BitAnd => bitwise!(a, b, &),
        Op::Xor => bitwise!(a, b, ^),
        Op::Shl | Op::Shr => {
            let Value::U8(bits) = b else { return Err(MISMATCH) };
            let bits = u32::from(bits);
            if op == Op::Shl { shift!(a, bits, checked_shl) } else { shift!(a, bits, checked_shr) }
        }
        _ => Err(Fault::BadCode("no integer instruction")),
    }
}

/// A comparison of two integers.
pub(crate) fn compare(op: Op, a: &Value, b: &Value) -> Step<bool> {
    let order = match (a, b) {
        (Value::U8(a), Value::U8(b)) => a.cmp(b),
        (Value::U16(a), Value::U16(b)) => a.cmp(b),
        (Value::U32(a), Value::U32(b)) => a.cmp(b),
        (Value::U64(a), Value::U64(b)) => a.cmp(b),
        (Value::U128(a, b), Value::U128(c, d)) => (a, b).cmp(&(c, d)),
        (Value::U256(a), Value::U256(b)) => a.cmp(b),
        _ => return Err(MISMATCH),
    };
    Ok(match op {
        Op::Lt => order.is_lt(),
        Op::Gt => order.is_gt(),
        Op::Le => order.is_le(),
        _ => order.is_ge(),
    })
}

/// Converts an integer to another type.
pub(crate) fn cast(width: Width, value: &Value) -> Step<Value> {
    let value = match *value {
        Value::U8(value) => u128::from(value),
        Value::U16(value) => u128::from(value),
        Value::U32(value) => u128::from(value),
        Value::U64(value) => u128::from(value),
        Value::U128(high, low) => half(high, low),
        Value::U256(value) => match (width, value.digits()) {
            (Width::U256, _) => return Ok(Value::U256(value)),
            (_, &[low, high, 0, 0]) => half(high, low),
            _ => return Err(ERROR),
        },
        _ => return Err(MISMATCH),
    };
    let narrow = match width {
        Width::U8 => u8::try_from(value).map(Value::U8),
        Width::U16 => u16::try_from(value).map(Value::U16),
        Width::U32 => u32::try_from(value).map(Value::U32),
        Width::U64 => u64::try_from(value).map(Value::U64),
        Width::U128 => Ok(Value::u128(value)),
        Width::U256 => Ok(Value::U256(U256::from(value))),
    };
    narrow.map_err(|_| ERROR)
}
