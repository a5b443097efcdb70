//! The cluster's DNS on this node: CoreDNS at the cluster's DNS address, which every node has for itself. A pod asks
//! the node that it is on, also when no other node can be reached.

use std::net::IpAddr;
use std::path::Path;

use super::config::NodeConfig;
use super::error::NodeError;
use super::network::ip;
use crate::supervise::Program;

/// Marks the address as ours (ip-address(8), label).
const LABEL: &str = "lo:k3s-daas";
/// Servers that questions about other names go to; CoreDNS takes 15.
const MAX_SERVERS: usize = 3;

pub(crate) fn program(config: &NodeConfig) -> Program {
    let path = config.files().join("Corefile");
    Program::new("coredns", &config.binary, &config.state_dir)
        .only_env(&[])
        .args(["coredns".to_owned(), format!("--conf={}", path.display())])
}

/// Gives this machine the cluster's DNS address. It is put on loopback, which every kernel has.
pub(crate) async fn prepare(config: &NodeConfig) -> Result<(), NodeError> {
    remove().await?;
    let address = format!("{}/32", config.cluster_dns);
    ip(&["address", "add", &address, "dev", "lo", "label", LABEL]).await.map(|_| ())
}

/// Takes it back, whatever it was.
pub(crate) async fn remove() -> Result<(), NodeError> {
    ip(&["address", "flush", "dev", "lo", "label", LABEL]).await.map(|_| ())
}

/// CoreDNS' configuration, with the servers of `resolv_conf` for names outside of the cluster.
pub(crate) fn corefile(config: &NodeConfig, resolv_conf: &Path) -> String {
    // A machine without servers has no names outside.
    let servers = servers(&std::fs::read_to_string(resolv_conf).unwrap_or_default(), config.cluster_dns);
    let forward =
        if servers.is_empty() { String::new() } else { format!("    forward . {}\n", servers.join(" ")) };
    let dns = config.cluster_dns;
    let kubeconfig = config.files().join("kube-proxy.kubeconfig");
    let kubeconfig = kubeconfig.to_string_lossy();
    format!(
        r#".:53 {{
    bind {dns}
    errors
    ready {dns}:8181
    prometheus {dns}:9153
    kubernetes {domain} in-addr.arpa ip6.arpa {{
        kubeconfig "{kubeconfig}"
        pods insecure
        fallthrough in-addr.arpa ip6.arpa
    }}
{forward}    cache 30
    loadbalance
}}
"#,
        domain = config.cluster_domain,
    )
}

/// Name servers of a resolv.conf (resolv.conf(5)), without this one.
fn servers(resolv_conf: &str, own: IpAddr) -> Vec<String> {
    resolv_conf
        .lines()
        .filter_map(|line| line.trim().strip_prefix("nameserver")?.split_ascii_whitespace().next())
        .filter_map(|server| server.parse::<IpAddr>().ok())
        .filter(|server| *server != own)
        .map(|server| server.to_string())
        .take(MAX_SERVERS)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_machines_servers_are_asked_and_never_oneself() {
        let own = IpAddr::from([10, 43, 0, 10]);
        let text = "# a comment\nsearch example.com\nnameserver 192.0.2.1\nnameserver 10.43.0.10\nnameserver fe80::1%eth0\nnameserver 2001:db8::1\n";
        assert_eq!(servers(text, own), ["192.0.2.1", "2001:db8::1"]);
        assert!(servers("nameserver\nnameserver x\n", own).is_empty());
    }
}
