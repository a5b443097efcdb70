use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use chain::Address;
use serde::{Deserialize, Serialize};
use walrus::{Client, Encoding, Lifetime, StoreOptions, WalrusError};

use super::{BasePolicy, ColdError, ColdStore, Directory, KeepPolicy, S3Place, S3Store, WalrusStore};

/// Where snapshots go, how often they are taken and how long they are kept.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct ColdConfig {
    /// Where they go; without one none is taken.
    pub place: Option<Place>,
    /// How often, milliseconds; 0 for only when asked.
    pub interval_ms: u64,
    /// Bytes after which a piece is closed, before it is sent.
    pub piece_bytes: u64,
    /// When a chain ends.
    pub base: BasePolicy,
    /// Which are kept.
    pub keep: KeepPolicy,
    /// Changes that are compacted before a snapshot has them stay in the master's memory, up to so many bytes; at half of that a
    /// snapshot is taken early. 0: what was compacted between two snapshots is in none.
    pub history_bytes: u64,
}

impl Default for ColdConfig {
    fn default() -> Self {
        Self {
            place: None,
            interval_ms: 3_600_000,
            piece_bytes: 32 << 20,
            base: BasePolicy::default(),
            keep: KeepPolicy::default(),
            history_bytes: 128 << 20,
        }
    }
}

/// A cold store, by its configuration.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum Place {
    /// A directory, on another disk or a mounted share.
    Directory(PathBuf),
    /// S3-compatible object storage.
    S3(S3Place),
    /// Walrus.
    Walrus(WalrusPlace),
}

/// Walrus, by its configuration.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct WalrusPlace {
    /// Base URLs of publishers; may be empty for who only reads.
    #[serde(default)]
    pub publishers: Vec<String>,
    /// Base URLs of aggregators.
    pub aggregators: Vec<String>,
    /// How many epochs a piece is kept (2 to 53), from when it was stored or stored again. Pieces are permanent.
    pub epochs: u32,
    /// How long an epoch lasts: two weeks on mainnet, a day on testnet.
    #[serde(default = "epoch_hours")]
    pub epoch_hours: u64,
    /// Walrus's system object on Sui, for who wants to know the price before storing.
    #[serde(default)]
    pub system_object: Option<Address>,
    /// The network's shards.
    #[serde(default = "shards")]
    pub shards: u16,
    /// A file with the bearer token that publishers ask for.
    #[serde(default)]
    pub token_file: Option<PathBuf>,
}

/// Walrus stores for no longer.
const MAX_EPOCHS: u32 = 53;

fn epoch_hours() -> u64 {
    14 * 24
}

fn shards() -> u16 {
    1_000
}

impl Place {
    /// Opens it; nothing is asked of a network yet.
    ///
    /// # Errors
    /// What is configured cannot be used.
    pub fn open(&self) -> Result<Arc<dyn ColdStore>, ColdError> {
        let place = match self {
            Place::Directory(path) => return Ok(Arc::new(Directory::open(path.clone())?)),
            Place::S3(place) => return Ok(Arc::new(S3Store::open(place)?)),
            Place::Walrus(place) => place,
        };
        // Of one epoch nothing may be left when it is stored.
        if !(2..=MAX_EPOCHS).contains(&place.epochs) {
            return Err(ColdError::Epochs { epochs: place.epochs, most: MAX_EPOCHS });
        }
        let epoch = Duration::from_secs(place.epoch_hours.saturating_mul(3_600));
        let mut config = walrus::Config::new(place.publishers.clone(), place.aggregators.clone());
        config.encoding = Encoding::new(place.shards).map_err(WalrusError::from)?;
        config.timeout = Duration::from_secs(300);
        if let Some(path) = &place.token_file {
            let token = std::fs::read_to_string(path).map_err(ColdError::io("read", path))?;
            config.token = Some(token.trim().to_owned());
        }
        let lifetime = Lifetime::Permanent;
        let options = StoreOptions { epochs: place.epochs, lifetime, send_object_to: None };
        Ok(Arc::new(WalrusStore::new(Client::new(config)?, options, epoch)))
    }
}
