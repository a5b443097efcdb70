use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};

use super::error::ControlPlaneError;
use super::k3s::K3sEngine;
use crate::batteries::Disabled;
use crate::pki::Identity;

/// Port of metrics-server, on loopback.
pub const METRICS_PORT: u16 = 10449;

/// What the control plane runs with.
#[derive(Clone, Debug)]
pub struct ControlPlaneConfig {
    /// The multi-call Kubernetes binary, `bin/kubernetes`.
    pub binary: PathBuf,
    /// Directory for what the components write; also marks their processes. No private key is written to it.
    pub state_dir: PathBuf,
    /// Whose control plane it is.
    pub engine: ControlEngine,
    /// An etcd endpoint, e.g. `unix:///path/store.sock`.
    pub etcd_endpoint: String,
    /// Where kube-apiserver listens.
    pub listen: SocketAddr,
    /// Address by which nodes reach kube-apiserver.
    pub advertise_address: IpAddr,
    /// Further names and addresses in kube-apiserver's certificate.
    pub names: Vec<String>,
    /// Range of service addresses, CIDR; the first one is kube-apiserver's.
    pub service_cidr: String,
    /// Range of pod addresses, CIDR.
    pub cluster_cidr: String,
    /// Domain of the cluster's services.
    pub cluster_domain: String,
    /// Who is asked about tokens and nodes; none for a cluster without a gateway.
    pub webhooks: Option<Webhooks>,
    /// What is switched off of the add-ons that run beside the control plane.
    pub disabled: Disabled,
    /// Directory on every node for volumes of the class `local-path`.
    pub storage_root: PathBuf,
    /// Ports of nodes that no service of type LoadBalancer gets.
    pub reserved_ports: Vec<u16>,
    /// Port of metrics-server, on loopback.
    pub metrics_port: u16,
    /// Unix socket of the HTTP CONNECT proxy by which kube-apiserver reaches kubelets, webhooks and extensions, and
    /// metrics-server kubelets; none where all are in reach.
    pub kubelet_egress: Option<PathBuf>,
}

/// Whose control plane runs.
#[derive(Clone, Debug)]
pub enum ControlEngine {
    /// kube-apiserver, kube-controller-manager and kube-scheduler of the multi-call binary.
    Kubernetes,
    /// All three in `k3s server`.
    K3s(K3sEngine),
}

/// Ports that nodes need for themselves: SSH, kube-apiserver, gateway, kubelet, kube-proxy, flannel's back ends.
const RESERVED_PORTS: [u16; 8] = [22, 6443, 9345, 10250, 10249, 10256, 8472, 51820];

/// Where kube-apiserver asks who a bearer is, and whether a node may go on.
#[derive(Clone, Debug)]
pub struct Webhooks {
    /// URL of the TokenReview webhook.
    pub token_review: String,
    /// URL of the SubjectAccessReview webhook, asked about nodes only.
    pub authorize: String,
    /// URL that is told, in batches, how requests of nodes ended.
    pub audit: String,
    /// The CA of their server certificate, PEM.
    pub ca: String,
    /// The client certificate that kube-apiserver shows them.
    pub client: Identity,
}

impl ControlPlaneConfig {
    /// A cluster with the usual ranges, listening everywhere on `port`.
    pub fn new(binary: PathBuf, state_dir: PathBuf, etcd_endpoint: String, port: u16) -> Self {
        Self {
            binary,
            state_dir,
            engine: ControlEngine::Kubernetes,
            etcd_endpoint,
            listen: SocketAddr::from(([0, 0, 0, 0], port)),
            advertise_address: IpAddr::from([127, 0, 0, 1]),
            names: Vec::new(),
            service_cidr: "10.43.0.0/16".to_owned(),
            cluster_cidr: "10.42.0.0/16".to_owned(),
            cluster_domain: "cluster.local".to_owned(),
            webhooks: None,
            disabled: Disabled::default(),
            storage_root: PathBuf::from("/var/lib/k3s-daas/storage"),
            reserved_ports: RESERVED_PORTS.to_vec(),
            metrics_port: METRICS_PORT,
            kubelet_egress: None,
        }
    }

    pub(crate) fn local_url(&self) -> String {
        let address =
            if self.listen.ip().is_unspecified() { IpAddr::from([127, 0, 0, 1]) } else { self.listen.ip() };
        format!("https://{}", SocketAddr::new(address, self.listen.port()))
    }

    /// Who keeps the addresses of the service `kubernetes`, by which pods reach the API: kube-apiserver itself,
    /// unless it can only be reached from this machine, which it refuses to write down.
    pub(crate) fn endpoint_reconciler(&self) -> &'static str {
        if self.advertise_address.is_loopback() || self.listen.ip().is_loopback() { "none" } else { "lease" }
    }

    pub(crate) fn make_directories(&self) -> Result<(), ControlPlaneError> {
        make_private(&self.state_dir)
    }

    /// The first address of the service range.
    pub(crate) fn service_address(&self) -> Option<IpAddr> {
        let (network, _) = self.service_cidr.split_once('/')?;
        let network: std::net::Ipv4Addr = network.parse().ok()?;
        Some(IpAddr::from(std::net::Ipv4Addr::from(u32::from(network).checked_add(1)?)))
    }
}

/// Makes a directory that only this user can enter.
pub(crate) fn make_private(path: &Path) -> Result<(), ControlPlaneError> {
    use std::os::unix::fs::DirBuilderExt;
    std::fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(path)
        .map_err(|source| ControlPlaneError::Io { path: path.to_owned(), source })
}
