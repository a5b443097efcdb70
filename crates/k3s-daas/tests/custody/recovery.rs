//! A lost cluster comes back on machines with empty disks: whoever lies, whatever is down, and whenever `recover` is killed.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};

use devnet::Devnet;
use serde_json::Value;
use store::proto::{PutRequest, RangeRequest};

use crate::liars::Mood::{self, Down, Garbage, Honest, Slow, WrongShare};
use crate::liars::{Door, Forger};
use crate::machine::{Machine, Service, devnet, founded, free_port};

/// A cluster whose only machine is lost, and what is left of it.
struct Lost {
    root: tempfile::TempDir,
    url: String,
    cluster: String,
    holders: Vec<Door>,
    aggregator: Door,
    walrus: String,
    blobs: PathBuf,
    /// Revisions at which the key was 1, 2 and so on; the last one is in no snapshot.
    revisions: Vec<i64>,
    /// Names of the snapshots: a base, and what changed.
    snapshots: Vec<String>,
    _running: Vec<Service>,
    _devnet: Devnet,
}

const KEY: &str = "/registry/configmaps/default/witness";

/// Puts values into the store of a master that does not run, and gives their revisions.
pub(crate) async fn write(machine: &Machine, values: std::ops::Range<u32>) -> Vec<i64> {
    let store = machine.open_store(true);
    let mut revisions = Vec::new();
    for value in values {
        let value = value.to_string();
        store
            .put(PutRequest { key: KEY.into(), value: value.into(), ..PutRequest::default() })
            .await
            .unwrap();
        revisions.push(store.revision());
    }
    store.close();
    revisions
}

/// The key's value in what was recovered on `machine`, and the revision from which that goes on.
pub(crate) fn found(machine: &Machine) -> (String, i64) {
    let store = machine.open_store(false);
    let range = store.range(&RangeRequest { key: KEY.into(), ..RangeRequest::default() }).unwrap();
    let (value, revision) = (String::from_utf8(range.kvs[0].value.to_vec()).unwrap(), store.revision());
    store.close();
    (value, revision)
}

impl Lost {
    async fn new() -> Self {
        let devnet = devnet().await;
        let (root, url) = (tempfile::tempdir().unwrap(), devnet.url());
        let (first, verifier, _) = founded(&devnet, root.path()).await;
        let (package, cluster) = (first.id("package").to_string(), first.id("cluster"));
        let cluster_text = cluster.to_string();
        let on_chain = ["--package", &package, "--cluster", &cluster_text];
        let (mut running, mut holders, mut named) = (vec![verifier], Vec::new(), Vec::new());
        for (position, name) in ["a", "b", "c"].into_iter().enumerate() {
            let machine = Machine::new(root.path(), name, &url, "");
            let key = machine.ok(&["custodian", "--print-key"]).await["publicKey"].clone();
            let serve = [&["custodian", "--listen", "127.0.0.1:0"], &on_chain[..]].concat();
            let service = machine.serve(&serve).await;
            let key_file = machine.dir.join("custodian/custodian.key");
            let door = Door::open(&service.url, Some(Forger { key: key_file, cluster, position })).await;
            named.push(format!("{name}={}@{}", key.as_str().unwrap(), door.url));
            running.push(service);
            holders.push(door);
        }
        let mut deal = vec!["committee", "deal", "--threshold", "2"];
        named.iter().for_each(|holder| deal.extend(["--holder", holder]));
        assert_eq!(first.ok(&deal).await["hold"], 3);

        let blobs = root.path().join("blobs");
        let serve = [
            "walrus-dev",
            "--listen",
            "127.0.0.1:0",
            "--shards",
            "10",
            "--data-dir",
            blobs.to_str().unwrap(),
        ];
        let service = first.start(&serve, |line| {
            let (_, after) = line.split_once(" at http://")?;
            Some(format!("http://{}", after.split_once(',')?.0))
        });
        let service = service.await;
        let walrus = service.url.clone();
        running.push(service);
        let aggregator = Door::open(&walrus, None).await;
        let mut lost = Self {
            root,
            url,
            cluster: cluster_text.clone(),
            holders,
            aggregator,
            walrus,
            blobs,
            revisions: Vec::new(),
            snapshots: Vec::new(),
            _running: running,
            _devnet: devnet,
        };
        lost.live(&first).await;
        fs::remove_dir_all(&first.dir).unwrap();
        lost
    }

