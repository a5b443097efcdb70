use std::net::IpAddr;
use std::path::PathBuf;

use super::LIFETIME_SECONDS;
use super::access;
use super::config::ControlPlaneConfig;
use super::error::ControlPlaneError;
use super::kubeconfig::{Kubeconfig, User};
use super::webhooks;
use crate::pki::{ClusterPki, Profile};
use crate::supervise::Program;

/// Common name of the certificate by which extension apiservers know kube-apiserver.
const AGGREGATOR: &str = "k3s-daas:aggregator";
/// Controllers that run: the gateway signs certificates, and nobody else is to.
pub(crate) const CONTROLLERS: &str =
    "*,-certificatesigningrequest-signing-controller,-certificatesigningrequest-approving-controller";
/// Issuer and default audience of service-account tokens.
pub const SERVICE_ACCOUNT_ISSUER: &str = "https://kubernetes.default.svc.cluster.local";

pub(crate) fn apiserver(
    config: &ControlPlaneConfig,
    pki: &ClusterPki,
    now_ms: u64,
) -> Result<Program, ControlPlaneError> {
    let mut names = vec![
        "localhost".to_owned(),
        "kubernetes".to_owned(),
        "kubernetes.default".to_owned(),
        "kubernetes.default.svc".to_owned(),
        format!("kubernetes.default.svc.{}", config.cluster_domain),
    ];
    let mut addresses = vec![IpAddr::from([127, 0, 0, 1]), config.advertise_address];
    addresses.extend(config.service_address());
    for name in &config.names {
        match name.parse() {
            Ok(address) => addresses.push(address),
            Err(_) => names.push(name.clone()),
        }
    }
    let serving =
        pki.issue(&Profile::server("kube-apiserver", &names, &addresses, LIFETIME_SECONDS), now_ms)?;
    let to_kubelets = Profile::client("kube-apiserver-kubelet-client", &["system:masters"], LIFETIME_SECONDS);
    let to_kubelets = pki.issue(&to_kubelets, now_ms)?;

    let aggregator = pki.issue_request_header(&Profile::client(AGGREGATOR, &[], LIFETIME_SECONDS), now_ms)?;

    let mut program = program(config, "kube-apiserver");
    let aggregator_key = program.secret(aggregator.key.as_bytes());
    let serving_key = program.secret(serving.key.as_bytes());
    let kubelet_key = program.secret(to_kubelets.key.as_bytes());
    let accounts_key = program.secret(pki.service_account_key().as_bytes());
    let flag = |name: &str, value: &str| format!("--{name}={value}");
    let files = [
        ("client-ca-file", file(config, "client-ca.crt", pki.client_ca_pem())?),
        ("tls-cert-file", file(config, "apiserver.crt", &serving.certificate)?),
        ("kubelet-client-certificate", file(config, "kubelet-client.crt", &to_kubelets.certificate)?),
        (
            "service-account-key-file",
            file(config, "service-accounts.pub", &pki.service_account_public_key()?)?,
        ),
        ("kubelet-certificate-authority", file(config, "kubelet-ca.crt", pki.kubelet_ca_pem())?),
    ];
    for (name, path) in files {
        program = program.arg(flag(name, &path));
    }
    program = program.args([
        flag("tls-private-key-file", &serving_key),
        flag("kubelet-client-key", &kubelet_key),
        flag("service-account-signing-key-file", &accounts_key),
        flag("service-account-issuer", SERVICE_ACCOUNT_ISSUER),
        flag("api-audiences", SERVICE_ACCOUNT_ISSUER),
        flag("etcd-servers", &config.etcd_endpoint),
        flag("bind-address", &config.listen.ip().to_string()),
        flag("secure-port", &config.listen.port().to_string()),
        flag("advertise-address", &config.advertise_address.to_string()),
        flag("service-cluster-ip-range", &config.service_cidr),
        flag("endpoint-reconciler-type", config.endpoint_reconciler()),
        flag("kubelet-preferred-address-types", kubelet_address_types(config)),
        flag("enable-admission-plugins", "NodeRestriction"),
        flag("allow-privileged", "true"),
        flag("profiling", "false"),
    ]);
    let requests = file(config, "request-header-ca.crt", pki.request_header_ca_pem())?;
    let anonymous = file(config, "authentication.json", &access::authentication())?;
    program = program.args([
        flag("authentication-config", &anonymous),
        flag("requestheader-client-ca-file", &requests),
        flag("requestheader-allowed-names", AGGREGATOR),
        flag("requestheader-username-headers", "X-Remote-User"),
        flag("requestheader-group-headers", "X-Remote-Group"),
        flag("requestheader-extra-headers-prefix", "X-Remote-Extra-"),
        flag("proxy-client-cert-file", &file(config, "aggregator.crt", &aggregator.certificate)?),
        flag("proxy-client-key-file", &aggregator_key),
    ]);
    if let Some(socket) = &config.kubelet_egress {
        let selector = file(config, "egress.json", &access::egress(socket))?;
        program = program.arg(flag("egress-selector-config-file", &selector));
    }
    let Some(asked) = &config.webhooks else {
        return Ok(program.arg("--authorization-mode=Node,RBAC"));
    };
    let secrets = webhooks::Files {
        token_review: program.secret(webhooks::kubeconfig(asked, &asked.token_review)),
        authorize: program.secret(webhooks::kubeconfig(asked, &asked.authorize)),
        audit: program.secret(webhooks::kubeconfig(asked, &asked.audit)),
    };
    let audit_policy = file(config, "audit-policy.json", &access::audit_policy())?;
    let authorization = file(config, "authorization.json", &access::authorization(&secrets.authorize))?;
    let flags = secrets.flags(authorization, audit_policy).map(|(name, value)| flag(name, &value));
    Ok(program.args(flags).arg("--authentication-token-success-cache-ttl=0s"))
}

