use std::sync::Arc;

use reqwest::{Client, RequestBuilder};
use rustls::ClientConfig;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use seal_token::Proof;
use tokio_util::sync::CancellationToken;

use super::GatewayError;
use super::http::{client, fetch};
use super::tls::with_identity;
use crate::{ClusterSettings, KeyedCertificate};

/// User name of a proof in Basic authentication.
const SEAL_USER: &str = "seal";

/// Which certificate of the join protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CertificateKind {
    /// The kubelet towards the apiserver.
    ClientKubelet,
    /// The apiserver towards the kubelet.
    ServingKubelet,
    /// kube-proxy towards the apiserver.
    ClientKubeProxy,
}

impl CertificateKind {
    fn path(self) -> &'static str {
        match self {
            Self::ClientKubelet => "client-kubelet.crt",
            Self::ServingKubelet => "serving-kubelet.crt",
            Self::ClientKubeProxy => "client-kube-proxy.crt",
        }
    }
}

/// A certificate as the gateway gave it.
#[derive(Clone, Debug)]
pub struct Signed {
    /// PEM, leaf first.
    pub pem: String,
    /// The leaf in DER.
    pub leaf: CertificateDer<'static>,
}

/// The node's side of the join protocol's headers.
#[derive(Clone, Copy, Debug)]
pub struct NodeHeaders<'a> {
    /// Name of the node.
    pub name: &'a str,
    /// Its address.
    pub ip: std::net::IpAddr,
    /// Random; the gateway may tie the name to it.
    pub password: &'a str,
}

/// A gateway that runs attested, allowed code under the key and CA on chain: it may see proofs.
///
/// Dropped or [closed](Self::close), it ends every request under way.
pub struct Attested {
    client: Client,
    tls: Arc<ClientConfig>,
    base: String,
    ca_pem: Vec<u8>,
    claims: tee::Claims,
    closed: CancellationToken,
}

impl Attested {
    pub(super) fn new(
        client: Client,
        tls: Arc<ClientConfig>,
        base: String,
        ca_pem: Vec<u8>,
        claims: tee::Claims,
    ) -> Self {
        Self { client, tls, base, ca_pem, claims, closed: CancellationToken::new() }
    }

    /// Ends every request under way, and those that come: this gateway is trusted no longer.
    pub(crate) fn close(&self) {
        self.closed.cancel();
    }

    /// Cancelled when the gateway is trusted no longer; whoever holds a connection of [`Self::tls`] ends it then.
    pub fn closed(&self) -> CancellationToken {
        self.closed.clone()
    }

    /// TLS for further connections to this gateway: under its CA, with evidence bound to the key. Without ALPN.
    pub fn tls(&self) -> Arc<ClientConfig> {
        Arc::clone(&self.tls)
    }

    /// Where it is, `https://host:port`.
    pub fn base(&self) -> &str {
        &self.base
    }

    /// What the master's evidence said.
    pub fn claims(&self) -> &tee::Claims {
        &self.claims
    }

    /// The cluster CA in PEM.
    pub fn ca_pem(&self) -> &[u8] {
        &self.ca_pem
    }

    /// Has a certificate signed for the key in `csr_der`.
    pub async fn sign(
        &self,
        proof: &Proof,
        node: NodeHeaders<'_>,
        kind: CertificateKind,
        csr_der: Vec<u8>,
    ) -> Result<Signed, GatewayError> {
        let url = format!("{}/v1-k3s/{}", self.base, kind.path());
        let request = self
            .client
            .post(url)
            .basic_auth(SEAL_USER, Some(proof.to_string()))
            .header("k3s-Node-Name", node.name)
            .header("k3s-Node-IP", node.ip.to_string())
            .header("k3s-Node-Password", node.password)
            .header("content-type", "application/pkcs10")
            .body(csr_der);
        let what = kind.path();
        let malformed = |problem: &str| GatewayError::Malformed { what, problem: problem.to_owned() };
        let body = self.fetch(what, request).await?;
        let leaf = CertificateDer::pem_slice_iter(&body)
            .next()
            .and_then(Result::ok)
            .ok_or_else(|| malformed("no PEM certificate"))?;
        let pem = String::from_utf8(body).map_err(|_| malformed("not text"))?;
        Ok(Signed { pem, leaf })
    }