    /// Writes, takes snapshots, anchors; what comes last is in no snapshot.
    async fn live(&mut self, first: &Machine) {
        let operator = first.operator().await;
        let gas = format!(
            "chain.gas_keystore = {:?}\nchain.gas_address = {}\n",
            first.dir.join("wallets/sui.keystore"),
            operator
        );
        first.configure(&(gas + &self.settings(&[&self.walrus])), "");
        for values in [1..4, 4..7] {
            self.revisions.extend(write(first, values).await);
            let running = first.start_master(&[]).await;
            let saved = first.ok(&["snapshot", "save"]).await["name"].as_str().unwrap().to_owned();
            self.snapshots.push(saved);
            first.ok(&["anchor"]).await;
            drop(running);
        }
        let now = first.ok(&["snapshot", "schedule"]).await;
        let path = first.dir.join("config.toml");
        let config = fs::read_to_string(&path).unwrap();
        let hourly = config.replace("interval_ms = 0", "interval_ms = 3600000\nsnapshots.keep.last = 3");
        fs::write(&path, hourly).unwrap();
        let other = first.ok(&["snapshot", "schedule"]).await;
        fs::write(&path, config).unwrap();
        assert_eq!((&now["intervalMs"], &now["nextMs"]), (&0.into(), &Value::Null), "{now}");
        assert_eq!((&other["keep"]["last"], &now["keep"]["last"]), (&3.into(), &48.into()));
        let last = other["lastMs"].as_u64().unwrap();
        assert_eq!(other["nextMs"], last + 3_600_000, "{other}");
        self.revisions.extend(write(first, 7..8).await);
        let running = first.start_master(&[]).await;
        first.ok(&["anchor"]).await;
        drop(running);
    }

    /// Of a master whose snapshots go to Walrus.
    fn settings(&self, aggregators: &[&str]) -> String {
        format!(
            "listen = \"127.0.0.1:{}\"\napiserver_listen = \"127.0.0.1:{}\"\n\
             snapshots.interval_ms = 0\nsnapshots.place.walrus = {{ publishers = [{:?}], aggregators = {aggregators:?}, \
             epochs = 10, shards = 10 }}\n",
            free_port(),
            free_port(),
            self.walrus
        )
    }

    /// A machine with an empty disk that knows where the snapshots are, and nothing else.
    fn machine(&self, name: &str) -> Machine {
        let machine = Machine::new(self.root.path(), name, &self.url, "version 1");
        machine.configure(&self.settings(&[&self.aggregator.url, &self.walrus]), "");
        machine
    }

    fn recover<'a>(&'a self, more: &[&'a str]) -> Vec<&'a str> {
        let mut args = vec!["recover", "--cluster", &self.cluster];
        self.holders.iter().for_each(|holder| args.extend(["--holder", &holder.url]));
        args.extend(more);
        args
    }

    /// Recovers on a new machine and gives what was said; what came back is as it was last seen in a snapshot.
    async fn comes_back(&self, name: &str) -> String {
        let machine = self.machine(name);
        let output = machine.run(&self.recover(&[])).await;
        let words = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.success(), "{name}: {words}");
        let answer: Value = serde_json::from_slice(&output.stdout).unwrap();
        assert!(answer["rootComparedAt"].is_i64(), "no root was compared: {answer}");
        self.is_back(&machine, &answer);
        words
    }

    fn is_back(&self, machine: &Machine, answer: &Value) {
        assert_eq!(answer["restoredRevision"], self.revisions[5], "{answer}");
        assert!(answer["anchoredRevision"].as_i64().unwrap() >= self.revisions[6], "{answer}");
        assert_eq!(found(machine), ("6".to_owned(), answer["resumesAt"].as_i64().unwrap()));
        assert!(!machine.dir.join("master/recovery").exists(), "something is left of the work");
    }

    fn moods(&self, moods: [Mood; 3]) {
        self.holders.iter().zip(moods).for_each(|(holder, mood)| holder.be(mood));
    }
}

