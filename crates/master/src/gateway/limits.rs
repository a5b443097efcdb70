use serde::{Deserialize, Serialize};

/// What one peer may cost the gateway.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct GatewayLimits {
    /// Connections from other machines at once. As many again may come from this machine, where the
    /// apiserver is, so that a flood from outside does not cut it off.
    pub max_connections: usize,
    /// Largest JSON body, bytes.
    pub max_body_bytes: usize,
    /// Largest certificate request, bytes.
    pub max_csr_bytes: usize,
    /// Time for a TLS handshake, milliseconds.
    pub handshake_timeout_ms: u64,
    /// Time for a request's head, and how long a connection may be idle between requests, milliseconds.
    pub header_timeout_ms: u64,
    /// The same for the apiserver, which keeps its connections, milliseconds.
    pub apiserver_idle_timeout_ms: u64,
    /// Time for a request's body, milliseconds.
    pub body_timeout_ms: u64,
    /// Time that a peer may take nothing of an answer, milliseconds.
    pub write_timeout_ms: u64,
}

impl Default for GatewayLimits {
    fn default() -> Self {
        Self {
            // A worker keeps a connection for its heartbeats and one for its tunnel.
            max_connections: 32_768,
            max_body_bytes: 1 << 20,
            max_csr_bytes: 64 << 10,
            handshake_timeout_ms: 5_000,
            header_timeout_ms: 15_000,
            apiserver_idle_timeout_ms: 300_000,
            body_timeout_ms: 10_000,
            write_timeout_ms: 20_000,
        }
    }
}
