use bytes::{BufMut, Bytes, BytesMut};
use h2::RecvStream;
use h2::server::SendResponse;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Response, header};
use prost::Message;
use tonic::{Code, Status};

use super::body::{H2Body, send};
use super::counted::Call;
use super::dispatch::{Context, dispatch};
use crate::metrics as rpc;
use crate::proto::{RangeRequest, RangeResponse};
use crate::{EtcdError, Store};

/// Flag and length in front of every gRPC message.
const PREFIX_BYTES: usize = 5;
/// A range with a higher limit, or none, is read beside its connection, which serves others meanwhile.
const SHORT_RANGE: i64 = 16;

/// The methods that carry a cluster's load. They are answered here, without the machinery that the others need; whatever
/// is unusual about a request hands it over to that machinery.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Hot {
    Range,
    Put,
    DeleteRange,
    Txn,
}

impl Hot {
    /// The hot method that a request asks for.
    pub(super) fn of<B>(request: &Request<B>) -> Option<Self> {
        let method = match request.uri().path() {
            "/etcdserverpb.KV/Range" => Self::Range,
            "/etcdserverpb.KV/Put" => Self::Put,
            "/etcdserverpb.KV/DeleteRange" => Self::DeleteRange,
            "/etcdserverpb.KV/Txn" => Self::Txn,
            _ => return None,
        };
        let grpc = request.headers().get(header::CONTENT_TYPE);
        let grpc = grpc.is_some_and(|value| value.as_bytes().starts_with(b"application/grpc"));
        (grpc && request.method() == Method::POST).then_some(method)
    }

    fn name(self) -> &'static str {
        match self {
            Self::Range => "Range",
            Self::Put => "Put",
            Self::DeleteRange => "DeleteRange",
            Self::Txn => "Txn",
        }
    }
}

/// Answers a call of a hot method.
///
/// # Errors
/// The client is gone.
pub(super) async fn answer(
    context: &Context,
    method: Hot,
    request: Request<RecvStream>,
    respond: SendResponse<Bytes>,
) -> Result<(), h2::Error> {
    let (head, stream) = request.into_parts();
    let mut body = H2Body::new(stream);
    let most = context.max_message_bytes();
    let whole = read(&mut body, most).await?;
    let (store, name) = (&context.store, method.name());
    let answered = match message(&whole, most) {
        Some(message) => match method {
            Hot::Range => run(store, name, message, |request| range(context, request)).await,
            Hot::Put => run(store, name, message, |request| store.put(request)).await,
            Hot::DeleteRange => run(store, name, message, |request| store.delete_range(request)).await,
            Hot::Txn => run(store, name, message, |request| store.txn(request)).await,
        },
        None => None,
    };
    match answered {
        Some(answer) => reply(respond, answer),
        None => {
            body.unread(whole);
            let request = Request::from_parts(head, body.into());
            Box::pin(async { send(dispatch(context.clone(), request).await, respond).await }).await
        }
    }
}

/// Reads until there is a whole message, or something unusual.
async fn read(body: &mut H2Body, most: usize) -> Result<Bytes, h2::Error> {
    let first = body.data().await.transpose()?.unwrap_or_default();
    if wanted(&first, most) <= first.len() {
        return Ok(first);
    }
    let mut whole = BytesMut::from(first);
    while whole.len() < wanted(&whole, most) {
        let Some(more) = body.data().await.transpose()? else { break };
        whole.extend_from_slice(&more);
    }
    Ok(whole.freeze())
}

/// Bytes that must be there before anything can be said about them.
fn wanted(read: &[u8], most: usize) -> usize {
    match read.first_chunk::<PREFIX_BYTES>() {
        None => PREFIX_BYTES,
        Some([0, length @ ..]) => match u32::from_be_bytes(*length) as usize {
            length if length <= most => PREFIX_BYTES + length,
            _ => 0,
        },
        Some(_) => 0,
    }
}

/// The one message, if it is one, and uncompressed, and not too long.
fn message(whole: &Bytes, most: usize) -> Option<Bytes> {
    (whole.len() >= PREFIX_BYTES && whole.len() == wanted(whole, most)).then(|| whole.slice(PREFIX_BYTES..))
}

/// Runs and counts a call; `None` when the request cannot be decoded.
async fn run<Q, A, F>(
    store: &Store,
    name: &str,
    message: Bytes,
    answer: impl FnOnce(Q) -> F,
) -> Option<Result<Bytes, Status>>
where
    Q: Message + Default,
    A: Message,
    F: Future<Output = Result<A, EtcdError>>,
{
    let request = Q::decode(message).ok()?;
    let method = rpc::Method::find("etcdserverpb.KV", name);
    let call = method.map(|method| Call::begin(store.shared().metrics.clone(), method));
    let answer = answer(request).await.map(|answer| framed(&answer)).map_err(Status::from);
    if let Some(call) = call {
        call.answered(answer.as_ref().map_or_else(Status::code, |_| Code::Ok));
    }
    Some(answer)
}

/// A range; one that may be long is read beside the connection.
pub(super) async fn range(context: &Context, request: RangeRequest) -> Result<RangeResponse, EtcdError> {
    let short = request.range_end.is_empty() || (1..=SHORT_RANGE).contains(&request.limit);
    if short && !request.count_only {
        return context.store.range(&request);
    }
    let store = context.store.clone();
    let read = context.runtime.spawn(async move { store.range(&request) }).await;
    read.map_err(|error| EtcdError::Failed(error.to_string()))?
}

/// A message as it goes over the wire.
fn framed(message: &impl Message) -> Bytes {
    let length = message.encoded_len();
    let mut framed = BytesMut::with_capacity(PREFIX_BYTES + length);
    framed.put_u8(0);
    framed.put_u32(u32::try_from(length).unwrap_or(u32::MAX));
    message.encode_raw(&mut framed);
    framed.freeze()
}

fn reply(mut respond: SendResponse<Bytes>, answer: Result<Bytes, Status>) -> Result<(), h2::Error> {
    match answer {
        Ok(message) => {
            let mut head = Response::new(());
            head.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/grpc"));
            let mut trailers = HeaderMap::with_capacity(1);
            trailers.insert(HeaderName::from_static("grpc-status"), HeaderValue::from_static("0"));
            let mut stream = respond.send_response(head, false)?;
            stream.send_data(message, false)?;
            stream.send_trailers(trailers)
        }
        Err(status) => respond.send_response(status.into_http(), true).map(drop),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_one_whole_plain_message_is_usual() {
        let prefixed = |flag: u8, length: u32, bytes: usize| {
            let mut whole = vec![flag];
            whole.extend(length.to_be_bytes());
            whole.resize(PREFIX_BYTES + bytes, 7);
            Bytes::from(whole)
        };
        assert_eq!(message(&prefixed(0, 3, 3), 9), Some(Bytes::from_static(&[7; 3])));
        assert_eq!(message(&prefixed(0, 0, 0), 9), Some(Bytes::new()));
        for unusual in [
            Bytes::new(),
            Bytes::from_static(&[0; 4]),
            prefixed(0, 3, 2),
            prefixed(0, 3, 4),
            prefixed(1, 3, 3),
            prefixed(0, 10, 10),
        ] {
            assert_eq!(message(&unusual, 9), None, "{unusual:?}");
        }
    }
}
