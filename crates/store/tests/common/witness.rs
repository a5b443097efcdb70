//! A client that remembers what it was told, to hold a recovered store to it.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use store::proto::{
    CompactionRequest, DeleteRangeRequest, LeaseGrantRequest, LeaseRevokeRequest, PutRequest, RangeRequest,
};
use store::{EtcdError, Store};

/// What one revision does: keys with their new values, or `None` for those deleted.
type Effect = BTreeMap<Bytes, Option<Bytes>>;
/// Keys with value, lease and the revision that wrote them.
type Contents = BTreeMap<Bytes, (Bytes, i64, i64)>;

/// What a client does next.
#[derive(Clone, Debug)]
pub(crate) enum Act {
    /// Puts, all at once, each of another key; the second number is a lease or 0.
    Puts(Vec<(u8, i64)>),
    Delete(u8),
    Grant(i64),
    Revoke(i64),
    /// Forgets history but for the last revisions.
    Compact(i64),
    /// Writes a snapshot and drops the log before it.
    Snapshot,
}

/// Why the client went no further.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Stop {
    /// The store says it stopped.
    Failed(EtcdError),
}

#[derive(Default)]
pub(crate) struct Witness {
    /// Effects that were acknowledged, or seen after a restart.
    known: BTreeMap<i64, Effect>,
    /// Effects that were asked for, but not answered.
    maybe: Vec<Effect>,
    leases: BTreeSet<i64>,
    maybe_leases: BTreeSet<i64>,
    revoked: BTreeSet<i64>,
    compacted: Option<i64>,
    values: u64,
    pub(crate) acknowledged: usize,
    pub(crate) refused: usize,
}

fn key(number: u8) -> Bytes {
    vec![b'k', b'0' + number].into()
}

impl Witness {
    /// Does one act and remembers the answer.
    pub(crate) async fn act(&mut self, store: &Store, act: &Act) -> Result<(), Stop> {
        match act {
            Act::Puts(puts) => self.puts(store, puts).await,
            Act::Delete(number) => {
                let before = self.contents_now();
                let effect = before.contains_key(&key(*number)).then(|| (key(*number), None));
                let request = DeleteRangeRequest { key: key(*number), ..DeleteRangeRequest::default() };
                let answer = store.delete_range(request).await.map(|done| done.header.unwrap().revision);
                self.note(answer, effect.into_iter().collect())
            }
            Act::Grant(id) => match store.lease_grant(LeaseGrantRequest { ttl: 3600, id: *id }).await {
                Ok(_) => {
                    self.leases.insert(*id);
                    Ok(())
                }
                Err(EtcdError::LeaseExists | EtcdError::NoSpace) => Ok(()),
                Err(error) => {
                    self.maybe_leases.insert(*id);
                    Err(Stop::Failed(error))
                }
            },
            Act::Revoke(id) => self.revoke(store, *id).await,
            Act::Compact(kept) => {
                let revision = store.revision() - kept;
                match store.compact(CompactionRequest { revision, physical: false }).await {
                    Ok(_) => self.compacted = self.compacted.max(Some(revision)),
                    Err(EtcdError::Compacted | EtcdError::FutureRevision) => {}
                    Err(error) => return Err(Stop::Failed(error)),
                }
                Ok(())
            }
            // A snapshot may fail for want of space and the store go on.
            Act::Snapshot => match store.defragment().await {
                Err(error @ EtcdError::Stopped) => Err(Stop::Failed(error)),
                _ => Ok(()),
            },
        }
    }

    async fn puts(&mut self, store: &Store, puts: &[(u8, i64)]) -> Result<(), Stop> {
        let mut waiting = Vec::new();
        for (number, lease) in puts {
            self.values += 1;
            let value =
                Bytes::from(format!("{} {}", self.values, "x".repeat(self.values as usize * 37 % 900)));
            let lease = if self.leases.contains(lease) { *lease } else { 0 };
            let put = PutRequest { key: key(*number), value: value.clone(), lease, ..PutRequest::default() };
            let effect = Effect::from([(key(*number), Some(value))]);
            waiting.push(
                async move { (store.put(put).await.map(|done| done.header.unwrap().revision), effect) },
            );
        }
        let mut outcome = Ok(());
        for (answer, effect) in futures::future::join_all(waiting).await {
            outcome = outcome.and(self.note(answer, effect));
        }
        outcome
    }

    async fn revoke(&mut self, store: &Store, id: i64) -> Result<(), Stop> {
        let now = read(store, 0).map_err(Stop::Failed)?;
        let held =
            now.into_iter().filter(|(_, (_, lease, _))| *lease == id).map(|(key, _)| (key, None)).collect();
        match store.lease_revoke(LeaseRevokeRequest { id }).await {
            Ok(done) => {
                self.leases.remove(&id);
                self.revoked.insert(id);
                self.note(Ok(done.header.unwrap().revision), held)
            }
            Err(EtcdError::LeaseNotFound) => Ok(()),
            Err(error) => {
                if self.leases.remove(&id) {
                    self.maybe_leases.insert(id);
                }
                self.note(Err(error), held)
            }
        }
    }

