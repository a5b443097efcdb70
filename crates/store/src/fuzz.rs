//! What reads bytes from disk and network, for the fuzzer: whatever comes in, it is read or refused.

use prost::Message;

use crate::log::read_commands;
use crate::mvcc::{self, Command, Op, State};
use crate::proto::{
    CompactionRequest, DeleteRangeRequest, LeaseGrantRequest, LeaseRevokeRequest, PutRequest, RangeRequest,
    Request, TxnRequest, WatchRequest, WatchRequestUnion,
};
use crate::seal::{
    FrameReader, FrameSealer, HEADER_BYTES, Header, Keyring, Kind, Next, Position, SnapshotReader,
    seal_snapshot_text,
};
use crate::watch::{Hub, Limits, Polled};

fn keyring() -> Keyring {
    Keyring::new(tee::SealingKey::from_bytes([7; 32]))
}

fn header(kind: Kind) -> Header {
    let (start, number) = (Position::default(), 0);
    let (store_id, salt) = ([1; 16], [2; 32]);
    Header { kind, anchored: false, key_epoch: 0, store_id, salt, number, start, root: 0 }
}

/// A segment: the bytes as a header, as frames, and sealed as the text of a frame that is then replayed.
pub fn log(bytes: &[u8]) {
    let keyring = keyring();
    let _refused = Header::open(bytes, &keyring).is_err();
    let key = || keyring.file_key(&header(Kind::Segment));
    let mut reader = FrameReader::new(key(), Position::default(), 0);
    assert!(!matches!(reader.next(bytes), Next::Frame(_)), "a frame nobody sealed");

    let mut frame = Vec::new();
    FrameSealer::begin(&mut frame);
    frame.extend_from_slice(bytes);
    FrameSealer::new(key(), Position::default()).finish(&mut frame);
    let mut reader = FrameReader::new(key(), Position::default(), 0);
    let Next::Frame(text) = reader.next(&frame) else { panic!("a sealed frame does not open") };
    assert_eq!(text, bytes);
    replay(text);
    // One bit less and it is refused.
    if let Some(bit) = bytes.first() {
        let at = usize::from(*bit) % frame.len();
        frame[at] ^= 1;
        let mut reader = FrameReader::new(key(), Position::default(), 0);
        assert!(!matches!(reader.next(&frame), Next::Frame(_)), "a changed frame opens");
    }
}

fn replay(text: Vec<u8>) {
    let Ok(commands) = read_commands(text) else { return };
    let mut state = State::default();
    // Replay takes what the checks let through before it was logged.
    for command in commands.into_iter().filter(checked) {
        let _refused = state.apply(command, &mut Vec::new()).is_err();
    }
    while !state.scrub(16) {}
    round_trip(&mut state);
}

fn checked(command: &Command) -> bool {
    match &command.op {
        Some(Op::Put(put)) => mvcc::check_put(put).is_ok(),
        Some(Op::DeleteRange(delete)) => mvcc::check_delete(delete).is_ok(),
        Some(Op::Txn(txn)) => mvcc::check_txn(txn, crate::RequestLimits::DEFAULT_MAX_TXN_OPS).is_ok(),
        Some(Op::LeaseGrant(grant)) => mvcc::check_lease_grant(grant).is_ok(),
        _ => true,
    }
}

/// A state comes back from its own image.
fn round_trip(state: &mut State) {
    let (image, mut cursor) = state.begin_image();
    let mut records = Vec::new();
    while let Some(part) = state.image_records(&mut cursor, 7) {
        records.extend(part.iter().map(|record| mvcc::Record::clone(record)));
    }
    state.end_image();
    let restored = State::restore(&image, records).unwrap_or_else(|error| panic!("{error}"));
    assert_eq!((restored.revision(), restored.live_keys()), (state.revision(), state.live_keys()));
}

/// A snapshot: the bytes as a file, and sealed as the text of one.
pub fn snapshot(bytes: &[u8]) {
    let keyring = keyring();
    assert!(SnapshotReader::open(bytes, &keyring).is_err(), "a snapshot nobody sealed");
    let sealed = seal_snapshot_text(&header(Kind::Snapshot), &keyring, bytes);
    assert!(sealed.len() >= HEADER_BYTES + bytes.len());
    let Ok((_, image, mut reader)) = SnapshotReader::open(sealed.as_slice(), &keyring) else { return };
    let records = std::iter::from_fn(|| reader.record().ok().flatten());
    if let Ok(mut state) = State::restore(&image, records) {
        while !state.scrub(16) {}
        let all = RangeRequest { key: vec![0].into(), range_end: vec![0].into(), ..RangeRequest::default() };
        let _refused = state.range(&all).is_err();
    }
}

/// Requests, one after the other: a byte says which kind comes, another how long it is.
pub fn requests(mut bytes: &[u8]) {
    let mut state = State::default();
    let mut hub = Hub::new(state.revision(), Limits { events: 3, bytes: 400, scan: 5, fragment: 150 });
    let stream = hub.open(());
    while let [kind, length, rest @ ..] = bytes {
        let (message, after) = rest.split_at(usize::from(*length).min(rest.len()));
        bytes = after;
        request(*kind, message, &mut state, &mut hub, stream);
        for _ in 0..64 {
            if hub.poll(stream, Some(&state)) == Polled::Idle {
                break;
            }
        }
    }
}

fn request(kind: u8, message: &[u8], state: &mut State, hub: &mut Hub<()>, stream: u64) {
    let op = match kind % 8 {
        0 => PutRequest::decode(message).ok().map(Op::Put),
        1 => DeleteRangeRequest::decode(message).ok().map(Op::DeleteRange),
        2 => TxnRequest::decode(message).ok().map(Op::Txn),
        3 => CompactionRequest::decode(message).ok().map(Op::Compact),
        4 => LeaseGrantRequest::decode(message).ok().map(Op::LeaseGrant),
        5 => LeaseRevokeRequest::decode(message).ok().map(Op::LeaseRevoke),
        6 => {
            if let Ok(range) = RangeRequest::decode(message)
                && mvcc::check_range(&range).is_ok()
            {
                let _refused = state.range(&range).is_err();
            }
            None
        }
        _ => {
            match WatchRequest::decode(message).ok().and_then(|request| request.request_union) {
                Some(WatchRequestUnion::Create(create)) => hub.create(stream, &create),
                Some(WatchRequestUnion::Cancel(cancel)) => hub.cancel(stream, cancel.watch_id),
                Some(WatchRequestUnion::Progress(_)) => hub.request_progress(stream),
                None => {}
            }
            None
        }
    };
    let Some(command) = op.map(Command::from).filter(checked) else { return };
    if let Some(Op::Txn(txn)) = &command.op {
        let reads = |op: &crate::proto::RequestOp| matches!(op.request, Some(Request::Range(_)));
        if txn.success.iter().chain(&txn.failure).all(reads) {
            let _refused = state.read_txn(txn).is_err();
        }
    }
    let mut changes = Vec::new();
    let _refused = state.apply(command, &mut changes).is_err();
    hub.publish(&changes, &mut Vec::new());
}
