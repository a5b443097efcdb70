//! Service `etcdserverpb.Auth`: only what a server with authentication off answers.

use super::ResponseHeader;

/// Any request whose fields do not matter for the answer.
#[derive(Clone, Copy, PartialEq, Eq, Hash, prost::Message)]
pub struct AnyRequest {}

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
