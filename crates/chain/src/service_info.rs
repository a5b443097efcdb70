use sui_rpc::proto::proto_to_timestamp_ms;
use sui_rpc::proto::sui::rpc::v2::GetServiceInfoResponse;

use crate::Error;

/// How K3s-DaaS's own development chain introduces itself.
const DEVNET_SERVER: &str = "k3s-daas-devnet";

/// What an endpoint says about itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServiceInfo {
    /// Digest of the genesis checkpoint, base58.
    pub chain_id: String,
    /// `mainnet`, `testnet` or whatever the endpoint calls its chain; empty when it does not say.
    pub chain: String,
    /// Software and version of the endpoint, e.g. `sui-node/1.71.1`.
    pub server: String,
    /// Current epoch.
    pub epoch: u64,
    /// Latest checkpoint.
    pub checkpoint_height: u64,
    /// The oldest checkpoint that can still be read.
    pub lowest_available_checkpoint: u64,
    /// Time of the latest checkpoint, milliseconds since the Unix epoch.
    pub timestamp_ms: u64,
}

impl ServiceInfo {
    /// Whether this is K3s-DaaS's own development chain.
    pub fn is_devnet(&self) -> bool {
        self.server.split('/').next() == Some(DEVNET_SERVER) && !self.is_public()
    }

    /// Whether this is a network with other people on it, where nothing simulated may be used.
    pub fn is_public(&self) -> bool {
        matches!(self.chain.as_str(), "mainnet" | "testnet")
    }

    pub(crate) fn decode(answer: GetServiceInfoResponse) -> Result<ServiceInfo, Error> {
        const CALL: &str = "GetServiceInfo";
        let timestamp_ms = match answer.timestamp {
            Some(timestamp) => {
                proto_to_timestamp_ms(timestamp).map_err(|error| Error::malformed(CALL, error))?
            }
            None => 0,
        };
        Ok(ServiceInfo {
            chain_id: answer
                .chain_id
                .filter(|id| !id.is_empty() && id.len() <= 64)
                .ok_or_else(|| Error::malformed(CALL, "no chain identifier"))?,
            chain: answer.chain.unwrap_or_default(),
            server: answer.server.unwrap_or_default(),
            epoch: answer.epoch.unwrap_or_default(),
            checkpoint_height: answer.checkpoint_height.unwrap_or_default(),
            lowest_available_checkpoint: answer.lowest_available_checkpoint.unwrap_or_default(),
            timestamp_ms,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn info(chain: &str, server: &str) -> ServiceInfo {
        let mut answer = GetServiceInfoResponse::default();
        answer.chain_id = Some("4btiuiMPvEENsttpZC7CZ53DruC3MAgfznDbASZ7DR6S".into());
        answer.chain = Some(chain.into());
        answer.server = Some(server.into());
        ServiceInfo::decode(answer).unwrap()
    }

    #[test]
    fn a_public_network_is_never_taken_for_devnet() {
        assert!(info("devnet", "k3s-daas-devnet/0.1.0").is_devnet());
        assert!(!info("mainnet", "k3s-daas-devnet/0.1.0").is_devnet());
        assert!(!info("unknown", "sui-node/1.71.1").is_devnet());
        assert!(info("testnet", "sui-node/1.71.1").is_public());
    }

    #[test]
    fn an_answer_without_chain_is_malformed() {
        assert!(matches!(
            ServiceInfo::decode(GetServiceInfoResponse::default()),
            Err(Error::Malformed { .. })
        ));
    }
}
