use std::path::{Path, PathBuf};

use super::config::NodeConfig;
use super::error::NodeError;
use crate::supervise::Program;

/// How the machine reaches registries; the cluster's own traffic goes straight.
const PROXIES: [&str; 6] = ["HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "http_proxy", "https_proxy", "no_proxy"];

pub(crate) fn containerd(config: &NodeConfig) -> Result<Program, NodeError> {
    let binary =
        find("containerd").ok_or(NodeError::Missing { name: "containerd", package: "containerd" })?;
    if find("runc").is_none() {
        return Err(NodeError::Missing { name: "runc", package: "runc" });
    }
    let path = config.files().join("containerd.toml");
    Ok(Program::new("containerd", binary, &config.state_dir)
        .arg("--config")
        .arg(path)
        .only_env(&PROXIES)
        .quiet())
}

pub(crate) fn kubelet(config: &NodeConfig) -> Program {
    let files = config.files();
    Program::new("kubelet", &config.binary, &config.state_dir).only_env(&[]).arg("kubelet").args([
        flag("config", &files.join("kubelet.json")),
        flag("kubeconfig", &files.join("kubelet.kubeconfig")),
        flag("root-dir", &config.kubelet_dir()),
        flag("cert-dir", &config.kubelet_dir().join("pki")),
        format!("--hostname-override={}", config.name),
        format!("--node-ip={}", config.address),
    ])
}

pub(crate) fn proxy(config: &NodeConfig) -> Program {
    let path = flag("config", &config.files().join("kube-proxy.json"));
    let program = Program::new("kube-proxy", &config.binary, &config.state_dir).only_env(&[]);
    program.args(["kube-proxy".to_owned(), path])
}

/// The program of this name in the usual directories.
pub(crate) fn find(name: &str) -> Option<PathBuf> {
    let path = std::env::var("PATH").unwrap_or_default();
    path.split(':')
        .chain(["/usr/local/sbin", "/usr/sbin", "/sbin", "/usr/bin", "/bin"])
        .filter(|dir| !dir.is_empty())
        .map(|dir| Path::new(dir).join(name))
        .find(|path| path.is_file())
}

fn flag(name: &str, path: &Path) -> String {
    format!("--{name}={}", path.display())
}
