//! The same on machines whose keys a TPM keeps: a real TPM 2.0, in software.

#[path = "../../../tee/tests/support/swtpm.rs"]
mod swtpm;

use std::fs;
use std::path::{Path, PathBuf};

use store::proto::PutRequest;
use swtpm::SoftwareTpm;
use tee::{TpmAddress, TpmConfig, TpmPlatform};

use crate::machine::{Machine, devnet, establish, free_port, verifier};

/// A machine and its chip, which may be off.
struct Chipped {
    machine: Machine,
    chip: PathBuf,
    tpm: Option<SoftwareTpm>,
}

impl Chipped {
    fn new(root: &Path, name: &str, chain: &str, settings: &str) -> Self {
        let machine = Machine::new(root, name, chain, "version 1");
        // A socket's path is short, wherever temporary files are.
        let chip = root.join(format!("{name}.tpm"));
        let tpm = format!("platform = \"tpm\"\ntpm = \"unix:{}\"\n", chip.join("socket").display());
        let ports = format!(
            "listen = \"127.0.0.1:{}\"\napiserver_listen = \"127.0.0.1:{}\"\n{settings}",
            free_port(),
            free_port()
        );
        machine.configure(&ports, &tpm);
        let mut chipped = Self { machine, chip, tpm: None };
        chipped.restart("version 1");
        chipped
    }

    /// The machine is switched off and on, and runs `code`: a register is extended once after each start.
    fn restart(&mut self, code: &str) {
        drop(self.tpm.take());
        self.machine.install(code);
        self.tpm = Some(SoftwareTpm::power_on(&self.chip));
    }

    /// The chip's key, in a file for those who shall trust this machine.
    fn pinned(&self) -> String {
        let config = self.machine.config();
        let measured = tee::measured_as_one(&master::measured(&config).unwrap());
        let TpmAddress::Unix(socket) = self.tpm.as_ref().unwrap().address.clone() else {
            panic!("no socket")
        };
        let address = TpmConfig::new(TpmAddress::Unix(socket));
        let platform = TpmPlatform::open(&address, &self.machine.dir, &measured).unwrap();
        let file = self.machine.dir.join("attestation-key");
        fs::write(&file, platform.attestation_key()).unwrap();
        file.display().to_string()
    }

    fn state(&self) -> PathBuf {
        self.machine.dir.join("master")
    }
}

/// Everything that lies in a directory, but sockets.
fn copy_all(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let (kind, target) = (entry.file_type().unwrap(), to.join(entry.file_name()));
        if kind.is_dir() {
            copy_all(&entry.path(), &target);
        } else if kind.is_file() {
            fs::copy(entry.path(), target).unwrap();
        }
    }
}

/// Writes to the store of a master that does not run.
async fn write(on: &Chipped, value: &str) {
    let config = on.machine.config();
    let key = master::store_key(&config, master::kept(&config).unwrap()).unwrap();
    let state = on.state();
    fs::create_dir_all(state.join("anchor")).unwrap();
    let settings = store::Config::new(state.join("store"), key);
    let store = store::Store::open(settings.with_anchor_file(state.join("anchor/store.anchor"))).unwrap();
    let request = PutRequest { key: "k".into(), value: value.to_owned().into(), ..PutRequest::default() };
    store.put(request).await.unwrap();
    store.close();
}

