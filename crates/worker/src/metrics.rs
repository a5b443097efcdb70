use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::{Registry, Unit};

use crate::agent::{Failure, Outcome, Phase, Step};
use crate::tunnel::TunnelCounts;

/// The worker's metrics, in OpenMetrics text.
pub(crate) struct Metrics {
    registry: Registry,
    phase: Family<PhaseLabel, Gauge>,
    steps: Family<StepLabel, Counter>,
    attested: Gauge,
    node_ready: Gauge,
    token_expiry: Gauge,
    certificate_expiry: Gauge,
    stake: Gauge,
    stake_frozen: Gauge,
    stake_unbonding: Gauge,
    stake_lock: Gauge,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct PhaseLabel {
    phase: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct StepLabel {
    step: &'static str,
    /// `ok`, or what follows from the failure; never text from outside.
    result: &'static str,
}

impl Metrics {
    pub(crate) fn new(tunnel: &TunnelCounts) -> Self {
        let mut registry = Registry::with_prefix("k3s_daas_worker");
        let metrics = Self {
            phase: Family::default(),
            steps: Family::default(),
            attested: Gauge::default(),
            node_ready: Gauge::default(),
            token_expiry: Gauge::default(),
            certificate_expiry: Gauge::default(),
            stake: Gauge::default(),
            stake_frozen: Gauge::default(),
            stake_unbonding: Gauge::default(),
            stake_lock: Gauge::default(),
            registry: Registry::default(),
        };
        tunnel.register(&mut registry);
        registry.register("phase", "1 for the phase that the worker is in", metrics.phase.clone());
        registry.register("steps", "Steps taken, by result", metrics.steps.clone());
        registry.register(
            "gateway_attested",
            "1 while the gateway's attestation holds",
            metrics.attested.clone(),
        );
        registry.register("node_ready", "1 while the node's processes answer", metrics.node_ready.clone());
        let stakes = [
            ("stake_mist", "What the node's stake on chain has locked, MIST", &metrics.stake),
            ("stake_frozen_mist", "What proposed penalties hold of it, MIST", &metrics.stake_frozen),
            ("stake_unbonding", "1 from when the stake was asked back for", &metrics.stake_unbonding),
        ];
        for (name, help, gauge) in stakes {
            registry.register(name, help, gauge.clone());
        }
        let expiries = [
            ("stake_lock_expiry_timestamp", "End of the stake's lock-up", &metrics.stake_lock),
            ("token_expiry_timestamp", "End of the seal token on chain", &metrics.token_expiry),
            ("certificate_expiry_timestamp", "End of the node's certificates", &metrics.certificate_expiry),
        ];
        for (name, help, gauge) in expiries {
            registry.register_with_unit(name, help, Unit::Seconds, gauge.clone());
        }
        Self { registry, ..metrics }
    }

    pub(crate) fn step(&self, step: &Step, result: &Result<Outcome, Failure>) {
        let step = step.name();
        let result = result.as_ref().map_or_else(|failure| failure.kind.as_str(), |_| "ok");
        self.steps.get_or_create(&StepLabel { step, result }).inc();
    }

    pub(crate) fn status(&self, phase: Phase, status: &api::WorkerStatus) {
        for other in Phase::ALL {
            let label = PhaseLabel { phase: other.as_str() };
            self.phase.get_or_create(&label).set(i64::from(other == phase));
        }
        self.attested.set(i64::from(status.gateway.attested));
        self.node_ready.set(i64::from(status.node.ready));
        let seconds = |ms: Option<u64>| i64::try_from(ms.unwrap_or(0) / 1000).unwrap_or(i64::MAX);
        self.token_expiry.set(seconds(status.token_expires_ms));
        self.certificate_expiry.set(seconds(status.certificates_expire_ms));
        let stake = status.stake.clone().unwrap_or_default();
        let mist = |mist: u64| i64::try_from(mist).unwrap_or(i64::MAX);
        self.stake.set(mist(stake.mist));
        self.stake_frozen.set(mist(stake.frozen_mist));
        self.stake_unbonding.set(i64::from(stake.unbonding_ms.is_some()));
        self.stake_lock.set(seconds(Some(stake.locked_until_ms)));
    }

    pub(crate) fn encode(&self) -> String {
        let mut text = String::new();
        encode(&mut text, &self.registry).expect("writing to a string does not fail");
        text
    }
}