pub(crate) fn nothing_is_there(machine: &Machine) {
    for file in ["master/sealed/cluster.secret", "master/sealed/cluster.pki", "master/store"] {
        assert!(!machine.dir.join(file).exists(), "{file}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_lost_comes_back_whoever_lies_and_whatever_is_put_in_its_place() {
    let lost = Lost::new().await;

    // Said, and not done.
    let machine = lost.machine("dry");
    let plan = machine.ok(&lost.recover(&["--dry-run"])).await;
    assert_eq!(plan["snapshot"], lost.snapshots[1].as_str(), "{plan}");
    assert!(!machine.dir.join("master").exists() && !machine.dir.join("deployment.json").exists());

    // One holder is down, gives garbage, gives a share of something else; an aggregator returns garbage meanwhile.
    lost.aggregator.be(Garbage);
    lost.moods([Down, Honest, Honest]);
    lost.comes_back("one-down").await;
    for (name, mood, words) in [
        ("garbage", Garbage, "this holder's answer is no share"),
        ("wrong-share", WrongShare, "gave something else than its share"),
    ] {
        for liar in 0..3 {
            // Nobody waits for whoever is needed no longer: one who is needed is slower than the liar.
            let mut moods = [Honest; 3];
            moods[liar] = mood;
            moods[(liar + 1) % 3] = Slow;
            lost.moods(moods);
            let said = lost.comes_back(&format!("{name}-{liar}")).await;
            assert!(said.contains(words), "{said}");
        }
    }
    // One is down and one lies: too few, and it is said who did what.
    for (name, mood, words) in
        [("too-few-1", Garbage, "1 of 2 shares"), ("too-few-2", WrongShare, "1 of 2 shares")]
    {
        lost.moods([Honest, mood, Down]);
        let machine = lost.machine(name);
        let refused = machine.fails(&lost.recover(&["--timeout", "8"]), 1).await;
        assert!(refused.contains(words) && refused.contains("gave something else"), "{refused}");
        nothing_is_there(&machine);
    }
    lost.moods([Honest; 3]);

    // As it was at any revision since the base.
    let machine = lost.machine("earlier");
    for (at, value) in [(4, "5"), (2, "3")] {
        let revision = lost.revisions[at].to_string();
        let answer = machine.ok(&lost.recover(&["--revision", &revision])).await;
        assert_eq!(answer["restoredRevision"], lost.revisions[at], "{answer}");
        assert_eq!(found(&machine).0, value);
        // It is not done over a store that is there.
        let refused = machine.fails(&lost.recover(&[]), 1).await;
        assert!(refused.contains("holds a store"), "{refused}");
        fs::remove_dir_all(machine.dir.join("master")).unwrap();
    }
    let refused = machine.fails(&lost.recover(&["--revision", "999999"]), 1).await;
    assert!(refused.contains("999999"), "{refused}");

    // Only liars keep the snapshots.
    let machine = lost.machine("garbage-only");
    machine.configure(&lost.settings(&[&lost.aggregator.url]), "");
    let refused = machine.fails(&lost.recover(&[]), 1).await;
    assert!(refused.contains(&lost.snapshots[1]), "{refused}");
    lost.aggregator.be(Honest);
    lost.is_back(&machine, &machine.ok(&lost.recover(&[])).await);
    lost.aggregator.be(Down);

    // Another cluster's snapshot, on the same Walrus.
    let other = Machine::new(lost.root.path(), "other", &lost.url, "version 1");
    other.ok(&["publish", "--allow-simulated"]).await;
    other.configure(&lost.settings(&[&lost.walrus]), "");
    write(&other, 1..3).await;
    let running = other.start_master(&[]).await;
    let foreign = other.ok(&["snapshot", "save"]).await["name"].as_str().unwrap().to_owned();
    drop(running);
    let machine = lost.machine("mixed");
    let refused = machine.fails(&lost.recover(&["--snapshot", &foreign]), 1).await;
    assert!(refused.contains(&foreign), "{refused}");
    nothing_is_there(&machine);

    // Every blob truncated, and exchanged for another one.
    let blobs: Vec<PathBuf> = fs::read_dir(&lost.blobs)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "blob"))
        .filter(|path| !path.to_string_lossy().contains(&foreign))
        .collect();
    assert!(blobs.len() >= 2, "{blobs:?}");
    let machine = lost.machine("changed");
    let mut refused_for = 0;
    for (at, blob) in blobs.iter().enumerate() {
        let good = fs::read(blob).unwrap();
        let swapped = fs::read(&blobs[(at + 1) % blobs.len()]).unwrap();
        for bad in [&good[..good.len() - 1], &[][..], &swapped[..]] {
            fs::write(blob, bad).unwrap();
            let output = machine.run(&lost.recover(&[])).await;
            if output.status.success() {
                // A blob that nothing here needs: of the other cluster.
                fs::remove_dir_all(machine.dir.join("master")).unwrap();
                continue;
            }
            refused_for += 1;
            nothing_is_there(&machine);
            fs::remove_dir_all(machine.dir.join("master")).unwrap();
        }
        fs::write(blob, good).unwrap();
    }
    assert!(refused_for >= 6, "only {refused_for} changed copies were refused");
    lost.is_back(&machine, &machine.ok(&lost.recover(&[])).await);
}

