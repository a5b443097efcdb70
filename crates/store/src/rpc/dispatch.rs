use std::sync::Arc;

use futures::Stream;
use http::{HeaderValue, Method, Request, StatusCode, header};
use prost::Message;
use tokio::runtime::Handle;
use tokio_util::sync::CancellationToken;
use tonic::body::Body;
use tonic::{Code, Response, Status, Streaming};
use tonic_prost::ProstCodec;

use super::counted::Call;
use super::{auth, cluster, extra, kv, lease, maintenance, pages, watch};
use crate::metrics::Method as RpcMethod;
use crate::{EtcdError, Store};

/// Bytes that the message of a request may have. Travels with the request to where it is decoded.
#[derive(Clone, Copy)]
struct MaxMessageBytes(usize);

/// What every request can reach.
#[derive(Clone)]
pub(super) struct Context {
    pub(super) store: Store,
    /// Where work goes that would keep a connection's thread from others.
    pub(super) runtime: Handle,
    pub(super) urls: Arc<[String]>,
    /// Only metrics and health are served, whatever is asked: a listener of `--listen-metrics-urls`.
    pub(super) only_pages: bool,
    /// Streams end when this is cancelled.
    pub(super) stop: CancellationToken,
    /// Connections end when this is cancelled, whatever they are doing.
    pub(super) kill: CancellationToken,
}

impl Context {
    /// Above what a request may have, so that our own limit answers with etcd's words.
    pub(super) fn max_message_bytes(&self) -> usize {
        self.store.shared().config.limits.message_bytes()
    }
}

pub(super) type HttpRequest = Request<Body>;
pub(super) type HttpResponse = http::Response<Body>;

/// Answers one request.
pub(super) async fn dispatch(context: Context, mut request: HttpRequest) -> HttpResponse {
    if context.only_pages {
        return pages::monitoring(&context, &request);
    }
    request.extensions_mut().insert(MaxMessageBytes(context.max_message_bytes()));
    let path = request.uri().path().to_owned();
    let content_type = request.headers().get(header::CONTENT_TYPE).map_or(&b""[..], HeaderValue::as_bytes);
    let grpc = request.method() == Method::POST && content_type.starts_with(b"application/grpc");
    let Some((service, method)) = path.strip_prefix("/etcdserverpb.").and_then(|rest| rest.split_once('/'))
    else {
        return if grpc {
            other_service(&context, &path, request).await
        } else {
            pages::page(&context, &request)
        };
    };
    if !grpc {
        let mut response = HttpResponse::new(Body::empty());
        *response.status_mut() = StatusCode::UNSUPPORTED_MEDIA_TYPE;
        return response;
    }
    let call = rpc_method(&path).map(|method| Call::begin(context.store.shared().metrics.clone(), method));
    let response = match service {
        "KV" => kv::call(context, method, request).await,
        "Watch" => watch::call(context, method, request).await,
        "Lease" => lease::call(context, method, request).await,
        "Cluster" => cluster::call(context, method, request).await,
        "Maintenance" => maintenance::call(context, method, request).await,
        "Auth" => auth::call(context, method, request).await,
        _ => Status::unimplemented(format!("unknown service etcdserverpb.{}", name(service))).into_http(),
    };
    let response = as_go_says(response);
    match call {
        Some(call) => call.end(response),
        None => response,
    }
}

async fn other_service(context: &Context, path: &str, request: HttpRequest) -> HttpResponse {
    let (service, method) = path.trim_start_matches('/').split_once('/').unwrap_or((path, ""));
    let answered = extra::call(context, service, method, request).await;
    answered
        .unwrap_or_else(|| Status::unimplemented(format!("unknown service {}", name(service))).into_http())
}

fn rpc_method(path: &str) -> Option<RpcMethod> {
    let (service, method) = path.strip_prefix('/')?.split_once('/')?;
    RpcMethod::find(service, method)
}

/// The answer for a method that does not exist, in the words of Go's library.
pub(super) fn unknown(service: &str, method: &str) -> HttpResponse {
    Status::unimplemented(format!("unknown method {} for service {service}", name(method))).into_http()
}

/// Only what could be a name is repeated.
fn name(text: &str) -> String {
    text.chars().filter(|c| c.is_ascii_alphanumeric() || *c == '.').take(64).collect()
}

/// Refusals of the gRPC library under etcd's code and words: a message that is too big, or nested too deeply.
fn as_go_says(response: HttpResponse) -> HttpResponse {
    let Some(refusal) = Status::from_header_map(response.headers()) else { return response };
    let message = refusal.message();
    if refusal.code() == Code::OutOfRange && message.contains("message length too large") {
        let mut numbers = message.split(|c: char| !c.is_ascii_digit()).filter(|part| !part.is_empty());
        let (Some(found), Some(limit)) = (numbers.next(), numbers.next()) else { return response };
        let text = format!("grpc: received message larger than max ({found} vs. {limit})");
        return Status::resource_exhausted(text).into_http();
    }
    if refusal.code() == Code::Internal && message.ends_with("recursion limit reached") {
        return Status::from(EtcdError::TooManyOps).into_http();
    }
    response
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
    grpc(&request).unary(service, request).await
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
    grpc(&request).server_streaming(service, request).await
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
    grpc(&request).streaming(service, request).await
}

fn grpc<A, Q>(request: &HttpRequest) -> tonic::server::Grpc<ProstCodec<A, Q>>
where
    Q: Message + Default + Send + 'static,
    A: Message + Send + 'static,
{
    let most = request.extensions().get().map_or(0, |MaxMessageBytes(most)| *most);
    tonic::server::Grpc::new(ProstCodec::default()).max_decoding_message_size(most)
}
