//! A cluster's secret from machine to machine and from build to build, by the binary alone: custodians, a verifier and the contracts on a
//! development chain. Machines are state directories with a simulated platform each; no Kubernetes runs.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod chip;
mod from_master;
mod history;
#[path = "../../../custody/tests/services/key_server.rs"]
mod key_server;
mod liars;
mod machine;
mod nowhere;
mod recovery;
mod seal;

use std::fs;

use machine::{Machine, copy, devnet, founded};

#[tokio::test(flavor = "multi_thread")]
async fn the_secret_goes_where_the_chain_allows_and_nowhere_else() {
    let devnet = devnet().await;
    let (root, url) = (tempfile::tempdir().unwrap(), devnet.url());
    let (first, _verifier, identity) = founded(&devnet, root.path()).await;

    // A committee of three, two of whom it takes.
    let (package, cluster) = (first.id("package").to_string(), first.id("cluster").to_string());
    let on_chain = ["--package", &package, "--cluster", &cluster];
    let mut holders = Vec::new();
    let mut named = Vec::new();
    for name in ["a", "b", "c"] {
        let machine = Machine::new(root.path(), name, &url, "");
        let key = machine.ok(&["custodian", "--print-key"]).await["publicKey"].as_str().unwrap().to_owned();
        let service =
            machine.serve(&[&["custodian", "--listen", "127.0.0.1:0"], &on_chain[..]].concat()).await;
        named.push(format!("{name}={key}@{}", service.url));
        holders.push(service);
    }
    let mut deal = vec!["committee", "deal", "--threshold", "2"];
    named.iter().for_each(|holder| deal.extend(["--holder", holder]));
    assert_eq!(first.ok(&deal).await["hold"], 3);

    // A copied state directory does not open on another machine; with the committee's help it does, one holder being down.
    let second = Machine::new(root.path(), "second", &url, "version 1");
    for file in ["cluster.secret", "enclave.key", "cluster.pki"] {
        copy(&first, &second, file);
    }
    assert!(second.fails(&["master", "--print-identity"], 1).await.contains("cluster.secret"));
    let holder = holders[2].url.clone();
    drop(holders.remove(0));
    let recover = [&["committee", "recover", "--timeout", "20", "--holder", &holder], &on_chain[..]].concat();
    assert_eq!(second.ok(&recover).await["recovered"], true);
    assert_eq!(second.ca_hash().await, identity["caHash"]);

    // Other code: genuine evidence, and no secret.
    let third = Machine::new(root.path(), "third", &url, "version 2");
    let refused = third.fails(&recover, 1).await;
    assert!(refused.contains("measurement_not_allowed"), "{refused}");

    // An upgrade, handed over on the machine and only once the chain allows it.
    let next = root.path().join("next");
    fs::write(&next, "version 2").unwrap();
    let hand_over = ["attest", "hand-over", "--to", next.to_str().unwrap()];
    let refused = first.fails(&hand_over, 3).await;
    assert!(refused.contains("does not allow the next build"), "{refused}");
    first.install("version 2");
    first.fails(&["master", "--print-identity"], 1).await;
    first.install("version 1");
    let foretold = first.ok(&[&hand_over[..], &["--dry-run"]].concat()).await;
    first.allow(&foretold).await;
    assert_eq!(first.ok(&hand_over).await["handedOver"], true);
    first.install("version 2");
    let upgraded = first.ok(&["master", "--print-identity"]).await;
    assert_eq!(upgraded["caHash"], identity["caHash"]);
    assert_eq!(upgraded["measurements"], foretold["measurements"]);

    // The new build is allowed everywhere now; but one holder alone is no committee.
    copy(&first, &third, "cluster.pki");
    third.ok(&recover).await;
    assert_eq!(third.ca_hash().await, identity["caHash"]);
    drop(holders.remove(0));
    let fourth = Machine::new(root.path(), "fourth", &url, "version 2");
    let alone = [&["committee", "recover", "--timeout", "8", "--holder", &holder], &on_chain[..]].concat();
    let refused = fourth.fails(&alone, 1).await;
    assert!(refused.contains("1 of 2 shares"), "{refused}");
    assert!(!fourth.dir.join("master/sealed/cluster.secret").exists());
}
