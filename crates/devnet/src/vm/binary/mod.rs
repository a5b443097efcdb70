//! Move's binary format, versions 6 and 7: from bytes to the tables of a module.
//!
//! Indices are not checked here but when the module is linked.

mod code;
mod reader;
mod tables;

pub(crate) use code::{Op, VariantAction, Wide, Width};
pub(crate) use reader::{Malformed, Reader, Rejected};
pub(crate) use tables::{
    DatatypeDef, DatatypeHandle, FunctionDef, ModuleHandle, Tables, Token, TypeParam, VariantDef,
};
