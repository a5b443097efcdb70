use std::path::PathBuf;
use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use parking_lot::Mutex;
use ring::digest;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use tee::{Platform, PlatformKind, TeeError};
use x509_parser::certificate::X509Certificate;
use x509_parser::prelude::FromDer;

use crate::config::{Config, TeeConfig};
use crate::node_agent::NodeAgent;
use crate::{WorkerError, clock};

/// This machine's platform, and what the master made of its evidence.
pub(crate) struct Evidence {
    platform: Arc<dyn Platform>,
    cluster: [u8; 32],
    token: [u8; 32],
    attested: Mutex<Option<api::NodeAttested>>,
}

impl Evidence {
    /// Opens the platform that the configuration names, if it names one: it measures this program and what the node runs.
    pub(crate) fn open(config: &Config, node: &dyn NodeAgent) -> Result<Option<Self>, WorkerError> {
        let Some(kind) = kind(&config.tee)? else { return Ok(None) };
        if node.joins_itself() {
            let problem = "tee.platform is set, but this node joins with keys of its own, which no evidence could be \
                           bound to: use the built-in engine, or unset it";
            return Err(WorkerError::Config(problem.to_owned()));
        }
        let own = std::env::current_exe().map_err(|source| TeeError::Io {
            action: "find",
            path: PathBuf::from("/proc/self/exe"),
            source,
        })?;
        let programs = node.programs();
        let others = programs.iter().map(|(name, path)| (*name, path.as_path()));
        let measured: Vec<_> = std::iter::once(("code", own.as_path())).chain(others).collect();
        let measured = tee::measure_files(&measured)?;
        let platform: Arc<dyn Platform> = tee::open(kind, &config.state_dir.join("tee"), &measured)?.into();
        let measurements: Vec<String> = platform
            .measurement()
            .iter()
            .map(|(name, value)| format!("{name}={}", hex::encode(value)))
            .collect();
        tracing::info!(platform = %kind, measurements = measurements.join(" "), "shows evidence of this machine");
        let (cluster, token) = (config.cluster_id.0, config.token_id.0);
        Ok(Some(Self { platform, cluster, token, attested: Mutex::new(None) }))
    }

    /// Evidence for the master's `nonce` and the key of `certificate_pem`. Blocks for as long as the platform attests.
    pub(crate) fn make(&self, nonce: [u8; 32], certificate_pem: &str) -> Result<api::NodeEvidence, String> {
        let key = key_of(certificate_pem).ok_or("the node's certificate cannot be read")?;
        let report_data = tee::node_report_data(&nonce, &self.cluster, &self.token, &key);
        let evidence = self
            .platform
            .attest(&report_data, clock::now_ms())
            .map_err(|error| crate::with_causes(&error))?;
        Ok(api::NodeEvidence {
            nonce: hex::encode(nonce),
            token_id: format!("0x{}", hex::encode(self.token)),
            key_sha256: hex::encode(key),
            evidence: STANDARD.encode(evidence.encode()),
        })
    }

    /// Notes that the master took it.
    pub(crate) fn taken(&self, attested: api::NodeAttested) {
        *self.attested.lock() = Some(attested);
    }

    pub(crate) fn status(&self, problem: Option<api::ErrorBody>, now_ms: u64) -> api::EvidenceStatus {
        let attested = self.attested.lock();
        let counting = attested.as_ref().filter(|attested| now_ms < attested.expires_ms);
        let kind = self.platform.kind();
        api::EvidenceStatus {
            platform: kind.to_string(),
            simulated: kind == PlatformKind::Simulated,
            verified_ms: counting.map(|attested| attested.verified_ms),
            expires_ms: counting.map(|attested| attested.expires_ms),
            problem,
        }
    }
}

fn kind(config: &TeeConfig) -> Result<Option<PlatformKind>, WorkerError> {
    let Some(name) = &config.platform else { return Ok(None) };
    let kind = name.parse()?;
    if kind == PlatformKind::Simulated && !config.allow_simulated {
        let problem = "tee.platform is simulated, but tee.allow_simulated is not true";
        return Err(WorkerError::Config(problem.to_owned()));
    }
    Ok(Some(kind))
}

/// SHA-256 of the leaf's SubjectPublicKeyInfo in DER.
fn key_of(pem: &str) -> Option<[u8; 32]> {
    let leaf = CertificateDer::pem_slice_iter(pem.as_bytes()).next()?.ok()?;
    let (_, certificate) = X509Certificate::from_der(&leaf).ok()?;
    digest::digest(&digest::SHA256, certificate.public_key().raw).as_ref().try_into().ok()
}
