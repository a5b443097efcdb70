use std::path::PathBuf;

use chain::Registry;
use custody::tcb_bounds;
use parking_lot::Mutex;
use serde::{Deserialize, Serialize};
use tee::{Policy, TrustFiles, Trusted};

use super::{Book, Checker};

/// What nodes have to prove, what they have proven, and who verifies it.
pub(crate) struct Workers {
    /// `workers.policy`.
    pub(crate) file: Option<Policy>,
    pub(crate) book: Mutex<Book>,
    pub(crate) checker: Checker,
}

impl Workers {
    pub(crate) fn new(trusted: Trusted, require_attested: bool) -> Self {
        let Trusted { policy, anchors, collateral } = trusted;
        Self {
            file: policy,
            book: Mutex::new(Book::new(require_attested)),
            checker: Checker::new(anchors, collateral),
        }
    }
}

/// What nodes have to prove of the machines that they run on.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct WorkersConfig {
    /// A policy in TOML. Code that it lists narrows what the chain allows on workers; without a list the chain decides alone. While
    /// the chain allows none, no evidence is taken.
    pub policy: Option<PathBuf>,
    /// Collateral of the platforms' makers, as `k3s-daas attest collateral --export` writes it.
    pub collateral: Option<PathBuf>,
    /// Certificates, revocation lists and public keys, PEM, DER or JWK. Keys and self-signed certificates are trusted because they
    /// stand here.
    pub certificates: Vec<PathBuf>,
    /// Whether a node has to be attested: without evidence that counts it gets the taint `k3s-daas.io/unattested`, and its
    /// certificates open nothing before the first.
    pub require_attested: bool,
}

impl WorkersConfig {
    /// Where what is trusted stands.
    pub(crate) fn files(&self) -> TrustFiles {
        TrustFiles {
            policy: self.policy.clone(),
            collateral: self.collateral.clone(),
            certificates: self.certificates.clone(),
        }
    }

    /// What contradicts itself.
    ///
    /// # Errors
    /// The problem, for people.
    pub(crate) fn check(&self, heartbeat_ms: u64, policy: Option<&Policy>) -> Result<(), String> {
        // A nonce comes with a heartbeat after half of the age, and one may be lost.
        if let Some(policy) = policy.filter(|policy| policy.max_age_ms / 4 < heartbeat_ms) {
            return Err(format!(
                "max_age_seconds of workers.policy is {}: use at least four times health.interval_ms",
                policy.max_age_ms / 1000
            ));
        }
        Ok(())
    }
}

/// What nodes have to prove: code that the chain allows on workers, never masters' code, narrowed down by the policy on disk, whose
/// other clauses count besides, as what the chain asks of platforms does. None, and no evidence is taken, while the chain allows no code.
pub(crate) fn policy_for_workers(file: Option<&Policy>, registry: &Registry) -> Option<Policy> {
    let file = file.cloned().unwrap_or(Policy { allow_simulated: true, ..Policy::default() });
    let allowed = registry.worker_code.iter().filter_map(|code| {
        // A platform that is not known here cannot be verified either.
        let (platform, values) = (code.platform.parse().ok()?, code.to_map());
        file.rules_in(platform, &values).then_some((platform, values))
    });
    let allowed = allowed.collect();
    if registry.worker_code.is_empty() {
        return None;
    }
    let allow_simulated = file.allow_simulated && registry.allow_simulated;
    Some(Policy { allowed, any_code: false, allow_simulated, ..file }.bounded(tcb_bounds(registry)))
}

#[cfg(test)]
mod tests {
    use tee::{Measurements, PlatformKind};

    use super::*;

    fn code(byte: u8) -> Measurements {
        [("code".to_owned(), vec![byte; 48]), ("kubernetes".to_owned(), vec![0; 48])].into()
    }

    fn registry(codes: &[u8]) -> Registry {
        let measurement = |byte: &u8| chain::Measurement::new("simulated", &code(*byte));
        Registry {
            id: chain::Address::new([1; 32]),
            version: 1,
            cluster: chain::Address::new([2; 32]),
            allow_simulated: true,
            allowed: vec![chain::Measurement::new("simulated", &code(9))],
            retires_ms: vec![u64::MAX],
            verifiers: Vec::new(),
            threshold: 1,
            bounds: Vec::new(),
            worker_code: codes.iter().map(measurement).collect(),
        }
    }

    #[test]
    fn the_chain_says_which_code_workers_run_and_the_file_only_narrows_it() {
        let simulated = |byte: u8| (PlatformKind::Simulated, code(byte));
        assert_eq!(policy_for_workers(None, &registry(&[])), None, "masters' code is none of workers'");
        let policy = policy_for_workers(None, &registry(&[1, 2])).unwrap();
        assert_eq!(policy.allowed, [simulated(1), simulated(2)]);
        assert!(policy.allow_simulated && !policy.any_code);
        let real = Registry { allow_simulated: false, ..registry(&[1]) };
        assert!(!policy_for_workers(None, &real).unwrap().allow_simulated);

        let only = |byte: u8| (PlatformKind::Simulated, [("code".to_owned(), vec![byte; 48])].into());
        let file =
            Policy { allowed: vec![only(2), only(3)], any_code: true, max_age_ms: 7, ..Policy::default() };
        let policy = policy_for_workers(Some(&file), &registry(&[1, 2])).unwrap();
        assert_eq!((&policy.allowed[..], policy.max_age_ms), (&[simulated(2)][..], 7));
        assert!(!policy.allow_simulated && !policy.any_code);
        let policy = policy_for_workers(Some(&file), &registry(&[1])).unwrap();
        assert!(policy.allowed.is_empty() && !policy.any_code, "everything is ruled out, nothing let in");
        assert_eq!(policy_for_workers(Some(&file), &registry(&[])), None);
    }

    #[test]
    fn what_the_chain_asks_of_a_platform_binds_workers_too() {
        let bounds = chain::TcbBounds {
            platform: "simulated".to_owned(),
            components: vec!["microcode".to_owned()],
            minimums: vec![3],
            statuses: Vec::new(),
            any_advisory: false,
            advisories: Vec::new(),
            max_age_ms: 60_000,
        };
        let registry = Registry { bounds: vec![bounds], ..registry(&[1]) };
        let policy = policy_for_workers(None, &registry).unwrap();
        assert_eq!(policy.age_limit_ms(PlatformKind::Simulated), 60_000);
        assert_eq!(policy.bounds[&PlatformKind::Simulated].minimum["microcode"], 3);
        assert_ne!(Some(policy), policy_for_workers(None, &Registry { bounds: Vec::new(), ..registry }));
    }

    #[test]
    fn a_policy_that_heartbeats_cannot_keep_up_with_is_refused() {
        let config = WorkersConfig::default();
        config.check(5_000, None).unwrap();
        let short = Policy { max_age_ms: 19_000, ..Policy::default() };
        assert!(
            config
                .check(5_000, Some(&short))
                .unwrap_err()
                .contains("max_age_seconds of workers.policy is 19")
        );
        config.check(4_750, Some(&short)).unwrap();
    }
}
