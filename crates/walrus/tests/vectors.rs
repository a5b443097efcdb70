//! Blob ids beside those of Walrus's own encoder, which `tests/oracle` runs as WebAssembly.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use walrus::{Encoding, EncodingError};

/// The same generator as in `oracle.mjs`.
fn blob(length: usize) -> Vec<u8> {
    let mut state = length as u32;
    let next = |_| {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 24) as u8
    };
    (0..length).map(next).collect()
}

#[test]
fn ids_are_those_of_walrus() {
    let vectors = include_str!("oracle/vectors.txt");
    for line in vectors.lines() {
        let [shards, length, id] = line.split(' ').collect::<Vec<_>>().try_into().unwrap();
        let encoding = Encoding::new(shards.parse().unwrap()).unwrap();
        let blob = blob(length.parse().unwrap());
        assert_eq!(encoding.blob_id(&blob).unwrap().to_string(), id, "{shards} shards, {length} bytes");
    }
    assert!(vectors.lines().count() >= 60);
}

#[test]
fn what_has_no_code_is_refused() {
    assert_eq!(Encoding::new(3), Err(EncodingError::Shards(3)));
    assert_eq!(Encoding::new(u16::MAX), Err(EncodingError::Shards(u16::MAX)));
    let encoding = Encoding::default();
    let most = 334 * 667 * 65_534;
    assert_eq!(encoding.max_length(), most);
    assert!(encoding.encoded_length(most).is_ok());
    let too_large = EncodingError::TooLarge { length: most + 1, shards: 1_000, most };
    assert_eq!(encoding.encoded_length(most + 1), Err(too_large.clone()));
    assert_eq!(
        encoding.encoded_length(u64::MAX).map_err(|e| matches!(e, EncodingError::TooLarge { .. })),
        Err(true)
    );
    assert!(too_large.to_string().contains("14599"), "{too_large}");
}
