//! The pod network between nodes: flannel as a process, and the CNI configuration that follows what it says.

use std::net::Ipv4Addr;
use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tokio::time::sleep;

use super::config::{BRIDGE, NodeConfig};
use super::error::{NodeError, io};
use super::files::replace;
use super::network::{NETWORK, addresses, remove_link};
use crate::supervise::Program;

/// How often flannel's word is looked for until it is there, and after.
const AT_FIRST: Duration = Duration::from_millis(200);
const LATER: Duration = Duration::from_secs(2);
/// Bytes of the file with flannel's word.
const MAX_SUBNET_FILE: usize = 4096;
/// Seconds between packets of nodes that have nothing to say; routers forget silent ones after 30.
const KEEPALIVE: u16 = 25;

/// How pods of different nodes reach each other. All nodes of a cluster use the same.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum FlannelBackend {
    /// Encrypted, and a node is whom its key says: in the kernel, or in flannel's process where the kernel has none.
    #[default]
    #[serde(alias = "wireguard-native")]
    Wireguard,
    /// Neither encrypted nor authenticated.
    Vxlan,
    /// Plain routes, for nodes of one network without a router between them.
    HostGw,
    /// None: somebody else brings a CNI.
    None,
}

impl FlannelBackend {
    /// Its name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Wireguard => "wireguard",
            Self::Vxlan => "vxlan",
            Self::HostGw => "host-gw",
            Self::None => "none",
        }
    }

    /// K3s' name for it.
    pub fn k3s_name(self) -> &'static str {
        match self {
            Self::Wireguard => "wireguard-native",
            other => other.as_str(),
        }
    }

    /// Whether nobody between two nodes can read what their pods say.
    pub fn is_encrypted(self) -> bool {
        self == Self::Wireguard
    }

    /// Flannel's net-conf.json.
    pub(crate) fn net_conf(self, cluster_cidr: &str) -> Value {
        let backend = match self {
            Self::Wireguard => json!({ "Type": "wireguard", "PersistentKeepaliveInterval": KEEPALIVE }),
            Self::Vxlan | Self::HostGw | Self::None => json!({ "Type": self.as_str() }),
        };
        json!({ "Network": cluster_cidr, "EnableIPv4": true, "EnableIPv6": false, "Backend": backend })
    }
}

pub(crate) fn program(config: &NodeConfig) -> Program {
    let files = config.files();
    Program::new("flannel", &config.binary, &config.state_dir).only_env(&[]).arg("flannel").args([
        format!("--kubeconfig={}", files.join("kubelet.kubeconfig").display()),
        format!("--net-config-path={}", files.join("flannel.json").display()),
        format!("--subnet-file={}", subnet_file(config).display()),
        format!("--wireguard-key-file={}", files.join("wireguard.key").display()),
        format!("--node-name={}", config.name),
        format!("--node-ip={}", config.address),
    ])
}

/// Forgets what flannel said in an earlier run.
pub(crate) fn forget(config: &NodeConfig) -> Result<(), NodeError> {
    match std::fs::remove_file(subnet_file(config)) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(io(subnet_file(config))(error)),
        _ => Ok(()),
    }
}

/// Gives containerd the network's configuration as soon as flannel knows this node's range, and again whenever that
/// changes. Runs until it is dropped.
pub(crate) async fn follow(config: NodeConfig) {
    let mut known = None;
    loop {
        // Until flannel has written it there is nothing to read, and the next look tells.
        let text = tokio::fs::read(subnet_file(&config)).await.unwrap_or_default();
        let seen = Range::read(&text);
        if seen.is_some() && seen != known {
            match put_in_place(&config, seen.as_ref()).await {
                Ok(()) => known = seen,
                Err(error) => tracing::warn!("cannot configure the pods' network, trying again: {error}"),
            }
        }
        sleep(if known.is_some() { LATER } else { AT_FIRST }).await;
    }
}

pub(crate) fn conflist(config: &NodeConfig) -> PathBuf {
    config.files().join("cni/10-k3s-daas.conflist")
}

/// This node's range of pod addresses, CIDR, once flannel knows it.
pub(crate) fn pod_cidr(config: &NodeConfig) -> Option<String> {
    let text = std::fs::read(subnet_file(config)).ok()?;
    Range::read(&text).map(|range| range.cidr())
}

