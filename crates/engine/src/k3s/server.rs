use std::net::SocketAddr;
use std::path::PathBuf;

use super::Call;

/// The store as an etcd endpoint: K3s reaches etcd by TCP only, so with TLS and a client certificate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Datastore {
    /// `https://127.0.0.1:PORT`.
    pub endpoint: String,
    /// CA of the store's certificate.
    pub ca_file: PathBuf,
    /// Client certificate.
    pub cert_file: PathBuf,
    /// Its key.
    pub key_file: PathBuf,
}

/// What `k3s server` runs with: a control plane and nothing else, no node of its own, none of the packaged components.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct K3sServer {
    /// Folder for its state.
    pub data_dir: PathBuf,
    /// Read in place of `/etc/rancher/k3s/config.yaml`.
    pub config_file: PathBuf,
    /// Where it keeps its objects.
    pub datastore: Datastore,
    /// File with the shared secret of its own supervisor, by which no node of ours joins.
    pub token_file: String,
    /// Where its supervisor listens; its apiserver is on loopback at the next port.
    pub listen: SocketAddr,
    /// Where nodes reach the apiserver.
    pub advertise: SocketAddr,
    /// Names and addresses in its certificate.
    pub names: Vec<String>,
    /// Range of pods, CIDR.
    pub cluster_cidr: String,
    /// Range of services, CIDR.
    pub service_cidr: String,
    /// Domain of services.
    pub cluster_domain: String,
    /// Packaged components that are left out, by K3s' names.
    pub disabled: Vec<String>,
    /// Where the administrator's kubeconfig goes.
    pub kubeconfig: PathBuf,
    /// Flags of kube-apiserver, without their dashes.
    pub apiserver_args: Vec<(&'static str, String)>,
    /// Flags of kube-controller-manager.
    pub controller_manager_args: Vec<(&'static str, String)>,
}

impl K3sServer {
    /// Arguments and environment of `k3s`.
    pub fn call(&self) -> Call {
        let mut call = Call::new("server");
        call.flag("config", self.config_file.display());
        call.flag("data-dir", self.data_dir.display());
        call.flag("datastore-endpoint", &self.datastore.endpoint);
        call.flag("datastore-cafile", self.datastore.ca_file.display());
        call.flag("datastore-certfile", self.datastore.cert_file.display());
        call.flag("datastore-keyfile", self.datastore.key_file.display());
        call.flag("bind-address", self.listen.ip());
        call.flag("https-listen-port", self.listen.port());
        call.flag("advertise-address", self.advertise.ip());
        call.flag("advertise-port", self.advertise.port());
        for name in &self.names {
            call.flag("tls-san", name);
        }
        call.flag("cluster-cidr", &self.cluster_cidr);
        call.flag("service-cidr", &self.service_cidr);
        call.flag("cluster-domain", &self.cluster_domain);
        // Nodes are ours, with the network of ours and the way to them.
        call.args.push("--disable-agent".to_owned());
        call.flag("flannel-backend", "none");
        call.flag("egress-selector-mode", "disabled");
        for part in ["cloud-controller", "network-policy", "helm-controller"] {
            call.args.push(format!("--disable-{part}"));
        }
        if !self.disabled.is_empty() {
            call.flag("disable", self.disabled.join(","));
        }
        call.flag("write-kubeconfig", self.kubeconfig.display());
        call.flag("write-kubeconfig-mode", "600");
        for (name, value) in &self.apiserver_args {
            call.flag("kube-apiserver-arg", format_args!("{name}={value}"));
        }
        for (name, value) in &self.controller_manager_args {
            call.flag("kube-controller-manager-arg", format_args!("{name}={value}"));
        }
        call.env("K3S_TOKEN_FILE", &self.token_file);
        call
    }
}
