use std::sync::Arc;
use std::time::Duration;

use chain::Address;
use tee::custody::{Answer, Collector, Dealing, MAX_DEALING_BYTES, Pending, Request, Share, Step};
use tee::{Clock, ClusterSecret, Platform};
use tokio::task::JoinSet;

use crate::error::Error;
use crate::http_client::{client, join, send};
use crate::releaser::Nonce;

const MAX_ANSWER_BYTES: usize = 4096;

/// An enclave that asks for its cluster's key.
#[derive(Clone)]
pub struct Asking {
    /// What attests.
    pub platform: Arc<dyn Platform>,
    /// The cluster.
    pub cluster: [u8; 32],
    /// The enclave's ed25519 key.
    pub enclave_key: [u8; 32],
    /// Its registration, for those who ask for one.
    pub enclave: Option<Address>,
    /// Milliseconds since the Unix epoch.
    pub clock: Clock,
}

/// What a committee gave.
#[derive(Debug)]
pub struct Recovered {
    /// The secret; it is the one that was dealt.
    pub secret: ClusterSecret,
    /// Names of holders that gave something else than their share.
    pub liars: Vec<String>,
}

impl Asking {
    /// From a running master at `url`, whose gateway `http` trusts. Whether it is the cluster's secret, `commitment` says, when the caller knows it.
    ///
    /// # Errors
    /// That the master cannot be asked, refuses, or gave something else.
    pub async fn master(
        &self,
        http: &reqwest::Client,
        url: &str,
        commitment: Option<[u8; 32]>,
    ) -> Result<ClusterSecret, Error> {
        let (answer, pending) = self.ask(http, &join(url, "/v1-daas")).await?;
        let secret = pending.secret(&answer)?;
        match commitment {
            Some(commitment) if commitment != secret.commitment() => {
                Err(tee::custody::CustodyError::WrongSecret.into())
            }
            _ => Ok(secret),
        }
    }

    /// From the committee of `dealing`, all holders at once, until enough have answered or `limit` is over.
    ///
    /// # Errors
    /// [`tee::custody::CustodyError::TooFew`] with what each holder did.
    pub async fn committee(&self, dealing: Dealing, limit: Duration) -> Result<Recovered, Error> {
        let http = client()?;
        let started = (self.clock)();
        let limit_ms = u64::try_from(limit.as_millis()).unwrap_or(u64::MAX);
        let urls: Vec<String> = dealing.holders().iter().map(|holder| holder.member.url.clone()).collect();
        let mut collector = Collector::new(dealing, started, started.saturating_add(limit_ms));
        let mut asked: JoinSet<(usize, Result<Share, Error>)> = JoinSet::new();
        loop {
            let now_ms = (self.clock)();
            match collector.step(now_ms) {
                Step::Done(secret) => {
                    let liars = collector.liars().map(str::to_owned).collect();
                    return Ok(Recovered { secret, liars });
                }
                Step::Failed(error) => return Err(error.into()),
                Step::Ask(whom) => {
                    for holder in whom {
                        let (asking, http, url) = (self.clone(), http.clone(), urls[holder].clone());
                        asked.spawn(async move { (holder, asking.share(&http, &url).await) });
                    }
                }
                Step::Wait { until_ms } => {
                    let pause = Duration::from_millis(until_ms.saturating_sub(now_ms).max(1));
                    tokio::select! {
                        Some(Ok((holder, result))) = asked.join_next() => {
                            self.note(&mut collector, holder, &urls[holder], result);
                        }
                        () = tokio::time::sleep(pause) => {}
                    }
                }
            }
        }
    }

    fn note(&self, collector: &mut Collector, holder: usize, url: &str, result: Result<Share, Error>) {
        match result {
            Ok(share) => {
                if !collector.gave(holder, share) {
                    tracing::error!(
                        url,
                        "this holder gave something else than its share: it lies or was broken into"
                    );
                }
            }
            Err(error @ Error::Refused { .. }) => collector.refused(holder, error.to_string()),
            Err(error @ (Error::Nonsense { .. } | Error::Custody(_))) => {
                tracing::error!(url, "this holder's answer is no share: {error}");
                collector.gave_nonsense(holder);
            }
            Err(error) => collector.failed(holder, error.to_string(), (self.clock)()),
        }
    }

    async fn share(&self, http: &reqwest::Client, url: &str) -> Result<Share, Error> {
        let (answer, pending) = self.ask(http, &join(url, "/v1")).await?;
        Ok(pending.share(&answer)?)
    }

    /// Nonce, evidence, answer.
    async fn ask(&self, http: &reqwest::Client, base: &str) -> Result<(Answer, Pending), Error> {
        let nonce = fetch_nonce(http, base).await?;
        let (platform, clock) = (self.platform.clone(), self.clock.clone());
        let (cluster, key) = (self.cluster, self.enclave_key);
        let made =
            tokio::task::spawn_blocking(move || Request::make(&*platform, cluster, nonce, key, clock()));
        let (request, pending) = made.await.map_err(|_| Error::Nonsense {
            url: base.to_owned(),
            what: "a nonce over which attesting broke off".to_owned(),
        })??;
        let mut url = join(base, "/key-release");
        if let Some(enclave) = self.enclave {
            url.push_str(&format!("?enclave={enclave}"));
        }
        let body = http.post(&url).header("content-type", "application/cbor").body(request.encode());
        let bytes = send(base, body, MAX_ANSWER_BYTES).await?;
        Ok((Answer::decode(&bytes)?, pending))
    }
}

impl std::fmt::Debug for Asking {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Asking").field("enclave", &self.enclave).finish_non_exhaustive()
    }
}

pub(crate) async fn fetch_nonce(http: &reqwest::Client, base: &str) -> Result<[u8; 32], Error> {
    let bytes = send(base, http.post(join(base, "/nonce")), MAX_ANSWER_BYTES).await?;
    let nonsense =
        || Error::Nonsense { url: base.to_owned(), what: "something else than a nonce".to_owned() };
    let answer: Nonce = serde_json::from_slice(&bytes).map_err(|_| nonsense())?;
    let mut nonce = [0; 32];
    hex::decode_to_slice(&answer.nonce, &mut nonce).map_err(|_| nonsense())?;
    Ok(nonce)
}

/// The dealing that the custodian at `url` keeps. That its dealer was an enclave of the cluster, the caller looks up.
///
/// # Errors
/// That it cannot be asked, or gave something else.
pub async fn fetch_dealing(url: &str) -> Result<Dealing, Error> {
    let request = client()?.get(join(url, "/v1/dealing"));
    Ok(Dealing::decode(&send(url, request, MAX_DEALING_BYTES).await?)?)
}

/// Brings `dealing` to the custodian at `url`, which keeps it if the chain says that its dealer is the cluster's enclave.
///
/// # Errors
/// That it cannot be asked, or refuses.
pub async fn send_dealing(url: &str, dealing: &Dealing) -> Result<(), Error> {
    let request = client()?.put(join(url, "/v1/dealing")).body(dealing.encode());
    send(url, request, MAX_ANSWER_BYTES).await.map(drop)
}
