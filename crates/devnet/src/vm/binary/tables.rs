//! The tables of a module.

use sui_sdk_types::{Address, Identifier};

use super::code::CodeUnit;
use super::reader::{Malformed, Reader, Rejected};

/// What a module starts with.
const MAGIC: [u8; 4] = [0xa1, 0x1c, 0xeb, 0x0b];
/// From this version on, the top byte of the version names the dialect.
const FIRST_FLAVORED_VERSION: u32 = 7;
/// Sui's dialect.
const SUI_FLAVOR: u32 = 5;
/// How deeply types in a signature may nest.
const MAX_TOKEN_DEPTH: usize = 64;
/// All ability bits.
const ALL_ABILITIES: u8 = 0xf;

/// A module: what its bytes say, nothing resolved.
#[derive(Clone, Debug, Default)]
pub(crate) struct Tables {
    pub(crate) self_handle: u16,
    pub(crate) modules: Vec<ModuleHandle>,
    pub(crate) datatype_handles: Vec<DatatypeHandle>,
    pub(crate) function_handles: Vec<FunctionHandle>,
    /// Function handle, signature with type arguments.
    pub(crate) function_instances: Vec<(u16, u16)>,
    pub(crate) signatures: Vec<Vec<Token>>,
    pub(crate) constants: Vec<(Token, Vec<u8>)>,
    pub(crate) identifiers: Vec<Identifier>,
    pub(crate) addresses: Vec<Address>,
    pub(crate) structs: Vec<DatatypeDef>,
    /// Definition, signature.
    pub(crate) struct_instances: Vec<(u16, u16)>,
    pub(crate) enums: Vec<DatatypeDef>,
    pub(crate) enum_instances: Vec<(u16, u16)>,
    /// Struct definition, offset of the field.
    pub(crate) fields: Vec<(u16, u16)>,
    /// Field handle, signature.
    pub(crate) field_instances: Vec<(u16, u16)>,
    /// Enum definition, tag.
    pub(crate) variants: Vec<(u16, u16)>,
    /// Enum instance, tag.
    pub(crate) variant_instances: Vec<(u16, u16)>,
    pub(crate) functions: Vec<FunctionDef>,
    pub(crate) friends: Vec<ModuleHandle>,
    /// Where the addresses are in the module's bytes.
    pub(crate) addresses_at: usize,
}

/// Indices of a module's address and name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ModuleHandle {
    pub(crate) address: u16,
    pub(crate) name: u16,
}

/// A type parameter of a struct or enum.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct TypeParam {
    pub(crate) constraints: u8,
    pub(crate) phantom: bool,
}

#[derive(Clone, Debug)]
pub(crate) struct DatatypeHandle {
    pub(crate) module: u16,
    pub(crate) name: u16,
    pub(crate) abilities: u8,
    pub(crate) params: Vec<TypeParam>,
}

#[derive(Clone, Debug)]
pub(crate) struct FunctionHandle {
    pub(crate) module: u16,
    pub(crate) name: u16,
    pub(crate) params: u16,
    pub(crate) returns: u16,
    /// Constraints of the type parameters.
    pub(crate) type_params: Vec<u8>,
}

/// A struct (with one variant) or an enum.
#[derive(Clone, Debug)]
pub(crate) struct DatatypeDef {
    pub(crate) handle: u16,
    pub(crate) variants: Vec<VariantDef>,
}

#[derive(Clone, Debug, Default)]
pub(crate) struct VariantDef {
    /// Identifier of its name; 0 for a struct.
    pub(crate) name: u16,
    /// Types of the fields.
    pub(crate) fields: Vec<Token>,
    /// Identifiers of their names.
    pub(crate) field_names: Vec<u16>,
}

#[derive(Clone, Debug)]
pub(crate) struct FunctionDef {
    pub(crate) handle: u16,
    pub(crate) visibility: u8,
    pub(crate) entry: bool,
    /// `None` for a native function.
    pub(crate) code: Option<CodeUnit>,
}

/// A type in a signature.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Token {
    Bool,
    U8,
    U16,
    U32,
    U64,
    U128,
    U256,
    Address,
    Signer,
    Vector(Box<Token>),
    Datatype(u16, Vec<Token>),
    Param(u16),
    Reference(Box<Token>),
    MutableReference(Box<Token>),
}

