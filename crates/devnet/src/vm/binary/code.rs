//! Instructions.

use super::reader::{Malformed, Reader, Rejected};

/// An instruction as the interpreter executes it. Values know their own shape, so generic and
/// mutable forms of an instruction need no counterpart here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Op {
    Pop,
    Ret,
    BrTrue(u16),
    BrFalse(u16),
    Branch(u16),
    LdU8(u8),
    LdU16(u16),
    LdU32(u32),
    LdU64(u64),
    /// Index into [`CodeUnit::wide`].
    LdWide(u16),
    LdConst(u16),
    LdBool(bool),
    CopyLoc(u8),
    MoveLoc(u8),
    StLoc(u8),
    BorrowLoc(u8),
    /// Index of a field handle or, before linking, of its instantiation; the field's offset after.
    BorrowField(u16),
    BorrowFieldGeneric(u16),
    Call(u16),
    CallGeneric(u16),
    /// Index of the definition before linking, number of fields after.
    Pack(u16),
    PackGeneric(u16),
    Unpack(u16),
    UnpackGeneric(u16),
    /// Variant handle before linking; see [`Op::Variant`] for the linked form.
    PackVariant(u16),
    PackVariantGeneric(u16),
    UnpackVariant(u16),
    UnpackVariantGeneric(u16),
    BorrowVariant(u16),
    BorrowVariantGeneric(u16),
    /// What [`Op::PackVariant`] and its like become when linked.
    Variant {
        action: VariantAction,
        tag: u16,
        fields: u16,
    },
    VariantSwitch(u16),
    ReadRef,
    WriteRef,
    FreezeRef,
    Add,
    Sub,
    Mul,
    Mod,
    Div,
    BitOr,
    BitAnd,
    Xor,
    Shl,
    Shr,
    Or,
    And,
    Not,
    Eq,
    Neq,
    Lt,
    Gt,
    Le,
    Ge,
    Cast(Width),
    Abort,
    Nop,
    /// Index of a signature with the element's type, number of elements.
    VecPack(u16, u16),
    VecLen,
    VecBorrow,
    VecPushBack,
    VecPopBack,
    VecUnpack(u16),
    VecSwap,
    /// Global storage, which Sui does not have.
    Global(&'static str),
}

/// What to do with a variant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum VariantAction {
    Pack,
    Unpack,
    Borrow,
}

/// An integer type.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Width {
    U8,
    U16,
    U32,
    U64,
    U128,
    U256,
}

/// A number that does not fit into an instruction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Wide {
    U128([u8; 16]),
    U256([u8; 32]),
}

/// The code of a function.
#[derive(Clone, Debug, Default)]
pub(crate) struct CodeUnit {
    /// Signature with the types of the locals that are not parameters.
    pub(crate) locals: u16,
    pub(crate) ops: Vec<Op>,
    pub(crate) wide: Vec<Wide>,
    /// Targets by variant.
    pub(crate) jump_tables: Vec<Vec<u16>>,
}

/// Flag of a jump table that has a target for each variant.
const FULL_JUMP_TABLE: u8 = 1;

impl CodeUnit {
    pub(crate) fn read(reader: &mut Reader<'_>, version: u32) -> Result<Self, Rejected> {
        let mut unit = Self { locals: reader.index()?, ..Self::default() };
        let count = usize::from(reader.index()?);
        if count > reader.remaining() {
            return Err("code is longer than the module".into());
        }
        unit.ops.reserve_exact(count);
        for _ in 0..count {
            let op = unit.read_op(reader)?;
            unit.ops.push(op);
        }
        if version >= 7 {
            for _ in 0..reader.small()? {
                let _enum_definition = reader.index()?;
                let branches = usize::from(reader.small()?);
                if reader.u8()? != FULL_JUMP_TABLE {
                    return Err("unknown kind of jump table".into());
                }
                unit.jump_tables
                    .push((0..branches).map(|_| reader.index()).collect::<Result<_, Malformed>>()?);
            }
        }
        unit.check_targets()?;
        Ok(unit)
    }

