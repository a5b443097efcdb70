//! `k3s server` in place of kube-apiserver, kube-controller-manager and kube-scheduler.

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;

use zeroize::Zeroizing;

use super::access;
use super::config::ControlPlaneConfig;
use super::error::ControlPlaneError;
use super::programs::{CONTROLLERS, SERVICE_ACCOUNT_ISSUER, kubelet_address_types};
use super::webhooks;
use crate::k3s::{Datastore, K3sError, K3sHome, K3sServer, STORE_CA, STORE_CERT, STORE_KEY};
use crate::pki::ClusterPki;
use crate::supervise::Program;

/// All that K3s packages: what stands in for it runs beside it, as with the other engine.
const PACKAGED: [&str; 5] = ["coredns", "servicelb", "traefik", "local-storage", "metrics-server"];

/// `k3s server`, and where it is.
#[derive(Clone, Debug)]
pub struct K3sEngine {
    /// The binary.
    pub binary: PathBuf,
    /// Its directory, with the store's certificates in it.
    pub home: K3sHome,
    /// The shared secret of its own supervisor: nobody is told it. The same at each start, since K3s encrypts with it what it keeps in
    /// the datastore for itself.
    pub token: Zeroizing<String>,
    /// Port of its supervisor, on loopback; kube-apiserver is at the next one.
    pub port: u16,
}

impl K3sEngine {
    /// kube-apiserver itself. Nodes are led here and not to the supervisor, whose join endpoints would sign them certificates of the
    /// server CA, for addresses of their choice.
    pub(crate) fn apiserver(&self) -> SocketAddr {
        SocketAddr::from((Ipv4Addr::LOCALHOST, self.port.saturating_add(1)))
    }
}

pub(crate) fn server(
    config: &ControlPlaneConfig,
    engine: &K3sEngine,
    pki: &ClusterPki,
) -> Result<Program, ControlPlaneError> {
    let home = &engine.home;
    home.take_keys(pki)?;
    let write = |name: &str, content: &str| -> Result<String, K3sError> {
        Ok(home.write(name, content)?.to_string_lossy().into_owned())
    };
    let own = ["127.0.0.1".to_owned(), "localhost".to_owned(), config.advertise_address.to_string()];
    let names: BTreeSet<String> = own.into_iter().chain(config.names.iter().cloned()).collect();
    let mut apiserver = vec![
        ("kubelet-certificate-authority", write("kubelet-ca.crt", pki.kubelet_ca_pem())?),
        ("kubelet-preferred-address-types", kubelet_address_types(config).to_owned()),
        // Its own default is the file with the private key, which is of another form than K3s makes.
        ("service-account-key-file", write("service-accounts.pub", &pki.service_account_public_key()?)?),
        ("service-account-issuer", SERVICE_ACCOUNT_ISSUER.to_owned()),
        ("api-audiences", SERVICE_ACCOUNT_ISSUER.to_owned()),
        ("endpoint-reconciler-type", config.endpoint_reconciler().to_owned()),
    ];
    if let Some(socket) = &config.kubelet_egress {
        apiserver.push(("egress-selector-config-file", write("egress.json", &access::egress(socket))?));
    }
    if let Some(asked) = &config.webhooks {
        let files = webhooks::Files {
            token_review: write(
                "token-review.kubeconfig",
                &webhooks::kubeconfig(asked, &asked.token_review),
            )?,
            authorize: write("authorize.kubeconfig", &webhooks::kubeconfig(asked, &asked.authorize))?,
            audit: write("audit.kubeconfig", &webhooks::kubeconfig(asked, &asked.audit))?,
        };
        let policy = write("audit-policy.json", &access::audit_policy())?;
        let authorization = write("authorization.json", &access::authorization(&files.authorize))?;
        apiserver.extend(files.flags(authorization, policy));
    }
    let call = K3sServer {
        data_dir: home.data_dir().to_owned(),
        // Settings of the machine are none of the cluster's.
        config_file: home.write("config.yaml", "{}\n")?,
        datastore: Datastore {
            endpoint: config.etcd_endpoint.clone(),
            ca_file: home.file(STORE_CA),
            cert_file: home.file(STORE_CERT),
            key_file: home.file(STORE_KEY),
        },
        token_file: write("token", &engine.token)?,
        listen: SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), engine.port),
        advertise: SocketAddr::new(config.advertise_address, config.listen.port()),
        names: names.into_iter().collect(),
        cluster_cidr: config.cluster_cidr.clone(),
        service_cidr: config.service_cidr.clone(),
        cluster_domain: config.cluster_domain.clone(),
        disabled: PACKAGED.map(str::to_owned).to_vec(),
        kubeconfig: home.file("admin.yaml"),
        apiserver_args: apiserver,
        controller_manager_args: vec![("controllers", CONTROLLERS.to_owned())],
    };
    Ok(call.call().program("k3s-server", &engine.binary, &config.state_dir))
}
