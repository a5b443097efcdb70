use bytes::Bytes;

use crate::varint;

/// The largest `network/address` of a connect.
const MAX_CONNECT_BYTES: usize = 266;
/// The longest text of an error; what is longer is cut.
const MAX_ERROR_BYTES: usize = 100;
/// The longest name of another client.
const MAX_CLIENT_BYTES: usize = 100;
/// Streams in one list.
const MAX_LISTED: usize = 4_096;
/// A field that was a deadline once; receivers skip it, senders write 15 s.
const LEGACY_DEADLINE_MS: i64 = 15_000;
/// The text of an error that is the ordinary end of a stream.
pub(crate) const EOF: &str = "EOF";

/// What one websocket message says.
///
/// On the wire: three varints (number of the message, stream, kind), one more that is not used for [`Message::Data`]
/// and [`Message::Connect`], then the payload up to the end of the websocket message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Message {
    /// Bytes of a stream.
    Data {
        /// Which stream.
        stream: i64,
        /// The bytes.
        bytes: Bytes,
    },
    /// Open a stream.
    Connect {
        /// Its number, chosen by who asks.
        stream: i64,
        /// `tcp`, or what else Go's dialer knows.
        network: String,
        /// Where to, `host:port`.
        address: String,
    },
    /// A stream has ended; the text `EOF` is its ordinary end.
    Error {
        /// Which stream.
        stream: i64,
        /// Why.
        text: String,
    },
    /// Send nothing more on a stream until [`Message::Resume`].
    Pause {
        /// Which stream.
        stream: i64,
    },
    /// Go on.
    Resume {
        /// Which stream.
        stream: i64,
    },
    /// All streams that the sender has open; others are over.
    Streams(Vec<i64>),
    /// Another client that the sender can reach; peers of several servers tell each other.
    AddClient(String),
    /// It is gone.
    RemoveClient(String),
    /// A kind that is not known, which is skipped as remotedialer does.
    Unknown(i64),
}

/// Why a websocket message is none of the protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum BadMessage {
    /// It ends inside of its head.
    #[error("it is cut off")]
    Truncated,
    /// A connect without `network/address`.
    #[error("its address is not network/host:port")]
    Address,
    /// A list whose length is no multiple of eight, or that names too many streams.
    #[error("its list of streams is damaged or too long")]
    List,
}

impl Message {
    /// The websocket message; `number` counts the messages of the sender.
    pub fn encode(&self, number: i64) -> Vec<u8> {
        let mut out = Vec::with_capacity(40 + self.payload_len());
        let (kind, stream) = self.kind();
        varint::put(&mut out, number);
        varint::put(&mut out, stream);
        varint::put(&mut out, kind);
        if matches!(self, Self::Data { .. } | Self::Connect { .. }) {
            varint::put(&mut out, LEGACY_DEADLINE_MS);
        }
        match self {
            Self::Data { bytes, .. } => out.extend_from_slice(bytes),
            Self::Connect { network, address, .. } => {
                out.extend_from_slice(network.as_bytes());
                out.push(b'/');
                out.extend_from_slice(address.as_bytes());
            }
            Self::Error { text, .. } => out.extend_from_slice(cut(text.as_bytes(), MAX_ERROR_BYTES)),
            Self::AddClient(name) | Self::RemoveClient(name) => out.extend_from_slice(name.as_bytes()),
            Self::Streams(streams) => {
                for stream in streams {
                    out.extend_from_slice(&stream.to_le_bytes());
                }
            }
            Self::Pause { .. } | Self::Resume { .. } | Self::Unknown(_) => {}
        }
        out
    }

    /// Reads a websocket message.
    ///
    /// # Errors
    /// [`BadMessage`] with what is wrong.
    pub fn decode(mut input: &[u8]) -> Result<Self, BadMessage> {
        let mut take = || varint::take(&mut input).ok_or(BadMessage::Truncated);
        let (_number, stream, kind) = (take()?, take()?, take()?);
        if kind == 1 || kind == 2 {
            take()?;
        }
        Ok(match kind {
            1 => Self::Data { stream, bytes: Bytes::copy_from_slice(input) },
            2 => {
                let text = std::str::from_utf8(cut(input, MAX_CONNECT_BYTES)).ok();
                let (network, address) =
                    text.and_then(|text| text.split_once('/')).ok_or(BadMessage::Address)?;
                Self::Connect { stream, network: network.to_owned(), address: address.to_owned() }
            }
            3 => Self::Error { stream, text: text(input, MAX_ERROR_BYTES) },
            4 => Self::AddClient(text(input, MAX_CLIENT_BYTES)),
            5 => Self::RemoveClient(text(input, MAX_CLIENT_BYTES)),
            6 => Self::Pause { stream },
            7 => Self::Resume { stream },
            8 => {
                let (ids, rest) = input.as_chunks::<8>();
                if !rest.is_empty() || ids.len() > MAX_LISTED {
                    return Err(BadMessage::List);
                }
                Self::Streams(ids.iter().map(|id| i64::from_le_bytes(*id)).collect())
            }
            other => Self::Unknown(other),
        })
    }

