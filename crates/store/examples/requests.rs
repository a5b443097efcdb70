//! Writes the requests in a sealed log to stdout, each as etcd's `InternalRaftRequest` behind its length:
//! `requests DATA_DIR`. For checkers of histories, on stores of the example `serve`.
#![allow(clippy::print_stderr, reason = "a tool for the terminal")]

use std::io::{self, Write};
use std::process::ExitCode;

use prost::Message;
use store::Config;
use store::mvcc::Op;
use store::proto::{
    AlarmRequest, CompactionRequest, DeleteRangeRequest, LeaseGrantRequest, LeaseRevokeRequest, PutRequest,
    TxnRequest,
};

/// What etcd writes to its log; field numbers from `raft_internal.proto`.
#[derive(Clone, PartialEq, Message)]
struct InternalRaftRequest {
    #[prost(oneof = "Request", tags = "4, 5, 6, 7, 8, 9, 10")]
    request: Option<Request>,
}

#[derive(Clone, PartialEq, prost::Oneof)]
enum Request {
    #[prost(message, tag = "4")]
    Put(PutRequest),
    #[prost(message, tag = "5")]
    DeleteRange(DeleteRangeRequest),
    #[prost(message, tag = "6")]
    Txn(TxnRequest),
    #[prost(message, tag = "7")]
    Compaction(CompactionRequest),
    #[prost(message, tag = "8")]
    LeaseGrant(LeaseGrantRequest),
    #[prost(message, tag = "9")]
    LeaseRevoke(LeaseRevokeRequest),
    #[prost(message, tag = "10")]
    Alarm(AlarmRequest),
}

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<(), Box<dyn std::error::Error>> {
    let dir = std::env::args().nth(1).ok_or("usage: requests DATA_DIR")?;
    let config = Config::new(dir, tee::SealingKey::from_bytes([42; 32]));
    let mut out = io::BufWriter::new(io::stdout().lock());
    for command in store::logged_requests(&config)? {
        let request = command.op.and_then(|op| match op {
            Op::Put(put) => Some(Request::Put(put)),
            Op::DeleteRange(delete) => Some(Request::DeleteRange(delete)),
            Op::Txn(txn) => Some(Request::Txn(txn)),
            Op::Compact(compact) => Some(Request::Compaction(compact)),
            Op::LeaseGrant(grant) => Some(Request::LeaseGrant(grant)),
            Op::LeaseRevoke(revoke) => Some(Request::LeaseRevoke(revoke)),
            Op::Alarm(alarm) => Some(Request::Alarm(alarm)),
            // Ours alone, and no key changes by it.
            Op::Anchor(_) => None,
        });
        out.write_all(&InternalRaftRequest { request }.encode_length_delimited_to_vec())?;
    }
    Ok(out.flush()?)
}
