//! Values to and from BCS.

use super::binary::{Malformed, Reader};
use super::error::{Resource, VmError};
use super::fault::{Fault, Step};
use super::types::{Rule, Type};
use super::u256;
use super::value::{Children, MAX_DEPTH, VALUE_COST, Value, Variant, bytes_cost, spend};

/// Writes a value. Values know their own shape, so no type is needed.
pub(crate) fn encode(value: &Value, fuel: &mut u64) -> Step<Vec<u8>> {
    let mut out = Vec::new();
    write(value, &mut out, fuel, 0)?;
    Ok(out)
}

fn write(value: &Value, out: &mut Vec<u8>, fuel: &mut u64, depth: usize) -> Step<()> {
    if depth > MAX_DEPTH {
        return Err(Fault::OutOf(Resource::TypeDepth));
    }
    match value {
        Value::Gone | Value::Ref(_) => return Err(Fault::BadCode("a reference is no data")),
        Value::Bool(value) => out.push(u8::from(*value)),
        Value::U8(value) => out.push(*value),
        Value::U16(value) => out.extend(value.to_le_bytes()),
        Value::U32(value) => out.extend(value.to_le_bytes()),
        Value::U64(value) => out.extend(value.to_le_bytes()),
        Value::U128(high, low) => {
            out.extend(low.to_le_bytes());
            out.extend(high.to_le_bytes());
        }
        Value::U256(value) => out.extend(u256::to_le(value)),
        Value::Address(value) => out.extend(value),
        Value::Bytes(bytes) => {
            spend(fuel, bytes_cost(bytes.len()))?;
            write_length(bytes.len(), out);
            out.extend(bytes);
        }
        Value::Vector(children) => {
            write_length(children.0.len(), out);
            write_all(children, out, fuel, depth)?;
        }
        Value::Struct(children) => write_all(children, out, fuel, depth)?,
        Value::Variant(variant) => {
            write_length(usize::from(variant.tag), out);
            write_all(&variant.fields, out, fuel, depth)?;
        }
    }
    Ok(())
}

fn write_all(values: &Children, out: &mut Vec<u8>, fuel: &mut u64, depth: usize) -> Step<()> {
    spend(fuel, values.0.len() * VALUE_COST)?;
    values.0.iter().try_for_each(|value| write(value, out, fuel, depth + 1))
}

fn write_length(mut length: usize, out: &mut Vec<u8>) {
    while length >= 0x80 {
        out.push((length & 0x7f) as u8 | 0x80);
        length >>= 7;
    }
    out.push(length as u8);
}

/// Why bytes are no value of a type.
#[derive(Debug)]
pub(crate) enum DecodeError {
    /// They are not.
    Bytes(Malformed),
    /// That cannot be told.
    Vm(Box<VmError>),
}

impl From<Malformed> for DecodeError {
    fn from(problem: Malformed) -> Self {
        Self::Bytes(problem)
    }
}

impl From<VmError> for DecodeError {
    fn from(error: VmError) -> Self {
        Self::Vm(Box::new(error))
    }
}

impl DecodeError {
    /// The error for bytes that came from outside.
    pub(crate) fn of(self, ty: &Type) -> VmError {
        match self {
            Self::Vm(error) => *error,
            Self::Bytes(problem) => match ty.tag() {
                Some(ty) => VmError::Value { ty: Box::new(ty), problem },
                None => VmError::BadModule(format!("a constant: {problem}")),
            },
        }
    }
}

/// Reads a value that takes up all of `bytes`.
pub(crate) fn decode(ty: &Type, bytes: &[u8], fuel: &mut u64) -> Result<Value, VmError> {
    let mut reader = Reader::new(bytes);
    let value = read(ty, &mut reader, fuel, 0).map_err(|error| error.of(ty))?;
    if reader.is_empty() {
        return Ok(value);
    }
    Err(DecodeError::Bytes("bytes follow the value").of(ty))
}

/// Reads a value that `bytes` start with, and says how many bytes it takes.
pub(crate) fn measure(ty: &Type, bytes: &[u8], fuel: &mut u64) -> Result<usize, VmError> {
    let mut reader = Reader::new(bytes);
    read(ty, &mut reader, fuel, 0).map_err(|error| error.of(ty))?;
    Ok(bytes.len() - reader.remaining())
}

