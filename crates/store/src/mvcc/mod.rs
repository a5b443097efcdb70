//! The state machine: keys, revisions and leases as a pure function of the commands applied so far.
//!
//! No clock, no IO, no randomness: two machines that apply the same commands are equal, which is what makes
//! recovery from a log right today and replication possible later.

mod check;
mod command;
mod hash;
mod history;
mod hold;
mod note;
mod range;
mod record;
mod record_wire;
mod restore;
mod state;
mod txn;
mod versions;

pub use check::{
    MAX_LEASE_TTL, MAX_TXN_DEPTH, check_delete, check_lease_grant, check_put, check_range,
    check_range_stream, check_txn,
};
pub use command::{Command, Op, Reply};
pub use hash::HistoryHash;
pub use note::AnchorNote;
pub use range::KeyRange;
pub use record::Record;
pub use record_wire::RecordWire;
pub use restore::{Image, ImageCursor, RestoreError};
pub use state::{Change, State};
