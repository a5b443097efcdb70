//! The services and clients around [`tee::custody`] and around registration: who asks over HTTP, who answers, and what the
//! chain says meanwhile.
//!
//! - [`Releaser`]: gives a secret or a share to an enclave that `tee`'s gatekeeper admits by the registry on chain, read at that moment.
//!   A running master has one in its gateway, a [`Custodian`] is one with a share.
//! - [`Verifier`]: verifies evidence and signs the claims that a registration takes, nothing else.
//! - [`Asking`] asks for keys, from one giver or from whoever of [`Givers`] gives first; [`Registrar`] asks for claims.
//!
//! No connection is trusted here, and a master that is asked at a start has to prove itself by RA-TLS besides: keys are encrypted to the evidence's key, dealings are signed, shares and secrets are
//! checked against commitments, and claims against the verifiers' keys on chain.
#![forbid(unsafe_code)]

mod asking;
mod attested_client;
mod bucket;
mod custodian;
mod error;
mod http_client;
mod listener;
mod obtain;
mod on_chain;
mod problem;
mod registrar;
mod releaser;
mod seal;
mod seeking;
mod verifier;

pub use asking::{Asking, Recovered, fetch_dealing, send_dealing};
pub use bucket::Bucket;
pub use custodian::{Custodian, open_holder_key};
pub use error::Error;
pub use listener::Listener;
pub use obtain::Givers;
pub use on_chain::{Facts, OnChain, tcb_bounds};
pub use registrar::{Registrar, Registration};
pub use releaser::{CollateralSource, Observer, Releaser, no_collateral};
pub use seal::{KeyServerError, KeyServers, check_possession, read_key_servers};
pub use seeking::{Next, Seeking};
pub use tee::Clock;
pub use verifier::Verifier;
