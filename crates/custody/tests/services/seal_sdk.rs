//! Seal's own SDK and this crate beside each other, at the same (SIMULATED) key servers and the same contracts: each opens what the other sealed.

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use chain::Address;
use chain::sui::{Ed25519PublicKey, TypeTag};
use serde_json::{Value, json};
use tee::ClusterSecret;

use crate::seal::{Servers, keep, seal, with};
use crate::world::World;

/// The script, which ends with the test.
struct Sdk {
    process: Child,
    told: ChildStdin,
    says: BufReader<ChildStdout>,
}

impl Sdk {
    fn start() -> Self {
        let dir = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../tee/tests/seal"));
        assert!(dir.join("node_modules").exists(), "Seal's SDK is missing: run `make seal-check`");
        let mut process = Command::new("node")
            .arg("client.mjs")
            .current_dir(dir)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let (told, says) = (process.stdin.take().unwrap(), BufReader::new(process.stdout.take().unwrap()));
        Self { process, told, says }
    }

    fn tell(&mut self, what: &Value) {
        writeln!(self.told, "{what}").unwrap();
    }

    fn says(&mut self, name: &str) -> String {
        let mut line = String::new();
        self.says.read_line(&mut line).unwrap();
        let said: Value = serde_json::from_str(&line).unwrap_or_else(|_| panic!("{name}: it ended"));
        said[name].as_str().unwrap_or_else(|| panic!("{name}: {said}")).to_owned()
    }
}

impl Drop for Sdk {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn seals_own_sdk_opens_what_was_sealed_here_and_the_reverse() {
    let world = World::start().await;
    let servers = Servers::start(&world).await;
    let (first, enclave) = world.first_enclave(b"code").await;
    let (machine, with) = with(first);
    let secrets = [[7; 32], [8; 32]].map(|bytes| ClusterSecret::from_bytes(bytes.into()));
    seal(&world, &servers, &machine, enclave, 2, &secrets[0]).await;

    let package = world.calls.package();
    let sealed = world.client.sealed(package, world.cluster.anchor).await.unwrap().unwrap().object;
    let id = tee::custody::seal::EncryptedObject::decode(&sealed).unwrap().identity().id;
    let draft = world.calls.seal_approve(&id, enclave, world.cluster.registry);
    let program = world.client.program(&draft).await.unwrap();
    let public = machine.key.public_key();
    let mut described = Vec::new();
    for object in servers.objects() {
        let field = object.derive_dynamic_child_id(&TypeTag::U64, &1u64.to_le_bytes());
        // A field is its id, its name and its value.
        let (content, value) = (content(&world, object).await, content(&world, field).await[40..].to_vec());
        described.push(json!({
            "object": object.to_string(), "content": STANDARD.encode(content), "value": STANDARD.encode(value),
        }));
    }
    let start = json!({
        "package": package.to_string(),
        "id": hex::encode(&id),
        "address": Ed25519PublicKey::new(public).derive_address().to_string(),
        "servers": described,
        "threshold": 2,
        "program": STANDARD.encode(bcs::to_bytes(&program).unwrap()),
        "sealed": STANDARD.encode(&sealed),
        "data": STANDARD.encode([8; 32]),
        "aad": STANDARD.encode(secrets[1].commitment()),
    });
    let key = Arc::clone(&machine.key);
    let talk = tokio::task::spawn_blocking(move || {
        let mut sdk = Sdk::start();
        sdk.tell(&start);
        let theirs = STANDARD.decode(sdk.says("encrypted")).unwrap();
        // The SDK verifies the signature before it uses it.
        let signature = key.sign_personal_message(&sdk.says("message"));
        let signature = STANDARD.encode([&[0][..], &signature, &public].concat());
        sdk.tell(&json!({ "signature": signature }));
        (theirs, STANDARD.decode(sdk.says("opened")).unwrap())
    });
    let (theirs, opened) = talk.await.unwrap();
    assert_eq!(opened, [7; 32]);
    assert!(servers.all.iter().filter(|server| server.said().contains(&"given")).count() >= 2);

    keep(&world, &machine, enclave, theirs).await;
    let asking = world.asking(&machine, None);
    let recovered =
        asking.key_servers(&with, &world.on_chain(), enclave, Duration::from_secs(20)).await.unwrap();
    assert_eq!(recovered.secret.commitment(), secrets[1].commitment());
}

async fn content(world: &World, id: Address) -> Vec<u8> {
    world.client.object(id).await.unwrap().as_struct().unwrap().contents().to_vec()
}
