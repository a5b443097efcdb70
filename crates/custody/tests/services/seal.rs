//! The secret, sealed to key servers of Seal that are SIMULATED, on the real contracts.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use chain::{Address, Draft, EnclavePayload, EnclaveStatement, Keypair, Sealing};
use custody::{Error, KeyServers, check_possession, read_key_servers};
use tee::custody::CustodyError;
use tee::custody::seal::{EncryptedObject, Identity};
use tee::{ClusterSecret, EnclaveKey};

use crate::key_server::{Mood, SimulatedKeyServer};
use crate::world::{Machine, World, now_ms};

const LIMIT: Duration = Duration::from_secs(20);
const STAND_IN: &[u8] = include_bytes!("../key_server/build/key_server.mv");

/// Three key servers that are on chain.
pub struct Servers {
    pub all: Vec<Arc<SimulatedKeyServer>>,
}

impl Servers {
    pub async fn start(world: &World) -> Self {
        let mut draft = Draft::new();
        let frameworks = [1u8, 2].map(|last| {
            let mut bytes = [0; 32];
            bytes[31] = last;
            Address::new(bytes)
        });
        let cap = draft.publish(vec![STAND_IN.to_vec()], frameworks.to_vec());
        draft.transfer(vec![cap], world.operator.address());
        let package = world.client.execute(&world.operator, &draft).await.unwrap().package().unwrap();
        let mut all = Vec::new();
        for seed in 1..=3 {
            let server = SimulatedKeyServer::new(seed, world.calls.package(), world.client.url());
            let url = world.serve(server.router()).await;
            let name = format!("server {seed}");
            server.register(&world.client, &world.operator, package, &name, &url).await;
            all.push(server);
        }
        Self { all }
    }

    pub fn objects(&self) -> Vec<Address> {
        self.all.iter().map(|server| server.object()).collect()
    }

    pub fn moods(&self, moods: [Mood; 3]) {
        for (server, mood) in self.all.iter().zip(moods) {
            server.be(mood);
            server.said();
        }
    }
}

/// As a master does it: encrypts to the servers, and has the chain keep it.
pub async fn seal(
    world: &World,
    servers: &Servers,
    by: &Machine,
    enclave: Address,
    threshold: u8,
    secret: &ClusterSecret,
) {
    let known = read_key_servers(&world.client, &servers.objects(), &BTreeMap::new()).await.unwrap();
    for server in &known {
        check_possession(server).await.unwrap();
    }
    let cluster = world.cluster.cluster;
    let id = [&cluster.into_inner()[..], &tee::fresh_nonce().unwrap()].concat();
    let identity = Identity { package: world.calls.package().into_inner(), id };
    let keys: Vec<_> = known.iter().map(|server| (server.object, server.key)).collect();
    let object = EncryptedObject::encrypt(secret, &identity, &keys, threshold).unwrap().encode();
    keep(world, by, enclave, object).await;
}

pub async fn keep(world: &World, by: &Machine, enclave: Address, object: Vec<u8>) {
    let statement = Sealing { cluster: world.cluster.cluster, object };
    let now = now_ms();
    let payload = statement.payload(enclave).unwrap();
    let signature = by.key.sign(Sealing::INTENT, now, &payload).to_vec();
    let stated = EnclaveStatement { enclave, timestamp_ms: now, statement, signature };
    world.run(&world.calls.seal(world.cluster.anchor, world.cluster.registry, &stated)).await;
}

pub fn with(machine: Machine) -> (Machine, KeyServers) {
    let Machine { platform, key } = machine;
    let key: Arc<EnclaveKey> = key;
    (Machine { platform, key: key.clone() }, KeyServers { key, urls: BTreeMap::new() })
}

