//! Pages of lists.

use serde::Serialize;
use serde::de::DeserializeOwned;
use tonic::Status;

const DEFAULT: usize = 50;
const MAX: usize = 1_000;
const MAX_TOKEN_BYTES: usize = 8_192;

/// Entries to return for a requested page size.
pub(super) fn size(asked: Option<u32>) -> usize {
    match asked {
        None | Some(0) => DEFAULT,
        Some(asked) => (asked as usize).min(MAX),
    }
}

/// Where to go on, as the client sends it back. `scope` are the request's other parameters, which
/// must not change between pages.
pub(super) fn parse<K: DeserializeOwned, S: Serialize>(
    token: Option<&[u8]>,
    scope: &S,
) -> Result<Option<K>, Status> {
    let Some(token) = token.filter(|token| !token.is_empty()) else { return Ok(None) };
    let bad = || Status::invalid_argument("page_token is not one of this list");
    if token.len() > MAX_TOKEN_BYTES {
        return Err(bad());
    }
    let (digest, key): ([u8; 8], K) = bcs::from_bytes(token).map_err(|_| bad())?;
    if digest != scope_digest(scope) {
        return Err(bad());
    }
    Ok(Some(key))
}

/// A token to go on after `key`.
pub(super) fn token<K: Serialize, S: Serialize>(key: &K, scope: &S) -> Result<bytes::Bytes, Status> {
    bcs::to_bytes(&(scope_digest(scope), key))
        .map(Into::into)
        .map_err(|error| Status::internal(error.to_string()))
}

fn scope_digest<S: Serialize>(scope: &S) -> [u8; 8] {
    let bytes = bcs::to_bytes(scope).unwrap_or_default();
    let digest = sui_sdk_types::hash::Hasher::digest(bytes).into_inner();
    std::array::from_fn(|i| digest[i])
}
