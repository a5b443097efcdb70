use std::collections::{BTreeMap, VecDeque};

use bytes::Bytes;

use crate::limits::Limits;
use crate::message::{BadMessage, EOF, Message};
use crate::streams::{Reading, StreamId, StreamState, Writing};

/// Bytes of a stream in one message: what Go's `io.Copy` reads at once.
const CHUNK_BYTES: usize = 32 << 10;
/// Messages about streams that may wait to be sent; a peer that provokes more does not read.
const MAX_WAITING: usize = 4_096;
/// A list of streams says nothing about one that was opened so shortly before, milliseconds: its connect may have
/// been under way.
const LIST_GRACE_MS: u64 = 30_000;

/// Which end of the tunnel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// Opens streams; remotedialer's server.
    Master,
    /// Takes streams, pings, and tells which ones it has; remotedialer's client.
    Worker,
}

/// What goes over the websocket next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Frame {
    /// A binary message.
    Message(Vec<u8>),
    /// A ping.
    Ping,
}

/// What the peer's messages led to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// The master asks for a stream; it is open until [`Session::close`].
    Connect {
        /// Its number.
        stream: StreamId,
        /// `tcp`, or what else the master wrote.
        network: String,
        /// `host:port`, or what else the master wrote.
        address: String,
    },
    /// A stream may be readable, writable or over.
    Changed(StreamId),
}

/// Why no stream can be opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum OpenError {
    /// All are in use.
    #[error("the tunnel has {limit} streams open, which is its limit; try again when one has ended")]
    TooMany {
        /// How many there may be.
        limit: usize,
    },
    /// Only the master opens streams.
    #[error("a worker opens no streams")]
    NotTheMaster,
    /// The tunnel is gone.
    #[error("the tunnel is lost; it comes back by itself")]
    Lost,
    /// The address is longer than a connect may be.
    #[error("the address is longer than 255 bytes")]
    Address,
}

/// Why a tunnel has to end.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Violation {
    /// What came is no message of the protocol.
    #[error("the peer's message is not understood: {0}")]
    Message(#[from] BadMessage),
    /// A worker asked the master for a stream.
    #[error("the worker asked to be connected to {address:?}; a worker is reached and reaches nothing")]
    Connect {
        /// Where to.
        address: String,
    },
    /// A number that is in use.
    #[error("the peer opened stream {0} twice")]
    Twice(i64),
    /// The peer provokes answers and does not read them.
    #[error("the peer does not read what it is sent")]
    NotReading,
    /// Nothing was heard.
    #[error("the peer was silent for {ms} ms")]
    Silent {
        /// How long.
        ms: u64,
    },
}

impl Violation {
    /// Stable name in snake_case.
    pub fn reason(&self) -> &'static str {
        match self {
            Self::Message(_) => "bad_message",
            Self::Connect { .. } => "connect_from_worker",
            Self::Twice(_) => "stream_twice",
            Self::NotReading => "not_reading",
            Self::Silent { .. } => "silent",
        }
    }
}

/// One end of a tunnel, without IO.
///
/// The caller feeds [`Session::receive`] with the websocket's binary messages, sends what [`Session::transmit`]
/// gives, and calls [`Session::tick`] at [`Session::wake_at_ms`]. Times are milliseconds of one clock that does
/// not go back. After a [`Violation`] the session is of no more use.
#[derive(Debug)]
pub struct Session {
    role: Role,
    limits: Limits,
    streams: BTreeMap<StreamId, StreamState>,
    next_stream: i64,
    /// Messages that may overtake data: they are about the other direction.
    urgent: VecDeque<Message>,
    waiting: VecDeque<Message>,
    /// Bytes of data in `waiting`.
    waiting_bytes: usize,
    /// Bytes received and not read, over all streams.
    buffered: usize,
    sent: i64,
    events: VecDeque<Event>,
    heard_ms: u64,
    ping_at_ms: u64,
    sync_at_ms: u64,
    ping_due: bool,
}

impl Session {
    /// A session over a websocket that was opened at `now_ms`.
    pub fn new(role: Role, limits: Limits, now_ms: u64) -> Self {
        Self {
            role,
            limits,
            streams: BTreeMap::new(),
            next_stream: 1,
            urgent: VecDeque::new(),
            waiting: VecDeque::new(),
            waiting_bytes: 0,
            buffered: 0,
            sent: 0,
            events: VecDeque::new(),
            heard_ms: now_ms,
            ping_at_ms: now_ms.saturating_add(limits.ping_ms),
            sync_at_ms: now_ms.saturating_add(limits.sync_ms),
            ping_due: false,
        }
    }

