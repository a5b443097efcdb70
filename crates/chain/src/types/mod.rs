mod cluster;
mod economics;
mod enclave;
mod governance;
mod seal_token;
mod stake;
mod tier;

pub use cluster::{Cluster, Config, Grant, Names, TierTerms};
pub use economics::Economics;
pub use enclave::{Enclave, Measurement, Registry};
pub use governance::{AdminCap, Governance, LiveCap, Offer, PendingEconomics};
pub use seal_token::SealToken;
pub use stake::{Penalties, Stake};
pub use tier::Tier;
