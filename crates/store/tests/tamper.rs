//! What happens to the files happens to be noticed: each kind of damage under its own name.
#![allow(clippy::unwrap_used, reason = "a test")]

use std::fs;
use std::path::{Path, PathBuf};

use store::proto::{CompactionRequest, DeleteRangeRequest, LeaseGrantRequest, PutRequest, RangeRequest};
use store::{Config, Store, StoreError};
use tee::SealingKey;

const HEADER: usize = 168;
const FRAME_OVERHEAD: usize = 44;

struct Rig {
    home: tempfile::TempDir,
    anchored: bool,
}

impl Rig {
    fn new(anchored: bool) -> Self {
        Self { home: tempfile::tempdir().unwrap(), anchored }
    }

    fn data(&self) -> PathBuf {
        self.home.path().join("data")
    }

    fn config(&self) -> Config {
        let mut config = Config::new(self.data(), SealingKey::from_bytes([7; 32]));
        config.segment_bytes = 2_000;
        if self.anchored { config.with_anchor_file(self.home.path().join("anchor")) } else { config }
    }

    /// Runs `work` on the store and closes it.
    fn run(&self, work: impl AsyncFnOnce(&Store)) {
        let store = Store::open(self.config()).unwrap();
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(work(&store));
        store.close();
    }

    /// Puts that each end in a record of their own.
    fn put(&self, keys: std::ops::Range<u32>) {
        self.run(async |store| {
            for key in keys {
                put(store, key).await;
            }
        });
    }

    fn open(&self) -> Result<Store, StoreError> {
        Store::open(self.config())
    }

    fn files(&self, extension: &str) -> Vec<PathBuf> {
        let mut files: Vec<PathBuf> = fs::read_dir(self.data())
            .unwrap()
            .map(|entry| entry.unwrap().path())
            .filter(|path| path.extension().is_some_and(|found| found == extension))
            .collect();
        files.sort();
        files
    }

    /// Files of the log that hold records, oldest first.
    fn logs(&self) -> Vec<PathBuf> {
        let used = |path: &PathBuf| fs::metadata(path).unwrap().len() > HEADER as u64;
        self.files("log").into_iter().filter(used).collect()
    }
}

async fn put(store: &Store, key: u32) {
    let value = vec![b'x'; 100];
    store
        .put(PutRequest { key: key.to_string().into(), value: value.into(), ..PutRequest::default() })
        .await
        .unwrap();
}

fn keys(store: &Store) -> usize {
    let all = RangeRequest { key: vec![0].into(), range_end: vec![0].into(), ..RangeRequest::default() };
    store.range(&all).unwrap().kvs.len()
}

/// Where the records of a segment begin, and where the last one ends.
fn frames(bytes: &[u8]) -> Vec<usize> {
    let mut offsets = vec![HEADER];
    let mut offset = HEADER;
    while offset + FRAME_OVERHEAD <= bytes.len() {
        let length = u32::from_le_bytes(bytes[offset..offset + 4].try_into().unwrap()) as usize;
        if length == 0 {
            break;
        }
        offset += FRAME_OVERHEAD + length;
        offsets.push(offset);
    }
    offsets
}

fn edit(path: &Path, edit: impl FnOnce(&mut Vec<u8>)) {
    let mut bytes = fs::read(path).unwrap();
    edit(&mut bytes);
    fs::write(path, bytes).unwrap();
}

#[test]
fn every_changed_byte_is_noticed() {
    let rig = Rig::new(true);
    rig.put(0..6);
    let path = rig.logs()[0].clone();
    let good = fs::read(&path).unwrap();
    let records = frames(&good);
    assert_eq!(records.len(), 7, "one record per put");
    for offset in 0..good.len() {
        edit(&path, |bytes| bytes[offset] ^= 0x40);
        let error = rig.open().expect_err("a changed byte was not noticed");
        match error {
            StoreError::Tampered { segment: 1, offset: found } => {
                let begin = records.iter().rev().find(|begin| **begin <= offset).copied().unwrap_or(0);
                assert!(offset < HEADER || found == begin as u64, "byte {offset}: told {found}, not {begin}");
            }
            error => panic!("byte {offset}: {error:?}"),
        }
        fs::write(&path, &good).unwrap();
    }
    assert_eq!(keys(&rig.open().unwrap()), 6);
}