/// Runs the master until what it has is anchored on chain.
async fn anchor(on: &Chipped) {
    let running = on.machine.start_master(&[]).await;
    on.machine.ok(&["anchor"]).await;
    drop(running);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_machine_with_a_tpm_opens_its_state_and_no_other_does_until_the_committee_says_so() {
    let devnet = devnet().await;
    let (root, url) = (tempfile::tempdir().unwrap(), devnet.url());
    let mut first = Chipped::new(root.path(), "first", &url, "");
    first.machine.ok(&["publish", "--allow-simulated"]).await;
    let identity = first.machine.ok(&["master", "--print-identity"]).await;
    assert_eq!((&identity["platform"], &identity["simulated"]), (&"tpm".into(), &true.into()));
    first.machine.allow(&identity).await;
    let mut second = Chipped::new(root.path(), "second", &url, "");
    let third = Chipped::new(root.path(), "third", &url, "");
    let pins = [first.pinned(), second.pinned(), third.pinned()];
    let certs: Vec<&str> = pins.iter().flat_map(|pin| ["--certs", pin]).collect();
    let verifier = verifier(&first.machine, &certs).await;
    establish(&devnet, &first.machine, &verifier).await;

    // Two of three holders, who trust these machines' chips.
    let (package, cluster) =
        (first.machine.id("package").to_string(), first.machine.id("cluster").to_string());
    let on_chain = ["--package", &package, "--cluster", &cluster];
    let (mut holders, mut named) = (Vec::new(), Vec::new());
    for name in ["a", "b", "c"] {
        let machine = Machine::new(root.path(), name, &url, "");
        let key = machine.ok(&["custodian", "--print-key"]).await["publicKey"].as_str().unwrap().to_owned();
        let serve = [&["custodian", "--listen", "127.0.0.1:0"], &on_chain[..], &certs].concat();
        let service = machine.serve(&serve).await;
        named.push(format!("{name}={key}@{}", service.url));
        holders.push(service);
    }
    let mut deal = vec!["committee", "deal", "--threshold", "2"];
    named.iter().for_each(|holder| deal.extend(["--holder", holder]));
    assert_eq!(first.machine.ok(&deal).await["hold"], 3);

    // The same machine after a restart; an older copy of its disk, which its chip opens, but which the chain knows to be old.
    write(&first, "before").await;
    anchor(&first).await;
    let old = root.path().join("old");
    copy_all(&first.state(), &old);
    first.restart("version 1");
    write(&first, "after").await;
    anchor(&first).await;
    let newest = root.path().join("newest");
    fs::rename(first.state(), &newest).unwrap();
    copy_all(&old, &first.state());
    assert_eq!(first.machine.ca_hash().await, identity["caHash"], "the chip opens it");
    let refused = first.machine.fails(&["master"], 3).await;
    assert!(refused.contains("refusing to serve"), "{refused}");
    fs::remove_dir_all(first.state()).unwrap();
    fs::rename(&newest, first.state()).unwrap();
    drop(first.machine.start_master(&[]).await);

    // All of it on another machine: another chip. The committee gives it the secret, and then it is that machine's own.
    copy_all(&first.state(), &second.state());
    let refused = second.machine.fails(&["master", "--print-identity"], 1).await;
    assert!(refused.contains("the object belongs to another TPM"), "{refused}");
    let holder = holders[2].url.clone();
    drop(holders.remove(0));
    let recover = [&["committee", "recover", "--timeout", "20", "--holder", &holder], &on_chain[..]].concat();
    assert_eq!(second.machine.ok(&recover).await["recovered"], true);
    let recovered = second.machine.ok(&["master", "--print-identity"]).await;
    assert_eq!(recovered["caHash"], identity["caHash"]);
    assert_ne!(recovered["publicKey"], identity["publicKey"]);
    second.restart("version 1");
    assert_eq!(second.machine.ok(&["master", "--print-identity"]).await, recovered);

    // One fewer than it takes.
    drop(holders.remove(0));
    copy_all(&first.state(), &third.state());
    let alone = [&["committee", "recover", "--timeout", "8", "--holder", &holder], &on_chain[..]].concat();
    let refused = third.machine.fails(&alone, 1).await;
    assert!(refused.contains("1 of 2 shares"), "{refused}");
    third.machine.fails(&["master", "--print-identity"], 1).await;

    // An upgrade on the right machine: of this code once the chain allows it, and of no other.
    let next = root.path().join("next");
    fs::write(&next, "version 2").unwrap();
    let hand_over = ["attest", "hand-over", "--to", next.to_str().unwrap()];
    assert!(first.machine.fails(&hand_over, 3).await.contains("does not allow the next build"));
    first.restart("version 2");
    let refused = first.machine.fails(&["master", "--print-identity"], 1).await;
    assert!(refused.contains("sealed to other code"), "{refused}");
    first.restart("version 1");
    let foretold = first.machine.ok(&[&hand_over[..], &["--dry-run"]].concat()).await;
    first.machine.allow(&foretold).await;
    assert_eq!(first.machine.ok(&hand_over).await["handedOver"], true);
    first.restart("version 3");
    first.machine.fails(&["master", "--print-identity"], 1).await;
    first.restart("version 2");
    let upgraded = first.machine.ok(&["master", "--print-identity"]).await;
    assert_eq!(upgraded["caHash"], identity["caHash"]);
    assert_eq!(upgraded["measurements"], foretold["measurements"]);
}
