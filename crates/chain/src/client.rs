use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use serde::de::DeserializeOwned;
use sui_rpc::field::{FieldMask, FieldMaskUtil as _};
use sui_rpc::proto::sui::rpc::v2 as proto;
use sui_sdk_types::{Address, Digest, Object, StructTag};

use crate::draft::Located;
use crate::endpoints::Endpoints;
use crate::gas::{GasCoin, MAX_GAS_COINS};
use crate::{Error, ServiceInfo};

/// The longest wait for an answer of one call.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(10);
/// Objects asked for at once; full nodes refuse more than 50.
const BATCH: usize = 50;
/// Largest answer that is decoded. A checkpoint of a busy network is a few MiB.
const MAX_ANSWER_BYTES: usize = 64 << 20;
/// Pages of a listing that are read before it is called endless.
pub(crate) const MAX_PAGES: usize = 10_000;
/// Endpoints of one client.
const MAX_ENDPOINTS: usize = 16;

/// A client of one Sui chain, over one endpoint or several. Clones share the connections, which are made on
/// first use and made again after they broke.
///
/// With several endpoints one is used until it fails; then the same call is made at the next. An endpoint
/// that serves another chain than the first that answered is never used.
#[derive(Clone)]
pub struct Client {
    pub(crate) inner: Arc<Inner>,
    /// The only endpoint that this clone uses: what belongs together is asked of one.
    pinned: Option<usize>,
}

/// How one endpoint is doing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EndpointStatus {
    /// The endpoint, without credentials.
    pub url: String,
    /// Whether it is the one in use.
    pub current: bool,
    /// Failures since it last worked.
    pub failures: u32,
}

struct Endpoint {
    rpc: sui_rpc::Client,
    url: String,
}

pub(crate) struct Inner {
    endpoints: Vec<Endpoint>,
    health: Mutex<Endpoints>,
    /// The chain that the first endpoint to answer serves.
    chain_id: OnceLock<String>,
    started: Instant,
    /// One transaction of a wallet at a time: two transactions signed over the same coin version would lock it.
    pub(crate) wallets: Mutex<HashMap<Address, Arc<tokio::sync::Mutex<()>>>>,
}

impl Client {
    /// A client for `urls`, one URL like `http://127.0.0.1:9000` or several of one chain with commas between
    /// them, without contacting any.
    ///
    /// # Errors
    /// [`Error::Endpoint`] when the text is not http or https URLs.
    pub fn new(urls: &str) -> Result<Client, Error> {
        let endpoints = urls.split(',').map(|url| endpoint(url.trim())).collect::<Result<Vec<_>, _>>()?;
        if endpoints.len() > MAX_ENDPOINTS {
            let reason = format!("more than {MAX_ENDPOINTS} endpoints");
            return Err(Error::Endpoint { url: without_credentials(urls), reason });
        }
        let health = Mutex::new(Endpoints::new(endpoints.len()));
        let inner = Inner {
            endpoints,
            health,
            chain_id: OnceLock::new(),
            started: Instant::now(),
            wallets: Mutex::default(),
        };
        Ok(Client { inner: Arc::new(inner), pinned: None })
    }

    /// A client for `url` that has been contacted once.
    ///
    /// # Errors
    /// [`Error::Endpoint`] for a bad URL, [`Error::Unreachable`] when nothing answers.
    pub async fn connect(url: &str) -> Result<Client, Error> {
        let client = Client::new(url)?;
        client.service_info().await?;
        Ok(client)
    }

    /// The endpoint in use, without credentials.
    pub fn url(&self) -> &str {
        &self.endpoint().url
    }

    /// Every endpoint and how it is doing.
    pub fn endpoints(&self) -> Vec<EndpointStatus> {
        let current = self.index();
        let health = self.inner.health.lock();
        let status = |(index, endpoint): (usize, &Endpoint)| EndpointStatus {
            url: endpoint.url.clone(),
            current: index == current,
            failures: health.failures(index),
        };
        self.inner.endpoints.iter().enumerate().map(status).collect()
    }

