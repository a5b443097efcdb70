//! The master in a process of its own, so that its memory and processor time are its own.

use std::path::Path;
use std::process::{Child, Command};
use std::time::{Duration, Instant};

use anyhow::{Context, bail, ensure};
use master::Master;

use crate::load;
use crate::world::World;

/// Killed when dropped.
pub(crate) struct MasterProcess(Child);

#[derive(Clone, Copy)]
pub(crate) struct Usage {
    pub(crate) cpu: Duration,
    pub(crate) rss_mib: u64,
    pub(crate) peak_mib: u64,
}

/// Is the master, until it is killed.
pub(crate) async fn run(config: &Path) -> anyhow::Result<()> {
    let filter = std::env::var("K3S_DAAS_LOG").unwrap_or_else(|_| "warn".to_owned());
    tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).init();
    let config = serde_json::from_slice(&std::fs::read(config)?)?;
    let master = Master::start(config).await?;
    Err(master.failed().await.into())
}

impl MasterProcess {
    pub(crate) async fn start(dir: &Path, world: &World) -> anyhow::Result<Self> {
        let config = dir.join("master.json");
        std::fs::write(&config, serde_json::to_vec(&world.config)?)?;
        let log = std::fs::File::create(dir.join("master.log"))?;
        // As `k3s-daas master` starts itself, unless somebody has chosen.
        let arenas = std::env::var_os("MALLOC_ARENA_MAX").unwrap_or_else(|| "1".into());
        let child = Command::new(std::env::current_exe()?)
            .env("MALLOC_ARENA_MAX", arenas)
            .arg("--master")
            .arg(&config)
            .stderr(log)
            .spawn()
            .context("starting the master")?;
        let mut process = Self(child);
        let deadline = Instant::now() + Duration::from_secs(120);
        loop {
            process.still_runs()?;
            if let Ok(answer) = load::get(world, "/readyz?verbose").await
                && answer.starts_with("HTTP/1.1 200")
            {
                return Ok(process);
            }
            if Instant::now() > deadline {
                let log = std::fs::read_to_string(dir.join("master.log")).unwrap_or_default();
                let asked =
                    load::get(world, "/readyz?verbose").await.unwrap_or_else(|error| error.to_string());
                bail!("the master is not ready after two minutes: {asked}\n{log}");
            }
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    }

    pub(crate) fn still_runs(&mut self) -> anyhow::Result<()> {
        let ended = self.0.try_wait()?;
        ensure!(ended.is_none(), "the master has ended: {ended:?}");
        Ok(())
    }

    /// From `/proc`: of this one process, not of Kubernetes' beside it.
    pub(crate) fn usage(&self) -> anyhow::Result<Usage> {
        let proc = Path::new("/proc").join(self.0.id().to_string());
        let stat = std::fs::read_to_string(proc.join("stat"))?;
        let fields: Vec<&str> = stat.rsplit(") ").next().unwrap_or_default().split(' ').collect();
        let ticks: u64 = fields[11].parse::<u64>()? + fields[12].parse::<u64>()?;
        let status = std::fs::read_to_string(proc.join("status"))?;
        let mib = |name: &str| -> anyhow::Result<u64> {
            let line = status.lines().find_map(|line| line.strip_prefix(name)).context("no such line")?;
            Ok(line.trim().trim_end_matches(" kB").parse::<u64>()? / 1024)
        };
        // USER_HZ is 100 on every Linux that Rust runs on.
        Ok(Usage {
            cpu: Duration::from_millis(ticks * 10),
            rss_mib: mib("VmRSS:")?,
            peak_mib: mib("VmHWM:")?,
        })
    }

    pub(crate) async fn heartbeats_accepted(&self, world: &World) -> anyhow::Result<u64> {
        let text = load::get(world, "/metrics").await?;
        let series = "k3s_daas_heartbeats_total{result=\"accepted\"} ";
        let count = text.lines().find_map(|line| line.strip_prefix(series)?.parse().ok());
        count.context("the master does not count heartbeats")
    }
}

impl Drop for MasterProcess {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
