use std::path::PathBuf;

use chain::Registry;
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
    /// A policy in TOML: code that nodes may run, platforms, minimum TCB. Without it, no evidence is taken.
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
        if self.require_attested && policy.is_none() {
            return Err(
                "workers.require_attested is true, but workers.policy names no policy that a node could \
                        satisfy"
                    .to_owned(),
            );
        }
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

/// What nodes have to prove at `now_ms`: the policy on disk, and simulated evidence only where the chain takes such.
pub(crate) fn policy_for_workers(
    file: Option<&Policy>,
    registry: Option<&Registry>,
    _now_ms: u64,
) -> Option<Policy> {
    let (file, registry) = (file?, registry?);
    let allow_simulated = file.allow_simulated && registry.allow_simulated;
    Some(Policy { allow_simulated, ..file.clone() })
}
