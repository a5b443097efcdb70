//! `wallet`: keys that are elsewhere.

use std::io::Read as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use chain::sui::MultisigMemberPublicKey;
use chain::{Signer as _, WalletKey};

use crate::world::World;

/// A key of the Sui CLI, of another scheme than our own wallets have.
const ALICE: &str = "suiprivkey1qyqr6yvxdqkh32ep4pk9caqvphmk9epn6rhkczcrhaeermsyvwsg783y9am";
/// Names the key of [`the_program_that_signs`].
const SIGNER_KEY: &str = "TEST_SIGNER_KEY";

#[tokio::test(flavor = "multi_thread")]
async fn wallets_may_have_their_keys_elsewhere() {
    let world = World::published().await;
    let file = world.write("alice.key", ALICE);
    assert!(world.fails(&["wallet", "link", "alice", "--key-file", &file], 3).await.contains("chmod 600"));
    std::fs::set_permissions(Path::new(&file), std::fs::Permissions::from_mode(0o600)).unwrap();
    world.ok(&["wallet", "link", "alice", "--key-file", &file]).await;
    world.chain.faucet(world.wallet("alice"), 1_000_000_000).await.unwrap();
    world.ok(&["stake", "--tier", "user", "--wallet", "alice"]).await;
    let said = world.fails(&["wallet", "link", "bob", "--key-env", "BOBS_KEY"], 2).await;
    assert!(said.contains("BOBS_KEY"), "{said}");
    let keystore = world.dir.path().join("wallets/sui.keystore");
    let address = world.wallet("operator").to_string();
    let args = ["wallet", "link", "chief", "--keystore", keystore.to_str().unwrap(), "--address", &address];
    assert_eq!(world.ok(&args).await["address"], address.as_str());
    for name in ["links.json", "aliases.json"] {
        let text = std::fs::read_to_string(world.dir.path().join("wallets").join(name)).unwrap();
        assert!(!text.contains("suiprivkey"), "{name} holds a secret");
    }
    world.chain.shutdown().await;
}

/// Not a test when a wallet's program asks for it: signs what is on stdin, as docs/signers.md has it.
#[tokio::test]
async fn the_program_that_signs() {
    let Ok(entry) = std::env::var(SIGNER_KEY) else { return };
    let key = WalletKey::from_entry(&entry).unwrap();
    assert_eq!(std::env::var("SUI_ADDRESS").unwrap(), key.address().to_string());
    let mut message = Vec::new();
    std::io::stdin().read_to_end(&mut message).unwrap();
    let transaction = bcs::from_bytes(message.strip_prefix(&[0, 0, 0]).unwrap()).unwrap();
    println!("\nsignature: {}", key.sign_transaction(&transaction).await.unwrap().to_base64());
}

#[tokio::test(flavor = "multi_thread")]
async fn wallets_sign_by_program_and_by_committee() {
    let world = World::published().await;
    // A secp256r1 key that only the program knows.
    let entry = STANDARD.encode([&[2][..], &[5; 32]].concat());
    let key = WalletKey::from_entry(&entry).unwrap();
    let own = std::env::current_exe().unwrap();
    let own = own.display();
    let script = format!(
        "#!/bin/sh\nexport {SIGNER_KEY}={entry} PATH=/bin:/usr/bin\n\"{own}\" --exact wallets::the_program_that_signs --nocapture | sed -n 's/^signature: //p'\n"
    );
    let program = world.write("signer.sh", script);
    std::fs::set_permissions(Path::new(&program), std::fs::Permissions::from_mode(0o700)).unwrap();
    let address = key.address().to_string();
    let link = ["wallet", "link", "ledger", "--address", &address, "--signer", &program, "--account", "0"];
    // All that follows --signer is the program's.
    world.read(&link).await;
    world.chain.faucet(key.address(), 1_000_000_000).await.unwrap();
    world.both(&["stake", "--tier", "user", "--wallet", "ledger"]).await;

    // Two of three: a key in a file, that program, and somebody who is not here.
    let alice = world.write("alice.key", ALICE);
    std::fs::set_permissions(Path::new(&alice), std::fs::Permissions::from_mode(0o600)).unwrap();
    world.ok(&["wallet", "link", "alice", "--key-file", &alice]).await;
    let absent = WalletKey::from_entry(&STANDARD.encode([0; 33])).unwrap();
    let member = |key: &WalletKey| format!("{}=1", sui_base64(&key.public_key()));
    let members = [&WalletKey::from_bech32(ALICE).unwrap(), &key, &absent].map(member);
    let committee = |name: &'static str, present: &[&'static str]| {
        let mut args = vec!["wallet", "link", name, "--threshold", "2"];
        args.extend(members.iter().flat_map(|member| ["--multisig", member.as_str()]));
        args.extend(present.iter().flat_map(|wallet| ["--member", *wallet]));
        args.into_iter().map(str::to_owned).collect::<Vec<_>>()
    };
    let words = |args: &[String]| args.iter().map(String::as_str).collect::<Vec<_>>().join(" ");
    let mut addresses = Vec::new();
    for (name, present) in [("board", &["alice", "ledger"][..]), ("alone", &["ledger"])] {
        let args = committee(name, present);
        println!("$ k3s-daas {}", words(&args));
        let args: Vec<&str> = args.iter().map(String::as_str).collect();
        addresses.push(world.ok(&args).await["address"].as_str().unwrap().to_owned());
    }
    assert_eq!(addresses[0], addresses[1], "who is at hand changes nothing of the address");
    let board = addresses[0].parse().unwrap();
    world.chain.faucet(board, 1_000_000_000).await.unwrap();
    let said = world.fails(&["stake", "--tier", "user", "--wallet", "alone"], 1).await;
    assert!(said.contains("threshold"), "{said}");
    world.both(&["stake", "--tier", "user", "--wallet", "board", "--sponsor", "staker"]).await;
    world.chain.shutdown().await;
}

/// A public key as `sui keytool list` prints it: base64 of flag and key.
fn sui_base64(key: &MultisigMemberPublicKey) -> String {
    let (flag, bytes) = match key {
        MultisigMemberPublicKey::Ed25519(key) => (0, key.inner().to_vec()),
        MultisigMemberPublicKey::Secp256k1(key) => (1, key.inner().to_vec()),
        MultisigMemberPublicKey::Secp256r1(key) => (2, key.inner().to_vec()),
        other => panic!("{other:?} is no key of a wallet"),
    };
    STANDARD.encode([&[flag][..], &bytes].concat())
}