    /// The chain's identifier: digest of its genesis checkpoint, base58.
    ///
    /// # Errors
    /// When the endpoint does not answer.
    pub async fn chain_id(&self) -> Result<String, Error> {
        Ok(self.service_info().await?.chain_id)
    }

    /// Whether the endpoint is K3s-DaaS's own development chain.
    ///
    /// # Errors
    /// When the endpoint does not answer.
    pub async fn is_devnet(&self) -> Result<bool, Error> {
        Ok(self.service_info().await?.is_devnet())
    }

    /// What the endpoint says about itself.
    ///
    /// # Errors
    /// When the endpoint does not answer or leaves out its chain identifier.
    pub async fn service_info(&self) -> Result<ServiceInfo, Error> {
        self.anywhere(|at| async move { at.service_info_here().await }).await
    }

    async fn service_info_here(&self) -> Result<ServiceInfo, Error> {
        let answer = self
            .rpc()
            .ledger_client()
            .get_service_info(proto::GetServiceInfoRequest::default())
            .await
            .map_err(|status| self.error("GetServiceInfo", None, status))?
            .into_inner();
        ServiceInfo::decode(answer)
    }

    /// The current epoch and its reference gas price in MIST.
    ///
    /// # Errors
    /// When the endpoint does not answer.
    pub async fn epoch(&self) -> Result<(u64, u64), Error> {
        self.anywhere(|at| async move { at.epoch_here().await }).await
    }

    async fn epoch_here(&self) -> Result<(u64, u64), Error> {
        let request = proto::GetEpochRequest::latest()
            .with_read_mask(FieldMask::from_paths(["epoch", "reference_gas_price"]));
        let answer = self
            .rpc()
            .ledger_client()
            .get_epoch(request)
            .await
            .map_err(|status| self.error("GetEpoch", None, status))?
            .into_inner();
        let epoch = answer.epoch.ok_or_else(|| Error::malformed("GetEpoch", "no epoch"))?;
        match (epoch.epoch, epoch.reference_gas_price) {
            (Some(number), Some(price)) => Ok((number, price)),
            _ => Err(Error::malformed("GetEpoch", "no number or gas price")),
        }
    }

    /// One object as it is now.
    ///
    /// # Errors
    /// [`Error::NotFound`] when there is none (or no more).
    pub async fn object(&self, id: Address) -> Result<Object, Error> {
        self.objects(&[id])
            .await?
            .remove(&id)
            .ok_or_else(|| Error::NotFound { what: "object", id: id.to_string() })
    }

    /// Many objects as they are now. Those that do not exist are left out.
    ///
    /// # Errors
    /// When the endpoint does not answer or answers with something else than objects.
    pub async fn objects(&self, ids: &[Address]) -> Result<BTreeMap<Address, Object>, Error> {
        self.anywhere(|at| async move { at.objects_here(ids).await }).await
    }

    async fn objects_here(&self, ids: &[Address]) -> Result<BTreeMap<Address, Object>, Error> {
        let mut found = BTreeMap::new();
        for batch in ids.chunks(BATCH) {
            let request = proto::BatchGetObjectsRequest::default()
                .with_requests(batch.iter().map(proto::GetObjectRequest::new).collect())
                .with_read_mask(FieldMask::from_paths(["bcs"]));
            let answer = self
                .rpc()
                .ledger_client()
                .batch_get_objects(request)
                .await
                .map_err(|status| self.error("BatchGetObjects", None, status))?
                .into_inner();
            for result in answer.objects {
                match result.result {
                    Some(proto::get_object_result::Result::Object(object)) => {
                        let object: Object = decode_bcs("BatchGetObjects", object.bcs.as_ref())?;
                        found.insert(object.object_id(), object);
                    }
                    Some(proto::get_object_result::Result::Error(error))
                        if error.code == tonic::Code::NotFound as i32 => {}
                    Some(proto::get_object_result::Result::Error(error)) => {
                        let status = tonic::Status::new(tonic::Code::from(error.code), error.message);
                        return Err(self.error("BatchGetObjects", None, status));
                    }
                    _ => {
                        return Err(Error::malformed(
                            "BatchGetObjects",
                            "a result is neither object nor error",
                        ));
                    }
                }
            }
        }
        Ok(found)
    }

