use bytes::{Bytes, BytesMut};
use reqwest::{Method, RequestBuilder, Response, StatusCode, Url};

use crate::answer::Answer;
use crate::blob_id::BlobId;
use crate::config::Config;
use crate::encoding::Encoding;
use crate::endpoints::{Attempts, Next};
use crate::error::{Complaint, WalrusError, Wrong};
use crate::options::{Lifetime, StoreOptions};

/// Stores and reads blobs over publishers and aggregators, and believes neither.
#[derive(Debug)]
pub struct Client {
    http: reqwest::Client,
    publishers: Vec<Url>,
    aggregators: Vec<Url>,
    config: Config,
}

/// A blob that a publisher says is stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stored {
    /// Computed here; the publisher agrees.
    pub id: BlobId,
    /// The first epoch in which it is no longer there.
    pub end_epoch: u32,
    /// The blob's object on Sui, when this call made one.
    pub object: Option<String>,
    /// What was paid, in FROST; 0 when it was there already.
    pub cost: u64,
    /// Who stored it.
    pub publisher: String,
}

/// The longest answer of a publisher: real ones take about 700 bytes.
const MAX_ANSWER: usize = 64 << 10;
/// How much of a refusal is repeated.
const MAX_REFUSAL: usize = 256;

impl Client {
    /// Makes a client; nothing is asked yet. The process has to have a default TLS provider (`rustls`), as reqwest wants it.
    ///
    /// # Errors
    /// [`WalrusError::Config`] for addresses that are none.
    pub fn new(config: Config) -> Result<Self, WalrusError> {
        let http = reqwest::Client::builder()
            .connect_timeout(std::time::Duration::from_secs(10))
            .timeout(config.timeout)
            .build()
            .map_err(|error| WalrusError::Config(format!("no HTTP client: {error}")))?;
        Ok(Self {
            http,
            publishers: urls(&config.publishers)?,
            aggregators: urls(&config.aggregators)?,
            config,
        })
    }

    /// The network's code.
    #[must_use]
    pub fn encoding(&self) -> &Encoding {
        &self.config.encoding
    }

    /// Stores `blob`. Doing so again is harmless: what is there for long enough is neither sent to storage nodes nor paid again,
    /// and with more epochs this is how a blob's time is extended.
    ///
    /// # Errors
    /// [`WalrusError::Exhausted`] names what each publisher did wrong; one that gives another id than ours lies.
    pub async fn store(&self, blob: Bytes, options: &StoreOptions) -> Result<Stored, WalrusError> {
        let id = self.blob_id(blob.clone()).await?;
        let mut complaints = Vec::new();
        let mut attempts = Attempts::new(self.publishers.len(), self.config.rounds);
        loop {
            match attempts.next() {
                Next::Ask(n) => match self.put(&self.publishers[n], &id, &blob, options).await {
                    Ok(stored) => return Ok(stored),
                    Err(wrong) => {
                        attempts.failed(wrong.may_pass());
                        complaints.push(complain(&self.publishers[n], wrong));
                    }
                },
                Next::Pause(pause) => tokio::time::sleep(pause).await,
                Next::GiveUp => {
                    let what = format!("blob {id} of {} bytes was not stored", blob.len());
                    return Err(WalrusError::Exhausted { what, complaints });
                }
            }
        }
    }

    /// Reads blob `id`, which has at most `most` bytes, and takes it only if it is that blob.
    ///
    /// # Errors
    /// [`WalrusError::NotFound`] when all aggregators say so, [`WalrusError::Exhausted`] otherwise.
    pub async fn read(&self, id: &BlobId, most: usize) -> Result<Bytes, WalrusError> {
        let mut complaints = Vec::new();
        let mut attempts = Attempts::new(self.aggregators.len(), self.config.rounds);
        loop {
            match attempts.next() {
                Next::Ask(n) => match self.get(&self.aggregators[n], id, most).await {
                    Ok(blob) => return Ok(blob),
                    Err(wrong) => {
                        attempts.failed(wrong.may_pass());
                        complaints.push(complain(&self.aggregators[n], wrong));
                    }
                },
                Next::Pause(pause) => tokio::time::sleep(pause).await,
                Next::GiveUp if !complaints.is_empty() && complaints.iter().all(is_missing) => {
                    return Err(WalrusError::NotFound(*id));
                }
                Next::GiveUp => {
                    let what = format!("blob {id} was not read");
                    return Err(WalrusError::Exhausted { what, complaints });
                }
            }
        }
    }

    /// Whether an aggregator says that it can read blob `id`. A hint and no more: only [`Self::read`] proves it.
    pub async fn offers(&self, id: &BlobId) -> bool {
        for aggregator in &self.aggregators {
            let answer = self.http.request(Method::HEAD, blob_url(aggregator, id)).send().await;
            if answer.is_ok_and(|answer| answer.status().is_success()) {
                return true;
            }
        }
        false
    }

    async fn put(
        &self,
        publisher: &Url,
        id: &BlobId,
        blob: &Bytes,
        options: &StoreOptions,
    ) -> Result<Stored, Wrong> {
        let mut request =
            self.http.put(joined(publisher, "v1/blobs")).query(&options.query()).body(blob.clone());
        if let Some(token) = &self.config.token {
            request = request.bearer_auth(token);
        }
        let text = body(send(request).await?, MAX_ANSWER).await?;
        let answer = serde_json::from_slice(&text).map_err(|error| Wrong::Answer(error.to_string()))?;
        let stored = judge(answer, id, blob.len() as u64, options)?;
        Ok(Stored { publisher: publisher.to_string(), ..stored })
    }

