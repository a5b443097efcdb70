//! The control plane's processes: kube-apiserver, kube-controller-manager and kube-scheduler, or `k3s server` which is all three,
//! over an etcd endpoint.

mod access;
mod addons;
mod config;
mod error;
mod forward;
mod k3s;
mod kubeconfig;
mod programs;
mod ready;
mod webhooks;

use std::time::Duration;

use tokio::task::JoinSet;

use self::forward::Forward;
use crate::k3s::K3sHome;
use crate::pki::{ClusterPki, Identity, PkiError, Profile};
use crate::supervise::{Child, ChildStatus, leftovers, stop_all};

pub use access::TOKEN_GROUP_PREFIX;
pub use addons::{CONTROLLERS_USER, METRICS_SERVER_NAME, METRICS_USER};
pub use config::{ControlEngine, ControlPlaneConfig, METRICS_PORT, Webhooks};
pub use error::ControlPlaneError;
pub use k3s::K3sEngine;
pub use kubeconfig::{Kubeconfig, User};
pub use programs::SERVICE_ACCOUNT_ISSUER;

/// How long a component may take to end after SIGTERM.
const GRACE: Duration = Duration::from_secs(10);
/// Identities of the control plane live this long; each start makes new ones.
const LIFETIME_SECONDS: u64 = 365 * 24 * 3600;
/// Common name of the client certificate that kube-apiserver shows to the webhooks.
pub const WEBHOOK_CLIENT: &str = "k3s-daas:apiserver-webhook";

/// A running control plane. Dropping it kills its processes.
pub struct ControlPlane {
    /// kube-apiserver, alone or in `k3s server`.
    apiserver: Child,
    /// kube-controller-manager and kube-scheduler, where they are processes of their own.
    controllers: Vec<Child>,
    /// What runs beside them for users.
    addons: Vec<Child>,
    /// Of `k3s server`: its directory, and the way to its apiserver.
    k3s: Option<(K3sHome, Forward)>,
    admin: Identity,
    url: String,
    ca: String,
}

impl ControlPlane {
    /// Starts the processes; [`ControlPlane::ready`] says when they serve. What an earlier run left behind is
    /// ended first.
    ///
    /// # Errors
    /// When a directory or certificate cannot be made, or a leftover cannot be ended.
    pub async fn start(
        config: &ControlPlaneConfig,
        pki: &ClusterPki,
        now_ms: u64,
    ) -> Result<Self, ControlPlaneError> {
        let left = stop_all(leftovers(&config.state_dir), GRACE).await;
        if let Some(left) = left.first() {
            return Err(ControlPlaneError::Leftover { pid: left.pid, command: left.command.clone() });
        }
        config.make_directories()?;
        let admin = admin(pki, now_ms)?;
        let (apiserver, controllers, k3s) = match &config.engine {
            ControlEngine::Kubernetes => {
                let controllers = [
                    programs::controller_manager(config, pki, now_ms)?,
                    programs::scheduler(config, pki, now_ms)?,
                ];
                (programs::apiserver(config, pki, now_ms)?, controllers.to_vec(), None)
            }
            ControlEngine::K3s(engine) => {
                let forward = Forward::start(config.listen, engine.apiserver()).await?;
                (k3s::server(config, engine, pki)?, Vec::new(), Some((engine.home.clone(), forward)))
            }
        };
        Ok(Self {
            apiserver: Child::start(apiserver),
            controllers: controllers.into_iter().map(Child::start).collect(),
            addons: addons::programs(config, pki, now_ms)?.into_iter().map(Child::start).collect(),
            k3s,
            admin,
            url: config.local_url(),
            ca: pki.ca_pem().to_owned(),
        })
    }

    /// Waits until kube-apiserver says that it is ready.
    ///
    /// # Errors
    /// [`ControlPlaneError::NotReady`] with its last words after `limit`.
    pub async fn ready(&self, limit: Duration) -> Result<(), ControlPlaneError> {
        match ready::wait(&self.url, &self.ca, &self.admin, limit).await {
            Err(ControlPlaneError::NotReady { seconds, last }) => {
                let status = self.apiserver.status();
                let ended =
                    status.last_exit.map(|exit| format!(" (it ended {} times: {exit})", status.restarts + 1));
                Err(ControlPlaneError::NotReady { seconds, last: last + &ended.unwrap_or_default() })
            }
            done => done,
        }
    }

    /// The cluster administrator (group `system:masters`), for the master's own use: it is never written down.
    pub fn admin(&self) -> &Identity {
        &self.admin
    }

    /// Where kube-apiserver listens, seen from this machine.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Each process as it is now.
    pub fn status(&self) -> Vec<ChildStatus> {
        let all = [&self.apiserver].into_iter().chain(&self.controllers).chain(&self.addons);
        all.map(Child::status).collect()
    }

    /// Stops the processes, those that depend on the apiserver first.
    pub async fn shutdown(self) {
        let depending = self.addons.into_iter().chain(self.controllers);
        let mut stopping: JoinSet<()> =
            depending.map(|child| async move { child.stop(GRACE).await }).collect();
        while stopping.join_next().await.is_some() {}
        self.apiserver.stop(GRACE).await;
        if let Some((home, _)) = self.k3s
            && let Err(error) = home.remove()
        {
            tracing::error!("{error}: it holds the keys of the cluster's CAs, remove it by hand");
        }
    }
}

fn admin(pki: &ClusterPki, now_ms: u64) -> Result<Identity, PkiError> {
    pki.issue(&Profile::client("k3s-daas:master", &["system:masters"], LIFETIME_SECONDS), now_ms)
}
