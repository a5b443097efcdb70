use std::path::PathBuf;

use chain::Address;
use ed25519_dalek::SigningKey;
use ed25519_dalek::pkcs8::spki::der::pem::LineEnding;
use ed25519_dalek::pkcs8::{DecodePrivateKey, EncodePrivateKey};
use rand::RngCore;
use seal_token::{Claims, Proof};
use serde::{Deserialize, Serialize};

use crate::failure::{Context, Failure, Result};
use crate::state_dir::StateDir;
use crate::wallets::is_name;

/// A proof starts this long before now, for clocks that are behind.
const EARLY_MS: u64 = 5_000;

/// What this state directory remembers of a seal token: enough to mint proofs without the chain.
/// The holder's key lies beside it in `tokens/<name>.key`, PKCS#8 PEM, readable by this user only.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Token {
    /// What it is called here.
    pub(crate) name: String,
    /// The wallet that owns the stake.
    pub(crate) wallet: String,
    /// Stake object on chain; absent before it is bought.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) stake_id: Option<Address>,
    /// Token object on chain; absent before it is issued.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) token_id: Option<Address>,
    /// The token's seal, hexadecimal; absent before it is issued.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) seal: Option<String>,
    /// Node name, for a node's token.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) node_name: Option<String>,
}

impl Token {
    pub(crate) fn find(state: &StateDir, name: &str) -> Result<Option<Self>> {
        if !is_name(name) {
            return Err(Failure::usage(format!(
                "{name:?} is no name of a node or token: use 1 to 63 lower-case letters, digits and `-`"
            )));
        }
        state.read_json(file(name))
    }

    pub(crate) fn load(state: &StateDir, name: &str) -> Result<Self> {
        Self::find(state, name)?.ok_or_else(|| {
            Failure::usage(format!(
                "there is no token {name:?} in {}: get one with `k3s-daas stake`",
                state.root().display()
            ))
        })
    }

    pub(crate) fn save(&self, state: &StateDir) -> Result<()> {
        state.write_json(file(&self.name), self)
    }

    pub(crate) fn all(state: &StateDir) -> Result<Vec<Self>> {
        let mut tokens = Vec::new();
        let Ok(entries) = std::fs::read_dir(state.path("tokens")) else { return Ok(tokens) };
        for entry in entries.flatten() {
            let entry = entry.file_name();
            if let Some(name) = entry.to_str().and_then(|name| name.strip_suffix(".json")) {
                tokens.push(Self::load(state, name)?);
            }
        }
        tokens.sort_by(|one, other| one.name.cmp(&other.name));
        Ok(tokens)
    }

    /// A proof for the cluster with this CA (SHA-256 of its DER), valid from now for `ttl_ms`.
    pub(crate) fn mint(
        &self,
        state: &StateDir,
        audience: [u8; 32],
        now_ms: u64,
        ttl_ms: u64,
    ) -> Result<Proof> {
        let (Some(token_id), Some(seal)) = (self.token_id, &self.seal) else {
            return Err(Failure::failed(format!(
                "token {:?} was not issued yet: finish with `k3s-daas token issue {}`",
                self.name, self.name
            )));
        };
        let mut nonce = [0; 16];
        rand::rng().fill_bytes(&mut nonce);
        let claims = Claims {
            version: seal_token::VERSION,
            token_id: token_id.into_inner(),
            seal: bytes32(seal, "seal")?,
            audience,
            not_before_ms: now_ms.saturating_sub(EARLY_MS),
            not_after_ms: now_ms.saturating_add(ttl_ms),
            nonce,
        };
        Ok(Proof::mint(&load_key(state, &self.name)?, claims))
    }
}

/// Where the holder's key of a token lies.
pub(crate) fn key_file(state: &StateDir, name: &str) -> PathBuf {
    state.path(format!("tokens/{name}.key"))
}

pub(crate) fn load_key(state: &StateDir, name: &str) -> Result<SigningKey> {
    let path = key_file(state, name);
    SigningKey::read_pkcs8_pem_file(&path).map_err(|error| {
        Failure::failed(format!(
            "{}: {error}: rotate the key with `k3s-daas token rotate {name}`",
            path.display()
        ))
    })
}

/// The holder key of this name, made and durable before anything on chain refers to it.
pub(crate) fn load_or_make_key(state: &StateDir, name: &str) -> Result<SigningKey> {
    if key_file(state, name).exists() {
        return load_key(state, name);
    }
    let key = new_key();
    save_key(state, name, &key)?;
    Ok(key)
}

pub(crate) fn new_key() -> SigningKey {
    let mut secret = [0; 32];
    rand::rng().fill_bytes(&mut secret);
    SigningKey::from_bytes(&secret)
}

pub(crate) fn save_key(state: &StateDir, name: &str, key: &SigningKey) -> Result<()> {
    let pem = key.to_pkcs8_pem(LineEnding::LF).context("encoding the holder key")?;
    state.write(format!("tokens/{name}.key"), pem.as_bytes())
}

/// 32 bytes of hexadecimal with or without `0x`.
pub(crate) fn bytes32(text: &str, what: &str) -> Result<[u8; 32]> {
    let mut bytes = [0; 32];
    hex::decode_to_slice(text.trim_start_matches("0x"), &mut bytes).map_err(|error| {
        Failure::failed(format!("the {what} {text:?} is not 32 bytes of hexadecimal: {error}"))
    })?;
    Ok(bytes)
}

fn file(name: &str) -> String {
    format!("tokens/{name}.json")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_mints_proofs_from_disk_alone() {
        let dir = tempfile::tempdir().unwrap();
        let state = StateDir::resolve(Some(dir.path())).unwrap();
        let key = load_or_make_key(&state, "alice").unwrap();
        assert_eq!(load_or_make_key(&state, "alice").unwrap().to_bytes(), key.to_bytes());
        let token = Token {
            name: "alice".into(),
            wallet: "alice".into(),
            stake_id: Some(Address::new([0x11; 32])),
            token_id: Some(Address::new([0x22; 32])),
            seal: Some("33".repeat(32)),
            node_name: None,
        };
        token.save(&state).unwrap();
        let proof = Token::load(&state, "alice").unwrap().mint(&state, [4; 32], 100_000, 60_000).unwrap();
        assert_eq!(proof.claims.token_id, [0x22; 32]);
        assert_eq!((proof.claims.not_before_ms, proof.claims.not_after_ms), (95_000, 160_000));
        assert!(Token::load(&state, "bob").unwrap_err().to_string().contains("k3s-daas stake"));
        assert_eq!(Token::all(&state).unwrap().len(), 1);
    }
}
