//! Doors in front of services: what comes through is as their keeper wants it.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{Method, StatusCode, Uri};
use chain::Address;
use tee::custody::{Answer, Dealing, Member, Request};
use tee::{ClusterSecret, EnclaveKey, SealingKey};

use crate::machine::now_ms;

/// What comes out of a door.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mood {
    /// What the service says.
    Honest,
    /// The same, but last.
    Slow,
    /// An error for every request, as from a proxy whose service is down.
    Down,
    /// Other bytes instead of a key or a blob.
    Garbage,
    /// A share that is well formed, for whoever asks, and of another secret.
    WrongShare,
}

/// A door; open as long as the test runs.
#[derive(Clone)]
pub(crate) struct Door {
    pub(crate) url: String,
    mood: Arc<Mutex<Mood>>,
    behind: String,
    http: reqwest::Client,
    forger: Option<Arc<Forger>>,
}

/// A holder that gives a share of its own making.
pub(crate) struct Forger {
    /// File of the holder's key.
    pub(crate) key: PathBuf,
    pub(crate) cluster: Address,
    /// Which of three holders it is.
    pub(crate) position: usize,
}

impl Door {
    pub(crate) async fn open(behind: &str, forger: Option<Forger>) -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let door = Self {
            url: format!("http://{}", listener.local_addr().unwrap()),
            mood: Arc::new(Mutex::new(Mood::Honest)),
            behind: behind.to_owned(),
            http: reqwest::Client::new(),
            forger: forger.map(Arc::new),
        };
        let router = Router::new().fallback(pass).with_state(door.clone());
        tokio::spawn(async move { axum::serve(listener, router).await });
        door
    }

    pub(crate) fn be(&self, mood: Mood) {
        *self.mood.lock().unwrap() = mood;
    }
}

async fn pass(State(door): State<Door>, method: Method, uri: Uri, body: Bytes) -> (StatusCode, Vec<u8>) {
    let mood = *door.mood.lock().unwrap();
    let asked = uri.path().ends_with("/key-release") || uri.path().starts_with("/v1/blobs/");
    match (mood, asked) {
        (Mood::Slow, true) => tokio::time::sleep(Duration::from_secs(1)).await,
        (Mood::Down, _) => return (StatusCode::BAD_GATEWAY, b"nobody there".to_vec()),
        (Mood::Garbage, true) => return (StatusCode::OK, (0..200).map(|byte| byte ^ 0x5a).collect()),
        (Mood::WrongShare, true) => {
            let request = Request::decode(&body).unwrap();
            return (StatusCode::OK, door.forger.as_ref().unwrap().answer(&request).encode());
        }
        _ => {}
    }
    let path = uri.path_and_query().unwrap();
    let request = door.http.request(method, format!("{}{path}", door.behind)).body(body);
    let Ok(answer) = request.send().await else { return (StatusCode::BAD_GATEWAY, Vec::new()) };
    (answer.status(), answer.bytes().await.unwrap_or_default().to_vec())
}

impl Forger {
    /// The share that this holder would have of another secret, sealed for the enclave that asks.
    fn answer(&self, request: &Request) -> Answer {
        let dir = tempfile::tempdir().unwrap();
        let dealer =
            EnclaveKey::open_or_create(&dir.path().join("key"), &SealingKey::from_bytes([1; 32])).unwrap();
        let holder = custody::open_holder_key(&self.key).unwrap();
        let members = (0..3).map(|at| Member {
            name: format!("holder-{at}"),
            url: format!("http://127.0.0.1:{}", at + 1),
            key: if at == self.position { holder.public_key() } else { other_key(dir.path(), at) }.into(),
        });
        let other = ClusterSecret::generate().unwrap();
        let cluster = self.cluster.into_inner();
        let dealing = Dealing::deal(&other, cluster, 2, members.collect(), &dealer, now_ms()).unwrap();
        Answer::share(request, &dealing.share_of(&holder).unwrap()).unwrap()
    }
}

fn other_key(dir: &Path, at: usize) -> [u8; 32] {
    custody::open_holder_key(&dir.join(format!("holder-{at}"))).unwrap().public_key()
}
