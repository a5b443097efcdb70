//! A chain in a directory: the same after a restart, also after kill -9 at any moment.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use common::{Chain, SUI, Wallet, config, payment};
use devnet::{Devnet, DevnetError, JournalError};
use sui_rpc::Client;
use sui_rpc::proto::sui::rpc::v2 as proto;
use sui_sdk_types::Address;

#[tokio::test]
async fn a_restart_changes_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let mut chain = Chain::with(config().with_dir(dir.path())).await;
    let alice = chain.wallet(1).await;
    let (gas, _) = chain.coins(alice.address).await.remove(0);
    let transaction = payment(&alice, &gas, Address::TWO, 7 * SUI).try_build().unwrap();
    let executed = chain.send(&transaction, &[&alice]).await.unwrap();
    let (id, coins) = (chain.devnet.chain_id(), chain.coins(alice.address).await);
    let later = chain.devnet.advance_clock(Duration::from_secs(86_400)).await.unwrap();
    chain.devnet.shutdown().await;

    let mut chain = Chain::with(config().with_dir(dir.path())).await;
    assert_eq!(chain.devnet.chain_id(), id);
    assert_eq!(chain.coins(alice.address).await, coins);
    assert_eq!(chain.balance(Address::TWO).await, 7 * SUI);
    let again = chain.send(&transaction, &[&alice]).await.unwrap();
    assert_eq!(again.0.effects().digest(), executed.0.effects().digest());
    let next = chain.devnet.advance_clock(Duration::ZERO).await.unwrap();
    assert_eq!(next.summary.sequence_number, later.summary.sequence_number + 1);
    assert_eq!(next.summary.previous_digest, Some(later.digest));
    assert!(next.summary.timestamp_ms >= later.summary.timestamp_ms, "time goes on");
    chain.devnet.faucet(alice.address, SUI).await.unwrap();
}

#[tokio::test]
async fn a_chain_is_open_once_and_two_chains_differ() {
    let (one, two) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let first = Devnet::start(config().with_dir(one.path())).await.unwrap();
    let again = Devnet::start(config().with_dir(one.path())).await.map(|_| ());
    assert!(matches!(again, Err(DevnetError::Journal(JournalError::Locked { .. }))));
    let second = Devnet::start(config().with_dir(two.path())).await.unwrap();
    assert_ne!(first.chain_id(), second.chain_id());
}

#[tokio::test]
async fn a_changed_journal_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let chain = Chain::with(config().with_dir(dir.path())).await;
    chain.wallet(1).await;
    chain.devnet.advance_clock(Duration::ZERO).await.unwrap();
    chain.devnet.shutdown().await;
    let file = dir.path().join("chain.journal");
    let mut bytes = std::fs::read(&file).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    std::fs::write(&file, bytes).unwrap();
    let refused = Devnet::start(config().with_dir(dir.path())).await.map(|_| ());
    assert!(matches!(refused, Err(DevnetError::Journal(JournalError::Damaged { .. }))));
}

const CHILD_DIR: &str = "DEVNET_TEST_CHILD_DIR";
const CHILD_COMPACTS: &str = "DEVNET_TEST_CHILD_COMPACTS";

/// Not a test: the process that [`what_was_answered_survives_kill_9`] kills.
#[tokio::test]
async fn child_serves_until_it_is_killed() {
    let Some(dir) = std::env::var_os(CHILD_DIR) else { return };
    let mut settings = config().with_dir(dir);
    if std::env::var_os(CHILD_COMPACTS).is_some() {
        (settings.keep_checkpoints, settings.compact_above) = (Some(10_000), 0);
    }
    let devnet = Devnet::start(settings).await.unwrap();
    eprintln!("serving {} {}", devnet.url(), devnet.chain_id());
    tokio::time::sleep(Duration::from_secs(60)).await;
}

struct Server {
    child: Child,
    url: String,
    chain_id: String,
}

impl Server {
    fn start(dir: &Path, compacts: bool) -> Self {
        let mut command = Command::new(std::env::current_exe().unwrap());
        if compacts {
            command.env(CHILD_COMPACTS, "1");
        }
        let mut child = command
            .args(["--exact", "child_serves_until_it_is_killed", "--nocapture"])
            .env(CHILD_DIR, dir)
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let lines = BufReader::new(child.stderr.take().unwrap()).lines();
        let line = lines.map(Result::unwrap).find(|line| line.starts_with("serving ")).unwrap();
        let mut words = line.split(' ').skip(1).map(str::to_owned);
        Self { child, url: words.next().unwrap(), chain_id: words.next().unwrap() }
    }

    fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_answered_survives_kill_9() {
    kill_9(false).await;
}

/// The same while the journal is written anew all the time.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_answered_survives_kill_9_of_a_chain_that_compacts() {
    kill_9(true).await;
}

async fn kill_9(compacts: bool) {
    let dir = tempfile::tempdir().unwrap();
    let mut answered: Vec<(String, String)> = Vec::new();
    let mut chain_id = None;
    for round in 0..3u64 {
        let server = Server::start(dir.path(), compacts);
        assert_eq!(*chain_id.get_or_insert(server.chain_id.clone()), server.chain_id);
        let mut client = Client::new(server.url.clone()).unwrap();
        for (digest, effects) in &answered {
            let request = proto::GetTransactionRequest::default()
                .with_digest(digest)
                .with_read_mask(prost_types::FieldMask { paths: vec!["effects.digest".into()] });
            let found = client.ledger_client().get_transaction(request).await.unwrap().into_inner();
            assert_eq!(found.transaction().effects().digest(), effects, "round {round}");
        }
        // The faucet's own client pays out until the server is gone.
        let url = server.url.clone();
        let (sender, mut answers) = tokio::sync::mpsc::unbounded_channel();
        let payer = tokio::spawn(async move {
            let wallet = Wallet::new(9);
            let mut client = Client::new(url.clone()).unwrap();
            loop {
                let Some(digest) = pay(&url, wallet.address).await else { return };
                let request = proto::GetTransactionRequest::default()
                    .with_digest(&digest)
                    .with_read_mask(prost_types::FieldMask { paths: vec!["effects.digest".into()] });
                let Ok(found) = client.ledger_client().get_transaction(request).await else { return };
                let effects = found.into_inner().transaction().effects().digest().to_owned();
                let _ = sender.send((digest, effects));
            }
        });
        while answers.len() < 5 {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        tokio::time::sleep(Duration::from_millis(7 * round)).await;
        server.kill();
        payer.await.unwrap();
        while let Ok(answer) = answers.try_recv() {
            answered.push(answer);
        }
    }
    assert!(answered.len() >= 15);
}

/// Asks the faucet over plain HTTP/1.1.
async fn pay(url: &str, recipient: Address) -> Option<String> {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let address = url.strip_prefix("http://")?;
    let mut stream = tokio::net::TcpStream::connect(address).await.ok()?;
    let body = format!("{{\"FixedAmountRequest\":{{\"recipient\":\"{recipient}\"}}}}");
    let request = format!(
        "POST /v2/gas HTTP/1.1\r\nhost: {address}\r\ncontent-type: application/json\r\n\
         content-length: {}\r\nconnection: close\r\n\r\n{body}",
        body.len()
    );
    stream.write_all(request.as_bytes()).await.ok()?;
    let mut response = String::new();
    stream.read_to_string(&mut response).await.ok()?;
    assert!(response.is_empty() || response.contains("\"Success\""), "{response}");
    let (_, rest) = response.split_once("\"transferTxDigest\":\"")?;
    Some(rest.split_once('"')?.0.to_owned())
}