fn subnet_file(config: &NodeConfig) -> PathBuf {
    config.state_dir.join("subnet.env")
}

async fn put_in_place(config: &NodeConfig, range: Option<&Range>) -> Result<(), NodeError> {
    let Some(range) = range else { return Ok(()) };
    let path = conflist(config);
    let wanted = cni(config, range).to_string();
    match std::fs::read_to_string(&path) {
        Ok(old) if old == wanted => return Ok(()),
        // The bridge has an address of another range; pods that have one too are no longer reached anyway.
        Ok(_) => remove_link(BRIDGE).await?,
        Err(_) => {}
    }
    replace(&path, &wanted)?;
    tracing::info!(range = %range.cidr(), mtu = range.mtu, "the pods' network is configured");
    Ok(())
}

fn cni(config: &NodeConfig, range: &Range) -> Value {
    json!({
        "cniVersion": "0.4.0",
        "name": NETWORK,
        "plugins": [
            {
                "type": "bridge",
                "bridge": BRIDGE,
                "mtu": range.mtu,
                "isGateway": true,
                "hairpinMode": true,
                "ipMasq": false,
                "ipam": {
                    "type": "host-local",
                    "ranges": [[{ "subnet": range.cidr() }]],
                    "routes": [{ "dst": "0.0.0.0/0" }],
                    "dataDir": addresses(config),
                },
            },
            { "type": "portmap", "capabilities": { "portMappings": true }, "snat": true },
        ],
    })
}

/// What flannel says of this node.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Range {
    address: Ipv4Addr,
    length: u32,
    mtu: u32,
}

impl Range {
    /// Reads flannel's subnet.env: lines `NAME=value`.
    fn read(text: &[u8]) -> Option<Self> {
        let text = std::str::from_utf8(text.get(..text.len().min(MAX_SUBNET_FILE))?).ok()?;
        let value = |name: &str| text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix('='));
        let (address, length) = value("FLANNEL_SUBNET")?.split_once('/')?;
        let length: u32 = length.parse().ok().filter(|length| (8..=30).contains(length))?;
        let mtu = value("FLANNEL_MTU")?.parse().ok().filter(|mtu| (576..=65535).contains(mtu))?;
        Some(Self { address: address.parse().ok()?, length, mtu })
    }

    /// With the bits of the host part zero, as the address plugin wants it.
    fn cidr(&self) -> String {
        let network = u32::from(self.address) & (u32::MAX << (32 - self.length));
        format!("{}/{}", Ipv4Addr::from(network), self.length)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const WORD: &str =
        "FLANNEL_NETWORK=10.42.0.0/16\nFLANNEL_SUBNET=10.42.3.1/24\nFLANNEL_MTU=1420\nFLANNEL_IPMASQ=false\n";

    #[test]
    fn flannels_word_becomes_the_range_and_the_mtu() {
        let range = Range::read(WORD.as_bytes()).unwrap();
        assert_eq!((range.cidr().as_str(), range.mtu), ("10.42.3.0/24", 1420));
        for bad in ["", "FLANNEL_SUBNET=10.42.3.1/24", "FLANNEL_SUBNET=10.42.3.1/99\nFLANNEL_MTU=1420\n"] {
            assert_eq!(Range::read(bad.as_bytes()), None, "{bad}");
        }
    }

    #[test]
    fn names_are_those_of_k3s() {
        for (text, backend) in [
            (r#""wireguard-native""#, FlannelBackend::Wireguard),
            (r#""host-gw""#, FlannelBackend::HostGw),
            (r#""none""#, FlannelBackend::None),
        ] {
            assert_eq!(serde_json::from_str::<FlannelBackend>(text).unwrap(), backend);
        }
        assert!(FlannelBackend::default().is_encrypted() && !FlannelBackend::Vxlan.is_encrypted());
        let conf = FlannelBackend::default().net_conf("10.42.0.0/16");
        assert_eq!(conf["Backend"]["Type"], "wireguard");
    }

    proptest! {
        #[test]
        fn nothing_panics(text in "(FLANNEL_(SUBNET|MTU)=[0-9./]{0,20}\n){0,4}", bytes: Vec<u8>) {
            let _ = Range::read(text.as_bytes()).map(|range| range.cidr());
            let _ = Range::read(&bytes);
        }
    }
}