    async fn get(&self, aggregator: &Url, id: &BlobId, most: usize) -> Result<Bytes, Wrong> {
        let blob = body(send(self.http.get(blob_url(aggregator, id))).await?, most).await?;
        match self.blob_id(blob.clone()).await {
            Ok(said) if said == *id => Ok(blob),
            Ok(said) => Err(Wrong::AnotherBlob { right: *id, said: said.to_string() }),
            Err(error) => Err(Wrong::Answer(error.to_string())),
        }
    }

    /// Off the threads that serve others: it takes about a second.
    async fn blob_id(&self, blob: Bytes) -> Result<BlobId, WalrusError> {
        let encoding = self.config.encoding;
        match tokio::task::spawn_blocking(move || encoding.blob_id(&blob)).await {
            Ok(id) => Ok(id?),
            Err(error) => Err(WalrusError::Config(format!("computing a blob's id was cut off: {error}"))),
        }
    }
}

/// Whether a publisher did what was asked.
fn judge(answer: Answer, id: &BlobId, length: u64, options: &StoreOptions) -> Result<Stored, Wrong> {
    let same = |said: &str| {
        if said == id.to_string() {
            return Ok(());
        }
        let said = said.chars().take(MAX_REFUSAL).collect();
        Err(Wrong::AnotherBlob { right: *id, said })
    };
    let publisher = String::new();
    match answer {
        Answer::NewlyCreated(created) => {
            let object = created.blob_object;
            same(&object.blob_id)?;
            if object.size != length {
                return Err(Wrong::Terms(format!("{} bytes instead of {length}", object.size)));
            }
            if object.deletable != (options.lifetime == Lifetime::Deletable) {
                return Err(Wrong::Terms(format!("deletable is {}", object.deletable)));
            }
            let storage = object.storage;
            // An epoch may end between asking and storing.
            let epochs = storage.end_epoch.saturating_sub(object.registered_epoch);
            if epochs.saturating_add(1) < options.epochs {
                return Err(Wrong::Terms(format!("{epochs} epochs instead of {}", options.epochs)));
            }
            Ok(Stored {
                id: *id,
                end_epoch: storage.end_epoch,
                object: Some(object.id),
                cost: created.cost,
                publisher,
            })
        }
        Answer::AlreadyCertified(certified) => {
            same(&certified.blob_id)?;
            Ok(Stored { id: *id, end_epoch: certified.end_epoch, object: None, cost: 0, publisher })
        }
        Answer::MarkedInvalid(invalid) => {
            same(&invalid.blob_id)?;
            Err(Wrong::Answer("the network holds this blob to be invalid".to_owned()))
        }
        Answer::Error(message) => Err(Wrong::Answer(message.message.chars().take(MAX_REFUSAL).collect())),
    }
}

async fn send(request: RequestBuilder) -> Result<Response, Wrong> {
    let response = request.send().await.map_err(transport)?;
    let status = response.status();
    if status.is_success() {
        return Ok(response);
    }
    let text = body(response, MAX_ANSWER).await.unwrap_or_default();
    let text = String::from_utf8_lossy(&text).chars().take(MAX_REFUSAL).collect();
    Err(Wrong::Status { status: status.as_u16(), text })
}

/// The whole body, if it has at most `most` bytes.
async fn body(mut response: Response, most: usize) -> Result<Bytes, Wrong> {
    let mut bytes = BytesMut::new();
    while let Some(chunk) = response.chunk().await.map_err(transport)? {
        if bytes.len() + chunk.len() > most {
            return Err(Wrong::TooLong { most });
        }
        bytes.extend_from_slice(&chunk);
    }
    Ok(bytes.freeze())
}

fn transport(error: reqwest::Error) -> Wrong {
    Wrong::Transport(error.without_url())
}

fn complain(endpoint: &Url, wrong: Wrong) -> Complaint {
    Complaint { endpoint: endpoint.to_string(), wrong }
}

fn is_missing(complaint: &Complaint) -> bool {
    matches!(complaint.wrong, Wrong::Status { status, .. } if status == StatusCode::NOT_FOUND.as_u16())
}

fn urls(texts: &[String]) -> Result<Vec<Url>, WalrusError> {
    let wrong = |text: &String| {
        WalrusError::Config(format!(
            "{text:?} is no address of a Walrus service: http(s)://HOST[:PORT][/PATH] is"
        ))
    };
    let parse = |text: &String| match Url::parse(text) {
        Ok(url) if matches!(url.scheme(), "http" | "https") && url.has_host() => Ok(url),
        _ => Err(wrong(text)),
    };
    texts.iter().map(parse).collect()
}

fn blob_url(aggregator: &Url, id: &BlobId) -> Url {
    joined(aggregator, &format!("v1/blobs/{id}"))
}

/// `path` below the base, whether or not the base ends with a slash.
fn joined(base: &Url, path: &str) -> Url {
    let mut url = base.clone();
    url.set_path(&format!("{}/{path}", base.path().trim_end_matches('/')));
    url
}