    fn check_targets(&self) -> Result<(), Malformed> {
        let inside = |target: &u16| usize::from(*target) < self.ops.len();
        let ok = self.jump_tables.iter().flatten().all(inside)
            && self.ops.iter().all(|op| match op {
                Op::Branch(target) | Op::BrTrue(target) | Op::BrFalse(target) => inside(target),
                Op::VariantSwitch(table) => usize::from(*table) < self.jump_tables.len(),
                _ => true,
            });
        let ends =
            matches!(self.ops.last(), Some(Op::Ret | Op::Abort | Op::Branch(_) | Op::VariantSwitch(_)));
        if !ok {
            return Err("a branch leads out of the function");
        }
        if ends { Ok(()) } else { Err("code runs over its end") }
    }

    fn wide(&mut self, wide: Wide) -> Result<Op, Malformed> {
        let index = u16::try_from(self.wide.len()).map_err(|_| "too many constants")?;
        self.wide.push(wide);
        Ok(Op::LdWide(index))
    }

    fn read_op(&mut self, reader: &mut Reader<'_>) -> Result<Op, Rejected> {
        Ok(match reader.u8()? {
            0x01 => Op::Pop,
            0x02 => Op::Ret,
            0x03 => Op::BrTrue(reader.index()?),
            0x04 => Op::BrFalse(reader.index()?),
            0x05 => Op::Branch(reader.index()?),
            0x06 => Op::LdU64(u64::from_le_bytes(reader.array()?)),
            0x07 => Op::LdConst(reader.index()?),
            0x08 => Op::LdBool(true),
            0x09 => Op::LdBool(false),
            0x0a => Op::CopyLoc(reader.small()?),
            0x0b => Op::MoveLoc(reader.small()?),
            0x0c => Op::StLoc(reader.small()?),
            0x0d | 0x0e => Op::BorrowLoc(reader.small()?),
            0x0f | 0x10 => Op::BorrowField(reader.index()?),
            0x11 => Op::Call(reader.index()?),
            0x12 => Op::Pack(reader.index()?),
            0x13 => Op::Unpack(reader.index()?),
            0x14 => Op::ReadRef,
            0x15 => Op::WriteRef,
            0x16 => Op::Add,
            0x17 => Op::Sub,
            0x18 => Op::Mul,
            0x19 => Op::Mod,
            0x1a => Op::Div,
            0x1b => Op::BitOr,
            0x1c => Op::BitAnd,
            0x1d => Op::Xor,
            0x1e => Op::Or,
            0x1f => Op::And,
            0x20 => Op::Not,
            0x21 => Op::Eq,
            0x22 => Op::Neq,
            0x23 => Op::Lt,
            0x24 => Op::Gt,
            0x25 => Op::Le,
            0x26 => Op::Ge,
            0x27 => Op::Abort,
            0x28 => Op::Nop,
            0x29 => global(reader, "instruction EXISTS")?,
            0x2a => global(reader, "instruction MUT_BORROW_GLOBAL")?,
            0x2b => global(reader, "instruction IMM_BORROW_GLOBAL")?,
            0x2c => global(reader, "instruction MOVE_FROM")?,
            0x2d => global(reader, "instruction MOVE_TO")?,
            0x2e => Op::FreezeRef,
            0x2f => Op::Shl,
            0x30 => Op::Shr,
            0x31 => Op::LdU8(reader.u8()?),
            0x32 => self.wide(Wide::U128(reader.array()?))?,
            0x33 => Op::Cast(Width::U8),
            0x34 => Op::Cast(Width::U64),
            0x35 => Op::Cast(Width::U128),
            0x36 | 0x37 => Op::BorrowFieldGeneric(reader.index()?),
            0x38 => Op::CallGeneric(reader.index()?),
            0x39 => Op::PackGeneric(reader.index()?),
            0x3a => Op::UnpackGeneric(reader.index()?),
            0x3b => global(reader, "instruction EXISTS_GENERIC")?,
            0x3c => global(reader, "instruction MUT_BORROW_GLOBAL_GENERIC")?,
            0x3d => global(reader, "instruction IMM_BORROW_GLOBAL_GENERIC")?,
            0x3e => global(reader, "instruction MOVE_FROM_GENERIC")?,
            0x3f => global(reader, "instruction MOVE_TO_GENERIC")?,
            0x40 => Op::VecPack(reader.index()?, elements(reader)?),
            0x41 => vector(reader, Op::VecLen)?,
            0x42 | 0x43 => vector(reader, Op::VecBorrow)?,
            0x44 => vector(reader, Op::VecPushBack)?,
            0x45 => vector(reader, Op::VecPopBack)?,
            0x46 => {
                reader.index()?;
                Op::VecUnpack(elements(reader)?)
            }
            0x47 => vector(reader, Op::VecSwap)?,
            0x48 => Op::LdU16(u16::from_le_bytes(reader.array()?)),
            0x49 => Op::LdU32(u32::from_le_bytes(reader.array()?)),
            0x4a => self.wide(Wide::U256(reader.array()?))?,
            0x4b => Op::Cast(Width::U16),
            0x4c => Op::Cast(Width::U32),
            0x4d => Op::Cast(Width::U256),
            0x4e => Op::PackVariant(reader.index()?),
            0x4f => Op::PackVariantGeneric(reader.index()?),
            0x50 => Op::UnpackVariant(reader.index()?),
            0x51 | 0x52 => Op::BorrowVariant(reader.index()?),
            0x53 => Op::UnpackVariantGeneric(reader.index()?),
            0x54 | 0x55 => Op::BorrowVariantGeneric(reader.index()?),
            0x56 => Op::VariantSwitch(reader.index()?),
            opcode => return Err(Rejected::Opcode(opcode)),
        })
    }
}