    fn note(&mut self, answer: Result<i64, EtcdError>, effect: Effect) -> Result<(), Stop> {
        match answer {
            Ok(revision) if !effect.is_empty() => {
                let before = self.known.insert(revision, effect);
                assert_eq!(before, None, "revision {revision} was used twice");
                self.acknowledged += 1;
                Ok(())
            }
            Ok(_) => Ok(()),
            // A clear refusal: it must not show up later.
            Err(EtcdError::NoSpace | EtcdError::TooManyRequests) => {
                self.refused += 1;
                Ok(())
            }
            Err(error) => {
                self.maybe.push(effect);
                Err(Stop::Failed(error))
            }
        }
    }

    /// Holds the store to everything that was acknowledged, and takes over what it has beyond that.
    pub(crate) fn check(&mut self, store: &Store) {
        let (revision, compacted) = (store.revision(), store.status().compact_revision);
        let last = self.known.last_key_value().map_or(1, |(last, _)| *last);
        assert!(revision >= last, "revision {last} was acknowledged, the store is at {revision}");
        assert!(Some(compacted) >= self.compacted, "compaction at {:?} was acknowledged", self.compacted);
        let first = compacted.max(1);
        let mut before = contents_at(&self.known, first);
        let found = if first > 1 { values(&contents(store, first)) } else { BTreeMap::new() };
        assert_eq!(found, before, "at revision {first}");
        for revision in first + 1..=revision {
            let now = values(&contents(store, revision));
            let effect = difference(&before, &now);
            match self.known.get(&revision) {
                Some(known) => assert_eq!(&effect, known, "at revision {revision}"),
                None => {
                    let asked = self.maybe.iter().position(|maybe| *maybe == effect);
                    let asked =
                        asked.unwrap_or_else(|| panic!("nobody asked for revision {revision}: {effect:?}"));
                    self.maybe.remove(asked);
                    self.known.insert(revision, effect);
                }
            }
            before = now;
        }
        for (key, (_, _, written)) in contents(store, 0) {
            let known =
                self.known.iter().rev().find(|(_, effect)| effect.contains_key(&key)).map(|(at, _)| *at);
            assert_eq!(Some(written), known, "revision of {key:?}");
        }
        self.compacted = Some(compacted);
        self.maybe.clear();
        self.check_leases(store);
    }

    /// What came after this revision was lost, and that is known: leases and compactions of then may be gone too. Tells how
    /// many acknowledged effects are lost.
    pub(crate) fn lost_after(&mut self, revision: i64) -> usize {
        self.maybe_leases.extend(std::mem::take(&mut self.leases));
        self.maybe_leases.extend(std::mem::take(&mut self.revoked));
        self.compacted = None;
        self.known.split_off(&(revision + 1)).len()
    }

    fn check_leases(&mut self, store: &Store) {
        let found: BTreeSet<i64> = store.leases().into_iter().collect();
        let maybe = std::mem::take(&mut self.maybe_leases);
        for id in &self.leases {
            assert!(found.contains(id), "lease {id} was granted and is gone");
        }
        for id in &found {
            assert!(self.leases.contains(id) || maybe.contains(id), "lease {id} is back from nowhere");
        }
        self.leases = found;
    }

    fn contents_now(&self) -> BTreeMap<Bytes, Bytes> {
        contents_at(&self.known, i64::MAX)
    }
}

fn contents_at(known: &BTreeMap<i64, Effect>, revision: i64) -> BTreeMap<Bytes, Bytes> {
    let mut contents = BTreeMap::new();
    for effect in known.range(..=revision).map(|(_, effect)| effect) {
        for (key, value) in effect {
            match value {
                Some(value) => contents.insert(key.clone(), value.clone()),
                None => contents.remove(key),
            };
        }
    }
    contents
}

fn contents(store: &Store, revision: i64) -> Contents {
    read(store, revision).unwrap_or_else(|error| panic!("reading at {revision}: {error}"))
}

fn read(store: &Store, revision: i64) -> Result<Contents, EtcdError> {
    let everything =
        RangeRequest { key: vec![0].into(), range_end: vec![0].into(), revision, ..RangeRequest::default() };
    let found = store.range(&everything)?;
    Ok(found.kvs.into_iter().map(|kv| (kv.key, (kv.value, kv.lease, kv.mod_revision))).collect())
}

fn values(contents: &Contents) -> BTreeMap<Bytes, Bytes> {
    contents.iter().map(|(key, (value, _, _))| (key.clone(), value.clone())).collect()
}

fn difference(before: &BTreeMap<Bytes, Bytes>, now: &BTreeMap<Bytes, Bytes>) -> Effect {
    let gone = before.keys().filter(|key| !now.contains_key(*key)).map(|key| (key.clone(), None));
    let new = now.iter().filter(|(key, value)| before.get(*key) != Some(value));
    gone.chain(new.map(|(key, value)| (key.clone(), Some(value.clone())))).collect()
}
