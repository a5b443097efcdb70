//! What a module declares, read from its bytes alone.

use sui_sdk_types::{Address, Identifier};

use super::binary::{DatatypeDef, Tables, Token, VariantDef};
use super::error::VmError;
use super::module::{module_name, pick};
use super::session::{AbilitySet, Visibility};
use super::types::{COPY, DROP, KEY, STORE};

/// A module's declarations.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Declared {
    /// Its structs, then its enums.
    pub datatypes: Vec<DatatypeDeclared>,
    /// Its functions.
    pub functions: Vec<FunctionDeclared>,
}

/// A struct or an enum.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DatatypeDeclared {
    /// Its name.
    pub name: Identifier,
    /// What may be done with its values.
    pub abilities: AbilitySet,
    /// Abilities that each type argument must have, and whether it is phantom.
    pub params: Vec<(AbilitySet, bool)>,
    /// Whether it is an enum.
    pub is_enum: bool,
    /// Its variants; a struct has one, without a name.
    pub variants: Vec<VariantDeclared>,
}

/// A variant of an enum, or the fields of a struct.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VariantDeclared {
    /// Its name.
    pub name: Option<Identifier>,
    /// Names and types of its fields.
    pub fields: Vec<(Identifier, TypeDeclared)>,
}

/// A function.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FunctionDeclared {
    /// Its name.
    pub name: Identifier,
    /// Who may call it.
    pub visibility: Visibility,
    /// Whether a transaction may call it whatever its visibility.
    pub is_entry: bool,
    /// Abilities that each type argument must have.
    pub type_params: Vec<AbilitySet>,
    /// Types of its parameters.
    pub params: Vec<TypeDeclared>,
    /// Types of its results.
    pub returns: Vec<TypeDeclared>,
}

/// A type as it is written in a declaration.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "the names are Move's")]
pub enum TypeDeclared {
    Bool,
    U8,
    U16,
    U32,
    U64,
    U128,
    U256,
    Address,
    Signer,
    Vector(Box<TypeDeclared>),
    /// A struct or enum, by the original identifier of its package.
    Datatype(Address, Identifier, Identifier, Vec<TypeDeclared>),
    /// A type parameter, by number.
    Param(u16),
    Reference(Box<TypeDeclared>),
    MutableReference(Box<TypeDeclared>),
}

/// Reads what a module declares.
///
/// # Errors
///
/// If the bytes are no module.
pub fn declared(bytes: &[u8]) -> Result<Declared, VmError> {
    let tables = Tables::read(bytes)?;
    let structs = tables.structs.iter().map(|definition| datatype(&tables, definition, false));
    let enums = tables.enums.iter().map(|definition| datatype(&tables, definition, true));
    let datatypes = structs.chain(enums).collect::<Result<_, _>>()?;
    let mut functions = Vec::with_capacity(tables.functions.len());
    for definition in &tables.functions {
        let handle = pick(&tables.function_handles, definition.handle)?;
        let types = |signature: u16| -> Result<Vec<TypeDeclared>, VmError> {
            pick(&tables.signatures, signature)?.iter().map(|token| ty(&tables, token)).collect()
        };
        functions.push(FunctionDeclared {
            name: pick(&tables.identifiers, handle.name)?.clone(),
            visibility: match definition.visibility {
                1 => Visibility::Public,
                3 => Visibility::Friend,
                _ => Visibility::Private,
            },
            is_entry: definition.entry,
            type_params: handle.type_params.iter().map(|bits| abilities(*bits)).collect(),
            params: types(handle.params)?,
            returns: types(handle.returns)?,
        });
    }
    Ok(Declared { datatypes, functions })
}

fn datatype(tables: &Tables, definition: &DatatypeDef, is_enum: bool) -> Result<DatatypeDeclared, VmError> {
    let handle = pick(&tables.datatype_handles, definition.handle)?;
    let fields = |variant: &VariantDef| -> Result<Vec<(Identifier, TypeDeclared)>, VmError> {
        let named = variant.field_names.iter().zip(&variant.fields);
        named
            .map(|(name, token)| Ok((pick(&tables.identifiers, *name)?.clone(), ty(tables, token)?)))
            .collect()
    };
    let mut variants = Vec::with_capacity(definition.variants.len());
    for variant in &definition.variants {
        let name = if is_enum { Some(pick(&tables.identifiers, variant.name)?.clone()) } else { None };
        variants.push(VariantDeclared { name, fields: fields(variant)? });
    }
    Ok(DatatypeDeclared {
        name: pick(&tables.identifiers, handle.name)?.clone(),
        abilities: abilities(handle.abilities),
        params: handle.params.iter().map(|param| (abilities(param.constraints), param.phantom)).collect(),
        is_enum,
        variants,
    })
}

fn ty(tables: &Tables, token: &Token) -> Result<TypeDeclared, VmError> {
    let inner = |token: &Token| ty(tables, token).map(Box::new);
    Ok(match token {
        Token::Bool => TypeDeclared::Bool,
        Token::U8 => TypeDeclared::U8,
        Token::U16 => TypeDeclared::U16,
        Token::U32 => TypeDeclared::U32,
        Token::U64 => TypeDeclared::U64,
        Token::U128 => TypeDeclared::U128,
        Token::U256 => TypeDeclared::U256,
        Token::Address => TypeDeclared::Address,
        Token::Signer => TypeDeclared::Signer,
        Token::Vector(of) => TypeDeclared::Vector(inner(of)?),
        Token::Reference(to) => TypeDeclared::Reference(inner(to)?),
        Token::MutableReference(to) => TypeDeclared::MutableReference(inner(to)?),
        Token::Param(index) => TypeDeclared::Param(*index),
        Token::Datatype(handle, args) => {
            let handle = pick(&tables.datatype_handles, *handle)?;
            let (package, module) = module_name(tables, *pick(&tables.modules, handle.module)?)?;
            let name = pick(&tables.identifiers, handle.name)?.clone();
            let args = args.iter().map(|arg| ty(tables, arg)).collect::<Result<_, _>>()?;
            TypeDeclared::Datatype(package, module.clone(), name, args)
        }
    })
}

fn abilities(bits: u8) -> AbilitySet {
    AbilitySet {
        copy: bits & COPY != 0,
        drop: bits & DROP != 0,
        store: bits & STORE != 0,
        key: bits & KEY != 0,
    }
}

/// Why code and objects of the old module would not fit the new one; `None` if they do.
///
/// As on Sui: structs and enums keep names, abilities, type parameters and layout; public functions keep their
/// signatures. Unlike there, no ability may be added and no constraint relaxed.
pub fn incompatibility(old: &Declared, new: &Declared) -> Option<String> {
    for datatype in &old.datatypes {
        match new.datatypes.iter().find(|other| other.name == datatype.name) {
            None => return Some(format!("{} is gone", datatype.name)),
            Some(other) if other != datatype => return Some(format!("{} has another layout", datatype.name)),
            Some(_) => {}
        }
    }
    let public = |function: &&FunctionDeclared| function.visibility == Visibility::Public;
    for function in old.functions.iter().filter(public) {
        let signature = |f: &FunctionDeclared| (f.type_params.clone(), f.params.clone(), f.returns.clone());
        match new.functions.iter().filter(public).find(|other| other.name == function.name) {
            None => return Some(format!("the public function {} is gone", function.name)),
            Some(other) if signature(other) != signature(function) => {
                return Some(format!("the public function {} has another signature", function.name));
            }
            Some(_) => {}
        }
    }
    None
}
