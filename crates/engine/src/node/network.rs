//! The pods' network outside of the pods: the bridge, packet filter rules, and what the CNI plugins remember.

use std::path::{Path, PathBuf};
use std::process::Stdio;

use serde_json::{Value, json};
use tokio::io::AsyncWriteExt;
use tokio::process::Command;

use super::config::{BRIDGE, NodeConfig};
use super::error::{NodeError, io};
use super::programs::find;
use super::runtime::{finish, run};
use super::{dns, flannel};

/// Where Debian keeps the CNI plugins.
pub(crate) const CNI_BINARIES: &str = "/usr/lib/cni";
/// The network's name in its CNI configuration.
pub(crate) const NETWORK: &str = "k3s-daas";
/// Where containerd's CNI library writes down which pod got what.
const CNI_CACHE: &str = "/var/lib/cni/results";
/// What pods' traffic goes through: the bridge, and what flannel's back ends make.
const LINKS: [&str; 3] = [BRIDGE, "flannel.1", "flannel-wg"];
/// Marks our packet filter rule; without spaces, so that iptables prints it as it is.
const COMMENT: &str = "k3s-daas-pods-to-the-outside";

/// Lets pods reach what is outside of the cluster: one rule, taken back by [`remove`].
pub(crate) async fn masquerade(config: &NodeConfig) -> Result<(), NodeError> {
    forget_masquerade().await?;
    let pods = &config.cluster_cidr;
    let rule = ["-A", "POSTROUTING", "-s", pods, "!", "-d", pods, "-m", "comment"];
    iptables(rule.into_iter().chain(["--comment", COMMENT, "-j", "MASQUERADE"])).await.map(|_| ())
}

/// Takes back all that the pods' network left: port mappings, addresses, the bridge, packet filter rules.
pub(crate) async fn remove(config: &NodeConfig) -> Result<(), NodeError> {
    forget_pods(config).await?;
    for link in LINKS {
        remove_link(link).await?;
    }
    dns::remove().await?;
    let conflist = flannel::conflist(config);
    gone(std::fs::remove_file(&conflist)).map_err(io(conflist))?;
    if find("iptables").is_none() {
        return Ok(());
    }
    forget_masquerade().await?;
    if config.binary.exists() {
        let mut command = Command::new(&config.binary);
        command.args(["kube-proxy", "--cleanup"]);
        run(command).await?;
    }
    Ok(())
}

/// Removes a link of ours, if it is there.
pub(crate) async fn remove_link(name: &str) -> Result<(), NodeError> {
    // Not by /sys/class/net: that shows the network namespace in which /sys was mounted.
    if has_link(name) { ip(&["link", "delete", name]).await.map(|_| ()) } else { Ok(()) }
}

/// Runs iproute2.
pub(crate) async fn ip(args: &[&str]) -> Result<String, NodeError> {
    let binary = find("ip").ok_or(NodeError::Missing { name: "ip", package: "iproute2" })?;
    let mut command = Command::new(binary);
    command.args(args);
    run(command).await
}

/// Whether this network namespace has a link of this name (proc(5), net/dev).
fn has_link(name: &str) -> bool {
    let table = std::fs::read_to_string("/proc/self/net/dev").unwrap_or_default();
    table.lines().filter_map(|line| line.split_once(':')).any(|(link, _)| link.trim() == name)
}

/// Where the address plugin keeps one file for each address in use, the pod sandbox's id in its first line.
pub(crate) fn addresses(config: &NodeConfig) -> PathBuf {
    config.state_dir.join("cni")
}

async fn forget_masquerade() -> Result<(), NodeError> {
    let rules = iptables(["-S", "POSTROUTING"]).await?;
    for rule in rules.lines().filter(|rule| rule.contains(COMMENT)) {
        let Some(rule) = rule.strip_prefix("-A ") else { continue };
        iptables(std::iter::once("-D").chain(rule.split_ascii_whitespace())).await?;
    }
    Ok(())
}

async fn iptables<'a>(args: impl IntoIterator<Item = &'a str>) -> Result<String, NodeError> {
    let binary = find("iptables").ok_or(NodeError::Missing { name: "iptables", package: "iptables" })?;
    let mut command = Command::new(binary);
    command.args(["-w", "5", "-t", "nat"]).args(args);
    run(command).await
}

/// For pods that ended without a word to their network: takes back their port mappings and addresses.
async fn forget_pods(config: &NodeConfig) -> Result<(), NodeError> {
    let leases = addresses(config).join(NETWORK);
    for lease in std::fs::read_dir(&leases).into_iter().flatten().flatten() {
        let id = std::fs::read_to_string(lease.path()).unwrap_or_default();
        let id = id.lines().next().unwrap_or_default().trim();
        // The plugin keeps other files there too.
        if id.len() < 32 || !id.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            continue;
        }
        let remembered = Path::new(CNI_CACHE).join(format!("{NETWORK}-{id}-eth0"));
        if let Ok(text) = std::fs::read(&remembered) {
            unmap_ports(id, &text).await?;
        }
        for path in [remembered, Path::new(CNI_CACHE).join(format!("cni-loopback-{id}-lo"))] {
            gone(std::fs::remove_file(&path)).map_err(io(path))?;
        }
    }
    gone(std::fs::remove_dir_all(&leases)).map_err(io(leases))
}

/// Asks the port-mapping plugin to forget a pod (CNI specification 0.4.0, DEL), when it had mappings.
async fn unmap_ports(id: &str, remembered: &[u8]) -> Result<(), NodeError> {
    // A torn file says nothing; the pod's rules then lead nowhere.
    let remembered: Value = serde_json::from_slice(remembered).unwrap_or_default();
    let Some(mappings) = remembered.pointer("/capabilityArgs/portMappings").filter(|value| value.is_array())
    else {
        return Ok(());
    };
    let config = json!({
        "cniVersion": "0.4.0",
        "name": NETWORK,
        "type": "portmap",
        "snat": true,
        "runtimeConfig": { "portMappings": mappings },
    });
    let mut command = Command::new(Path::new(CNI_BINARIES).join("portmap"));
    command
        .env("CNI_COMMAND", "DEL")
        .env("CNI_CONTAINERID", id)
        .env("CNI_IFNAME", "eth0")
        .env("CNI_NETNS", "")
        .env("CNI_PATH", CNI_BINARIES)
        .stdin(Stdio::piped());
    finish(command, |mut input| async move { input.write_all(config.to_string().as_bytes()).await })
        .await
        .map(|_| ())
}

/// What is not there needs no removing.
fn gone(removed: std::io::Result<()>) -> std::io::Result<()> {
    match removed {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(()),
        other => other,
    }
}
