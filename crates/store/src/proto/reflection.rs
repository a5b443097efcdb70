//! Service `grpc.reflection.v1.ServerReflection`.

#[derive(Clone, PartialEq, Eq, Hash, prost::Message)]
pub struct ServerReflectionRequest {
    #[prost(string, tag = "1")]
    pub host: String,
    #[prost(oneof = "reflection_request::Asked", tags = "3, 4, 7")]
    pub asked: Option<reflection_request::Asked>,
}

pub mod reflection_request {
    //! What is asked for; extensions are not, because there are none.

    #[derive(Clone, PartialEq, Eq, Hash, prost::Oneof)]
    pub enum Asked {
        #[prost(string, tag = "3")]
        FileByFilename(String),
        #[prost(string, tag = "4")]
        FileContainingSymbol(String),
        #[prost(string, tag = "7")]
        ListServices(String),
    }
}

#[derive(Clone, PartialEq, Eq, Hash, prost::Message)]
pub struct ServerReflectionResponse {
    #[prost(string, tag = "1")]
    pub valid_host: String,
    #[prost(message, optional, tag = "2")]
    pub original_request: Option<ServerReflectionRequest>,
    #[prost(oneof = "reflection_response::Answer", tags = "4, 6, 7")]
    pub answer: Option<reflection_response::Answer>,
}

pub mod reflection_response {
    //! What is answered.

    use super::{ErrorResponse, FileDescriptorResponse, ListServiceResponse};

    #[derive(Clone, PartialEq, Eq, Hash, prost::Oneof)]
    pub enum Answer {
        #[prost(message, tag = "4")]
        FileDescriptor(FileDescriptorResponse),
        #[prost(message, tag = "6")]
        ListServices(ListServiceResponse),
        #[prost(message, tag = "7")]
        Error(ErrorResponse),
    }
}

#[derive(Clone, PartialEq, Eq, Hash, prost::Message)]
pub struct FileDescriptorResponse {
    /// Encoded `google.protobuf.FileDescriptorProto`, one each.
    #[prost(bytes = "vec", repeated, tag = "1")]
    pub file_descriptor_proto: Vec<Vec<u8>>,
}

#[derive(Clone, PartialEq, Eq, Hash, prost::Message)]
pub struct ListServiceResponse {
    #[prost(message, repeated, tag = "1")]
    pub service: Vec<ServiceResponse>,
}

#[derive(Clone, PartialEq, Eq, Hash, prost::Message)]
pub struct ServiceResponse {
    #[prost(string, tag = "1")]
    pub name: String,
}

#[derive(Clone, PartialEq, Eq, Hash, prost::Message)]
pub struct ErrorResponse {
    #[prost(int32, tag = "1")]
    pub error_code: i32,
    #[prost(string, tag = "2")]
    pub error_message: String,
}
