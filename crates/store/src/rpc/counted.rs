use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use http::HeaderMap;
use hyper::body::{Body as HttpBody, Frame, SizeHint};
use tonic::body::Body;
use tonic::{Code, Status};

use super::dispatch::HttpResponse;
use crate::metrics::{Method, Metrics};

/// A call that has begun; counted when it ends, also when the client goes away before.
pub(super) struct Call {
    metrics: Arc<Metrics>,
    method: Method,
    code: Code,
}

impl Call {
    pub(super) fn begin(metrics: Arc<Metrics>, method: Method) -> Self {
        metrics.grpc.started(method);
        Self { metrics, method, code: Code::Cancelled }
    }

    /// Ends the call with a code.
    pub(super) fn answered(mut self, code: Code) {
        self.code = code;
    }

    /// Ends the call with its response: at once when that is complete, with its stream otherwise.
    pub(super) fn end(mut self, response: HttpResponse) -> HttpResponse {
        if let Some(code) = code(response.headers()) {
            self.code = code;
            return response;
        }
        if self.method.is_unary() {
            self.code = Code::Ok;
            return response;
        }
        response.map(|inner| Body::new(Counted { inner, call: self }))
    }
}

impl Drop for Call {
    fn drop(&mut self) {
        self.metrics.grpc.handled(self.method, self.code);
    }
}

/// The body of a stream, whose last frame says how the call ended.
struct Counted {
    inner: Body,
    call: Call,
}

impl HttpBody for Counted {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        let frame = std::task::ready!(Pin::new(&mut self.inner).poll_frame(cx));
        if let Some(Ok(frame)) = &frame
            && let Some(code) = frame.trailers_ref().and_then(code)
        {
            self.call.code = code;
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}

fn code(headers: &HeaderMap) -> Option<Code> {
    headers.get("grpc-status").map(|status| Code::from_bytes(status.as_bytes()))
}
