//! Random histories.

use bytes::Bytes;
use proptest::collection::vec;
use proptest::prelude::*;
use store::proto::{
    Compare, DeleteRangeRequest, PutRequest, RangeRequest, Request, RequestOp, TargetUnion, TxnRequest,
    WatchCreateRequest,
};

#[derive(Clone, Debug)]
pub(crate) enum Action {
    Txn(TxnRequest),
    /// Puts every key, one after the other in this order, so that there is something to sort.
    Fill(Vec<Bytes>),
    Range(RangeRequest),
    Compact(i64),
    Grant(i64),
    Revoke(i64),
    Scrub(usize),
    /// Replaces the state by one made from its image; the number says how many keys are taken at once.
    Restore(usize),
    Watch(WatchCreateRequest),
    CancelWatch(i64),
    Progress,
    /// The timer of idle watches.
    Tick,
    Publish,
    Poll(usize),
}

pub(crate) fn key() -> impl Strategy<Value = Bytes> {
    proptest::sample::select(KEYS.to_vec()).prop_map(Bytes::from)
}

const KEYS: [&str; 6] = ["a", "b", "ba", "bb", "c", "d"];

fn end() -> impl Strategy<Value = Bytes> {
    prop_oneof![4 => Just(Bytes::new()), 1 => Just(Bytes::from_static(&[0])), 2 => key()]
}

fn put() -> impl Strategy<Value = PutRequest> {
    (key(), 0..5u8, prop_oneof![6 => Just(0), 2 => 1..4i64], any::<bool>(), 0..10u8).prop_map(
        |(key, value, lease, prev_kv, keep)| PutRequest {
            key,
            value: if keep == 0 { Bytes::new() } else { vec![b'v', value].into() },
            lease: if keep == 1 { 0 } else { lease },
            prev_kv,
            ignore_value: keep == 0,
            ignore_lease: keep == 1,
        },
    )
}

pub(crate) fn range() -> impl Strategy<Value = RangeRequest> {
    // Mostly several keys.
    let end = || prop_oneof![1 => Just(Bytes::new()), 2 => Just(Bytes::from_static(&[0])), 1 => key()];
    // Several at once, so that each must hold.
    let bound = || prop_oneof![6 => Just(0), 1 => -1..30i64, 1 => 2..10i64];
    let bounds = prop_oneof![
        1 => Just((0, 0, 0, 0)),
        1 => (bound(), bound(), bound(), bound()),
    ];
    (
        key(),
        end(),
        prop_oneof![3 => Just(0), 2 => 1..4i64],
        prop_oneof![5 => Just(0), 4 => 1..40i64],
        0..3i32,
        0..5i32,
        any::<(bool, bool)>(),
        bounds,
    )
        .prop_map(
            |(key, range_end, limit, revision, sort_order, sort_target, (keys_only, count_only), bounds)| {
                RangeRequest {
                    key,
                    range_end,
                    limit,
                    revision,
                    sort_order,
                    sort_target,
                    serializable: keys_only,
                    keys_only,
                    count_only: count_only && keys_only,
                    min_mod_revision: bounds.0,
                    max_mod_revision: bounds.1,
                    min_create_revision: bounds.2,
                    max_create_revision: bounds.3,
                }
            },
        )
}

fn compare() -> impl Strategy<Value = Compare> {
    let union = prop_oneof![
        (0..3i64).prop_map(|v| (0, TargetUnion::Version(v))),
        (0..20i64).prop_map(|v| (1, TargetUnion::CreateRevision(v))),
        (0..20i64).prop_map(|v| (2, TargetUnion::ModRevision(v))),
        (0..5u8).prop_map(|v| (3, TargetUnion::Value(vec![b'v', v].into()))),
        (0..3i64).prop_map(|v| (4, TargetUnion::Lease(v))),
    ];
    (key(), end(), 0..4i32, union).prop_map(|(key, range_end, result, (target, union))| Compare {
        result,
        target,
        key,
        range_end,
        target_union: Some(union),
    })
}

fn op() -> impl Strategy<Value = RequestOp> {
    let flat = prop_oneof![
        6 => put().prop_map(Request::Put),
        1 => (key(), end(), any::<bool>()).prop_map(|(key, range_end, prev_kv)| Request::DeleteRange(DeleteRangeRequest { key, range_end, prev_kv })),
        2 => range().prop_map(Request::Range),
    ]
    .prop_map(RequestOp::from);
    flat.prop_recursive(2, 8, 3, |inner| {
        (vec(compare(), 0..2), vec(inner.clone(), 0..3), vec(inner, 0..3)).prop_map(
            |(compare, success, failure)| Request::Txn(TxnRequest { compare, success, failure }).into(),
        )
    })
}

fn txn() -> impl Strategy<Value = TxnRequest> {
    prop_oneof![
        // Plain writes, as a transaction of one.
        3 => op().prop_map(|op| TxnRequest { success: vec![op], ..TxnRequest::default() }),
        2 => (vec(compare(), 0..3), vec(op(), 0..4), vec(op(), 0..4))
            .prop_map(|(compare, success, failure)| TxnRequest { compare, success, failure }),
    ]
}

fn watch() -> impl Strategy<Value = WatchCreateRequest> {
    (key(), end(), prop_oneof![Just(0), 1..30i64], any::<(bool, bool, bool)>(), vec(0..2i32, 0..3)).prop_map(
        |(key, range_end, start_revision, (prev_kv, progress_notify, fragment), filters)| {
            WatchCreateRequest {
                key,
                range_end,
                start_revision,
                progress_notify,
                filters,
                prev_kv,
                watch_id: 0,
                fragment,
            }
        },
    )
}

pub(crate) fn action() -> impl Strategy<Value = Action> {
    prop_oneof![
        12 => txn().prop_map(Action::Txn),
        1 => Just(KEYS.map(Bytes::from).to_vec()).prop_shuffle().prop_map(Action::Fill),
        12 => range().prop_map(Action::Range),
        1 => (1..30i64).prop_map(Action::Compact),
        1 => (1..4i64).prop_map(Action::Grant),
        1 => (1..4i64).prop_map(Action::Revoke),
        1 => (0..6usize).prop_map(Action::Scrub),
        1 => (1..5usize).prop_map(Action::Restore),
        2 => watch().prop_map(Action::Watch),
        1 => (0..4i64).prop_map(Action::CancelWatch),
        1 => Just(Action::Progress),
        3 => Just(Action::Tick),
        6 => Just(Action::Publish),
        3 => Just(Action::Poll(1)),
        2 => (2..6usize).prop_map(Action::Poll),
    ]
}
