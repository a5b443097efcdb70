use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use engine::node::{FlannelBackend, Node, NodeCredentials, NodeError, ProxyMode, remove_everything};
use engine::pki::Identity;
use engine::supervise::ChildState;
use engine::{Disabled, NodeConfig};
use serde::{Deserialize, Serialize};
use tokio::sync::{Mutex, RwLock};

use crate::certificates::{KeyedCertificate, NodeBundle};
use crate::node_agent::{NodeAgent, NodeAgentError, NodeStatus, StopReason};
use crate::tunnel::{Pods, Reach};

/// Counting pods asks the container runtime; that often is enough.
const PODS_INTERVAL: Duration = Duration::from_secs(5);

/// What [`EngineNode`] needs to know besides what the cluster says.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EngineNodeConfig {
    /// The multi-call Kubernetes binary, `bin/kubernetes`.
    pub binary: PathBuf,
    /// Directory of containerd's and the kubelet's state.
    pub state_dir: PathBuf,
    /// The node's address.
    pub address: IpAddr,
    /// Port of the kubelet.
    #[serde(default = "default_kubelet_port")]
    pub kubelet_port: u16,
    /// Port of the kubelet's health endpoint, on loopback.
    #[serde(default = "default_healthz_port")]
    pub healthz_port: u16,
    /// Port of kube-proxy's health endpoint, on loopback.
    #[serde(default = "default_proxy_healthz_port")]
    pub proxy_healthz_port: u16,
    /// Port of kube-proxy's metrics, on loopback.
    #[serde(default = "default_proxy_metrics_port")]
    pub proxy_metrics_port: u16,
}

fn default_kubelet_port() -> u16 {
    10250
}

fn default_healthz_port() -> u16 {
    10248
}

fn default_proxy_healthz_port() -> u16 {
    10256
}

fn default_proxy_metrics_port() -> u16 {
    10249
}

/// The real node: containerd, kubelet and kube-proxy by `engine`.
pub struct EngineNode {
    config: EngineNodeConfig,
    state: RwLock<State>,
    pods: Mutex<Option<(Instant, u32)>>,
}

#[derive(Default)]
struct State {
    node: Option<(NodeConfig, Node)>,
}

impl EngineNode {
    /// A node that does not run yet.
    pub fn new(config: EngineNodeConfig) -> Self {
        Self { config, state: RwLock::default(), pods: Mutex::default() }
    }

    fn node_config(&self, bundle: &NodeBundle) -> Result<NodeConfig, NodeAgentError> {
        let settings = &bundle.settings;
        let apiserver = bundle.apiservers.first().ok_or_else(|| said("the gateway named no apiserver"))?;
        Ok(NodeConfig {
            name: bundle.node_name.clone(),
            binary: self.config.binary.clone(),
            state_dir: self.config.state_dir.clone(),
            address: self.config.address,
            apiserver: format!("https://{apiserver}"),
            server_ca: bundle.server_ca_pem.clone(),
            client_ca: bundle.client_ca_pem.clone(),
            kubelet_port: self.config.kubelet_port,
            healthz_port: self.config.healthz_port,
            proxy_healthz_port: self.config.proxy_healthz_port,
            proxy_metrics_port: self.config.proxy_metrics_port,
            cluster_cidr: settings.cluster_cidr.clone(),
            cluster_dns: settings.cluster_dns,
            cluster_domain: settings.cluster_domain.clone(),
            backend: settings.flannel_backend,
            proxy_mode: settings.kube_proxy_mode,
            disabled: settings.disable.clone(),
        })
    }

    /// What an earlier run of the worker may have left: only directories and the bridge matter for that.
    fn leftover_config(&self) -> NodeConfig {
        NodeConfig {
            name: String::new(),
            binary: self.config.binary.clone(),
            state_dir: self.config.state_dir.clone(),
            address: self.config.address,
            apiserver: String::new(),
            server_ca: String::new(),
            client_ca: String::new(),
            kubelet_port: self.config.kubelet_port,
            healthz_port: self.config.healthz_port,
            proxy_healthz_port: self.config.proxy_healthz_port,
            proxy_metrics_port: self.config.proxy_metrics_port,
            cluster_cidr: String::new(),
            cluster_dns: self.config.address,
            cluster_domain: String::new(),
            backend: FlannelBackend::default(),
            proxy_mode: ProxyMode::default(),
            disabled: Disabled::default(),
        }
    }

