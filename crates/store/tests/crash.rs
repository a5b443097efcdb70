//! kill -9 at random moments, under writers and watchers: nothing that was acknowledged is lost, no revision is used
//! twice, and over all lives no watch misses an event or gets one twice or out of order.
//!
//! `STORE_CRASH_KILLS` is the number of kills.
#![allow(clippy::unwrap_used, clippy::print_stderr, reason = "a test")]

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use store::proto::{
    CompactionRequest, DeleteRangeRequest, Event, PutRequest, RangeRequest, WatchCreateRequest, WatchRequest,
    WatchRequestUnion,
};
use store::{Config, EtcdError, Store};
use tee::SealingKey;

const KILLS: u32 = 10;
const WRITERS: u32 = 8;
const WATCHERS: usize = 3;
/// Keys of each writer, written in turn.
const SLOTS: u64 = 5;
/// Once in how many writes a key is deleted instead.
const DELETIONS: u64 = 7;
/// Revisions that compactions leave.
const KEPT: i64 = 1_500;
const HOME: &str = "STORE_CRASH_TEST_HOME";
/// Where each watcher goes on, after the events it has: revisions, separated by commas.
const RESUME: &str = "STORE_CRASH_TEST_RESUME";

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

/// Lines that a kill cuts short have no end, and are not heard.
fn say(line: &str) {
    std::io::stdout().write_all(format!("{line}\n").as_bytes()).unwrap();
}

/// The process that is killed. Not a test of its own.
#[test]
#[ignore = "run by survives_kill_9 as a child process"]
fn writer_process() {
    let Some(home) = std::env::var_os(HOME) else { return };
    let resume = std::env::var(RESUME).unwrap();
    // The test runner has begun a line.
    say("");
    let store = Store::open(config(Path::new(&home))).unwrap();
    let first = u64::try_from(store.revision()).unwrap();
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).build().unwrap();
    runtime.block_on(async {
        let mut tasks = Vec::new();
        for (watcher, from) in resume.split(',').enumerate() {
            tasks.push(tokio::spawn(watch(store.clone(), watcher, from.parse().unwrap())));
        }
        tasks.extend((0..WRITERS).map(|writer| tokio::spawn(write(store.clone(), writer, first))));
        for task in tasks {
            task.await.unwrap();
        }
    });
}

async fn write(store: Store, writer: u32, first: u64) {
    // Numbers go up over all lives, for revisions do.
    for number in first.. {
        let key = key(writer, number);
        let revision = if number % DELETIONS == DELETIONS - 1 {
            let delete = DeleteRangeRequest { key: key.into(), ..DeleteRangeRequest::default() };
            let done = store.delete_range(delete).await.unwrap();
            if done.deleted == 0 {
                continue;
            }
            say(&format!("del {writer} {number} {}", done.header.unwrap().revision));
            continue;
        } else {
            let value = format!("{number} {}", "x".repeat(usize::from(number as u8))).into();
            let put = PutRequest { key: key.into(), value, ..PutRequest::default() };
            store.put(put).await.unwrap().header.unwrap().revision
        };
        say(&format!("put {writer} {number} {revision}"));
        if writer == 0 && number.is_multiple_of(64) {
            let compact = CompactionRequest { revision: revision - KEPT, physical: false };
            let _refused = store.compact(compact).await;
        }
    }
}

