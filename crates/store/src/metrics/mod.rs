//! What the store counts, under etcd's names where the meaning is etcd's.
//!
//! Plain atomics: hot paths count without a lock or a look-up.

mod grpc;
mod histogram;
mod process;
mod text;

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

pub(crate) use grpc::{Grpc, Method};
pub(crate) use histogram::Histogram;
pub(crate) use process::process;
pub(crate) use text::Text;

use crate::mvcc::{Command, Op};

/// Counts since the store was opened.
#[derive(Debug)]
pub(crate) struct Metrics {
    pub(crate) grpc: Grpc,
    /// Writing and syncing one group of commands.
    pub(crate) wal_fsync: Histogram,
    /// The same with sealing, applying and answering.
    pub(crate) backend_commit: Histogram,
    /// Writing one snapshot.
    pub(crate) snapshot: Histogram,
    /// Commands in groups that took long.
    pub(crate) slow_applies: Counter,
    pub(crate) failed_proposals: Counter,
    pub(crate) ranges: Counter,
    pub(crate) puts: Counter,
    pub(crate) deletes: Counter,
    pub(crate) txns: Counter,
    pub(crate) leases_granted: Counter,
    pub(crate) leases_revoked: Counter,
    pub(crate) leases_renewed: Counter,
    pub(crate) leases_expired: Counter,
    pub(crate) bytes_received: Counter,
    pub(crate) bytes_sent: Counter,
    pub(crate) health_success: Counter,
    pub(crate) health_failures: Counter,
}

impl Default for Metrics {
    fn default() -> Self {
        Self {
            grpc: Grpc::default(),
            wal_fsync: Histogram::new(0.001, 14),
            backend_commit: Histogram::new(0.001, 14),
            snapshot: Histogram::new(0.01, 17),
            slow_applies: Counter::default(),
            failed_proposals: Counter::default(),
            ranges: Counter::default(),
            puts: Counter::default(),
            deletes: Counter::default(),
            txns: Counter::default(),
            leases_granted: Counter::default(),
            leases_revoked: Counter::default(),
            leases_renewed: Counter::default(),
            leases_expired: Counter::default(),
            bytes_received: Counter::default(),
            bytes_sent: Counter::default(),
            health_success: Counter::default(),
            health_failures: Counter::default(),
        }
    }
}

impl Metrics {
    /// Counts a command by its kind.
    pub(crate) fn applying(&self, command: &Command) {
        match &command.op {
            Some(Op::Put(_)) => self.puts.add(1),
            Some(Op::DeleteRange(_)) => self.deletes.add(1),
            Some(Op::Txn(_)) => self.txns.add(1),
            Some(Op::LeaseRevoke(_)) => self.leases_revoked.add(1),
            _ => {}
        }
    }

    /// Counts a group of commands that took `time` from sealing to answering.
    pub(crate) fn committed(&self, time: Duration, commands: u64, slow: Duration) {
        self.backend_commit.observe(time);
        if time > slow {
            self.slow_applies.add(commands);
        }
    }
}

/// A number that only grows.
#[derive(Debug, Default)]
pub(crate) struct Counter(AtomicU64);

impl Counter {
    pub(crate) fn add(&self, more: u64) {
        self.0.fetch_add(more, Ordering::Relaxed);
    }

    pub(crate) fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}
