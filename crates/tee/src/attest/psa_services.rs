//! What two of Trusted Services' secure partitions are asked, and how: PSA initial attestation and PSA internal trusted storage.
//!
//! Formats: Trusted Services, "packed-c" protocols `attestation` and `secure_storage`; status codes: PSA Certified APIs, "Status codes".

use zeroize::Zeroizing;

use super::trustzone::ServicesFailure;

/// `a1baf155-8876-4695-8f7c-54955e8db974`.
pub(super) const ATTESTATION: [u8; 16] =
    [0xa1, 0xba, 0xf1, 0x55, 0x88, 0x76, 0x46, 0x95, 0x8f, 0x7c, 0x54, 0x95, 0x5e, 0x8d, 0xb9, 0x74];
/// `dc1eef48-b17a-4ccf-ac8b-dfcff7711b14`.
pub(super) const INTERNAL_TRUSTED_STORAGE: [u8; 16] =
    [0xdc, 0x1e, 0xef, 0x48, 0xb1, 0x7a, 0x4c, 0xcf, 0xac, 0x8b, 0xdf, 0xcf, 0xf7, 0x71, 0x1b, 0x14];

pub(super) const GET_TOKEN: u16 = 0x101;
pub(super) const STORAGE_SET: u16 = 0x100;
pub(super) const STORAGE_GET: u16 = 0x101;

/// More than any token: components are bounded, and a TLV's length has 16 bits.
pub(super) const MAX_TOKEN: usize = 16 << 10;

pub(super) const SUCCESS: i32 = 0;
pub(super) const NOT_PERMITTED: i32 = -133;
pub(super) const ALREADY_EXISTS: i32 = -139;
pub(super) const DOES_NOT_EXIST: i32 = -140;

const TAG_CHALLENGE: u16 = 1;
const TAG_TOKEN: u16 = 1;
/// `PSA_STORAGE_FLAG_WRITE_ONCE`: nobody, we included, can replace or remove the object.
const WRITE_ONCE: u32 = 1;

/// A request for a token over `challenge`.
pub(super) fn token_request(challenge: &[u8; 64]) -> Vec<u8> {
    let mut request = TAG_CHALLENGE.to_be_bytes().to_vec();
    request.extend_from_slice(&64_u16.to_be_bytes());
    request.extend_from_slice(challenge);
    request
}

/// The token in an answer: a list of tag, length and value with big-endian headers.
pub(super) fn token_of(mut answer: &[u8]) -> Result<Vec<u8>, ServicesFailure> {
    while let Some((header, rest)) = answer.split_first_chunk::<4>() {
        let [tag_high, tag_low, length_high, length_low] = *header;
        let length = usize::from(u16::from_be_bytes([length_high, length_low]));
        let value =
            rest.get(..length).ok_or(ServicesFailure::Malformed { what: "a token that is cut short" })?;
        if u16::from_be_bytes([tag_high, tag_low]) == TAG_TOKEN {
            return Ok(value.to_vec());
        }
        answer = &rest[length..];
    }
    Err(ServicesFailure::Malformed { what: "an answer without a token" })
}

/// A request to store `value` under `id` for good.
pub(super) fn set_request(id: u64, value: &[u8]) -> Zeroizing<Vec<u8>> {
    let mut request = Zeroizing::new(Vec::with_capacity(20 + value.len()));
    request.extend_from_slice(&id.to_le_bytes());
    request.extend_from_slice(&(value.len() as u64).to_le_bytes());
    request.extend_from_slice(&WRITE_ONCE.to_le_bytes());
    request.extend_from_slice(value);
    request
}

/// A request for up to `size` bytes of what is stored under `id`.
pub(super) fn get_request(id: u64, size: u64) -> Vec<u8> {
    [id, 0, size].iter().flat_map(|field| field.to_le_bytes()).collect()
}
