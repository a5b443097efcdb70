//! A master whose platform seals nothing, as TDX, Nitro and CCA: others give it the cluster's secret at each start.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use chain::{Client, Cluster};
use custody::Asking;
use engine::pki::{ClusterPki, Profile};
use rustls::ServerConfig;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use serde_json::Value;
use tee::{ClusterSecret, SealingKey, sealed_file};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio_rustls::TlsAcceptor;

use crate::machine::{Machine, copy, devnet, free_port, now_ms, verifier};

const SEALS_NOTHING: &str = "platform = \"simulated\"\nsimulated_sealing = false\n";

/// Who is asked by the next start of a master on `machine`.
fn ask(machine: &Machine, settings: &str, holders: &[&str], masters: &[&str], seconds: u64) {
    let tee = format!(
        "{SEALS_NOTHING}[master.tee.release]\nholders = {holders:?}\nmasters = {masters:?}\ntimeout_seconds = {seconds}\n"
    );
    machine.configure(settings, &tee);
}

/// Files below `dir` in which `needle` is, as it is or as people write it down.
fn found_in(dir: &Path, needle: &[u8]) -> Vec<PathBuf> {
    let forms = [needle.to_vec(), hex::encode(needle).into_bytes(), STANDARD.encode(needle).into_bytes()];
    let (mut found, mut dirs) = (Vec::new(), vec![dir.to_owned()]);
    while let Some(dir) = dirs.pop() {
        for entry in fs::read_dir(dir).unwrap() {
            let entry = entry.unwrap();
            let kind = entry.file_type().unwrap();
            if kind.is_dir() {
                dirs.push(entry.path());
            } else if kind.is_file() {
                let bytes = fs::read(entry.path()).unwrap();
                if forms.iter().any(|form| bytes.windows(form.len()).any(|window| window == form)) {
                    found.push(entry.path());
                }
            }
        }
    }
    found
}

/// The 32 bytes that the committee holds, got as any allowed enclave gets them.
async fn secret_of(machine: &Machine, holder: &str) -> Vec<u8> {
    let mut config = machine.config();
    config.state_dir = machine.dir.join("elsewhere");
    config.tee.simulated_sealing = false;
    let newcomer = master::Newcomer::open(&config).unwrap();
    let asking = Asking {
        platform: newcomer.platform.clone(),
        cluster: machine.id("cluster").into_inner(),
        enclave_key: newcomer.key.public_key(),
        enclave: None,
        clock: Arc::new(now_ms),
    };
    let dealing = custody::fetch_dealing(holder).await.unwrap();
    let given = asking.committee(dealing, Duration::from_secs(20)).await.unwrap().secret;
    // Its bytes are told to nobody but a sealed file.
    let (dir, key) = (tempfile::tempdir().unwrap(), SealingKey::from_bytes([1; 32]));
    let path = dir.path().join("secret");
    ClusterSecret::write(&given, &path, &key).unwrap();
    sealed_file::read(&path, &key, "k3s-daas/cluster-secret").unwrap().to_vec()
}

/// A man in the middle: a server at 127.0.0.1 with a certificate of the cluster's own CA, and no evidence. Tells what came beyond TLS.
async fn without_evidence(machine: &Machine, secret: &[u8]) -> (String, Arc<Mutex<Vec<String>>>) {
    let root = SealingKey::from_bytes(secret.try_into().unwrap());
    let pki =
        sealed_file::read(&machine.dir.join("master/sealed/cluster.pki"), &root, "k3s-daas/cluster-pki");
    let pki = ClusterPki::from_bytes(&pki.unwrap()).unwrap();
    let addresses = ["127.0.0.1".parse().unwrap()];
    let identity = pki.issue(&Profile::server("gateway", &[], &addresses, 3600), now_ms()).unwrap();
    let chain = CertificateDer::pem_slice_iter(identity.certificate.as_bytes()).collect::<Result<_, _>>();
    let key = PrivateKeyDer::from_pem_slice(identity.key.as_bytes()).unwrap();
    let tls = ServerConfig::builder().with_no_client_auth().with_single_cert(chain.unwrap(), key).unwrap();
    let (acceptor, ca) = (TlsAcceptor::from(Arc::new(tls)), pki.ca_pem().to_owned());
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("https://{}", listener.local_addr().unwrap());
    let heard = Arc::new(Mutex::new(Vec::new()));
    let told = heard.clone();
    tokio::spawn(async move {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            let Ok(mut stream) = acceptor.accept(stream).await else { continue };
            let mut request = [0; 1024];
            let read = stream.read(&mut request).await.unwrap_or(0);
            let line =
                String::from_utf8_lossy(&request[..read]).lines().next().unwrap_or_default().to_owned();
            told.lock().unwrap().push(line);
            let head =
                format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\nconnection: close\r\n\r\n", ca.len());
            let _ = stream.write_all([head.as_bytes(), ca.as_bytes()].concat().as_slice()).await;
            let _ = stream.shutdown().await;
        }
    });
    (url, heard)
}

