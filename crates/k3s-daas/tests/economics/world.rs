//! A development chain with contracts on it, and the binary that is run against it.

use std::path::PathBuf;
use std::process::{Command, Output, Stdio};
use std::time::Duration;

use chain::{
    Address, Client, EnclaveClaims, EnclavePayload, EnclaveStatement, Keypair, Measurement, VerifiedClaims,
};
use devnet::{Config, Devnet, SimulatedNitro};
use serde::Serialize;
use serde_json::Value;

pub(crate) const HOUR_MS: u64 = 3_600_000;
pub(crate) const DAY_MS: u64 = 24 * HOUR_MS;

pub(crate) struct World {
    pub(crate) chain: Devnet,
    pub(crate) dir: tempfile::TempDir,
    pub(crate) nitro: SimulatedNitro,
}

/// An enclave that the cluster listens to, and its key.
pub(crate) struct Enclave {
    pub(crate) id: Address,
    pub(crate) key: Keypair,
}

impl World {
    pub(crate) async fn start() -> World {
        let framework = std::env::var_os("K3S_DAAS_FRAMEWORK").map_or_else(
            || PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../.cache/framework.bcs")),
            PathBuf::from,
        );
        assert!(framework.exists(), "{} is missing: run `make setup`", framework.display());
        let nitro = SimulatedNitro::generate().unwrap();
        let root = Some(nitro.root().to_vec());
        let config = Config { simulated_nitro_root: root, ..Config::in_memory(framework) };
        World { chain: Devnet::start(config).await.unwrap(), dir: tempfile::tempdir().unwrap(), nitro }
    }

    /// A world with contracts and a cluster, and money in the staker's wallet.
    pub(crate) async fn published() -> World {
        let world = World::start().await;
        world.ok(&["publish", "--allow-simulated"]).await;
        world.ok(&["wallet", "new", "staker"]).await;
        world.chain.faucet(world.wallet("staker"), 5_000_000_000).await.unwrap();
        world
    }

    pub(crate) fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_k3s-daas"));
        command.arg("--state-dir").arg(self.dir.path()).args(["--chain", &self.chain.url()]);
        command.args(args).env_clear().stdin(Stdio::null());
        command
    }

    pub(crate) async fn run(&self, args: &[&str]) -> Output {
        let mut command = self.command(args);
        command.args(["-o", "json"]);
        tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap()
    }

    /// What a command answers that has to succeed.
    pub(crate) async fn ok(&self, args: &[&str]) -> Value {
        let output = self.run(args).await;
        let words = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.success(), "{args:?}: {words}");
        serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{args:?}: {error}: {words}"))
    }

    /// The same as people read it; `NO_COLOR` and no terminal, so it is plain.
    pub(crate) async fn read(&self, args: &[&str]) -> String {
        let mut command = self.command(args);
        let output = tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap();
        let words = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.success(), "{args:?}: {words}");
        let text = String::from_utf8(output.stdout).unwrap();
        println!("$ k3s-daas {}\n{text}{words}", args.join(" "));
        text
    }

    /// Says what it would do, to programs and to people, then does it: the same events, which most calls have once only,
    /// so nothing has happened before. The answer.
    pub(crate) async fn both(&self, args: &[&str]) -> Value {
        let dry = self.ok(&[args, &["--dry-run"]].concat()).await;
        assert_eq!(dry["dryRun"], true, "{args:?}");
        assert!(dry["gasMist"].is_i64() && !events(&dry).is_empty(), "{args:?}: {dry}");
        let told = self.read(&[args, &["--dry-run"]].concat()).await;
        assert!(told.contains("gas: ") && told.contains("BALANCE OF"), "{args:?}: {told}");
        let done = self.ok(args).await;
        if done["events"].is_array() {
            assert_eq!(events(&done), events(&dry), "{args:?}: what was said was done");
        }
        done
    }

    /// The words of a command that has to end with this exit code, which say what to do.
    pub(crate) async fn fails(&self, args: &[&str], code: i32) -> String {
        let output = self.run(args).await;
        let words = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(code), "{args:?}: {words}");
        println!("$ k3s-daas {}\n{words}", args.join(" "));
        words
    }

    pub(crate) fn json(&self, file: &str) -> Value {
        serde_json::from_slice(&std::fs::read(self.dir.path().join(file)).unwrap()).unwrap()
    }

    pub(crate) fn wallet(&self, name: &str) -> Address {
        self.json("wallets/aliases.json")[name].as_str().unwrap().parse().unwrap()
    }

    pub(crate) fn id(&self, name: &str) -> Address {
        self.json("deployment.json")[name].as_str().unwrap().parse().unwrap()
    }

    pub(crate) fn write(&self, name: &str, text: impl AsRef<[u8]>) -> String {
        let path = self.dir.path().join(name);
        std::fs::write(&path, text).unwrap();
        path.to_str().unwrap().to_owned()
    }

    pub(crate) fn write_json(&self, name: &str, value: &impl Serialize) -> String {
        self.write(name, serde_json::to_vec(value).unwrap())
    }

    /// The chain's time.
    pub(crate) fn now(&self) -> u64 {
        self.chain.node().ledger().timestamp_ms()
    }

    pub(crate) async fn advance(&self, ms: u64) {
        self.chain.advance_clock(Duration::from_millis(ms)).await.unwrap();
    }

    pub(crate) async fn client(&self) -> Client {
        Client::connect(&self.chain.url()).await.unwrap()
    }

    /// The verified claims of an enclave, as the file that `enclave register` takes.
    pub(crate) fn claims(
        &self,
        verifier: &Keypair,
        key: &Keypair,
        measurement: Measurement,
    ) -> VerifiedClaims {
        let claims = EnclaveClaims {
            cluster: self.id("cluster"),
            measurement,
            public_key: key.public_key().to_vec(),
            expires_ms: self.now() + 29 * DAY_MS,
        };
        claims.sign_all(&[verifier], self.now()).unwrap()
    }

    /// Makes an enclave, by its verifier's word.
    pub(crate) async fn enclave(&self) -> Enclave {
        let (verifier, key) = (Keypair::generate().unwrap(), Keypair::generate().unwrap());
        let verifier_key = hex::encode(verifier.public_key());
        self.both(&["enclave", "verifiers", "--verifier", &verifier_key]).await;
        self.both(&["enclave", "allow", "--measurement", "code=0101"]).await;
        let measured = Measurement::new("simulated", &[("code".to_owned(), vec![1, 1])].into());
        let claims = self.write_json("claims.json", &self.claims(&verifier, &key, measured));
        let done = self.both(&["enclave", "register", &claims]).await;
        Enclave { id: id_of(&done, "enclave"), key }
    }

    /// What an enclave states now, as a file.
    pub(crate) fn stated<T: EnclavePayload + Serialize>(
        &self,
        by: &Enclave,
        name: &str,
        statement: T,
    ) -> String {
        let stated = EnclaveStatement::sign(statement, by.id, self.now(), &by.key).unwrap();
        self.write_json(name, &stated)
    }
}

/// Names of what has happened, or would.
pub(crate) fn events(answer: &Value) -> Vec<&str> {
    answer["events"].as_array().unwrap().iter().map(|event| event["event"].as_str().unwrap()).collect()
}

/// The id of this name in the first event that has it.
pub(crate) fn id_of(answer: &Value, name: &str) -> Address {
    let events = answer["events"].as_array().unwrap();
    events.iter().find_map(|event| event["data"][name].as_str()).unwrap().parse().unwrap()
}
