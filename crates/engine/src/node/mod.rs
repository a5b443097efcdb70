//! The node's processes, in directories of their own: containerd, kubelet, kube-proxy, flannel, CoreDNS.

mod address;
mod cgroups;
mod cleanup;
mod config;
mod dns;
mod error;
mod files;
mod flannel;
mod image;
mod network;
mod programs;
mod runtime;

use std::time::Duration;

use tokio::task::{JoinHandle, JoinSet};

use crate::batteries::Battery;
use crate::supervise::{Child, ChildStatus, leftovers, stop_all};

pub use address::host_address;
pub use cgroups::root_of as cgroup_root;
pub use cleanup::remove_everything;
pub use config::{BRIDGE, NodeConfig, NodeCredentials, ProxyMode};
pub use error::NodeError;
pub use flannel::FlannelBackend;
pub use image::{BUSYBOX_IMAGE, PAUSE_IMAGE};

pub(crate) use programs::find;

/// The version of cgroups that a node would use here, for people.
pub(crate) fn cgroups() -> Result<&'static str, NodeError> {
    cgroups::detect().map(|version| match version {
        cgroups::Cgroups::V1 => "version 1",
        cgroups::Cgroups::V2 => "version 2",
    })
}

const GRACE: Duration = Duration::from_secs(10);
/// How long containerd may take until it answers.
const RUNTIME_LIMIT: Duration = Duration::from_secs(30);

/// A running node. Dropping it kills its processes; pods go on and are found again by the next start.
pub struct Node {
    config: NodeConfig,
    containerd: Child,
    kubelet: Child,
    /// kube-proxy, flannel and CoreDNS, as far as they are on.
    network: Vec<Child>,
    /// Gives containerd the network that flannel has made.
    following: Option<Following>,
}

impl Node {
    /// Starts containerd, gives it the built-in images, then starts what Kubernetes and its network need.
    ///
    /// # Errors
    /// [`NodeError`] says what is missing on this machine and how to get it.
    pub async fn start(config: NodeConfig, credentials: &NodeCredentials) -> Result<Self, NodeError> {
        // Shims keep the pods of an earlier run and are adopted by containerd; everything else ends.
        let left = leftovers(&config.state_dir);
        let left = left.iter().filter(|one| !runtime::belongs_to_a_pod(one, &left)).cloned().collect();
        if let Some(left) = stop_all(left, GRACE).await.first() {
            return Err(NodeError::Leftover { pid: left.pid, command: left.command.clone() });
        }
        let cgroups = cgroups::detect()?;
        cgroups::prepare(&config, cgroups)?;
        files::write(&config, credentials, &cgroups)?;
        let containerd = Child::start(programs::containerd(&config)?);
        runtime::wait(&config, RUNTIME_LIMIT).await?;
        image::import(&config).await?;
        network::masquerade(&config).await?;
        let kubelet = Child::start(programs::kubelet(&config));
        let mut network = vec![Child::start(programs::proxy(&config))];
        let mut following = None;
        if config.backend != FlannelBackend::None {
            flannel::forget(&config)?;
            network.push(Child::start(flannel::program(&config)));
            following = Some(Following(tokio::spawn(flannel::follow(config.clone()))));
        }
        if config.disabled.leaves(Battery::Coredns) {
            dns::prepare(&config).await?;
            network.push(Child::start(dns::program(&config)));
        }
        Ok(Self { config, containerd, kubelet, network, following })
    }

    /// Puts renewed certificates in place. Kubelet and kube-proxy take them within seconds; nothing is started
    /// again.
    ///
    /// # Errors
    /// When a file cannot be written.
    pub fn renew(&self, credentials: &NodeCredentials) -> Result<(), NodeError> {
        files::write_credentials(&self.config, credentials)
    }

    /// Each process as it is now.
    pub fn status(&self) -> Vec<ChildStatus> {
        [&self.containerd, &self.kubelet].into_iter().chain(&self.network).map(Child::status).collect()
    }

    /// Asks the kubelet whether it is well.
    ///
    /// # Errors
    /// With the reason when it is not.
    pub async fn healthy(&self) -> Result<(), NodeError> {
        runtime::kubelet_health(&self.config).await
    }

    /// This node's range of pod addresses, CIDR, and the network device behind which they are; `None` until it is known.
    pub fn pod_network(&self) -> Option<(String, &'static str)> {
        flannel::pod_cidr(&self.config).map(|cidr| (cidr, BRIDGE))
    }

    /// Running pods, as the container runtime counts them.
    ///
    /// # Errors
    /// When containerd does not answer.
    pub async fn pods(&self) -> Result<u32, NodeError> {
        runtime::pods(&self.config).await
    }

    /// Stops the processes; the pods stay.
    pub async fn shutdown(self) {
        drop(self.following);
        let mut stopping: JoinSet<()> =
            self.network.into_iter().map(|child| async move { child.stop(GRACE).await }).collect();
        self.kubelet.stop(GRACE).await;
        while stopping.join_next().await.is_some() {}
        self.containerd.stop(GRACE).await;
    }

    /// Stops the processes and ends every pod.
    ///
    /// # Errors
    /// When something of the pods cannot be removed.
    pub async fn shutdown_with_pods(self) -> Result<(), NodeError> {
        let config = self.config.clone();
        self.shutdown().await;
        remove_everything(&config).await
    }
}

/// A task that ends with its owner.
struct Following(JoinHandle<()>);

impl Drop for Following {
    fn drop(&mut self) {
        self.0.abort();
    }
}
