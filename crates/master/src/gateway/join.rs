//! The K3s join protocol: who asks, and what it may read. K3s asks for a random node password and keeps its hash, so that a node's name
//! stays with its machine; here the name is pinned to the stake on chain, every proof is one of its token,
//! and the password is not looked at.

use axum::Extension;
use axum::Json;
use axum::extract::State;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http::{HeaderMap, header};
use seal_token::Proof;
use serde_json::{Value, json};

use super::credential::proof;
use super::peer::Peer;
use super::problem::Problem;
use super::routes::Desk;
use crate::config::ClusterNetwork;
use crate::membership::{NodeIdentity, Refusal};
use crate::shared::Shared;

const NODE_NAME: &str = "k3s-node-name";
/// Ports of services of type NodePort, kube-apiserver's default: the first, and how many.
const NODE_PORTS: (u16, u16) = (30_000, 2_768);

pub(super) type Pem = ([(header::HeaderName, &'static str); 1], String);

pub(super) async fn cacerts(State(desk): State<Desk>) -> Pem {
    pem(desk.shared.pki.ca_pem().to_owned())
}

pub(super) async fn ping() -> &'static str {
    "pong"
}

pub(super) async fn readyz(
    State(desk): State<Desk>,
    Extension(peer): Extension<Peer>,
    headers: HeaderMap,
) -> Result<&'static str, Problem> {
    identify(&desk.shared, &peer, &headers)?;
    Ok("ok")
}

pub(super) async fn client_ca(
    State(desk): State<Desk>,
    Extension(peer): Extension<Peer>,
    headers: HeaderMap,
) -> Result<Pem, Problem> {
    identify(&desk.shared, &peer, &headers)?;
    Ok(pem(desk.shared.pki.client_ca_pem().to_owned()))
}

pub(super) async fn server_ca(
    State(desk): State<Desk>,
    Extension(peer): Extension<Peer>,
    headers: HeaderMap,
) -> Result<Pem, Problem> {
    identify(&desk.shared, &peer, &headers)?;
    Ok(pem(desk.shared.pki.ca_pem().to_owned()))
}

pub(super) async fn apiservers(
    State(desk): State<Desk>,
    Extension(peer): Extension<Peer>,
    headers: HeaderMap,
) -> Result<Json<Vec<String>>, Problem> {
    identify(&desk.shared, &peer, &headers)?;
    Ok(Json(desk.shared.facts.apiservers.clone()))
}

/// The settings that a node needs, under the names that K3s gives them.
pub(super) async fn config(
    State(desk): State<Desk>,
    Extension(peer): Extension<Peer>,
    headers: HeaderMap,
) -> Result<Json<Value>, Problem> {
    identify(&desk.shared, &peer, &headers)?;
    let facts = &desk.shared.facts;
    let network = &facts.network;
    let (cluster, services) = (ip_net(&network.cluster_cidr), ip_net(&network.service_cidr));
    // What an agent of K3s reads of its server's settings, by the names of Go's fields. What it does not find is zero.
    Ok(Json(json!({
        "SupervisorPort": facts.supervisor_port,
        "HTTPSPort": facts.apiserver_port,
        "ClusterDomain": network.cluster_domain,
        "ClusterDNS": network.cluster_dns,
        "ClusterDNSs": [network.cluster_dns],
        "ClusterIPRange": cluster,
        "ClusterIPRanges": [cluster],
        "ServiceIPRange": services,
        "ServiceIPRanges": [services],
        "ServiceNodePortRange": { "Base": NODE_PORTS.0, "Size": NODE_PORTS.1 },
        "FlannelBackend": network.flannel_backend.k3s_name(),
        // Pods, not just kubelets, are reached through the tunnel; only those of the agent's own node are asked for.
        "EgressSelectorMode": "cluster",
        "DisableCCM": true,
        "DisableNPC": true,
        "DisableServiceLB": true,
        "DisableHelmController": true,
        "DisableKubeProxy": false,
        "EmbeddedRegistry": false,
        "KubernetesVersion": facts.kubernetes_version,
        "ClusterID": facts.cluster_id,
        "k3sDaas": {
            "clusterDomain": network.cluster_domain,
            "clusterDns": network.cluster_dns,
            "clusterCidr": network.cluster_cidr,
            "serviceCidr": network.service_cidr,
            "flannelBackend": network.flannel_backend,
            "kubeProxyMode": network.kube_proxy_mode,
            "disable": network.disable,
        },
    })))
}

/// A range as Go's `net.IPNet` is in JSON, which is what K3s reads: address, and mask in base64.
fn ip_net(cidr: &str) -> Value {
    let Some((address, prefix)) = ClusterNetwork::parse_cidr(cidr) else { return Value::Null };
    let bytes = if address.is_ipv4() { 4 } else { 16 };
    let mask: Vec<u8> = (0..bytes)
        .map(|at| {
            let ones = u32::from(prefix).saturating_sub(at * 8).min(8);
            u8::MAX.checked_shl(8 - ones).unwrap_or(0)
        })
        .collect();
    json!({ "IP": address, "Mask": STANDARD.encode(mask) })
}

/// Which node asks, by the proof it shows, or else (without one, or with one that is not good any more) by its client
/// certificate.
pub(super) fn identify(
    shared: &Shared,
    peer: &Peer,
    headers: &HeaderMap,
) -> Result<(NodeIdentity, Option<Proof>), Problem> {
    let requested = requested_name(headers)?;
    let now_ms = shared.now_ms();
    let shown = proof(headers);
    let membership = shared.membership.read();
    let by_certificate = || {
        let certificate = peer.certificate.as_ref().ok_or(Refusal::MissingCredential)?;
        membership.node_by_certificate(certificate, requested, now_ms)
    };
    let refused = |refusal| Problem::Refused { refusal, token: None };
    let problem = match shown {
        Ok(None) => return Ok((by_certificate().map_err(refused)?, None)),
        Ok(Some(proof)) => match membership.node_by_proof(&proof, requested, now_ms) {
            Ok(node) => return Ok((node, Some(proof))),
            Err(refusal) => Problem::refused(&proof)(refusal),
        },
        Err(problem) => problem,
    };
    // An agent of K3s shows the token that it was started with for ever, and its certificate as well.
    by_certificate().map(|node| (node, None)).map_err(|_| problem)
}

pub(super) fn requested_name(headers: &HeaderMap) -> Result<Option<&str>, Problem> {
    let Some(value) = headers.get(NODE_NAME) else { return Ok(None) };
    let bad = Problem::BadHeader { name: "k3s-Node-Name", problem: "is not a node name" };
    value.to_str().map(Some).map_err(|_| bad)
}

pub(super) fn pem(text: String) -> Pem {
    ([(header::CONTENT_TYPE, "application/x-pem-file")], text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_are_in_gos_form() {
        assert_eq!(ip_net("10.42.0.0/16"), json!({ "IP": "10.42.0.0", "Mask": "//8AAA==" }));
        assert_eq!(ip_net("10.0.0.0/12"), json!({ "IP": "10.0.0.0", "Mask": "//AAAA==" }));
        assert_eq!(ip_net("0.0.0.0/0"), json!({ "IP": "0.0.0.0", "Mask": "AAAAAA==" }));
        assert_eq!(ip_net("fd00::/64")["Mask"], STANDARD.encode([[255u8; 8], [0; 8]].concat()));
        assert_eq!(ip_net("nonsense"), Value::Null);
    }
}