fn read(ty: &Type, reader: &mut Reader<'_>, fuel: &mut u64, depth: usize) -> Result<Value, DecodeError> {
    if depth > MAX_DEPTH {
        return Err(VmError::OutOf(Resource::TypeDepth).into());
    }
    if spend(fuel, VALUE_COST).is_err() {
        return Err(VmError::OutOf(Resource::Instructions).into());
    }
    Ok(match ty {
        Type::Bool => match reader.u8()? {
            0 => Value::Bool(false),
            1 => Value::Bool(true),
            _ => return Err("a bool is neither 0 nor 1".into()),
        },
        Type::U8 => Value::U8(reader.u8()?),
        Type::U16 => Value::U16(u16::from_le_bytes(reader.array()?)),
        Type::U32 => Value::U32(u32::from_le_bytes(reader.array()?)),
        Type::U64 => Value::U64(u64::from_le_bytes(reader.array()?)),
        Type::U128 => Value::u128(u128::from_le_bytes(reader.array()?)),
        Type::U256 => Value::U256(u256::from_le(reader.array()?)),
        Type::Address => Value::Address(reader.array()?),
        Type::Vector(of) => {
            let length = reader.uleb()? as usize;
            // Every value takes at least one byte.
            if length > reader.remaining() {
                return Err("it ends too early".into());
            }
            if of.ty == Type::U8 {
                if spend(fuel, bytes_cost(length)).is_err() {
                    return Err(VmError::OutOf(Resource::Instructions).into());
                }
                return Ok(Value::Bytes(reader.bytes(length)?.to_vec()));
            }
            let mut values = Vec::new();
            for _ in 0..length {
                values.push(read(&of.ty, reader, fuel, depth + 1)?);
            }
            Value::Vector(values.into())
        }
        Type::Datatype(instance) => {
            let datatype = &instance.datatype;
            let tag = if datatype.is_enum { reader.uleb()? } else { 0 };
            let fields = datatype.variants().get(tag as usize).ok_or("there is no such variant")?;
            let mut values = Vec::with_capacity(fields.len());
            for field in fields {
                values.push(read(&field.substitute(&instance.args)?, reader, fuel, depth + 1)?);
            }
            check(datatype.rule, &values)?;
            if datatype.is_enum {
                Value::Variant(Box::new(Variant { tag: tag as u16, fields: values.into() }))
            } else {
                Value::Struct(values.into())
            }
        }
        Type::Signer | Type::Param(_) | Type::Reference(_) | Type::MutableReference(_) => {
            return Err("values of this type have no bytes".into());
        }
    })
}

fn check(rule: Rule, fields: &[Value]) -> Result<(), Malformed> {
    match (rule, fields) {
        (Rule::Utf8, [Value::Bytes(bytes)]) if std::str::from_utf8(bytes).is_err() => {
            Err("a string is not UTF-8")
        }
        (Rule::Ascii, [Value::Bytes(bytes)]) if !bytes.is_ascii() => Err("a string is not ASCII"),
        (Rule::AtMostOne, [Value::Vector(values)]) if values.0.len() > 1 => {
            Err("an option holds more than one value")
        }
        (Rule::AtMostOne, [Value::Bytes(bytes)]) if bytes.len() > 1 => {
            Err("an option holds more than one value")
        }
        _ => Ok(()),
    }
}

/// Whether a value has the shape of a type.
pub(crate) fn conforms(value: &Value, ty: &Type) -> Result<bool, VmError> {
    conforms_at(value, ty, 0)
}

fn conforms_at(value: &Value, ty: &Type, depth: usize) -> Result<bool, VmError> {
    if depth > MAX_DEPTH {
        return Err(VmError::OutOf(Resource::TypeDepth));
    }
    let all = |values: &Children, ty: &Type| -> Result<bool, VmError> {
        for value in &values.0 {
            if !conforms_at(value, ty, depth + 1)? {
                return Ok(false);
            }
        }
        Ok(true)
    };
    Ok(match (value, ty) {
        (Value::Bool(_), Type::Bool)
        | (Value::U8(_), Type::U8)
        | (Value::U16(_), Type::U16)
        | (Value::U32(_), Type::U32)
        | (Value::U64(_), Type::U64)
        | (Value::U128(..), Type::U128)
        | (Value::U256(_), Type::U256)
        | (Value::Address(_), Type::Address) => true,
        (Value::Bytes(_), Type::Vector(of)) => of.ty == Type::U8,
        (Value::Vector(values), Type::Vector(of)) => of.ty != Type::U8 && all(values, &of.ty)?,
        (Value::Struct(_) | Value::Variant(_), Type::Datatype(instance)) => {
            let (tag, values) = match value {
                Value::Struct(values) if !instance.datatype.is_enum => (0, values),
                Value::Variant(variant) if instance.datatype.is_enum => {
                    (usize::from(variant.tag), &variant.fields)
                }
                _ => return Ok(false),
            };
            let Some(fields) = instance.datatype.variants().get(tag) else { return Ok(false) };
            if fields.len() != values.0.len() {
                return Ok(false);
            }
            for (value, field) in values.0.iter().zip(fields) {
                if !conforms_at(value, &field.substitute(&instance.args)?, depth + 1)? {
                    return Ok(false);
                }
            }
            true
        }
        _ => false,
    })
}
