//! kube-apiserver on a store, and kwok that plays its nodes.

use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context, bail, ensure};
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use reqwest::Client;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::program::Program;
use crate::server::{self, Server};
use crate::settings::Settings;

const TOKEN: &str = "benchmark";

/// Stopped when dropped: kwok before the apiserver before its files.
pub(crate) struct Cluster {
    kwok: Program,
    pub(crate) apiserver: Program,
    client: Client,
    url: String,
    _directory: TempDir,
}

impl Cluster {
    /// Starts both and waits until this many nodes are ready.
    pub(crate) async fn start(settings: &Settings, store: &Server, nodes: usize) -> anyhow::Result<Self> {
        let directory = settings.directory()?;
        let [port, _] = server::free_ports()?;
        let url = format!("https://127.0.0.1:{port}");
        let files = Files::write(directory.path(), &url)?;
        let mut cluster = Self {
            apiserver: Program::start(
                "kube-apiserver",
                apiserver(settings, &files, store, port)?,
                directory.path(),
            )?,
            kwok: Program::start("kwok", kwok(settings, &files)?, directory.path())?,
            client: Client::builder()
                .tls_certs_only([reqwest::Certificate::from_pem(files.ca_pem.as_bytes())?])
                .timeout(Duration::from_secs(60))
                .build()?,
            url,
            _directory: directory,
        };
        cluster.until("the apiserver to be ready", "/readyz", |_| true).await?;
        cluster.until("the default namespace", "/api/v1/namespaces/default", |_| true).await?;
        for node in 0..nodes {
            let body = json!({"metadata": {
                "name": node_name(node),
                "annotations": {"kwok.x-k8s.io/node": "fake"},
            }});
            cluster.post("/api/v1/nodes", body.to_string()).await?;
        }
        cluster.until("nodes to be ready", "/api/v1/nodes", |list| ready(list) == nodes).await?;
        Ok(cluster)
    }

    /// Creates an object.
    pub(crate) async fn post(&self, path: &str, body: String) -> anyhow::Result<()> {
        let request = self.client.post(format!("{}{path}", self.url)).bearer_auth(TOKEN);
        let response = request.header("content-type", "application/json").body(body).send().await?;
        let status = response.status();
        // Read to its end, or the connection is not free for the next.
        let answer = response.bytes().await?;
        ensure!(status.is_success(), "{path}: {status}: {}", String::from_utf8_lossy(&answer));
        Ok(())
    }

    /// How many pods do not run. Without the objects: this is asked in a loop.
    pub(crate) async fn pods_not_running(&self) -> anyhow::Result<usize> {
        let path = "/api/v1/pods?fieldSelector=status.phase!=Running";
        let request = self.client.get(format!("{}{path}", self.url)).bearer_auth(TOKEN);
        let metadata = "application/json;as=PartialObjectMetadataList;v=v1;g=meta.k8s.io";
        let response = request.header("accept", metadata).send().await?.error_for_status()?;
        let list: Value = serde_json::from_slice(&response.bytes().await?)?;
        ensure!(list["kind"] == "PartialObjectMetadataList", "not the list that was asked for: {list}");
        // Go writes an empty list as null.
        Ok(list["items"].as_array().map_or(0, Vec::len))
    }

