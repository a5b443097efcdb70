use std::fmt;
use std::str::FromStr;

use crate::Proof;

/// The user name under which a proof travels in Basic authentication.
const SEAL_USER: &str = "seal";
/// More than any proof; K3s' own passwords are 32 characters.
const MAX_CHARS: usize = 1024;

/// A K3s join token in its secure form, `K10<hash>::<user>:<password>`.
///
/// `Debug` leaves the password out.
#[derive(Clone, PartialEq, Eq)]
pub struct K3sToken {
    /// What the agent pins the server by: SHA-256 of the raw PEM bytes that `/cacerts` answers, for a single
    /// certificate.
    pub ca_hash: [u8; 32],
    /// User name for Basic authentication.
    pub username: String,
    /// Password for Basic authentication; with a seal token the proof.
    pub password: String,
}

impl K3sToken {
    /// The token that carries `proof`, for `K3S_TOKEN` of an unmodified agent.
    pub fn seal(ca_hash: [u8; 32], proof: &Proof) -> Self {
        Self { ca_hash, username: SEAL_USER.to_owned(), password: proof.to_string() }
    }
}

impl fmt::Display for K3sToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "K10{}::{}:{}", hex::encode(self.ca_hash), self.username, self.password)
    }
}

impl fmt::Debug for K3sToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("K3sToken")
            .field("ca_hash", &hex::encode(self.ca_hash))
            .field("username", &self.username)
            .finish_non_exhaustive()
    }
}

/// Why a string is not a K3s token. Never quotes the string, which may hold a secret.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum K3sTokenError {
    /// Longer than any token.
    #[error("K3s token of {found} characters; at most {MAX_CHARS} are read")]
    TooLong {
        /// Characters found.
        found: usize,
    },
    /// Does not start with `K10`.
    #[error("K3s token does not start with K10; use the secure form K10<ca hash>::<user>:<password>")]
    Prefix,
    /// The hash is not 64 lower-case hexadecimal digits.
    #[error("K3s token's CA hash is not 64 lower-case hexadecimal digits")]
    CaHash,
    /// Not `user:password` in printable ASCII after the hash.
    #[error("K3s token lacks <user>:<password> after its CA hash")]
    Credentials,
}

impl FromStr for K3sToken {
    type Err = K3sTokenError;

    fn from_str(text: &str) -> Result<Self, K3sTokenError> {
        if text.len() > MAX_CHARS {
            return Err(K3sTokenError::TooLong { found: text.len() });
        }
        let rest = text.strip_prefix("K10").ok_or(K3sTokenError::Prefix)?;
        let (hash, credentials) = rest.split_once("::").ok_or(K3sTokenError::CaHash)?;
        let mut ca_hash = [0; 32];
        if hash.bytes().any(|byte| byte.is_ascii_uppercase())
            || hex::decode_to_slice(hash, &mut ca_hash).is_err()
        {
            return Err(K3sTokenError::CaHash);
        }
        let (username, password) = credentials.split_once(':').ok_or(K3sTokenError::Credentials)?;
        let printable = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_graphic());
        if !printable(username) || !printable(password) {
            return Err(K3sTokenError::Credentials);
        }
        Ok(Self { ca_hash, username: username.to_owned(), password: password.to_owned() })
    }
}