    fn kind(&self) -> (i64, i64) {
        match self {
            Self::Data { stream, .. } => (1, *stream),
            Self::Connect { stream, .. } => (2, *stream),
            Self::Error { stream, .. } => (3, *stream),
            Self::AddClient(_) => (4, 0),
            Self::RemoveClient(_) => (5, 0),
            Self::Pause { stream } => (6, *stream),
            Self::Resume { stream } => (7, *stream),
            Self::Streams(_) => (8, 0),
            Self::Unknown(kind) => (*kind, 0),
        }
    }

    fn payload_len(&self) -> usize {
        match self {
            Self::Data { bytes, .. } => bytes.len(),
            Self::Streams(streams) => streams.len() * 8,
            _ => 0,
        }
    }
}

fn cut(bytes: &[u8], max: usize) -> &[u8] {
    &bytes[..bytes.len().min(max)]
}

/// A peer's text, fit for a log line.
fn text(bytes: &[u8], max: usize) -> String {
    String::from_utf8_lossy(cut(bytes, max)).chars().filter(|c| !c.is_control()).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn messages_are_those_of_remotedialer() {
        // Written down from what its Go client sends.
        let connect =
            Message::Connect { stream: 2, network: "tcp".to_owned(), address: "127.0.0.1:10250".to_owned() };
        assert_eq!(connect.encode(1), b"\x02\x04\x04\xb0\xea\x01tcp/127.0.0.1:10250");
        let data = Message::Data { stream: 2, bytes: Bytes::from_static(b"hi") };
        assert_eq!(data.encode(2), b"\x04\x04\x02\xb0\xea\x01hi");
        assert_eq!(Message::Error { stream: 2, text: EOF.to_owned() }.encode(3), b"\x06\x04\x06EOF");
        assert_eq!(Message::Pause { stream: 2 }.encode(4), b"\x08\x04\x0c");
        assert_eq!(Message::Resume { stream: 2 }.encode(5), b"\x0a\x04\x0e");
        assert_eq!(Message::Streams(vec![2]).encode(6), b"\x0c\x00\x10\x02\0\0\0\0\0\0\0");
    }

    #[test]
    fn damaged_messages_are_named() {
        assert_eq!(Message::decode(b""), Err(BadMessage::Truncated));
        assert_eq!(Message::decode(b"\x02\x04\x04"), Err(BadMessage::Truncated));
        assert_eq!(Message::decode(b"\x02\x04\x04\x00tcp"), Err(BadMessage::Address));
        assert_eq!(Message::decode(b"\x02\x00\x10abc"), Err(BadMessage::List));
        assert_eq!(Message::decode(b"\x02\x04\x7e"), Ok(Message::Unknown(63)));
    }

    fn message() -> impl Strategy<Value = Message> {
        let bytes = proptest::collection::vec(any::<u8>(), 0..2_000).prop_map(Bytes::from);
        prop_oneof![
            (any::<i64>(), bytes).prop_map(|(stream, bytes)| Message::Data { stream, bytes }),
            (any::<i64>(), "[a-z]{1,4}", "[a-z0-9.:/]{0,200}")
                .prop_map(|(stream, network, address)| { Message::Connect { stream, network, address } }),
            (any::<i64>(), "[ -~]{0,100}").prop_map(|(stream, text)| Message::Error { stream, text }),
            any::<i64>().prop_map(|stream| Message::Pause { stream }),
            any::<i64>().prop_map(|stream| Message::Resume { stream }),
            proptest::collection::vec(any::<i64>(), 0..100).prop_map(Message::Streams),
            "[ -~]{0,100}".prop_map(Message::AddClient),
            "[ -~]{0,100}".prop_map(Message::RemoveClient),
        ]
    }

    proptest! {
        #[test]
        fn come_back(message in message(), number: i64) {
            prop_assert_eq!(Message::decode(&message.encode(number)), Ok(message));
        }

        #[test]
        fn nothing_panics(bytes: Vec<u8>) {
            let _ = Message::decode(&bytes);
        }
    }
}
