//! Services and commands around the cluster's secret and the registration of enclaves.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::{Args, Subcommand};

use super::tx::Tx;
use super::verify::Sources;

/// What custodian and verifier have in common.
#[derive(Clone, Debug, Args)]
pub(crate) struct Service {
    /// Package of the contracts [default: that of this state directory]
    #[arg(long, value_name = "0xID")]
    pub(crate) package: Option<String>,
    /// The cluster [default: that of this state directory]
    #[arg(long, value_name = "0xID")]
    pub(crate) cluster: Option<String>,
    /// What evidence has to satisfy besides the measurements on chain: TCB, statuses, advisories, age; TOML
    #[arg(long, value_name = "FILE")]
    pub(crate) policy: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) sources: Sources,
}

#[derive(Clone, Debug, Args)]
pub(crate) struct Custodian {
    /// Address to listen on; HTTP, since nothing that passes is readable or believed without proof
    #[arg(long, default_value = "127.0.0.1:9347", value_name = "ADDR")]
    pub(crate) listen: SocketAddr,
    /// Keep key and share in this directory [default: custodian in the state directory]
    #[arg(long, value_name = "DIR")]
    pub(crate) data_dir: Option<PathBuf>,
    /// Print the public key and stop
    #[arg(long)]
    pub(crate) print_key: bool,
    #[command(flatten)]
    pub(crate) service: Service,
}

#[derive(Clone, Debug, Args)]
pub(crate) struct Verifier {
    /// Address to listen on; HTTP, since claims are signed
    #[arg(long, default_value = "127.0.0.1:9348", value_name = "ADDR")]
    pub(crate) listen: SocketAddr,
    /// The verifier's ed25519 key, a file with `suiprivkey1…` that others may not read
    #[arg(long, value_name = "FILE")]
    pub(crate) key: PathBuf,
    #[command(flatten)]
    pub(crate) service: Service,
}

#[derive(Clone, Debug, Args)]
pub(crate) struct Committee {
    #[command(subcommand)]
    pub(crate) what: CommitteeCommand,
}

#[derive(Clone, Debug, Subcommand)]
pub(crate) enum CommitteeCommand {
    /// Share the cluster's secret among holders, any THRESHOLD of whom can give it to a new enclave; replaces their earlier shares
    Deal {
        /// A holder as NAME=KEY@URL, once for each; KEY is what its `k3s-daas custodian --print-key` says
        #[arg(long = "holder", required = true, value_name = "NAME=KEY@URL")]
        holders: Vec<String>,
        /// How many of them it takes
        #[arg(long, value_name = "N")]
        threshold: u8,
    },
    /// Encrypt the cluster's secret to key servers of Seal, any THRESHOLD of whom can bring it back for a registered enclave, and have the
    /// chain keep that; replaces what was there
    Seal {
        /// A key server's object on chain, once for each, as 0xID or, with another URL than the one there, 0xID=URL
        #[arg(long = "server", required = true, value_name = "0xID[=URL]")]
        servers: Vec<String>,
        /// How many of them it takes
        #[arg(long, value_name = "N")]
        threshold: u8,
        #[command(flatten)]
        tx: Tx,
    },
    /// Get the cluster's secret for this machine's enclave, from the committee, a running master or key servers of Seal
    Recover {
        /// URL of any holder
        #[arg(long = "holder", value_name = "URL", required_unless_present_any = ["master", "seal"])]
        holders: Vec<String>,
        /// URL of a running master's gateway; this machine's enclave has to be registered on chain
        #[arg(long, value_name = "URL", conflicts_with = "holders", requires_all = ["enclave", "master_ca"])]
        master: Option<String>,
        /// This machine's registration [default for --seal: it registers itself by the verifiers in [master.registration]]
        #[arg(long, value_name = "0xID")]
        enclave: Option<String>,
        #[command(flatten)]
        seal: Seal,
        /// The cluster's CA, PEM
        #[arg(long, value_name = "FILE")]
        master_ca: Option<PathBuf>,
        /// Give up after this many seconds
        #[arg(long, default_value_t = 60, value_name = "SECONDS")]
        timeout: u64,
        /// Package of the contracts [default: that of this state directory]
        #[arg(long, value_name = "0xID")]
        package: Option<String>,
        /// The cluster [default: that of this state directory]
        #[arg(long, value_name = "0xID")]
        cluster: Option<String>,
    },
}

/// Key servers of Seal that may have the secret.
#[derive(Clone, Debug, Args)]
pub(crate) struct Seal {
    /// Ask the key servers of Seal to which the secret is sealed on chain
    #[arg(long)]
    pub(crate) seal: bool,
    /// Ask one of them at another URL than the one on chain; one in committee mode has an aggregator's. May be repeated
    #[arg(long = "seal-server", value_name = "0xID=URL", requires = "seal")]
    pub(crate) seal_servers: Vec<String>,
}

#[derive(Clone, Debug, Args)]
pub(crate) struct HandOver {
    /// The next build of k3s-daas, measured here
    #[arg(long, value_name = "FILE")]
    pub(crate) to: PathBuf,
    /// The kubernetes binary that it will run [default: the one that is used now]
    #[arg(long, value_name = "FILE")]
    pub(crate) kubernetes: Option<PathBuf>,
    /// Only print the measurement that has to be allowed on chain
    #[arg(long)]
    pub(crate) dry_run: bool,
}
