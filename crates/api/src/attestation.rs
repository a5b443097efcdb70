use serde::{Deserialize, Serialize};

/// Query of `GET /api/v1/attestation`.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct AttestationQuery {
    /// 32 fresh random bytes as 64 hexadecimal digits; the evidence is bound to them.
    pub nonce: String,
}

/// Answer of `GET /api/v1/attestation`: evidence that this TLS endpoint is the enclave on chain.
///
/// The evidence's report data is `tee::report_data(nonce, public_key, ca_hash)`; a verifier recomputes
/// it from its own nonce, the key registered on chain and the CA that it talks under.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct AttestationReply {
    /// Platform name as `tee::PlatformKind` prints it, e.g. `simulated`.
    pub platform: String,
    /// True when the platform is simulated and proves nothing about hardware.
    pub simulated: bool,
    /// Base64 (standard, padded) of the encoded `tee::Evidence`.
    pub evidence: String,
    /// Object id of the registered enclave on chain, `0x…`.
    pub enclave_id: String,
    /// The enclave's ed25519 public key, 64 hexadecimal digits.
    pub public_key: String,
    /// SHA-256 of the cluster CA certificate in DER, 64 hexadecimal digits.
    pub ca_hash: String,
    /// The master's clock when the evidence was made.
    pub timestamp_ms: u64,
}

/// Body of `POST /api/v1/nodes/attestation`, over a connection with the kubelet's client certificate: evidence of what runs on
/// the node.
///
/// The evidence's report data is `tee::node_report_data(nonce, cluster, token, public key of the certificate)`. The master
/// computes it from what it knows itself; what is said here beside the evidence finds the reason of a refusal.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct NodeEvidence {
    /// The nonce of the last heartbeat's answer, 64 hexadecimal digits.
    pub nonce: String,
    /// Seal token object id that the evidence was made for, `0x…`.
    pub token_id: String,
    /// SHA-256 of the key that it was made for (SubjectPublicKeyInfo in DER), 64 hexadecimal digits.
    pub key_sha256: String,
    /// Base64 (standard, padded) of the encoded `tee::Evidence`.
    pub evidence: String,
}

/// Answer of `POST /api/v1/nodes/attestation`.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct NodeAttested {
    /// The platform, as `tee::PlatformKind` prints it.
    pub platform: String,
    /// True when it is simulated and proves nothing about hardware.
    pub simulated: bool,
    /// The master's clock when it was verified.
    pub verified_ms: u64,
    /// When it counts no longer, by the master's clock; a nonce for the next comes before.
    pub expires_ms: u64,
}