#[tokio::test(flavor = "multi_thread")]
async fn key_servers_bring_the_secret_back_with_one_down_or_lying_and_not_with_one_fewer() {
    let world = World::start().await;
    let servers = Servers::start(&world).await;
    let (first, enclave) = world.first_enclave(b"code").await;
    let verifier = Keypair::generate().unwrap();
    world.set_verifiers(&[&verifier], 1).await;
    let verifiers = [world.verifier(&verifier).await];
    let (machine, mut with) = with(world.machine("second", b"code"));
    let (asking, chain) = (world.asking(&machine, None), world.on_chain());

    let registered = world.register(&machine, &verifiers).await.unwrap();
    let nothing = asking.key_servers(&with, &chain, registered, LIMIT).await.unwrap_err();
    assert!(matches!(nothing, Error::NotSealed), "{nothing}");
    let secret = ClusterSecret::generate().unwrap();
    seal(&world, &servers, &first, enclave, 2, &secret).await;
    let ask = async |with: &KeyServers, enclave| asking.key_servers(with, &chain, enclave, LIMIT).await;

    // All there; one that fails; one that never answers.
    let all = ask(&with, registered).await.unwrap();
    assert_eq!(all.secret.commitment(), secret.commitment());
    assert!(all.liars.is_empty());
    for down in [Mood::Failing, Mood::Silent] {
        servers.moods([down, Mood::Honest, Mood::Honest]);
        assert_eq!(ask(&with, registered).await.unwrap().secret.commitment(), secret.commitment());
    }

    // One lies, in one way or the other, and is named; two are too many.
    for lie in [Mood::WrongKey, Mood::Nonsense] {
        servers.moods([Mood::Refusing, Mood::Honest, lie]);
        let error = ask(&with, registered).await.unwrap_err().to_string();
        assert!(error.contains(" of 2 shares") && error.contains("server 3: gave something else"), "{error}");
        servers.moods([Mood::Honest, Mood::Honest, lie]);
        assert_eq!(ask(&with, registered).await.unwrap().secret.commitment(), secret.commitment());
    }
    // Its URL on chain leads nowhere: another in its place.
    with.urls.insert(servers.objects()[2], "http://127.0.0.1:1".to_owned());
    servers.moods([Mood::Honest; 3]);
    assert_eq!(ask(&with, registered).await.unwrap().secret.commitment(), secret.commitment());
    with.urls.clear();

    // Another enclave's registration, none at all, and a key that is not registered.
    let borrowed = ask(&with, enclave).await.unwrap_err().to_string();
    assert!(borrowed.contains("NoAccess"), "{borrowed}");
    assert!(servers.all.iter().any(|server| server.said().contains(&"NoAccess")));
    let (_, stranger) = self::with(world.machine("stranger", b"code"));
    assert!(ask(&stranger, registered).await.unwrap_err().to_string().contains("NoAccess"));
    assert!(ask(&with, world.cluster.registry).await.is_err());

    // Sealed anew: what is there now counts.
    let next = ClusterSecret::generate().unwrap();
    seal(&world, &servers, &first, enclave, 3, &next).await;
    assert_eq!(ask(&with, registered).await.unwrap().secret.commitment(), next.commitment());
    servers.moods([Mood::Honest, Mood::Honest, Mood::WrongKey]);
    let error = ask(&with, registered).await.unwrap_err();
    assert!(matches!(error, Error::Custody(CustodyError::TooFew { threshold: 3, .. })), "{error}");
    servers.moods([Mood::Honest; 3]);

    // A session of another time, past or to come, is none.
    for offset in [-600_000, 600_000] {
        let clock: tee::Clock = Arc::new(move || now_ms().saturating_add_signed(offset));
        let late = custody::Asking { clock, ..asking.clone() };
        let error = late.key_servers(&with, &chain, registered, LIMIT).await.unwrap_err().to_string();
        assert!(error.contains("InvalidCertificate"), "{error}");
    }

    // Retired on chain: refused from the next request on.
    let measurement = chain::Measurement::new("simulated", &machine.platform.measurement());
    world.run(&world.calls.retire_measurement(world.cluster.registry, world.admin, &measurement)).await;
    assert!(ask(&with, registered).await.unwrap_err().to_string().contains("NoAccess"));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_on_chain_and_is_no_sealed_secret_or_no_key_server_is_refused() {
    let world = World::start().await;
    let servers = Servers::start(&world).await;
    let (first, enclave) = world.first_enclave(b"code").await;
    let (machine, with) = with(first);
    let (asking, chain) = (world.asking(&machine, None), world.on_chain());
    for (object, says) in [(b"nothing".to_vec(), "not an object"), (vec![7; 4096], "not an object")] {
        keep(&world, &machine, enclave, object).await;
        let error = asking.key_servers(&with, &chain, enclave, LIMIT).await.unwrap_err().to_string();
        assert!(error.contains(says), "{error}");
    }
    let none =
        read_key_servers(&world.client, &[world.cluster.registry], &BTreeMap::new()).await.unwrap_err();
    assert!(matches!(none, Error::KeyServer(_)), "{none}");
    // Encrypted for another cluster, by whoever may speak for this one.
    let known = read_key_servers(&world.client, &servers.objects(), &BTreeMap::new()).await.unwrap();
    let keys: Vec<_> = known.iter().map(|server| (server.object, server.key)).collect();
    let identity = Identity { package: world.calls.package().into_inner(), id: vec![9; 64] };
    let secret = ClusterSecret::generate().unwrap();
    let object = EncryptedObject::encrypt(&secret, &identity, &keys, 2).unwrap().encode();
    keep(&world, &machine, enclave, object).await;
    let error = asking.key_servers(&with, &chain, enclave, LIMIT).await.unwrap_err();
    assert!(matches!(error, Error::Custody(CustodyError::WrongSecret)), "{error}");
    // A server that has another key than the chain says.
    let mut other = known[0].clone();
    other.key = known[1].key;
    assert!(check_possession(&other).await.unwrap_err().to_string().contains("does not have the key"));
}