impl Tables {
    /// Reads a module.
    pub(crate) fn read(bytes: &[u8]) -> Result<Self, Rejected> {
        let mut reader = Reader::new(bytes);
        if reader.array()? != MAGIC {
            return Err("it is no Move module".into());
        }
        let version = version(u32::from_le_bytes(reader.array()?))?;
        let count = reader.small()?;
        let mut headers: Vec<(u8, u32, u32)> = Vec::new();
        for _ in 0..count {
            let header = (reader.u8()?, reader.uleb()?, reader.uleb()?);
            if headers.iter().any(|&(kind, ..)| kind == header.0) {
                return Err("it has a table twice".into());
            }
            headers.push(header);
        }
        let base = bytes.len() - reader.remaining();
        let mut covered: Vec<_> = headers.iter().map(|&(_, offset, size)| (offset, size)).collect();
        covered.sort_unstable();
        let mut end = 0u32;
        for (offset, size) in covered {
            if offset != end || size == 0 {
                return Err("its tables overlap or leave gaps".into());
            }
            end = end.checked_add(size).ok_or("a table is too large")?;
        }
        let contents = reader.bytes(end as usize)?;
        let mut tables = Self { self_handle: reader.index()?, ..Self::default() };
        if !reader.is_empty() {
            return Err("bytes follow the module".into());
        }
        for (kind, offset, size) in headers {
            let table = &contents[offset as usize..(offset + size) as usize];
            if kind == 0x8 {
                tables.addresses_at = base + offset as usize;
            }
            tables.read_table(kind, &mut Reader::new(table), version)?;
        }
        Ok(tables)
    }

    fn read_table(&mut self, kind: u8, reader: &mut Reader<'_>, version: u32) -> Result<(), Rejected> {
        match kind {
            0x1 => self.modules = many(reader, module_handle)?,
            0x2 => self.datatype_handles = many(reader, datatype_handle)?,
            0x3 => self.function_handles = many(reader, function_handle)?,
            0x4 => self.function_instances = many(reader, pair)?,
            0x5 => self.signatures = many(reader, signature)?,
            0x6 => self.constants = many(reader, constant)?,
            0x7 => self.identifiers = many(reader, identifier)?,
            0x8 => self.addresses = many(reader, |reader| reader.array().map(Address::new))?,
            0xa => self.structs = many(reader, struct_definition)?,
            0xb => self.struct_instances = many(reader, pair)?,
            0xc => self.functions = many(reader, |reader| function_definition(reader, version))?,
            0xd => self.fields = many(reader, pair)?,
            0xe => self.field_instances = many(reader, pair)?,
            0xf => self.friends = many(reader, module_handle)?,
            // Metadata means nothing to execution.
            0x10 => {}
            0x11..=0x14 if version < 7 => return Err("it has enums, but a version without them".into()),
            0x11 => self.enums = many(reader, enum_definition)?,
            0x12 => self.enum_instances = many(reader, pair)?,
            0x13 => self.variants = many(reader, pair)?,
            0x14 => self.variant_instances = many(reader, pair)?,
            _ => return Err("it has an unknown table".into()),
        }
        Ok(())
    }
}

fn version(raw: u32) -> Result<u32, Malformed> {
    if raw == 6 {
        return Ok(raw);
    }
    let (flavor, version) = (raw >> 24, raw & 0x00ff_ffff);
    if flavor == SUI_FLAVOR && version == FIRST_FLAVORED_VERSION {
        Ok(version)
    } else {
        Err("its version is none of 6 and 7")
    }
}