/// How kube-apiserver and metrics-server call nodes. The egress proxy wants names, which are pinned on chain: behind
/// routers many nodes have the same address. Without it names mean nothing.
pub(super) fn kubelet_address_types(config: &ControlPlaneConfig) -> &'static str {
    if config.kubelet_egress.is_some() { "Hostname,InternalIP" } else { "InternalIP" }
}

pub(crate) fn controller_manager(
    config: &ControlPlaneConfig,
    pki: &ClusterPki,
    now_ms: u64,
) -> Result<Program, ControlPlaneError> {
    let name = "kube-controller-manager";
    let (program, kubeconfig) = with_kubeconfig(config, pki, now_ms, name, "system:kube-controller-manager")?;
    let mut program = program;
    let accounts_key = program.secret(pki.service_account_key().as_bytes());
    let root_ca = file(config, "server-ca.crt", pki.ca_pem())?;
    Ok(program.args([
        format!("--kubeconfig={kubeconfig}"),
        format!("--authentication-kubeconfig={kubeconfig}"),
        format!("--authorization-kubeconfig={kubeconfig}"),
        format!("--service-account-private-key-file={accounts_key}"),
        format!("--root-ca-file={root_ca}"),
        format!("--cluster-cidr={}", config.cluster_cidr),
        format!("--service-cluster-ip-range={}", config.service_cidr),
        "--allocate-node-cidrs=true".to_owned(),
        "--use-service-account-credentials=true".to_owned(),
        "--leader-elect=false".to_owned(),
        format!("--controllers={CONTROLLERS}"),
        "--bind-address=127.0.0.1".to_owned(),
        "--secure-port=0".to_owned(),
        "--profiling=false".to_owned(),
    ]))
}

pub(crate) fn scheduler(
    config: &ControlPlaneConfig,
    pki: &ClusterPki,
    now_ms: u64,
) -> Result<Program, ControlPlaneError> {
    let (program, kubeconfig) =
        with_kubeconfig(config, pki, now_ms, "kube-scheduler", "system:kube-scheduler")?;
    Ok(program.args([
        format!("--kubeconfig={kubeconfig}"),
        format!("--authentication-kubeconfig={kubeconfig}"),
        format!("--authorization-kubeconfig={kubeconfig}"),
        "--leader-elect=false".to_owned(),
        "--bind-address=127.0.0.1".to_owned(),
        "--secure-port=0".to_owned(),
        "--profiling=false".to_owned(),
    ]))
}

pub(super) fn with_kubeconfig(
    config: &ControlPlaneConfig,
    pki: &ClusterPki,
    now_ms: u64,
    name: &str,
    user: &str,
) -> Result<(Program, String), ControlPlaneError> {
    let identity = pki.issue(&Profile::client(user, &[], LIFETIME_SECONDS), now_ms)?;
    let server = config.local_url();
    let kubeconfig =
        Kubeconfig { server: &server, ca: pki.ca_pem(), user: User::Identity(&identity) }.render();
    let mut program = program(config, name);
    let path = program.secret(kubeconfig);
    Ok((program, path))
}

fn program(config: &ControlPlaneConfig, name: &str) -> Program {
    Program::new(name, &config.binary, &config.state_dir).only_env(&[]).arg(name)
}

/// Writes what is not secret; gives its path.
pub(super) fn file(
    config: &ControlPlaneConfig,
    name: &str,
    content: &str,
) -> Result<String, ControlPlaneError> {
    let path: PathBuf = config.state_dir.join(name);
    std::fs::write(&path, content).map_err(|source| ControlPlaneError::Io { path: path.clone(), source })?;
    Ok(path.to_string_lossy().into_owned())
}
