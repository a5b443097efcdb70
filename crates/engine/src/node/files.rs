use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::Path;

use serde_json::{Value, json};
use zeroize::Zeroizing;

use super::cgroups::{self, Cgroups};
use super::config::{NodeConfig, NodeCredentials};
use super::dns;
use super::error::{NodeError, io};
use super::image::PAUSE_IMAGE;
use super::network::CNI_BINARIES;
use crate::control_plane::{Kubeconfig, User};

/// Certificates with their keys.
const KUBELET_CLIENT: &str = "kubelet-client.pem";
const KUBELET_SERVER: &str = "kubelet-server.pem";
const PROXY_CLIENT: &str = "kube-proxy.pem";
/// A socket's path is shorter than this (unix(7)), `.ttrpc` that containerd adds included.
const MAX_SOCKET_PATH: usize = 108 - ".ttrpc".len();

/// Writes the configuration of containerd, the network, kubelet and kube-proxy.
pub(crate) fn write(
    config: &NodeConfig,
    credentials: &NodeCredentials,
    cgroups: &Cgroups,
) -> Result<(), NodeError> {
    if !Path::new(CNI_BINARIES).join("bridge").exists() {
        return Err(NodeError::Missing {
            name: "/usr/lib/cni/bridge",
            package: "containernetworking-plugins",
        });
    }
    let socket = config.containerd_socket();
    if socket.as_os_str().len() >= MAX_SOCKET_PATH {
        return Err(NodeError::LongPath { path: socket, max: MAX_SOCKET_PATH - 1 });
    }
    let files = config.files();
    for dir in [&files, &files.join("cni"), &config.containerd_dir(), &config.kubelet_dir()] {
        std::fs::DirBuilder::new().recursive(true).mode(0o700).create(dir).map_err(io(dir))?;
    }
    write_credentials(config, credentials)?;
    let write = |name: &str, content: &str| {
        let path = files.join(name);
        std::fs::write(&path, content).map_err(io(&path))
    };
    write("containerd.toml", &containerd(config))?;
    write("flannel.json", &config.backend.net_conf(&config.cluster_cidr).to_string())?;
    write("Corefile", &dns::corefile(config, Path::new(resolv_conf())))?;
    write("client-ca.crt", &config.client_ca)?;
    write("kubelet.json", &kubelet(config, cgroups).to_string())?;
    write("kube-proxy.json", &proxy(config).to_string())?;
    for (name, identity) in [("kubelet", KUBELET_CLIENT), ("kube-proxy", PROXY_CLIENT)] {
        let path = files.join(identity).to_string_lossy().into_owned();
        let user = User::Files { certificate: &path, key: &path };
        let text = Kubeconfig { server: &config.apiserver, ca: &config.server_ca, user }.render();
        write(&format!("{name}.kubeconfig"), &text)?;
    }
    Ok(())
}

/// Writes certificates and keys, for this user only. A certificate and its key share a file that is replaced
/// whole: whoever reads it again never sees one without the other.
pub(crate) fn write_credentials(config: &NodeConfig, credentials: &NodeCredentials) -> Result<(), NodeError> {
    let files = config.files();
    for (name, identity) in [
        (KUBELET_CLIENT, &credentials.kubelet_client),
        (KUBELET_SERVER, &credentials.kubelet_server),
        (PROXY_CLIENT, &credentials.proxy_client),
    ] {
        let content = Zeroizing::new(format!("{}\n{}", identity.certificate.trim_end(), *identity.key));
        replace(&files.join(name), &content)?;
    }
    Ok(())
}

pub(crate) fn replace(path: &Path, content: &str) -> Result<(), NodeError> {
    use std::io::Write;
    let temporary = path.with_extension("tmp");
    let mut file = std::fs::OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(&temporary)
        .map_err(io(&temporary))?;
    file.write_all(content.as_bytes()).map_err(io(&temporary))?;
    std::fs::rename(&temporary, path).map_err(io(path))
}

