use std::fmt;
use std::time::Duration;

use crate::encoding::Encoding;

/// Where blobs go and come from.
#[derive(Clone)]
pub struct Config {
    /// Base URLs of services that store, asked in this order. May be empty for who only reads.
    pub publishers: Vec<String>,
    /// Base URLs of services that read, asked in this order.
    pub aggregators: Vec<String>,
    /// The network's code.
    pub encoding: Encoding,
    /// Bearer token that publishers ask for.
    pub token: Option<String>,
    /// The longest that one attempt may take, connecting apart.
    pub timeout: Duration,
    /// How often all endpoints are tried.
    pub rounds: u32,
}

impl Config {
    /// Mainnet's code, five minutes for an attempt, three rounds.
    #[must_use]
    pub fn new(publishers: Vec<String>, aggregators: Vec<String>) -> Self {
        Self {
            publishers,
            aggregators,
            encoding: Encoding::default(),
            token: None,
            timeout: Duration::from_secs(300),
            rounds: 3,
        }
    }
}

impl fmt::Debug for Config {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Config")
            .field("publishers", &self.publishers)
            .field("aggregators", &self.aggregators)
            .field("encoding", &self.encoding)
            .field("token", &self.token.as_ref().map(|_| "…"))
            .field("timeout", &self.timeout)
            .field("rounds", &self.rounds)
            .finish()
    }
}
