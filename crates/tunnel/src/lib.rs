//! A connection that a node opens to its master, and through which the master reaches the node: many streams
//! over one websocket, in the protocol of `github.com/rancher/remotedialer` as K3s speaks it.
//!
//! [`Message`] is the format of one websocket message. [`Session`] is one end of a tunnel, without IO and with
//! the clock passed in: it opens and takes streams, holds back a side that sends faster than the other reads, and
//! notices a peer that is silent. [`Link`] drives a session over a websocket and gives [`Stream`]s that are
//! read and written as sockets.
//!
//! Only the master opens streams. A worker that asks for one breaks the protocol ([`Violation::Connect`]), and
//! the tunnel ends.
//!
//! ```
//! use tunnel::{Event, Frame, Limits, Role, Session};
//!
//! let mut master = Session::new(Role::Master, Limits::default(), 0);
//! let mut worker = Session::new(Role::Worker, Limits::default(), 0);
//! let stream = master.open("tcp", "127.0.0.1:10250", 0).unwrap();
//! let Some(Frame::Message(message)) = master.transmit(0) else { panic!() };
//! worker.receive(&message, 0).unwrap();
//! let Some(Event::Connect { stream: asked, network, address }) = worker.event() else { panic!() };
//! assert_eq!((asked, network.as_str(), address.as_str()), (stream, "tcp", "127.0.0.1:10250"));
//! ```
#![forbid(unsafe_code)]

mod limits;
mod link;
mod message;
mod session;
mod stream;
mod streams;
mod varint;

pub use limits::Limits;
pub use link::{Ended, Incoming, Link, run};
pub use message::{BadMessage, Message};
pub use session::{Event, Frame, OpenError, Role, Session, Violation};
pub use stream::Stream;
pub use streams::{Reading, StreamId, Writing};

/// The websocket that a tunnel runs over.
pub use tokio_tungstenite;
