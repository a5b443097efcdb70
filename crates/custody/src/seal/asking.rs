use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use chain::sui::ProgrammableTransaction;
use chain::{Address, Calls};
use reqwest::{RequestBuilder, StatusCode};
use tee::EnclaveKey;
use tee::custody::seal::{EncryptedObject, IdentityKey, KeyServer, ReplyKey, Unsealing};
use tee::custody::{CustodyError, Step};
use tokio::task::JoinSet;

use super::key_server::read_key_servers;
use super::session::Session;
use super::wire::{Complaint, Keys, base64, from_base64};
use crate::asking::{Asking, Recovered};
use crate::error::Error;
use crate::http_client::{client, join, receive};
use crate::on_chain::OnChain;

/// Headers by which servers know who speaks.
pub(super) const SDK_TYPE: (&str, &str) = ("Client-Sdk-Type", "k3s-daas");
pub(super) const SDK_VERSION: (&str, &str) = ("Client-Sdk-Version", env!("CARGO_PKG_VERSION"));
const MAX_ANSWER_BYTES: usize = 16 << 10;
/// What is told of a server's words, characters.
const MAX_WORDS: usize = 300;

/// How an enclave asks Seal's key servers.
#[derive(Clone, Debug)]
pub struct KeyServers {
    /// The enclave's key: servers take its Sui address for the user.
    pub key: Arc<EnclaveKey>,
    /// URLs to use in place of those on chain, by the servers' objects.
    pub urls: BTreeMap<Address, String>,
}

impl Asking {
    /// From the key servers to which an enclave of the cluster sealed the secret, all at once, until enough have answered or `limit` is over.
    /// `enclave` is this enclave's registration, on which they decide.
    ///
    /// # Errors
    /// [`Error::NotSealed`]; [`CustodyError::TooFew`] with what each server did; and the chain's.
    pub async fn key_servers(
        &self,
        with: &KeyServers,
        chain: &OnChain,
        enclave: Address,
        limit: Duration,
    ) -> Result<Recovered, Error> {
        let started = (self.clock)();
        let facts = chain.read(Some(enclave)).await?;
        let (client, package) = (chain.client(), chain.package());
        let sealed = client.sealed(package, facts.cluster.anchor).await?.ok_or(Error::NotSealed)?;
        let object = EncryptedObject::decode(&sealed.object)?;
        let identity = object.identity();
        if identity.package != package.into_inner() || !identity.id.starts_with(&self.cluster) {
            return Err(CustodyError::WrongSecret.into());
        }
        let objects: Vec<Address> = object.servers().map(Address::new).collect();
        let servers = read_key_servers(client, &objects, &with.urls).await?;
        let draft = Calls::new(package).seal_approve(&identity.id, enclave, facts.cluster.registry);
        let request =
            Arc::new(Wanted { id: identity.full(), package, program: client.program(&draft).await? });
        let limit_ms = u64::try_from(limit.as_millis()).unwrap_or(u64::MAX);
        let unsealing = Unsealing::new(object, servers, started, started.saturating_add(limit_ms))?;
        self.unseal(unsealing, with, request).await
    }

    async fn unseal(
        &self,
        mut unsealing: Unsealing,
        with: &KeyServers,
        wanted: Arc<Wanted>,
    ) -> Result<Recovered, Error> {
        let http = client()?;
        let mut session = Arc::new(Session::open(&with.key, wanted.package, (self.clock)())?);
        let mut asked: JoinSet<(usize, Result<IdentityKey, Error>)> = JoinSet::new();
        loop {
            let now_ms = (self.clock)();
            match unsealing.step(now_ms) {
                Step::Done(secret) => {
                    let liars = unsealing.liars().map(str::to_owned).collect();
                    return Ok(Recovered { secret, liars });
                }
                Step::Failed(error) => return Err(error.into()),
                Step::Ask(whom) => {
                    if session.is_over(now_ms) {
                        session = Arc::new(Session::open(&with.key, wanted.package, now_ms)?);
                    }
                    for at in whom {
                        let url = unsealing.servers()[at].url.clone();
                        let (http, session, wanted) = (http.clone(), session.clone(), wanted.clone());
                        asked.spawn(async move { (at, wanted.fetch(&http, &session, &url).await) });
                    }
                }
                Step::Wait { until_ms } => {
                    let pause = Duration::from_millis(until_ms.saturating_sub(now_ms).max(1));
                    tokio::select! {
                        Some(Ok((at, result))) = asked.join_next() => self.note_key(&mut unsealing, at, result),
                        () = tokio::time::sleep(pause) => {}
                    }
                }
            }
        }
    }