    /// One object as it was at a version.
    ///
    /// # Errors
    /// [`Error::NotFound`] when there was none or the endpoint no longer has it.
    pub async fn object_at(&self, id: Address, version: u64) -> Result<Object, Error> {
        self.anywhere(|at| async move { at.object_at_here(id, version).await }).await
    }

    async fn object_at_here(&self, id: Address, version: u64) -> Result<Object, Error> {
        let request = proto::GetObjectRequest::new(&id)
            .with_version(version)
            .with_read_mask(FieldMask::from_paths(["bcs"]));
        let answer = self
            .rpc()
            .ledger_client()
            .get_object(request)
            .await
            .map_err(|status| {
                self.error("GetObject", Some(("object", format!("{id} at version {version}"))), status)
            })?
            .into_inner();
        decode_bcs("GetObject", answer.object.and_then(|object| object.bcs).as_ref())
    }

    /// SUI of an address in coins, in MIST.
    ///
    /// # Errors
    /// When the endpoint does not answer.
    pub async fn balance(&self, owner: Address) -> Result<u64, Error> {
        Ok(self
            .coins(owner, usize::MAX)
            .await?
            .iter()
            .fold(0u64, |sum, coin| sum.saturating_add(coin.balance)))
    }

    /// Ids of the objects of a type that an address owns.
    ///
    /// # Errors
    /// When the endpoint does not answer.
    pub async fn owned(&self, owner: Address, type_: &StructTag) -> Result<Vec<Address>, Error> {
        let objects = self.list_owned(owner, type_, &["object_id"], usize::MAX).await?;
        objects.iter().map(|object| parse("ListOwnedObjects", object.object_id.as_deref())).collect()
    }

    pub(crate) async fn coins(&self, owner: Address, enough: usize) -> Result<Vec<GasCoin>, Error> {
        const CALL: &str = "ListOwnedObjects";
        let type_ = StructTag::gas_coin();
        let mask = ["object_id", "version", "digest", "balance"];
        let objects = self.list_owned(owner, &type_, &mask, enough).await?;
        objects
            .iter()
            .map(|object| {
                let version = object.version.ok_or_else(|| Error::malformed(CALL, "no version"))?;
                Ok(GasCoin {
                    reference: sui_sdk_types::ObjectReference::new(
                        parse(CALL, object.object_id.as_deref())?,
                        version,
                        parse(CALL, object.digest.as_deref())?,
                    ),
                    balance: object.balance.ok_or_else(|| Error::malformed(CALL, "no balance"))?,
                })
            })
            .collect()
    }

    /// Coins that may pay for a transaction; a wallet full of dust is not read to its end.
    pub(crate) async fn gas_coins(&self, owner: Address) -> Result<Vec<GasCoin>, Error> {
        self.coins(owner, MAX_GAS_COINS * 8).await
    }

    async fn list_owned(
        &self,
        owner: Address,
        type_: &StructTag,
        mask: &[&str],
        enough: usize,
    ) -> Result<Vec<proto::Object>, Error> {
        // The token of the next page means something only to the endpoint that gave it.
        self.anywhere(|at| async move { at.list_owned_here(owner, type_, mask, enough).await }).await
    }

