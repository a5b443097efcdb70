//! The command line, one file of arguments per command. Names and flags follow kubectl, k3s, etcd and the Sui CLI.

mod anchor;
mod attest;
mod cluster;
mod control_plane;
mod credential;
mod custody;
mod devnet;
mod down;
mod enclave;
mod escrow;
mod govern;
mod grant;
mod history;
mod kubeconfig;
mod master;
mod prove;
mod publish;
mod recover;
mod rewards;
mod simulate;
mod slash;
mod snapshot;
mod stake;
mod store;
mod token;
mod tx;
mod up;
mod verify;
mod wallet;
mod walrus_dev;
mod worker;

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};

pub(crate) use anchor::Anchor;
pub(crate) use attest::{Attest, AttestCommand, CollateralArgs};
pub(crate) use cluster::{Cluster, ClusterCommand, ClusterConfig};
pub(crate) use control_plane::ControlPlaneFlags;
pub(crate) use credential::Credential;
pub(crate) use custody::{Committee, CommitteeCommand, Custodian, HandOver, Seal, Service, Verifier};
pub(crate) use devnet::Devnet;
pub(crate) use down::Down;
pub(crate) use enclave::{Enclave, EnclaveCommand, Measurement, Tcb};
pub(crate) use escrow::{Escrow, EscrowCommand};
pub(crate) use govern::{
    CapCommand, EconomicsCommand, Govern, GovernCommand, InsuranceCommand, UpgradeCommand,
};
pub(crate) use grant::{Grant, GrantAdd, GrantCommand};
pub(crate) use history::{History, When};
pub(crate) use kubeconfig::Kubeconfig;
pub(crate) use master::Master;
pub(crate) use prove::{Prove, VerifyProof};
pub(crate) use publish::Publish;
pub(crate) use recover::Recover;
pub(crate) use rewards::{Rewards, RewardsCommand, SharesOf};
pub(crate) use simulate::{Economics, Simulate};
pub(crate) use slash::{Slash, SlashCommand};
pub(crate) use snapshot::{Snapshot, SnapshotFile, SnapshotRestore, StoreEndpoint};
pub(crate) use stake::{Stake, StakeCommand, Tier, Unstake, Withdraw};
pub(crate) use store::Store;
pub(crate) use token::{Token, TokenChange};
pub(crate) use tx::Tx;
pub(crate) use up::Up;
pub(crate) use verify::{Sources, Verify};
pub(crate) use wallet::{Wallet, WalletLink};
pub(crate) use walrus_dev::WalrusDev;
pub(crate) use worker::{Engine, Worker};

/// Kubernetes on machines that nobody has to trust blindly.
///
/// People lock SUI in Move contracts and receive a seal token; with it their machines join a Kubernetes
/// cluster whose control plane runs in a TEE, on an etcd-compatible store in which every byte is sealed.
#[derive(Debug, Parser)]
#[command(name = "k3s-daas", version, propagate_version = true, max_term_width = 110, after_long_help = EXIT_CODES)]
pub(crate) struct Cli {
    #[command(flatten)]
    pub(crate) global: Global,
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// The Kubernetes client calls each failed attempt an error; who retries says what matters.
const LOG: &str = "info,kube_client=off";

const EXIT_CODES: &str = "\
Exit codes:
  0  done
  1  failed; the last line on stderr says why and what to do
  2  the command line or the configuration is wrong; nothing was done
  3  refused: evidence, token or contract said no
  4  not ready in time; it may still get there

Data goes to stdout, words go to stderr. Configuration: flags, then environment (K3S_DAAS_*), then the
file given by --config.";

#[derive(Clone, Debug, Args)]
pub(crate) struct Global {
    /// Where everything is kept [default: /var/lib/k3s-daas as root, else ~/.local/share/k3s-daas]
    #[arg(long, global = true, env = "K3S_DAAS_STATE_DIR", value_name = "DIR")]
    pub(crate) state_dir: Option<PathBuf>,
    /// Configuration file, TOML
    #[arg(long, short = 'c', global = true, env = "K3S_DAAS_CONFIG", value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
    /// Sui full node to talk to; without it the embedded development chain of this state directory
    #[arg(long, global = true, env = "K3S_DAAS_CHAIN", value_name = "URL")]
    pub(crate) chain: Option<String>,
    /// How to print data
    #[arg(long, short = 'o', global = true, value_enum, default_value_t = Output::Text)]
    pub(crate) output: Output,
    /// What to log on stderr: error, warn, info, debug, trace, or a filter like `store=debug,info`
    #[arg(long, global = true, env = "K3S_DAAS_LOG", default_value = LOG, value_name = "FILTER")]
    pub(crate) log_level: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Output {
    /// For people
    Text,
    /// For programs
    Json,
}

impl Command {
    /// Whether it runs for long with a cluster's keys in memory.
    pub(crate) fn holds_keys(&self) -> bool {
        matches!(self, Self::Master(_) | Self::Store(_) | Self::Custodian(_) | Self::Verifier(_))
    }

