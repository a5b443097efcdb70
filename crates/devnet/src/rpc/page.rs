//! Pages of lists.

use serde::Serialize;
use serde::de::DeserializeOwned;
use tonic::Status;

const DEFAULT: usize = 50;
const MAX: usize = 1_000;
const MAX_TOKEN_BYTES: usize = 8_192;

/// Bytes that may still be put into an answer.
pub(super) struct Room(usize);

impl Room {
    /// In a page, which ends when it is full.
    pub(super) fn of_page() -> Self {
        Self(super::MAX_PAGE_BYTES)
    }

    /// In the answer to a batch, which is whole or refused.
    pub(super) fn of_batch() -> Self {
        Self(super::MAX_BATCH_BYTES)
    }

    /// Takes the message's place; false if there is none left.
    pub(super) fn admit(&mut self, message: &impl prost::Message) -> bool {
        match self.0.checked_sub(message.encoded_len()) {
            Some(left) => {
                self.0 = left;
                true
            }
            None => false,
        }
    }
}

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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_belongs_to_its_list() {
        let token = token(&7u64, &("owned", 1u8)).expect("a token");
        assert_eq!(parse::<u64, _>(Some(&token), &("owned", 1u8)).expect("the same list"), Some(7));
        assert!(parse::<u64, _>(Some(&token), &("owned", 2u8)).is_err());
        assert!(parse::<u64, _>(Some(&token[1..]), &("owned", 1u8)).is_err());
        assert_eq!(parse::<u64, _>(None, &("owned", 1u8)).expect("no token"), None);
    }

    #[test]
    fn a_page_is_full_once_it_is_full() {
        let mut room = Room::of_page();
        let message = bytes::Bytes::from(vec![0; 1 << 20]);
        let admitted = (0..10).filter(|_| room.admit(&message)).count();
        assert_eq!(admitted, 2, "each takes its megabyte and a few bytes");
    }
}