/// An instruction of Move that no code on Sui has.
fn global(reader: &mut Reader<'_>, name: &'static str) -> Result<Op, Malformed> {
    reader.index()?;
    Ok(Op::Global(name))
}

/// A vector instruction; its element type is in the values already.
fn vector(reader: &mut Reader<'_>, op: Op) -> Result<Op, Malformed> {
    reader.index()?;
    Ok(op)
}

fn elements(reader: &mut Reader<'_>) -> Result<u16, Malformed> {
    u16::try_from(u64::from_le_bytes(reader.array()?)).map_err(|_| "a vector literal is too long")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(code: &[u8]) -> Result<CodeUnit, Rejected> {
        CodeUnit::read(&mut Reader::new(code), 6)
    }

    #[test]
    fn an_unknown_opcode_is_named() {
        // Signature 0, one instruction: the first opcode that is not there.
        assert_eq!(read(&[0, 1, 0x57]).unwrap_err(), Rejected::Opcode(0x57));
        let error = crate::vm::VmError::from(Rejected::Opcode(0x57));
        assert_eq!(error.to_string(), "instruction 0x57 is not supported by the development chain");
    }

    #[test]
    fn operands_are_read() {
        let unit =
            read(&[0, 3, 0x06, 1, 2, 0, 0, 0, 0, 0, 0, 0x40, 5, 3, 0, 0, 0, 0, 0, 0, 0, 0x02]).unwrap();
        assert_eq!(unit.ops, [Op::LdU64(513), Op::VecPack(5, 3), Op::Ret]);
    }

    #[test]
    fn code_stays_inside_its_function() {
        assert_eq!(read(&[0, 1, 0x05, 1]).unwrap_err(), "a branch leads out of the function".into());
        assert_eq!(read(&[0, 1, 0x28]).unwrap_err(), "code runs over its end".into());
        assert_eq!(read(&[0, 0xff, 0xff, 0x03]).unwrap_err(), "code is longer than the module".into());
    }
}
