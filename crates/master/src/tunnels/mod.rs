//! How the master and its apiserver reach nodes that only call out: each node keeps one tunnel open
//! ([`Tunnels`]), and an HTTP CONNECT proxy on a unix socket ([`Egress`]) leads the apiserver's connections
//! into it, or directly to where no tunnel is needed. [`Routes`] decides which, without IO.

mod egress;
mod metrics;
mod registry;
mod routes;
mod services;
mod watch;

pub(crate) use egress::Egress;
pub(crate) use metrics::TunnelMetrics;
pub(crate) use registry::{Seat, Tunnels};
pub(crate) use routes::Routes;
pub(crate) use watch::watch_nodes;
