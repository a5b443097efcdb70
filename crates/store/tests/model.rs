//! State machine and watches against a plain model, over random histories.
#![allow(clippy::unwrap_used, reason = "a test")]

#[path = "common/actions.rs"]
mod actions;
mod common;

use std::collections::BTreeMap;

use actions::{Action, action};
use common::{Changed, Model, changed, in_range};
use proptest::collection::vec;
use proptest::prelude::*;
use store::mvcc::{Change, Command, Op, Record, Reply, State, check_txn};
use store::proto::{
    CompactionRequest, KeyValue, LeaseGrantRequest, LeaseRevokeRequest, PutRequest, Request, TxnRequest,
    WatchCreateRequest, WatchResponse,
};
use store::watch::{Hub, Limits, Polled, StreamId};
use store::{EtcdError, RequestLimits};

/// Small, so that watchers fall behind all the time.
const LIMITS: Limits = Limits { events: 3, bytes: 400, scan: 5, fragment: 150 };

/// What one watch has been told.
struct Told {
    request: WatchCreateRequest,
    start: i64,
    events: Vec<Changed>,
    cancelled: bool,
    /// The last response said that its rest comes.
    unfinished: bool,
}

struct Rig {
    state: State,
    model: Model,
    hub: Hub<()>,
    stream: StreamId,
    told: BTreeMap<i64, Told>,
    created: Vec<WatchCreateRequest>,
    answered: usize,
    /// Applied, but not told to the hub yet: the state is ahead of what is published.
    unpublished: Vec<Vec<Change>>,
}

impl Rig {
    fn new() -> Self {
        let mut hub = Hub::new(1, LIMITS);
        let stream = hub.open(());
        Self {
            state: State::default(),
            model: Model::default(),
            hub,
            stream,
            told: BTreeMap::new(),
            created: Vec::new(),
            answered: 0,
            unpublished: Vec::new(),
        }
    }

    fn apply(&mut self, op: Op) -> Result<Reply, EtcdError> {
        let mut changes = Vec::new();
        let before = self.model.at(i64::MAX);
        let reply = self.state.apply(Command::from(op), &mut changes);
        self.unpublished.push(changes.clone());
        for change in &changes {
            let previous = change.previous.as_ref().map(|record| record.to_kv(false));
            // A key that begins again in the revision that ended it has nothing before, as in etcd.
            let created = change.record.create_revision == change.record.mod_revision;
            assert_eq!(
                previous,
                before.get(&change.record.key).filter(|_| !created).cloned(),
                "what was there before {:?}",
                change.record
            );
        }
        reply
    }

    fn act(&mut self, action: Action) {
        match action {
            Action::Txn(txn) => {
                if check_txn(&txn, RequestLimits::DEFAULT_MAX_TXN_OPS).is_err() {
                    return;
                }
                let expected = self.model.clone().txn(&txn);
                if let Ok(answer) = self.state.read_txn(&txn) {
                    assert!(
                        answer.succeeded == expected.as_ref().is_ok_and(|expected| expected.succeeded)
                            || expected.is_err()
                    );
                }
                let actual = self.apply(Op::Txn(txn.clone()));
                let expected = self.model.txn(&txn).map(Reply::Txn);
                assert_eq!(actual, expected);
            }
            Action::Fill(keys) => {
                for key in keys {
                    // Values in the order of keys backwards.
                    let value = key.iter().map(|byte| 255 - byte).collect::<Vec<_>>().into();
                    let put = Request::Put(PutRequest { key, value, ..PutRequest::default() });
                    self.act(Action::Txn(TxnRequest { success: vec![put.into()], ..TxnRequest::default() }));
                }
            }
            Action::Range(range) => {
                assert_eq!(self.state.range(&range), self.model.range(&range, self.model.revision));
            }
            Action::Compact(revision) => {
                let actual =
                    self.apply(Op::Compact(CompactionRequest { revision, physical: false })).map(|_| ());
                assert_eq!(actual, self.model.compact(revision));
            }
            Action::Grant(id) => {
                let actual = self.apply(Op::LeaseGrant(LeaseGrantRequest { ttl: 10, id }));
                assert_eq!(actual.is_ok(), self.model.leases.insert(id));
            }
            Action::Revoke(id) => {
                let actual = self.apply(Op::LeaseRevoke(LeaseRevokeRequest { id })).map(|_| ());
                assert_eq!(actual, self.model.revoke(id));
            }
            Action::Scrub(max) => {
                let hash = hash(&mut self.state);
                self.state.scrub(max);
                assert_eq!(crate::hash(&mut self.state), hash, "scrubbing changes nothing that can be read");
            }
            Action::Restore(stride) => self.restore(stride),
            Action::Watch(request) => {
                self.created.push(request.clone());
                self.hub.create(self.stream, &request);
            }
            Action::CancelWatch(id) => {
                self.hub.cancel(self.stream, id);
            }
            Action::Publish => self.publish(),
            Action::Progress => self.hub.request_progress(self.stream),
            Action::Tick => self.hub.tick(&mut Vec::new()),
            Action::Poll(times) => {
                for _ in 0..times {
                    self.poll();
                }
            }
        }
        assert_eq!(self.state.revision(), self.model.revision);
        assert_eq!(self.state.compact_revision(), self.model.compacted);
    }

    fn publish(&mut self) {
        for changes in std::mem::take(&mut self.unpublished) {
            self.hub.publish(&changes, &mut Vec::new());
        }
    }

