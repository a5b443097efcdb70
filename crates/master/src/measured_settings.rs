use std::fmt::Write as _;
use std::path::PathBuf;

use tee::Measurements;

use crate::config::{Config, Engine, SealTo};
use crate::error::MasterError;

/// The name under which settings are measured.
const CONFIGURATION: &str = "configuration";
/// The name under which a K3s is measured that is the control plane.
const K3S: &str = "k3s";

/// Settings by which whoever starts the master could have the same code serve others or trust others, one on a line: `name = value`, in the
/// order of the names. Which cluster it serves is not among them: the chain binds the enclave's key and the evidence the cluster's CA to
/// that. Nor is where it listens and stores, and what that may cost.
///
/// # Errors
/// When a policy, or a file of keys that are trusted, cannot be read.
pub fn measured_settings(config: &Config) -> Result<String, MasterError> {
    let trust = &config.tee.release.trust;
    let seal_to = match config.tee.seal_to {
        SealTo::Measurement => "measurement",
        SealTo::Signer => "signer",
    };
    let engine = match config.engine {
        Engine::Kubernetes => "kubernetes",
        Engine::K3s => "k3s",
    };
    let settings = [
        ("engine", engine.to_owned()),
        ("proofs.max_clock_skew_ms", config.proofs.max_clock_skew_ms.to_string()),
        ("proofs.max_window_ms", config.proofs.max_window_ms.to_string()),
        ("tee.allow_simulated", config.tee.allow_simulated.to_string()),
        // Whose key is trusted, and demanded of whom, decides who gets the secret.
        ("tee.release.trust.certificates", digests(&trust.certificates)?),
        ("tee.release.trust.policy", digests(&trust.policy)?),
        ("tee.seal_to", seal_to.to_owned()),
        ("workers.certificates", digests(&config.workers.certificates)?),
        ("workers.policy", digests(&config.workers.policy)?),
        ("workers.require_attested", config.workers.require_attested.to_string()),
    ];
    let mut text = String::new();
    for (name, value) in settings {
        // Writing to a string never fails.
        let _ = writeln!(text, "{name} = {value}");
    }
    Ok(text)
}

/// SHA-384 of each file, one after the other.
fn digests<'a>(files: impl IntoIterator<Item = &'a PathBuf>) -> Result<String, MasterError> {
    let digests = files.into_iter().map(|path| Ok(hex::encode(tee::measure_file(path)?)));
    let digests: Vec<String> = digests.collect::<Result<_, MasterError>>()?;
    Ok(if digests.is_empty() { "none".to_owned() } else { digests.join(",") })
}

/// `programs`, the K3s that runs beside them if one does, and the configuration that they run with: SHA-384 of [`measured_settings`].
pub(crate) fn with_configuration(
    config: &Config,
    programs: &Measurements,
) -> Result<Measurements, MasterError> {
    let mut measured = programs.clone();
    if config.engine == Engine::K3s {
        let binary = engine::k3s::binary(config.k3s.binary.as_deref())?;
        measured.insert(K3S.to_owned(), tee::measure_file(&binary)?.to_vec());
    }
    let digest = tee::measure_bytes(measured_settings(config)?.as_bytes());
    measured.insert(CONFIGURATION.to_owned(), digest.to_vec());
    Ok(measured)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_setting_that_matters_changes_the_measurement_and_no_other_does() {
        let dir = tempfile::tempdir().unwrap();
        let policy = dir.path().join("policy.toml");
        std::fs::write(&policy, "max_age_seconds = 60\n").unwrap();
        let of = |config: &Config| with_configuration(config, &Measurements::new()).unwrap();
        let mut base = Config::default();
        base.k3s.binary = Some(policy.clone());
        let mut seen = vec![of(&base)];
        let changes: [&dyn Fn(&mut Config); 10] = [
            &|config| config.engine = Engine::K3s,
            &|config| config.proofs.max_clock_skew_ms += 1,
            &|config| config.proofs.max_window_ms += 1,
            &|config| config.tee.allow_simulated = false,
            &|config| config.tee.seal_to = SealTo::Signer,
            &|config| config.workers.require_attested = true,
            &|config| config.workers.certificates = vec![policy.clone()],
            &|config| config.tee.release.trust.certificates = vec![policy.clone()],
            &|config| config.tee.release.trust.policy = Some(policy.clone()),
            &|config| config.workers.policy = Some(policy.clone()),
        ];
        for change in changes {
            let mut config = base.clone();
            change(&mut config);
            assert!(!seen.contains(&of(&config)), "{}", measured_settings(&config).unwrap());
            seen.push(of(&config));
        }
        let before = seen.pop();
        std::fs::write(&policy, "max_age_seconds = 61\n").unwrap();
        let mut config = base.clone();
        config.workers.policy = Some(policy);
        assert_ne!(Some(of(&config)), before, "the policy's content counts");
        let elsewhere =
            Config { state_dir: "/elsewhere".into(), gateway_url: "https://other".into(), ..base };
        assert_eq!(of(&elsewhere), seen[0]);
    }

    #[test]
    fn a_stranger_computes_it_from_the_lines() {
        let text = measured_settings(&Config::default()).unwrap();
        assert_eq!(
            text,
            "engine = kubernetes\nproofs.max_clock_skew_ms = 30000\nproofs.max_window_ms = 900000\n\
             tee.allow_simulated = true\ntee.release.trust.certificates = none\ntee.release.trust.policy = none\n\
             tee.seal_to = measurement\nworkers.certificates = none\nworkers.policy = none\nworkers.require_attested = false\n"
        );
        let config = Config {
            workers: crate::WorkersConfig { policy: Some("/none".into()), ..Default::default() },
            ..Config::default()
        };
        assert!(measured_settings(&config).is_err());
    }
}
