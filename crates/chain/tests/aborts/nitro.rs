//! Nitro enclaves: AWS's documents on a chain as it is, and documents under a simulated root on one that takes it.

use std::collections::BTreeMap;

use chain::{Enclave, Error, Event, Keypair, Measurement, Place};
use devnet::{Config, Devnet, SimulatedDocument, SimulatedNitro};

use super::support::{SUI, World, framework, wallet};
use super::{HOUR_MS, MINUTE_MS, Probe};

/// A document of a real AWS Nitro enclave, made in January 2025; see crates/devnet/tests/nitro.
const OF_AWS: &[u8] = include_bytes!("../../../devnet/tests/nitro/attestation.cose");

/// What the framework refuses: its abort code.
async fn unverified(world: &World, document: &[u8], code: u64) {
    let expires_ms = world.chain.node().ledger().timestamp_ms() + HOUR_MS;
    let draft = world.calls.register_nitro(world.cluster.registry, document, expires_ms);
    match world.client.execute(&world.operator, &draft).await {
        Err(Error::Refused(refusal)) => {
            assert_eq!((refusal.module.as_str(), refusal.code), ("nitro_attestation", code));
        }
        other => panic!("a document is not verified: {other:?}"),
    }
}

pub(crate) async fn nitro(p: &Probe) {
    let nitro = SimulatedNitro::generate().unwrap();
    let key = Keypair::generate().unwrap();
    let of_now = |world: &World| SimulatedDocument {
        timestamp_ms: world.chain.node().ledger().timestamp_ms(),
        code: [[1; 48], [2; 48], [3; 48]],
        public_key: Some(key.public_key().to_vec()),
        user_data: Some(world.cluster.id.as_bytes().to_vec()),
    };
    // As it is, the chain takes AWS's root only, and AWS's certificates last three hours.
    unverified(&p.world, OF_AWS, 2).await;
    unverified(&p.world, &OF_AWS[1..], 1).await;
    unverified(&p.world, &nitro.document(&of_now(&p.world)).unwrap(), 2).await;

    let root = Some(nitro.root().to_vec());
    let config = Config { simulated_nitro_root: root, ..Config::in_memory(framework()) };
    let world = World::on(Devnet::start(config).await.unwrap()).await;
    assert!(world.client.service_info().await.unwrap().server.contains("SIMULATED Nitro"));
    let (client, calls, cluster, operator) =
        (&world.client, &world.calls, &world.cluster, wallet(&world.chain, SUI).await);
    let other_root = SimulatedNitro::generate().unwrap();
    unverified(&world, &other_root.document(&of_now(&world)).unwrap(), 2).await;
    unverified(&world, OF_AWS, 2).await;

    let good = of_now(&world);
    let expires_ms = good.timestamp_ms + HOUR_MS;
    let register = |document: &SimulatedDocument, expires_ms| {
        calls.register_nitro(cluster.registry, &nitro.document(document).unwrap(), expires_ms)
    };
    let refused = async |document: &SimulatedDocument, expires_ms, expected: &str| {
        p.refused_on(client, &operator, &register(document, expires_ms), expected).await;
    };
    refused(&good, expires_ms, "enclave::EMeasurementNotAllowed").await;
    let values = good.code.iter().enumerate().map(|(at, value)| (format!("pcr{at}"), value.to_vec()));
    let measurement = Measurement::new("nitro", &BTreeMap::from_iter(values));
    let allow = calls.allow_measurement(cluster.registry, world.admin, &measurement);
    world.run(&world.operator, &allow).await;
    let debug = SimulatedDocument { code: [[1; 48], [2; 48], [0; 48]], ..good.clone() };
    refused(&debug, expires_ms, "nitro::EDebugMode").await;
    for user_data in [None, Some(p.other.id.as_bytes().to_vec())] {
        let foreign = SimulatedDocument { user_data, ..good.clone() };
        refused(&foreign, expires_ms, "enclave::EWrongUserData").await;
    }
    for public_key in [None, Some(vec![4; 97])] {
        refused(&SimulatedDocument { public_key, ..good.clone() }, expires_ms, "enclave::EBadKey").await;
    }
    let old = SimulatedDocument { timestamp_ms: good.timestamp_ms - 6 * MINUTE_MS, ..good.clone() };
    refused(&old, expires_ms, "enclave::EBadTimestamp").await;
    refused(&good, good.timestamp_ms - 1, "enclave::EExpired").await;

    let (_, events) = world.run(&operator, &register(&good, expires_ms)).await;
    let [Event::EnclaveRegistered(registered)] = &events[..] else { panic!("{events:?}") };
    let enclave: Enclave = client.read(world.package(), registered.enclave).await.unwrap();
    assert_eq!((enclave.public_key.as_slice(), &enclave.measurement), (&key.public_key()[..], &measurement));
    assert!(world.state().await.enclave_in_standing(&registered.enclave, good.timestamp_ms));

    // What it is registered for: the cluster listens to its key.
    let place = Place {
        cluster: cluster.id,
        gateway: "https://127.0.0.1:9345".into(),
        apiserver: "https://127.0.0.1:6443".into(),
        ca_hash: vec![3; 32],
    };
    let at = world.chain.node().ledger().timestamp_ms();
    let signature = key.sign(&place.message(registered.enclave, at).unwrap());
    world
        .run(&operator, &calls.set_place(cluster.registry, registered.enclave, &place, at, &signature))
        .await;
    assert_eq!(world.state().await.cluster.unwrap().enclave, Some(registered.enclave));
    world.chain.shutdown().await;
}