/// Tells every event of everything; the last watcher of them reads slowly and falls behind.
async fn watch(store: Store, watcher: usize, from: i64) {
    let stream = store.watch();
    let create = |start_revision| {
        let (key, range_end) = (vec![0].into(), vec![0].into());
        let create = WatchCreateRequest { key, range_end, start_revision, ..WatchCreateRequest::default() };
        stream.request(&WatchRequest { request_union: Some(WatchRequestUnion::Create(create)) });
    };
    create(from);
    loop {
        let response = stream.next().await;
        if response.canceled {
            say(&format!("lag {watcher} {}", response.compact_revision));
            create(response.compact_revision);
        }
        let told: Vec<String> = response.events.iter().map(|event| told(watcher, event)).collect();
        if !told.is_empty() {
            say(&told.join("\n"));
            if watcher + 1 == WATCHERS {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        }
    }
}

fn told(watcher: usize, event: &Event) -> String {
    let kv = event.kv.as_ref().unwrap();
    let number = if event.r#type == 0 { number(&kv.value).to_string() } else { "-".to_owned() };
    format!("event {watcher} {} {} {number}", kv.mod_revision, std::str::from_utf8(&kv.key).unwrap())
}

/// A change of one key: the number that was put, or `None` for a deletion.
type Changed = (String, Option<u64>);

/// What the outside knows.
struct Witness {
    acknowledged: BTreeMap<i64, Changed>,
    /// What each watcher was told, over all lives.
    told: Vec<BTreeMap<i64, Changed>>,
    /// The revision after the last event of each watcher.
    resume: Vec<i64>,
    /// Compactions that overtook a watcher: it may miss what is before.
    overtaken: Vec<i64>,
}

impl Witness {
    fn hear(&mut self, line: &str) {
        let words: Vec<&str> = line.split(' ').collect();
        match words[..] {
            ["put" | "del", writer, number, revision] => {
                let (Ok(writer), Ok(number), Ok(revision)) =
                    (writer.parse(), number.parse(), revision.parse())
                else {
                    return;
                };
                let name = String::from_utf8(key(writer, number)).unwrap();
                let change = (name, (words[0] == "put").then_some(number));
                let earlier = self.acknowledged.insert(revision, change);
                assert_eq!(earlier, None, "revision used twice, now for {line:?}");
            }
            ["event", watcher, revision, key, number] => {
                let (watcher, revision): (usize, i64) = (watcher.parse().unwrap(), revision.parse().unwrap());
                assert!(
                    revision >= self.resume[watcher],
                    "doubled or out of order: {line:?}, resumed at {}",
                    self.resume[watcher]
                );
                self.resume[watcher] = revision + 1;
                self.told[watcher].insert(revision, (key.to_owned(), number.parse().ok()));
            }
            ["lag", watcher, compacted] => {
                let (watcher, compacted): (usize, i64) =
                    (watcher.parse().unwrap(), compacted.parse().unwrap());
                assert!(compacted > self.resume[watcher], "{line:?}, resumed at {}", self.resume[watcher]);
                self.resume[watcher] = compacted;
                self.overtaken[watcher] = compacted;
            }
            _ => {}
        }
    }

    /// Each change has a revision of its own, so what a watcher was told must be all revisions, one after the other.
    fn check_watches(&self, round: u32) {
        for (watcher, told) in self.told.iter().enumerate() {
            let mut expected = None;
            for (&revision, change) in told {
                let gap = expected.is_some_and(|expected| revision != expected)
                    && revision > self.overtaken[watcher];
                assert!(!gap, "round {round}: watcher {watcher} was told {revision} after {expected:?}");
                expected = Some(revision + 1);
                if let Some(acknowledged) = self.acknowledged.get(&revision) {
                    assert_eq!(change, acknowledged, "round {round}: watcher {watcher}, revision {revision}");
                }
            }
            for revision in
                self.acknowledged.range(self.overtaken[watcher]..self.resume[watcher]).map(|(r, _)| r)
            {
                assert!(told.contains_key(revision), "round {round}: watcher {watcher} missed {revision}");
            }
        }
    }
}

#[test]
fn survives_kill_9() {
    let kills = std::env::var("STORE_CRASH_KILLS").map_or(KILLS, |kills| kills.parse().unwrap());
    let home = tempfile::tempdir().unwrap();
    let mut witness = Witness {
        acknowledged: BTreeMap::new(),
        told: vec![BTreeMap::new(); WATCHERS],
        resume: vec![2; WATCHERS],
        overtaken: vec![0; WATCHERS],
    };
    // A different moment each time, spread over the phases of a life.
    for round in 0..kills {
        let before = witness.acknowledged.len();
        live_and_die(home.path(), Duration::from_millis(u64::from(30 + 67 * round % 400)), &mut witness);
        witness.check_watches(round);
        let store =
            Store::open(config(home.path())).unwrap_or_else(|error| panic!("round {round}: {error:?}"));
        check(&store, &witness, round);
        store.close();
        let told: Vec<usize> = witness.told.iter().map(BTreeMap::len).collect();
        eprintln!(
            "round {round}: {} acknowledged, told so far {told:?}",
            witness.acknowledged.len() - before
        );
    }
    assert!(
        witness.acknowledged.len() > 100,
        "only {} writes: the test tests nothing",
        witness.acknowledged.len()
    );
    let told: Vec<usize> = witness.told.iter().map(BTreeMap::len).collect();
    assert!(told.iter().all(|told| *told > 100), "only {told:?} events: the test tests nothing");
}

/// Lets the writer process run for a while, kills it, and hears what it said.
fn live_and_die(home: &Path, life: Duration, witness: &mut Witness) {
    let resume: Vec<String> = witness.resume.iter().map(ToString::to_string).collect();
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "writer_process", "--ignored", "--nocapture", "--test-threads=1"])
        .env(HOME, home)
        .env(RESUME, resume.join(","))
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let output = child.stdout.take().unwrap();
    let (sender, lines) = std::sync::mpsc::channel();
    let reader = std::thread::spawn(move || {
        let (mut output, mut line) = (BufReader::new(output), String::new());
        while output.read_line(&mut line).is_ok_and(|bytes| bytes > 0) {
            if let Some(whole) = line.strip_suffix('\n') {
                let _late = sender.send(whole.to_owned());
            }
            line.clear();
        }
    });
    // The clock starts with the first write, however slow the machine is.
    loop {
        let line = lines.recv_timeout(Duration::from_secs(30)).expect("the writer writes");
        witness.hear(&line);
        if line.starts_with("put") {
            break;
        }
    }
    let until = Instant::now() + life;
    while let Ok(line) = lines.recv_timeout(until.saturating_duration_since(Instant::now())) {
        witness.hear(&line);
        if Instant::now() >= until {
            break;
        }
    }
    child.kill().unwrap();
    child.wait().unwrap();
    reader.join().unwrap();
    lines.iter().for_each(|line| witness.hear(&line));
}

