use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, ReadBuf};

/// What every HTTP/2 client says first.
const PREFACE: &[u8; 24] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// Which protocol a client speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Version {
    Http1,
    Http2,
}

/// A connection whose first bytes were looked at.
pub(super) struct Hello<S> {
    pub(super) stream: Rewound<S>,
    pub(super) version: Version,
}

impl<S: AsyncRead + Unpin> Hello<S> {
    /// Reads as much as it takes to tell the protocol; the caller limits the time, which the HTTP library would
    /// not do.
    pub(super) async fn read(mut inner: S) -> io::Result<Self> {
        let mut head = [0; PREFACE.len()];
        let mut length = 0;
        let version = loop {
            let read = inner.read(&mut head[length..]).await?;
            if read == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            length += read;
            if head[..length] != PREFACE[..length] {
                break Version::Http1;
            }
            if length == PREFACE.len() {
                break Version::Http2;
            }
        };
        Ok(Self { stream: Rewound { head, unread: 0..length, inner }, version })
    }
}

/// A stream that gives the bytes that were looked at once more.
pub(super) struct Rewound<S> {
    head: [u8; PREFACE.len()],
    unread: std::ops::Range<usize>,
    inner: S,
}

impl<S: AsyncRead + Unpin> AsyncRead for Rewound<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = &mut *self;
        if this.unread.is_empty() {
            return Pin::new(&mut this.inner).poll_read(cx, buf);
        }
        let given = buf.remaining().min(this.unread.len());
        buf.put_slice(&this.head[this.unread.start..this.unread.start + given]);
        this.unread.start += given;
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Rewound<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.inner).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_shutdown(cx)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.inner).poll_write_vectored(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        self.inner.is_write_vectored()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn hello(chunks: &[&[u8]]) -> io::Result<(Version, Vec<u8>)> {
        let mut script = tokio_test_io(chunks);
        let hello = Hello::read(&mut script).await?;
        let (mut all, mut stream) = (Vec::new(), hello.stream);
        stream.read_to_end(&mut all).await?;
        Ok((hello.version, all))
    }

    /// Gives the chunks one read at a time.
    fn tokio_test_io(chunks: &[&[u8]]) -> impl AsyncRead + Unpin + use<> {
        let empty: Box<dyn AsyncRead + Unpin> = Box::new(tokio::io::empty());
        chunks.iter().rev().fold(empty, |rest, chunk| {
            let chunk: Vec<u8> = chunk.to_vec();
            Box::new(AsyncReadExt::chain(io::Cursor::new(chunk), rest))
        })
    }

    #[tokio::test]
    async fn tells_the_protocol_and_loses_no_byte() {
        let http2 = hello(&[b"PRI * HT", b"TP/2.0\r\n\r\nSM\r\n\r\nframes"]).await.unwrap();
        assert_eq!(http2, (Version::Http2, [PREFACE.as_slice(), b"frames"].concat()));
        let http1 = hello(&[b"P", b"OST / HTTP/1.1\r\n"]).await.unwrap();
        assert_eq!(http1, (Version::Http1, b"POST / HTTP/1.1\r\n".to_vec()));
        assert!(hello(&[b"PRI"]).await.is_err());
    }
}
