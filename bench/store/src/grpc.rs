//! gRPC over cleartext HTTP/2 with as little work as a client can do, so that two cores are left to the server.
//!
//! RFC 9113 and 7541: header blocks are written once and then sent as four indices; those of the server are not
//! read at all, since an answer without a message is an error whatever its headers say.

use std::io::ErrorKind;
use std::net::SocketAddr;

use anyhow::{Context, bail};
use tokio::io::Interest;
use tokio::net::TcpStream;

/// Paths of etcd's API.
pub(crate) const PUT: &str = "/etcdserverpb.KV/Put";
pub(crate) const RANGE: &str = "/etcdserverpb.KV/Range";
pub(crate) const WATCH: &str = "/etcdserverpb.Watch/Watch";

const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
const FRAME_HEADER: usize = 9;
/// What every peer accepts: RFC 9113, 6.5.2.
const MAX_FRAME: usize = 16_384;
/// What a server may send before it hears from us: everything.
const WINDOW: u32 = (1 << 31) - 1;
const READ_BUFFER: usize = 512 << 10;

const DATA: u8 = 0;
const HEADERS: u8 = 1;
const RST_STREAM: u8 = 3;
const SETTINGS: u8 = 4;
const PING: u8 = 6;
const GOAWAY: u8 = 7;
const WINDOW_UPDATE: u8 = 8;

const ACK: u8 = 1;
const END_STREAM: u8 = 1;
const END_HEADERS: u8 = 4;
const PADDED: u8 = 8;

/// What a connection tells its user while it reads.
pub(crate) trait Sink {
    /// Some bytes of the stream's messages, with their 5-byte gRPC prefixes.
    fn data(&mut self, stream: u32, bytes: &[u8]);
    /// The server has said everything on this stream.
    fn end(&mut self, stream: u32);
}

/// A connection for calls of one method.
pub(crate) struct Connection {
    socket: TcpStream,
    out: Vec<u8>,
    input: Vec<u8>,
    filled: usize,
    /// The header block with names and values; `None` when the server has it in its table.
    first_headers: Option<Vec<u8>>,
    next_stream: u32,
    /// Bytes of messages that the server still takes on this connection.
    send_window: i64,
    /// Bytes received that the server has not been told about.
    unacknowledged: u32,
}

impl Connection {
    pub(crate) async fn open(address: SocketAddr, path: &str) -> anyhow::Result<Self> {
        let socket = TcpStream::connect(address).await.with_context(|| format!("connecting to {address}"))?;
        socket.set_nodelay(true)?;
        let mut out = PREFACE.to_vec();
        // SETTINGS_INITIAL_WINDOW_SIZE
        frame(&mut out, SETTINGS, 0, 0, &[&4_u16.to_be_bytes(), &WINDOW.to_be_bytes()]);
        frame(&mut out, WINDOW_UPDATE, 0, 0, &[&(WINDOW - 65_535).to_be_bytes()]);
        Ok(Self {
            socket,
            out,
            input: vec![0; READ_BUFFER],
            filled: 0,
            first_headers: Some(header_block(path, &address.to_string())),
            next_stream: 1,
            send_window: 65_535,
            unacknowledged: 0,
        })
    }

    /// Whether a message of this size may be sent now.
    pub(crate) fn has_room(&self, message: usize) -> bool {
        self.send_window > message as i64 + 5
    }

    /// Starts a call with its first message; `last` ends our side. It goes out with the next [`Self::turn`].
    pub(crate) fn call(&mut self, message: &[u8], last: bool) -> u32 {
        let stream = self.next_stream;
        self.next_stream += 2;
        // POST, http, and the table's four newest entries: path, authority, content type, te.
        const INDEXED: [u8; 6] = [0x83, 0x86, 0xc1, 0xc0, 0xbf, 0xbe];
        match self.first_headers.take() {
            Some(block) => frame(&mut self.out, HEADERS, END_HEADERS, stream, &[&block]),
            None => frame(&mut self.out, HEADERS, END_HEADERS, stream, &[&INDEXED]),
        }
        self.send(stream, message, last);
        stream
    }

    /// One more message on a call, at most 16 KiB.
    pub(crate) fn send(&mut self, stream: u32, message: &[u8], last: bool) {
        let length = u32::try_from(message.len()).unwrap_or(u32::MAX);
        debug_assert!(message.len() + 5 <= MAX_FRAME, "one frame per message");
        let flags = if last { END_STREAM } else { 0 };
        frame(&mut self.out, DATA, flags, stream, &[&[0], &length.to_be_bytes(), message]);
        self.send_window -= message.len() as i64 + 5;
    }

