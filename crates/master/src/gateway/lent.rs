use std::future::poll_fn;
use std::io;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use parking_lot::Mutex;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// Bytes that [`Lent::woken`] reads ahead.
const AHEAD: usize = 64;

/// A connection's stream, lent to hyper while requests are on it, so that hyper and its buffers of 16 KiB can go in between.
///
/// Thousands of workers each keep a connection that is silent for all but a few milliseconds of ten seconds.
pub(super) struct Lent<S>(Arc<Mutex<State<S>>>);

struct State<S> {
    stream: S,
    /// What was read before hyper was there.
    ahead: Vec<u8>,
    /// Whether a byte went either way since [`Lent::quiet`] was asked.
    moved: bool,
    /// Whether the stream outlives the borrower, who then closes it in vain.
    kept: bool,
}

impl<S> Clone for Lent<S> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> Lent<S> {
    pub(super) fn new(stream: S) -> Self {
        Self(Arc::new(Mutex::new(State { stream, ahead: Vec::new(), moved: false, kept: false })))
    }

    /// Whether no byte went either way since the last call.
    pub(super) fn quiet(&self) -> bool {
        !std::mem::take(&mut self.0.lock().moved)
    }

    /// From now on the borrower closes the stream in vain.
    pub(super) fn keep(&self) {
        self.0.lock().kept = true;
    }

    /// Waits for the peer's next bytes, which the next borrower reads first; false when the peer has ended the connection.
    ///
    /// # Errors
    /// What the stream fails with.
    pub(super) async fn woken(&self) -> io::Result<bool> {
        let read = poll_fn(|cx| {
            let mut state = self.0.lock();
            let mut bytes = [0; AHEAD];
            let mut buffer = ReadBuf::new(&mut bytes);
            ready!(Pin::new(&mut state.stream).poll_read(cx, &mut buffer))?;
            state.ahead.extend_from_slice(buffer.filled());
            state.kept = false;
            Poll::Ready(Ok(!buffer.filled().is_empty()))
        });
        pin!(read).await
    }

    /// Ends the connection as its protocol wants it.
    ///
    /// # Errors
    /// What the stream fails with.
    pub(super) async fn close(&self) -> io::Result<()> {
        poll_fn(|cx| Pin::new(&mut self.0.lock().stream).poll_shutdown(cx)).await
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Lent<S> {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let mut state = self.0.lock();
        if !state.ahead.is_empty() {
            let taken = state.ahead.len().min(buffer.remaining());
            buffer.put_slice(&state.ahead[..taken]);
            state.ahead.drain(..taken);
            return Poll::Ready(Ok(()));
        }
        let before = buffer.filled().len();
        let read = Pin::new(&mut state.stream).poll_read(cx, buffer);
        state.moved |= buffer.filled().len() > before;
        read
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Lent<S> {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let mut state = self.0.lock();
        state.moved = true;
        Pin::new(&mut state.stream).poll_write(cx, bytes)
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0.lock().stream).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let mut state = self.0.lock();
        if state.kept { Poll::Ready(Ok(())) } else { Pin::new(&mut state.stream).poll_shutdown(cx) }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, duplex};
    use tokio::time::timeout;

    use super::*;

    async fn soon<T>(work: impl Future<Output = io::Result<T>>) -> T {
        timeout(Duration::from_secs(5), work).await.expect("takes for ever").unwrap()
    }

    #[tokio::test]
    async fn what_wakes_the_stream_is_read_first_and_whole() {
        let (ours, mut theirs) = duplex(1024);
        let lent = Lent::new(ours);
        let sent: Vec<u8> = (0..=255).collect();
        soon(theirs.write_all(&sent)).await;
        assert!(soon(lent.woken()).await);
        let mut borrowed = lent.clone();
        let mut first = [0; 10];
        soon(borrowed.read_exact(&mut first)).await;
        let mut rest = [0; 246];
        soon(borrowed.read_exact(&mut rest)).await;
        assert_eq!([&first[..], &rest].concat(), sent);
    }

    #[tokio::test]
    async fn a_kept_stream_outlives_who_closes_it() {
        let (ours, mut theirs) = duplex(64);
        let lent = Lent::new(ours);
        lent.keep();
        soon(lent.clone().shutdown()).await;
        soon(theirs.write_all(b"again")).await;
        assert!(soon(lent.woken()).await);
        // Woken, it is lent anew: who closes it now, closes it.
        let mut borrowed = lent.clone();
        let mut bytes = [0; 5];
        soon(borrowed.read_exact(&mut bytes)).await;
        soon(borrowed.write_all(&bytes)).await;
        soon(borrowed.shutdown()).await;
        let mut answer = Vec::new();
        soon(theirs.read_to_end(&mut answer)).await;
        assert_eq!(answer, b"again");
        drop(theirs);
        assert!(!soon(lent.woken()).await);
    }

    #[tokio::test]
    async fn quiet_is_since_the_last_time_it_was_asked() {
        let (ours, mut theirs) = duplex(64);
        let lent = Lent::new(ours);
        assert!(lent.quiet());
        let mut borrowed = lent.clone();
        soon(borrowed.write_all(b"x")).await;
        assert!(!lent.quiet() && lent.quiet());
        soon(theirs.write_all(b"y")).await;
        soon(borrowed.read_u8()).await;
        assert!(!lent.quiet() && lent.quiet());
    }
}
