use std::collections::VecDeque;
use std::fmt;

use bytes::{Buf, Bytes};

use crate::message::EOF;

/// The number of a stream within its tunnel.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct StreamId(pub i64);

impl fmt::Display for StreamId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

/// What a read gives.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reading {
    /// That many bytes.
    Got(usize),
    /// Nothing yet.
    Wait,
    /// The ordinary end.
    Finished,
    /// The stream broke, with the peer's words.
    Failed(String),
}

/// What a write gives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Writing {
    /// That many bytes were taken.
    Took(usize),
    /// The peer does not read fast enough; try again later.
    Wait,
    /// The stream is over.
    Ended,
}

/// One stream as its end of the tunnel sees it.
#[derive(Debug)]
pub(crate) struct StreamState {
    inbox: VecDeque<Bytes>,
    /// Bytes in `inbox`.
    pub(crate) buffered: usize,
    /// We asked the peer to pause.
    pub(crate) pausing: bool,
    /// The peer asked us to.
    pub(crate) paused: bool,
    /// The peer's last word, after which only `inbox` is left.
    ended: Option<String>,
    pub(crate) opened_ms: u64,
}

impl StreamState {
    pub(crate) fn new(now_ms: u64) -> Self {
        Self {
            inbox: VecDeque::new(),
            buffered: 0,
            pausing: false,
            paused: false,
            ended: None,
            opened_ms: now_ms,
        }
    }

    pub(crate) fn is_ended(&self) -> bool {
        self.ended.is_some()
    }

    /// The peer sends nothing more. The first reason counts.
    pub(crate) fn end(&mut self, text: String) {
        self.ended.get_or_insert(text);
    }

    pub(crate) fn push(&mut self, bytes: Bytes) {
        self.buffered += bytes.len();
        self.inbox.push_back(bytes);
    }

    pub(crate) fn read(&mut self, buffer: &mut [u8]) -> Reading {
        let mut read = 0;
        while read < buffer.len() {
            let Some(first) = self.inbox.front_mut() else { break };
            let part = first.len().min(buffer.len() - read);
            first.copy_to_slice(&mut buffer[read..read + part]);
            read += part;
            if first.is_empty() {
                self.inbox.pop_front();
            }
        }
        self.buffered -= read;
        match &self.ended {
            _ if read > 0 || buffer.is_empty() => Reading::Got(read),
            None => Reading::Wait,
            Some(text) if text == EOF => Reading::Finished,
            Some(text) => Reading::Failed(text.clone()),
        }
    }
}
