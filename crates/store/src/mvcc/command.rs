use super::note::AnchorNote;
use crate::proto::{
    AlarmRequest, AlarmResponse, CompactionRequest, CompactionResponse, DeleteRangeRequest,
    DeleteRangeResponse, LeaseGrantRequest, LeaseGrantResponse, LeaseRevokeRequest, LeaseRevokeResponse,
    PutRequest, PutResponse, TxnRequest, TxnResponse,
};

/// One entry of the log: something that may change the state.
///
/// The wire form is part of the on-disk format: numbers here are never reused.
#[derive(Clone, PartialEq, Eq, Hash, prost::Message)]
pub struct Command {
    /// What to do. `None` comes only from a newer format and is refused on the way in.
    #[prost(oneof = "Op", tags = "1, 2, 3, 4, 5, 6, 7, 8")]
    pub op: Option<Op>,
}

/// The operations that change state.
#[derive(Clone, PartialEq, Eq, Hash, prost::Oneof)]
pub enum Op {
    /// Put one key.
    #[prost(message, tag = "1")]
    Put(PutRequest),
    /// Delete a range.
    #[prost(message, tag = "2")]
    DeleteRange(DeleteRangeRequest),
    /// Compare, then do one of two lists.
    #[prost(message, tag = "3")]
    Txn(TxnRequest),
    /// Forget history.
    #[prost(message, tag = "4")]
    Compact(CompactionRequest),
    /// Make a lease; the id is chosen before the command is logged.
    #[prost(message, tag = "5")]
    LeaseGrant(LeaseGrantRequest),
    /// End a lease, by request or because its time is up.
    #[prost(message, tag = "6")]
    LeaseRevoke(LeaseRevokeRequest),
    /// Raise or disarm an alarm.
    #[prost(message, tag = "7")]
    Alarm(AlarmRequest),
    /// Note that a point of this log is about to be anchored.
    #[prost(message, tag = "8")]
    Anchor(AnchorNote),
}

impl From<Op> for Command {
    fn from(op: Op) -> Self {
        Self { op: Some(op) }
    }
}

/// The answer to an [`Op`], in the same order.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "named after the operations")]
pub enum Reply {
    Put(PutResponse),
    DeleteRange(DeleteRangeResponse),
    Txn(TxnResponse),
    Compact(CompactionResponse),
    LeaseGrant(LeaseGrantResponse),
    LeaseRevoke(LeaseRevokeResponse),
    Alarm(AlarmResponse),
    Anchor,
}
