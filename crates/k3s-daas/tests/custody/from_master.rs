//! A machine with an empty disk gets the cluster's secret from a master that runs, and the state from the snapshots.

use std::time::Duration;

use crate::history::{Step, Town};
use crate::machine::Machine;

#[tokio::test(flavor = "multi_thread")]
async fn another_master_gives_the_secret_to_a_machine_that_recovers() {
    let town = Town::new().await;
    town.write(&[Step::Put("one"), Step::Put("two")]).await;
    let running = town.machine.start_master(&[]).await;
    town.machine.ok(&["anchor"]).await;
    town.machine.ok(&["snapshot", "save"]).await;
    // The anchor that names the snapshot.
    drop(running);
    town.write(&[Step::Put("three")]).await;
    let running = town.machine.start_master(&[]).await;
    town.machine.ok(&["anchor"]).await;

    let cluster = town.machine.id("cluster").to_string();
    let recover = ["recover", "--cluster", &cluster, "--timeout", "60", "--master", &town.gateway];
    // Code that the chain does not allow proves itself, and gets nothing.
    let other = Machine::new(town.root.path(), "other", &town.devnet.url(), "version 2");
    other.configure(&town.settings().await.0, "");
    let refused = other.fails(&recover, 1).await;
    assert!(refused.contains("measurement_not_allowed"), "{refused}");
    assert!(!other.dir.join("master/sealed/cluster.secret").exists());
    let nobody = other.fails(&recover[..3], 2).await;
    assert!(nobody.contains("--master URL"), "{nobody}");

    let machine = Machine::new(town.root.path(), "second", &town.devnet.url(), "version 1");
    machine.configure(&town.settings().await.0, "");
    let answer = machine.ok(&recover).await;
    assert_eq!(answer["restoredRevision"], 3, "{answer}");
    assert!(answer["rootComparedAt"].is_i64(), "{answer}");
    drop(running);
    assert_eq!(machine.ca_hash().await, town.machine.ca_hash().await);

    // Its past is known here too, by the snapshot that the anchor names; and where it began anew is no version of anything.
    let past = machine.ok(&["history", "/registry/configmaps/default/witness"]).await;
    let revisions: Vec<i64> = past["versions"]
        .as_array()
        .unwrap()
        .iter()
        .map(|version| version["revision"].as_i64().unwrap())
        .collect();
    assert_eq!(revisions, [2, 3], "{past}");
    let gap = &past["gaps"][0];
    assert_eq!((&gap["from"], past["gaps"].as_array().unwrap().len()), (&4.into(), 1), "{past}");

    // Nobody answers: said by name, within the time.
    let third = Machine::new(town.root.path(), "third", &town.devnet.url(), "version 1");
    third.configure(&town.settings().await.0, "");
    let began = std::time::Instant::now();
    let silent = ["recover", "--cluster", &cluster, "--timeout", "8", "--master", "https://127.0.0.1:1"];
    let refused = third.fails(&silent, 1).await;
    assert!(refused.contains("https://127.0.0.1:1"), "{refused}");
    assert!(began.elapsed() < Duration::from_secs(60));
}
