use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::link::Inner;
use crate::streams::{Reading, StreamId, Writing};

/// One stream of a tunnel, used as a socket. Dropping it closes it.
///
/// The protocol cannot close one direction alone: shutting down the writing side ends the stream for the peer, and
/// what was received before can still be read.
pub struct Stream {
    inner: Arc<Inner>,
    id: StreamId,
    shut: bool,
}

impl Stream {
    pub(crate) fn new(inner: Arc<Inner>, id: StreamId) -> Self {
        Self { inner, id, shut: false }
    }

    /// Its number within the tunnel.
    pub fn id(&self) -> StreamId {
        self.id
    }

    /// Ends it with a reason that the peer is told.
    pub fn fail(self, problem: &str) {
        self.inner.close(self.id, Some(problem));
    }
}

impl std::fmt::Debug for Stream {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Stream").field("id", &self.id).finish_non_exhaustive()
    }
}

impl Drop for Stream {
    fn drop(&mut self) {
        self.inner.close(self.id, None);
    }
}

impl AsyncRead for Stream {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let room = buf.initialize_unfilled();
        match self.inner.read(self.id, room, cx) {
            Reading::Got(read) => {
                buf.advance(read);
                Poll::Ready(Ok(()))
            }
            Reading::Wait => Poll::Pending,
            Reading::Finished => Poll::Ready(Ok(())),
            // Who has shut the stream down itself expects no more than its end.
            Reading::Failed(_) if self.shut => Poll::Ready(Ok(())),
            Reading::Failed(text) => Poll::Ready(Err(io::Error::new(io::ErrorKind::ConnectionReset, text))),
        }
    }
}

impl AsyncWrite for Stream {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        match self.inner.write(self.id, bytes, cx) {
            Writing::Took(taken) => Poll::Ready(Ok(taken)),
            Writing::Wait => Poll::Pending,
            Writing::Ended => Poll::Ready(Err(io::ErrorKind::BrokenPipe.into())),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.shut = true;
        self.inner.shut(self.id);
        Poll::Ready(Ok(()))
    }
}
