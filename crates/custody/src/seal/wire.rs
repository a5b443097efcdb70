//! JSON of the key servers' API; names and forms are theirs.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};

/// Body of `POST /v1/fetch_key`. Bytes are base64.
#[derive(Debug, Serialize)]
pub(super) struct FetchKey<'a> {
    /// BCS of a programmable transaction that calls `seal_approve` functions of one package and nothing else.
    pub(super) ptb: String,
    pub(super) enc_key: String,
    pub(super) enc_verification_key: String,
    /// The session key's ed25519 signature.
    pub(super) request_signature: String,
    pub(super) certificate: &'a Certificate,
}

/// That an address lets a session key ask for keys of a package for some minutes.
#[derive(Debug, Serialize)]
pub(super) struct Certificate {
    pub(super) user: String,
    pub(super) session_vk: String,
    /// Milliseconds since the Unix epoch.
    pub(super) creation_time: u64,
    pub(super) ttl_min: u16,
    /// Sui's signature of a personal message.
    pub(super) signature: String,
}

/// Answer of `POST /v1/fetch_key`.
#[derive(Debug, Deserialize)]
pub(super) struct Keys {
    pub(super) decryption_keys: Vec<DecryptionKey>,
}

#[derive(Debug, Deserialize)]
pub(super) struct DecryptionKey {
    /// The identity with its package.
    pub(super) id: Vec<u8>,
    /// Two points of G1.
    pub(super) encrypted_key: [String; 2],
}

/// Answer of `GET /v1/service`.
#[derive(Debug, Deserialize)]
pub(super) struct Service {
    pub(super) service_id: String,
    pub(super) pop: String,
}

/// Body of an answer that refuses or fails.
#[derive(Debug, Deserialize)]
pub(super) struct Complaint {
    pub(super) error: String,
    pub(super) message: String,
}

pub(super) fn base64(bytes: &[u8]) -> String {
    STANDARD.encode(bytes)
}

pub(super) fn from_base64(text: &str) -> Option<Vec<u8>> {
    STANDARD.decode(text).ok()
}
