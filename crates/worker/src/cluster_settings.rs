use std::net::{IpAddr, Ipv4Addr};

use engine::Disabled;
use engine::node::{FlannelBackend, ProxyMode};
use serde::Deserialize;

/// The cluster's settings for nodes, from the join protocol's `config`.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ClusterSettings {
    /// Domain of the cluster's services, e.g. `cluster.local`.
    pub cluster_domain: String,
    /// Address of the cluster's DNS service.
    pub cluster_dns: IpAddr,
    /// Range of all pod addresses, CIDR.
    pub cluster_cidr: String,
    /// How pods reach those of other nodes.
    #[serde(default)]
    pub flannel_backend: FlannelBackend,
    /// How kube-proxy makes services.
    #[serde(default)]
    pub kube_proxy_mode: ProxyMode,
    /// What the cluster has switched off.
    #[serde(default)]
    pub disable: Disabled,
}

impl ClusterSettings {
    /// Reads the object `k3sDaas` of K3s' `config`; its other fields are for unmodified agents.
    pub(crate) fn from_config(json: &[u8]) -> Result<Self, String> {
        #[derive(Deserialize)]
        struct Config {
            #[serde(rename = "k3sDaas")]
            settings: ClusterSettings,
        }
        let Config { settings } = serde_json::from_slice(json).map_err(|error| error.to_string())?;
        let domain = &settings.cluster_domain;
        let label = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-' || c == '.';
        if domain.is_empty() || domain.len() > 253 || !domain.chars().all(label) {
            return Err("clusterDomain is not a DNS name".to_owned());
        }
        if network(&settings.cluster_cidr).is_none() {
            return Err("clusterCidr is not an IPv4 range like 10.42.0.0/16".to_owned());
        }
        Ok(settings)
    }
}

/// Address and prefix length of an IPv4 range whose host bits are zero.
fn network(cidr: &str) -> Option<(Ipv4Addr, u32)> {
    let (address, length) = cidr.split_once('/')?;
    let (address, length): (Ipv4Addr, u32) = (address.parse().ok()?, length.parse().ok()?);
    let host = u32::MAX.checked_shr(length).unwrap_or(0);
    (length <= 32 && u32::from(address) & host == 0).then_some((address, length))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn settings(domain: &str, cidr: &str) -> Result<ClusterSettings, String> {
        let json = serde_json::json!({
            "ClusterDomain": "ignored",
            "k3sDaas": { "clusterDomain": domain, "clusterDns": "10.43.0.10", "clusterCidr": cidr, "more": 1 },
        });
        ClusterSettings::from_config(json.to_string().as_bytes())
    }

    #[test]
    fn reads_what_a_node_needs_and_refuses_the_rest_by_name() {
        let read = settings("cluster.local", "10.42.0.0/16").unwrap();
        assert_eq!(read.cluster_dns.to_string(), "10.43.0.10");
        assert_eq!((read.flannel_backend, read.disable.left().len()), (FlannelBackend::Wireguard, 4));
        assert!(settings("Evil\"", "10.42.0.0/16").unwrap_err().contains("clusterDomain"));
        for cidr in ["", "10.42.0.0", "10.42.0.1/16", "10.42.0.0/33", "fd00::/8"] {
            assert!(settings("c", cidr).unwrap_err().contains("clusterCidr"), "{cidr}");
        }
        assert!(ClusterSettings::from_config(b"{}").unwrap_err().contains("k3sDaas"));
    }

    proptest! {
        #[test]
        fn nothing_panics(cidr in "[0-9./]{0,20}", json in ".{0,40}") {
            let _ = network(&cidr);
            let _ = ClusterSettings::from_config(json.as_bytes());
        }
    }
}
