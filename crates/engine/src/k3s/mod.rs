//! The `k3s` engine: what `k3s server` is called with to keep its state in our store, and `k3s agent` to join a gateway of
//! ours. The flags are those that docs.k3s.io documents.

mod agent;
mod error;
mod home;
mod server;
mod version;

use std::path::{Path, PathBuf};

use crate::supervise::Program;

pub use agent::K3sAgent;
pub use error::K3sError;
pub use home::{K3sHome, StoreTls};
pub(crate) use home::{STORE_CA, STORE_CERT, STORE_KEY};
pub use server::{Datastore, K3sServer};
pub use version::version;

/// What a program is called with.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Call {
    /// Arguments, the subcommand first. None is secret.
    pub args: Vec<String>,
    /// Environment variables. None is secret: tokens are named by file.
    pub env: Vec<(String, String)>,
}

impl Call {
    /// The program that makes this call, on behalf of `state_dir`. Of our environment it gets what finds programs and a home.
    pub fn program(&self, name: &str, binary: &Path, state_dir: &Path) -> Program {
        let program = Program::new(name, binary, state_dir).only_env(&["HOME"]).args(&self.args);
        self.env.iter().fold(program, |program, (name, value)| program.env(name, value))
    }

    fn new(subcommand: &str) -> Self {
        Self { args: vec![subcommand.to_owned()], env: Vec::new() }
    }

    fn flag(&mut self, name: &str, value: impl std::fmt::Display) {
        self.args.push(format!("--{name}={value}"));
    }

    fn env(&mut self, name: &str, value: impl std::fmt::Display) {
        self.env.push((name.to_owned(), value.to_string()));
    }
}