    /// Sends what waits, reads what is there, and returns after having read something.
    pub(crate) async fn turn(&mut self, sink: &mut impl Sink) -> anyhow::Result<()> {
        loop {
            let interest =
                if self.flush()? { Interest::READABLE } else { Interest::READABLE | Interest::WRITABLE };
            self.socket.ready(interest).await?;
            match self.socket.try_read(&mut self.input[self.filled..]) {
                Ok(0) => bail!("the server closed the connection"),
                Ok(read) => {
                    self.filled += read;
                    return self.consume(sink);
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                Err(error) => return Err(error).context("reading from the server"),
            }
        }
    }

    /// Whether all is out.
    fn flush(&mut self) -> anyhow::Result<bool> {
        while !self.out.is_empty() {
            match self.socket.try_write(&self.out) {
                Ok(written) => drop(self.out.drain(..written)),
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(false),
                Err(error) => return Err(error).context("writing to the server"),
            }
        }
        Ok(true)
    }

    fn consume(&mut self, sink: &mut impl Sink) -> anyhow::Result<()> {
        let input = std::mem::take(&mut self.input);
        let mut at = 0;
        while let Some(header) = input[at..self.filled].first_chunk::<FRAME_HEADER>() {
            let [l0, l1, l2, kind, flags, s0, s1, s2, s3] = *header;
            let length = u32::from_be_bytes([0, l0, l1, l2]) as usize;
            if length > MAX_FRAME {
                bail!("the server sent a frame of {length} bytes, more than was agreed");
            }
            let end = at + FRAME_HEADER + length;
            if end > self.filled {
                break;
            }
            let stream = u32::from_be_bytes([s0, s1, s2, s3]) & WINDOW;
            self.frame(kind, flags, stream, &input[at + FRAME_HEADER..end], sink)?;
            at = end;
        }
        self.input = input;
        self.input.copy_within(at..self.filled, 0);
        self.filled -= at;
        if self.unacknowledged > WINDOW / 4 {
            let received = std::mem::take(&mut self.unacknowledged);
            frame(&mut self.out, WINDOW_UPDATE, 0, 0, &[&received.to_be_bytes()]);
        }
        Ok(())
    }

    fn frame(
        &mut self,
        kind: u8,
        flags: u8,
        stream: u32,
        payload: &[u8],
        sink: &mut impl Sink,
    ) -> anyhow::Result<()> {
        match kind {
            DATA => {
                self.unacknowledged += payload.len() as u32;
                if flags & PADDED != 0 {
                    bail!("the server pads its frames, which this client does not read");
                }
                sink.data(stream, payload);
                if flags & END_STREAM != 0 {
                    sink.end(stream);
                }
            }
            HEADERS if flags & END_STREAM != 0 => sink.end(stream),
            RST_STREAM => sink.end(stream),
            SETTINGS if flags & ACK == 0 => frame(&mut self.out, SETTINGS, ACK, 0, &[]),
            PING if flags & ACK == 0 => frame(&mut self.out, PING, ACK, 0, &[payload]),
            WINDOW_UPDATE if stream == 0 => {
                let more = payload.first_chunk().map_or(0, |bytes| u32::from_be_bytes(*bytes) & WINDOW);
                self.send_window += i64::from(more);
            }
            GOAWAY => bail!("the server ends the connection: {}", String::from_utf8_lossy(payload)),
            _ => {}
        }
        Ok(())
    }
}

fn frame(out: &mut Vec<u8>, kind: u8, flags: u8, stream: u32, payload: &[&[u8]]) {
    let length: usize = payload.iter().map(|part| part.len()).sum();
    out.extend_from_slice(&u32::try_from(length).unwrap_or(u32::MAX).to_be_bytes()[1..]);
    out.extend_from_slice(&[kind, flags]);
    out.extend_from_slice(&stream.to_be_bytes());
    for part in payload {
        out.extend_from_slice(part);
    }
}

/// Method and scheme as static entries; the rest enters the server's table, in this order.
fn header_block(path: &str, authority: &str) -> Vec<u8> {
    let mut block = vec![0x83, 0x86];
    let mut literal = |start: &[u8], text: &str| {
        block.extend_from_slice(start);
        block.push(text.len() as u8);
        block.extend_from_slice(text.as_bytes());
    };
    literal(&[0x44], path);
    literal(&[0x41], authority);
    literal(&[0x5f], "application/grpc");
    literal(b"\x40\x02te", "trailers");
    block
}
