//! Machines of one test: state directories in which the binary runs, on a development chain.

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU16, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

use chain::{Address, Calls, Client, Keypair, Place};
use custody::{OnChain, Registrar, Registration};
use devnet::{Config, Devnet};
use serde_json::Value;

/// One machine.
pub(crate) struct Machine {
    pub(crate) dir: PathBuf,
    chain: String,
}

/// A service of the binary; ends with the test.
pub(crate) struct Service {
    process: Child,
    pub(crate) url: String,
}

impl Drop for Service {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

impl Machine {
    /// Runs `code`; what it seals is bound to exactly that.
    pub(crate) fn new(root: &Path, name: &str, chain: &str, code: &str) -> Self {
        let machine = Self { dir: root.join(name), chain: chain.to_owned() };
        fs::create_dir_all(&machine.dir).unwrap();
        machine.install(code);
        // In place of every program of Kubernetes.
        let kubernetes = machine.dir.join("kubernetes");
        fs::write(&kubernetes, "#!/bin/sh\nexec sleep 600\n").unwrap();
        fs::set_permissions(&kubernetes, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
        machine.configure("", "");
        machine
    }

    /// Writes the configuration anew: lines of `[master]`, and of `[master.tee]` with what follows.
    pub(crate) fn configure(&self, master: &str, tee: &str) {
        let at = |file: &str| self.dir.join(file).display().to_string();
        let config = format!(
            "[master]\nkubernetes_binary = {:?}\n{master}\n[master.tee]\nseal_to = \"measurement\"\nmeasured_file = {:?}\n{tee}",
            at("kubernetes"),
            at("code")
        );
        fs::write(self.dir.join("config.toml"), config).unwrap();
    }

    /// The master's configuration as this test would open it.
    pub(crate) fn config(&self) -> master::Config {
        let text = fs::read_to_string(self.dir.join("config.toml")).unwrap();
        let config: toml::Table = toml::from_str(&text).unwrap();
        let config: master::Config = config["master"].clone().try_into().unwrap();
        master::Config { state_dir: self.dir.join("master"), ..config }
    }

    pub(crate) fn install(&self, code: &str) {
        fs::write(self.dir.join("code"), code).unwrap();
    }

    pub(crate) fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_k3s-daas"));
        command.arg("--state-dir").arg(&self.dir).arg("--config").arg(self.dir.join("config.toml"));
        command.args(["--chain", &self.chain, "-o", "json"]).args(args).env_clear().stdin(Stdio::null());
        command
    }

    /// The address of the operator's wallet.
    pub(crate) async fn operator(&self) -> Value {
        let wallets = self.ok(&["wallet", "list"]).await;
        let operator = wallets.as_array().unwrap().iter().find(|wallet| wallet["name"] == "operator");
        operator.unwrap()["address"].clone()
    }

    /// The store of a master that does not run.
    pub(crate) fn open_store(&self, anchored: bool) -> store::Store {
        let config = self.config();
        let key = master::store_key(&config, master::kept(&config).unwrap()).unwrap();
        let mut settings = store::Config::new(config.state_dir.join("store"), key);
        settings.held_history_bytes = config.snapshots.history_bytes;
        if anchored {
            fs::create_dir_all(config.state_dir.join("anchor")).unwrap();
            settings = settings.with_anchor_file(config.state_dir.join("anchor/store.anchor"));
        }
        store::Store::open(settings).unwrap()
    }

    pub(crate) async fn run(&self, args: &[&str]) -> Output {
        let mut command = self.command(args);
        tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap()
    }

    pub(crate) async fn ok(&self, args: &[&str]) -> Value {
        let output = self.run(args).await;
        let words = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.success(), "{args:?}: {words}");
        serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{args:?}: {error}: {words}"))
    }

