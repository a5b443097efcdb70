use std::future::poll_fn;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use h2::RecvStream;
use h2::server::SendResponse;
use http::Response;
use hyper::body::{Body as HttpBody, Frame};
use tonic::Status;
use tonic::body::Body;

use super::dispatch::HttpResponse;

/// The body of a request, with what of it was read before.
pub(super) struct H2Body {
    unread: Option<Bytes>,
    stream: RecvStream,
}

impl H2Body {
    pub(super) fn new(stream: RecvStream) -> Self {
        Self { unread: None, stream }
    }

    /// The next bytes; `None` at the end.
    pub(super) async fn data(&mut self) -> Option<Result<Bytes, h2::Error>> {
        if let Some(unread) = self.unread.take() {
            return Some(Ok(unread));
        }
        poll_fn(|cx| self.poll_data(cx)).await
    }

    /// Gives bytes back, to be read once more.
    pub(super) fn unread(&mut self, bytes: Bytes) {
        self.unread = Some(bytes);
    }

    fn poll_data(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, h2::Error>>> {
        let data = ready!(self.stream.poll_data(cx));
        if let Some(Ok(bytes)) = &data {
            self.stream.flow_control().release_capacity(bytes.len())?;
        }
        Poll::Ready(data)
    }
}

impl HttpBody for H2Body {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        if let Some(unread) = self.unread.take() {
            return Poll::Ready(Some(Ok(Frame::data(unread))));
        }
        match ready!(self.poll_data(cx)) {
            Some(Ok(bytes)) => Poll::Ready(Some(Ok(Frame::data(bytes)))),
            Some(Err(error)) => Poll::Ready(Some(Err(gone(&error)))),
            None => {
                let trailers = ready!(self.stream.poll_trailers(cx)).map_err(|error| gone(&error))?;
                Poll::Ready(trailers.map(|trailers| Ok(Frame::trailers(trailers))))
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        self.unread.is_none() && self.stream.is_end_stream()
    }
}

impl From<H2Body> for Body {
    fn from(body: H2Body) -> Self {
        Body::new(body)
    }
}

fn gone(error: &h2::Error) -> Status {
    Status::cancelled(error.to_string())
}

/// Sends a response, frame by frame as the client takes it; ends when the client does.
pub(super) async fn send(response: HttpResponse, mut respond: SendResponse<Bytes>) -> Result<(), h2::Error> {
    let (head, mut body) = response.into_parts();
    let head = Response::from_parts(head, ());
    if body.is_end_stream() {
        return respond.send_response(head, true).map(drop);
    }
    let mut stream = respond.send_response(head, false)?;
    loop {
        stream.reserve_capacity(1);
        while stream.capacity() == 0 {
            if poll_fn(|cx| stream.poll_capacity(cx)).await.transpose()?.is_none() {
                return Ok(());
            }
        }
        let frame = poll_fn(|cx| match stream.poll_reset(cx) {
            Poll::Ready(_gone) => Poll::Ready(None),
            Poll::Pending => Pin::new(&mut body).poll_frame(cx).map(Some),
        });
        match frame.await {
            None => return Ok(()),
            Some(None) => return stream.send_data(Bytes::new(), true),
            Some(Some(Ok(frame))) => match frame.into_data() {
                Ok(data) => stream.send_data(data, false)?,
                Err(frame) => return stream.send_trailers(frame.into_trailers().unwrap_or_default()),
            },
            Some(Some(Err(status))) => {
                return stream.send_trailers(status.into_http::<()>().into_parts().0.headers);
            }
        }
    }
}
