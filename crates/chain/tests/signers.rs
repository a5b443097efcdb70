//! Keys of every scheme, committees, programs that sign, and sponsors: each moves SUI on the chain.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use std::os::unix::fs::PermissionsExt as _;

use base64::Engine as _;
use chain::{
    Address, Client, Draft, Error, ExternalSigner, Keypair, Multisig, Parties, Signer, Tier, WalletKey,
};
use devnet::Devnet;
use support::{SUI, World, start, wallet};

fn secp256k1(byte: u8) -> WalletKey {
    entry(1, byte)
}

fn entry(flag: u8, byte: u8) -> WalletKey {
    let bytes = [&[flag][..], &[byte; 32]].concat();
    WalletKey::from_entry(&base64::engine::general_purpose::STANDARD.encode(bytes)).unwrap()
}

async fn filled(chain: &Devnet, address: Address) -> Client {
    chain.faucet(address, SUI).await.unwrap();
    Client::connect(&chain.url()).await.unwrap()
}

/// Sends one MIST to an address that nobody has.
fn gift() -> (Draft, Address) {
    let to = Keypair::generate().unwrap().address();
    let mut draft = Draft::new();
    let coin = draft.split_gas(1);
    draft.transfer(vec![coin], to);
    (draft, to)
}

async fn moves_sui(chain: &Devnet, signer: &dyn Signer) {
    let client = filled(chain, signer.address()).await;
    let (draft, to) = gift();
    client.execute(signer, &draft).await.unwrap();
    assert_eq!(client.balance(to).await.unwrap(), 1);
}

#[tokio::test]
async fn every_scheme_of_the_sui_cli_signs() {
    let chain = start().await;
    for flag in 0..3 {
        moves_sui(&chain, &entry(flag, 7)).await;
    }
    chain.shutdown().await;
}

#[tokio::test]
async fn a_committee_signs_when_enough_of_it_is_at_hand() {
    let chain = start().await;
    let members = || (0..3).map(|flag| (entry(flag, 9).public_key(), 1)).collect::<Vec<_>>();
    let at_hand = |flags: &[u8]| {
        flags.iter().map(|flag| Box::new(entry(*flag, 9)) as Box<dyn Signer>).collect::<Vec<_>>()
    };
    let two = Multisig::new(members(), 2, at_hand(&[2, 0])).unwrap();
    moves_sui(&chain, &two).await;
    let one = Multisig::new(members(), 2, at_hand(&[1])).unwrap();
    assert_eq!(one.address(), two.address());
    let client = filled(&chain, one.address()).await;
    let error = client.execute(&one as &dyn Signer, &gift().0).await.unwrap_err();
    assert!(matches!(&error, Error::Signer { reason, .. } if reason.contains("threshold")), "{error}");
    assert!(matches!(Multisig::new(members(), 4, vec![]), Err(Error::Invalid(_))));
    assert!(matches!(Multisig::new(vec![], 0, vec![]), Err(Error::Invalid(_))));
    chain.shutdown().await;
}

#[tokio::test]
async fn a_sponsor_pays_for_gas_and_for_nothing_else() {
    let world = World::start().await;
    let client = &world.client;
    let (sender, sponsor) = (wallet(&world.chain, 5_000).await, secp256k1(3));
    world.chain.faucet(sponsor.address(), SUI).await.unwrap();
    let parties = Parties::sponsored(&sender, &sponsor);
    let stake = |mist| world.calls.stake(world.cluster.id, Tier::User, mist);

    let dry = client.dry_run(sender.address(), sponsor.address(), &stake(1_200)).await.unwrap();
    let change = |address| {
        let own = dry.changes.balances.iter().filter(move |change| change.address == address);
        own.map(|change| change.amount).sum::<i128>()
    };
    assert_eq!(change(sender.address()), -1_200);
    assert!(change(sponsor.address()) < 0);
    assert!(dry.changes.objects.iter().any(|object| object.type_.ends_with("::staking::Stake")), "{dry:?}");

    let receipt = client.execute(parties, &stake(1_200)).await.unwrap();
    assert_eq!(client.balance(sender.address()).await.unwrap(), 3_800);
    let paid = SUI - client.balance(sponsor.address()).await.unwrap();
    let gas = receipt.gas();
    assert_eq!(paid, gas.computation_cost + gas.storage_cost - gas.storage_rebate);

    let error = client.execute(parties, &stake(4_000)).await.unwrap_err();
    assert!(matches!(error, Error::NoCoin { have: 3_800, need: 4_000, .. }), "{error}");
    // The same sender alone has not enough for gas.
    let error = client.execute(&sender, &stake(1_200)).await.unwrap_err();
    assert!(matches!(error, Error::InsufficientGas { .. }), "{error}");
    world.chain.shutdown().await;
}

/// A program that does what the shell lines say.
fn program(directory: &std::path::Path, lines: &str) -> std::path::PathBuf {
    let path = directory.join("signer");
    std::fs::write(&path, format!("#!/bin/sh\n{lines}\n")).unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o700)).unwrap();
    path
}

#[tokio::test]
async fn a_program_signs_and_is_believed_only_as_far_as_its_signature_fits() {
    let chain = start().await;
    let directory = tempfile::tempdir().unwrap();
    let key = secp256k1(4);
    let client = filled(&chain, key.address()).await;
    let (draft, _) = gift();
    // What the key signs for these bytes; the program is shown them on stdin and gives the signature.
    let recorded = directory.path().join("message");
    let echo = program(
        directory.path(),
        &format!(
            "cat > {}\n[ \"$SUI_ADDRESS\" = \"{}\" ] || exit 3\nexit 7",
            recorded.display(),
            key.address()
        ),
    );
    let signer = ExternalSigner::new(key.address(), echo, vec![]);
    let error = client.prepare(&signer, &draft).await.unwrap_err().to_string();
    assert!(error.contains("exit status: 7"), "{error}");
    let message = std::fs::read(&recorded).unwrap();
    assert_eq!(message[..3], [0, 0, 0]);
    let transaction: chain::sui::Transaction = bcs::from_bytes(&message[3..]).unwrap();
    assert_eq!(transaction.sender, key.address());
    let signature = key.sign_transaction(&transaction).await.unwrap().to_base64();

    // Nothing has changed on chain, so the same transaction is built again.
    let works = program(directory.path(), &format!("cat > /dev/null\necho {signature}"));
    let signer = ExternalSigner::new(key.address(), &works, vec![]);
    client.execute(&signer, &draft).await.unwrap();

    // Now another transaction is built, which that signature does not fit.
    let error = client.execute(&signer, &draft).await.unwrap_err().to_string();
    assert!(error.contains("does not fit"), "{error}");
    let stranger = secp256k1(5).address();
    chain.faucet(stranger, SUI).await.unwrap();
    let error = client.execute(&ExternalSigner::new(stranger, &works, vec![]), &draft).await.unwrap_err();
    assert!(error.to_string().contains("another address"), "{error}");
    for (lines, reason) in [
        ("echo '!'", "base64"),
        ("echo AAAA", "no serialized Sui signature"),
        ("head -c 100000 /dev/zero", "base64"),
    ] {
        let signer = ExternalSigner::new(key.address(), program(directory.path(), lines), vec![]);
        let error = client.execute(&signer, &draft).await.unwrap_err().to_string();
        assert!(error.contains(reason), "{error}");
    }
    let missing = ExternalSigner::new(key.address(), directory.path().join("none"), vec![]);
    assert!(client.execute(&missing, &draft).await.unwrap_err().to_string().contains("cannot be started"));
    chain.shutdown().await;
}
