//! The bytes of `0x2::coin::Coin<T>`: identifier, then balance.

use sui_sdk_types::{Address, Object, StructTag, TypeTag};

const LENGTH: usize = Address::LENGTH + 8;

/// Bytes of a coin.
pub fn contents(id: Address, balance: u64) -> Vec<u8> {
    let mut contents = Vec::with_capacity(LENGTH);
    contents.extend_from_slice(id.as_bytes());
    contents.extend_from_slice(&balance.to_le_bytes());
    contents
}

/// Balance of the coin with these bytes, if they are as long as a coin's.
pub fn balance(contents: &[u8]) -> Option<u64> {
    let bytes: &[u8; LENGTH] = contents.try_into().ok()?;
    bytes.last_chunk().map(|balance| u64::from_le_bytes(*balance))
}

/// Type of money and balance of `object`, if it is a coin.
pub fn of_object(object: &Object) -> Option<(&TypeTag, u64)> {
    let structure = object.as_struct()?;
    let money = structure.object_type().is_coin()?;
    Some((money, balance(structure.contents())?))
}

/// True for `0x2::coin::Coin<T>`.
pub fn is_coin(tag: &TypeTag) -> bool {
    matches!(tag, TypeTag::Struct(tag) if StructTag::is_coin(tag).is_some())
}
