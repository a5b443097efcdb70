//! The command line: names and flags follow kubectl, k3s, etcd and the Sui CLI.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};

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
    /// Run the sealed etcd store alone
    Store(Store),
    /// Run a master: gateway, sealed store and Kubernetes control plane
    Master(Master),
    /// Run a worker: join with a seal token and run the node
    Worker(Worker),
    /// Lock SUI and receive a seal token
    Stake(Stake),
    /// Give the stake back: ends the token at once, money after the unbonding period
    Unstake(Unstake),
    /// Take the money of a stake whose unbonding period is over
    Withdraw(StakeRef),
    /// Look at, renew, rotate, revoke and print seal tokens
    #[command(subcommand)]
    Token(Token),
    /// Give a wallet a role in a namespace, or take it back
    #[command(subcommand)]
    Grant(Grant),
    /// Look at, allow and retire code measurements and enclaves on chain
    #[command(subcommand)]
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
    /// Print a completion script for your shell
    Completion {
        /// Which shell
        shell: clap_complete::Shell,
    },
}

#[derive(Clone, Debug, Args)]
pub(crate) struct Up {
    /// Return when the node is Ready and leave everything running
    #[arg(long)]
    pub(crate) detach: bool,
    /// Run the control plane without a worker (the default when not root)
    #[arg(long)]
    pub(crate) no_worker: bool,
    /// Do not run the demonstration pod
    #[arg(long)]
    pub(crate) no_demo: bool,
    /// Name of the worker's node, pinned on chain
    #[arg(long, default_value = "worker-1", value_name = "NAME")]
    pub(crate) node_name: String,
    /// Give up waiting for the Ready node after this many seconds
    #[arg(long, default_value_t = 180, value_name = "SECONDS")]
    pub(crate) timeout: u64,
}

#[derive(Clone, Debug, Args)]
pub(crate) struct Down {
    /// Remove the state directory's contents too: chain, wallets, cluster and images
    #[arg(long)]
    pub(crate) purge: bool,
}

#[derive(Clone, Debug, Args)]
pub(crate) struct Devnet {
    /// Address to listen on [default: [devnet] listen, or 127.0.0.1:9000]
    #[arg(long, value_name = "ADDR")]
    pub(crate) listen: Option<SocketAddr>,
    /// Keep the chain in this directory; without it the chain is gone at exit
    #[arg(long, value_name = "DIR")]
    pub(crate) data_dir: Option<PathBuf>,
    /// Bytecode of the Sui framework as made by `make setup`
    #[arg(long, env = "K3S_DAAS_FRAMEWORK", value_name = "FILE")]
    pub(crate) framework: Option<PathBuf>,
}

/// Flags as etcd names them.
#[derive(Clone, Debug, Args)]
pub(crate) struct Store {
    /// Directory of the sealed log and snapshots
    #[arg(long, value_name = "DIR")]
    pub(crate) data_dir: PathBuf,
    /// Comma-separated URLs: http:// on loopback only, https://, unix://
    #[arg(long, default_value = "http://127.0.0.1:2379", value_delimiter = ',', value_name = "URLS")]
    pub(crate) listen_client_urls: Vec<String>,
    /// Server certificate, PEM
    #[arg(long, value_name = "FILE")]
    pub(crate) cert_file: Option<PathBuf>,
    /// Server key, PEM
    #[arg(long, value_name = "FILE")]
    pub(crate) key_file: Option<PathBuf>,
    /// CA that client certificates must be signed by, PEM
    #[arg(long, value_name = "FILE")]
    pub(crate) trusted_ca_file: Option<PathBuf>,
    /// Demand client certificates; always so with https, as there is no other way in
    #[arg(long)]
    pub(crate) client_cert_auth: bool,
    /// How --auto-compaction-retention counts: periodic (time) or revision
    #[arg(long, default_value = "periodic", value_name = "MODE")]
    pub(crate) auto_compaction_mode: String,
    /// History that is kept, e.g. 1h or 1000; 0 keeps all
    #[arg(long, default_value = "0", value_name = "RETENTION")]
    pub(crate) auto_compaction_retention: String,
    /// Size at which the store raises NOSPACE, bytes
    #[arg(long, default_value_t = 2 * 1024 * 1024 * 1024, value_name = "BYTES")]
    pub(crate) quota_backend_bytes: u64,
}

#[derive(Clone, Debug, Args)]
pub(crate) struct Master {
    /// Make keys if needed, print the identity that has to be registered on chain, and exit
    #[arg(long)]
    pub(crate) print_identity: bool,
}

