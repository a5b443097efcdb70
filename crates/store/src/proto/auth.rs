//! Service `etcdserverpb.Auth`: only what a server with authentication off reads and answers.

use bytes::Bytes;

use super::ResponseHeader;

/// Any request whose fields do not matter for the answer.
#[derive(Clone, Copy, PartialEq, Eq, Hash, prost::Message)]
pub struct AnyRequest {}

/// Any response without fields.
#[derive(Clone, Copy, PartialEq, Eq, Hash, prost::Message)]
pub struct AnyResponse {}

/// Any response that carries a header and nothing else.
#[derive(Clone, Copy, PartialEq, Eq, Hash, prost::Message)]
pub struct HeaderResponse {
    #[prost(message, optional, tag = "1")]
    pub header: Option<ResponseHeader>,
}

#[derive(Clone, Copy, PartialEq, Eq, Hash, prost::Message)]
pub struct AuthStatusResponse {
    #[prost(message, optional, tag = "1")]
    pub header: Option<ResponseHeader>,
    #[prost(bool, tag = "2")]
    pub enabled: bool,
    #[prost(uint64, tag = "3")]
    pub auth_revision: u64,
}

/// `AuthUserAddRequest` and `AuthRoleAddRequest`, as far as they matter.
#[derive(Clone, PartialEq, Eq, Hash, prost::Message)]
pub struct AuthAddRequest {
    #[prost(string, tag = "1")]
    pub name: String,
}

/// `AuthRoleGrantPermissionRequest`; the permission is not looked into.
#[derive(Clone, PartialEq, Eq, Hash, prost::Message)]
pub struct AuthRoleGrantPermissionRequest {
    #[prost(string, tag = "1")]
    pub name: String,
    #[prost(bytes = "bytes", optional, tag = "2")]
    pub perm: Option<Bytes>,
}
