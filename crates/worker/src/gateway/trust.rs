use tee::{Anchors, Collateral, Policy, TeeError, TrustFiles};

use crate::agent::Target;

/// What this worker demands of a master, and with what it verifies it, beside what the chain says.
#[derive(Clone, Debug, Default)]
pub struct Trust {
    /// All clauses but the code, which the chain names. Code that is listed here narrows that down.
    pub policy: Policy,
    /// Whom it trusts to vouch for platforms.
    pub anchors: Anchors,
    /// What is known of platforms besides their evidence.
    pub collateral: Collateral,
}

impl Trust {
    /// The default policy; whether simulated evidence, which proves nothing about hardware, is good enough is the
    /// worker's own choice.
    pub fn new(allow_simulated: bool) -> Self {
        Self { policy: Policy { allow_simulated, ..Policy::default() }, ..Self::default() }
    }

    /// What `files` say. Simulated evidence has to be allowed here and, where there is a policy, in the policy.
    ///
    /// # Errors
    ///
    /// Which file cannot be used, and why.
    pub(crate) fn read(files: &TrustFiles, allow_simulated: bool) -> Result<Self, TeeError> {
        let tee::Trusted { policy, anchors, collateral } = files.read()?;
        let policy = match policy {
            Some(policy) => {
                let allow_simulated = allow_simulated && policy.allow_simulated;
                Policy { allow_simulated, ..policy }
            }
            None => Self::new(allow_simulated).policy,
        };
        Ok(Self { policy, anchors, collateral })
    }

    /// The policy for the master of `target`: its code on chain, if it is not ruled out here.
    pub(super) fn policy_for(&self, target: &Target) -> Policy {
        let allowed = target.allowed.iter().filter(|(platform, code)| self.policy.rules_in(*platform, code));
        Policy { allowed: allowed.cloned().collect(), any_code: false, ..self.policy.clone() }
            .bounded(target.bounds.iter().cloned())
    }
}

#[cfg(test)]
mod tests {
    use tee::{Measurements, PlatformKind};

    use super::*;

    #[test]
    fn a_policy_on_disk_can_only_be_stricter() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("policy.toml");
        let config = TrustFiles { policy: Some(path.clone()), ..TrustFiles::default() };
        let problem = Trust::read(&config, true).unwrap_err().to_string();
        assert!(problem.contains("policy.toml: No such file"), "{problem}");
        std::fs::write(&path, "max_age_second = 1").unwrap();
        let problem = Trust::read(&config, true).unwrap_err().to_string();
        assert!(problem.contains("policy.toml: not an attestation policy"), "{problem}");
        for (line, allowed, simulated) in [
            ("", true, false),
            ("allow_simulated = true", false, false),
            ("allow_simulated = true", true, true),
        ] {
            std::fs::write(&path, line).unwrap();
            assert_eq!(
                Trust::read(&config, allowed).unwrap().policy.allow_simulated,
                simulated,
                "{line} {allowed}"
            );
        }
        let other = TrustFiles { collateral: Some(path.clone()), ..TrustFiles::default() };
        assert!(Trust::read(&other, true).unwrap_err().to_string().contains("not attestation collateral"));
        let other = TrustFiles { certificates: vec![path], ..TrustFiles::default() };
        assert!(Trust::read(&other, true).unwrap_err().to_string().contains("not a certificate"));
    }

    fn code(byte: u8) -> (PlatformKind, Measurements) {
        let values = [("code".to_owned(), vec![byte; 48]), ("kubernetes".to_owned(), vec![0; 48])];
        (PlatformKind::Simulated, values.into())
    }

    #[test]
    fn ones_own_list_narrows_what_the_chain_allows_and_never_widens_it() {
        let target = Target {
            endpoint: String::new(),
            ca_hash: [0; 32],
            enclave_id: [0; 32],
            enclave_key: [0; 32],
            enclave_expires_ms: 0,
            code_retires_ms: u64::MAX,
            allowed: vec![code(1), code(2)],
            bounds: Vec::new(),
        };
        let mut trust = Trust::new(true);
        trust.policy.any_code = true;
        let policy = trust.policy_for(&target);
        assert!(policy.allow_simulated && !policy.any_code);
        assert_eq!(policy.allowed, target.allowed);
        let only = |byte: u8| (PlatformKind::Simulated, [("code".to_owned(), vec![byte; 48])].into());
        trust.policy.allowed = vec![only(2), only(3)];
        assert_eq!(trust.policy_for(&target).allowed, [code(2)]);
        trust.policy.allowed = vec![(PlatformKind::Tdx, code(1).1)];
        assert!(trust.policy_for(&target).allowed.is_empty());
    }
}
