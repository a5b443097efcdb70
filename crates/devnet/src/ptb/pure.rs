//! Bytes of a transaction that are used as values: numbers, addresses, strings, and vectors and
//! options of these.

use sui_sdk_types::{Address, CommandArgumentError, StructTag, TypeTag};

/// Checks that `bytes` are the BCS of one value of type `tag`.
///
/// # Errors
///
/// `InvalidUsageOfPureArgument` if values of the type cannot come from bytes, `InvalidBcsBytes` if
/// these bytes are none.
pub(super) fn check(tag: &TypeTag, bytes: &[u8]) -> Result<(), CommandArgumentError> {
    let layout = Layout::of(tag).ok_or(CommandArgumentError::InvalidUsageOfPureArgument)?;
    match layout.skip(bytes) {
        Some([]) => Ok(()),
        _ => Err(CommandArgumentError::InvalidBcsBytes),
    }
}

enum Layout {
    Bool,
    Fixed(usize),
    Utf8,
    Ascii,
    Option(Box<Layout>),
    Vector(Box<Layout>),
}

impl Layout {
    fn of(tag: &TypeTag) -> Option<Self> {
        Some(match tag {
            TypeTag::Bool => Self::Bool,
            TypeTag::U8 => Self::Fixed(1),
            TypeTag::U16 => Self::Fixed(2),
            TypeTag::U32 => Self::Fixed(4),
            TypeTag::U64 => Self::Fixed(8),
            TypeTag::U128 => Self::Fixed(16),
            TypeTag::U256 | TypeTag::Address => Self::Fixed(32),
            TypeTag::Vector(element) => Self::Vector(Box::new(Self::of(element)?)),
            TypeTag::Struct(tag) => Self::of_struct(tag)?,
            TypeTag::Signer => return None,
        })
    }

    fn of_struct(tag: &StructTag) -> Option<Self> {
        const STD: Address = Address::from_static("0x1");
        const SUI: Address = Address::TWO;
        let address = *tag.address();
        match (tag.module().as_str(), tag.name().as_str(), tag.type_params()) {
            ("object", "ID", []) if address == SUI => Some(Self::Fixed(Address::LENGTH)),
            ("string", "String", []) if address == STD => Some(Self::Utf8),
            ("ascii", "String", []) if address == STD => Some(Self::Ascii),
            ("option", "Option", [element]) if address == STD => {
                Some(Self::Option(Box::new(Self::of(element)?)))
            }
            _ => None,
        }
    }

    /// What follows one value at the start of `bytes`.
    fn skip<'b>(&self, bytes: &'b [u8]) -> Option<&'b [u8]> {
        match self {
            Self::Bool => match bytes {
                [0 | 1, rest @ ..] => Some(rest),
                _ => None,
            },
            Self::Fixed(size) => bytes.get(*size..),
            Self::Utf8 => {
                let (text, rest) = text(bytes)?;
                std::str::from_utf8(text).ok().map(|_| rest)
            }
            Self::Ascii => {
                let (text, rest) = text(bytes)?;
                text.is_ascii().then_some(rest)
            }
            Self::Option(element) => match bytes {
                [0, rest @ ..] => Some(rest),
                [1, rest @ ..] => element.skip(rest),
                _ => None,
            },
            Self::Vector(element) => {
                let (length, mut rest) = length(bytes)?;
                // Every element takes at least a byte, so a wrong length ends soon.
                for _ in 0..length {
                    rest = element.skip(rest)?;
                }
                Some(rest)
            }
        }
    }
}

fn text(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let (length, rest) = length(bytes)?;
    rest.split_at_checked(length)
}

/// A canonical ULEB128 length of at most 32 bits, and what follows it.
fn length(bytes: &[u8]) -> Option<(usize, &[u8])> {
    let mut value: u64 = 0;
    for (index, byte) in bytes.iter().enumerate().take(5) {
        value |= u64::from(byte & 0x7f) << (7 * index);
        if byte & 0x80 == 0 {
            let canonical = index == 0 || *byte != 0;
            let fits = value <= u64::from(u32::MAX);
            return (canonical && fits).then_some((value as usize, bytes.get(index + 1..)?));
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn tag(text: &str) -> TypeTag {
        text.parse().expect("a type")
    }

    fn accepts<T: serde::Serialize>(text: &str, value: &T) {
        let mut bytes = bcs::to_bytes(value).expect("bcs");
        assert_eq!(check(&tag(text), &bytes), Ok(()), "{text}");
        bytes.push(0);
        let refused = Err(CommandArgumentError::InvalidBcsBytes);
        assert_eq!(check(&tag(text), &bytes), refused, "{text} and one byte more");
    }

    #[test]
    fn values_of_pure_types_are_accepted() {
        accepts("bool", &true);
        accepts("u64", &7u64);
        accepts("u256", &[1u8; 32]);
        accepts("address", &Address::TWO);
        accepts("0x2::object::ID", &Address::TWO);
        accepts("vector<u8>", &vec![1u8; 300]);
        accepts("vector<vector<u16>>", &vec![vec![1u16], vec![], vec![2, 3]]);
        accepts("0x1::string::String", &"grüezi");
        accepts("0x1::ascii::String", &"hello");
        accepts("0x1::option::Option<u32>", &Some(5u32));
        accepts("0x1::option::Option<0x1::string::String>", &None::<String>);
    }

    #[test]
    fn wrong_bytes_and_types_are_told_apart() {
        let bytes = |text: &str, bytes: &[u8]| check(&tag(text), bytes);
        let invalid = Err(CommandArgumentError::InvalidBcsBytes);
        assert_eq!(bytes("bool", &[2]), invalid);
        assert_eq!(bytes("u64", &[0; 7]), invalid);
        assert_eq!(bytes("0x1::string::String", &[1, 0xff]), invalid);
        assert_eq!(bytes("0x1::ascii::String", &[1, 0x80]), invalid);
        assert_eq!(bytes("vector<u8>", &[0x80, 0]), invalid);
        assert_eq!(bytes("vector<u64>", &[0xff, 0xff, 0xff, 0xff, 0x0f, 0]), invalid);
        let unusable = Err(CommandArgumentError::InvalidUsageOfPureArgument);
        assert_eq!(bytes("0x2::coin::Coin<0x2::sui::SUI>", &[0; 40]), unusable);
        assert_eq!(bytes("0x3::string::String", &[0]), unusable);
    }

    proptest! {
        #[test]
        fn any_bytes_are_accepted_or_refused(bytes in proptest::collection::vec(any::<u8>(), 0..64)) {
            for text in ["vector<vector<0x1::option::Option<u16>>>", "0x1::string::String"] {
                let _ = check(&tag(text), &bytes);
            }
        }

        #[test]
        fn what_serde_reads_is_what_is_accepted(bytes in proptest::collection::vec(0u8..4, 0..16)) {
            let read = bcs::from_bytes::<Vec<Option<Vec<u8>>>>(&bytes).is_ok();
            let accepted = check(&tag("vector<0x1::option::Option<vector<u8>>>"), &bytes).is_ok();
            prop_assert_eq!(read, accepted);
        }
    }
}
