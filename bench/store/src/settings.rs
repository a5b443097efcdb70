use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, ensure};
use tempfile::TempDir;

/// What all rows of a run share.
pub(crate) struct Settings {
    /// Directory of etcd, etcdctl, benchmark, kine, kwok and kwok's stages.
    pub(crate) peers: PathBuf,
    /// Our binary: a copy, so that a build in the meantime changes nothing.
    pub(crate) k3s_daas: PathBuf,
    pub(crate) kubernetes: PathBuf,
    pub(crate) runs: u32,
    pub(crate) with_kine: bool,
    /// Versions of what is measured, for the report.
    pub(crate) versions: Vec<String>,
    scratch: TempDir,
}

impl Settings {
    pub(crate) fn new(
        peers: PathBuf,
        k3s_daas: &Path,
        kubernetes: PathBuf,
        scratch: &Path,
        runs: u32,
        with_kine: bool,
    ) -> anyhow::Result<Self> {
        for program in ["etcd", "benchmark", "kine", "kwok"] {
            ensure!(
                peers.join(program).exists(),
                "{} has no {program}: run `make bench-store-build`",
                peers.display()
            );
        }
        std::fs::create_dir_all(scratch).with_context(|| format!("creating {}", scratch.display()))?;
        let scratch = tempfile::Builder::new()
            .prefix("run-")
            .tempdir_in(scratch)
            .context("making a scratch directory")?;
        let copy = scratch.path().join("k3s-daas");
        std::fs::copy(k3s_daas, &copy)
            .with_context(|| format!("taking {}: is the release build there?", k3s_daas.display()))?;
        let etcd = first_line(Command::new(peers.join("etcd")).arg("--version"))?;
        let ours = first_line(Command::new(&copy).arg("--version"))?;
        let kine = first_line(Command::new(peers.join("kine")).arg("--version"))?;
        let commit = first_line(Command::new("git").args(["describe", "--always", "--dirty"]))
            .unwrap_or_else(|_| "not in a git repository".to_owned());
        Ok(Self {
            peers,
            k3s_daas: copy,
            kubernetes,
            runs,
            with_kine,
            versions: vec![etcd, format!("{ours} ({commit})"), kine],
            scratch,
        })
    }

    /// A fresh directory, gone when dropped.
    pub(crate) fn directory(&self) -> anyhow::Result<TempDir> {
        tempfile::tempdir_in(self.scratch.path()).context("making a data directory")
    }
}

fn first_line(command: &mut Command) -> anyhow::Result<String> {
    let output = command.output().with_context(|| format!("running {command:?}"))?;
    let text = String::from_utf8_lossy(&output.stdout);
    text.lines().next().map(str::to_owned).with_context(|| format!("{command:?} said nothing"))
}