    async fn list_owned_here(
        &self,
        owner: Address,
        type_: &StructTag,
        mask: &[&str],
        enough: usize,
    ) -> Result<Vec<proto::Object>, Error> {
        let mut request = proto::ListOwnedObjectsRequest::default()
            .with_owner(owner.to_string())
            .with_object_type(type_.to_string())
            .with_read_mask(FieldMask::from_paths(mask));
        let mut objects = Vec::new();
        for _ in 0..MAX_PAGES {
            let answer = self
                .rpc()
                .state_client()
                .list_owned_objects(request.clone())
                .await
                .map_err(|status| self.error("ListOwnedObjects", None, status))?
                .into_inner();
            objects.extend(answer.objects);
            match answer.next_page_token {
                Some(token) if !token.is_empty() && objects.len() < enough => {
                    request.page_token = Some(token);
                }
                _ => return Ok(objects),
            }
        }
        Err(Error::malformed("ListOwnedObjects", "the listing does not end"))
    }

    pub(crate) async fn locate(&self, ids: &[Address]) -> Result<BTreeMap<Address, Located>, Error> {
        let objects = self.objects(ids).await?;
        Ok(objects
            .into_iter()
            .map(|(id, object)| (id, Located::new(id, object.version(), object.digest(), *object.owner())))
            .collect())
    }

    pub(crate) fn rpc(&self) -> sui_rpc::Client {
        self.endpoint().rpc.clone()
    }

    /// Makes a call at the endpoint in use, and when that one does not answer at the others in their turn.
    pub(crate) async fn anywhere<T, F, Answer>(&self, call: F) -> Result<T, Error>
    where
        F: Fn(Client) -> Answer,
        Answer: Future<Output = Result<T, Error>>,
    {
        if self.pinned.is_some() || self.inner.endpoints.len() == 1 {
            return call(self.clone()).await;
        }
        let mut tries = self.inner.endpoints.len();
        loop {
            let at = self.pin();
            let outcome = match at.admit().await {
                Ok(()) => call(at.clone()).await,
                Err(error) => Err(error),
            };
            match outcome {
                Err(error) if error.is_of_the_endpoint() => {
                    at.failed(&error);
                    tries -= 1;
                    if tries == 0 {
                        return Err(error);
                    }
                }
                other => {
                    at.worked();
                    return other;
                }
            }
        }
    }

    /// This client at the endpoint that is to be used now, and at no other.
    pub(crate) fn pin(&self) -> Client {
        let index = self.pinned.unwrap_or_else(|| self.inner.health.lock().choose(self.now_ms()));
        Client { inner: self.inner.clone(), pinned: Some(index) }
    }

    /// Which endpoint a pinned client uses.
    pub(crate) fn index(&self) -> usize {
        self.pinned.unwrap_or_else(|| self.inner.health.lock().choose(self.now_ms()))
    }

    /// How many endpoints there are.
    pub(crate) fn count(&self) -> usize {
        self.inner.endpoints.len()
    }

    /// The endpoint of this pinned client answered.
    pub(crate) fn worked(&self) {
        self.inner.health.lock().worked(self.index_or_first());
    }

    /// The endpoint of this pinned client is of no use now; another one is tried next.
    pub(crate) fn failed(&self, error: &Error) {
        let index = self.index_or_first();
        self.inner.health.lock().failed(index, self.now_ms());
        if self.count() > 1 {
            tracing::warn!(url = self.url(), %error, "leaving an endpoint for the next");
        }
    }

    fn index_or_first(&self) -> usize {
        self.pinned.unwrap_or_default()
    }

    /// Refuses an endpoint that serves another chain than the others. The only endpoint is always taken:
    /// whoever holds a cursor or a signed transaction compares its chain.
    async fn admit(&self) -> Result<(), Error> {
        let index = self.index_or_first();
        if self.inner.health.lock().admitted(index) {
            return Ok(());
        }
        let found = self.service_info_here().await?.chain_id;
        let expected = self.inner.chain_id.get_or_init(|| found.clone());
        if *expected != found {
            return Err(Error::WrongChain { expected: expected.clone(), found });
        }
        self.inner.health.lock().admit(index);
        Ok(())
    }

