//! Custody of the one secret from which a cluster's keys come, where the machine alone cannot keep it.
//!
//! The [`ClusterSecret`] lies on a machine wrapped under its platform's key. Another enclave gets it by a [`Request`], which carries
//! evidence bound to a fresh nonce and to a key made for this one answer: from a running master, which answers with
//! the secret, or from a committee, whose members hold shares of it (a [`Dealing`]) and answer with their share. Whoever
//! answers decides by [`Gatekeeper`], from the evidence and from what the chain says now; who asks a committee is led by
//! a [`Collector`]. Key servers of [`seal`] are another way. All of it is without IO and is told the time.
//!
//! Nothing here trusts the connection: answers are encrypted to the request's key (HPKE, RFC 9180: DHKEM(X25519,
//! HKDF-SHA256), HKDF-SHA256, AES-256-GCM), dealings are signed, and shares and secret are checked against commitments.

mod collector;
mod dealing;
mod error;
mod field;
mod gatekeeper;
mod polling;
mod recipient;
mod request;
pub mod seal;
mod secret;
mod shamir;
#[cfg(test)]
mod simulation;

pub use collector::{Collector, Step};
pub use dealing::{Dealing, Holder, INTENT_DEALING, MAX_DEALING_BYTES, MAX_HOLDERS, Member};
pub use error::{CustodyError, ReleaseRefusal};
pub use gatekeeper::{Gatekeeper, Judge, Terms};
pub use polling::HolderState;
pub use recipient::{Recipient, Sealed};
pub use request::{Answer, MAX_REQUEST_BYTES, Pending, Request};
pub use secret::ClusterSecret;
pub use shamir::Share;
