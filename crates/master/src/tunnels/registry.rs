use std::collections::HashMap;
use std::sync::Arc;

use parking_lot::Mutex;
use tunnel::{Limits, Link, OpenError, Role, Stream};

use crate::membership::NodeCertificate;

/// The tunnels that are open, one per node: a newer one takes the place of an older.
#[derive(Debug, Default)]
pub(crate) struct Tunnels {
    inner: Mutex<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    by_node: HashMap<String, Open>,
    last: u64,
    /// No more are taken.
    closed: bool,
}

#[derive(Debug)]
struct Open {
    number: u64,
    link: Link,
    certificate: Arc<NodeCertificate>,
    /// Traffic of the link that was counted already, bytes received and sent.
    counted: (u64, u64),
    ending: Option<&'static str>,
}

/// One tunnel's place; see [`Tunnels::leave`].
#[derive(Clone, Debug)]
pub(crate) struct Seat {
    pub(crate) node: String,
    pub(crate) link: Link,
    number: u64,
}

/// Why a node is not reached through a tunnel.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum DialError {
    #[error("node {0} has no tunnel open; its worker opens one by itself when it reaches the gateway")]
    NoTunnel(String),
    #[error("node {node}: {source}")]
    Open { node: String, source: OpenError },
}

/// What all tunnels together are at.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Totals {
    pub(crate) tunnels: usize,
    pub(crate) streams: usize,
    /// Bytes since the last call, received from workers and sent to them.
    pub(crate) received: u64,
    pub(crate) sent: u64,
}

impl Tunnels {
    /// A place for the tunnel that `certificate`'s node has opened. An older one of the same node is ended. `None` while
    /// the master stops.
    pub(crate) fn enter(
        &self,
        node: &str,
        certificate: Arc<NodeCertificate>,
        limits: Limits,
    ) -> Option<Seat> {
        let link = Link::new(Role::Master, limits);
        let mut inner = self.inner.lock();
        if inner.closed {
            return None;
        }
        inner.last += 1;
        let number = inner.last;
        let open = Open { number, link: link.clone(), certificate, counted: (0, 0), ending: None };
        if let Some(older) = inner.by_node.insert(node.to_owned(), open) {
            older.link.close();
        }
        Some(Seat { node: node.to_owned(), link, number })
    }

    /// Gives up the place. Says why the tunnel was ended from here, if it was.
    pub(crate) fn leave(&self, seat: &Seat) -> Option<&'static str> {
        let mut inner = self.inner.lock();
        match inner.by_node.get(&seat.node) {
            Some(open) if open.number == seat.number => {
                inner.by_node.remove(&seat.node).and_then(|open| open.ending)
            }
            _ => Some("replaced"),
        }
    }

    /// Whether `node` can be reached through a tunnel now.
    pub(crate) fn has(&self, node: &str) -> bool {
        self.inner.lock().by_node.get(node).is_some_and(|open| !open.link.is_over())
    }

    /// A stream to `address` (`host:port`) on `node`'s side.
    pub(crate) fn dial(&self, node: &str, address: &str) -> Result<Stream, DialError> {
        let link = self.inner.lock().by_node.get(node).map(|open| open.link.clone());
        let link = link.ok_or_else(|| DialError::NoTunnel(node.to_owned()))?;
        link.open("tcp", address).map_err(|source| DialError::Open { node: node.to_owned(), source })
    }

    /// Ends the tunnels whose certificate is worth nothing any more.
    pub(crate) fn end_unless(&self, is_live: impl Fn(&NodeCertificate) -> bool) {
        for open in self.inner.lock().by_node.values_mut() {
            if open.ending.is_none() && !is_live(&open.certificate) {
                open.ending = Some("membership_over");
                open.link.close();
            }
        }
    }

    /// Ends all tunnels and takes no more.
    pub(crate) fn close(&self) {
        let mut inner = self.inner.lock();
        inner.closed = true;
        for open in inner.by_node.values_mut() {
            open.ending.get_or_insert("shutdown");
            open.link.close();
        }
    }

    /// Sums over all tunnels.
    pub(crate) fn totals(&self) -> Totals {
        let mut totals = Totals::default();
        for open in self.inner.lock().by_node.values_mut() {
            let (received, sent) = open.link.traffic();
            totals.tunnels += 1;
            totals.streams += open.link.streams();
            totals.received += received - open.counted.0;
            totals.sent += sent - open.counted.1;
            open.counted = (received, sent);
        }
        totals
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn certificate(user: &str) -> Arc<NodeCertificate> {
        Arc::new(NodeCertificate { user: user.to_owned(), groups: Vec::new() })
    }

    #[test]
    fn the_newer_tunnel_of_a_node_takes_the_place() {
        let tunnels = Tunnels::default();
        let older = tunnels.enter("n1", certificate("a"), Limits::default()).unwrap();
        let newer = tunnels.enter("n1", certificate("b"), Limits::default()).unwrap();
        let stream = tunnels.dial("n1", "127.0.0.1:10250").unwrap();
        assert_eq!((older.link.streams(), newer.link.streams(), tunnels.totals().tunnels), (0, 1, 1));
        assert_eq!(tunnels.leave(&older), Some("replaced"));
        assert!(tunnels.has("n1"), "the older one's end does not take the newer one along");
        drop(stream);
        assert_eq!(tunnels.leave(&newer), None);
        assert_eq!(tunnels.dial("n1", "127.0.0.1:10250").unwrap_err(), DialError::NoTunnel("n1".into()));
    }

    #[test]
    fn tunnels_end_with_the_membership_and_with_the_master() {
        let tunnels = Tunnels::default();
        let gone = tunnels.enter("n1", certificate("gone"), Limits::default()).unwrap();
        let stays = tunnels.enter("n2", certificate("stays"), Limits::default()).unwrap();
        tunnels.end_unless(|certificate| certificate.user == "stays");
        assert_eq!(tunnels.leave(&gone), Some("membership_over"));
        tunnels.close();
        assert_eq!(tunnels.leave(&stays), Some("shutdown"));
        assert!(tunnels.enter("n1", certificate("late"), Limits::default()).is_none());
    }
}