    fn restore(&mut self, stride: usize) {
        let (image, mut cursor) = self.state.begin_image();
        let mut records: Vec<Record> = Vec::new();
        while let Some(part) = self.state.image_records(&mut cursor, stride) {
            records.extend(part.iter().map(|record| Record::clone(record)));
        }
        self.state.end_image();
        let mut restored = State::restore(&image, records).unwrap();
        assert_eq!(hash(&mut restored), hash(&mut self.state));
        assert_eq!(restored.leases().collect::<Vec<_>>(), self.state.leases().collect::<Vec<_>>());
        for (id, _) in restored.leases() {
            assert_eq!(restored.lease_keys(id), self.state.lease_keys(id));
        }
        let readable = self.state.compact_revision();
        let log =
            |state: &State| state.changes_since(readable).map(|record| changed(record)).collect::<Vec<_>>();
        assert_eq!(
            log(&restored),
            log(&self.state),
            "a watch may start at the compact revision, before and after"
        );
        let mut before = std::mem::replace(&mut self.state, restored);
        for state in [&mut before, &mut self.state] {
            while !state.scrub(1) {}
        }
        assert_eq!(self.state.weight(), before.weight(), "what is compacted goes, before and after");
    }

    fn poll(&mut self) -> bool {
        let response = match self.hub.poll(self.stream, Some(&self.state)) {
            Polled::Response(response) => response,
            Polled::Again => return true,
            Polled::Idle => return false,
        };
        let header = response.header.unwrap().revision;
        if response.created {
            let request = self.created[self.answered].clone();
            self.answered += 1;
            if !response.canceled {
                let start = if request.start_revision > 0 { request.start_revision } else { header + 1 };
                let told = Told { request, start, events: Vec::new(), cancelled: false, unfinished: false };
                self.told.insert(response.watch_id, told);
            }
            return true;
        }
        if response.watch_id == -1 {
            for (id, told) in self.told.iter().filter(|(_, told)| !told.cancelled) {
                told.is_in_step(*id, &self.model, header);
            }
            return true;
        }
        let told = self.told.get_mut(&response.watch_id).unwrap();
        if response.canceled {
            told.cancelled = true;
            if response.compact_revision != 0 {
                assert!(told.start < response.compact_revision);
            }
            return true;
        }
        if response.events.is_empty() {
            assert!(told.request.progress_notify, "watch {} did not ask for this", response.watch_id);
            told.is_in_step(response.watch_id, &self.model, header);
            return true;
        }
        told.is_whole(&response);
        for event in response.events {
            let kv = event.kv.unwrap();
            let revision = kv.mod_revision;
            assert!(revision <= header);
            let key = kv.key.clone();
            let before = self.model.at(revision - 1);
            match &event.prev_kv {
                Some(previous) => {
                    assert!(told.request.prev_kv);
                    assert_eq!(Some(previous), before.get(&key));
                }
                // As in etcd: what was there before is sent while it can be read, but not to a key that begins anew.
                None if told.request.prev_kv && revision > self.model.compacted => {
                    let begins = kv.create_revision == kv.mod_revision;
                    assert!(begins || !before.contains_key(&key), "no prev_kv for {key:?} at {revision}");
                }
                None => {}
            }
            told.events.push(Changed { revision, key, kv: (event.r#type == 0).then_some(kv) });
        }
        true
    }

    fn finish(mut self) {
        self.publish();
        while self.poll() {}
        for (id, told) in &self.told {
            let expected: Vec<Changed> = expected(&self.model, told).cloned().collect();
            if told.cancelled {
                assert_eq!(
                    told.events,
                    expected[..told.events.len().min(expected.len())],
                    "cancelled watch {id}"
                );
            } else {
                assert_eq!(told.events, expected, "watch {id} from {}: {:?}", told.start, told.request);
            }
        }
    }
}

impl Told {
    /// Everything up to `revision` has been told before that revision is.
    fn is_in_step(&self, id: i64, model: &Model, revision: i64) {
        let due = expected(model, self).filter(|change| change.revision <= revision).count();
        assert_eq!(self.events.len(), due, "progress {revision} told before the events of watch {id}");
        assert!(!self.unfinished, "progress between two parts of a response of watch {id}");
    }

    /// A response is split only for who asked for it, and says that its rest comes; nobody else gets half a revision.
    fn is_whole(&mut self, response: &WatchResponse) {
        let first = response.events[0].kv.as_ref().unwrap().mod_revision;
        let begun = self.events.last().map_or(0, |event| event.revision);
        assert!(begun < first || (begun == first && self.unfinished), "revision {first} in two responses");
        assert!(!response.fragment || self.request.fragment, "a part for who wants the whole");
        let size = |kv: &KeyValue| kv.key.len() + kv.value.len();
        let bytes: usize = response
            .events
            .iter()
            .map(|event| event.kv.as_ref().map_or(0, size) + event.prev_kv.as_ref().map_or(0, size))
            .sum();
        if self.request.fragment && response.events.len() > 1 {
            assert!(bytes <= LIMITS.fragment, "a part of {bytes} bytes");
        }
        self.unfinished = response.fragment;
    }
}

/// Hash over all that can be read now.
fn hash(state: &mut State) -> u32 {
    let mut hash = state.begin_hash(0).unwrap();
    let (_, mut cursor) = state.begin_image();
    while let Some(records) = state.image_records(&mut cursor, 2) {
        hash.update(&records);
    }
    state.end_image();
    hash.finish()
}

fn expected<'a>(model: &'a Model, told: &'a Told) -> impl Iterator<Item = &'a Changed> {
    let request = &told.request;
    model.changes.iter().filter(move |change| {
        let filtered = request.filters.contains(&i32::from(change.kv.is_none()));
        change.revision >= told.start && in_range(&change.key, &request.key, &request.range_end) && !filtered
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(ProptestConfig::default().cases.max(1500)))]

    #[test]
    fn does_what_the_model_does(actions in vec(action(), 1..80)) {
        let mut rig = Rig::new();
        for action in actions {
            rig.act(action);
        }
        rig.finish();
    }
}