#[test]
fn a_changed_record_in_the_middle_is_noticed_without_anchor_too() {
    let rig = Rig::new(false);
    rig.put(0..6);
    let path = rig.logs()[0].clone();
    let good = fs::read(&path).unwrap();
    let records = frames(&good);
    for offset in records[2]..records[3] {
        edit(&path, |bytes| bytes[offset] ^= 1);
        assert!(
            matches!(rig.open(), Err(StoreError::Tampered { segment: 1, offset: found }) if found == records[2] as u64),
            "byte {offset}"
        );
        fs::write(&path, &good).unwrap();
    }
}

#[test]
fn records_that_changed_places_are_noticed() {
    let rig = Rig::new(false);
    rig.put(0..6);
    let path = rig.logs()[0].clone();
    edit(&path, |bytes| {
        let at = frames(bytes);
        let (second, third) = (bytes[at[1]..at[2]].to_vec(), bytes[at[2]..at[3]].to_vec());
        bytes.splice(at[1]..at[3], [third, second].concat());
    });
    let error = rig.open().expect_err("swapped records");
    assert!(matches!(error, StoreError::Reordered { segment: 1, expected: 2, found: 3, .. }), "{error:?}");
}

#[test]
fn a_repeated_record_is_noticed() {
    let rig = Rig::new(false);
    rig.put(0..6);
    edit(&rig.logs()[0], |bytes| {
        let at = frames(bytes);
        let second = bytes[at[1]..at[2]].to_vec();
        bytes.splice(at[2]..at[2], second);
    });
    let error = rig.open().expect_err("a repeated record");
    assert!(matches!(error, StoreError::Reordered { segment: 1, expected: 3, found: 2, .. }), "{error:?}");
}

#[test]
fn a_record_cut_out_of_the_middle_is_noticed() {
    let rig = Rig::new(false);
    rig.put(0..6);
    edit(&rig.logs()[0], |bytes| {
        let at = frames(bytes);
        bytes.drain(at[1]..at[3]);
    });
    let error = rig.open().expect_err("a gap");
    assert!(matches!(error, StoreError::Gap { segment: 1, expected: 2, found: 4, .. }), "{error:?}");
}

#[test]
fn an_older_segment_that_ends_early_is_noticed() {
    let rig = Rig::new(false);
    rig.put(0..40);
    assert!(rig.logs().len() > 2);
    edit(&rig.logs()[0], |bytes| {
        let at = frames(bytes);
        bytes.truncate(at[3]);
    });
    let error = rig.open().expect_err("truncated in the middle");
    assert!(matches!(error, StoreError::TruncatedMiddle { segment: 1, have: 3, .. }), "{error:?}");
}

#[test]
fn a_missing_segment_is_noticed() {
    let rig = Rig::new(false);
    rig.put(0..40);
    fs::remove_file(&rig.logs()[1]).unwrap();
    let error = rig.open().expect_err("a segment is missing");
    assert!(matches!(error, StoreError::MissingSegment { segment: 3, .. }), "{error:?}");
}

#[test]
fn segments_that_changed_names_are_noticed() {
    let rig = Rig::new(false);
    rig.put(0..40);
    let logs = rig.logs();
    let (first, second) = (fs::read(&logs[0]).unwrap(), fs::read(&logs[1]).unwrap());
    fs::write(&logs[0], second).unwrap();
    fs::write(&logs[1], first).unwrap();
    let error = rig.open().expect_err("swapped segments");
    assert!(matches!(error, StoreError::Tampered { segment: 1, offset: 0 }), "{error:?}");
}

