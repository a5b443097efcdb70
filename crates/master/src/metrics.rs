use std::sync::atomic::{AtomicI64, AtomicU64};

use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::{Registry, Unit};

use crate::attestations::EvidenceRefusal;
use crate::health::BeatError;
use crate::membership::Refusal;

/// One label with its value.
pub(crate) type Label = [(&'static str, &'static str); 1];
type RequestLabels = [(&'static str, String); 3];
type Latency = Family<[(&'static str, String); 1], Histogram, fn() -> Histogram>;

/// What `GET /metrics` shows, in the OpenMetrics text format. Labels have few values: none is copied from a
/// request.
#[derive(Debug)]
pub(crate) struct Metrics {
    registry: Registry,
    pub(crate) refusals: Family<Label, Counter>,
    pub(crate) bad_requests: Family<Label, Counter>,
    pub(crate) certificates: Family<Label, Counter>,
    pub(crate) heartbeats: Family<Label, Counter>,
    pub(crate) token_reviews: Family<Label, Counter>,
    pub(crate) node_authorizations: Family<Label, Counter>,
    pub(crate) attestations: Counter,
    pub(crate) key_releases: Family<Label, Counter>,
    pub(crate) node_attestations: Family<Label, Counter>,
    pub(crate) requests: Family<RequestLabels, Counter>,
    pub(crate) latency: Latency,
    pub(crate) connections: Gauge,
    pub(crate) refused_connections: Family<Label, Counter>,
    pub(crate) nodes: Family<Label, Gauge>,
    pub(crate) chain_checkpoint: Gauge<u64, AtomicU64>,
    pub(crate) chain_reachable: Gauge,
    pub(crate) chain_silence: Gauge<i64, AtomicI64>,
    pub(crate) chain_lag: Gauge<i64, AtomicI64>,
    pub(crate) node_requests: Family<[(&'static str, &'static str); 2], Counter>,
    pub(crate) letters: Family<[(&'static str, &'static str); 2], Counter>,
    pub(crate) letters_waiting: Gauge,
    pub(crate) outbox_steps: Family<Label, Counter>,
    pub(crate) actions: Family<[(&'static str, &'static str); 2], Counter>,
}

impl Metrics {
    pub(crate) fn new() -> Self {
        let latency: Latency = Family::new_with_constructor(|| {
            Histogram::new([0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0])
        });
        let mut metrics = Self {
            registry: Registry::with_prefix("k3s_daas"),
            refusals: Family::default(),
            bad_requests: Family::default(),
            certificates: Family::default(),
            heartbeats: Family::default(),
            token_reviews: Family::default(),
            node_authorizations: Family::default(),
            attestations: Counter::default(),
            key_releases: Family::default(),
            node_attestations: Family::default(),
            requests: Family::default(),
            latency,
            connections: Gauge::default(),
            refused_connections: Family::default(),
            nodes: Family::default(),
            chain_checkpoint: Gauge::default(),
            chain_reachable: Gauge::default(),
            chain_silence: Gauge::default(),
            chain_lag: Gauge::default(),
            node_requests: Family::default(),
            letters: Family::default(),
            letters_waiting: Gauge::default(),
            outbox_steps: Family::default(),
            actions: Family::default(),
        };
        metrics.register();
        for reason in BeatError::REASONS.into_iter().chain(["accepted"]) {
            metrics.heartbeats.get_or_create(&[("result", reason)]).inc_by(0);
        }
        for result in EvidenceRefusal::REASONS.into_iter().chain(["accepted", "busy"]) {
            metrics.node_attestations.get_or_create(&[("result", result)]).inc_by(0);
        }
        for step in crate::outbox::Step::ALL {
            metrics.outbox_steps.get_or_create(&[("step", step.as_str())]).inc_by(0);
        }
        for result in tee::custody::ReleaseRefusal::REASONS.into_iter().chain(["released"]) {
            metrics.key_releases.get_or_create(&[("result", result)]).inc_by(0);
        }
        for reason in Refusal::REASONS {
            metrics.refusals.get_or_create(&[("reason", reason)]).inc_by(0);
        }
        metrics
    }

    /// A registry for what other parts count.
    pub(crate) fn registry(&mut self) -> &mut Registry {
        &mut self.registry
    }

    fn register(&mut self) {
        let r = &mut self.registry;
        r.register("token_refusals", "Credentials refused, by reason", self.refusals.clone());
        r.register("bad_requests", "Requests that were not understood, by reason", self.bad_requests.clone());
        r.register(
            "certificates_issued",
            "Certificates signed for nodes, by kind",
            self.certificates.clone(),
        );
        r.register("heartbeats", "Heartbeats, by result", self.heartbeats.clone());
        r.register("token_reviews", "TokenReviews answered, by result", self.token_reviews.clone());
        r.register(
            "node_authorizations",
            "SubjectAccessReviews answered, by result",
            self.node_authorizations.clone(),
        );
        r.register("key_releases", "Requests for the cluster's secret, by result", self.key_releases.clone());
        r.register(
            "node_attestations",
            "Evidence that nodes showed, by result",
            self.node_attestations.clone(),
        );
        r.register("attestations", "Evidence given out", self.attestations.clone());
        r.register("http_requests", "Requests answered, by route, method and code", self.requests.clone());
        r.register_with_unit(
            "http_request_duration",
            "Time to answer, by route",
            Unit::Seconds,
            self.latency.clone(),
        );
        r.register("gateway_connections", "Connections open now", self.connections.clone());
        r.register(
            "gateway_connections_refused",
            "Connections closed early, by reason",
            self.refused_connections.clone(),
        );
        r.register("nodes", "Nodes, by state", self.nodes.clone());
        r.register("chain_checkpoint", "Last checkpoint applied", self.chain_checkpoint.clone());
        r.register("chain_reachable", "1 while the chain answers", self.chain_reachable.clone());
        r.register_with_unit(
            "chain_silence",
            "Milliseconds since the chain answered last",
            Unit::Other("milliseconds".to_owned()),
            self.chain_silence.clone(),
        );
        r.register_with_unit(
            "chain_lag",
            "Milliseconds from the last checkpoint's time to its being applied",
            Unit::Other("milliseconds".to_owned()),
            self.chain_lag.clone(),
        );
        r.register(
            "node_requests_denied",
            "Requests of nodes that kube-apiserver refused, by resource and verb",
            self.node_requests.clone(),
        );
        r.register(
            "letters",
            "What the master had to say on chain, by kind and result of each try",
            self.letters.clone(),
        );
        r.register("letters_waiting", "What it still has to say", self.letters_waiting.clone());
        r.register("outbox_steps", "Steps of saying it, by step", self.outbox_steps.clone());
        r.register(
            "kubernetes_actions",
            "Changes made in Kubernetes, by action and result",
            self.actions.clone(),
        );
    }

    /// The OpenMetrics text.
    pub(crate) fn text(&self) -> String {
        let mut text = String::new();
        match encode(&mut text, &self.registry) {
            Ok(()) => text,
            // Formatting into a String does not fail; a broken encoder must not take the gateway along.
            Err(_) => "# EOF\n".to_owned(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_refusal_has_its_counter_from_the_start() {
        let metrics = Metrics::new();
        metrics.refusals.get_or_create(&[("reason", "token_revoked")]).inc();
        let text = metrics.text();
        assert!(text.contains("k3s_daas_token_refusals_total{reason=\"token_revoked\"} 1\n"), "{text}");
        assert!(text.contains("k3s_daas_token_refusals_total{reason=\"expired\"} 0\n"));
        assert!(text.ends_with("# EOF\n"));
    }
}