    fn endpoint(&self) -> &Endpoint {
        let index = self.index();
        // `Endpoints` only ever chooses among these.
        self.inner.endpoints.get(index).unwrap_or(&self.inner.endpoints[0])
    }

    fn now_ms(&self) -> u64 {
        u64::try_from(self.inner.started.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    pub(crate) fn error(
        &self,
        call: &'static str,
        looked_for: Option<(&'static str, String)>,
        status: tonic::Status,
    ) -> Error {
        Error::from_status(self.url(), call, looked_for, status)
    }
}

impl std::fmt::Debug for Client {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Client").field("url", &self.url()).finish_non_exhaustive()
    }
}

fn endpoint(url: &str) -> Result<Endpoint, Error> {
    let bad = |reason: String| Error::Endpoint { url: without_credentials(url), reason };
    let uri: tonic::transport::Uri = url.parse().map_err(|_| bad("it is not a URL".into()))?;
    if !matches!(uri.scheme_str(), Some("http" | "https")) || uri.host().is_none_or(str::is_empty) {
        return Err(bad("it needs http:// or https:// and a host".into()));
    }
    let rpc = sui_rpc::Client::new(uri)
        .map_err(|status| bad(crate::error::transport_reason(&status)))?
        .with_response_headers_timeout(ANSWER_TIMEOUT)
        .with_max_decoding_message_size(MAX_ANSWER_BYTES);
    Ok(Endpoint { rpc, url: without_credentials(url) })
}

/// Decodes the BCS form of an answer. Its size is bounded by [`MAX_ANSWER_BYTES`], and BCS never
/// allocates more than its input is long.
pub(crate) fn decode_bcs<T: DeserializeOwned>(
    call: &'static str,
    bcs: Option<&proto::Bcs>,
) -> Result<T, Error> {
    let bytes =
        bcs.and_then(|bcs| bcs.value.as_ref()).ok_or_else(|| Error::malformed(call, "no BCS form"))?;
    bcs::from_bytes(bytes).map_err(|error| Error::malformed(call, error))
}

pub(crate) fn parse<T: std::str::FromStr>(call: &'static str, text: Option<&str>) -> Result<T, Error>
where
    T::Err: ToString,
{
    text.ok_or_else(|| Error::malformed(call, "a field is missing"))?
        .parse()
        .map_err(|error: T::Err| Error::malformed(call, error))
}

pub(crate) fn parse_digest(call: &'static str, text: Option<&str>) -> Result<Digest, Error> {
    parse(call, text)
}

fn without_credentials(url: &str) -> String {
    match (url.split_once("://"), url.rfind('@')) {
        (Some((scheme, _)), Some(at)) => format!("{scheme}://{}", &url[at + 1..]),
        _ => url.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn credentials_are_never_shown() {
        let client = Client::new("http://user:hunter2@127.0.0.1:9000").unwrap();
        assert_eq!(client.url(), "http://127.0.0.1:9000");
        assert!(!format!("{client:?}").contains("hunter2"));
        let error = Client::new("ftp://user:hunter2@host").unwrap_err().to_string();
        assert!(!error.contains("hunter2"), "{error}");
    }

    #[tokio::test]
    async fn a_closed_port_is_unreachable_and_says_why() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        drop(listener);
        let error = Client::connect(&url).await.unwrap_err();
        assert!(matches!(error, Error::Unreachable { .. }), "{error}");
        let text = error.to_string();
        assert!(text.contains(&url) && text.to_lowercase().contains("connection refused"), "{text}");
    }

    #[tokio::test]
    async fn text_that_is_no_url_is_refused() {
        for text in ["", "127.0.0.1:9000", "http://", "unix:/tmp/x", "http:// x"] {
            assert!(matches!(Client::new(text), Err(Error::Endpoint { .. })), "{text}");
        }
    }
}
