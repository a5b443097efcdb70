//! `history` over memory, sealed log and snapshots of a cluster that lives, and what `verify-proof` makes of it.

use std::fs;
use std::path::{Path, PathBuf};

use devnet::Devnet;
use serde_json::Value;
use store::proto::{CompactionRequest, DeleteRangeRequest, PutRequest};

use crate::machine::{Machine, Service, devnet, founded, free_port};

const KEY: &str = "/registry/configmaps/default/witness";

/// A cluster whose one master runs when it is started, with snapshots in a directory.
pub(crate) struct Town {
    pub(crate) root: tempfile::TempDir,
    pub(crate) machine: Machine,
    /// Where its gateway is while it runs.
    pub(crate) gateway: String,
    cold: PathBuf,
    verifier: Service,
    pub(crate) devnet: Devnet,
}

/// What happens to the key while no master runs.
pub(crate) enum Step {
    Put(&'static str),
    Delete,
    Compact,
}

impl Town {
    pub(crate) async fn new() -> Self {
        let devnet = devnet().await;
        let root = tempfile::tempdir().unwrap();
        let (machine, verifier, _) = founded(&devnet, root.path()).await;
        let cold = root.path().join("cold");
        let mut town = Self { root, machine, gateway: String::new(), cold, verifier, devnet };
        let (settings, gateway) = town.settings().await;
        town.machine.configure(&settings, "");
        town.gateway = gateway;
        town
    }

    /// Of a master at free ports, paid by the first machine's wallet; and where its gateway is then.
    pub(crate) async fn settings(&self) -> (String, String) {
        let operator = self.machine.operator().await;
        let gateway = format!("127.0.0.1:{}", free_port());
        let settings = format!(
            "listen = {gateway:?}\napiserver_listen = \"127.0.0.1:{}\"\nchain.gas_keystore = {:?}\n\
             chain.gas_address = {}\nregistration.verifiers = [{:?}]\nsnapshots.interval_ms = 0\n\
             snapshots.place.directory = {:?}\n",
            free_port(),
            self.machine.dir.join("wallets/sui.keystore"),
            operator,
            self.verifier.url,
            self.cold
        );
        (settings, format!("https://{gateway}"))
    }

    /// Opens the store as the master does, and gives the revisions of what was done.
    pub(crate) async fn write(&self, steps: &[Step]) -> Vec<i64> {
        let store = self.machine.open_store(true);
        let mut revisions = Vec::new();
        for step in steps {
            match step {
                Step::Put(value) => {
                    let put = PutRequest { key: KEY.into(), value: (*value).into(), ..PutRequest::default() };
                    store.put(put).await.unwrap();
                    revisions.push(store.revision());
                }
                Step::Delete => {
                    let delete = DeleteRangeRequest { key: KEY.into(), ..DeleteRangeRequest::default() };
                    store.delete_range(delete).await.unwrap();
                    revisions.push(store.revision());
                }
                Step::Compact => {
                    let revision = store.revision();
                    store.compact(CompactionRequest { revision, physical: true }).await.unwrap();
                }
            }
        }
        store.close();
        revisions
    }

    async fn history(&self, more: &[&str]) -> Value {
        self.machine.ok(&[&["history", KEY], more].concat()).await
    }

    /// As who has nothing but the chain.
    async fn verify(&self, stranger: &Machine, history: &Value, code: i32) -> Value {
        let file = self.root.path().join("history.json");
        fs::write(&file, serde_json::to_vec(history).unwrap()).unwrap();
        let output = stranger.run(&["verify-proof", file.to_str().unwrap()]).await;
        let words = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(code), "{words}");
        if code == 0 { serde_json::from_slice(&output.stdout).unwrap() } else { words.into() }
    }
}

