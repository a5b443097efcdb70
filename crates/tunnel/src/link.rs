use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Waker};
use std::time::Duration;

use futures::stream::{SplitSink, SplitStream};
use futures::{SinkExt, StreamExt};
use parking_lot::Mutex;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::Notify;
use tokio::time::{Instant, sleep_until};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;
use tokio_tungstenite::tungstenite::{Error as WebSocketError, Message as WebSocketMessage};

use crate::limits::Limits;
use crate::session::{Event, Frame, OpenError, Role, Session, Violation};
use crate::stream::Stream;
use crate::streams::{Reading, StreamId, Writing};

/// The largest message that is taken, bytes. Go's clients write 32 KiB and a head.
const MAX_MESSAGE_BYTES: usize = 1 << 20;

/// One end of a tunnel: gives streams while [`run`] drives it over a websocket. Clones are the same link.
#[derive(Clone)]
pub struct Link(Arc<Inner>);

/// A stream that the master asks a worker for.
#[derive(Debug)]
pub struct Incoming {
    /// The stream; dropping it refuses without a word, [`Stream::fail`] says why.
    pub stream: Stream,
    /// `tcp`, or what else the master wrote.
    pub network: String,
    /// `host:port`, or what else the master wrote.
    pub address: String,
}

/// Why a tunnel is over.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Ended {
    /// The other side closed the websocket.
    #[error("the other side closed the tunnel")]
    Closed,
    /// [`Link::close`] was called.
    #[error("the tunnel was closed here")]
    Here,
    /// The peer broke the protocol, or was silent for too long.
    #[error(transparent)]
    Violation(#[from] Violation),
    /// A websocket message that is not binary.
    #[error("the peer sent a text message")]
    NotBinary,
    /// The connection failed.
    #[error("the tunnel's connection failed: {0}")]
    WebSocket(#[from] Box<WebSocketError>),
}

impl Link {
    /// A link with nothing under it yet; its peer counts as heard of now.
    pub fn new(role: Role, limits: Limits) -> Self {
        Self(Arc::new(Inner {
            core: Mutex::new(Core {
                session: Session::new(role, limits, 0),
                readers: HashMap::new(),
                writers: HashMap::new(),
                over: false,
            }),
            to_send: Notify::new(),
            close: Notify::new(),
            started: Instant::now(),
            received_bytes: AtomicU64::new(0),
            sent_bytes: AtomicU64::new(0),
        }))
    }

    /// Settings of the websocket under a link.
    pub fn websocket_config() -> WebSocketConfig {
        WebSocketConfig::default()
            .max_message_size(Some(MAX_MESSAGE_BYTES))
            .max_frame_size(Some(MAX_MESSAGE_BYTES))
    }

    /// Opens a stream to `address` on the worker's side.
    ///
    /// # Errors
    /// [`OpenError`] when there are too many, or the tunnel is gone.
    pub fn open(&self, network: &str, address: &str) -> Result<Stream, OpenError> {
        let id = {
            let mut core = self.0.core.lock();
            if core.over {
                return Err(OpenError::Lost);
            }
            core.session.open(network, address, self.0.now_ms())?
        };
        self.0.to_send.notify_one();
        Ok(Stream::new(Arc::clone(&self.0), id))
    }

    /// Ends the tunnel; [`run`] returns [`Ended::Here`].
    pub fn close(&self) {
        self.0.close.notify_one();
    }

    /// Whether the tunnel is over.
    pub fn is_over(&self) -> bool {
        self.0.core.lock().over
    }

    /// Streams open now.
    pub fn streams(&self) -> usize {
        self.0.core.lock().session.streams()
    }

    /// Bytes of streams received and sent so far.
    pub fn traffic(&self) -> (u64, u64) {
        (self.0.received_bytes.load(Ordering::Relaxed), self.0.sent_bytes.load(Ordering::Relaxed))
    }
}

impl std::fmt::Debug for Link {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Link").field("streams", &self.streams()).finish_non_exhaustive()
    }
}

/// Drives `link` over `websocket` until one side ends it; then every stream is over. `incoming` is called for what the
/// master asks a worker for, and must not block.
pub async fn run<S: AsyncRead + AsyncWrite + Unpin>(
    websocket: WebSocketStream<S>,
    link: &Link,
    incoming: impl FnMut(Incoming),
) -> Ended {
    let inner = &link.0;
    inner.core.lock().session.heard(inner.now_ms());
    let (sink, source) = websocket.split();
    let ended = tokio::select! {
        ended = receive(source, inner, incoming) => ended,
        ended = send(sink, inner) => ended,
        ended = watch(inner) => ended,
        () = inner.close.notified() => Ended::Here,
    };
    let wakers = {
        let mut core = inner.core.lock();
        core.over = true;
        core.session.lose();
        core.all_wakers()
    };
    wakers.into_iter().for_each(Waker::wake);
    ended
}

async fn receive<S: AsyncRead + AsyncWrite + Unpin>(
    mut source: SplitStream<WebSocketStream<S>>,
    inner: &Arc<Inner>,
    mut incoming: impl FnMut(Incoming),
) -> Ended {
    while let Some(message) = source.next().await {
        match message {
            Ok(WebSocketMessage::Binary(bytes)) => {
                inner.received_bytes.fetch_add(bytes.len() as u64, Ordering::Relaxed);
                let (result, wakers, asked) = inner.take(&bytes);
                wakers.into_iter().for_each(Waker::wake);
                for (id, network, address) in asked {
                    incoming(Incoming { stream: Stream::new(Arc::clone(inner), id), network, address });
                }
                if let Err(violation) = result {
                    return violation.into();
                }
                inner.to_send.notify_one();
            }
            Ok(WebSocketMessage::Ping(_) | WebSocketMessage::Pong(_)) => {
                inner.core.lock().session.heard(inner.now_ms());
            }
            Ok(WebSocketMessage::Close(_)) => return Ended::Closed,
            Ok(_) => return Ended::NotBinary,
            Err(WebSocketError::ConnectionClosed | WebSocketError::AlreadyClosed) => return Ended::Closed,
            Err(error) => return Box::new(error).into(),
        }
    }
    Ended::Closed
}

