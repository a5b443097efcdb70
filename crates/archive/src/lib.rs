//! The warm and the cold tier of a cluster's state.
//!
//! *Warm:* an anchor on chain says up to where the state is, and its root. [`Schedule`] decides when one is posted,
//! [`admit`] whether a store that was opened may serve, and a [`ProofDocument`] shows anybody, by the anchor alone, what a
//! key had. All of it is without IO and clock; who posts and who asks is outside.
#![forbid(unsafe_code)]

mod admit;
pub mod cold;
mod document;
#[doc(hidden)]
pub mod fuzz;
mod history;
mod history_document;
mod recover;
mod schedule;

pub use admit::{Admitted, Local, Refused, admit};
pub use document::{DocumentError, ProofDocument, ProvenAbsence, ProvenLeaf, Verified};
pub use history::{Disagree, Found, Missing, Past};
pub use history_document::{Gap, HistoryDocument, Kind, Shown, Version};
pub use recover::{ResumeError, Resumed, resume};
pub use schedule::{AnchorConfig, Due, Pending, Schedule};