/// How a `recover` ended that was to be killed.
struct Cut {
    killed: bool,
    /// What it had said until then.
    said: Vec<u8>,
}

/// Runs `recover` until `now` holds, and kills it then.
async fn cut(machine: &Machine, args: &[&str], now: impl Fn(&Path) -> bool + Send + 'static) -> Cut {
    let mut command = machine.command(args);
    let master = machine.dir.join("master");
    tokio::task::spawn_blocking(move || {
        let mut process = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
        let (end, mut seen) = (Instant::now() + Duration::from_secs(60), false);
        while !seen && process.try_wait().unwrap().is_none() {
            assert!(Instant::now() < end, "recover hangs");
            std::thread::park_timeout(Duration::from_micros(50));
            seen = now(&master);
        }
        // It may have ended just now.
        let _ = process.kill();
        let output = process.wait_with_output().unwrap();
        Cut { killed: output.status.code().is_none(), said: output.stdout }
    })
    .await
    .unwrap()
}

type Moment = (&'static str, fn(&Path) -> bool);

/// In the order in which they come.
const MOMENTS: [Moment; 10] = [
    ("nothing", |_| true),
    ("its key", |master| master.join("sealed").exists()),
    ("a piece", |master| entries(&master.join("recovery/pieces")) > 0),
    ("the CA's keys", |master| master.join("sealed/cluster.pki").exists()),
    ("the secret", |master| master.join("sealed/cluster.secret").exists()),
    ("the mark", |master| master.join("recovery/restored").exists()),
    ("the store's directory", |master| master.join("store").exists()),
    ("what was restored", |master| {
        fs::read(master.join("recovery/restored")).is_ok_and(|text| !text.is_empty())
    }),
    ("the clearing up", |master| master.join("store").exists() && !master.join("recovery/pieces").exists()),
    ("the end", |master| master.join("store").exists() && !master.join("recovery/restored").exists()),
];

fn entries(dir: &Path) -> usize {
    fs::read_dir(dir).map_or(0, Iterator::count)
}

#[tokio::test(flavor = "multi_thread")]
async fn recover_goes_on_wherever_it_was_killed() {
    let lost = Lost::new().await;
    let mut kills = 0;
    for (at, (name, moment)) in MOMENTS.into_iter().enumerate() {
        let machine = lost.machine(&format!("killed-{at}"));
        let cut = cut(&machine, &lost.recover(&[]), moment).await;
        kills += u32::from(cut.killed);
        let left = machine.dir.join("master/recovery");
        if entries(&left) > 0 {
            let refused = machine.fails(&["master"], 1).await;
            assert!(refused.contains("was not finished: run `k3s-daas recover` again"), "{name}: {refused}");
        }
        if machine.dir.join("master/store").exists() && entries(&left) == 0 {
            // It was done, and so it had been told.
            let _ = fs::remove_dir(&left);
            lost.is_back(&machine, &serde_json::from_slice(&cut.said).unwrap());
            let refused = machine.fails(&lost.recover(&[]), 1).await;
            assert!(refused.contains("holds a store"), "{name}: {refused}");
            continue;
        }
        let output = machine.run(&lost.recover(&[])).await;
        let words = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.success(), "killed at {name}: {words}");
        lost.is_back(&machine, &serde_json::from_slice(&output.stdout).unwrap());
    }
    assert!(kills >= 7, "only {kills} were killed");

    // And at every step of one and the same recovery.
    let machine = lost.machine("again-and-again");
    for (_, moment) in &MOMENTS[..7] {
        cut(&machine, &lost.recover(&[]), *moment).await;
    }
    lost.is_back(&machine, &machine.ok(&lost.recover(&[])).await);
}
