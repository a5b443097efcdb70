//! A cluster's secret from machine to machine and from build to build, by the binary alone: custodians, a verifier and the contracts on a
//! development chain. Machines are state directories with a simulated platform each; no Kubernetes runs.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use chain::{Address, Calls, Client, Keypair, Place};
use custody::{OnChain, Registrar, Registration};
use devnet::{Config, Devnet};
use serde_json::Value;

/// One machine.
struct Machine {
    dir: PathBuf,
    chain: String,
}

/// A service of the binary; ends with the test.
struct Service {
    process: Child,
    url: String,
}

impl Drop for Service {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

impl Machine {
    /// Runs `code`; what it seals is bound to exactly that.
    fn new(root: &Path, name: &str, chain: &str, code: &str) -> Self {
        let machine = Self { dir: root.join(name), chain: chain.to_owned() };
        fs::create_dir_all(&machine.dir).unwrap();
        machine.install(code);
        fs::write(machine.dir.join("kubernetes"), "kubernetes").unwrap();
        let at = |file: &str| machine.dir.join(file).display().to_string();
        let config = format!(
            "[master]\nkubernetes_binary = {:?}\n[master.tee]\nseal_to = \"measurement\"\nmeasured_file = {:?}\n",
            at("kubernetes"),
            at("code")
        );
        fs::write(machine.dir.join("config.toml"), config).unwrap();
        machine
    }

    fn install(&self, code: &str) {
        fs::write(self.dir.join("code"), code).unwrap();
    }

    fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_k3s-daas"));
        command.arg("--state-dir").arg(&self.dir).arg("--config").arg(self.dir.join("config.toml"));
        command.args(["--chain", &self.chain, "-o", "json"]).args(args).env_clear().stdin(Stdio::null());
        command
    }

    async fn run(&self, args: &[&str]) -> Output {
        let mut command = self.command(args);
        tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap()
    }

    async fn ok(&self, args: &[&str]) -> Value {
        let output = self.run(args).await;
        let words = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.success(), "{args:?}: {words}");
        serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{args:?}: {error}: {words}"))
    }

    async fn fails(&self, args: &[&str], code: i32) -> String {
        let output = self.run(args).await;
        let words = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(code), "{args:?}: {words}");
        words
    }

    /// Starts a service and waits until it says where it is.
    async fn serve(&self, args: &[&str]) -> Service {
        let mut command = self.command(args);
        tokio::task::spawn_blocking(move || {
            let mut process = command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
            let mut lines = BufReader::new(process.stderr.take().unwrap()).lines();
            let url = lines.find_map(|line| Some(line.unwrap().split_once(" at http://")?.1.to_owned()));
            // What it says later has to go somewhere.
            std::thread::spawn(move || lines.for_each(drop));
            Service { process, url: format!("http://{}", url.unwrap()) }
        })
        .await
        .unwrap()
    }

    async fn ca_hash(&self) -> Value {
        self.ok(&["master", "--print-identity"]).await["caHash"].clone()
    }

    fn id(&self, name: &str) -> Address {
        let text = fs::read_to_string(self.dir.join("deployment.json")).unwrap();
        serde_json::from_str::<Value>(&text).unwrap()[name].as_str().unwrap().parse().unwrap()
    }

    async fn allow(&self, measurements: &Value) {
        let values: Vec<String> = measurements
            .as_object()
            .unwrap()
            .iter()
            .map(|(name, value)| format!("{name}={}", value.as_str().unwrap()))
            .collect();
        let mut args = vec!["enclave", "allow"];
        values.iter().for_each(|value| args.extend(["--measurement", value]));
        self.ok(&args).await;
    }
}

fn now_ms() -> u64 {
    u64::try_from(SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis()).unwrap()
}

fn copy(from: &Machine, to: &Machine, file: &str) {
    let target = to.dir.join("master/sealed");
    fs::create_dir_all(&target).unwrap();
    fs::copy(from.dir.join("master/sealed").join(file), target.join(file)).unwrap();
}

