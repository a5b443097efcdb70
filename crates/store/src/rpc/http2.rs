use std::future::poll_fn;
use std::io;
use std::task::{self, Poll};
use std::time::Duration;

use bytes::Bytes;
use futures::StreamExt;
use futures::stream::FuturesUnordered;
use h2::server::SendResponse;
use h2::{Ping, PingPong, RecvStream};
use http::Request;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::Interval;

use super::body::{H2Body, send};
use super::corked::Corked;
use super::dispatch::{Context, dispatch};
use super::hot::{self, Hot};

const STREAM_WINDOW: u32 = 1 << 20;
const CONNECTION_WINDOW: u32 = 4 << 20;
const MAX_HEADER_BYTES: u32 = 16 << 10;
/// How often a client is pinged. One that has not answered by the next time is gone.
const PING: Duration = Duration::from_secs(30);

/// Answers the requests of one HTTP/2 connection until it ends.
///
/// All calls of a connection run in its own task: whatever many of them have to say at the same time, because they were
/// read together or became durable together, leaves in one write.
pub(super) async fn converse<S>(socket: S, context: Context) -> io::Result<()>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let socket = Corked::new(socket, context.store.shared().metrics.clone());
    let mut builder = h2::server::Builder::new();
    builder
        .initial_window_size(STREAM_WINDOW)
        .initial_connection_window_size(CONNECTION_WINDOW)
        .max_concurrent_streams(context.store.shared().config.limits.concurrent_streams())
        .max_header_list_size(MAX_HEADER_BYTES);
    let mut connection = builder.handshake::<_, Bytes>(socket.clone()).await.map_err(io::Error::other)?;
    let mut alive = connection.ping_pong().map(KeepAlive::new);
    let mut stopped = Some(Box::pin(context.stop.clone().cancelled_owned()));
    let mut calls = FuturesUnordered::new();
    poll_fn(|cx| {
        if stopped.as_mut().is_some_and(|stopped| stopped.as_mut().poll(cx).is_ready()) {
            stopped = None;
            connection.graceful_shutdown();
        }
        if let Some(alive) = &mut alive {
            alive.poll(cx)?;
        }
        loop {
            let mut moved = false;
            while let Poll::Ready(accepted) = connection.poll_accept(cx) {
                match accepted {
                    Some(Ok((request, respond))) => calls.push(call(&context, request, respond)),
                    Some(Err(error)) => return Poll::Ready(Err(io::Error::other(error))),
                    None => return Poll::Ready(Ok(())),
                }
                moved = true;
            }
            while let Poll::Ready(Some(())) = calls.poll_next_unpin(cx) {
                moved = true;
            }
            if !moved {
                break;
            }
        }
        match socket.poll_uncork(cx) {
            Poll::Ready(Err(error)) => Poll::Ready(Err(error)),
            _ => Poll::Pending,
        }
    })
    .await
}

async fn call(context: &Context, request: Request<RecvStream>, respond: SendResponse<Bytes>) {
    let answered = match Hot::of(&request).filter(|_| !context.only_pages) {
        Some(method) => hot::answer(context, method, request, respond).await,
        None => {
            // Boxed, so that the hot ones stay small.
            let request = request.map(|stream| H2Body::new(stream).into());
            Box::pin(async { send(dispatch(context.clone(), request).await, respond).await }).await
        }
    };
    if let Err(error) = answered {
        tracing::trace!(%error, "a client did not wait for its answer");
    }
}

/// Notices when nobody is there any more.
struct KeepAlive {
    pings: PingPong,
    timer: Interval,
    waiting: bool,
}

impl KeepAlive {
    fn new(pings: PingPong) -> Self {
        let timer = tokio::time::interval_at(tokio::time::Instant::now() + PING, PING);
        Self { pings, timer, waiting: false }
    }

    fn poll(&mut self, cx: &mut task::Context<'_>) -> io::Result<()> {
        if self.waiting && self.pings.poll_pong(cx).is_ready() {
            self.waiting = false;
        }
        while self.timer.poll_tick(cx).is_ready() {
            if self.waiting {
                return Err(io::Error::new(io::ErrorKind::TimedOut, "the client does not answer pings"));
            }
            self.pings.send_ping(Ping::opaque()).map_err(io::Error::other)?;
            self.waiting = true;
            // Registers for the answer.
            let _not_yet = self.pings.poll_pong(cx);
        }
        Ok(())
    }
}
