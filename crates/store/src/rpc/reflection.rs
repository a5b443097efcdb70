use futures::{Stream, StreamExt};
use prost::Message;
use prost_types::{DescriptorProto, FileDescriptorProto};
use tonic::{Code, Status, Streaming};

use super::schema::FILES;
use crate::proto::reflection::{
    ErrorResponse, FileDescriptorResponse, ListServiceResponse, ServerReflectionRequest,
    ServerReflectionResponse, ServiceResponse, reflection_request, reflection_response,
};

/// gRPC server reflection, versions v1 and v1alpha, which are the same on the wire.
pub(super) fn answers(
    requests: Streaming<ServerReflectionRequest>,
) -> impl Stream<Item = Result<ServerReflectionResponse, Status>> + Send + use<> {
    requests.map(|request| request.map(answer))
}

fn answer(request: ServerReflectionRequest) -> ServerReflectionResponse {
    use reflection_request::Asked;
    let found = match &request.asked {
        Some(Asked::ListServices(_)) => Ok(reflection_response::Answer::ListServices(services())),
        Some(Asked::FileByFilename(name)) => {
            described(FILES.iter().find(|file| file.name.as_ref() == Some(name)), name)
        }
        Some(Asked::FileContainingSymbol(symbol)) => {
            described(FILES.iter().find(|file| defines(file, symbol)), symbol)
        }
        None => Err("extensions are not described".to_owned()),
    };
    let answer = found.unwrap_or_else(|error_message| {
        reflection_response::Answer::Error(ErrorResponse { error_code: Code::NotFound as i32, error_message })
    });
    ServerReflectionResponse {
        valid_host: request.host.clone(),
        original_request: Some(request),
        answer: Some(answer),
    }
}

fn services() -> ListServiceResponse {
    let service = FILES.iter().flat_map(|file| {
        let package = file.package();
        file.service
            .iter()
            .map(move |service| ServiceResponse { name: format!("{package}.{}", service.name()) })
    });
    ListServiceResponse { service: service.collect() }
}

/// The file and those that it needs.
fn described(file: Option<&FileDescriptorProto>, name: &str) -> Result<reflection_response::Answer, String> {
    let file = file.ok_or_else(|| format!("{name:?} is not described here"))?;
    let needed = FILES.iter().filter(|other| file.dependency.iter().any(|name| name == other.name()));
    let all = std::iter::once(file).chain(needed).map(Message::encode_to_vec).collect();
    Ok(reflection_response::Answer::FileDescriptor(FileDescriptorResponse { file_descriptor_proto: all }))
}

/// Whether the file defines a service, method, message or enumeration of this full name.
fn defines(file: &FileDescriptorProto, symbol: &str) -> bool {
    let Some(rest) = symbol.strip_prefix(file.package()).and_then(|rest| rest.strip_prefix('.')) else {
        return false;
    };
    let (first, more) = rest.split_once('.').unwrap_or((rest, ""));
    let service = file.service.iter().find(|service| service.name() == first);
    if let Some(service) = service {
        return more.is_empty() || service.method.iter().any(|method| method.name() == more);
    }
    file.enum_type.iter().any(|e| e.name() == rest)
        || file.message_type.iter().any(|message| message_defines(message, rest))
}

fn message_defines(message: &DescriptorProto, path: &str) -> bool {
    let (first, rest) = path.split_once('.').unwrap_or((path, ""));
    message.name() == first
        && (rest.is_empty()
            || message.enum_type.iter().any(|e| e.name() == rest)
            || message.nested_type.iter().any(|nested| message_defines(nested, rest)))
}
