//! The process is killed by SIGKILL before each step, on a development chain; after a restart everything was
//! said exactly once.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use chain::{Economics, EnclaveClaims, Keypair, Measurement, Share, State, Tier};
use devnet::Devnet;
use tee::SealingKey;

use super::*;
use crate::Id;
use crate::facts;

const SUI: u64 = 1_000_000_000;
const DAY_MS: u64 = 86_400_000;
pub(crate) const SEALING: [u8; 32] = [5; 32];
/// What a child is told by its environment.
const TOLD: &str = "K3S_DAAS_TEST_OUTBOX";

pub(crate) struct Scene {
    pub(crate) devnet: Devnet,
    pub(crate) client: Client,
    pub(crate) calls: Calls,
    pub(crate) cluster: chain::Cluster,
    pub(crate) enclave: Address,
    pub(crate) operator: Keypair,
    pub(crate) holder: Keypair,
    pub(crate) staker: Keypair,
}

impl Scene {
    pub(crate) async fn start(dir: &Path) -> Scene {
        let framework = concat!(env!("CARGO_MANIFEST_DIR"), "/../../.cache/framework.bcs");
        let framework: std::path::PathBuf =
            std::env::var_os("K3S_DAAS_FRAMEWORK").map_or_else(|| framework.into(), Into::into);
        let devnet = Devnet::start(devnet::Config::in_memory(framework)).await.unwrap();
        let client = Client::connect(&devnet.url()).await.unwrap();
        let (operator, staker, holder) =
            (Keypair::generate().unwrap(), Keypair::generate().unwrap(), Keypair::generate().unwrap());
        for wallet in [&operator, &staker] {
            devnet.faucet(wallet.address(), 100 * SUI).await.unwrap();
        }
        let calls = Calls::new(client.publish(&operator, &chain::package::bundled()).await.unwrap().package);
        let run = async |wallet: &Keypair, draft: &Draft| {
            client.execute(wallet, draft).await.unwrap().events_of(calls.package())
        };
        let receipt = client.execute(&operator, &calls.create_cluster("test", true)).await.unwrap();
        let (created, admin) = receipt.founded(calls.package()).unwrap();
        let cluster: chain::Cluster = client.read(calls.package(), created.cluster).await.unwrap();

        let sealing = SealingKey::from_bytes(SEALING);
        let key = EnclaveKey::open_or_create(&dir.join("enclave.key"), &sealing).unwrap();
        let verifier = Keypair::generate().unwrap();
        let measurement = Measurement::new("simulated", &BTreeMap::from([("code".to_owned(), vec![7; 48])]));
        run(&operator, &calls.set_verifiers(cluster.registry, admin, &[verifier.public_key()], 1)).await;
        run(&operator, &calls.allow_measurement(cluster.registry, admin, &measurement)).await;
        let now_ms = client.service_info().await.unwrap().timestamp_ms;
        let claims = EnclaveClaims {
            cluster: cluster.id,
            measurement,
            public_key: key.public_key().to_vec(),
            expires_ms: now_ms + 29 * DAY_MS,
        };
        let verified = claims.sign_all(&[&verifier], now_ms).unwrap();
        let events = run(&operator, &calls.register_enclave(cluster.registry, &verified)).await;
        let [Event::EnclaveRegistered(registered)] = &events[..] else { panic!("{events:?}") };
        let enclave = registered.enclave;
        devnet.advance_clock(Duration::from_millis(DAY_MS + 3_600_000)).await.unwrap();
        Scene { devnet, client, calls, cluster, enclave, operator, holder, staker }
    }

    pub(crate) async fn run(&self, wallet: &Keypair, draft: &Draft) -> Vec<Event> {
        self.client.execute(wallet, draft).await.unwrap().events_of(self.calls.package())
    }

    /// What a master has to say after one more day: an epoch, a downtime and a contradiction of a new stake.
    pub(crate) async fn letters(&self, day: u64) -> Vec<Letter> {
        let (calls, cluster) = (&self.calls, &self.cluster);
        self.run(&self.operator, &calls.fund(cluster.pool, 1_000_000)).await;
        let events = self.run(&self.staker, &calls.stake(cluster.id, Tier::Node, 1_000_000)).await;
        let [Event::Staked(staked)] = &events[..] else { panic!("{events:?}") };
        let (name, key) = (format!("n{day}"), self.holder.public_key());
        let draft = calls.issue_token(staked.stake, cluster.id, cluster.names, &key, &name);
        let events = self.run(&self.staker, &draft).await;
        let [Event::TokenIssued(issued)] = &events[..] else { panic!("{events:?}") };
        self.devnet.advance_clock(Duration::from_millis(DAY_MS + 1_000)).await.unwrap();
        let to_ms = self.client.service_info().await.unwrap().timestamp_ms;
        let from_ms = to_ms - DAY_MS;
        let id = |address: Address| facts::id(address);
        let share = Share { stake: staked.stake, owner: staked.owner, weight: 7 };
        let statement = |digest: u8| {
            let statement = NodeStatement {
                cluster: self.cluster.id,
                token: issued.token,
                subject: b"k3s-daas/heartbeat/test".to_vec(),
                sequence: day,
                digest: vec![digest; 32],
            };
            let signed = SignedNodeStatement::sign(statement, day, &self.holder).unwrap();
            (Id([digest; 32]), hex::encode(signed.signature))
        };
        let digest = Id([u8::try_from(day).unwrap(); 32]);
        vec![
            Letter::Epoch(EpochLetter { from_ms, to_ms, shares: vec![share] }),
            Letter::Downtime(DowntimeLetter { stake: id(staked.stake), from_ms, to_ms, up_ms: 5, digest }),
            Letter::Contradiction(ContradictionLetter {
                stake: id(staked.stake),
                token: id(issued.token),
                public_key: Id(self.holder.public_key()),
                subject: hex::encode(b"k3s-daas/heartbeat/test"),
                sequence: day,
                statements: [statement(1), statement(2)],
            }),
        ]
    }

