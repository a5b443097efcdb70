use std::sync::Arc;
use std::time::Duration;

use chain::{Address, Calls, Client, Event, Keypair};
use custody::{OnChain, Registrar, Registration};
use serde::{Deserialize, Serialize};
use tee::Platform;
use tokio_util::sync::CancellationToken;

use crate::error::MasterError;
use crate::right::Right;
use crate::shared::{Shared, system_clock};

/// How often it is looked whether the registration is due.
const CHECK: Duration = Duration::from_secs(1);
/// Pauses after a failure: doubled from the first up to the last.
const FIRST_RETRY: Duration = Duration::from_secs(5);
const LAST_RETRY: Duration = Duration::from_secs(300);

/// Who vouches for this enclave on chain, and how long before its end a registration is renewed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RegistrationConfig {
    /// URLs of verifiers (`k3s-daas verifier`); without any, whoever runs the master registers it.
    pub verifiers: Vec<String>,
    /// How long a registration lasts, milliseconds; the contracts take at most 30 days.
    pub lifetime_ms: u64,
    /// A registration with less than this left is renewed, milliseconds.
    pub renew_before_ms: u64,
}

impl Default for RegistrationConfig {
    fn default() -> Self {
        const DAY_MS: u64 = 86_400_000;
        Self { verifiers: Vec::new(), lifetime_ms: 29 * DAY_MS, renew_before_ms: 7 * DAY_MS }
    }
}

impl RegistrationConfig {
    pub(crate) fn check(&self) -> Result<(), String> {
        if self.verifiers.len() > 32 {
            return Err("registration.verifiers are more than 32".to_owned());
        }
        if self.lifetime_ms == 0 || self.renew_before_ms >= self.lifetime_ms {
            return Err(
                "registration.renew_before_ms has to be less than registration.lifetime_ms".to_owned()
            );
        }
        Ok(())
    }
}

/// Keeps the enclave registered: has it verified anew and registered before the registration ends.
pub(crate) struct RegistrationKeeper {
    pub(crate) shared: Arc<Shared>,
    pub(crate) chain: OnChain,
    pub(crate) client: Client,
    pub(crate) calls: Calls,
    pub(crate) wallet: Keypair,
    pub(crate) config: RegistrationConfig,
}

impl RegistrationKeeper {
    pub(crate) async fn run(self, stop: CancellationToken) {
        let mut retry = FIRST_RETRY;
        loop {
            let pause = if !self.is_due() {
                CHECK
            } else {
                match self.renew().await {
                    Ok(until_ms) => {
                        tracing::info!(until_ms, "the enclave is registered anew");
                        retry = FIRST_RETRY;
                        // The follower has to see it first.
                        FIRST_RETRY
                    }
                    Err(error) => {
                        tracing::warn!("cannot register the enclave anew, trying again: {error}");
                        let pause = retry;
                        retry = retry.saturating_mul(2).min(LAST_RETRY);
                        pause
                    }
                }
            };
            tokio::select! {
                () = stop.cancelled() => return,
                () = tokio::time::sleep(pause) => {}
            }
        }
    }

    fn is_due(&self) -> bool {
        let board = self.shared.board.read();
        let left_ms = board.registered_until_ms.saturating_sub(self.shared.now_ms());
        board.right != Right::Unknown && left_ms < self.config.renew_before_ms
    }

    async fn renew(&self) -> Result<u64, MasterError> {
        let expires_ms = self.shared.now_ms().saturating_add(self.config.lifetime_ms);
        register(
            &self.client,
            &self.calls,
            &self.chain,
            &self.shared.platform,
            &self.wallet,
            &self.config,
            self.shared.facts.public_key,
            self.shared.facts.ca_hash,
        )
        .await?;
        Ok(expires_ms)
    }
}

/// Has the enclave with `public_key` verified and registered now; gives its registration and the registry.
#[allow(
    clippy::too_many_arguments,
    reason = "each is a part of its own, and they are in one place nowhere else"
)]
pub(crate) async fn register(
    client: &Client,
    calls: &Calls,
    chain: &OnChain,
    platform: &Arc<dyn Platform>,
    wallet: &Keypair,
    config: &RegistrationConfig,
    public_key: [u8; 32],
    ca_hash: [u8; 32],
) -> Result<(Address, Address), MasterError> {
    if config.verifiers.is_empty() {
        return Err(MasterError::Config("registration.verifiers names nobody who vouches for it".to_owned()));
    }
    let registry = chain.read(None).await?.registry;
    let clock = system_clock();
    let expires_ms = clock().saturating_add(config.lifetime_ms);
    let registrar = Registrar { platform: platform.clone(), verifiers: config.verifiers.clone(), clock };
    let what = Registration { cluster: chain.cluster_id(), public_key, ca_hash, expires_ms };
    let verified = registrar.collect(&what, &registry).await?;
    let receipt = client.execute(wallet, &calls.register_enclave(registry.id, &verified)).await?;
    let registered = receipt.events_of(calls.package()).into_iter().find_map(|event| match event {
        Event::EnclaveRegistered(registered) => Some(registered.enclave),
        _ => None,
    });
    let enclave =
        registered.ok_or_else(|| MasterError::Ended("the chain registered no enclave".to_owned()))?;
    Ok((enclave, registry.id))
}