#[test]
fn a_torn_tail_is_cut_and_everything_before_it_stays() {
    let rig = Rig::new(false);
    rig.put(0..6);
    let path = rig.logs()[0].clone();
    let good = fs::read(&path).unwrap();
    let at = frames(&good);
    let segments = rig.files("log");
    for end in at[5] + 1..at[6] {
        for (kind, tail) in [("short", 0), ("with reserved space behind", 500)] {
            for segment in rig.files("log").iter().filter(|path| !segments.contains(path)) {
                fs::remove_file(segment).unwrap();
            }
            let mut torn = good[..end].to_vec();
            torn.resize(end + tail, 0);
            fs::write(&path, torn).unwrap();
            let store = rig.open().unwrap_or_else(|error| panic!("cut at {end}, {kind}: {error:?}"));
            assert_eq!(keys(&store), 5, "cut at {end}, {kind}");
            store.close();
        }
    }
    rig.put(6..8);
    assert_eq!(keys(&rig.open().unwrap()), 7, "what came after the cut continues");
}

#[test]
fn an_older_copy_of_the_directory_is_refused() {
    let rig = Rig::new(true);
    rig.put(0..6);
    let copy = rig.home.path().join("copy");
    copy_directory(&rig.data(), &copy);
    rig.put(6..9);
    fs::remove_dir_all(rig.data()).unwrap();
    copy_directory(&copy, &rig.data());
    let error = rig.open().expect_err("an older copy");
    assert!(matches!(error, StoreError::RolledBack { have: 6, anchored: 9 }), "{error:?}");

    fs::remove_dir_all(rig.data()).unwrap();
    let error = rig.open().expect_err("an empty directory");
    assert!(matches!(error, StoreError::RolledBack { have: 0, anchored: 9 }), "{error:?}");
}

#[test]
fn whole_records_cut_off_the_end_are_an_older_copy() {
    let rig = Rig::new(true);
    rig.put(0..6);
    edit(&rig.logs()[0], |bytes| {
        let at = frames(bytes);
        bytes.truncate(at[4]);
    });
    let error = rig.open().expect_err("cut off");
    assert!(matches!(error, StoreError::RolledBack { have: 4, anchored: 6 }), "{error:?}");
}

#[test]
fn another_history_of_the_same_length_is_refused() {
    let rig = Rig::new(true);
    rig.put(0..3);
    let copy = rig.home.path().join("copy");
    copy_directory(&rig.data(), &copy);
    let old_anchor = fs::read(rig.home.path().join("anchor")).unwrap();
    rig.put(3..6);
    let new_anchor = fs::read(rig.home.path().join("anchor")).unwrap();
    // The copy goes on elsewhere, under the same key.
    fs::remove_dir_all(rig.data()).unwrap();
    copy_directory(&copy, &rig.data());
    fs::write(rig.home.path().join("anchor"), old_anchor).unwrap();
    rig.put(100..104);
    fs::write(rig.home.path().join("anchor"), new_anchor).unwrap();
    let error = rig.open().expect_err("a fork");
    assert!(matches!(error, StoreError::Forked { anchored: 6 }), "{error:?}");
}

#[test]
fn an_anchored_store_does_not_open_when_its_anchor_is_gone() {
    let rig = Rig::new(true);
    rig.put(0..3);
    fs::remove_file(rig.home.path().join("anchor")).unwrap();
    assert!(matches!(rig.open(), Err(StoreError::AnchorMissing)));
}

#[test]
fn another_key_is_told_from_damage() {
    let rig = Rig::new(false);
    rig.put(0..3);
    let mut config = rig.config();
    config.key = SealingKey::from_bytes([8; 32]);
    let error = Store::open(config).expect_err("another key");
    assert!(matches!(error, StoreError::WrongKey(_)), "{error:?}");
}