    fn note_key(&self, unsealing: &mut Unsealing, at: usize, result: Result<IdentityKey, Error>) {
        let server: KeyServer = unsealing.servers()[at].clone();
        let lies = |what: &str| {
            tracing::error!(
                name = server.name,
                url = server.url,
                "this key server lies or was broken into: {what}"
            );
        };
        match result {
            Ok(key) => {
                if !unsealing.gave(at, key) {
                    lies("it gave a key that its public key does not make");
                }
            }
            Err(error @ Error::Refused { .. }) => unsealing.refused(at, error.to_string()),
            Err(error @ (Error::Nonsense { .. } | Error::Custody(_))) => {
                lies(&error.to_string());
                unsealing.gave_nonsense(at);
            }
            Err(error) => unsealing.failed(at, error.to_string(), (self.clock)()),
        }
    }
}

/// What servers are asked for.
struct Wanted {
    /// The identity with its package.
    id: Vec<u8>,
    package: Address,
    program: ProgrammableTransaction,
}

impl Wanted {
    async fn fetch(
        &self,
        http: &reqwest::Client,
        session: &Session,
        url: &str,
    ) -> Result<IdentityKey, Error> {
        // Each server has a key of its own to answer to.
        let reply = ReplyKey::generate()?;
        let body = session.ask(&self.program, &reply)?;
        let request = http
            .post(join(url, "/v1/fetch_key"))
            .header(SDK_TYPE.0, SDK_TYPE.1)
            .header(SDK_VERSION.0, SDK_VERSION.1)
            .header("Request-Id", base64(&tee::fresh_nonce()?[..12]))
            .json(&body);
        let bytes = send(url, request, MAX_ANSWER_BYTES).await?;
        let nonsense = |what: &str| Error::Nonsense { url: url.to_owned(), what: what.to_owned() };
        let keys: Keys =
            serde_json::from_slice(&bytes).map_err(|_| nonsense("something else than encrypted keys"))?;
        let ours = keys.decryption_keys.into_iter().find(|key| key.id == self.id);
        let ours = ours.ok_or_else(|| nonsense("keys of other identities alone"))?;
        let [Some(first), Some(second)] = ours.encrypted_key.each_ref().map(|text| from_base64(text)) else {
            return Err(nonsense("an encrypted key that is not base64"));
        };
        Ok(reply.open([&first, &second])?)
    }
}

/// As [`crate::http_client::send`], where complaints have the form that Seal's servers give them.
pub(super) async fn send(url: &str, request: RequestBuilder, at_most: usize) -> Result<Vec<u8>, Error> {
    let (status, bytes) = receive(url, request, at_most).await?;
    if status.is_success() {
        return Ok(bytes);
    }
    let text = |text: &str| -> String { text.chars().filter(|c| !c.is_control()).take(MAX_WORDS).collect() };
    let url = url.to_owned();
    Err(match serde_json::from_slice::<Complaint>(&bytes) {
        // Its full node may not know yet what was registered a moment ago.
        Ok(said) if status == StatusCode::FORBIDDEN && said.error != "InvalidParameter" => {
            Error::Refused { url, reason: text(&said.error), message: text(&said.message) }
        }
        Ok(said) => {
            Error::Unreachable { url, why: format!("{} ({})", text(&said.message), text(&said.error)) }
        }
        Err(_) => Error::Unreachable { url, why: format!("HTTP status {status}") },
    })
}
