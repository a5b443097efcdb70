use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

/// What the worker's metrics say about its tunnel.
#[derive(Clone, Debug, Default)]
pub(crate) struct TunnelCounts {
    /// 1 while the tunnel is open.
    pub(crate) open: Gauge,
    /// Tries to open it, by result.
    opened: Family<ResultLabel, Counter>,
    /// What the master asked for through it, by result.
    dials: Family<ResultLabel, Counter>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ResultLabel {
    result: &'static str,
}

impl TunnelCounts {
    pub(crate) fn register(&self, registry: &mut Registry) {
        registry.register("tunnel_open", "1 while the tunnel to the master is open", self.open.clone());
        registry.register("tunnel_opened", "Tries to open the tunnel, by result", self.opened.clone());
        registry.register(
            "tunnel_dials",
            "Connections that the master asked for, by result",
            self.dials.clone(),
        );
        for result in ["connected", "refused", "failed"] {
            self.dials.get_or_create(&ResultLabel { result }).inc_by(0);
        }
    }

    pub(crate) fn opened(&self, result: &'static str) {
        self.opened.get_or_create(&ResultLabel { result }).inc();
    }

    pub(crate) fn dialled(&self, result: &'static str) {
        self.dials.get_or_create(&ResultLabel { result }).inc();
    }
}
