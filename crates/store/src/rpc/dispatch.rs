use std::sync::Arc;

use futures::Stream;
use http::{HeaderValue, Method, Request, StatusCode, header};
use hyper::body::Incoming;
use prost::Message;
use tokio_util::sync::CancellationToken;
use tonic::body::Body;
use tonic::{Response, Status, Streaming};
use tonic_prost::ProstCodec;

use super::{auth, cluster, kv, lease, maintenance, pages, watch};
use crate::{EtcdError, Store};

/// Above what etcd's clients may send, so that our own limit answers with etcd's words.
const MAX_MESSAGE_BYTES: usize = 2 << 20;

/// What every request can reach.
#[derive(Clone)]
pub(super) struct Context {
    pub(super) store: Store,
    pub(super) urls: Arc<[String]>,
    /// Streams end when this is cancelled.
    pub(super) stop: CancellationToken,
    /// Connections end when this is cancelled, whatever they are doing.
    pub(super) kill: CancellationToken,
}

pub(super) type HttpRequest = Request<Incoming>;
pub(super) type HttpResponse = http::Response<Body>;

/// Answers one request.
pub(super) async fn dispatch(context: Context, request: HttpRequest) -> HttpResponse {
    let path = request.uri().path().to_owned();
    let Some((service, method)) = path.strip_prefix("/etcdserverpb.").and_then(|rest| rest.split_once('/'))
    else {
        return pages::page(&context, &request);
    };
    let content_type = request.headers().get(header::CONTENT_TYPE).map_or(&b""[..], HeaderValue::as_bytes);
    if request.method() != Method::POST || !content_type.starts_with(b"application/grpc") {
        let mut response = HttpResponse::new(Body::empty());
        *response.status_mut() = StatusCode::UNSUPPORTED_MEDIA_TYPE;
        return response;
    }
    match service {
        "KV" => kv::call(context, method, request).await,
        "Watch" => watch::call(context, method, request).await,
        "Lease" => lease::call(context, method, request).await,
        "Cluster" => cluster::call(context, method, request).await,
        "Maintenance" => maintenance::call(context, method, request).await,
        "Auth" => auth::call(context, method, request).await,
        _ => unknown(method),
    }
}

/// The answer for a method that does not exist.
pub(super) fn unknown(method: &str) -> HttpResponse {
    // Only what could be a name is repeated.
    let name: String = method.chars().filter(char::is_ascii_alphanumeric).take(64).collect();
    Status::unimplemented(format!("unknown method {name}")).into_http()
}

/// One request, one response.
pub(super) async fn unary<Q, A, F>(request: HttpRequest, answer: impl FnOnce(Q) -> F + Clone) -> HttpResponse
where
    Q: Message + Default + Send + 'static,
    A: Message + Send + 'static,
    F: Future<Output = Result<A, EtcdError>>,
{
    let service = tower::service_fn(move |request: tonic::Request<Q>| {
        let answer = answer.clone()(request.into_inner());
        async move { answer.await.map(Response::new).map_err(Status::from) }
    });
    grpc().unary(service, request).await
}

/// One request, a stream of responses.
pub(super) async fn server_streaming<Q, A, F, S>(
    request: HttpRequest,
    answer: impl FnOnce(Q) -> F + Clone,
) -> HttpResponse
where
    Q: Message + Default + Send + 'static,
    A: Message + Send + 'static,
    F: Future<Output = Result<S, EtcdError>>,
    S: Stream<Item = Result<A, Status>> + Send + 'static,
{
    let service = tower::service_fn(move |request: tonic::Request<Q>| {
        let answer = answer.clone()(request.into_inner());
        async move { answer.await.map(Response::new).map_err(Status::from) }
    });
    grpc().server_streaming(service, request).await
}

/// A stream of requests, a stream of responses.
pub(super) async fn streaming<Q, A, S>(
    request: HttpRequest,
    answer: impl FnOnce(Streaming<Q>) -> S + Clone + Send,
) -> HttpResponse
where
    Q: Message + Default + Send + 'static,
    A: Message + Send + 'static,
    S: Stream<Item = Result<A, Status>> + Send + 'static,
{
    let service = tower::service_fn(move |request: tonic::Request<Streaming<Q>>| {
        let answer = answer.clone()(request.into_inner());
        std::future::ready(Ok::<_, Status>(Response::new(answer)))
    });
    grpc().streaming(service, request).await
}

fn grpc<A, Q>() -> tonic::server::Grpc<ProstCodec<A, Q>>
where
    Q: Message + Default + Send + 'static,
    A: Message + Send + 'static,
{
    tonic::server::Grpc::new(ProstCodec::default()).max_decoding_message_size(MAX_MESSAGE_BYTES)
}
