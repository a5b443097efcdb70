//! The node's processes: containerd, kubelet and kube-proxy, in directories of their own.

mod address;
mod cgroups;
mod cleanup;
mod config;
mod error;
mod files;
mod image;
mod network;
mod programs;
mod runtime;

use std::time::Duration;

use crate::supervise::{Child, ChildStatus, leftovers, stop_all};

pub use address::host_address;
pub use cleanup::remove_everything;
pub use config::{BRIDGE, NodeConfig, NodeCredentials};
pub use error::NodeError;
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
    proxy: Child,
}

impl Node {
    /// Starts containerd, gives it the built-in images, then starts kubelet and kube-proxy.
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
        let proxy = Child::start(programs::proxy(&config));
        Ok(Self { config, containerd, kubelet, proxy })
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
        vec![self.containerd.status(), self.kubelet.status(), self.proxy.status()]
    }

    /// Asks the kubelet whether it is well.
    ///
    /// # Errors
    /// With the reason when it is not.
    pub async fn healthy(&self) -> Result<(), NodeError> {
        runtime::kubelet_health(&self.config).await
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
        tokio::join!(self.proxy.stop(GRACE), self.kubelet.stop(GRACE));
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
