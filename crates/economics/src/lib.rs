//! Whether an attack on the cluster pays.
//!
//! Stakes deter only if misbehaving costs more than it brings. This room plays agents — honest, lazy, over-selling,
//! Sybil, colluding, griefing — against the rules of `slashing` and `rewards` over seeded paths of SUI's price and
//! compares each with an honest staker on the same path. Pure: no IO, no clock; the same seed gives the same numbers.
//! It is a model of incentives, not of the contracts: those are tested as bytecode.
//!
//! ```
//! use economics::{Assumptions, Attack, Params, warnings};
//!
//! let assumed = Assumptions::default();
//! // 100 MIST are worth a fraction of a cent: every attack that gains anything pays.
//! assert!(!warnings(&Params::mission(), &assumed).is_empty());
//! assert!(warnings(&Params::recommended(), &assumed).is_empty());
//!
//! let advantage = Attack::OverSelling.advantage(&Params::recommended(), &assumed, 200, 7);
//! assert!(!advantage.pays());
//! ```
#![forbid(unsafe_code)]

mod assumptions;
mod attack;
mod conduct;
mod deter;
mod params;
mod plot;
mod price;
mod report;
mod run;
mod sample;

pub use assumptions::{Assumptions, Nonsense};
pub use attack::{Attack, DAYS};
pub use deter::{curve, deterred_from, stakes, warnings};
pub use params::{MIST_PER_SUI, Params};
pub use report::{Report, report};
pub use sample::Sample;