async fn send<S: AsyncRead + AsyncWrite + Unpin>(
    mut sink: SplitSink<WebSocketStream<S>, WebSocketMessage>,
    inner: &Inner,
) -> Ended {
    loop {
        let (frame, wakers, wake_at) = inner.next_frame();
        wakers.into_iter().for_each(Waker::wake);
        let sent = match frame {
            Some(Frame::Message(bytes)) => {
                inner.sent_bytes.fetch_add(bytes.len() as u64, Ordering::Relaxed);
                sink.feed(WebSocketMessage::Binary(bytes.into())).await
            }
            Some(Frame::Ping) => sink.feed(WebSocketMessage::Ping(Vec::new().into())).await,
            None => {
                let flushed = sink.flush().await;
                if flushed.is_ok() {
                    tokio::select! {
                        () = inner.to_send.notified() => {}
                        () = sleep_until(wake_at) => {}
                    }
                }
                flushed
            }
        };
        if let Err(error) = sent {
            return Box::new(error).into();
        }
    }
}

/// Ends when the peer is silent, also while sending is held up.
async fn watch(inner: &Inner) -> Ended {
    loop {
        let wake_at = {
            let mut core = inner.core.lock();
            if let Err(violation) = core.session.tick(inner.now_ms()) {
                return violation.into();
            }
            inner.instant(core.session.wake_at_ms())
        };
        sleep_until(wake_at.max(Instant::now() + Duration::from_millis(100))).await;
    }
}

/// What a link's clones and streams share.
pub(crate) struct Inner {
    core: Mutex<Core>,
    /// There may be something to send.
    to_send: Notify,
    close: Notify,
    started: Instant,
    received_bytes: AtomicU64,
    sent_bytes: AtomicU64,
}

struct Core {
    session: Session,
    readers: HashMap<StreamId, Waker>,
    writers: HashMap<StreamId, Waker>,
    over: bool,
}

type Asked = (StreamId, String, String);

impl Core {
    fn all_wakers(&mut self) -> Vec<Waker> {
        self.readers.drain().chain(self.writers.drain()).map(|(_, waker)| waker).collect()
    }
}

impl Inner {
    fn now_ms(&self) -> u64 {
        u64::try_from(self.started.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    fn instant(&self, ms: u64) -> Instant {
        // A year is as good as never, and does not overflow.
        self.started + Duration::from_millis(ms.min(self.now_ms().saturating_add(31_536_000_000)))
    }

    fn take(&self, message: &[u8]) -> (Result<(), Violation>, Vec<Waker>, Vec<Asked>) {
        let mut core = self.core.lock();
        let result = core.session.receive(message, self.now_ms());
        let (mut wakers, mut asked) = (Vec::new(), Vec::new());
        while let Some(event) = core.session.event() {
            match event {
                Event::Connect { stream, network, address } => asked.push((stream, network, address)),
                Event::Changed(stream) => {
                    wakers.extend(core.readers.remove(&stream));
                    wakers.extend(core.writers.remove(&stream));
                }
            }
        }
        (result, wakers, asked)
    }

    fn next_frame(&self) -> (Option<Frame>, Vec<Waker>, Instant) {
        let mut core = self.core.lock();
        let frame = core.session.transmit(self.now_ms());
        let room = core.session.has_room();
        let wakers = if room { core.writers.drain().map(|(_, waker)| waker).collect() } else { Vec::new() };
        (frame, wakers, self.instant(core.session.wake_at_ms()))
    }

    pub(crate) fn read(&self, id: StreamId, buffer: &mut [u8], cx: &Context<'_>) -> Reading {
        let reading = {
            let mut core = self.core.lock();
            let reading = core.session.read(id, buffer);
            if reading == Reading::Wait {
                core.readers.insert(id, cx.waker().clone());
            }
            reading
        };
        if matches!(reading, Reading::Got(_)) {
            // The sender may go on now.
            self.to_send.notify_one();
        }
        reading
    }

    pub(crate) fn write(&self, id: StreamId, bytes: &[u8], cx: &Context<'_>) -> Writing {
        let writing = {
            let mut core = self.core.lock();
            let writing = core.session.write(id, bytes);
            if writing == Writing::Wait {
                core.writers.insert(id, cx.waker().clone());
            }
            writing
        };
        if matches!(writing, Writing::Took(_)) {
            self.to_send.notify_one();
        }
        writing
    }

    pub(crate) fn shut(&self, id: StreamId) {
        let waker = {
            let mut core = self.core.lock();
            core.session.finish(id);
            core.readers.remove(&id)
        };
        waker.into_iter().for_each(Waker::wake);
        self.to_send.notify_one();
    }

    pub(crate) fn close(&self, id: StreamId, problem: Option<&str>) {
        {
            let mut core = self.core.lock();
            core.session.close(id, problem);
            core.readers.remove(&id);
            core.writers.remove(&id);
        }
        self.to_send.notify_one();
    }
}
