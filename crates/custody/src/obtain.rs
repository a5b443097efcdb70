use std::time::Duration;

use chain::Address;
use tee::custody::CustodyError;
use tee::{ClusterSecret, Trusted};
use tokio::time::{sleep, timeout};

use crate::asking::{Asking, fetch_dealing};
use crate::attested_client::attested_client;
use crate::error::Error;
use crate::on_chain::OnChain;
use crate::seal::KeyServers;
use crate::seeking::{Next, Seeking};

/// Who may give an enclave its cluster's secret, and for how long they are asked.
#[derive(Clone, Debug)]
pub struct Givers {
    /// Gateways of running masters, asked one after the other.
    pub masters: Vec<String>,
    /// Holders of the recovery committee; any of them leads to all.
    pub holders: Vec<String>,
    /// Key servers of Seal to which the secret may be sealed; not asked without.
    pub key_servers: Option<KeyServers>,
    /// All of it takes no longer.
    pub limit: Duration,
    /// What masters have to prove besides code that the chain allows, and with what that is verified.
    pub trust: Trusted,
}

impl Asking {
    /// The cluster's secret from whoever gives it first: masters over RA-TLS, then the committee, then key servers of Seal, again and again until the time is over.
    /// What does not satisfy `fits` is another cluster's. `enclave` is this enclave's registration, which masters and key servers ask for, or why there is none.
    ///
    /// # Errors
    /// [`Error::Unobtained`], which names everybody who was asked and what came of it.
    pub async fn anybody(
        &self,
        givers: &Givers,
        chain: &OnChain,
        enclave: Result<Address, String>,
        fits: impl Fn(&ClusterSecret) -> bool,
    ) -> Result<ClusterSecret, Error> {
        let started = (self.clock)();
        let limit_ms = u64::try_from(givers.limit.as_millis()).unwrap_or(u64::MAX);
        let deadline_ms = started.saturating_add(limit_ms);
        let mut seeking = Seeking::new(&givers.masters, &givers.holders, started, deadline_ms);
        if givers.key_servers.is_some() {
            seeking = seeking.and_key_servers();
        }
        loop {
            let now_ms = (self.clock)();
            let until = |end_ms: u64| Duration::from_millis(end_ms.saturating_sub(now_ms).max(1));
            match seeking.next(now_ms) {
                Next::Failed(who) => return Err(Error::Unobtained { seconds: givers.limit.as_secs(), who }),
                Next::Wait(until_ms) => sleep(until(until_ms)).await,
                Next::Master(at, end_ms) => {
                    let url = &givers.masters[at];
                    let enclave = match &enclave {
                        Ok(enclave) => *enclave,
                        Err(why) => {
                            seeking.master_failed(at, &format!("not asked: {why}"), true);
                            continue;
                        }
                    };
                    let asked = self.attested_master(url, givers, chain, enclave, until(end_ms));
                    match timeout(until(end_ms), asked).await {
                        Ok(Ok(secret)) if fits(&secret) => return Ok(secret),
                        Ok(Ok(_)) => seeking.master_failed(at, OTHER, true),
                        Ok(Err(error)) => {
                            let is_final = matches!(error, Error::Refused { .. });
                            seeking.master_failed(at, &error.to_string(), is_final);
                        }
                        Err(_) => seeking.master_failed(at, SILENT, false),
                    }
                }
                Next::Dealing(at, end_ms) => {
                    match timeout(until(end_ms), fetch_dealing(&givers.holders[at])).await {
                        Ok(Ok(dealing)) if dealing.cluster() != self.cluster => {
                            seeking.dealing_failed(at, "keeps a dealing of another cluster");
                        }
                        Ok(Ok(dealing)) => seeking.dealing_found(at, dealing),
                        Ok(Err(error)) => seeking.dealing_failed(at, &error.to_string()),
                        Err(_) => seeking.dealing_failed(at, SILENT),
                    }
                }
                Next::Committee(at, end_ms) => {
                    let Some(dealing) = seeking.dealing(at).cloned() else { continue };
                    match self.committee(dealing, until(end_ms)).await {
                        Ok(recovered) if fits(&recovered.secret) => {
                            for name in &recovered.liars {
                                tracing::error!(
                                    name,
                                    "this holder gave something else than its share: replace it, and deal anew"
                                );
                            }
                            return Ok(recovered.secret);
                        }
                        Ok(_) => seeking.committee_failed(at, OTHER, true),
                        Err(error) => {
                            let early = (self.clock)() < end_ms;
                            let is_final =
                                early && matches!(error, Error::Custody(CustodyError::TooFew { .. }));
                            seeking.committee_failed(at, &error.to_string(), is_final);
                        }
                    }
                }
                Next::KeyServers(end_ms) => {
                    let Some(with) = &givers.key_servers else { continue };
                    let enclave = match &enclave {
                        Ok(enclave) => *enclave,
                        Err(why) => {
                            seeking.key_servers_failed(&format!("not asked: {why}"), true);
                            continue;
                        }
                    };
                    match self.key_servers(with, chain, enclave, until(end_ms)).await {
                        Ok(recovered) if fits(&recovered.secret) => {
                            for name in &recovered.liars {
                                tracing::error!(
                                    name,
                                    "this key server gave something else than its key: seal to others"
                                );
                            }
                            return Ok(recovered.secret);
                        }
                        Ok(_) => seeking.key_servers_failed(OTHER, true),
                        Err(error) => {
                            let early = (self.clock)() < end_ms;
                            let is_final = match &error {
                                Error::Custody(CustodyError::TooFew { .. }) => early,
                                Error::Custody(_) | Error::KeyServer(_) | Error::NotSealed => true,
                                _ => false,
                            };
                            seeking.key_servers_failed(&error.to_string(), is_final);
                        }
                    }
                }
            }
        }
    }

    async fn attested_master(
        &self,
        url: &str,
        givers: &Givers,
        chain: &OnChain,
        enclave: Address,
        limit: Duration,
    ) -> Result<ClusterSecret, Error> {
        let facts = chain.read(None).await?;
        let http = attested_client(url, &facts, &givers.trust, &self.clock, limit).await?;
        let asking = Self { enclave: Some(enclave), ..self.clone() };
        asking.master(&http, url, None).await
    }
}

const SILENT: &str = "did not answer in time";
const OTHER: &str = "gave another secret than the one under which this state is sealed";
