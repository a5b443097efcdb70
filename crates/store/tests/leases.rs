//! Leases against a plain model, over random histories with a clock that the test moves: each ends at its time and takes its
//! keys along, never before, whatever is renewed, revoked, restarted or too busy in between.
#![allow(clippy::unwrap_used, reason = "a test")]

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use proptest::collection::vec;
use proptest::prelude::*;
use store::mvcc::{Command, Op, Record, Reply, State};
use store::proto::{DeleteRangeRequest, LeaseGrantRequest, LeaseRevokeRequest, PutRequest};
use store::{EtcdError, LeaseClock};

/// etcd's shortest lease, in seconds.
const SHORTEST: i64 = 2;

#[derive(Clone, Debug)]
enum Action {
    Grant(i64, i64),
    Revoke(i64),
    KeepAlive(i64),
    Put(u8, i64),
    Delete(u8),
    /// Milliseconds pass.
    Pass(u64),
    /// The store looks at its leases.
    Look,
    /// It looks, and cannot take what is to be done.
    LookWhenBusy,
    Restart,
}

fn action() -> impl Strategy<Value = Action> {
    let id = 1..5i64;
    prop_oneof![
        4 => (id.clone(), 0..6i64).prop_map(|(id, ttl)| Action::Grant(id, ttl)),
        1 => id.clone().prop_map(Action::Revoke),
        4 => id.clone().prop_map(Action::KeepAlive),
        4 => (0..4u8, 0..5i64).prop_map(|(key, lease)| Action::Put(key, lease)),
        1 => (0..4u8).prop_map(Action::Delete),
        8 => prop_oneof![Just(1000), Just(1), 0..3000u64].prop_map(Action::Pass),
        8 => Just(Action::Look),
        1 => Just(Action::LookWhenBusy),
        1 => Just(Action::Restart),
    ]
}

#[derive(Debug)]
struct Lease {
    ttl: i64,
    /// Its time is up then.
    until: u64,
    /// Its time was up and it was told so, but is still there; told again then.
    again: Option<u64>,
}

#[derive(Default)]
struct Model {
    leases: BTreeMap<i64, Lease>,
    keys: BTreeMap<u8, i64>,
}

impl Model {
    fn end(&mut self, id: i64) {
        self.leases.remove(&id);
        self.keys.retain(|_, lease| *lease != id);
    }

    /// Whose turn it is to be ended.
    fn due(&self, now: u64) -> BTreeSet<i64> {
        let due = |lease: &Lease| lease.again.unwrap_or(lease.until) <= now;
        self.leases.iter().filter(|(_, lease)| due(lease)).map(|(id, _)| *id).collect()
    }
}

fn key(number: u8) -> Bytes {
    vec![b'k', number].into()
}

#[derive(Default)]
struct Rig {
    state: State,
    clock: LeaseClock,
    now: u64,
    model: Model,
}

impl Rig {
    /// As the log's thread does.
    fn apply(&mut self, op: Op) -> Result<Reply, EtcdError> {
        let revoked = match &op {
            Op::LeaseRevoke(revoke) => Some(revoke.id),
            _ => None,
        };
        let answer = self.state.apply(Command::from(op), &mut Vec::new());
        self.clock.applied(&answer, revoked, self.now);
        answer
    }

    fn act(&mut self, action: &Action) {
        let now = self.now;
        match *action {
            Action::Grant(id, ttl) => {
                let granted = self.apply(Op::LeaseGrant(LeaseGrantRequest { id, ttl })).is_ok();
                assert_eq!(granted, !self.model.leases.contains_key(&id));
                let ttl = ttl.max(SHORTEST);
                let until = now + ttl.unsigned_abs() * 1000;
                self.model.leases.entry(id).or_insert(Lease { ttl, until, again: None });
            }
            Action::Revoke(id) => {
                let revoked = self.apply(Op::LeaseRevoke(LeaseRevokeRequest { id })).is_ok();
                assert_eq!(revoked, self.model.leases.contains_key(&id));
                self.model.end(id);
            }
            Action::KeepAlive(id) => {
                let lease = self.model.leases.get_mut(&id).filter(|l| l.until > now && l.again.is_none());
                assert_eq!(self.clock.renew(id, now), lease.as_ref().map(|lease| lease.ttl), "lease {id}");
                if let Some(lease) = lease {
                    lease.until = now + lease.ttl.unsigned_abs() * 1000;
                }
            }
            Action::Put(number, lease) => {
                let put = PutRequest { key: key(number), lease, ..PutRequest::default() };
                let done = self.apply(Op::Put(put)).is_ok();
                assert_eq!(done, lease == 0 || self.model.leases.contains_key(&lease));
                if done {
                    self.model.keys.insert(number, lease);
                }
            }
            Action::Delete(number) => {
                let delete = DeleteRangeRequest { key: key(number), ..DeleteRangeRequest::default() };
                self.apply(Op::DeleteRange(delete)).unwrap();
                self.model.keys.remove(&number);
            }
            Action::Pass(millis) => self.now += millis,
            Action::Look => {
                let expired = self.clock.expired(now);
                assert_eq!(expired.iter().copied().collect::<BTreeSet<_>>(), self.model.due(now));
                for id in expired {
                    self.apply(Op::LeaseRevoke(LeaseRevokeRequest { id })).unwrap();
                    self.model.end(id);
                }
            }
            Action::LookWhenBusy => {
                for id in self.clock.expired(now) {
                    self.clock.retry(id, now);
                    self.model.leases.get_mut(&id).unwrap().again = Some(now + 1000);
                }
                assert_eq!(self.model.due(now), BTreeSet::new());
            }
            Action::Restart => self.restart(),
        }
    }

    /// Only the state survives; the clock begins anew, and every lease with its whole time.
    fn restart(&mut self) {
        let (image, mut cursor) = self.state.begin_image();
        let mut records: Vec<Record> = Vec::new();
        while let Some(part) = self.state.image_records(&mut cursor, 2) {
            records.extend(part.iter().map(|record| Record::clone(record)));
        }
        self.state = State::restore(&image, records).unwrap();
        self.now = 0;
        self.clock = LeaseClock::start(self.state.leases(), 0);
        for lease in self.model.leases.values_mut() {
            *lease = Lease { ttl: lease.ttl, until: lease.ttl.unsigned_abs() * 1000, again: None };
        }
    }

    fn check(&self) {
        let expected: Vec<(i64, i64)> =
            self.model.leases.iter().map(|(id, lease)| (*id, lease.ttl)).collect();
        assert_eq!(self.state.leases().collect::<Vec<_>>(), expected);
        for id in 0..5 {
            let left = self.model.leases.get(&id).map(|lease| match lease.again {
                Some(_) => 0,
                None => i64::try_from(lease.until.saturating_sub(self.now) / 1000).unwrap(),
            });
            assert_eq!(self.clock.remaining(id, self.now), left, "lease {id} at {}", self.now);
            let held = self.model.keys.iter().filter(|(_, lease)| **lease == id && id != 0);
            let held: Vec<Bytes> = held.map(|(number, _)| key(*number)).collect();
            assert_eq!(self.state.lease_keys(id), held, "keys of lease {id}");
        }
        let live = self.state.live_keys();
        assert_eq!(live, self.model.keys.len(), "an ended lease takes its keys along, and no others");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(ProptestConfig::default().cases.max(1500)))]

    #[test]
    fn leases_end_at_their_time_and_not_before(actions in vec(action(), 1..80)) {
        let mut rig = Rig::default();
        for action in &actions {
            rig.act(action);
            rig.check();
        }
    }
}
