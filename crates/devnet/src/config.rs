//! What a development chain can be told before it starts.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

/// How to start a [`Devnet`](crate::Devnet).
#[derive(Clone, Debug)]
pub struct Config {
    /// Where the gRPC services and the faucet listen. Port 0 takes any free port.
    pub listen: SocketAddr,
    /// Directory of the chain's journal; `None` keeps the chain in memory only.
    pub dir: Option<PathBuf>,
    /// The file with the framework's compiled modules (`0x1` and `0x2`).
    pub framework: PathBuf,
    /// Seed of a new chain. The same seed, framework and start time give the same chain
    /// identifier; `None` draws one at random. Ignored when `dir` already holds a chain.
    pub seed: Option<[u8; 32]>,
    /// Milliseconds since the Unix epoch at which a new chain starts, or `None` for now.
    pub genesis_ms: Option<u64>,
    /// An idle chain still makes a checkpoint this often, so that its clock moves and the streams
    /// of its followers are seen to be alive (clients give up on a stream silent for 30 s).
    pub idle_checkpoint: Duration,
    /// How many checkpoints to keep with their transactions and old versions of objects, at least one;
    /// `None` keeps all. What is older is answered as pruned, and dropped from the journal when the
    /// journal is compacted.
    pub keep_checkpoints: Option<u64>,
    /// A journal longer than this many bytes is compacted if checkpoints are dropped, and again each
    /// time it has grown to three times its compacted length.
    pub compact_above: u64,
    /// How long an epoch lasts; `None` lets the first one last until
    /// [`Devnet::advance_epoch`](crate::Devnet::advance_epoch).
    pub epoch: Option<Duration>,
    /// Certificate (DER) of a root that is no root of AWS's: Nitro documents under it are taken too, which on Sui nobody
    /// takes. `None`, the default, takes AWS's alone.
    pub simulated_nitro_root: Option<Vec<u8>>,
    /// MIST the faucet hands out per request that names no amount.
    pub faucet_mist: u64,
}

impl Config {
    /// A chain in memory on any free loopback port.
    pub fn in_memory(framework: impl Into<PathBuf>) -> Self {
        Self {
            listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
            dir: None,
            framework: framework.into(),
            seed: None,
            genesis_ms: None,
            idle_checkpoint: Duration::from_secs(10),
            keep_checkpoints: None,
            compact_above: 4 << 20,
            epoch: None,
            simulated_nitro_root: None,
            faucet_mist: 10_000_000_000,
        }
    }

    /// The same chain, kept in `dir`.
    #[must_use]
    pub fn with_dir(mut self, dir: impl Into<PathBuf>) -> Self {
        self.dir = Some(dir.into());
        self
    }

    /// The same chain, listening on `listen`.
    #[must_use]
    pub fn with_listen(mut self, listen: SocketAddr) -> Self {
        self.listen = listen;
        self
    }
}
