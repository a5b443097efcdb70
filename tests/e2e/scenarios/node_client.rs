use std::time::Duration;

use rcgen::{CertificateParams, KeyPair};

use crate::cluster::Cluster;
use crate::proofs::Holder;

/// A node that joined through the gateway as a worker does, without a kubelet: what it may still do is
/// asked of the apiserver with its own certificate.
pub(crate) struct NodeClient {
    name: String,
    pub(crate) http: reqwest::blocking::Client,
    pub(crate) holder: Holder,
}

impl NodeClient {
    /// Stakes for a node of this name, joins, and registers its Node object.
    pub(crate) fn join(cluster: &Cluster, name: &str) -> Result<Self, String> {
        cluster.cli(&["stake", "--tier", "node", "--wallet", "staker", "--node-name", name])?.ok()?;
        let holder = Holder::of(cluster, name)?;
        let pem = crate::command::eventually(Duration::from_secs(5), || {
            certificate(cluster, name, &holder)?.map_err(|(status, body)| format!("{status} {body}"))
        })?;
        let client = Self { name: name.to_owned(), http: cluster.http_as(Some(&pem))?, holder };
        let node = serde_json::json!({ "apiVersion": "v1", "kind": "Node", "metadata": { "name": name } });
        let reply = client.http.post(cluster.api("/api/v1/nodes")).json(&node).send();
        let status = reply.map_err(|error| error.to_string())?.status();
        if status.as_u16() != 201 {
            return Err(format!("the node could not register itself: {status}"));
        }
        match client.look(cluster)? {
            200 => Ok(client),
            other => Err(format!("the node cannot see itself: {other}")),
        }
    }

    /// The status of a request for its own Node object.
    pub(crate) fn look(&self, cluster: &Cluster) -> Result<u16, String> {
        let url = cluster.api(&format!("/api/v1/nodes/{}", self.name));
        Ok(self.http.get(url).send().map_err(|error| error.to_string())?.status().as_u16())
    }
}

/// Status and body of an answer that is not a success.
pub(crate) type Refused = (u16, String);

/// Asks the gateway for a kubelet client certificate; certificate and key as one PEM.
pub(crate) fn certificate(
    cluster: &Cluster,
    name: &str,
    holder: &Holder,
) -> Result<Result<String, Refused>, String> {
    let key = KeyPair::generate().map_err(|error| error.to_string())?;
    let csr = CertificateParams::new(Vec::new())
        .and_then(|params| params.serialize_request(&key))
        .map_err(|error| error.to_string())?;
    let reply = cluster
        .http()?
        .post(cluster.gateway("/v1-k3s/client-kubelet.crt"))
        .basic_auth("seal", Some(holder.proof(|_| ())))
        .header("k3s-Node-Name", name)
        .header("k3s-Node-IP", "127.0.0.1")
        .body(csr.der().to_vec())
        .send()
        .map_err(|error| error.to_string())?;
    let status = reply.status().as_u16();
    let body = reply.text().map_err(|error| error.to_string())?;
    Ok(if status == 200 { Ok(body + &key.serialize_pem()) } else { Err((status, body)) })
}
