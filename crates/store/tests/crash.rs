//! kill -9 at random moments: nothing that was acknowledged is lost, no revision is used twice.
#![allow(clippy::unwrap_used, clippy::print_stderr, reason = "a test")]

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use store::proto::{CompactionRequest, PutRequest, RangeRequest};
use store::{Config, EtcdError, Store};
use tee::SealingKey;

const KILLS: u32 = 10;
const WRITERS: u32 = 8;
/// Keys of each writer, written in turn.
const SLOTS: u64 = 5;
const HOME: &str = "STORE_CRASH_TEST_HOME";

/// Small files, so that kills hit segments being begun and snapshots being written.
fn config(home: &Path) -> Config {
    let mut config = Config::new(home.join("data"), SealingKey::from_bytes([7; 32]));
    config.segment_bytes = 30_000;
    config.snapshot_log_bytes = 60_000;
    config.with_anchor_file(home.join("anchor"))
}

fn key(writer: u32, number: u64) -> Vec<u8> {
    format!("{writer}/{}", number % SLOTS).into_bytes()
}

/// The process that is killed. Not a test of its own.
#[test]
#[ignore = "run by survives_kill_9 as a child process"]
fn writer_process() {
    let Some(home) = std::env::var_os(HOME) else { return };
    let store = Store::open(config(Path::new(&home))).unwrap();
    let first = u64::try_from(store.revision()).unwrap();
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).build().unwrap();
    runtime.block_on(async {
        let writers = (0..WRITERS).map(|writer| {
            let store = store.clone();
            tokio::spawn(async move {
                // Numbers go up over all lives, for revisions do.
                for number in first.. {
                    let value = format!("{number} {}", "x".repeat(usize::from(number as u8)));
                    let put = PutRequest {
                        key: key(writer, number).into(),
                        value: value.into(),
                        ..PutRequest::default()
                    };
                    let revision = store.put(put).await.unwrap().header.unwrap().revision;
                    // One write call, so that a line is there whole or not at all.
                    let line = format!("ack {writer} {number} {revision}\n");
                    std::io::stdout().write_all(line.as_bytes()).unwrap();
                    if writer == 0 && number.is_multiple_of(64) {
                        let compact = CompactionRequest { revision: revision - 40, physical: false };
                        let _refused = store.compact(compact).await;
                    }
                }
            })
        });
        for writer in writers.collect::<Vec<_>>() {
            writer.await.unwrap();
        }
    });
}

#[derive(Clone, Copy, Debug, PartialEq)]
struct Ack {
    writer: u32,
    number: u64,
    revision: i64,
}

#[test]
fn survives_kill_9() {
    let home = tempfile::tempdir().unwrap();
    let mut acknowledged: BTreeMap<i64, Ack> = BTreeMap::new();
    // A different moment each time, spread over the phases of a life.
    for round in 0..KILLS {
        let before = acknowledged.len();
        for ack in live_and_die(home.path(), Duration::from_millis(u64::from(30 + 67 * round % 400))) {
            let earlier = acknowledged.insert(ack.revision, ack);
            assert_eq!(earlier, None, "round {round}: revision used twice, now for {ack:?}");
        }
        let store =
            Store::open(config(home.path())).unwrap_or_else(|error| panic!("round {round}: {error:?}"));
        check(&store, &acknowledged, round);
        store.close();
        eprintln!("round {round}: {} acknowledged", acknowledged.len() - before);
    }
    assert!(acknowledged.len() > 100, "only {} writes: the test tests nothing", acknowledged.len());
}

/// Lets the writer process run for a while, kills it, and returns what it was told is durable.
fn live_and_die(home: &Path, life: Duration) -> Vec<Ack> {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "writer_process", "--ignored", "--nocapture", "--test-threads=1"])
        .env(HOME, home)
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let output = child.stdout.take().unwrap();
    let (sender, first) = std::sync::mpsc::channel();
    let reader = std::thread::spawn(move || {
        let mut acks = Vec::new();
        for line in BufReader::new(output).lines() {
            let Some(ack) = line.ok().as_deref().and_then(parse) else { continue };
            acks.push(ack);
            let _late = sender.send(());
        }
        acks
    });
    // The clock starts with the first write, however slow the machine is.
    first.recv_timeout(Duration::from_secs(30)).expect("the writer writes");
    let until = Instant::now() + life;
    while Instant::now() < until {
        let _tick = first.recv_timeout(until.saturating_duration_since(Instant::now()));
    }
    child.kill().unwrap();
    child.wait().unwrap();
    reader.join().unwrap()
}

fn parse(line: &str) -> Option<Ack> {
    let mut words = line.strip_prefix("ack ")?.split(' ');
    let ack = Ack {
        writer: words.next()?.parse().ok()?,
        number: words.next()?.parse().ok()?,
        revision: words.next()?.parse().ok()?,
    };
    words.next().is_none().then_some(ack)
}

fn check(store: &Store, acknowledged: &BTreeMap<i64, Ack>, round: u32) {
    for ack in acknowledged.values() {
        let at = |revision| {
            let range =
                RangeRequest { key: key(ack.writer, ack.number).into(), revision, ..RangeRequest::default() };
            store.range(&range).map(|response| {
                let kv = response.kvs.into_iter().next();
                kv.map(|kv| (number(&kv.value), kv.mod_revision))
            })
        };
        let now = at(0).unwrap();
        let alive = now.is_some_and(|(number, revision)| number >= ack.number && revision >= ack.revision);
        assert!(alive, "round {round}: {ack:?} was acknowledged, but now there is {now:?}");
        match at(ack.revision) {
            Ok(then) => assert_eq!(then, Some((ack.number, ack.revision)), "round {round}: {ack:?}"),
            Err(error) => assert_eq!(error, EtcdError::Compacted, "round {round}: {ack:?}"),
        }
    }
}

fn number(value: &[u8]) -> u64 {
    std::str::from_utf8(value).unwrap().split(' ').next().unwrap().parse().unwrap()
}
