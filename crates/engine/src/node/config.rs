use std::net::IpAddr;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::flannel::FlannelBackend;
use crate::batteries::Disabled;
use crate::pki::Identity;

/// The bridge that pods of this machine, or of its network namespace, are connected to.
pub const BRIDGE: &str = "k3s-daas0";

/// What a node runs with.
#[derive(Clone, Debug)]
pub struct NodeConfig {
    /// The node's name.
    pub name: String,
    /// The multi-call Kubernetes binary, `bin/kubernetes`.
    pub binary: PathBuf,
    /// Directory of containerd's and the kubelet's state; also marks their processes.
    pub state_dir: PathBuf,
    /// The node's address.
    pub address: IpAddr,
    /// URL of kube-apiserver.
    pub apiserver: String,
    /// The CA of kube-apiserver, PEM.
    pub server_ca: String,
    /// The CA of those who may call the kubelet, PEM.
    pub client_ca: String,
    /// Port of the kubelet.
    pub kubelet_port: u16,
    /// Port of the kubelet's health endpoint, on loopback.
    pub healthz_port: u16,
    /// Port of kube-proxy's health endpoint, on loopback.
    pub proxy_healthz_port: u16,
    /// Port of kube-proxy's metrics, on loopback.
    pub proxy_metrics_port: u16,
    /// Range of all pod addresses, CIDR.
    pub cluster_cidr: String,
    /// Address of the cluster's DNS service.
    pub cluster_dns: IpAddr,
    /// Domain of the cluster's services.
    pub cluster_domain: String,
    /// How pods reach those of other nodes.
    pub backend: FlannelBackend,
    /// How kube-proxy makes services.
    pub proxy_mode: ProxyMode,
    /// What is switched off.
    pub disabled: Disabled,
}

/// How kube-proxy makes services.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ProxyMode {
    /// By iptables.
    #[default]
    Iptables,
    /// By nftables, faster with many services; kernel 5.13 and nft 1.0.1 or newer.
    Nftables,
}

impl ProxyMode {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Iptables => "iptables",
            Self::Nftables => "nftables",
        }
    }
}

/// Certificates of a node, PEM.
#[derive(Clone, Debug)]
pub struct NodeCredentials {
    /// The kubelet as a client of kube-apiserver.
    pub kubelet_client: Identity,
    /// The kubelet as a server.
    pub kubelet_server: Identity,
    /// kube-proxy as a client of kube-apiserver.
    pub proxy_client: Identity,
}

impl NodeConfig {
    pub(crate) fn containerd_dir(&self) -> PathBuf {
        self.state_dir.join("containerd")
    }

    /// Sockets have short paths (sun_path holds 107 bytes); containerd adds none of its own to this one.
    pub(crate) fn containerd_socket(&self) -> PathBuf {
        self.state_dir.join("containerd.sock")
    }

    pub(crate) fn kubelet_dir(&self) -> PathBuf {
        self.state_dir.join("kubelet")
    }

    pub(crate) fn files(&self) -> PathBuf {
        self.state_dir.join("etc")
    }
}
