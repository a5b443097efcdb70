use std::sync::Arc;

use chain::{Address, Client, EnclavePayload, EnclaveStatement, Keypair};
use tee::EnclaveKey;
use tokio::sync::watch;

use crate::error::MasterError;
use crate::follow::Standing;

/// With what anchors are signed and paid.
pub(crate) struct Poster {
    pub(crate) wallet: Keypair,
    pub(crate) key: Arc<EnclaveKey>,
    pub(crate) standing: watch::Receiver<Option<Standing>>,
}

impl Poster {
    /// Signs as the enclave, at the chain's time.
    pub(crate) async fn state<T: EnclavePayload>(
        &self,
        client: &Client,
        enclave: Address,
        statement: T,
    ) -> Result<EnclaveStatement<T>, MasterError> {
        let timestamp_ms = client.service_info().await?.timestamp_ms;
        let payload = bcs::to_bytes(&(enclave, &statement))
            .map_err(|error| MasterError::Ended(format!("a statement has no BCS form: {error}")))?;
        let signature = self.key.sign(T::INTENT, timestamp_ms, &payload).to_vec();
        Ok(EnclaveStatement { enclave, timestamp_ms, statement, signature })
    }
}
