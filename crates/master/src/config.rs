use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;

use archive::AnchorConfig;
use archive::cold::ColdConfig;
use engine::Disabled;
use engine::node::{FlannelBackend, ProxyMode};
use serde::{Deserialize, Serialize};
use tee::{KeyPolicy, PlatformKind};

use crate::attestations::WorkersConfig;
use crate::error::MasterError;
use crate::gateway::GatewayLimits;
use crate::health::HealthLimits;
use crate::obtain::ReleaseConfig;
use crate::registration::RegistrationConfig;
use crate::{Id, membership};

/// Everything that a master needs to know. Every field has a default; those that no default can give
/// (package, cluster) are checked by [`crate::Master::start`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// The master's directory: sealed keys, sealed store, sockets, logs. Made when missing, mode 0700.
    pub state_dir: PathBuf,
    /// Gateway address.
    pub listen: SocketAddr,
    /// kube-apiserver address.
    pub apiserver_listen: SocketAddr,
    /// URL under which workers reach the gateway; put on chain.
    pub gateway_url: String,
    /// URL under which workers and users reach the apiserver; put on chain.
    pub apiserver_url: String,
    /// More names and addresses for the certificates of gateway and apiserver.
    pub tls_san: Vec<String>,
    /// The multi-call Kubernetes binary.
    pub kubernetes_binary: PathBuf,
    /// Whose control plane runs.
    pub engine: Engine,
    /// What `k3s server` needs, with that engine.
    pub k3s: K3sConfig,
    /// Directory on every node for volumes of the storage class `local-path`.
    pub storage_root: PathBuf,
    /// Sui.
    pub chain: ChainConfig,
    /// When the state is anchored on chain, and what that may cost.
    pub anchor: AnchorConfig,
    /// Snapshots into the cold store.
    pub snapshots: ColdConfig,
    /// Trusted execution.
    pub tee: TeeConfig,
    /// Who vouches for this enclave on chain.
    pub registration: RegistrationConfig,
    /// What nodes have to prove.
    pub workers: WorkersConfig,
    /// Addresses inside of the cluster.
    pub network: ClusterNetwork,
    /// What a proof may look like.
    pub proofs: ProofConfig,
    /// What one peer may cost the gateway.
    pub gateway: GatewayLimits,
    /// When a node counts as what.
    pub health: HealthLimits,
    /// How long certificates of nodes are valid, milliseconds.
    pub certificate_lifetime_ms: u64,
    /// Size at which the store raises NOSPACE, bytes.
    pub store_quota_bytes: u64,
    /// How often Kubernetes is compared with the chain even if nothing happened, milliseconds.
    pub reconcile_interval_ms: u64,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            state_dir: PathBuf::from("/var/lib/k3s-daas/master"),
            listen: SocketAddr::from(([0, 0, 0, 0], 9345)),
            apiserver_listen: SocketAddr::from(([0, 0, 0, 0], 6443)),
            gateway_url: "https://127.0.0.1:9345".to_owned(),
            apiserver_url: "https://127.0.0.1:6443".to_owned(),
            tls_san: Vec::new(),
            kubernetes_binary: PathBuf::from("bin/kubernetes"),
            engine: Engine::default(),
            k3s: K3sConfig::default(),
            storage_root: PathBuf::from("/var/lib/k3s-daas/storage"),
            chain: ChainConfig::default(),
            anchor: AnchorConfig::default(),
            snapshots: ColdConfig::default(),
            tee: TeeConfig::default(),
            registration: RegistrationConfig::default(),
            workers: WorkersConfig::default(),
            network: ClusterNetwork::default(),
            proofs: ProofConfig::default(),
            gateway: GatewayLimits::default(),
            health: HealthLimits::default(),
            certificate_lifetime_ms: 12 * 3_600_000,
            store_quota_bytes: 2 << 30,
            reconcile_interval_ms: 10_000,
        }
    }
}

/// Whose control plane runs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Engine {
    /// That of the multi-call Kubernetes binary.
    #[default]
    Kubernetes,
    /// `k3s server`, of a binary that the operator provides.
    K3s,
}

/// What `k3s server` needs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct K3sConfig {
    /// The binary; without it `k3s` in the usual directories.
    pub binary: Option<PathBuf>,
    /// A directory in memory, for the keys that K3s wants as files; without it `/dev/shm` or `/run`.
    pub memory_dir: Option<PathBuf>,
    /// Port of K3s' supervisor on loopback; its apiserver takes the next one.
    pub port: u16,
}