/// containerd 1.6 and newer, configuration version 2.
fn containerd(config: &NodeConfig) -> String {
    let quoted = |path: &Path| json!(path.to_string_lossy()).to_string();
    let dir = config.containerd_dir();
    format!(
        r#"version = 2
root = {root}
state = {state}
disabled_plugins = ["io.containerd.internal.v1.opt"]
[grpc]
address = {socket}
[plugins."io.containerd.grpc.v1.cri"]
sandbox_image = "{PAUSE_IMAGE}"
restrict_oom_score_adj = {restrict}
disable_apparmor = {no_apparmor}
netns_mounts_under_state_dir = true
disable_tcp_service = true
[plugins."io.containerd.grpc.v1.cri".cni]
bin_dir = "{CNI_BINARIES}"
conf_dir = {cni}
[plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
runtime_type = "io.containerd.runc.v2"
[plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc.options]
SystemdCgroup = false
"#,
        root = quoted(&dir.join("root")),
        state = quoted(&dir.join("state")),
        socket = quoted(&config.containerd_socket()),
        cni = quoted(&config.files().join("cni")),
        restrict = !may_change_oom_score(),
        no_apparmor = !Path::new("/sys/kernel/security/apparmor/profiles").exists(),
    )
}

/// Whether this process holds CAP_SYS_RESOURCE (bit 24); without it a container's lower score is refused.
fn may_change_oom_score() -> bool {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    status
        .lines()
        .find_map(|line| line.strip_prefix("CapEff:"))
        .and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok())
        .is_some_and(|mask| mask & (1 << 24) != 0)
}

fn kubelet(config: &NodeConfig, cgroups: &Cgroups) -> Value {
    let files = config.files();
    let socket = format!("unix://{}", config.containerd_socket().display());
    json!({
        "apiVersion": "kubelet.config.k8s.io/v1beta1",
        "kind": "KubeletConfiguration",
        "address": "0.0.0.0",
        "port": config.kubelet_port,
        "healthzBindAddress": "127.0.0.1",
        "healthzPort": config.healthz_port,
        "readOnlyPort": 0,
        "authentication": {
            "anonymous": { "enabled": false },
            "webhook": { "enabled": true, "cacheTTL": "1s" },
            "x509": { "clientCAFile": files.join("client-ca.crt") },
        },
        "authorization": {
            "mode": "Webhook",
            "webhook": { "cacheAuthorizedTTL": "1s", "cacheUnauthorizedTTL": "1s" },
        },
        "tlsCertFile": files.join(KUBELET_SERVER),
        "tlsPrivateKeyFile": files.join(KUBELET_SERVER),
        "containerRuntimeEndpoint": socket,
        "cgroupDriver": "cgroupfs",
        "cgroupRoot": format!("/{}", cgroups::root(config)),
        "failCgroupV1": *cgroups == Cgroups::V2,
        "failSwapOn": false,
        "clusterDNS": [config.cluster_dns],
        "clusterDomain": config.cluster_domain,
        "resolvConf": resolv_conf(),
        "registerNode": true,
        "nodeStatusUpdateFrequency": "5s",
        "evictionHard": { "memory.available": "100Mi", "nodefs.available": "1%", "imagefs.available": "1%" },
        "imageGCHighThresholdPercent": 100,
        "serializeImagePulls": false,
        // The rules that are needed are kube-proxy's, and go with it.
        "makeIPTablesUtilChains": false,
        "volumePluginDir": config.kubelet_dir().join("plugins"),
        "podLogsDir": config.state_dir.join("pod-logs"),
    })
}

/// systemd-resolved writes the real servers elsewhere; its stub on loopback does not answer pods.
fn resolv_conf() -> &'static str {
    let real = "/run/systemd/resolve/resolv.conf";
    if Path::new(real).exists() { real } else { "/etc/resolv.conf" }
}

fn proxy(config: &NodeConfig) -> Value {
    json!({
        "apiVersion": "kubeproxy.config.k8s.io/v1alpha1",
        "kind": "KubeProxyConfiguration",
        "clientConnection": { "kubeconfig": config.files().join("kube-proxy.kubeconfig") },
        "hostnameOverride": config.name,
        "clusterCIDR": config.cluster_cidr,
        "mode": config.proxy_mode.as_str(),
        "healthzBindAddress": format!("127.0.0.1:{}", config.proxy_healthz_port),
        "metricsBindAddress": format!("127.0.0.1:{}", config.proxy_metrics_port),
        // The machine's limits are not ours to change.
        "conntrack": { "maxPerCore": 0, "min": 0, "tcpEstablishedTimeout": "0s", "tcpCloseWaitTimeout": "0s" },
    })
}