#[derive(Clone, Debug, Args)]
pub(crate) struct Worker {
    /// Name of the node's token in this state directory
    #[arg(long, default_value = "worker-1", value_name = "NAME")]
    pub(crate) token: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Tier {
    /// Brings a machine
    Node,
    /// Uses the cluster
    User,
    /// Administers the cluster
    Admin,
}

#[derive(Clone, Debug, Args)]
pub(crate) struct Stake {
    /// What the stake is for
    #[arg(long, value_enum)]
    pub(crate) tier: Tier,
    /// Name of the wallet that pays and owns the stake
    #[arg(long, default_value = "staker", value_name = "WALLET")]
    pub(crate) wallet: String,
    /// Amount in MIST (1 SUI = 1,000,000,000 MIST) [default: the tier's minimum]
    #[arg(long, value_name = "MIST")]
    pub(crate) amount: Option<u64>,
    /// Name of the node (node tier only), a DNS label, yours as long as the stake lives
    #[arg(long, value_name = "NAME")]
    pub(crate) node_name: Option<String>,
    /// What this state directory calls the token [default: the node's or the wallet's name]
    #[arg(long, value_name = "NAME")]
    pub(crate) name: Option<String>,
}

#[derive(Clone, Debug, Args)]
pub(crate) struct Unstake {
    #[command(flatten)]
    pub(crate) stake: StakeRef,
}

#[derive(Clone, Debug, Args)]
pub(crate) struct StakeRef {
    /// Token name of this state directory, or the stake's object id
    #[arg(value_name = "NAME|0xID")]
    pub(crate) stake: String,
    /// Name of the wallet that owns it [default: the one that staked]
    #[arg(long, value_name = "WALLET")]
    pub(crate) wallet: Option<String>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Token {
    /// Tokens of this state directory and what the chain says of them
    List,
    /// Print a fresh proof
    Mint {
        /// Token name
        #[arg(default_value = "admin")]
        name: String,
        /// How long the proof is valid, seconds
        #[arg(long, default_value_t = 300, value_name = "SECONDS")]
        ttl: u64,
        /// Print it as K3S_TOKEN: K10<ca hash>::seal:<proof>
        #[arg(long)]
        k3s: bool,
    },
    /// Extend the token on chain
    Renew {
        /// Token name
        name: String,
    },
    /// Replace the holder key, on chain and here
    Rotate {
        /// Token name
        name: String,
    },
    /// End the token on chain; the stake stays
    Revoke {
        /// Token name
        name: String,
    },
    /// Issue a new token for a stake whose token was revoked or has expired
    Issue {
        /// Token name
        name: String,
    },
}

#[derive(Debug, Subcommand)]
pub(crate) enum Grant {
    /// Give a role
    Add(GrantAdd),
    /// Take a role back
    Revoke {
        /// Grant object id
        #[arg(value_name = "0xID")]
        grant: String,
    },
    /// Every grant of the cluster
    List,
}

#[derive(Clone, Debug, Args)]
pub(crate) struct GrantAdd {
    /// Wallet name or address
    #[arg(value_name = "WALLET|0xADDRESS")]
    pub(crate) grantee: String,
    /// Namespace; without it the whole cluster
    #[arg(long, short = 'n', value_name = "NAMESPACE")]
    pub(crate) namespace: Option<String>,
    /// Role: view, edit, admin or cluster-admin
    #[arg(long, default_value = "edit", value_name = "ROLE")]
    pub(crate) role: String,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Enclave {
    /// Allowed measurements and registered enclaves
    List,
    /// Allow code with this measurement to be a master
    Allow(Measurement),
    /// Take that back: enclaves registered with it lose their standing at once
    Retire(Measurement),
}

#[derive(Clone, Debug, Args)]
pub(crate) struct Measurement {
    /// Platform: simulated, sev-snp, tdx, sgx, nitro, trustzone or tpm
    #[arg(long, default_value = "simulated")]
    pub(crate) platform: String,
    /// Measured values as NAME=HEX, once for each
    #[arg(long = "measurement", required = true, value_name = "NAME=HEX")]
    pub(crate) measurements: Vec<String>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Wallet {
    /// Make a new wallet
    New {
        /// Its name
        name: String,
    },
    /// Names, addresses and balances
    List,
    /// Ask the development chain's faucet for SUI
    Faucet {
        /// Wallet name
        name: String,
        /// Amount in MIST
        #[arg(long, default_value_t = 10_000_000_000, value_name = "MIST")]
        amount: u64,
    },
}

#[derive(Clone, Debug, Args)]
pub(crate) struct Credential {
    /// Token name
    #[arg(long, default_value = "admin", value_name = "NAME")]
    pub(crate) token: String,
}

#[derive(Clone, Debug, Args)]
pub(crate) struct Kubeconfig {
    /// Token name
    #[arg(long, default_value = "admin", value_name = "NAME")]
    pub(crate) token: String,
    /// Write it to this file instead of stdout
    #[arg(long, value_name = "FILE")]
    pub(crate) write: Option<PathBuf>,
}

#[derive(Clone, Debug, Args)]
pub(crate) struct Attest {
    /// Why each platform was taken or passed over
    #[arg(long)]
    pub(crate) explain: bool,
    /// Bind the evidence to these 32 bytes, hexadecimal [default: fresh random ones]
    #[arg(long, value_name = "HEX")]
    pub(crate) nonce: Option<String>,
}
