use std::fs::{self, File};
use std::io::{self, Read};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::{DefaultBodyLimit, State};
use axum::routing::get;
use axum::{Json, Router};
use parking_lot::RwLock;
use serde_json::{Value, json};
use tee::custody::{Answer, CustodyError, Dealing, MAX_DEALING_BYTES, Recipient};
use tee::{Anchors, Clock, Policy};

use crate::error::Error;
use crate::on_chain::OnChain;
use crate::problem::Problem;
use crate::releaser::{CollateralSource, Releaser};

const DEALING_FILE: &str = "dealing.cbor";
const KEY_FILE: &str = "custodian.key";

/// A member of a recovery committee: holds its share of a cluster's secret and gives it to enclaves that prove themselves.
pub struct Custodian {
    key: Recipient,
    path: PathBuf,
    dealing: Arc<RwLock<Option<Dealing>>>,
    releaser: Arc<Releaser>,
    clock: Clock,
}

impl Custodian {
    /// Opens the key and the dealing in `dir`; makes the key when there is none.
    ///
    /// # Errors
    /// When files cannot be read, or hold something else.
    pub fn open(
        dir: &Path,
        chain: OnChain,
        policy: Policy,
        anchors: Anchors,
        collateral: CollateralSource,
        clock: Clock,
    ) -> Result<Arc<Self>, Error> {
        let key = open_holder_key(&dir.join(KEY_FILE))?;
        let path = dir.join(DEALING_FILE);
        let dealing = Arc::new(RwLock::new(read_dealing(&path)?));
        let (kept, holder) = (dealing.clone(), key.clone());
        // The share is decrypted when it is given and not kept in memory meanwhile.
        let give = move |request: &tee::custody::Request| match &*kept.read() {
            Some(dealing) => Answer::share(request, &dealing.share_of(&holder)?),
            None => Err(CustodyError::WrongShare),
        };
        let observer = Arc::new(|_: Option<&'static str>| {});
        let releaser =
            Releaser::new(chain, give, false, policy, anchors, collateral, clock.clone(), observer);
        Ok(Arc::new(Self { key, path, dealing, releaser, clock }))
    }

    /// Its public key, for whoever deals.
    #[must_use]
    pub fn public_key(&self) -> [u8; 32] {
        self.key.public_key()
    }

    /// `GET /v1/custodian`, `GET` and `PUT /v1/dealing`, `POST /v1/nonce`, `POST /v1/key-release`.
    pub fn router(self: Arc<Self>) -> Router {
        let releases = self.releaser.clone().router();
        Router::new()
            .route("/v1/custodian", get(about))
            .route("/v1/dealing", get(dealing).put(take_dealing))
            .layer(DefaultBodyLimit::max(MAX_DEALING_BYTES))
            .with_state(self)
            .nest("/v1", releases)
    }

    /// Keeps a dealing that the cluster's present enclave made for this holder among others.
    async fn keep(&self, bytes: &[u8]) -> Result<(), Problem> {
        let refuse = |why: &dyn std::fmt::Display| Problem::Dealing(why.to_string());
        let dealing = Dealing::decode(bytes).map_err(|error| refuse(&error))?;
        if dealing.cluster() != self.releaser.chain().cluster() {
            return Err(refuse(&"it is another cluster's"));
        }
        dealing.share_of(&self.key).map_err(|error| refuse(&error))?;
        let facts = self.releaser.chain().read(None).await.map_err(|error| {
            tracing::warn!("cannot decide about a dealing, the chain cannot be read: {error}");
            Problem::Chain
        })?;
        let now_ms = (self.clock)();
        let by_the_enclave = facts.enclave.is_some_and(|enclave| {
            enclave.public_key == dealing.dealer() && enclave.in_standing(&facts.registry, now_ms)
        });
        if !by_the_enclave {
            return Err(refuse(&"the enclave that dealt is not the one at the cluster's place on chain"));
        }
        let mut kept = self.dealing.write();
        if kept.as_ref().is_some_and(|kept| kept.made_ms() > dealing.made_ms()) {
            return Err(refuse(&"a newer one is kept"));
        }
        tee::write_durably(&self.path, bytes).map_err(|error| {
            tracing::error!("cannot keep a dealing: {error}");
            Problem::Internal("it cannot be written")
        })?;
        tracing::info!(
            threshold = dealing.threshold(),
            holders = dealing.holders().len(),
            "keeps a new share"
        );
        *kept = Some(dealing);
        Ok(())
    }
}

impl std::fmt::Debug for Custodian {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Custodian").field("key", &self.key).finish_non_exhaustive()
    }
}

/// The holder's X25519 key in a file (32 bytes, mode 0600), made when there is none.
///
/// # Errors
/// When it cannot be read or written, others may read it, or it holds something else.
pub fn open_holder_key(path: &Path) -> Result<Recipient, Error> {
    let io = |action| move |source| Error::Io { action, path: path.to_owned(), source };
    let problem = |problem| Error::KeyFile { path: path.to_owned(), problem };
    let file = match File::open(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            let key = Recipient::generate()?;
            tee::write_durably(path, key.seed()).map_err(io("write"))?;
            return Ok(key);
        }
        other => other.map_err(io("read"))?,
    };
    if file.metadata().map_err(io("read"))?.permissions().mode() & 0o077 != 0 {
        return Err(problem("others may read this key; run chmod 600 on it"));
    }
    let mut seed = [0; 32];
    let mut file = file.take(33);
    let whole =
        file.read_exact(&mut seed).is_ok() && file.limit() == 1 && file.read(&mut [0]).is_ok_and(|n| n == 0);
    if whole { Ok(Recipient::from_seed(seed)) } else { Err(problem("not a custodian's key of 32 bytes")) }
}

fn read_dealing(path: &Path) -> Result<Option<Dealing>, Error> {
    match fs::read(path) {
        Ok(bytes) => Ok(Some(Dealing::decode(&bytes)?)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(source) => Err(Error::Io { action: "read", path: path.to_owned(), source }),
    }
}

async fn about(State(custodian): State<Arc<Custodian>>) -> Json<Value> {
    let dealing = custodian.dealing.read();
    Json(json!({
        "publicKey": hex::encode(custodian.public_key()),
        "cluster": custodian.releaser.chain().cluster_id(),
        "dealtMs": dealing.as_ref().map(Dealing::made_ms),
        "threshold": dealing.as_ref().map(Dealing::threshold),
    }))
}

async fn dealing(State(custodian): State<Arc<Custodian>>) -> Result<Vec<u8>, Problem> {
    custodian.releaser.spend()?;
    custodian.dealing.read().as_ref().map(Dealing::encode).ok_or(Problem::Empty)
}

async fn take_dealing(State(custodian): State<Arc<Custodian>>, body: Bytes) -> Result<(), Problem> {
    custodian.releaser.spend()?;
    custodian.keep(&body).await.inspect_err(|problem| tracing::warn!("{problem}"))
}