async fn status(gateway: &str) -> Value {
    let client = reqwest::Client::builder().tls_danger_accept_invalid_certs(true).build().unwrap();
    let answer = client.get(format!("{gateway}/api/v1/status")).send().await.unwrap();
    serde_json::from_slice(&answer.bytes().await.unwrap()).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
#[allow(clippy::too_many_lines, reason = "one life of one cluster")]
async fn a_master_that_keeps_nothing_is_given_its_secret_at_each_start_or_does_not_start() {
    let devnet = devnet().await;
    let (root, url) = (tempfile::tempdir().unwrap(), devnet.url());
    let first = Machine::new(root.path(), "first", &url, "version 1");
    ask(&first, "", &[], &[], 1);
    first.ok(&["publish", "--allow-simulated"]).await;
    let foretold = first.ok(&["master", "--print-identity", "--new-cluster"]).await;
    assert_eq!((&foretold["simulated"], &foretold["caHash"]), (&Value::Bool(true), &Value::Null));
    first.allow(&foretold).await;
    let verifier = verifier(&first, &[]).await;
    let (package, cluster) = (first.id("package"), first.id("cluster"));
    let (package_text, cluster_text) = (package.to_string(), cluster.to_string());
    let on_chain = ["--package", &package_text, "--cluster", &cluster_text];
    let (gateway, apiserver) = (free_port(), free_port());
    let keystore = first.dir.join("wallets/sui.keystore");
    let operator = first.operator().await;
    let settings = format!(
        "listen = \"127.0.0.1:{gateway}\"\napiserver_listen = \"127.0.0.1:{apiserver}\"\n\
         chain.package = \"{package}\"\nchain.cluster = \"{cluster}\"\nchain.gas_keystore = {keystore:?}\n\
         chain.gas_address = {}\nregistration.verifiers = [{:?}]\n",
        operator, verifier.url
    );
    let client = Client::connect(&url).await.unwrap();
    let face = async || client.read::<Cluster>(package, cluster).await.unwrap();

    // Two holders, both of whom it takes, at addresses that stay.
    let mut holders = Vec::new();
    for name in ["a", "b"] {
        let machine = Machine::new(root.path(), name, &url, "");
        let key = machine.ok(&["custodian", "--print-key"]).await["publicKey"].as_str().unwrap().to_owned();
        holders.push((machine, format!("127.0.0.1:{}", free_port()), key));
    }
    let serve = async |at: usize| {
        let (machine, listen, _) = &holders[at];
        machine.serve(&[&["custodian", "--listen", listen], &on_chain[..]].concat()).await
    };
    let (a_url, b_url) = (format!("http://{}", holders[0].1), format!("http://{}", holders[1].1));
    let named = [format!("a={}@{a_url}", holders[0].2), format!("b={}@{b_url}", holders[1].2)];
    let found = ["--new-cluster", "--threshold", "2", "--holder", &named[0], "--holder", &named[1]];
    ask(&first, &settings, &[&a_url, &b_url], &[], 8);

    // Nothing to start from; and nothing is begun that could not be opened again.
    let refused = first.fails(&["master"], 1).await;
    assert!(refused.contains("cluster.pki is not there") && refused.contains("--new-cluster"), "{refused}");
    let a = serve(0).await;
    let refused = first.fails(&[&["master"], &found[..]].concat(), 1).await;
    assert!(refused.contains("b did not take its share"), "{refused}");
    assert!(
        !first.dir.join("master/sealed/cluster.pki").exists() && !first.dir.join("master/store").exists()
    );

    // The first start, and what the chain then knows.
    let b = serve(1).await;
    let running = first.start_master(&found).await;
    let begun = face().await;
    assert_eq!(begun.ca_hash.len(), 32);
    let ca_hash = hex::encode(&begun.ca_hash);
    let gateway = format!("https://127.0.0.1:{gateway}");
    let tee = status(&gateway).await["tee"].clone();
    assert_eq!((&tee["platform"], &tee["simulated"]), (&"simulated".into(), &true.into()), "{tee}");
    assert_eq!(tee["sealing"], "none", "{tee}");

    // The secret is nowhere below the state directory; what is there would have been found.
    let secret = secret_of(&first, &a_url).await;
    let bait = first.dir.join("master/store/bait");
    for form in [[&[0; 100_000][..], &secret, &[1; 5]].concat(), hex::encode(&secret).into_bytes()] {
        fs::write(&bait, form).unwrap();
        assert_eq!(found_in(&first.dir, &secret), std::slice::from_ref(&bait));
        fs::remove_file(&bait).unwrap();
    }
    assert_eq!(found_in(&first.dir, &secret), Vec::<PathBuf>::new());

    // Another machine gets it from the running master, over RA-TLS and with every holder down.
    drop((a, b));
    let second = Machine::new(root.path(), "second", &url, "version 1");
    copy(&first, &second, "cluster.pki");
    ask(&second, &settings, &[], &[&gateway], 20);
    assert_eq!(second.ok(&["master", "--print-identity"]).await["caHash"], ca_hash);
    assert!(!second.dir.join("master/sealed/cluster.secret").exists());
    // Not from who only says that it is a master, whatever the CA signed for it: it does not even hear the request. And not with
    // code that nobody allowed.
    let (rogue, heard) = without_evidence(&first, &secret).await;
    ask(&second, &settings, &[], &[&rogue, "https://127.0.0.1:1"], 8);
    let refused = second.fails(&["master", "--print-identity"], 1).await;
    assert!(refused.contains("master https://127.0.0.1:1: "), "{refused}");
    assert!(refused.contains(&format!("master {rogue}: ")), "{refused}");
    assert!(refused.contains("carries no attestation evidence"), "{refused}");
    let heard = heard.lock().unwrap().clone();
    assert!(!heard.is_empty() && heard.iter().all(|line| line == "GET /cacerts HTTP/1.1"), "{heard:?}");
    let other = Machine::new(root.path(), "other", &url, "version 2");
    copy(&first, &other, "cluster.pki");
    ask(&other, &settings, &[&a_url], &[&gateway], 8);
    let refused = other.fails(&["master"], 1).await;
    assert!(refused.contains(&format!("master {gateway}: not asked")), "{refused}");
    assert!(refused.contains("measurement_not_allowed"), "{refused}");
    assert!(refused.contains(&format!("holder {a_url}: ")), "{refused}");

    // Once it has stopped, the disk alone does not suffice.
    drop(running);
    let refused = first.fails(&["master"], 1).await;
    for words in
        ["simulated keeps no key from one start to the next", &a_url, &b_url, "Start as many of them"]
    {
        assert!(refused.contains(words), "{words}: {refused}");
    }
    let a = serve(0).await;
    let refused = first.fails(&["master"], 1).await;
    assert!(refused.contains("1 of 2 shares"), "{refused}");
    let b = serve(1).await;
    let again = first.start_master(&[]).await;
    let stands = first.ok(&["master", "--print-identity"]).await;
    assert_eq!(stands["caHash"], ca_hash);
    // It is at the place again, as another enclave under the same CA.
    for _ in 0..100 {
        if face().await.enclave != begun.enclave {
            break;
        }
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    let now = face().await;
    assert!(now.enclave.is_some() && now.enclave != begun.enclave, "a new key has to be registered");
    assert_eq!(hex::encode(&now.ca_hash), ca_hash);
    assert_eq!(found_in(&first.dir, &secret), Vec::<PathBuf>::new());
    drop(again);

    // And again: nothing was kept by being given it twice.
    drop(a);
    let refused = first.fails(&["master"], 1).await;
    assert!(refused.contains("1 of 2 shares"), "{refused}");
    drop(b);
    first.fails(&["master"], 1).await;

    // A master that starts deals anew, as another enclave; what was dealt before is replaced.
    let (a, b) = (serve(0).await, serve(1).await);
    let before = custody::fetch_dealing(&a_url).await.unwrap();
    let cold = root.path().join("cold");
    let with_snapshots = format!("{settings}snapshots.place.directory = {cold:?}\n");
    ask(&first, &with_snapshots, &[&a_url, &b_url], &[], 8);
    let dealing = first.start_master(&found[1..]).await;
    let saved = first.ok(&["snapshot", "save"]).await["name"].as_str().unwrap().to_owned();
    first.ok(&["anchor"]).await;
    drop(dealing);
    for url in [&a_url, &b_url] {
        let dealt = custody::fetch_dealing(url).await.unwrap();
        assert!(dealt.made_ms() > before.made_ms() && dealt.dealer() != before.dealer());
        assert_eq!(dealt.secret_commitment(), before.secret_commitment());
    }
    assert_eq!(first.ok(&["master", "--print-identity"]).await["caHash"], ca_hash);

    // Another machine with an empty disk: all of it comes back, but for the secret, which it is given again when it starts.
    let fresh = Machine::new(root.path(), "fresh", &url, "version 1");
    ask(&fresh, &settings, &[&a_url], &[], 20);
    let cold = cold.display().to_string();
    let recover = ["recover", "--cluster", &cluster_text, "--from", &cold, "--snapshot", &saved];
    fresh.ok(&[&recover[..], &["--holder", &a_url]].concat()).await;
    assert_eq!(found_in(&fresh.dir, &secret), Vec::<PathBuf>::new());
    assert!(!fresh.dir.join("master/sealed/cluster.secret").exists());
    drop(fresh.start_master(&[]).await);
    drop((a, b));

    // What has no sense here says so.
    let recover = [&["committee", "recover", "--holder", &a_url], &on_chain[..]].concat();
    assert!(first.fails(&recover, 1).await.contains("[master.tee.release]"));
    let refused = first.fails(&[&["master"], &found[..]].concat(), 1).await;
    assert!(refused.contains("this is no new cluster"), "{refused}");
    let production = first.dir.join("config.toml");
    let text = fs::read_to_string(&production).unwrap();
    fs::write(&production, format!("mock_mode = false\n{text}")).unwrap();
    let refused = first.fails(&["master"], 1).await;
    assert!(refused.contains("tee.allow_simulated is false"), "{refused}");
}