    /// Opens a stream to `address` (`host:port`) on the worker's side. The protocol has no answer to this: a dial that
    /// fails ends the stream.
    ///
    /// # Errors
    /// [`OpenError`] when there are too many.
    pub fn open(&mut self, network: &str, address: &str, now_ms: u64) -> Result<StreamId, OpenError> {
        if self.role != Role::Master {
            return Err(OpenError::NotTheMaster);
        }
        if network.len() + address.len() > 255 {
            return Err(OpenError::Address);
        }
        if self.streams.len() >= self.limits.max_streams {
            return Err(OpenError::TooMany { limit: self.limits.max_streams });
        }
        self.next_stream += 1;
        let stream = StreamId(self.next_stream);
        self.streams.insert(stream, StreamState::new(now_ms));
        self.waiting.push_back(Message::Connect {
            stream: stream.0,
            network: network.to_owned(),
            address: address.to_owned(),
        });
        Ok(stream)
    }

    /// Reads what the stream has received.
    pub fn read(&mut self, stream: StreamId, buffer: &mut [u8]) -> Reading {
        let Some(state) = self.streams.get_mut(&stream) else {
            return Reading::Failed("the stream is closed".to_owned());
        };
        let reading = state.read(buffer);
        if let Reading::Got(read) = reading {
            self.buffered -= read;
            if state.pausing && state.buffered <= self.limits.resume_bytes {
                state.pausing = false;
                if !state.is_ended() {
                    self.urgent.push_back(Message::Resume { stream: stream.0 });
                }
            }
        }
        reading
    }

    /// Sends from the front of `bytes` as much as may be sent now.
    pub fn write(&mut self, stream: StreamId, bytes: &[u8]) -> Writing {
        let Some(state) = self.streams.get(&stream).filter(|state| !state.is_ended()) else {
            return Writing::Ended;
        };
        if state.paused || self.waiting_bytes >= self.limits.send_bytes {
            return Writing::Wait;
        }
        let part = bytes.len().min(CHUNK_BYTES);
        if part > 0 {
            self.waiting_bytes += part;
            let bytes = Bytes::copy_from_slice(&bytes[..part]);
            self.waiting.push_back(Message::Data { stream: stream.0, bytes });
        }
        Writing::Took(part)
    }

    /// Whether writers that wait for room in the queue (and not for their peer) may try again.
    pub fn has_room(&self) -> bool {
        self.waiting_bytes < self.limits.send_bytes
    }

    /// Ends a stream and forgets it; without a `problem` it is the ordinary end. What was written goes out before.
    pub fn close(&mut self, stream: StreamId, problem: Option<&str>) {
        let Some(state) = self.streams.remove(&stream) else { return };
        self.buffered -= state.buffered;
        if !state.is_ended() {
            self.waiting
                .push_back(Message::Error { stream: stream.0, text: problem.unwrap_or(EOF).to_owned() });
        }
    }

    /// Ends a stream for the peer, the ordinary way; what was received can still be read.
    pub fn finish(&mut self, stream: StreamId) {
        let Some(state) = self.streams.get_mut(&stream).filter(|state| !state.is_ended()) else { return };
        state.end(EOF.to_owned());
        self.waiting.push_back(Message::Error { stream: stream.0, text: EOF.to_owned() });
    }

    /// Streams that were opened and not closed by this end.
    pub fn streams(&self) -> usize {
        self.streams.len()
    }

    /// Bytes received and not read yet.
    pub fn buffered(&self) -> usize {
        self.buffered
    }

    /// The websocket is gone: every stream is over once what it has received is read.
    pub fn lose(&mut self) {
        for (stream, state) in &mut self.streams {
            state.end("the tunnel was lost".to_owned());
            self.events.push_back(Event::Changed(*stream));
        }
        self.urgent.clear();
        self.waiting.clear();
        self.waiting_bytes = 0;
    }

    /// Something other than a message arrived, a ping or a pong.
    pub fn heard(&mut self, now_ms: u64) {
        self.heard_ms = self.heard_ms.max(now_ms);
    }

    /// Takes a binary message of the websocket.
    ///
    /// # Errors
    /// [`Violation`] after which the tunnel has to be closed.
    pub fn receive(&mut self, message: &[u8], now_ms: u64) -> Result<(), Violation> {
        self.heard(now_ms);
        match Message::decode(message)? {
            Message::Data { stream, bytes } => self.data(StreamId(stream), bytes),
            Message::Connect { stream, network, address } => {
                self.connect(StreamId(stream), network, address, now_ms)?;
            }
            Message::Error { stream, text } => self.ended(StreamId(stream), text),
            Message::Pause { stream } => self.pause(StreamId(stream), true),
            Message::Resume { stream } => self.pause(StreamId(stream), false),
            Message::Streams(listed) => self.listed(listed, now_ms),
            // Other servers of the same cluster; there are none. What is unknown is skipped.
            Message::AddClient(_) | Message::RemoveClient(_) | Message::Unknown(_) => {}
        }
        let answers = self.waiting.len() + self.urgent.len();
        if answers > MAX_WAITING { Err(Violation::NotReading) } else { Ok(()) }
    }

