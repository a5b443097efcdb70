use std::sync::atomic::AtomicU64;

use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::{Registry, Unit};

use crate::metrics::Label;

/// What `GET /metrics` says about tunnels.
#[derive(Debug, Default)]
pub(crate) struct TunnelMetrics {
    /// Tunnels open now.
    pub(crate) open: Gauge,
    /// Streams open now over all tunnels.
    pub(crate) streams: Gauge,
    /// Tunnels that ended, by reason.
    pub(crate) ended: Family<Label, Counter>,
    /// Dials for the apiserver, by way and result.
    pub(crate) dials: Family<Label, Counter>,
    /// Bytes through tunnels, by direction seen from the master.
    pub(crate) bytes: Family<Label, Counter<u64, AtomicU64>>,
}

/// Why tunnels end; more than what [`tunnel::Violation::reason`] gives.
pub(crate) const ENDED: [&str; 11] = [
    "closed_by_worker",
    "replaced",
    "membership_over",
    "shutdown",
    "connection_failed",
    "not_binary",
    "bad_message",
    "connect_from_worker",
    "stream_twice",
    "not_reading",
    "silent",
];

/// What dials come to.
pub(crate) const DIALS: [&str; 5] = ["tunnel", "direct", "tunnel_refused", "direct_failed", "forbidden"];

impl TunnelMetrics {
    pub(crate) fn register(&self, registry: &mut Registry) {
        registry.register("tunnels", "Tunnels of nodes open now", self.open.clone());
        registry.register("tunnel_streams", "Streams open now in tunnels", self.streams.clone());
        registry.register("tunnels_ended", "Tunnels that ended, by reason", self.ended.clone());
        registry.register(
            "egress_dials",
            "Connections asked for by the apiserver and its extensions, by result",
            self.dials.clone(),
        );
        registry.register_with_unit(
            "tunnel_traffic",
            "Bytes through tunnels, by direction",
            Unit::Bytes,
            self.bytes.clone(),
        );
        for reason in ENDED {
            self.ended.get_or_create(&[("reason", reason)]).inc_by(0);
        }
        for result in DIALS {
            self.dials.get_or_create(&[("result", result)]).inc_by(0);
        }
    }

    pub(crate) fn dialled(&self, result: &'static str) {
        self.dials.get_or_create(&[("result", result)]).inc();
    }
}