    pub(crate) async fn fails(&self, args: &[&str], code: i32) -> String {
        let output = self.run(args).await;
        let words = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(code), "{args:?}: {words}");
        words
    }

    /// Starts the master and waits until it runs.
    pub(crate) async fn start_master(&self, args: &[&str]) -> Service {
        self.start(&[&["master"], args].concat(), |line| line.contains("the master runs").then(String::new))
            .await
    }

    /// Starts a service and waits until it says where it is.
    pub(crate) async fn serve(&self, args: &[&str]) -> Service {
        self.start(args, |line| Some(format!("http://{}", line.split_once(" at http://")?.1))).await
    }

    /// Starts a program and waits until a line of its log says what `url` looks for.
    pub(crate) async fn start(
        &self,
        args: &[&str],
        url: impl Fn(&str) -> Option<String> + Send + 'static,
    ) -> Service {
        let mut command = self.command(args);
        tokio::task::spawn_blocking(move || {
            let mut process = command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
            let mut lines = BufReader::new(process.stderr.take().unwrap()).lines();
            let mut said = String::new();
            let url = lines.find_map(|line| {
                let line = line.unwrap();
                said.push_str(&line);
                said.push('\n');
                url(&line)
            });
            // What it says later has to go somewhere.
            std::thread::spawn(move || lines.for_each(drop));
            Service { process, url: url.unwrap_or_else(|| panic!("it ended: {said}")) }
        })
        .await
        .unwrap()
    }

    pub(crate) async fn ca_hash(&self) -> Value {
        self.ok(&["master", "--print-identity"]).await["caHash"].clone()
    }

    pub(crate) fn id(&self, name: &str) -> Address {
        let text = fs::read_to_string(self.dir.join("deployment.json")).unwrap();
        serde_json::from_str::<Value>(&text).unwrap()[name].as_str().unwrap().parse().unwrap()
    }

    /// Allows what the binary said of a build: its platform and measurements.
    pub(crate) async fn allow(&self, build: &Value) {
        let values: Vec<String> = build["measurements"]
            .as_object()
            .unwrap()
            .iter()
            .map(|(name, value)| format!("{name}={}", value.as_str().unwrap()))
            .collect();
        let mut args = vec!["enclave", "allow", "--platform", build["platform"].as_str().unwrap()];
        values.iter().for_each(|value| args.extend(["--measurement", value]));
        self.ok(&args).await;
    }
}

pub(crate) fn now_ms() -> u64 {
    u64::try_from(SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis()).unwrap()
}

/// A port that nobody listens on, below those that the kernel gives to connections: it is still free when it is needed, or needed again.
pub(crate) fn free_port() -> u16 {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    let first = u16::try_from(std::process::id() % 9_000).unwrap();
    for _ in 0..1_000 {
        let port = 20_000 + (first + NEXT.fetch_add(1, Ordering::Relaxed)) % 12_000;
        if std::net::TcpListener::bind(("127.0.0.1", port)).is_ok() {
            return port;
        }
    }
    panic!("no port is free");
}

pub(crate) fn copy(from: &Machine, to: &Machine, file: &str) {
    let target = to.dir.join("master/sealed");
    fs::create_dir_all(&target).unwrap();
    fs::copy(from.dir.join("master/sealed").join(file), target.join(file)).unwrap();
}

/// A development chain. The framework is what `make setup` fetched.
pub(crate) async fn devnet() -> Devnet {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let default = concat!(env!("CARGO_MANIFEST_DIR"), "/../../.cache/framework.bcs");
    let framework = std::env::var_os("K3S_DAAS_FRAMEWORK").map_or_else(|| default.into(), PathBuf::from);
    assert!(framework.exists(), "{} is missing: run `make setup`", framework.display());
    Devnet::start(Config::in_memory(framework)).await.unwrap()
}

/// A verifier in `machine`'s state directory, that the cluster there names as its only one.
pub(crate) async fn verifier(machine: &Machine, certs: &[&str]) -> Service {
    let key = Keypair::generate().unwrap();
    let file = machine.dir.join("verifier.key");
    fs::write(&file, key.to_bech32().unwrap().as_bytes()).unwrap();
    let verifier = ["verifier", "--listen", "127.0.0.1:0", "--key", file.to_str().unwrap()];
    assert!(machine.fails(&verifier, 2).await.contains("chmod 600"), "others may read it");
    fs::set_permissions(&file, std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
    let service = machine.serve(&[&verifier, certs].concat()).await;
    machine.ok(&["enclave", "verifiers", "--verifier", &hex::encode(key.public_key())]).await;
    service
}

/// The first machine of a new cluster, registered and at its place, with the verifier that saw it and what its master says of itself.
pub(crate) async fn founded(devnet: &Devnet, root: &Path) -> (Machine, Service, Value) {
    let first = Machine::new(root, "first", &devnet.url(), "version 1");
    first.ok(&["publish", "--allow-simulated"]).await;
    let identity = first.ok(&["master", "--print-identity"]).await;
    first.allow(&identity).await;
    let verifier = verifier(&first, &[]).await;
    establish(devnet, &first, &verifier).await;
    (first, verifier, identity)
}

/// Has the first machine's enclave verified and registered, and puts it at the cluster's place.
pub(crate) async fn establish(devnet: &Devnet, first: &Machine, verifier: &Service) {
    let client = Client::connect(&devnet.url()).await.unwrap();
    let (package, cluster) = (first.id("package"), first.id("cluster"));
    let trusted = OnChain::new(client.clone(), package, cluster);
    let config = first.config();
    // One after the other: a TPM in software serves one at a time.
    let ca_hash = master::identity(&config, master::kept(&config).unwrap()).unwrap().ca_hash;
    let newcomer = master::Newcomer::open(&config).unwrap();
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