#[test]
fn a_second_process_is_kept_out() {
    let rig = Rig::new(false);
    let store = rig.open().unwrap();
    let error = rig.open().expect_err("opened twice");
    assert!(matches!(error, StoreError::Locked(_)), "{error:?}");
    store.close();
    rig.open().unwrap();
}

#[test]
fn a_segment_of_another_store_is_refused() {
    let (rig, other) = (Rig::new(false), Rig::new(false));
    rig.put(0..3);
    rig.put(3..6);
    other.put(0..3);
    fs::copy(&other.logs()[0], &rig.logs()[0]).unwrap();
    let error = rig.open().expect_err("a foreign segment");
    assert!(matches!(&error, StoreError::Foreign(path) if *path == rig.logs()[1]), "{error:?}");
}

#[test]
fn snapshots_bound_the_log_and_are_noticed_when_changed() {
    let rig = Rig::new(true);
    rig.run(async |store| {
        store.lease_grant(LeaseGrantRequest { ttl: 1000, id: 5 }).await.unwrap();
        store.put(PutRequest { key: "leased".into(), lease: 5, ..PutRequest::default() }).await.unwrap();
        for key in 0..50 {
            put(store, key).await;
        }
        let delete = DeleteRangeRequest { key: "7".into(), ..DeleteRangeRequest::default() };
        store.delete_range(delete).await.unwrap();
        store.compact(CompactionRequest { revision: 20, physical: true }).await.unwrap();
        store.defragment().await.unwrap();
        put(store, 50).await;
    });
    let (logs, snapshots) = (rig.logs(), rig.files("snap"));
    assert_eq!((logs.len(), snapshots.len()), (1, 1), "the snapshot covers the rest");
    let hash = {
        let store = rig.open().unwrap();
        assert_eq!(keys(&store), 51);
        assert_eq!((store.leases(), store.status().compact_revision), (vec![5], 20));
        let hash = store.hash_kv(0).unwrap();
        store.close();
        hash
    };
    assert_eq!(rig.open().unwrap().hash_kv(0).unwrap(), hash);

    let path = &snapshots[0];
    let good = fs::read(path).unwrap();
    for offset in (0..good.len()).step_by(97).chain([good.len() - 1]) {
        edit(path, |bytes| bytes[offset] ^= 1);
        let error = rig.open().expect_err("a changed snapshot");
        assert!(
            matches!(error, StoreError::SnapshotTampered { .. } | StoreError::WrongKey(_)),
            "byte {offset}: {error:?}"
        );
        fs::write(path, &good).unwrap();
    }
    edit(path, |bytes| bytes.truncate(good.len() - 1));
    assert!(matches!(rig.open(), Err(StoreError::SnapshotTampered { .. })));
    fs::remove_file(path).unwrap();
    assert!(matches!(rig.open(), Err(StoreError::MissingSegment { have: 0, .. })));
}

#[test]
fn nothing_readable_is_on_disk() {
    let rig = Rig::new(true);
    let needle = b"correct horse battery staple";
    rig.run(async |store| {
        let key = [b"/registry/secrets/", needle.as_slice()].concat();
        store
            .put(PutRequest { key: key.into(), value: needle.as_slice().into(), ..PutRequest::default() })
            .await
            .unwrap();
        store.defragment().await.unwrap();
        store
            .put(PutRequest { key: "k".into(), value: needle.as_slice().into(), ..PutRequest::default() })
            .await
            .unwrap();
    });
    let files: Vec<PathBuf> = rig.files("log").into_iter().chain(rig.files("snap")).collect();
    assert!(files.len() >= 2);
    for file in files {
        let bytes = fs::read(&file).unwrap();
        for word in [&needle[..7], b"/registry"] {
            assert!(!bytes.windows(word.len()).any(|window| window == word), "{}", file.display());
        }
    }
}

fn copy_directory(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let path = entry.unwrap().path();
        fs::copy(&path, to.join(path.file_name().unwrap())).unwrap();
    }
}