    async fn pods(&self, node: &Node) -> u32 {
        let mut pods = self.pods.lock().await;
        match *pods {
            Some((at, count)) if at.elapsed() < PODS_INTERVAL => count,
            _ => {
                // A runtime that does not answer shows in the node's health already.
                let count = node.pods().await.unwrap_or(0);
                *pods = Some((Instant::now(), count));
                count
            }
        }
    }
}

#[async_trait]
impl NodeAgent for EngineNode {
    fn cgroup(&self) -> Option<String> {
        Some(engine::node::cgroup_root(&self.config.state_dir))
    }

    fn programs(&self) -> Vec<(&'static str, PathBuf)> {
        vec![("kubernetes", self.config.binary.clone())]
    }

    async fn start(&self, bundle: NodeBundle) -> Result<(), NodeAgentError> {
        let config = self.node_config(&bundle)?;
        let credentials = credentials(&bundle);
        let mut state = self.state.write().await;
        match state.node.take() {
            Some((running, node)) if same_cluster(&running, &config) => {
                let renewed = node.renew(&credentials).map_err(failed);
                state.node = Some((running, node));
                return renewed;
            }
            Some((_, node)) => node.shutdown().await,
            None => {}
        }
        let node = Node::start(config.clone(), &credentials).await.map_err(failed)?;
        state.node = Some((config, node));
        Ok(())
    }

    async fn stop(&self, reason: StopReason) -> Result<(), NodeAgentError> {
        let mut state = self.state.write().await;
        match (state.node.take(), reason) {
            (Some((_, node)), StopReason::Shutdown) => node.shutdown().await,
            (Some((_, node)), StopReason::Gone(_)) => node.shutdown_with_pods().await.map_err(failed)?,
            // An earlier run of this worker was here; a machine where none was is not touched.
            (None, StopReason::Gone(_)) if self.config.state_dir.exists() => {
                remove_everything(&self.leftover_config()).await.map_err(failed)?;
            }
            (None, _) => {}
        }
        Ok(())
    }

    async fn reach(&self) -> Option<Reach> {
        let state = self.state.read().await;
        let (config, node) = state.node.as_ref()?;
        let pods = node.pod_network().map(|(cidr, device)| Pods { cidr, device: Some(device.to_owned()) });
        Some(Reach { kubelet: SocketAddr::new(config.address, config.kubelet_port), pods })
    }

    async fn status(&self) -> NodeStatus {
        let not_ready = |reason: String| NodeStatus { ready: false, reason: Some(reason), pods: 0 };
        let Ok(state) = self.state.try_read() else {
            return not_ready("the node's processes are being started or stopped".to_owned());
        };
        let Some((_, node)) = &state.node else {
            return not_ready("the node's processes are not started".to_owned());
        };
        let ended = node.status().into_iter().find(|child| child.state != ChildState::Running);
        if let Some(child) = ended {
            let exit = child.last_exit.unwrap_or_else(|| "starting".to_owned());
            return not_ready(format!("{} does not run ({exit}); its log lines say why", child.name));
        }
        if let Err(error) = node.healthy().await {
            return not_ready(crate::with_causes(&error));
        }
        NodeStatus { ready: true, reason: None, pods: self.pods(node).await }
    }
}

/// Whether only certificates differ, so that pods and processes can stay.
fn same_cluster(running: &NodeConfig, wanted: &NodeConfig) -> bool {
    let of = |config: &NodeConfig| {
        (
            config.name.clone(),
            config.apiserver.clone(),
            (config.server_ca.clone(), config.client_ca.clone()),
            config.cluster_cidr.clone(),
            (config.backend, config.proxy_mode, config.disabled.clone()),
            (config.cluster_dns, config.cluster_domain.clone()),
        )
    };
    of(running) == of(wanted)
}

fn credentials(bundle: &NodeBundle) -> NodeCredentials {
    let identity = |keyed: &KeyedCertificate| Identity {
        certificate: keyed.certificate_pem.clone(),
        key: keyed.key_pem.clone(),
    };
    NodeCredentials {
        kubelet_client: identity(&bundle.client_kubelet),
        kubelet_server: identity(&bundle.serving_kubelet),
        proxy_client: identity(&bundle.client_kube_proxy),
    }
}

