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
    reward: Rewards,
}

/// Of the newest share; nothing is shown of what is not known.
#[derive(Default)]
struct Rewards {
    epoch: Family<[(&'static str, &'static str); 0], Gauge>,
    mist: Family<[(&'static str, &'static str); 0], Gauge>,
    state: Family<StateLabel, Gauge>,
    deadline: Family<[(&'static str, &'static str); 0], Gauge>,
    checked: Family<[(&'static str, &'static str); 0], Gauge>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct StateLabel {
    state: &'static str,
}

impl Rewards {
    fn register(&self, registry: &mut Registry) {
        registry.register("reward_epoch", "Newest epoch with a share of the stake", self.epoch.clone());
        registry.register("reward_mist", "What that share is worth, MIST", self.mist.clone());
        registry.register("reward_state", "1 for what became of that share", self.state.clone());
        let times = [
            ("reward_claim_deadline_timestamp", "End of the time for claiming it", &self.deadline),
            ("reward_checked_timestamp", "When master and chain were last asked about it", &self.checked),
        ];
        for (name, help, gauge) in times {
            registry.register_with_unit(name, help, Unit::Seconds, gauge.clone());
        }
    }

    fn show(&self, status: &api::RewardStatus) {
        let seconds = |ms: Option<u64>| ms.map(|ms| ms / 1000);
        for (gauge, value) in [
            (&self.epoch, status.epoch),
            (&self.mist, status.mist),
            (&self.deadline, seconds(status.claim_until_ms)),
            (&self.checked, seconds(status.checked_ms)),
        ] {
            match value {
                Some(value) => {
                    gauge.get_or_create(&[]).set(i64::try_from(value).unwrap_or(i64::MAX));
                }
                None => gauge.clear(),
            }
        }
        self.state.clear();
        if let Some(state) = status.state {
            self.state.get_or_create(&StateLabel { state: state.as_str() }).set(1);
        }
    }
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
            reward: Rewards::default(),
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
        metrics.reward.register(&mut registry);
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
        self.reward.show(&status.rewards.clone().unwrap_or_default());
    }

    pub(crate) fn encode(&self) -> String {
        let mut text = String::new();
        encode(&mut text, &self.registry).expect("writing to a string does not fail");
        text
    }
}