    async fn until(&mut self, what: &str, path: &str, done: impl Fn(&Value) -> bool) -> anyhow::Result<()> {
        let deadline = Instant::now() + Duration::from_secs(60);
        loop {
            let request = self.client.get(format!("{}{path}", self.url)).bearer_auth(TOKEN);
            if let Ok(response) = request.send().await
                && response.status().is_success()
                && done(&serde_json::from_slice(&response.bytes().await?).unwrap_or(Value::Null))
            {
                return Ok(());
            }
            self.apiserver.still_runs()?;
            self.kwok.still_runs()?;
            if Instant::now() > deadline {
                let (apiserver, kwok) = (self.apiserver.last_words(), self.kwok.last_words());
                bail!("waited a minute for {what}; kube-apiserver: {apiserver}; kwok: {kwok}");
            }
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    }
}

pub(crate) fn node_name(node: usize) -> String {
    format!("node-{node:03}")
}

fn ready(nodes: &Value) -> usize {
    let is_ready = |node: &&Value| {
        let conditions = node["status"]["conditions"].as_array();
        conditions.is_some_and(|all| all.iter().any(|one| one["type"] == "Ready" && one["status"] == "True"))
    };
    nodes["items"].as_array().map_or(0, |items| items.iter().filter(is_ready).count())
}

/// What the programs read.
struct Files {
    directory: PathBuf,
    ca_pem: String,
}

impl Files {
    fn write(directory: &Path, url: &str) -> anyhow::Result<Self> {
        let mut ca = CertificateParams::default();
        ca.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let (ca_key, key, accounts) = (KeyPair::generate()?, KeyPair::generate()?, KeyPair::generate()?);
        let ca_pem = ca.self_signed(&ca_key)?.pem();
        let serving = CertificateParams::new(vec![Ipv4Addr::LOCALHOST.to_string()])?
            .signed_by(&key, &Issuer::new(ca, ca_key))?;
        let kubeconfig = json!({
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [{"name": "bench", "cluster": {
                "server": url,
                "certificate-authority": directory.join("ca.crt"),
            }}],
            "users": [{"name": "bench", "user": {"token": TOKEN}}],
            "contexts": [{"name": "bench", "context": {"cluster": "bench", "user": "bench"}}],
            "current-context": "bench",
        });
        for (name, text) in [
            ("ca.crt", ca_pem.as_str()),
            ("serving.crt", &serving.pem()),
            ("serving.key", &key.serialize_pem()),
            ("accounts.key", &accounts.serialize_pem()),
            ("accounts.pub", &accounts.public_key_pem()),
            ("tokens.csv", &format!("{TOKEN},bench,1,system:masters\n")),
            ("kubeconfig", &kubeconfig.to_string()),
        ] {
            std::fs::write(directory.join(name), text).with_context(|| format!("writing {name}"))?;
        }
        Ok(Self { directory: directory.to_owned(), ca_pem })
    }

    fn flag(&self, flag: &str, name: &str) -> String {
        format!("--{flag}={}", self.directory.join(name).display())
    }
}

fn apiserver(settings: &Settings, files: &Files, store: &Server, port: u16) -> anyhow::Result<Command> {
    let mut command = Command::new(settings.kubernetes.canonicalize().context("looking for bin/kubernetes")?);
    command.arg("kube-apiserver");
    command.args([
        files.flag("tls-cert-file", "serving.crt"),
        files.flag("tls-private-key-file", "serving.key"),
        files.flag("token-auth-file", "tokens.csv"),
        files.flag("service-account-key-file", "accounts.pub"),
        files.flag("service-account-signing-key-file", "accounts.key"),
        format!("--secure-port={port}"),
        format!("--etcd-servers=http://{}", store.address),
    ]);
    command.args([
        "--bind-address=127.0.0.1",
        "--service-account-issuer=https://kubernetes.default.svc",
        "--service-cluster-ip-range=10.96.0.0/16",
        "--endpoint-reconciler-type=none",
        "--authorization-mode=AlwaysAllow",
        // Nobody makes service accounts here.
        "--disable-admission-plugins=ServiceAccount",
        "--profiling=false",
    ]);
    Ok(command)
}

fn kwok(settings: &Settings, files: &Files) -> anyhow::Result<Command> {
    let mut command = Command::new(settings.peers.join("kwok").canonicalize()?);
    let stages = settings.peers.join("stages.yaml").canonicalize().context("looking for kwok's stages")?;
    command.args([
        files.flag("kubeconfig", "kubeconfig"),
        format!("--config={}", stages.display()),
        "--manage-nodes-with-annotation-selector=kwok.x-k8s.io/node=fake".to_owned(),
        "--cidr=10.128.0.0/14".to_owned(),
        "--node-ip=192.0.2.1".to_owned(),
    ]);
    Ok(command)
}