fn failed(error: NodeError) -> NodeAgentError {
    NodeAgentError(Box::new(error))
}

fn said(text: &str) -> NodeAgentError {
    NodeAgentError(text.into())
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::ClusterSettings;
    use crate::agent::Gone;

    pub(crate) fn bundle() -> NodeBundle {
        let keyed = |name: &str| KeyedCertificate {
            certificate_pem: format!("{name} certificate"),
            key_pem: format!("{name} key").into(),
        };
        NodeBundle {
            node_name: "n1".into(),
            client_kubelet: keyed("client"),
            serving_kubelet: keyed("server"),
            client_kube_proxy: keyed("proxy"),
            client_ca_pem: "client CA".into(),
            server_ca_pem: "server CA".into(),
            apiservers: vec!["10.0.0.1:6443".into(), "10.0.0.2:6443".into()],
            settings: ClusterSettings {
                cluster_domain: "cluster.local".into(),
                cluster_dns: IpAddr::from([10, 43, 0, 10]),
                cluster_cidr: "10.42.0.0/16".into(),
                flannel_backend: FlannelBackend::Vxlan,
                kube_proxy_mode: ProxyMode::Nftables,
                disable: Disabled::default(),
            },
        }
    }

    fn node(state_dir: PathBuf) -> EngineNode {
        EngineNode::new(EngineNodeConfig {
            binary: state_dir.join("no-such-binary"),
            state_dir,
            address: IpAddr::from([10, 0, 0, 9]),
            kubelet_port: default_kubelet_port(),
            healthz_port: default_healthz_port(),
            proxy_healthz_port: 10256,
            proxy_metrics_port: 10249,
        })
    }

    #[test]
    fn a_node_is_made_of_what_the_cluster_and_this_machine_say() {
        let config = node("s".into()).node_config(&bundle()).unwrap();
        assert_eq!((config.name.as_str(), config.apiserver.as_str()), ("n1", "https://10.0.0.1:6443"));
        assert_eq!(config.cluster_cidr, "10.42.0.0/16");
        assert_eq!((config.backend, config.proxy_mode), (FlannelBackend::Vxlan, ProxyMode::Nftables));
        assert_eq!((config.server_ca.as_str(), config.client_ca.as_str()), ("server CA", "client CA"));
        assert_eq!((config.address, config.kubelet_port), (IpAddr::from([10, 0, 0, 9]), 10250));
        let credentials = credentials(&bundle());
        assert_eq!(credentials.kubelet_server.certificate, "server certificate");
        assert_eq!(*credentials.proxy_client.key, "proxy key");
        assert_eq!(*credentials.kubelet_client.key, "client key");

        let nowhere = NodeBundle { apiservers: vec![], ..bundle() };
        let error = node("s".into()).node_config(&nowhere).unwrap_err();
        assert_eq!(error.to_string(), "the gateway named no apiserver");
    }

    #[test]
    fn only_new_certificates_leave_the_node_running() {
        let node = node("s".into());
        let running = node.node_config(&bundle()).unwrap();
        let mut renewed = bundle();
        renewed.client_kubelet.certificate_pem = "another".into();
        assert!(same_cluster(&running, &node.node_config(&renewed).unwrap()));
        for changed in [
            NodeBundle { apiservers: vec!["10.0.0.2:6443".into()], ..bundle() },
            NodeBundle { server_ca_pem: "another".into(), ..bundle() },
            NodeBundle { client_ca_pem: "another".into(), ..bundle() },
            NodeBundle { node_name: "n2".into(), ..bundle() },
        ] {
            assert!(!same_cluster(&running, &node.node_config(&changed).unwrap()));
        }
    }

    #[tokio::test]
    async fn a_node_that_never_ran_is_not_ready_and_stops_without_touching_anything() {
        let dir = tempfile::tempdir().unwrap();
        let node = node(dir.path().join("never"));
        let status = node.status().await;
        assert_eq!(
            (status.ready, status.reason.as_deref()),
            (false, Some("the node's processes are not started"))
        );
        node.stop(StopReason::Shutdown).await.unwrap();
        node.stop(StopReason::Gone(Gone::Revoked)).await.unwrap();
        assert!(!dir.path().join("never").exists());
    }
}
