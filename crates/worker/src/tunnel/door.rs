use std::net::{IpAddr, Ipv4Addr, SocketAddr};

/// What of this machine the master may be led to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reach {
    /// The kubelet.
    pub kubelet: SocketAddr,
    /// This node's pods, once their range is known.
    pub pods: Option<Pods>,
}

/// Where this node's pods are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pods {
    /// Their range, CIDR.
    pub cidr: String,
    /// The network device behind which they are. Connections to pods leave by it or not at all, so that a range that
    /// happens to be (or is made to be) one of the machine's own network leads nowhere else.
    pub device: Option<String>,
}

/// Where a connection goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Admitted {
    pub(crate) to: SocketAddr,
    /// The device by which it has to leave.
    pub(crate) device: Option<String>,
}

/// Why the master is not led somewhere.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Refused {
    #[error("only tcp is let in")]
    Network,
    #[error("the address is no IP address with a port")]
    Address,
    #[error("only this node's kubelet and pods are let in")]
    NotOurs,
}

/// Where a connection that the master asks for goes.
///
/// The kubelet is asked for as K3s does, by a loopback address, or by its own. Of the range of pods three addresses are not
/// pods': the first and second (network; flannel's device and the bridge, which are this machine) and the last.
pub(crate) fn admit(reach: &Reach, network: &str, address: &str) -> Result<Admitted, Refused> {
    if network != "tcp" {
        return Err(Refused::Network);
    }
    let wanted: SocketAddr = address.parse().map_err(|_| Refused::Address)?;
    let ip = wanted.ip().to_canonical();
    if wanted.port() == reach.kubelet.port() && (ip.is_loopback() || ip == reach.kubelet.ip()) {
        return Ok(Admitted { to: reach.kubelet, device: None });
    }
    match (ip, &reach.pods) {
        (IpAddr::V4(v4), Some(pods)) if wanted.port() != 0 && is_pod(&pods.cidr, v4) => {
            Ok(Admitted { to: SocketAddr::new(ip, wanted.port()), device: pods.device.clone() })
        }
        _ => Err(Refused::NotOurs),
    }
}

fn is_pod(cidr: &str, ip: Ipv4Addr) -> bool {
    let parsed = cidr.split_once('/').and_then(|(network, length)| {
        let (network, length): (Ipv4Addr, u32) = (network.parse().ok()?, length.parse().ok()?);
        (length <= 32).then_some((u32::from(network), length))
    });
    let Some((network, length)) = parsed else { return false };
    let host_bits = u32::MAX.checked_shr(length).unwrap_or(0);
    let host = u32::from(ip) & host_bits;
    u32::from(ip) & !host_bits == network & !host_bits && host > 1 && host != host_bits
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn within(cidr: &str) -> Reach {
        let pods = Pods { cidr: cidr.to_owned(), device: Some("pods0".to_owned()) };
        Reach { kubelet: "192.168.1.10:10250".parse().unwrap(), pods: Some(pods) }
    }

    fn reach() -> Reach {
        within("10.42.3.0/24")
    }

    #[test]
    fn kubelet_and_pods_are_let_in() {
        for (address, to) in [
            ("127.0.0.1:10250", "192.168.1.10:10250"),
            ("[::1]:10250", "192.168.1.10:10250"),
            ("192.168.1.10:10250", "192.168.1.10:10250"),
            ("10.42.3.2:8080", "10.42.3.2:8080"),
            ("[::ffff:10.42.3.2]:8080", "10.42.3.2:8080"),
            ("10.42.3.254:443", "10.42.3.254:443"),
        ] {
            let admitted = admit(&reach(), "tcp", address).unwrap();
            assert_eq!(admitted.to, to.parse().unwrap(), "{address}");
            assert_eq!(admitted.device.is_some(), to.starts_with("10."), "{address}");
        }
    }

    #[test]
    fn nothing_else_of_the_machine_or_its_network_is() {
        for address in [
            "127.0.0.1:22",
            "127.0.0.1:9346",
            "192.168.1.10:22",
            "192.168.1.1:80",
            "10.42.3.1:10250",
            "10.42.3.1:22",
            "10.42.3.0:80",
            "10.42.3.255:80",
            "10.42.4.2:80",
            "10.43.0.1:443",
            "169.254.169.254:80",
            "0.0.0.0:10250",
            "10.42.3.2:0",
            "[fe80::1]:10250",
        ] {
            assert_eq!(admit(&reach(), "tcp", address), Err(Refused::NotOurs), "{address}");
        }
        for address in ["", "localhost:10250", "10.42.3.2", "node.example:80", "127.0.0.1:10250/x"] {
            assert_eq!(admit(&reach(), "tcp", address), Err(Refused::Address), "{address}");
        }
        for network in ["udp", "unix", "tcp4", "", "ip4:icmp"] {
            assert_eq!(admit(&reach(), network, "127.0.0.1:10250"), Err(Refused::Network), "{network}");
        }
        let none = Reach { pods: None, ..reach() };
        assert_eq!(admit(&none, "tcp", "10.42.3.2:80"), Err(Refused::NotOurs));
        for cidr in ["", "10.42.3.0", "10.42.3.0/33", "x/24"] {
            assert_eq!(admit(&within(cidr), "tcp", "10.42.3.2:80"), Err(Refused::NotOurs), "{cidr}");
        }
    }

    proptest! {
        #[test]
        fn whatever_is_asked_for_only_the_node_is_reached(a: u32, port: u16, network in "tcp|udp", text in ".{0,30}") {
            for address in [format!("{}:{port}", Ipv4Addr::from(a)), format!("10.42.3.{}:{port}", a % 256), text] {
                if let Ok(Admitted { to, .. }) = admit(&reach(), &network, &address) {
                    let pod = to.to_string().starts_with("10.42.3.") && !to.to_string().starts_with("10.42.3.1:");
                    prop_assert!(to == reach().kubelet || pod, "{}", to);
                }
            }
        }
    }
}
