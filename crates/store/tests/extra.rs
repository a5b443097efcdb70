//! The services beside etcd's: health, reflection, and the store's own.
#![allow(clippy::unwrap_used, reason = "a test")]
#![allow(dead_code, reason = "common parts are for other tests too")]

#[path = "common/client.rs"]
mod client;

use client::Served;
use http::uri::PathAndQuery;
use prost::Message;
use prost_types::FileDescriptorProto;
use store::proto::reflection::{
    ServerReflectionRequest, ServerReflectionResponse, reflection_request::Asked, reflection_response::Answer,
};
use store::proto::{HealthCheckRequest, HealthCheckResponse, ServingStatus};
use tonic::client::Grpc;
use tonic::transport::{Channel, Endpoint};
use tonic::{Code, Request, Status};
use tonic_prost::ProstCodec;

async fn grpc(url: &str) -> Grpc<Channel> {
    let channel = Endpoint::from_shared(url.to_owned()).unwrap().connect().await.unwrap();
    let mut grpc = Grpc::new(channel);
    grpc.ready().await.unwrap();
    grpc
}

async fn health(url: &str, service: &str) -> Result<i32, Status> {
    let path = PathAndQuery::from_static("/grpc.health.v1.Health/Check");
    let codec = ProstCodec::<HealthCheckRequest, HealthCheckResponse>::default();
    let request = HealthCheckRequest { service: service.to_owned() };
    grpc(url).await.unary(Request::new(request), path, codec).await.map(|answer| answer.into_inner().status)
}

async fn reflect(url: &str, version: &str, asked: Vec<Asked>) -> Vec<Answer> {
    let path = format!("/grpc.reflection.{version}.ServerReflection/ServerReflectionInfo").parse().unwrap();
    let codec = ProstCodec::<ServerReflectionRequest, ServerReflectionResponse>::default();
    let requests: Vec<_> = asked
        .into_iter()
        .map(|asked| ServerReflectionRequest { host: String::new(), asked: Some(asked) })
        .collect();
    let requests = tokio_stream::iter(requests);
    let mut stream =
        grpc(url).await.streaming(Request::new(requests), path, codec).await.unwrap().into_inner();
    let mut answers = Vec::new();
    while let Some(response) = stream.message().await.unwrap() {
        answers.push(response.answer.unwrap());
    }
    answers
}

#[tokio::test]
async fn health_is_told_and_an_unknown_service_is_not_found() {
    let served = Served::start().await;
    assert_eq!(health(&served.urls[0], "").await.unwrap(), ServingStatus::Serving as i32);
    assert_eq!(health(&served.urls[0], "other").await.unwrap_err().code(), Code::NotFound);
    served.stop().await;
}

#[tokio::test]
async fn reflection_describes_what_is_served() {
    let served = Served::start().await;
    for version in ["v1", "v1alpha"] {
        let symbol = |name: &str| Asked::FileContainingSymbol(name.to_owned());
        let answers = reflect(
            &served.urls[0],
            version,
            vec![
                Asked::ListServices(String::new()),
                symbol("etcdserverpb.KV.Txn"),
                symbol("etcdserverpb.Compare.CompareResult"),
                symbol("etcdserverpb.Nothing"),
                Asked::FileByFilename("mvccpb.proto".to_owned()),
            ],
        )
        .await;
        let Answer::ListServices(list) = &answers[0] else { panic!("{answers:?}") };
        let names: Vec<&str> = list.service.iter().map(|service| service.name.as_str()).collect();
        for name in ["etcdserverpb.KV", "etcdserverpb.Watch", "etcdserverpb.Lease", "grpc.health.v1.Health"] {
            assert!(names.contains(&name), "{names:?}");
        }
        for (answer, expected, files) in
            [(&answers[1], "etcdserverpb", 3), (&answers[2], "etcdserverpb", 3), (&answers[4], "mvccpb", 1)]
        {
            let Answer::FileDescriptor(described) = answer else { panic!("{answer:?}") };
            let described: Vec<FileDescriptorProto> = described
                .file_descriptor_proto
                .iter()
                .map(|bytes| FileDescriptorProto::decode(bytes.as_slice()).unwrap())
                .collect();
            assert_eq!((described[0].package(), described.len()), (expected, files));
        }
        assert!(matches!(&answers[3], Answer::Error(error) if error.error_code == Code::NotFound as i32));
    }
    served.stop().await;
}
