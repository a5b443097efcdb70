use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use tee::TrustFiles;

use crate::agent::Backoff;

/// What a worker is told. Times are milliseconds.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Where the worker keeps its files.
    pub state_dir: PathBuf,
    /// The holder's key: PKCS#8 PEM, mode 0600.
    pub holder_key: PathBuf,
    /// Cluster object id on chain, `0x…`.
    pub cluster_id: ObjectId,
    /// Seal token object id on chain, `0x…`.
    pub token_id: ObjectId,
    /// Address of this node towards the cluster.
    pub node_ip: IpAddr,
    /// Where the worker's own API listens.
    #[serde(default = "default_listen")]
    pub listen: SocketAddr,
    /// Whether a master in the simulated TEE, which proves nothing about hardware, is good enough.
    #[serde(default)]
    pub allow_simulated: bool,
    /// What the master has to prove besides.
    #[serde(default)]
    pub attestation: TrustFiles,
    /// What this machine proves to the master of itself.
    #[serde(default)]
    pub tee: TeeConfig,
    /// Time between two reads of the chain.
    #[serde(default = "default_chain_poll_ms")]
    pub chain_poll_ms: u64,
    /// Time between heartbeats until the gateway says otherwise.
    #[serde(default = "default_heartbeat_ms")]
    pub heartbeat_ms: u64,
    /// Life of one proof.
    #[serde(default = "default_proof_window_ms")]
    pub proof_window_ms: u64,
    /// Time between two looks at what the stake has earned.
    #[serde(default = "default_rewards_poll_ms")]
    pub rewards_poll_ms: u64,
    /// First wait after a failure; doubles.
    #[serde(default = "default_retry_min_ms")]
    pub retry_min_ms: u64,
    /// Longest wait after failures.
    #[serde(default = "default_retry_max_ms")]
    pub retry_max_ms: u64,
}

impl Config {
    /// Says what is out of bounds and what the bounds are.
    pub fn validate(&self) -> Result<(), String> {
        let bounds = [
            // A retired measurement ends the node within a minute.
            ("chain_poll_ms", self.chain_poll_ms, 100, 30_000),
            ("heartbeat_ms", self.heartbeat_ms, 500, 300_000),
            ("proof_window_ms", self.proof_window_ms, 15_000, 3_600_000),
            ("rewards_poll_ms", self.rewards_poll_ms, 100, 86_400_000),
            ("retry_min_ms", self.retry_min_ms, 50, 60_000),
            ("retry_max_ms", self.retry_max_ms, self.retry_min_ms, 3_600_000),
        ];
        for (name, value, min, max) in bounds {
            if !(min..=max).contains(&value) {
                return Err(format!("{name} is {value}; use {min} to {max}"));
            }
        }
        Ok(())
    }

    pub(crate) fn backoff(&self) -> Backoff {
        Backoff { min_ms: self.retry_min_ms, max_ms: self.retry_max_ms }
    }
}

/// The platform whose evidence a worker shows to the master.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct TeeConfig {
    /// `sev-snp`, `tdx`, `sgx`, `nitro`, `cca`, `trustzone`, `tpm` or `simulated`; without it no evidence is shown.
    pub platform: Option<String>,
    /// Whether it may be the simulated one, which proves nothing about hardware.
    pub allow_simulated: bool,
}

fn default_listen() -> SocketAddr {
    (Ipv4Addr::LOCALHOST, 9346).into()
}

fn default_chain_poll_ms() -> u64 {
    5_000
}

fn default_heartbeat_ms() -> u64 {
    10_000
}

fn default_proof_window_ms() -> u64 {
    60_000
}

fn default_rewards_poll_ms() -> u64 {
    3_600_000
}

fn default_retry_min_ms() -> u64 {
    500
}

fn default_retry_max_ms() -> u64 {
    30_000
}

/// The id of an object on chain; `0x` and 64 hexadecimal digits as text.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct ObjectId(pub [u8; 32]);

impl std::fmt::Display for ObjectId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "0x{}", hex::encode(self.0))
    }
}

impl std::fmt::Debug for ObjectId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{self}")
    }
}

impl From<chain::Address> for ObjectId {
    fn from(address: chain::Address) -> Self {
        Self(address.into_inner())
    }
}

impl From<ObjectId> for chain::Address {
    fn from(id: ObjectId) -> Self {
        Self::new(id.0)
    }
}

impl From<ObjectId> for String {
    fn from(id: ObjectId) -> Self {
        id.to_string()
    }
}

impl TryFrom<String> for ObjectId {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let mut bytes = [0; 32];
        text.strip_prefix("0x")
            .filter(|digits| hex::decode_to_slice(digits, &mut bytes).is_ok())
            .map(|_| Self(bytes))
            .ok_or_else(|| "an object id is 0x and 64 hexadecimal digits".to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn json(extra: &str) -> Result<Config, String> {
        let id = format!("0x{}", "ab".repeat(32));
        let text = format!(
            r#"{{"state_dir":"s","holder_key":"k","cluster_id":"{id}","token_id":"{id}","node_ip":"10.0.0.1"{extra}}}"#
        );
        let config: Config = serde_json::from_str(&text).map_err(|error| error.to_string())?;
        config.validate().map(|()| config)
    }

    #[test]
    fn defaults_are_safe_and_mistakes_are_named() {
        let config = json("").unwrap();
        assert_eq!(config.listen.to_string(), "127.0.0.1:9346");
        assert!(!config.allow_simulated);
        assert_eq!(config.token_id.to_string(), format!("0x{}", "ab".repeat(32)));
        for (extra, problem) in [
            (r#","proof_window_ms":1"#, "proof_window_ms is 1; use 15000 to 3600000"),
            (r#","retry_max_ms":100"#, "retry_max_ms is 100; use 500 to 3600000"),
            (r#","chain_poll_ms":30001"#, "chain_poll_ms is 30001; use 100 to 30000"),
            (r#","heartbeat":1"#, "unknown field `heartbeat`"),
        ] {
            let error = json(extra).unwrap_err();
            assert!(error.contains(problem), "{error}");
        }
        let error = serde_json::from_str::<ObjectId>(r#""0xab""#).unwrap_err().to_string();
        assert!(error.contains("64 hexadecimal digits"), "{error}");
    }
}