    /// Runs a master's outbox in a process of its own, which kills itself before its `kill_at`th step. Says
    /// whether it came to its end.
    pub(crate) fn child(&self, dir: &Path, letters: &[Letter], kill_at: u64) -> bool {
        let told = Told {
            url: self.devnet.url(),
            dir: dir.to_owned(),
            package: self.calls.package(),
            cluster: self.cluster.id,
            enclave: self.enclave,
            wallet: self.operator.to_bech32().unwrap().to_string(),
            letters: letters.to_vec(),
            kill_at,
        };
        let status = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "outbox::kills::child", "--ignored", "--nocapture"])
            .env(TOLD, serde_json::to_string(&told).unwrap())
            .stdout(std::process::Stdio::null())
            .status()
            .unwrap();
        use std::os::unix::process::ExitStatusExt;
        assert!(status.success() || status.signal() == Some(9), "{status}");
        status.success()
    }

    pub(crate) async fn state(&self) -> State {
        let mut state = State::new(self.cluster.id);
        let cursor = self.client.start_of(self.calls.package()).await.unwrap();
        self.client.catch_up(self.calls.package(), &mut state, &cursor).await.unwrap();
        state
    }
}

#[derive(serde::Serialize, serde::Deserialize)]
struct Told {
    url: String,
    dir: std::path::PathBuf,
    package: Address,
    cluster: Address,
    enclave: Address,
    wallet: String,
    letters: Vec<Letter>,
    kill_at: u64,
}

/// The process that is killed; run by the test below.
#[tokio::test]
#[ignore = "is run by everything_is_said_exactly_once, with its environment"]
async fn child() {
    use std::sync::atomic::{AtomicU64, Ordering};

    let told: Told = serde_json::from_str(&std::env::var(TOLD).unwrap()).unwrap();
    let client = Client::connect(&told.url).await.unwrap();
    let sealing = SealingKey::from_bytes(SEALING);
    let (steps, kill_at) = (AtomicU64::new(0), told.kill_at);
    let witness: Witness = Arc::new(move |_| {
        if steps.fetch_add(1, Ordering::SeqCst) == kill_at {
            // No handler runs, nothing is flushed: as when the machine's power goes.
            let me = rustix::process::getpid();
            rustix::process::kill_process(me, rustix::process::Signal::KILL).unwrap();
            std::process::abort();
        }
    });
    let mut outbox = Outbox {
        post: Post {
            client: client.clone(),
            wallet: Arc::new(Keypair::from_bech32(&told.wallet).unwrap()),
            drawer: Drawer::open(&told.dir.join("ledger"), &sealing).unwrap(),
            witness,
        },
        key: Arc::new(EnclaveKey::open_or_create(&told.dir.join("enclave.key"), &sealing).unwrap()),
        calls: Calls::new(told.package),
        gateway_url: "https://gateway".to_owned(),
        pauses: HashMap::new(),
    };
    for letter in &told.letters {
        outbox.note(letter).unwrap();
    }
    let addressee = Addressee {
        cluster: client.read(told.package, told.cluster).await.unwrap(),
        enclave: told.enclave,
        economics: Economics::default(),
    };
    for round in 0..100 {
        let mut outcomes = Vec::new();
        outbox.deliver(&addressee, round * 600_000, |_, outcome| outcomes.push(outcome)).await.unwrap();
        if outbox.letters().unwrap().is_empty() {
            return;
        }
    }
    panic!("the letters are not taken");
}

#[tokio::test(flavor = "multi_thread")]
async fn everything_is_said_exactly_once() {
    let dir = tempfile::tempdir().unwrap();
    let scene = Scene::start(dir.path()).await;
    let mut day = 0;
    // Each round a new day's letters; the process dies before step 0, 1, 2, ... until it dies no more.
    loop {
        let letters = scene.letters(day + 1).await;
        let ended = scene.child(dir.path(), &letters, day);
        if !ended {
            // What was found before the crash is found again after it, or was on disk already.
            assert!(scene.child(dir.path(), &letters, u64::MAX));
        }
        day += 1;
        let state = scene.state().await;
        let epochs: Vec<u64> = state.money.epochs.values().map(|epoch| epoch.number).collect();
        assert_eq!(epochs.len() as u64, day, "after a kill before step {}: {epochs:?}", day - 1);
        assert_eq!(state.money.cases.len() as u64, 2 * day, "after a kill before step {}", day - 1);
        if ended {
            break;
        }
    }
    // Three letters with seven steps each were cut at every place.
    assert!(day > 3 * Step::ALL.len() as u64, "{day} kills only");
    let drawer = Drawer::open(&dir.path().join("ledger"), &SealingKey::from_bytes(SEALING)).unwrap();
    let left = drawer.keys().unwrap();
    assert!(left.iter().all(|key| key.starts_with("rewards-")), "{left:?}");
    assert_eq!(left.len() as u64, day);
}
