//! The master.
#![forbid(unsafe_code)]

pub mod health;
mod id;
pub mod membership;

pub use id::{BadId, Id};