impl Default for K3sConfig {
    fn default() -> Self {
        Self { binary: None, memory_dir: None, port: 16_443 }
    }
}

/// Which chain, and what on it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ChainConfig {
    /// Sui full node, or the development chain.
    pub url: String,
    /// Package of the contracts.
    pub package: Option<Id>,
    /// Cluster object.
    pub cluster: Option<Id>,
    /// A checkpoint before which nothing of this cluster happened; where reading begins.
    pub since_checkpoint: u64,
    /// Sui CLI keystore with the wallet that pays for posting the endpoint. Without it the endpoint is not posted.
    pub gas_keystore: Option<PathBuf>,
    /// Which wallet of it; needed when it has several.
    pub gas_address: Option<Id>,
    /// How long the chain may be silent before no new node is admitted, milliseconds.
    pub silence_ms: u64,
}

impl Default for ChainConfig {
    fn default() -> Self {
        Self {
            url: "http://127.0.0.1:9000".to_owned(),
            package: None,
            cluster: None,
            since_checkpoint: 0,
            gas_keystore: None,
            gas_address: None,
            silence_ms: 10_000,
        }
    }
}

/// Which trusted execution environment.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct TeeConfig {
    /// `sev-snp`, `tdx`, `sgx`, `nitro`, `trustzone`, `tpm` or `simulated`; without it what the machine has.
    pub platform: Option<String>,
    /// Whether the simulated platform, which proves nothing about hardware, may stand in.
    pub allow_simulated: bool,
    /// What the sealed state is bound to.
    pub seal_to: SealTo,
    /// The file whose digest the simulated platform takes for the code; one's own executable by default.
    pub measured_file: Option<PathBuf>,
    /// Whether the simulated platform seals; without that it is like TDX, Nitro and CCA, for trying `release`.
    pub simulated_sealing: bool,
    /// `unix:PATH`: the socket of a TPM in software in place of `/dev/tpmrm0`. It proves nothing about hardware.
    pub tpm: Option<String>,
    /// Who gives the cluster's secret at each start, where the platform seals nothing.
    pub release: ReleaseConfig,
}

impl Default for TeeConfig {
    fn default() -> Self {
        Self {
            platform: None,
            allow_simulated: true,
            seal_to: SealTo::Measurement,
            measured_file: None,
            simulated_sealing: true,
            tpm: None,
            release: ReleaseConfig::default(),
        }
    }
}

impl TeeConfig {
    /// The platform asked for.
    pub(crate) fn kind(&self) -> Result<Option<PlatformKind>, tee::TeeError> {
        self.platform.as_deref().map(str::parse).transpose()
    }

    /// The socket of a TPM in software.
    pub(crate) fn tpm_socket(&self) -> Result<Option<PathBuf>, String> {
        let Some(text) = &self.tpm else { return Ok(None) };
        match text.strip_prefix("unix:") {
            Some(path) if !path.is_empty() => Ok(Some(PathBuf::from(path))),
            _ => Err(format!(
                "tee.tpm is {text:?}: write it as \"unix:PATH\", or leave it out for /dev/tpmrm0"
            )),
        }
    }
}

/// What sealed state is bound to; see [`tee::KeyPolicy`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum SealTo {
    /// Exactly this code.
    Measurement,
    /// Whoever signs the code, so that an upgrade opens it.
    Signer,
}

impl From<SealTo> for KeyPolicy {
    fn from(seal_to: SealTo) -> Self {
        match seal_to {
            SealTo::Measurement => Self::Measurement,
            SealTo::Signer => Self::Signer,
        }
    }
}

/// Addresses inside of the cluster.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ClusterNetwork {
    /// Pods, CIDR.
    pub cluster_cidr: String,
    /// Services, CIDR.
    pub service_cidr: String,
    /// Address of the cluster's DNS service.
    pub cluster_dns: IpAddr,
    /// Domain of services.
    pub cluster_domain: String,
    /// How pods reach those of other nodes.
    pub flannel_backend: FlannelBackend,
    /// How kube-proxy makes services.
    pub kube_proxy_mode: ProxyMode,
    /// What is switched off, by the names that K3s gives: `coredns`, `servicelb`, `local-storage`, `metrics-server`.
    pub disable: Disabled,
}

impl Default for ClusterNetwork {
    fn default() -> Self {
        Self {
            cluster_cidr: "10.42.0.0/16".to_owned(),
            service_cidr: "10.43.0.0/16".to_owned(),
            cluster_dns: IpAddr::V4(Ipv4Addr::new(10, 43, 0, 10)),
            cluster_domain: "cluster.local".to_owned(),
            flannel_backend: FlannelBackend::default(),
            kube_proxy_mode: ProxyMode::default(),
            disable: Disabled::default(),
        }
    }
}

