use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};

use crate::config::ClusterNetwork;

/// The kubelet's port where a node says no other.
const KUBELET_PORT: u16 = 10250;

/// Where the nodes are, as Kubernetes has it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Routes {
    nodes: BTreeMap<String, NodeRoute>,
    /// Range of services, CIDR.
    service_cidr: String,
}

/// One node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct NodeRoute {
    /// Its addresses, as its kubelet says.
    pub(crate) addresses: Vec<IpAddr>,
    /// Ranges of its pods, as the controller manager gave them.
    pub(crate) pod_cidrs: Vec<String>,
    /// Port of its kubelet.
    pub(crate) kubelet_port: u16,
}

impl Default for NodeRoute {
    fn default() -> Self {
        Self { addresses: Vec::new(), pod_cidrs: Vec::new(), kubelet_port: KUBELET_PORT }
    }
}

/// How to get somewhere.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Route {
    /// Through the tunnel of a node, to an address on its side.
    Tunnel {
        /// The node.
        node: String,
        /// `host:port` there.
        address: String,
    },
    /// To one of the pods behind this service.
    Service(IpAddr),
    /// By an ordinary connection to one of these, `host:port`.
    Direct(Vec<String>),
    /// Not at all.
    Forbidden(&'static str),
}

impl Routes {
    /// No nodes yet; services have addresses in `service_cidr`.
    pub(crate) fn new(service_cidr: &str) -> Self {
        Self { nodes: BTreeMap::new(), service_cidr: service_cidr.to_owned() }
    }

    /// Takes in a node as it is now.
    pub(crate) fn set(&mut self, name: String, node: NodeRoute) {
        self.nodes.insert(name, node);
    }

    /// Forgets a node.
    pub(crate) fn remove(&mut self, name: &str) {
        self.nodes.remove(name);
    }

    /// Forgets all but these.
    pub(crate) fn retain(&mut self, names: impl Fn(&str) -> bool) {
        self.nodes.retain(|name, _| names(name));
    }

    /// How to reach `host:port`, given which nodes have a tunnel.
    ///
    /// A node's *name* is what is pinned on chain, so a kubelet is asked for by name. An address says nothing about
    /// who has it: behind routers many nodes have the same. It leads into a tunnel only if it is a pod's, by the range
    /// that the controller manager gave, or if just one node with a tunnel claims it, and then to its kubelet only.
    pub(crate) fn route(&self, host: &str, port: u16, has_tunnel: impl Fn(&str) -> bool) -> Route {
        // First, so that nobody takes an address by pinning it as a name.
        let Ok(address) = host.trim_matches(['[', ']']).parse::<IpAddr>() else {
            return self.name(host, port, has_tunnel);
        };
        if contains(&self.service_cidr, address) {
            return Route::Service(address);
        }
        self.address(address, port, has_tunnel)
    }

    fn name(&self, host: &str, port: u16, has_tunnel: impl Fn(&str) -> bool) -> Route {
        // A node that has a tunnel but no Node object yet is known as well.
        if has_tunnel(host) {
            return Route::Tunnel { node: host.to_owned(), address: kubelet(port) };
        }
        match self.nodes.get(host) {
            Some(node) => Route::Direct(
                node.addresses.iter().map(|ip| SocketAddr::new(*ip, port).to_string()).collect(),
            ),
            None => Route::Direct(vec![format!("{host}:{port}")]),
        }
    }

    /// How to reach an address that is no service's.
    pub(crate) fn address(&self, address: IpAddr, port: u16, has_tunnel: impl Fn(&str) -> bool) -> Route {
        let direct = SocketAddr::new(address, port).to_string();
        let here = |node: &NodeRoute| node.pod_cidrs.iter().any(|cidr| contains(cidr, address));
        if let Some((name, _)) = self.nodes.iter().find(|(name, node)| here(node) && has_tunnel(name)) {
            return Route::Tunnel { node: name.clone(), address: direct };
        }
        let mut claimants = self.nodes.iter().filter(|(name, node)| {
            node.kubelet_port == port && node.addresses.contains(&address) && has_tunnel(name)
        });
        match (claimants.next(), claimants.next()) {
            (Some((name, _)), None) => Route::Tunnel { node: name.clone(), address: kubelet(port) },
            (Some(_), Some(_)) => Route::Forbidden(
                "several nodes say that they have this address; ask for the node by its name",
            ),
            (None, _) if is_special(address) => Route::Forbidden("this address is no host's"),
            (None, _) => Route::Direct(vec![direct]),
        }
    }
}

/// The kubelet as every agent of K3s takes it for its own.
fn kubelet(port: u16) -> String {
    format!("127.0.0.1:{port}")
}