    /// What happened since the last call; `None` when that is all.
    pub fn event(&mut self) -> Option<Event> {
        self.events.pop_front()
    }

    /// What is to be sent next; `None` when there is nothing now.
    pub fn transmit(&mut self, now_ms: u64) -> Option<Frame> {
        if self.role == Role::Worker && now_ms >= self.ping_at_ms {
            self.ping_at_ms = now_ms.saturating_add(self.limits.ping_ms);
            self.ping_due = true;
        }
        if std::mem::take(&mut self.ping_due) {
            return Some(Frame::Ping);
        }
        if self.role == Role::Worker && now_ms >= self.sync_at_ms {
            self.sync_at_ms = now_ms.saturating_add(self.limits.sync_ms);
            let open = self.streams.iter().filter(|(_, state)| !state.is_ended());
            let open = Message::Streams(open.map(|(stream, _)| stream.0).collect());
            return Some(self.frame(&open));
        }
        let message = self.urgent.pop_front().or_else(|| self.waiting.pop_front())?;
        if let Message::Data { bytes, .. } = &message {
            self.waiting_bytes -= bytes.len();
        }
        Some(self.frame(&message))
    }

    /// When [`Session::tick`] and [`Session::transmit`] have to be called at the latest.
    pub fn wake_at_ms(&self) -> u64 {
        let silent = self.heard_ms.saturating_add(self.limits.silence_ms);
        match self.role {
            Role::Master => silent,
            Role::Worker => silent.min(self.ping_at_ms).min(self.sync_at_ms),
        }
    }

    /// Lets time pass.
    ///
    /// # Errors
    /// [`Violation::Silent`] when the peer was not heard of for too long.
    pub fn tick(&mut self, now_ms: u64) -> Result<(), Violation> {
        let ms = now_ms.saturating_sub(self.heard_ms);
        if ms >= self.limits.silence_ms { Err(Violation::Silent { ms }) } else { Ok(()) }
    }

    fn frame(&mut self, message: &Message) -> Frame {
        self.sent += 1;
        Frame::Message(message.encode(self.sent))
    }

    fn data(&mut self, stream: StreamId, bytes: Bytes) {
        let Some(state) = self.streams.get_mut(&stream) else {
            let text = format!("connection not found {stream}");
            self.waiting.push_back(Message::Error { stream: stream.0, text });
            return;
        };
        if state.is_ended() || bytes.is_empty() {
            return;
        }
        let full = state.buffered + bytes.len() > self.limits.stream_bytes
            || self.buffered + bytes.len() > self.limits.session_bytes;
        if full {
            let text = "more was sent than is read; the stream is closed".to_owned();
            self.waiting.push_back(Message::Error { stream: stream.0, text: text.clone() });
            state.end(text);
        } else {
            self.buffered += bytes.len();
            state.push(bytes);
            if state.buffered >= self.limits.pause_bytes && !state.pausing {
                state.pausing = true;
                self.urgent.push_back(Message::Pause { stream: stream.0 });
            }
        }
        self.events.push_back(Event::Changed(stream));
    }

    fn connect(
        &mut self,
        stream: StreamId,
        network: String,
        address: String,
        now_ms: u64,
    ) -> Result<(), Violation> {
        if self.role == Role::Master {
            return Err(Violation::Connect { address });
        }
        if self.streams.contains_key(&stream) {
            return Err(Violation::Twice(stream.0));
        }
        if self.streams.len() >= self.limits.max_streams {
            let text = "the worker has too many streams open".to_owned();
            self.waiting.push_back(Message::Error { stream: stream.0, text });
            return Ok(());
        }
        self.streams.insert(stream, StreamState::new(now_ms));
        self.events.push_back(Event::Connect { stream, network, address });
        Ok(())
    }

    fn ended(&mut self, stream: StreamId, text: String) {
        if let Some(state) = self.streams.get_mut(&stream) {
            state.end(text);
            self.events.push_back(Event::Changed(stream));
        }
    }

    fn pause(&mut self, stream: StreamId, paused: bool) {
        if let Some(state) = self.streams.get_mut(&stream) {
            state.paused = paused;
            self.events.push_back(Event::Changed(stream));
        }
    }

    /// The worker's list: what it does not name is over there.
    fn listed(&mut self, mut listed: Vec<i64>, now_ms: u64) {
        if self.role != Role::Master {
            return;
        }
        listed.sort_unstable();
        for (stream, state) in &mut self.streams {
            let old = now_ms.saturating_sub(state.opened_ms) >= LIST_GRACE_MS;
            if old && !state.is_ended() && listed.binary_search(&stream.0).is_err() {
                state.end("the worker does not know the stream any more".to_owned());
                self.events.push_back(Event::Changed(*stream));
            }
        }
    }
}
