use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use tempfile::TempDir;

use crate::grpc::RANGE;
use crate::process::{self, Usage};
use crate::program::Program;
use crate::settings::Settings;
use crate::{lean, wire};

/// What can be measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Kind {
    Etcd,
    Ours,
    Kine,
}

impl Kind {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Etcd => "etcd",
            Self::Ours => "k3s-daas store",
            Self::Kine => "kine",
        }
    }
}

/// Far above what any row writes: quotas are not what is measured.
const QUOTA_BYTES: u64 = 16 << 30;

/// A server on loopback with a directory of its own; killed when dropped.
pub(crate) struct Server {
    pub(crate) kind: Kind,
    pub(crate) address: SocketAddr,
    program: Program,
    directory: TempDir,
}

impl Server {
    /// Starts with an empty directory, and waits until it answers.
    pub(crate) async fn start(kind: Kind, settings: &Settings) -> anyhow::Result<Self> {
        let directory = settings.directory()?;
        let (address, program) = spawn(kind, settings, &directory)?;
        let mut server = Self { kind, address, program, directory };
        server.answers(Duration::from_secs(60)).await?;
        Ok(server)
    }

    pub(crate) async fn start_all(kinds: &[Kind], settings: &Settings) -> anyhow::Result<Vec<Self>> {
        let mut servers = Vec::new();
        for kind in kinds {
            servers.push(Self::start(*kind, settings).await?);
        }
        Ok(servers)
    }

    pub(crate) fn pid(&self) -> u32 {
        self.program.pid()
    }

    pub(crate) fn usage(&self) -> anyhow::Result<Usage> {
        process::usage(self.pid()).with_context(|| self.kind.name())
    }

    /// Until it has nothing left to do.
    pub(crate) async fn settled(&self) -> anyhow::Result<()> {
        process::settled(self.pid(), Duration::from_secs(30)).await
    }

    /// Kills it without warning and starts it on the same data. Seconds until it answers a linearizable read.
    pub(crate) async fn restart(&mut self, settings: &Settings) -> anyhow::Result<f64> {
        self.program.kill()?;
        let started = Instant::now();
        (self.address, self.program) = spawn(self.kind, settings, &self.directory)?;
        self.answers(Duration::from_secs(300)).await?;
        Ok(started.elapsed().as_secs_f64())
    }

    async fn answers(&mut self, patience: Duration) -> anyhow::Result<()> {
        let deadline = Instant::now() + patience;
        while lean::once(self.address, RANGE, &wire::range_one(b"ready")).await.is_err() {
            self.program.still_runs()?;
            if Instant::now() > deadline {
                bail!(
                    "{} does not answer after {patience:?}: {}",
                    self.kind.name(),
                    self.program.last_words()
                );
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        Ok(())
    }
}

/// Two ports of loopback that were free a moment ago.
pub(crate) fn free_ports() -> anyhow::Result<[u16; 2]> {
    let bound = [TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?, TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?];
    Ok([bound[0].local_addr()?.port(), bound[1].local_addr()?.port()])
}

fn spawn(kind: Kind, settings: &Settings, directory: &TempDir) -> anyhow::Result<(SocketAddr, Program)> {
    let [port, peer_port] = free_ports()?;
    let client_url = format!("http://127.0.0.1:{port}");
    let peer_url = format!("http://127.0.0.1:{peer_port}");
    let data = directory.path().join("data");
    std::fs::create_dir_all(&data)?;
    let command = match kind {
        Kind::Etcd => {
            let mut command = Command::new(settings.peers.join("etcd").canonicalize()?);
            command.arg(format!("--data-dir={}", data.display()));
            command.arg(format!("--listen-client-urls={client_url}"));
            command.arg(format!("--advertise-client-urls={client_url}"));
            command.arg(format!("--listen-peer-urls={peer_url}"));
            command.arg(format!("--initial-advertise-peer-urls={peer_url}"));
            command.arg(format!("--initial-cluster=default={peer_url}"));
            command.arg(format!("--quota-backend-bytes={QUOTA_BYTES}"));
            command.arg("--log-level=error");
            command
        }
        Kind::Ours => {
            let mut command = Command::new(settings.k3s_daas.canonicalize()?);
            command.arg("store").arg("--data-dir").arg(&data);
            command.arg("--state-dir").arg(directory.path().join("state"));
            command.arg("--listen-client-urls").arg(&client_url);
            command.arg("--quota-backend-bytes").arg(QUOTA_BYTES.to_string());
            command
        }
        Kind::Kine => {
            let mut command = Command::new(settings.peers.join("kine").canonicalize()?);
            command.arg(format!("--listen-address=127.0.0.1:{port}")).arg("--metrics-bind-address=0");
            command
        }
    };
    let program = Program::start(kind.name(), command, &data)?;
    Ok((SocketAddr::from((Ipv4Addr::LOCALHOST, port)), program))
}
