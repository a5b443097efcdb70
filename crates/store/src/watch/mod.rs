//! Watches: who gets which change, in which order, and what happens to those who are slow.
//!
//! [`Hub`] is a sans-IO state machine. The writer *publishes* changes after they are durable, readers *poll* their
//! stream for the next response. Invariant: a watcher that does not lag has been given, or has pending, every
//! matching change up to the published revision; one that lags has everything before its `next_revision`, and gets
//! the rest from history. So a slow reader costs bounded memory and misses nothing.

mod hub;
mod stream;
mod watcher;

pub use hub::{Hub, Limits, Polled, StreamId};
