//! The few messages of etcd's API that the loads send and read, straight in protobuf's encoding.

/// Calls `each` with the number and value of every field; varints come as `Field::Number`.
///
/// Stops silently at the first thing that is not protobuf: the caller notices that something is missing.
pub(crate) fn fields<'a>(mut message: &'a [u8], mut each: impl FnMut(u64, Field<'a>)) {
    while let Some((tag, rest)) = varint(message) {
        let Some((field, rest)) = value(tag & 7, rest) else { return };
        each(tag >> 3, field);
        message = rest;
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Field<'a> {
    Number(u64),
    Bytes(&'a [u8]),
}

/// The bytes of field `wanted`, if it is there.
pub(crate) fn bytes_field(message: &[u8], wanted: u64) -> Option<&[u8]> {
    let mut found = None;
    fields(message, |number, field| {
        if let (true, Field::Bytes(bytes)) = (number == wanted, field) {
            found = Some(bytes);
        }
    });
    found
}

/// The number in field `wanted`; 0 is never sent.
pub(crate) fn number_field(message: &[u8], wanted: u64) -> u64 {
    let mut found = 0;
    fields(message, |number, field| {
        if let (true, Field::Number(value)) = (number == wanted, field) {
            found = value;
        }
    });
    found
}

/// `PutRequest`.
pub(crate) fn put(key: &[u8], value: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(key.len() + value.len() + 8);
    put_bytes(&mut out, 1, key);
    put_bytes(&mut out, 2, value);
    out
}

/// `RangeRequest` for one key, linearizable.
pub(crate) fn range_one(key: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(key.len() + 2);
    put_bytes(&mut out, 1, key);
    out
}

/// `RangeRequest` for a page; revision 0 is "now".
pub(crate) fn range_page(key: &[u8], end: &[u8], limit: u64, revision: u64) -> Vec<u8> {
    let mut out = Vec::with_capacity(key.len() + end.len() + 16);
    put_bytes(&mut out, 1, key);
    put_bytes(&mut out, 2, end);
    put_number(&mut out, 3, limit);
    put_number(&mut out, 4, revision);
    out
}

/// `WatchRequest` that creates a watch on one key.
pub(crate) fn watch_create(key: &[u8]) -> Vec<u8> {
    let mut create = Vec::with_capacity(key.len() + 2);
    put_bytes(&mut create, 1, key);
    let mut out = Vec::with_capacity(key.len() + 4);
    put_bytes(&mut out, 1, &create);
    out
}

fn value(wire_type: u64, message: &[u8]) -> Option<(Field<'_>, &[u8])> {
    match wire_type {
        0 => varint(message).map(|(number, rest)| (Field::Number(number), rest)),
        2 => {
            let (length, rest) = varint(message)?;
            let (bytes, rest) = rest.split_at_checked(usize::try_from(length).ok()?)?;
            Some((Field::Bytes(bytes), rest))
        }
        _ => None,
    }
}

fn varint(message: &[u8]) -> Option<(u64, &[u8])> {
    let mut number = 0;
    for (index, byte) in message.iter().enumerate().take(10) {
        number |= u64::from(byte & 0x7f) << (7 * index);
        if byte & 0x80 == 0 {
            return Some((number, &message[index + 1..]));
        }
    }
    None
}

fn put_varint(out: &mut Vec<u8>, mut number: u64) {
    while number >= 0x80 {
        out.push(number as u8 | 0x80);
        number >>= 7;
    }
    out.push(number as u8);
}

fn put_number(out: &mut Vec<u8>, field: u64, number: u64) {
    put_varint(out, field << 3);
    put_varint(out, number);
}

fn put_bytes(out: &mut Vec<u8>, field: u64, bytes: &[u8]) {
    put_varint(out, field << 3 | 2);
    put_varint(out, bytes.len() as u64);
    out.extend_from_slice(bytes);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_read_back() {
        let page = range_page(b"/a", b"/b", 500, 1 << 40);
        assert_eq!(bytes_field(&page, 1), Some(b"/a".as_ref()));
        assert_eq!(bytes_field(&page, 2), Some(b"/b".as_ref()));
        assert_eq!((number_field(&page, 3), number_field(&page, 4)), (500, 1 << 40));
        let value = vec![7; 1024];
        assert_eq!(bytes_field(&put(b"/a", &value), 2), Some(value.as_slice()));
    }

    #[test]
    fn what_is_no_protobuf_ends_the_reading() {
        for broken in
            [&b"\x0a\x05abc"[..], b"\x80", b"\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", b"\x0d\x01"]
        {
            assert_eq!(bytes_field(broken, 1), None, "{broken:x?}");
        }
    }
}
