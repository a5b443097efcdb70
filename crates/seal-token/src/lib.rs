//! The seal token's proof: a short-lived bearer string that only the holder of the key on chain can make.
//!
//! Neither the chain nor the master keeps a secret: the chain has the holder's public key and the token's
//! state; a [`Proof`] is the holder's signature over [`Claims`] that name the token, its current seal, one
//! cluster and a short window. [`verify`] decides from what the chain says now. Pure: no IO, and the clock
//! is passed in.
//!
//! ```
//! use ed25519_dalek::SigningKey;
//! use seal_token::{Claims, K3sToken, Limits, Proof, TokenRecord, verify};
//!
//! let key = SigningKey::from_bytes(&[7; 32]);
//! let claims = Claims {
//!     version: seal_token::VERSION,
//!     token_id: [1; 32],
//!     seal: [2; 32],
//!     audience: [3; 32],
//!     not_before_ms: 1_000,
//!     not_after_ms: 61_000,
//!     nonce: [4; 16],
//! };
//! let bearer = Proof::mint(&key, claims).to_string();
//!
//! let proof: Proof = bearer.parse().unwrap();
//! let record = TokenRecord {
//!     token_id: [1; 32],
//!     public_key: key.verifying_key().to_bytes(),
//!     seal: [2; 32],
//!     expires_ms: 1_000_000,
//!     revoked: false,
//!     stake_covers_tier: true,
//! };
//! let limits = Limits { max_window_ms: 300_000, max_clock_skew_ms: 5_000 };
//! verify(&proof, &[3; 32], Some(&record), 2_000, &limits).unwrap();
//! let refused = verify(&proof, &[9; 32], Some(&record), 2_000, &limits).unwrap_err();
//! assert_eq!(refused.reason(), "wrong_audience");
//!
//! // The same proof as `K3S_TOKEN` for an unmodified `k3s agent`:
//! let token = K3sToken::seal([5; 32], &proof).to_string();
//! assert!(token.starts_with("K100505") && token.ends_with(&bearer));
//! ```
#![forbid(unsafe_code)]

mod claims;
mod k3s_token;
mod proof;
mod refusal;
mod verify;

pub use claims::{Claims, VERSION};
pub use k3s_token::{K3sToken, K3sTokenError};
pub use proof::{INTENT_PREFIX, PROOF_CHARS, Proof};
pub use refusal::{Malformed, Refusal};
pub use verify::{Limits, TokenRecord, verify};