/// What a proof may look like.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ProofConfig {
    /// Longest window, milliseconds.
    pub max_window_ms: u64,
    /// How far the minter's clock may be off, milliseconds.
    pub max_clock_skew_ms: u64,
}

impl Default for ProofConfig {
    fn default() -> Self {
        Self { max_window_ms: 900_000, max_clock_skew_ms: 30_000 }
    }
}

impl ClusterNetwork {
    /// Address and prefix length of an IPv4 or IPv6 range.
    pub(crate) fn parse_cidr(cidr: &str) -> Option<(IpAddr, u8)> {
        let (address, prefix) = cidr.split_once('/')?;
        let address: IpAddr = address.parse().ok()?;
        let prefix: u8 = prefix.parse().ok()?;
        let bits = if address.is_ipv4() { 32 } else { 128 };
        (prefix <= bits).then_some((address, prefix))
    }
}

impl Config {
    /// Finds what no later step would name as clearly.
    pub(crate) fn check(&self) -> Result<(), MasterError> {
        let bad = |problem: String| Err(MasterError::Config(problem));
        for (field, cidr) in [
            ("network.cluster_cidr", &self.network.cluster_cidr),
            ("network.service_cidr", &self.network.service_cidr),
        ] {
            if ClusterNetwork::parse_cidr(cidr).is_none() {
                return bad(format!("{field} {cidr:?} is not a range like 10.42.0.0/16"));
            }
        }
        // Certificates say seconds, and one that ends at once would be asked for again at once.
        if self.certificate_lifetime_ms < 60_000 {
            return bad("certificate_lifetime_ms is less than a minute (60000)".to_owned());
        }
        self.anchor.check().map_err(MasterError::Config)?;
        self.registration.check().map_err(MasterError::Config)?;
        self.tee.release.check().map_err(MasterError::Config)?;
        self.health.check().map_err(MasterError::Config)?;
        if self.engine == Engine::K3s && (self.k3s.port == 0 || self.k3s.port == u16::MAX) {
            return bad("k3s.port is 1 to 65534: the next one is kube-apiserver's".to_owned());
        }
        if self.reconcile_interval_ms == 0 || self.gateway.max_connections == 0 {
            return bad("reconcile_interval_ms and gateway.max_connections have to be more than 0".to_owned());
        }
        Ok(())
    }

    pub(crate) fn membership_limits(&self) -> membership::Limits {
        membership::Limits {
            proof: seal_token::Limits {
                max_window_ms: self.proofs.max_window_ms,
                max_clock_skew_ms: self.proofs.max_clock_skew_ms,
            },
            chain_silence_ms: self.chain.silence_ms,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_defaults_are_sound_and_survive_serialization() {
        let config = Config::default();
        config.check().unwrap();
        let text = serde_json::to_string(&config).unwrap();
        assert_eq!(serde_json::from_str::<Config>(&text).unwrap(), config);
        assert_eq!(serde_json::from_str::<Config>("{}").unwrap(), config);
        assert!(serde_json::from_str::<Config>("{\"lisen\":\"\"}").is_err(), "a typo is not ignored");
    }

    #[test]
    fn what_cannot_work_is_named() {
        let refused = |change: fn(&mut Config)| {
            let mut config = Config::default();
            change(&mut config);
            config.check().unwrap_err().to_string()
        };
        assert!(refused(|c| c.network.service_cidr = "10.43.0.0".into()).contains("network.service_cidr"));
        assert!(refused(|c| c.network.cluster_cidr = "10.42.0.0/33".into()).contains("network.cluster_cidr"));
        assert!(refused(|c| c.certificate_lifetime_ms = 999).contains("certificate_lifetime_ms"));
        assert!(refused(|c| c.health.down_after_ms = 5_000).contains("health.down_after_ms"));
        assert!(refused(|c| c.health.suspect_after_ms = 5_000).contains("health.suspect_after_ms"));
        assert!(refused(|c| c.health.interval_ms = 0).contains("health.interval_ms"));
        assert!(refused(|c| c.health.evict_after_ms = u64::MAX).contains("health.evict_after_ms"));
        assert!(refused(|c| c.health.max_clock_skew_ms = 3_600_000).contains("health.max_clock_skew_ms"));
        assert!(refused(|c| c.reconcile_interval_ms = 0).contains("reconcile_interval_ms"));
    }
}