fn revisions(history: &Value) -> Vec<i64> {
    let versions = history["versions"].as_array().unwrap();
    versions.iter().map(|version| version["revision"].as_i64().unwrap()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_keys_past_is_read_from_store_log_and_snapshots_with_proofs() {
    let town = Town::new().await;
    let machine = &town.machine;
    let mut all = town.write(&[Step::Put("one"), Step::Put("two"), Step::Compact]).await;
    let running = machine.start_master(&[]).await;
    machine.ok(&["anchor"]).await;
    let first = machine.ok(&["snapshot", "save"]).await["name"].as_str().unwrap().to_owned();
    drop(running);
    all.extend(town.write(&[Step::Put("three"), Step::Delete, Step::Put("four"), Step::Compact]).await);
    let running = machine.start_master(&[]).await;
    machine.ok(&["anchor"]).await;
    let second = machine.ok(&["snapshot", "save"]).await["name"].as_str().unwrap().to_owned();
    drop(running);
    all.extend(town.write(&[Step::Put("five"), Step::Compact]).await);

    // Nobody serves: from the sealed log, and before that from the snapshots. Everything is known.
    let offline = town.history(&[]).await;
    assert_eq!(revisions(&offline), all, "{offline}");
    assert_eq!(offline["gaps"], serde_json::json!([]), "{offline}");

    let running = machine.start_master(&[]).await;
    machine.ok(&["anchor"]).await;
    let served = town.history(&["--proof"]).await;
    assert_eq!((revisions(&served), &served["gaps"]), (all.clone(), &serde_json::json!([])), "{served}");
    let versions = served["versions"].as_array().unwrap();
    let kinds: Vec<&str> = versions.iter().map(|version| version["kind"].as_str().unwrap()).collect();
    assert_eq!(kinds, ["put", "put", "put", "delete", "put", "put"]);
    assert_eq!(
        (&versions[0]["snapshot"], &versions[2]["snapshot"]),
        (&first.as_str().into(), &second.as_str().into())
    );
    assert_eq!(versions[5]["snapshot"], Value::Null, "the newest is read from the store");
    assert!(
        versions.iter().all(|version| version.get("valueHex").is_none() && version["valueBytes"].is_u64())
    );
    // "two" and "four" and "five" were the latest when the state was anchored; the others never.
    let proven: Vec<i64> =
        versions.iter().filter(|v| v["proof"].is_object()).map(|v| v["revision"].as_i64().unwrap()).collect();
    assert_eq!(proven, [all[1], all[4], all[5]], "{served}");
    assert!(versions.iter().all(|version| version["proof"].is_object() || version["unproven"].is_string()));

    let stranger = Machine::new(town.root.path(), "stranger", &town.devnet.url(), "");
    let shown = town.verify(&stranger, &served, 0).await;
    assert_eq!(shown["proven"].as_array().unwrap().len(), 3, "{shown}");
    assert_eq!(shown["unproven"].as_array().unwrap().len(), 3, "{shown}");
    // Values only for who asks; and then they are checked.
    let with_value =
        town.history(&["--proof", "--with-value", "--since", &all[1].to_string(), "--limit", "9"]).await;
    assert_eq!(with_value["versions"][0]["valueHex"], "74776f", "{with_value}");
    town.verify(&stranger, &with_value, 0).await;
    for (field, lie) in [("valueHex", "74776e"), ("valueSha256", &"00".repeat(32)), ("kind", "delete")] {
        let mut changed = with_value.clone();
        changed["versions"][0][field] = lie.into();
        town.verify(&stranger, &changed, 3).await;
    }
    let mut moved = with_value.clone();
    moved["versions"][0]["proof"] = with_value["versions"][4]["proof"].clone();
    town.verify(&stranger, &moved, 3).await;
    let without = town.history(&[]).await;
    assert!(town.verify(&stranger, &without, 3).await.as_str().unwrap().contains("no proof"));

    let part = town.history(&["--since", &all[2].to_string(), "--until", &all[4].to_string()]).await;
    assert_eq!(revisions(&part), all[2..5]);
    assert_eq!(revisions(&town.history(&["--limit", "2"]).await), all[4..]);
    assert_eq!(revisions(&town.history(&["--since", "1h"]).await), all, "no snapshot is an hour old");
    assert_eq!(revisions(&town.history(&["--since", "2100-01-01T00:00:00Z"]).await), all[5..]);

    // The cold store returns garbage for one: what it had is said to be missing, and the rest is there.
    garble(&town.cold, &second);
    let torn = town.history(&["--proof"]).await;
    assert_eq!(revisions(&torn), [all[0], all[1], all[5]], "{torn}");
    let gap = &torn["gaps"][0];
    assert!(gap["why"].as_str().unwrap().contains(&second), "{torn}");
    assert_eq!((gap["from"].as_i64(), gap["to"].as_i64()), (Some(all[1] + 1), Some(all[4])), "{torn}");
    assert_eq!(torn["versions"][1]["proof"]["revision"], all[1], "{torn}");
    let shown = town.verify(&stranger, &torn, 0).await;
    assert_eq!((shown["proven"].as_array().unwrap().len(), &shown["gaps"]), (2, &torn["gaps"]), "{shown}");
    drop(running);
}

fn garble(cold: &Path, name: &str) {
    let path = cold.join(format!("{name}.piece"));
    assert!(path.exists());
    fs::write(path, b"<html>404</html>").unwrap();
}
