use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::{Buf, BytesMut};
use parking_lot::Mutex;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::metrics::Metrics;

/// Bytes that may wait for the cork to be drawn; above, they are written at once.
const MOST_CORKED: usize = 256 << 10;
/// A buffer that grew beyond this is not kept.
const KEEP_BUFFER: usize = 64 << 10;

/// A socket whose writes wait until [`Corked::poll_uncork`]: the HTTP/2 library flushes after every frame that carries
/// more than a few bytes, and each flush is a system call and a packet. Clones share the socket.
pub(super) struct Corked<S>(Arc<Mutex<Inner<S>>>);

struct Inner<S> {
    socket: S,
    metrics: Arc<Metrics>,
    waiting: BytesMut,
}

impl<S> Corked<S> {
    pub(super) fn new(socket: S, metrics: Arc<Metrics>) -> Self {
        Self(Arc::new(Mutex::new(Inner { socket, metrics, waiting: BytesMut::new() })))
    }
}

impl<S> Clone for Corked<S> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<S: AsyncWrite + Unpin> Corked<S> {
    /// Writes what has waited; ready when all of it is written.
    pub(super) fn poll_uncork(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.0.lock().poll_uncork(cx)
    }
}

impl<S: AsyncWrite + Unpin> Inner<S> {
    fn poll_uncork(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.waiting.is_empty() {
            return Poll::Ready(Ok(()));
        }
        while !self.waiting.is_empty() {
            let written = ready!(Pin::new(&mut self.socket).poll_write(cx, &self.waiting))?;
            if written == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            self.metrics.bytes_sent.add(written as u64);
            self.waiting.advance(written);
        }
        if self.waiting.capacity() > KEEP_BUFFER {
            self.waiting = BytesMut::new();
        } else {
            self.waiting.clear();
        }
        Pin::new(&mut self.socket).poll_flush(cx)
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Corked<S> {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let mut inner = self.0.lock();
        let before = buf.filled().len();
        ready!(Pin::new(&mut inner.socket).poll_read(cx, buf))?;
        inner.metrics.bytes_received.add((buf.filled().len() - before) as u64);
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Corked<S> {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let mut inner = self.0.lock();
        if inner.waiting.len() >= MOST_CORKED {
            ready!(inner.poll_uncork(cx))?;
        }
        inner.waiting.extend_from_slice(buf);
        Poll::Ready(Ok(buf.len()))
    }

    /// Does nothing: that is the cork.
    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let mut inner = self.0.lock();
        ready!(inner.poll_uncork(cx))?;
        Pin::new(&mut inner.socket).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    use super::*;

    #[tokio::test]
    async fn nothing_is_written_before_the_cork_is_drawn_and_all_of_it_then() {
        let (ours, mut theirs) = tokio::io::duplex(1000);
        let mut corked = Corked::new(ours, Arc::default());
        for _ in 0..300 {
            corked.write_all(&[7; 100]).await.unwrap();
            corked.flush().await.unwrap();
        }
        let mut read = [0; 10];
        let early = tokio::time::timeout(std::time::Duration::from_millis(10), theirs.read(&mut read)).await;
        assert!(early.is_err(), "read {early:?}");

        let uncork = async {
            std::future::poll_fn(|cx| corked.poll_uncork(cx)).await.unwrap();
            corked.clone().shutdown().await.unwrap();
        };
        let mut all = Vec::new();
        let both = async { tokio::join!(uncork, theirs.read_to_end(&mut all)) };
        let done = tokio::time::timeout(std::time::Duration::from_secs(10), both).await;
        let ((), read) = done.expect("what was corked is never written to its end");
        assert_eq!((read.unwrap(), all), (30_000, vec![7; 30_000]));
    }
}