fn contains(cidr: &str, address: IpAddr) -> bool {
    let Some((network, prefix)) = ClusterNetwork::parse_cidr(cidr) else { return false };
    match (network, address) {
        (IpAddr::V4(network), IpAddr::V4(address)) => {
            let mask = u32::MAX.checked_shl(32 - u32::from(prefix)).unwrap_or(0);
            u32::from(network) & mask == u32::from(address) & mask
        }
        (IpAddr::V6(network), IpAddr::V6(address)) => {
            let mask = u128::MAX.checked_shl(128 - u32::from(prefix)).unwrap_or(0);
            u128::from(network) & mask == u128::from(address) & mask
        }
        _ => false,
    }
}

/// Addresses of no host: unspecified, link-local (with the clouds' metadata services), multicast, broadcast.
fn is_special(address: IpAddr) -> bool {
    match address.to_canonical() {
        IpAddr::V4(v4) => v4.is_unspecified() || v4.is_link_local() || v4.is_multicast() || v4.is_broadcast(),
        IpAddr::V6(v6) => v6.is_unspecified() || v6.is_unicast_link_local() || v6.is_multicast(),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn routes() -> Routes {
        let mut routes = Routes::new("10.43.0.0/16");
        for (name, address, cidr) in [
            ("near", "10.0.0.1", "10.42.0.0/24"),
            ("far", "192.168.1.10", "10.42.1.0/24"),
            ("twin", "192.168.1.20", "10.42.2.0/24"),
            ("other-twin", "192.168.1.20", "10.42.3.0/24"),
        ] {
            let addresses = vec![address.parse().unwrap()];
            let node = NodeRoute { addresses, pod_cidrs: vec![cidr.to_owned()], ..NodeRoute::default() };
            routes.set(name.to_owned(), node);
        }
        routes
    }

    fn tunnelled(node: &str) -> bool {
        ["far", "twin", "other-twin", "10.42.1.7"].contains(&node)
    }

    fn through(node: &str, address: &str) -> Route {
        Route::Tunnel { node: node.to_owned(), address: address.to_owned() }
    }

    fn direct(address: &str) -> Route {
        Route::Direct(vec![address.to_owned()])
    }

    #[test]
    fn names_pods_and_addresses_find_their_node() {
        let routes = routes();
        let route = |host: &str, port| routes.route(host, port, tunnelled);
        assert_eq!(route("far", 10250), through("far", "127.0.0.1:10250"));
        assert_eq!(route("near", 10250), direct("10.0.0.1:10250"));
        assert_eq!(route("10.42.1.7", 8443), through("far", "10.42.1.7:8443"));
        assert_eq!(route("10.42.0.7", 8443), direct("10.42.0.7:8443"));
        assert_eq!(route("192.168.1.10", 10250), through("far", "127.0.0.1:10250"));
        assert_eq!(route("192.168.1.10", 22), direct("192.168.1.10:22"), "not the node's, for all we know");
        assert!(matches!(route("192.168.1.20", 10250), Route::Forbidden(_)), "which of the two?");
        assert_eq!(route("10.43.7.7", 443), Route::Service("10.43.7.7".parse().unwrap()));
        assert_eq!(route("webhook.example", 443), direct("webhook.example:443"));
        assert_eq!(route("[fd00::1]", 443), direct("[fd00::1]:443"));
        for special in ["169.254.169.254", "0.0.0.0", "224.0.0.1", "[fe80::1]", "[::ffff:169.254.169.254]"] {
            assert!(matches!(route(special, 80), Route::Forbidden(_)), "{special}");
        }
    }

    #[test]
    fn a_forgotten_node_is_found_by_its_tunnel_alone() {
        let mut routes = routes();
        routes.remove("far");
        assert_eq!(routes.route("far", 10250, tunnelled), through("far", "127.0.0.1:10250"));
        assert_eq!(routes.route("far", 10250, |_| false), direct("far:10250"));
        assert_eq!(routes.route("10.42.1.7", 80, |name| name == "far"), direct("10.42.1.7:80"));
        routes.retain(|name| name == "near");
        assert_eq!(routes.route("192.168.1.20", 10250, |_| false), direct("192.168.1.20:10250"));
    }

    proptest! {
        /// Whatever is asked for, a tunnel is only used towards its own node's kubelet or pods.
        #[test]
        fn tunnels_lead_to_their_own_node_only(a in 0u8..4, b: u8, port: u16, host in "[a-z-]{1,10}") {
            let routes = routes();
            for host in [format!("10.42.{a}.{b}"), format!("192.168.1.{b}"), host] {
                if let Route::Tunnel { node, address } = routes.route(&host, port, tunnelled) {
                    let range = routes.nodes[&node].pod_cidrs[0].trim_end_matches("0/24").to_owned();
                    let kubelet = format!("127.0.0.1:{port}");
                    prop_assert!(address == kubelet || address.starts_with(&range), "{} by {}", address, node);
                }
            }
        }
    }
}