    /// Whether thousands of connections are kept at once.
    pub(crate) fn serves_many(&self) -> bool {
        matches!(self, Self::Master(_))
    }
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Start everything on this machine and end with a Ready node and a pod that answers
    Up(Up),
    /// Stop what `up` started and clean up processes, mounts and network
    Down(Down),
    /// Say what runs, what is on chain and what is simulated
    Status,
    /// Check this machine: what is missing and how to mend it
    Check,
    /// Run the embedded Sui development chain alone
    Devnet(Devnet),
    /// Run a simulated Walrus from a directory, for development
    WalrusDev(WalrusDev),
    /// Run the sealed etcd store alone
    Store(Store),
    /// Snapshots in the cold store, and files that etcdctl saved
    #[command(subcommand)]
    Snapshot(Snapshot),
    /// Seal a running store under keys of a new generation
    RotateStoreKey(StoreEndpoint),
    /// Anchor the state on chain now, instead of when it is due
    Anchor(Anchor),
    /// Show what a key of the cluster's state was: from memory and from the snapshots that hold what left it
    History(History),
    /// Print a proof of what a key of the cluster's state has, against the anchor on chain, as JSON
    Prove(Prove),
    /// Check a proof against the chain, on any machine: exit 0 with what it shows, 3 if it shows nothing
    VerifyProof(VerifyProof),
    /// Bring a cluster's state back from the chain and the cold store
    Recover(Recover),
    /// Run a master: gateway, sealed store and Kubernetes control plane
    Master(Master),
    /// Run a worker: join with a seal token and run the node
    Worker(Worker),
    Publish(Publish),
    /// Lock SUI and receive a seal token
    Stake(Stake),
    /// Give the stake back: ends the token at once, money after the unbonding period
    Unstake(Unstake),
    /// Take the money of a stake whose unbonding period is over
    Withdraw(Withdraw),
    /// Look at, fund and claim rewards for uptime
    Rewards(Rewards),
    /// Look at, propose, contest and decide penalties
    Slash(Slash),
    /// Pay for use by the second
    Escrow(Escrow),
    /// Capabilities, economics, insurance and upgrades, behind the timelock
    Govern(Govern),
    /// Look at and change the cluster on chain
    Cluster(Cluster),
    /// Look at, renew, rotate, revoke and print seal tokens
    #[command(subcommand)]
    Token(Token),
    /// Give a wallet a role in a namespace, or take it back
    Grant(Grant),
    /// Look at, allow and retire code measurements and enclaves on chain
    Enclave(Enclave),
    /// Wallets of this state directory, in the Sui CLI's keystore format
    #[command(subcommand)]
    Wallet(Wallet),
    /// kubectl's exec credential plugin: prints a fresh proof as ExecCredential
    Credential(Credential),
    /// Print a kubeconfig that works with any kubectl
    Kubeconfig(Kubeconfig),
    /// Print this machine's attestation evidence as JSON
    Attest(Attest),
    /// Share the cluster's secret among holders, and get it back for a new enclave
    Committee(Committee),
    /// Run a member of a recovery committee: holds a share and gives it to enclaves that prove themselves
    Custodian(Custodian),
    /// Run a verifier: verifies enclaves' evidence and signs the claims of their registration
    Verifier(Verifier),
    /// Verify a platform's evidence on this machine: exit 0 with claims, 3 with every reason why not
    Verify(Verify),
    /// Play a cluster's rules before money depends on them
    #[command(subcommand)]
    Simulate(Simulate),
    /// Print a completion script for your shell
    Completion {
        /// Which shell
        shell: clap_complete::Shell,
    },
}