/// Reads items to the end of a table.
fn many<T, E: From<Malformed>>(
    reader: &mut Reader<'_>,
    mut item: impl FnMut(&mut Reader<'_>) -> Result<T, E>,
) -> Result<Vec<T>, E> {
    let mut items = Vec::new();
    while !reader.is_empty() {
        if items.len() > usize::from(u16::MAX) {
            return Err("a table has too many entries".into());
        }
        items.push(item(reader)?);
    }
    Ok(items)
}

/// Reads a counted list.
fn counted<T>(
    reader: &mut Reader<'_>,
    mut item: impl FnMut(&mut Reader<'_>) -> Result<T, Malformed>,
) -> Result<Vec<T>, Malformed> {
    (0..reader.small()?).map(|_| item(reader)).collect()
}

fn pair(reader: &mut Reader<'_>) -> Result<(u16, u16), Malformed> {
    Ok((reader.index()?, reader.index()?))
}

fn module_handle(reader: &mut Reader<'_>) -> Result<ModuleHandle, Malformed> {
    Ok(ModuleHandle { address: reader.index()?, name: reader.index()? })
}

fn abilities(reader: &mut Reader<'_>) -> Result<u8, Malformed> {
    let bits = reader.small()?;
    if bits & !ALL_ABILITIES == 0 { Ok(bits) } else { Err("unknown ability") }
}

fn datatype_handle(reader: &mut Reader<'_>) -> Result<DatatypeHandle, Malformed> {
    Ok(DatatypeHandle {
        module: reader.index()?,
        name: reader.index()?,
        abilities: abilities(reader)?,
        params: counted(reader, |reader| {
            Ok(TypeParam { constraints: abilities(reader)?, phantom: reader.small()? != 0 })
        })?,
    })
}

fn function_handle(reader: &mut Reader<'_>) -> Result<FunctionHandle, Malformed> {
    Ok(FunctionHandle {
        module: reader.index()?,
        name: reader.index()?,
        params: reader.index()?,
        returns: reader.index()?,
        type_params: counted(reader, abilities)?,
    })
}

fn signature(reader: &mut Reader<'_>) -> Result<Vec<Token>, Malformed> {
    counted(reader, |reader| token(reader, 0))
}

fn constant(reader: &mut Reader<'_>) -> Result<(Token, Vec<u8>), Malformed> {
    let token = token(reader, 0)?;
    let length = usize::from(reader.index()?);
    Ok((token, reader.bytes(length)?.to_vec()))
}

fn identifier(reader: &mut Reader<'_>) -> Result<Identifier, Malformed> {
    let length = usize::from(reader.index()?);
    let text = std::str::from_utf8(reader.bytes(length)?).map_err(|_| "a name is not UTF-8")?;
    Identifier::new(text).map_err(|_| "a name is no identifier")
}

fn field(reader: &mut Reader<'_>) -> Result<(u16, Token), Malformed> {
    Ok((reader.index()?, token(reader, 0)?))
}

fn fields(reader: &mut Reader<'_>, name: u16) -> Result<VariantDef, Malformed> {
    let (field_names, fields) = counted(reader, field)?.into_iter().unzip();
    Ok(VariantDef { name, fields, field_names })
}

fn struct_definition(reader: &mut Reader<'_>) -> Result<DatatypeDef, Malformed> {
    let handle = reader.index()?;
    match reader.u8()? {
        0x1 => Err("a struct is native"),
        0x2 => {
            let variant = fields(reader, 0)?;
            // Bytes could not tell how many of them there are.
            if variant.fields.is_empty() {
                return Err("a struct has no fields");
            }
            Ok(DatatypeDef { handle, variants: vec![variant] })
        }
        _ => Err("unknown kind of struct"),
    }
}

fn enum_definition(reader: &mut Reader<'_>) -> Result<DatatypeDef, Malformed> {
    let handle = reader.index()?;
    if reader.u8()? != 0x2 {
        return Err("unknown kind of enum");
    }
    let variants = counted(reader, |reader| {
        let name = reader.index()?;
        fields(reader, name)
    })?;
    if variants.is_empty() || variants.len() > 127 {
        return Err("an enum has no variants, or too many");
    }
    Ok(DatatypeDef { handle, variants })
}

fn function_definition(reader: &mut Reader<'_>, version: u32) -> Result<FunctionDef, Rejected> {
    const NATIVE: u8 = 0x2;
    const ENTRY: u8 = 0x4;
    let handle = reader.index()?;
    let visibility = reader.u8()?;
    let flags = reader.u8()?;
    if flags & !(NATIVE | ENTRY) != 0 || !matches!(visibility, 0 | 1 | 3) {
        return Err("unknown flag of a function".into());
    }
    for _acquired in 0..reader.small()? {
        reader.index()?;
    }
    let code = if flags & NATIVE != 0 { None } else { Some(CodeUnit::read(reader, version)?) };
    Ok(FunctionDef { handle, visibility, entry: flags & ENTRY != 0, code })
}

fn token(reader: &mut Reader<'_>, depth: usize) -> Result<Token, Malformed> {
    if depth > MAX_TOKEN_DEPTH {
        return Err("a type is nested too deeply");
    }
    Ok(match reader.u8()? {
        0x1 => Token::Bool,
        0x2 => Token::U8,
        0x3 => Token::U64,
        0x4 => Token::U128,
        0x5 => Token::Address,
        0x6 if depth == 0 => Token::Reference(Box::new(token(reader, depth + 1)?)),
        0x7 if depth == 0 => Token::MutableReference(Box::new(token(reader, depth + 1)?)),
        0x6 | 0x7 => return Err("a reference inside a type"),
        0x8 => Token::Datatype(reader.index()?, Vec::new()),
        0x9 => Token::Param(reader.index()?),
        0xa => Token::Vector(Box::new(token(reader, depth + 1)?)),
        0xb => Token::Datatype(reader.index()?, counted(reader, |reader| token(reader, depth + 1))?),
        0xc => Token::Signer,
        0xd => Token::U16,
        0xe => Token::U32,
        0xf => Token::U256,
        _ => return Err("unknown type"),
    })
}
