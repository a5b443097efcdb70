mod cluster;
mod enclave;
mod governance;
mod seal_token;
mod stake;
mod tier;

pub use cluster::{Cluster, Config, Grant, Names, TierTerms};
pub use enclave::{Enclave, Measurement, Registry};
pub use governance::{AdminCap, Governance, LiveCap};
pub use seal_token::SealToken;
pub use stake::Stake;
pub use tier::Tier;
