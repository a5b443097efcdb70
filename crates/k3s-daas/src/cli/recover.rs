use std::path::PathBuf;

use clap::Args;

#[derive(Clone, Debug, Args)]
pub(crate) struct Recover {
    /// The cluster's id on chain
    #[arg(long, value_name = "ID")]
    pub(crate) cluster: chain::Address,
    /// Recover the state as it was at this revision [default: the newest snapshot]
    #[arg(long, value_name = "REVISION", value_parser = clap::value_parser!(i64).range(1..))]
    pub(crate) revision: Option<i64>,
    /// Say what would be done, and change nothing
    #[arg(long)]
    pub(crate) dry_run: bool,
    /// Directory with the snapshots; without it `[master.snapshots] place`
    #[arg(long, value_name = "DIR")]
    pub(crate) from: Option<PathBuf>,
    /// Snapshot to recover, by its name [default: the one that the anchor on chain names]
    #[arg(long, value_name = "NAME", allow_hyphen_values = true)]
    pub(crate) snapshot: Option<String>,
    /// A holder of the cluster's recovery committee; needed where the cluster's secret is not on this machine. May be repeated
    #[arg(long = "holder", value_name = "URL")]
    pub(crate) holders: Vec<String>,
    /// Gateway of a master of the cluster that runs, which gives the secret over attested TLS; it is asked before the committee. May be
    /// repeated
    #[arg(long = "master", value_name = "URL")]
    pub(crate) masters: Vec<String>,
    #[command(flatten)]
    pub(crate) seal: super::Seal,
    /// This machine's registration, on which masters and key servers decide [default: it registers itself by the verifiers in [master.registration]]
    #[arg(long, value_name = "0xID")]
    pub(crate) enclave: Option<chain::Address>,
    /// How long enough holders are waited for
    #[arg(long, default_value_t = 120, value_name = "SECONDS", value_parser = clap::value_parser!(u64).range(1..=86_400))]
    pub(crate) timeout: u64,
}
