//! Reads identifiers out of requests.

use std::fmt::Display;
use std::str::FromStr;

use sui_sdk_types::{Address, Digest, StructTag, TypeTag};
use tonic::Status;

/// Longest text of a type.
const MAX_TYPE_CHARS: usize = 4_096;
/// Most type parameter lists in one type; Sui allows 16 levels.
const MAX_TYPE_LISTS: usize = 32;

pub(super) fn address(field: &str, text: Option<&str>) -> Result<Address, Status> {
    parse(field, text)
}

pub(super) fn digest(field: &str, text: Option<&str>) -> Result<Digest, Status> {
    let digest: Digest = parse(field, text)?;
    // The decoder fills up what is too short.
    if text.is_some_and(|text| digest.to_string() != text) {
        return Err(Status::invalid_argument(format!("{field}: not the Base58 of 32 bytes")));
    }
    Ok(digest)
}

pub(super) fn type_tag(field: &str, text: &str) -> Result<TypeTag, Status> {
    check_type(field, text)?;
    parse(field, Some(text))
}

pub(super) fn struct_tag(field: &str, text: &str) -> Result<StructTag, Status> {
    check_type(field, text)?;
    parse(field, Some(text))
}

/// Refuses a type that could exhaust the stack of a recursive parser.
pub(super) fn check_type(field: &str, text: &str) -> Result<(), Status> {
    if text.len() > MAX_TYPE_CHARS || text.bytes().filter(|b| *b == b'<').count() > MAX_TYPE_LISTS {
        return Err(Status::invalid_argument(format!("{field}: the type is too long or too deep")));
    }
    Ok(())
}

fn parse<T: FromStr<Err: Display>>(field: &str, text: Option<&str>) -> Result<T, Status> {
    let text = text.ok_or_else(|| Status::invalid_argument(format!("{field} is missing")))?;
    text.parse().map_err(|error| Status::invalid_argument(format!("{field}: {error}")))
}
