//! The whole worker against a gateway behind real TLS and its own API on a real socket.
#![allow(clippy::result_large_err, clippy::unwrap_used, unreachable_pub, reason = "helpers of tests")]

mod evidence;
mod join;
mod listener;
mod on_chain;
mod rewards;
mod support;
mod tunnel;