    /// A CA file of the join protocol, `client-ca.crt` or `server-ca.crt`, in PEM.
    pub async fn ca_file(&self, proof: &Proof, name: &'static str) -> Result<String, GatewayError> {
        let body = self.join_get(proof, name).await?;
        let all_certificates = CertificateDer::pem_slice_iter(&body).all(|pem| pem.is_ok());
        let any = CertificateDer::pem_slice_iter(&body).next().is_some();
        match String::from_utf8(body) {
            Ok(pem) if all_certificates && any => Ok(pem),
            _ => Err(GatewayError::Malformed { what: name, problem: "not PEM certificates".to_owned() }),
        }
    }

    /// Addresses of the apiservers, `host:port`.
    pub async fn apiservers(&self, proof: &Proof) -> Result<Vec<String>, GatewayError> {
        let body = self.join_get(proof, "apiservers").await?;
        let servers: Vec<String> = serde_json::from_slice(&body)
            .map_err(|error| GatewayError::Malformed { what: "apiservers", problem: error.to_string() })?;
        if servers.is_empty() {
            return Err(GatewayError::Malformed { what: "apiservers", problem: "none".to_owned() });
        }
        Ok(servers)
    }

    /// The cluster's settings for nodes.
    pub async fn settings(&self, proof: &Proof) -> Result<ClusterSettings, GatewayError> {
        let body = self.join_get(proof, "config").await?;
        ClusterSettings::from_config(&body)
            .map_err(|problem| GatewayError::Malformed { what: "config", problem })
    }

    /// Tells the gateway that this node lives.
    pub async fn heartbeat(
        &self,
        proof: &Proof,
        beat: &api::Heartbeat,
    ) -> Result<api::HeartbeatReply, GatewayError> {
        let url = format!("{}/api/v1/nodes/heartbeat", self.base);
        let request = self.client.post(url).bearer_auth(proof.to_string()).json(beat);
        let body = self.fetch("heartbeat", request).await?;
        serde_json::from_slice(&body)
            .map_err(|error| GatewayError::Malformed { what: "heartbeat", problem: error.to_string() })
    }

    /// Shows evidence of this machine over a connection of its own, made with `identity`, whose key it is bound to.
    pub async fn show_evidence(
        &self,
        identity: &KeyedCertificate,
        evidence: &api::NodeEvidence,
    ) -> Result<api::NodeAttested, GatewayError> {
        let tls = with_identity(&self.tls, identity)
            .map_err(|problem| GatewayError::Local(format!("the node's certificate: {problem}")))?;
        let url = format!("{}/api/v1/nodes/attestation", self.base);
        let request = client(tls)?.post(url).json(evidence);
        let body = self.fetch("attestation of this node", request).await?;
        serde_json::from_slice(&body).map_err(|error| GatewayError::Malformed {
            what: "attestation of this node",
            problem: error.to_string(),
        })
    }

    /// Numbers of the epochs whose shares the master keeps.
    pub async fn reward_epochs(&self) -> Result<Vec<u64>, GatewayError> {
        let what = "rewards";
        let body = self.fetch(what, self.client.get(format!("{}/api/v1/rewards", self.base))).await?;
        let epochs: api::RewardEpochs = serde_json::from_slice(&body)
            .map_err(|error| GatewayError::Malformed { what, problem: error.to_string() })?;
        Ok(epochs.epochs)
    }

    /// What `stake` claims its share of an epoch with; none where it has no share.
    pub async fn reward_proof(
        &self,
        epoch: u64,
        stake: &str,
    ) -> Result<Option<api::RewardProof>, GatewayError> {
        let what = "proof of a reward";
        let url = format!("{}/api/v1/rewards/{epoch}/{stake}", self.base);
        match self.fetch(what, self.client.get(url)).await {
            Ok(body) => serde_json::from_slice(&body)
                .map(Some)
                .map_err(|error| GatewayError::Malformed { what, problem: error.to_string() }),
            Err(GatewayError::Refused { reason, .. } | GatewayError::Answer { reason, .. })
                if reason == "not_kept" =>
            {
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }

    async fn join_get(&self, proof: &Proof, name: &'static str) -> Result<Vec<u8>, GatewayError> {
        let url = format!("{}/v1-k3s/{name}", self.base);
        let request = self.client.get(url).basic_auth(SEAL_USER, Some(proof.to_string()));
        self.fetch(name, request).await
    }

    async fn fetch(&self, what: &'static str, request: RequestBuilder) -> Result<Vec<u8>, GatewayError> {
        let answer = self.closed.run_until_cancelled(fetch(what, &self.base, request)).await;
        answer.unwrap_or(Err(GatewayError::Closed))
    }
}

impl Drop for Attested {
    fn drop(&mut self) {
        self.close();
    }
}
