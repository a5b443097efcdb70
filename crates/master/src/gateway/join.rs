//! The K3s join protocol. K3s asks for a random node password and keeps its hash, so that a node's name
//! stays with its machine; here the name is pinned to the stake on chain, every proof is one of its token,
//! and the password is not looked at.

use std::net::IpAddr;
use std::sync::Arc;

use axum::Extension;
use axum::Json;
use axum::body::Body;
use axum::extract::State;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use engine::pki::{PkiError, Profile, Usage};
use http::{HeaderMap, header};
use seal_token::Proof;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use x509_parser::certification_request::X509CertificationRequest;
use x509_parser::prelude::FromDer;

use super::body;
use super::credential::proof;
use super::peer::Peer;
use super::problem::Problem;
use super::routes::Desk;
use crate::config::ClusterNetwork;
use crate::health::Sender;
use crate::membership::{NODE_USER_PREFIX, NODES_GROUP, NodeIdentity, Refusal};
use crate::shared::Shared;

const NODE_NAME: &str = "k3s-node-name";
const NODE_IP: &str = "k3s-node-ip";
/// Addresses of one node.
const MAX_ADDRESSES: usize = 8;

type Pem = ([(header::HeaderName, &'static str); 1], String);

pub(super) async fn cacerts(State(desk): State<Desk>) -> Pem {
    pem(desk.shared.pki.ca_pem().to_owned())
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
    Ok(Json(json!({
        "ClusterDomain": network.cluster_domain,
        "ClusterDNS": network.cluster_dns,
        "ClusterIPRange": ip_net(&network.cluster_cidr),
        "ServiceIPRange": ip_net(&network.service_cidr),
        "FlannelBackend": network.flannel_backend.as_str(),
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

/// The tunnel of K3s' remotedialer.
pub(super) async fn connect(
    State(desk): State<Desk>,
    Extension(peer): Extension<Peer>,
    headers: HeaderMap,
) -> Result<(), Problem> {
    identify(&desk.shared, &peer, &headers)?;
    Err(Problem::NotOffered(
        "this master has no tunnel: nodes must be reachable from it on the kubelet's port",
    ))
}

pub(super) async fn client_kubelet(
    State(desk): State<Desk>,
    Extension(peer): Extension<Peer>,
    headers: HeaderMap,
    body: Body,
) -> Result<Pem, Problem> {
    sign(&desk, &peer, &headers, body, Kind::ClientKubelet).await
}

pub(super) async fn serving_kubelet(
    State(desk): State<Desk>,
    Extension(peer): Extension<Peer>,
    headers: HeaderMap,
    body: Body,
) -> Result<Pem, Problem> {
    sign(&desk, &peer, &headers, body, Kind::ServingKubelet).await
}

pub(super) async fn client_kube_proxy(
    State(desk): State<Desk>,
    Extension(peer): Extension<Peer>,
    headers: HeaderMap,
    body: Body,
) -> Result<Pem, Problem> {
    sign(&desk, &peer, &headers, body, Kind::ClientKubeProxy).await
}

pub(super) async fn client_k3s_controller(
    State(desk): State<Desk>,
    Extension(peer): Extension<Peer>,
    headers: HeaderMap,
    body: Body,
) -> Result<Pem, Problem> {
    sign(&desk, &peer, &headers, body, Kind::ClientK3sController).await
}

/// The certificates of a node.
#[derive(Clone, Copy)]
enum Kind {
    ClientKubelet,
    ServingKubelet,
    ClientKubeProxy,
    ClientK3sController,
}

impl Kind {
    fn label(self) -> &'static str {
        match self {
            Self::ClientKubelet => "client-kubelet",
            Self::ServingKubelet => "serving-kubelet",
            Self::ClientKubeProxy => "client-kube-proxy",
            Self::ClientK3sController => "client-k3s-controller",
        }
    }

    /// User and groups of a client, or name of a server.
    fn subject(self, node: &NodeIdentity) -> (String, Vec<String>) {
        let group = node.certificate_group();
        match self {
            Self::ClientKubelet => {
                (format!("{NODE_USER_PREFIX}{}", node.name), vec![NODES_GROUP.to_owned(), group])
            }
            Self::ClientKubeProxy => ("system:kube-proxy".to_owned(), vec![group]),
            Self::ClientK3sController => ("system:k3s-controller".to_owned(), vec![group]),
            Self::ServingKubelet => (node.name.clone(), Vec::new()),
        }
    }

    fn usage(self) -> Usage {
        match self {
            Self::ServingKubelet => Usage::Server,
            Self::ClientKubelet | Self::ClientKubeProxy | Self::ClientK3sController => Usage::Client,
        }
    }
}

async fn sign(desk: &Desk, peer: &Peer, headers: &HeaderMap, body: Body, kind: Kind) -> Result<Pem, Problem> {
    let shared = &desk.shared;
    let (node, shown) = identify(shared, peer, headers)?;
    if requested_name(headers)?.is_none() {
        return Err(Problem::BadHeader {
            name: "k3s-Node-Name",
            problem: "is missing; send the node's name",
        });
    }
    let addresses = addresses(headers, peer)?;
    let csr = body::csr(&desk.limits, headers, body).await?;
    let key_hash = key_hash(&csr)?;

    let now_ms = shared.now_ms();
    let refused = |refusal| Problem::Refused { refusal, token: Some(node.token) };
    {
        let mut membership = shared.membership.write();
        membership.admit(&node, now_ms).map_err(refused)?;
        if let Some(proof) = &shown {
            membership.tie(proof, kind.label(), key_hash).map_err(refused)?;
        }
    }
    let chain = issue(shared.clone(), kind, node.clone(), addresses, csr, now_ms).await?;

    shared.membership.write().joined(&node.name, node.token);
    let sender = Sender { name: &node.name, token: node.token, stake: node.stake };
    shared.health.lock().joined(sender, now_ms);
    shared.metrics.certificates.get_or_create(&[("kind", kind.label())]).inc();
    tracing::info!(node = node.name, token = %node.token, kind = kind.label(), "signed a certificate");
    shared.changed.notify_one();
    Ok(pem(chain))
}

/// Signs on a thread where it holds nobody up.
async fn issue(
    shared: Arc<Shared>,
    kind: Kind,
    node: NodeIdentity,
    addresses: Vec<IpAddr>,
    csr: Vec<u8>,
    now_ms: u64,
) -> Result<String, Problem> {
    let signing = tokio::task::spawn_blocking(move || {
        let (common_name, groups) = kind.subject(&node);
        let groups: Vec<&str> = groups.iter().map(String::as_str).collect();
        let dns_names = [node.name.clone(), "localhost".to_owned()];
        let server = kind.usage() == Usage::Server;
        let profile = Profile {
            common_name: &common_name,
            organizations: &groups,
            dns_names: if server { &dns_names } else { &[] },
            addresses: if server { &addresses } else { &[] },
            usage: kind.usage(),
            lifetime_seconds: shared.facts.certificate_lifetime_ms / 1000,
        };
        shared.pki.sign_request(&csr, &profile, now_ms)
    });
    match signing.await {
        Ok(Ok(chain)) => Ok(chain),
        Ok(Err(error @ PkiError::BadRequest { .. })) => Err(Problem::BadCsr { problem: error.to_string() }),
        Ok(Err(error)) => {
            tracing::error!("cannot sign a certificate: {error}");
            Err(Problem::Internal("the certificate was not signed"))
        }
        Err(_) => Err(Problem::Internal("the certificate was not signed")),
    }
}

/// Which node asks, by the proof it shows or else by its client certificate.
fn identify(
    shared: &Shared,
    peer: &Peer,
    headers: &HeaderMap,
) -> Result<(NodeIdentity, Option<Proof>), Problem> {
    let requested = requested_name(headers)?;
    let now_ms = shared.now_ms();
    let shown = proof(headers)?;
    let membership = shared.membership.read();
    if let Some(proof) = shown {
        let node = membership.node_by_proof(&proof, requested, now_ms).map_err(Problem::refused(&proof))?;
        return Ok((node, Some(proof)));
    }
    let refused = |refusal| Problem::Refused { refusal, token: None };
    let certificate = peer.certificate.as_ref().ok_or(refused(Refusal::MissingCredential))?;
    let node = membership.node_by_certificate(certificate, requested, now_ms).map_err(refused)?;
    Ok((node, None))
}

fn requested_name(headers: &HeaderMap) -> Result<Option<&str>, Problem> {
    let Some(value) = headers.get(NODE_NAME) else { return Ok(None) };
    let bad = Problem::BadHeader { name: "k3s-Node-Name", problem: "is not a node name" };
    value.to_str().map(Some).map_err(|_| bad)
}

/// The node's addresses as it says; without the header, where the request comes from.
fn addresses(headers: &HeaderMap, peer: &Peer) -> Result<Vec<IpAddr>, Problem> {
    let bad = |problem| Problem::BadHeader { name: "k3s-Node-IP", problem };
    let Some(value) = headers.get(NODE_IP) else { return Ok(vec![peer.address.ip()]) };
    let text = value.to_str().map_err(|_| bad("is not text"))?;
    let parts = text.split(',').map(str::trim).filter(|part| !part.is_empty());
    let addresses: Vec<IpAddr> =
        parts.map(str::parse).collect::<Result<_, _>>().map_err(|_| bad("is not a list of IP addresses"))?;
    match addresses.len() {
        0 => Err(bad("is empty")),
        1..=MAX_ADDRESSES => Ok(addresses),
        _ => Err(bad("has more than 8 addresses")),
    }
}

/// SHA-256 of the request's public key (SubjectPublicKeyInfo).
fn key_hash(csr: &[u8]) -> Result<[u8; 32], Problem> {
    let bad = |problem: &str| Problem::BadCsr { problem: problem.to_owned() };
    let (rest, request) = X509CertificationRequest::from_der(csr)
        .map_err(|_| bad("it is not a PKCS#10 request in DER or PEM"))?;
    if !rest.is_empty() {
        return Err(bad("there are bytes after its end"));
    }
    Ok(Sha256::digest(request.certification_request_info.subject_pki.raw).into())
}

fn pem(text: String) -> Pem {
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
