use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;

use super::Call;
use crate::node::FlannelBackend;

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

/// What `k3s server` runs with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct K3sServer {
    /// Folder for its state.
    pub data_dir: PathBuf,
    /// Where it keeps its objects.
    pub datastore: Datastore,
    /// File with the shared secret of its own supervisor, by which no node of ours joins.
    pub token_file: String,
    /// Where apiserver and supervisor listen.
    pub listen: SocketAddr,
    /// Address by which nodes reach the apiserver.
    pub advertise_address: IpAddr,
    /// Further names and addresses in its certificate.
    pub names: Vec<String>,
    /// Range of pods, CIDR.
    pub cluster_cidr: String,
    /// Range of services, CIDR.
    pub service_cidr: String,
    /// Address of the DNS service.
    pub cluster_dns: IpAddr,
    /// Domain of services.
    pub cluster_domain: String,
    /// How pods of different nodes reach each other.
    pub backend: FlannelBackend,
    /// Packaged components that are left out, by K3s' names.
    pub disabled: Vec<String>,
    /// Where the administrator's kubeconfig goes.
    pub kubeconfig: PathBuf,
}

impl K3sServer {
    /// Arguments and environment of `k3s`.
    pub fn call(&self) -> Call {
        let mut call = Call::new("server");
        call.flag("data-dir", self.data_dir.display());
        call.flag("datastore-endpoint", &self.datastore.endpoint);
        call.flag("datastore-cafile", self.datastore.ca_file.display());
        call.flag("datastore-certfile", self.datastore.cert_file.display());
        call.flag("datastore-keyfile", self.datastore.key_file.display());
        call.flag("bind-address", self.listen.ip());
        call.flag("https-listen-port", self.listen.port());
        call.flag("advertise-address", self.advertise_address);
        for name in &self.names {
            call.flag("tls-san", name);
        }
        call.flag("cluster-cidr", &self.cluster_cidr);
        call.flag("service-cidr", &self.service_cidr);
        call.flag("cluster-dns", self.cluster_dns);
        call.flag("cluster-domain", &self.cluster_domain);
        call.flag("flannel-backend", self.backend.k3s_name());
        if !self.disabled.is_empty() {
            call.flag("disable", self.disabled.join(","));
        }
        call.flag("write-kubeconfig", self.kubeconfig.display());
        call.flag("write-kubeconfig-mode", "600");
        call.env("K3S_TOKEN_FILE", &self.token_file);
        call
    }
}
