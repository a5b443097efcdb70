use std::path::PathBuf;

use async_trait::async_trait;

use crate::agent::Gone;
use crate::certificates::NodeBundle;
use crate::tunnel::Reach;

/// What runs pods on this machine: container runtime, kubelet and kube-proxy.
#[async_trait]
pub trait NodeAgent: Send + Sync {
    /// Starts the processes, or, when they run, hands them the new certificates of `bundle`. Returns when they
    /// are started, not when the node is ready.
    async fn start(&self, bundle: NodeBundle) -> Result<(), NodeAgentError>;

    /// Stops all processes and the pods with them; does nothing when nothing runs.
    async fn stop(&self, reason: StopReason) -> Result<(), NodeAgentError>;

    /// How they are now.
    async fn status(&self) -> NodeStatus;

    /// Name of the cgroup below which this node's containers are; `None` when there is none to look at.
    fn cgroup(&self) -> Option<String> {
        None
    }

    /// The programs that run the node, by the names of their measurements: evidence of this machine is about them too.
    fn programs(&self) -> Vec<(&'static str, PathBuf)> {
        Vec::new()
    }

    /// Whether it joins the gateway itself, as `k3s agent` does: it is invited then, and opens its own tunnel.
    fn joins_itself(&self) -> bool {
        false
    }

    /// A K3s token for the gateway at this URL, good for one proof's life; given before [`NodeAgent::start`] and with each
    /// heartbeat to who joins itself.
    async fn invite(&self, _gateway: &str, _token: &str) -> Result<(), NodeAgentError> {
        Ok(())
    }

    /// What the master may be led to on this machine; `None` while nothing runs.
    async fn reach(&self) -> Option<Reach>;
}

/// Why the node agent failed; what it says goes into status, log and heartbeats.
#[derive(Debug, thiserror::Error)]
#[error(transparent)]
pub struct NodeAgentError(#[from] pub Box<dyn std::error::Error + Send + Sync>);

/// Why the node agent is stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StopReason {
    /// The worker itself ends; pods may stay for its return.
    Shutdown,
    /// The membership is over: nothing of the cluster stays.
    Gone(Gone),
}

/// How the node's processes are.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NodeStatus {
    /// Whether container runtime and kubelet answer.
    pub ready: bool,
    /// Why not.
    pub reason: Option<String>,
    /// Running pods.
    pub pods: u32,
}
