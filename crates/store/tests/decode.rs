//! Messages from outside: any bytes decode or are refused, and what decodes can be applied.
#![allow(clippy::unwrap_used, reason = "a test")]

use proptest::prelude::*;
use prost::Message;
use store::RequestLimits;
use store::mvcc::{self, Command, Op, State};
use store::proto::{
    DeleteRangeRequest, PutRequest, RangeRequest, TxnRequest, WatchCreateRequest, WatchRequest,
};
use store::watch::{Hub, Limits, Polled};

proptest! {
    #![proptest_config(ProptestConfig::with_cases(ProptestConfig::default().cases.max(2000)))]

    #[test]
    fn requests(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        let mut state = State::default();
        if let Ok(range) = RangeRequest::decode(bytes.as_slice()) && mvcc::check_range(&range).is_ok() {
            let _refused = state.range(&range);
        }
        let put = PutRequest::decode(bytes.as_slice()).ok().filter(|put| mvcc::check_put(put).is_ok()).map(Op::Put);
        let delete = DeleteRangeRequest::decode(bytes.as_slice()).ok().map(Op::DeleteRange);
        let txn = TxnRequest::decode(bytes.as_slice()).ok().filter(|txn| mvcc::check_txn(txn, RequestLimits::DEFAULT_MAX_TXN_OPS).is_ok()).map(Op::Txn);
        for op in [put, delete, txn].into_iter().flatten() {
            let _refused = state.apply(Command::from(op), &mut Vec::new());
        }
        let _refused = WatchRequest::decode(bytes.as_slice());
    }

    #[test]
    fn numbers_at_their_limits(numbers in proptest::array::uniform8(prop_oneof![Just(i64::MIN), Just(i64::MAX), Just(-1), -3..3i64]), end in any::<bool>()) {
        let mut state = State::default();
        let put = PutRequest { key: "k".into(), value: "v".into(), lease: numbers[0], ..PutRequest::default() };
        let _refused = state.apply(Op::Put(put).into(), &mut Vec::new());
        let range = RangeRequest {
            key: "k".into(),
            range_end: if end { vec![0].into() } else { Vec::new().into() },
            limit: numbers[1],
            revision: numbers[2],
            min_mod_revision: numbers[3],
            max_mod_revision: numbers[4],
            min_create_revision: numbers[5],
            max_create_revision: numbers[6],
            ..RangeRequest::default()
        };
        let _refused = state.range(&range);
        let grant = store::proto::LeaseGrantRequest { ttl: numbers[1], id: numbers[0] };
        let _refused = state.apply(Op::LeaseGrant(grant).into(), &mut Vec::new());
        let compact = store::proto::CompactionRequest { revision: numbers[2], physical: false };
        let _refused = state.apply(Op::Compact(compact).into(), &mut Vec::new());
        let _refused = state.begin_hash(numbers[3]).is_ok();
        let mut hub = Hub::new(state.revision(), Limits::default());
        let stream = hub.open(());
        let watch = WatchCreateRequest { key: "k".into(), start_revision: numbers[4], watch_id: numbers[5], ..WatchCreateRequest::default() };
        hub.create(stream, &watch);
        hub.create(stream, &watch);
        hub.cancel(stream, numbers[6]);
        for _ in 0..8 {
            if hub.poll(stream, Some(&state)) == Polled::Idle {
                break;
            }
        }
    }
}

#[test]
fn a_deeply_nested_transaction_is_refused_without_using_up_the_stack() {
    let mut txn = TxnRequest::default();
    for _ in 0..90 {
        txn = TxnRequest { success: vec![store::proto::Request::Txn(txn).into()], ..TxnRequest::default() };
    }
    let bytes = txn.encode_to_vec();
    if let Ok(txn) = TxnRequest::decode(bytes.as_slice()) {
        assert_eq!(
            mvcc::check_txn(&txn, RequestLimits::DEFAULT_MAX_TXN_OPS),
            Ok(()),
            "at most 128 operations, nested or not"
        );
        State::default().apply(Op::Txn(txn).into(), &mut Vec::new()).unwrap();
    }
}
