//! Services beside etcd's own: `grpc.health.v1.Health`, which etcd has too, and `k3s_daas.store.v1.Admin`.

/// What `Health` says about a service.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, prost::Enumeration)]
#[repr(i32)]
pub enum ServingStatus {
    Unknown = 0,
    Serving = 1,
    NotServing = 2,
    ServiceUnknown = 3,
}

#[derive(Clone, PartialEq, Eq, Hash, prost::Message)]
pub struct HealthCheckRequest {
    /// Empty for the server as a whole.
    #[prost(string, tag = "1")]
    pub service: String,
}

#[derive(Clone, Copy, PartialEq, Eq, Hash, prost::Message)]
pub struct HealthCheckResponse {
    #[prost(enumeration = "ServingStatus", tag = "1")]
    pub status: i32,
}

/// Begins a new generation of the store's keys.
#[derive(Clone, Copy, PartialEq, Eq, Hash, prost::Message)]
pub struct RotateKeyRequest {}

#[derive(Clone, Copy, PartialEq, Eq, Hash, prost::Message)]
pub struct RotateKeyResponse {
    /// Number of the new generation.
    #[prost(uint32, tag = "1")]
    pub key_epoch: u32,
}
