//! The join protocol's certificates. With `POST` the node sends a request for a key of its own; with `GET`, which old K3s
//! agents use, it is given a key as well.

use std::net::IpAddr;
use std::sync::Arc;

use axum::Extension;
use axum::body::Body;
use axum::extract::State;
use axum::routing::{MethodRouter, get};
use engine::pki::{Identity, PkiError, Profile, Usage};
use http::{HeaderMap, Method};
use ring::rand::{SecureRandom, SystemRandom};
use sha2::{Digest, Sha256};
use x509_parser::certification_request::X509CertificationRequest;
use x509_parser::prelude::FromDer;

use super::body;
use super::join::{Pem, identify, pem, requested_name};
use super::peer::Peer;
use super::problem::Problem;
use super::routes::Desk;
use crate::health::Sender;
use crate::membership::{NODE_USER_PREFIX, NODES_GROUP, NodeIdentity};
use crate::shared::Shared;

const NODE_IP: &str = "k3s-node-ip";
/// Addresses of one node.
const MAX_ADDRESSES: usize = 8;

/// The route of one kind of certificate.
pub(super) fn certificate(kind: Kind) -> MethodRouter<Desk> {
    let handler =
        move |State(desk): State<Desk>,
              Extension(peer): Extension<Peer>,
              method: Method,
              headers: HeaderMap,
              body: Body| async move { sign(&desk, &peer, &method, &headers, body, kind).await };
    get(handler).post(handler)
}

/// The certificates of a node.
#[derive(Clone, Copy)]
pub(super) enum Kind {
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

    fn is_kubelets(self) -> bool {
        matches!(self, Self::ClientKubelet | Self::ServingKubelet)
    }

    /// User and groups of a client, or name of a server. A kubelet's group names its key, where it brought one: who is attested is
    /// a key.
    fn subject(self, node: &NodeIdentity, key: Option<[u8; 32]>) -> (String, Vec<String>) {
        let group = node.certificate_group();
        match self {
            Self::ClientKubelet => {
                let key = key.map(|key| format!(".{}", hex::encode(key))).unwrap_or_default();
                (format!("{NODE_USER_PREFIX}{}", node.name), vec![NODES_GROUP.to_owned(), group + &key])
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

async fn sign(
    desk: &Desk,
    peer: &Peer,
    method: &Method,
    headers: &HeaderMap,
    body: Body,
    kind: Kind,
) -> Result<Pem, Problem> {
    let shared = &desk.shared;
    if let Some(reason) = shared.board.read().right.lost() {
        return Err(Problem::NoRight(reason));
    }
    let (node, shown) = identify(shared, peer, headers)?;
    // As K3s: a kubelet's certificates are asked for by name, the others are not.
    if kind.is_kubelets() && requested_name(headers)?.is_none() {
        return Err(Problem::BadHeader {
            name: "k3s-Node-Name",
            problem: "is missing; send the node's name",
        });
    }
    let addresses = addresses(headers, peer)?;
    let csr = match *method {
        Method::POST => Some(body::csr(&desk.limits, headers, body).await?),
        _ => None,
    };
    let key = csr.as_deref().map(key_hash).transpose()?;
    // Without a request the key is made here, anew each time, so one proof is good for one.
    let tied = key.map_or_else(rand_hash, Ok)?;

    let now_ms = shared.now_ms();
    let refused = |refusal| Problem::Refused { refusal, token: Some(node.token) };
    {
        let mut membership = shared.membership.write();
        membership.admit(&node, now_ms).map_err(refused)?;
        if let Some(proof) = &shown {
            membership.tie(proof, kind.label(), tied).map_err(refused)?;
        }
    }
    let signed = issue(shared.clone(), kind, node.clone(), addresses, csr.zip(key), now_ms).await?;

    shared.membership.write().joined(&node.name, node.token);
    let sender = Sender { name: &node.name, token: node.token, stake: node.stake };
    shared.health.lock().joined(sender, now_ms);
    if let (Kind::ClientKubelet, Some(key)) = (kind, key) {
        shared.workers.book.lock().certified(&node.name, node.token, key, now_ms);
    }
    shared.metrics.certificates.get_or_create(&[("kind", kind.label())]).inc();
    tracing::info!(node = node.name, token = %node.token, kind = kind.label(), "signed a certificate");
    shared.changed.notify_one();
    Ok(pem(signed))
}

/// Stands for a key that does not exist yet.
fn rand_hash() -> Result<[u8; 32], Problem> {
    let mut hash = [0; 32];
    let random = SystemRandom::new().fill(&mut hash);
    random.map_err(|_| Problem::Internal("the system gave no random bytes"))?;
    Ok(hash)
}

/// Signs on a thread where it holds nobody up; the certificate's chain, and the key when none was brought.
async fn issue(
    shared: Arc<Shared>,
    kind: Kind,
    node: NodeIdentity,
    addresses: Vec<IpAddr>,
    csr: Option<(Vec<u8>, [u8; 32])>,
    now_ms: u64,
) -> Result<String, Problem> {
    let signing = tokio::task::spawn_blocking(move || {
        let (common_name, groups) = kind.subject(&node, csr.as_ref().map(|(_, key)| *key));
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
        match csr {
            Some((csr, _)) => shared.pki.sign_request(&csr, &profile, now_ms),
            None => shared
                .pki
                .issue_for_node(&profile, now_ms)
                .map(|Identity { certificate, key }| certificate + &key),
        }
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