fn check(store: &Store, witness: &Witness, round: u32) {
    let read = |name: &str, revision| {
        let range = RangeRequest { key: name.to_owned().into(), revision, ..RangeRequest::default() };
        let found = store.range(&range)?.kvs.into_iter().next();
        Ok::<_, EtcdError>(found.map(|kv| (number(&kv.value), kv.mod_revision)))
    };
    let last = witness.acknowledged.last_key_value().map_or(0, |(revision, _)| *revision);
    assert!(
        store.revision() >= last,
        "round {round}: revision {last} was acknowledged, now it is {}",
        store.revision()
    );
    for (&revision, (name, number)) in &witness.acknowledged {
        match read(name, revision) {
            Ok(then) => assert_eq!(
                then,
                number.map(|number| (number, revision)),
                "round {round}: {name} at {revision}"
            ),
            Err(error) => assert_eq!(error, EtcdError::Compacted, "round {round}: {name} at {revision}"),
        }
    }
    // The last acknowledged change of a key is its state, unless one on its way at the kill came later.
    let mut latest: BTreeMap<&String, (i64, Option<u64>)> = BTreeMap::new();
    for (&revision, (name, number)) in &witness.acknowledged {
        latest.insert(name, (revision, *number));
    }
    for (name, (revision, number)) in latest {
        match read(name, 0).unwrap() {
            Some((_, written)) if written > revision => {}
            now => {
                let expected = number.map(|number| (number, revision));
                let deleted_since = now.is_none() && store.revision() > revision && expected.is_some();
                assert!(
                    now == expected
                        || deleted_since && read(name, revision).is_ok_and(|then| then == expected),
                    "round {round}: {name} was {expected:?}, now it is {now:?}"
                );
            }
        }
    }
    // What a watcher was told is there: nobody was told what was then lost.
    for told in &witness.told {
        for (&revision, (name, number)) in told.iter().rev().take(500) {
            if let Ok(then) = read(name, revision) {
                assert_eq!(
                    then,
                    number.map(|number| (number, revision)),
                    "round {round}: a watch was told {revision}"
                );
            }
        }
    }
}

fn number(value: &[u8]) -> u64 {
    std::str::from_utf8(value).unwrap().split(' ').next().unwrap().parse().unwrap()
}
