use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use tee::{
    Anchors, Collateral, MAX_COLLATERAL_BYTES, Material, Measurements, PlatformKind, Policy, is_self_signed,
    read_material,
};

use crate::agent::Target;

/// Files that say what a master has to prove beside what the chain says, and with what that is verified.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct AttestationConfig {
    /// A policy in TOML. Code that it lists narrows what the chain allows; without a list the chain decides alone.
    pub policy: Option<PathBuf>,
    /// Collateral of the platforms' makers, as `k3s-daas attest collateral --export` writes it.
    pub collateral: Option<PathBuf>,
    /// Certificates, revocation lists and public keys, PEM, DER or JWK. Keys and self-signed certificates are trusted because they
    /// stand here.
    pub certificates: Vec<PathBuf>,
}

impl AttestationConfig {
    /// Reads the files. Simulated evidence has to be allowed here and, where there is a policy, in the policy.
    ///
    /// # Errors
    ///
    /// Which file cannot be used, and why.
    pub(crate) fn trust(&self, allow_simulated: bool) -> Result<Trust, String> {
        let mut trust = Trust::new(allow_simulated);
        if let Some(path) = &self.policy {
            let policy = read(path, |bytes| Policy::from_toml(&String::from_utf8_lossy(bytes)))?;
            let allow_simulated = allow_simulated && policy.allow_simulated;
            trust.policy = Policy { allow_simulated, ..policy };
        }
        if let Some(path) = &self.collateral {
            trust.collateral = read(path, Collateral::from_json)?;
        }
        for path in &self.certificates {
            for item in read(path, read_material)? {
                match item {
                    Material::Certificate(der) if is_self_signed(&der) => trust.anchors.roots.push(der),
                    Material::Certificate(der) => trust.collateral.certificates.push(der),
                    Material::Crl(der) => trust.collateral.crls.push(der),
                    Material::Key(key) => trust.anchors.keys.push(key),
                    other => return Err(format!("{}: {other:?} is of no use here", path.display())),
                }
            }
        }
        Ok(trust)
    }
}

/// A whole file of at most [`MAX_COLLATERAL_BYTES`], made into something.
fn read<T>(path: &Path, make: impl FnOnce(&[u8]) -> Result<T, tee::TeeError>) -> Result<T, String> {
    let name = path.display();
    let mut bytes = Vec::new();
    let file = File::open(path).map_err(|error| format!("{name}: {error}"))?;
    let limit = MAX_COLLATERAL_BYTES as u64 + 1;
    file.take(limit).read_to_end(&mut bytes).map_err(|error| format!("{name}: {error}"))?;
    if bytes.len() > MAX_COLLATERAL_BYTES {
        return Err(format!("{name}: more than {MAX_COLLATERAL_BYTES} bytes"));
    }
    make(&bytes).map_err(|error| format!("{name}: {error}"))
}

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

    /// The policy for the master of `target`: its code on chain, if it is not ruled out here.
    pub(super) fn policy_for(&self, target: &Target) -> Policy {
        let allowed = target.allowed.iter().filter(|code| allows(&self.policy.allowed, code));
        Policy { allowed: allowed.cloned().collect(), any_code: false, ..self.policy.clone() }
    }
}

/// Whether `code` has everything that one of `listed` names; nothing is ruled out when nothing is listed.
pub fn allows(listed: &[(PlatformKind, Measurements)], code: &(PlatformKind, Measurements)) -> bool {
    let fits = |(platform, values): &(PlatformKind, Measurements)| {
        *platform == code.0 && values.iter().all(|(name, value)| code.1.get(name) == Some(value))
    };
    listed.is_empty() || listed.iter().any(fits)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_policy_on_disk_can_only_be_stricter() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("policy.toml");
        let config = AttestationConfig { policy: Some(path.clone()), ..AttestationConfig::default() };
        let problem = config.trust(true).unwrap_err();
        assert!(problem.contains("policy.toml: No such file"), "{problem}");
        std::fs::write(&path, "max_age_second = 1").unwrap();
        let problem = config.trust(true).unwrap_err();
        assert!(problem.contains("policy.toml: not an attestation policy"), "{problem}");
        for (line, allowed, simulated) in [
            ("", true, false),
            ("allow_simulated = true", false, false),
            ("allow_simulated = true", true, true),
        ] {
            std::fs::write(&path, line).unwrap();
            assert_eq!(config.trust(allowed).unwrap().policy.allow_simulated, simulated, "{line} {allowed}");
        }
        let other = AttestationConfig { collateral: Some(path.clone()), ..AttestationConfig::default() };
        assert!(other.trust(true).unwrap_err().contains("not attestation collateral"));
        let other = AttestationConfig { certificates: vec![path], ..AttestationConfig::default() };
        assert!(other.trust(true).unwrap_err().contains("not a certificate"));
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