/// Has the first machine's enclave verified and registered, and puts it at the cluster's place.
async fn establish(devnet: &Devnet, first: &Machine, verifier: &Service) {
    let client = Client::connect(&devnet.url()).await.unwrap();
    let (package, cluster) = (first.id("package"), first.id("cluster"));
    let trusted = OnChain::new(client.clone(), package, cluster);
    let mut config = master::Config { state_dir: first.dir.join("master"), ..Default::default() };
    config.kubernetes_binary = first.dir.join("kubernetes");
    config.tee.measured_file = Some(first.dir.join("code"));
    let newcomer = master::Newcomer::open(&config).unwrap();
    let ca_hash = master::identity(&config).unwrap().ca_hash;
    let registrar = Registrar {
        platform: newcomer.platform.clone(),
        verifiers: vec![verifier.url.clone()],
        clock: Arc::new(now_ms),
    };
    let public_key = newcomer.key.public_key();
    let what = Registration { cluster, public_key, ca_hash, expires_ms: now_ms() + 3_600_000 };
    let registry = trusted.read(None).await.unwrap().registry;
    let verified = registrar.collect(&what, &registry).await.unwrap();
    let claims = first.dir.join("claims.json");
    fs::write(&claims, serde_json::to_vec(&verified).unwrap()).unwrap();
    first.ok(&["enclave", "register", claims.to_str().unwrap()]).await;

    let listed = first.ok(&["enclave", "list"]).await;
    let enclave: Address = listed["enclaves"][0]["enclaveId"].as_str().unwrap().parse().unwrap();
    let (gateway, apiserver) = ("https://127.0.0.1:9345".to_owned(), "https://127.0.0.1:6443".to_owned());
    let place = Place { cluster, gateway, apiserver, ca_hash: ca_hash.to_vec() };
    let now = now_ms();
    let signature = newcomer.key.sign(chain::INTENT_ENDPOINT, now, &place.payload(enclave).unwrap());
    let wallet = Keypair::generate().unwrap();
    devnet.faucet(wallet.address(), 5_000_000_000).await.unwrap();
    let draft = Calls::new(package).set_place(registry.id, enclave, &place, now, &signature);
    client.execute(&wallet, &draft).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn the_secret_goes_where_the_chain_allows_and_nowhere_else() {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let default = concat!(env!("CARGO_MANIFEST_DIR"), "/../../.cache/framework.bcs");
    let framework = std::env::var_os("K3S_DAAS_FRAMEWORK").map_or_else(|| default.into(), PathBuf::from);
    assert!(framework.exists(), "{} is missing: run `make setup`", framework.display());
    let devnet = Devnet::start(Config::in_memory(framework)).await.unwrap();
    let (root, url) = (tempfile::tempdir().unwrap(), devnet.url());
    let first = Machine::new(root.path(), "first", &url, "version 1");
    first.ok(&["publish", "--allow-simulated"]).await;
    let identity = first.ok(&["master", "--print-identity"]).await;
    first.allow(&identity["measurements"]).await;

    let key = Keypair::generate().unwrap();
    let key_file = root.path().join("verifier.key");
    fs::write(&key_file, key.to_bech32().unwrap().as_bytes()).unwrap();
    let verifier = ["verifier", "--listen", "127.0.0.1:0", "--key", key_file.to_str().unwrap()];
    assert!(first.fails(&verifier, 2).await.contains("chmod 600"), "others may read it");
    fs::set_permissions(&key_file, std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
    let verifier = first.serve(&verifier).await;
    first.ok(&["enclave", "verifiers", "--verifier", &hex::encode(key.public_key())]).await;
    establish(&devnet, &first, &verifier).await;

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
    first.allow(&foretold["measurements"]).await;
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
    let alone = [&["committee", "recover", "--timeout", "3", "--holder", &holder], &on_chain[..]].concat();
    let refused = fourth.fails(&alone, 1).await;
    assert!(refused.contains("1 of 2 shares"), "{refused}");
    assert!(!fourth.dir.join("master/sealed/cluster.secret").exists());
}
