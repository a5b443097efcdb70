//! The master's one TLS listener: the K3s join protocol, the REST API, the apiserver's webhooks, probes and
//! metrics.
//!
//! Every answer that is not a success is an [`api::ErrorBody`]. Every refusal is one log line and one count,
//! written in one place ([`report`]), with the token's id and never with the token. What one peer may cost is
//! bounded: connections, time for the handshake, for headers and for bodies, size of bodies, and time to take
//! an answer.

mod attest;
mod audit;
mod body;
mod certificates;
mod connect;
mod credential;
mod heartbeat;
mod join;
mod ledger;
mod lent;
mod limits;
mod listener;
mod peer;
mod probes;
mod problem;
mod report;
mod rest;
mod routes;
mod stall;
#[cfg(test)]
mod tests;
pub(crate) mod trees;
mod webhook;

pub use limits::GatewayLimits;
pub(crate) use listener::Gateway;
