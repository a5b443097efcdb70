//! `k3s server` as this master's control plane.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;

use engine::control_plane::K3sEngine;
use engine::k3s::{self, K3sHome, StoreTls};
use sha2::{Digest, Sha256};
use store::{Listener, TlsFiles};
use tee::SealingKey;
use zeroize::Zeroizing;

use crate::config::{Config, Engine};
use crate::error::MasterError;

/// What the token of K3s' own supervisor is derived for. It has to stay: K3s encrypts with it what it keeps in the store.
const TOKEN_PURPOSE: &str = "k3s-daas k3s server token";

/// A K3s that can be started.
pub(crate) struct K3s {
    binary: PathBuf,
    home: K3sHome,
    tls: StoreTls,
    /// As `v1.36.1+k3s1`.
    pub(crate) version: String,
}

impl K3s {
    /// Makes its directory, where the configuration asks for this engine.
    ///
    /// # Errors
    /// When there is no binary, or no directory in memory.
    pub(crate) async fn prepare(config: &Config, now_ms: u64) -> Result<Option<Self>, MasterError> {
        if config.engine != Engine::K3s {
            return Ok(None);
        }
        let binary = k3s::binary(config.k3s.binary.as_deref())?;
        let home = K3sHome::create(config.k3s.memory_dir.as_deref(), &name(config))?;
        let tls = home.store_tls(now_ms)?;
        let version = k3s::version(&binary, home.data_dir()).await?;
        tracing::info!(version, memory = %home.data_dir().display(), "k3s server is the control plane");
        Ok(Some(Self { binary, home, tls, version }))
    }

    /// Where the store listens for it: on a port that the system chooses, and only to the certificate that was made for it.
    pub(crate) fn listener(&self) -> Listener {
        let files = TlsFiles {
            cert: self.tls.cert.clone(),
            key: self.tls.key.clone(),
            client_ca: self.tls.ca.clone(),
        };
        Listener::Tcp { addr: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)), tls: Some(files) }
    }

    pub(crate) fn engine(self, config: &Config, sealing: &SealingKey) -> K3sEngine {
        let token = Zeroizing::new(hex::encode(sealing.derive(TOKEN_PURPOSE, &[]).as_bytes()));
        K3sEngine { binary: self.binary, home: self.home, token, port: config.k3s.port }
    }
}

/// A name for its directory that no other master on this machine has.
fn name(config: &Config) -> String {
    let path = std::path::absolute(&config.state_dir).unwrap_or_else(|_| config.state_dir.clone());
    let digest = Sha256::digest(path.as_os_str().as_encoded_bytes());
    format!("k3s-daas-{}", hex::encode(&digest[..8]))
}
