//! Faults that can be built in on purpose, to show that the suites notice them. Only with the feature
//! `fault-injection`, which no product has; the environment variable `STORE_FAULT` names the fault.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::mvcc::{Change, Reply};

/// Once in how many answers or batches the fault happens.
const EVERY: u64 = 40;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fault {
    /// A write is answered with the revision before its own.
    WrongRevision,
    /// A change is not told to watches.
    DroppedEvent,
}

fn happens(fault: Fault) -> bool {
    static CHOSEN: OnceLock<Option<Fault>> = OnceLock::new();
    static COUNT: AtomicU64 = AtomicU64::new(0);
    let chosen = CHOSEN.get_or_init(|| match std::env::var("STORE_FAULT").ok().as_deref() {
        Some("wrong-revision") => Some(Fault::WrongRevision),
        Some("dropped-event") => Some(Fault::DroppedEvent),
        _ => None,
    });
    *chosen == Some(fault) && COUNT.fetch_add(1, Ordering::Relaxed) % EVERY == EVERY - 1
}

/// What a writer is told.
pub(crate) fn reply(mut reply: Reply) -> Reply {
    let header = match &mut reply {
        Reply::Put(put) => put.header.as_mut(),
        Reply::Txn(txn) => txn.header.as_mut(),
        Reply::DeleteRange(delete) => delete.header.as_mut(),
        _ => None,
    };
    if let Some(header) = header.filter(|_| happens(Fault::WrongRevision)) {
        header.revision -= 1;
    }
    reply
}

/// What watches are told.
pub(crate) fn changes(changes: &[Change]) -> &[Change] {
    match changes {
        [_, kept @ ..] if happens(Fault::DroppedEvent) => kept,
        all => all,
    }
}