/// The binary `named`, else `k3s` in the usual directories.
///
/// # Errors
/// [`K3sError::Missing`].
pub fn binary(named: Option<&Path>) -> Result<PathBuf, K3sError> {
    match named {
        Some(path) if path.is_file() => Ok(path.to_owned()),
        Some(path) => Err(K3sError::Missing { place: format!("at {}", path.display()) }),
        None => crate::node::find("k3s").ok_or_else(|| K3sError::Missing { place: "in PATH".to_owned() }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// From docs.k3s.io/cli/server, /cli/agent and, for `disable-agent`, /advanced; a server takes an agent's flags too.
    const SERVER_FLAGS: [&str; 28] = [
        "config",
        "disable-agent",
        "advertise-port",
        "kube-apiserver-arg",
        "kube-controller-manager-arg",
        "kube-scheduler-arg",
        "datastore-endpoint",
        "datastore-cafile",
        "datastore-certfile",
        "datastore-keyfile",
        "write-kubeconfig",
        "write-kubeconfig-mode",
        "bind-address",
        "https-listen-port",
        "advertise-address",
        "tls-san",
        "data-dir",
        "cluster-cidr",
        "service-cidr",
        "service-node-port-range",
        "cluster-dns",
        "cluster-domain",
        "flannel-backend",
        "egress-selector-mode",
        "disable",
        "disable-cloud-controller",
        "disable-network-policy",
        "disable-helm-controller",
    ];
    const AGENT_FLAGS: [&str; 8] = [
        "data-dir",
        "node-name",
        "node-ip",
        "node-label",
        "node-taint",
        "resolv-conf",
        "kubelet-arg",
        "kube-proxy-arg",
    ];
    const ENVIRONMENT: [&str; 5] =
        ["K3S_TOKEN_FILE", "K3S_URL", "K3S_DATASTORE_ENDPOINT", "K3S_NODE_NAME", "K3S_DATA_DIR"];

    fn server() -> K3sServer {
        K3sServer {
            data_dir: PathBuf::from("/dev/shm/k3s"),
            config_file: PathBuf::from("/dev/shm/k3s/ours/config.yaml"),
            datastore: Datastore {
                endpoint: "https://127.0.0.1:2379".to_owned(),
                ca_file: PathBuf::from("/run/ca.crt"),
                cert_file: PathBuf::from("/run/client.crt"),
                key_file: PathBuf::from("/run/client.key"),
            },
            token_file: "/dev/shm/k3s/ours/token".to_owned(),
            listen: "127.0.0.1:16443".parse().unwrap(),
            advertise: "192.0.2.1:6443".parse().unwrap(),
            names: vec!["master.example".to_owned()],
            cluster_cidr: "10.42.0.0/16".to_owned(),
            service_cidr: "10.43.0.0/16".to_owned(),
            cluster_domain: "cluster.local".to_owned(),
            disabled: vec!["traefik".to_owned(), "metrics-server".to_owned()],
            kubeconfig: PathBuf::from("/dev/shm/k3s/ours/admin.yaml"),
            apiserver_args: vec![("authorization-config", "/dev/shm/k3s/ours/authorization.json".to_owned())],
            controller_manager_args: vec![("controllers", "*,-one".to_owned())],
        }
    }

    fn agent() -> K3sAgent {
        K3sAgent {
            data_dir: PathBuf::from("/var/lib/k3s-daas/k3s"),
            gateway: "https://master.example:9345".to_owned(),
            token_file: "/proc/self/fd/40".to_owned(),
            node_name: "n1".to_owned(),
            node_ip: "192.168.1.10".parse().unwrap(),
        }
    }

    fn names(call: &Call) -> Vec<&str> {
        call.args[1..].iter().map(|arg| arg.strip_prefix("--").unwrap().split('=').next().unwrap()).collect()
    }

    #[test]
    fn only_documented_flags_and_variables_are_used() {
        let (server, agent) = (server().call(), agent().call());
        assert_eq!((server.args[0].as_str(), agent.args[0].as_str()), ("server", "agent"));
        for name in names(&server) {
            assert!(SERVER_FLAGS.contains(&name) || AGENT_FLAGS.contains(&name), "server --{name}");
        }
        for name in names(&agent) {
            assert!(AGENT_FLAGS.contains(&name), "agent --{name}");
        }
        for (name, _) in server.env.iter().chain(&agent.env) {
            assert!(ENVIRONMENT.contains(&name.as_str()), "{name}");
        }
    }

    #[test]
    fn a_server_keeps_its_state_in_our_store() {
        let call = server().call();
        for arg in [
            "--datastore-endpoint=https://127.0.0.1:2379",
            "--datastore-cafile=/run/ca.crt",
            "--datastore-certfile=/run/client.crt",
            "--datastore-keyfile=/run/client.key",
            "--config=/dev/shm/k3s/ours/config.yaml",
            "--https-listen-port=16443",
            "--bind-address=127.0.0.1",
            "--advertise-address=192.0.2.1",
            "--advertise-port=6443",
            "--tls-san=master.example",
            "--cluster-cidr=10.42.0.0/16",
            "--service-cidr=10.43.0.0/16",
            "--disable-agent",
            "--flannel-backend=none",
            "--disable=traefik,metrics-server",
            "--write-kubeconfig-mode=600",
            "--kube-apiserver-arg=authorization-config=/dev/shm/k3s/ours/authorization.json",
            "--kube-controller-manager-arg=controllers=*,-one",
        ] {
            assert!(call.args.iter().any(|found| found == arg), "{arg} is not in {:?}", call.args);
        }
        assert_eq!(call.env, [("K3S_TOKEN_FILE".to_owned(), "/dev/shm/k3s/ours/token".to_owned())]);
        let bare = K3sServer { names: vec![], disabled: vec![], ..server() }.call();
        assert!(!bare.args.iter().any(|arg| arg.starts_with("--tls-san") || arg.starts_with("--disable=")));
    }

    #[test]
    fn an_agent_joins_our_gateway_under_its_pinned_name() {
        let call = agent().call();
        assert_eq!(
            call.args,
            ["agent", "--data-dir=/var/lib/k3s-daas/k3s", "--node-name=n1", "--node-ip=192.168.1.10",]
        );
        let env =
            |name: &str| call.env.iter().find(|(found, _)| found == name).map(|(_, value)| value.as_str());
        assert_eq!(env("K3S_URL"), Some("https://master.example:9345"));
        assert_eq!(env("K3S_TOKEN_FILE"), Some("/proc/self/fd/40"));
    }
}
