//! A bare gRPC client and a server in front of a store in a temporary directory.

use std::path::PathBuf;

use http::uri::PathAndQuery;
use prost::Message;
use store::{Config, Listener, Server, Store, StoreError};
use tee::SealingKey;
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;
use tokio_stream::wrappers::ReceiverStream;
use tonic::client::Grpc;
use tonic::transport::{Channel, Endpoint};
use tonic::{Request, Status, Streaming};
use tonic_prost::ProstCodec;

pub(crate) struct Served {
    pub(crate) home: tempfile::TempDir,
    pub(crate) store: Store,
    pub(crate) urls: Vec<String>,
    stop: Option<oneshot::Sender<()>>,
    running: JoinHandle<Result<(), StoreError>>,
}

pub(crate) fn config(home: &std::path::Path) -> Config {
    let mut config = Config::new(home.join("data"), SealingKey::from_bytes([7; 32]));
    config.segment_bytes = 1 << 20;
    config
}

impl Served {
    pub(crate) async fn start() -> Self {
        let home = tempfile::tempdir().unwrap();
        let config = config(home.path());
        Self::start_with(home, config, Vec::new()).await
    }

    pub(crate) async fn start_with(home: tempfile::TempDir, config: Config, more: Vec<Listener>) -> Self {
        let store = Store::open(config).unwrap();
        let mut listeners = vec![Listener::Tcp { addr: ([127, 0, 0, 1], 0).into(), tls: None }];
        listeners.extend(more);
        let server = Server::bind(store.clone(), listeners).await.unwrap();
        let urls = server.urls();
        let (stop, stopped) = oneshot::channel::<()>();
        let running = tokio::spawn(server.run(async move {
            let _dropped = stopped.await;
        }));
        Self { home, store, urls, stop: Some(stop), running }
    }

    pub(crate) async fn client(&self) -> Client {
        Client::connect(&self.urls[0]).await
    }

    pub(crate) async fn stop(mut self) -> tempfile::TempDir {
        self.stop.take();
        self.running.await.unwrap().unwrap();
        self.store.close();
        self.home
    }
}

#[derive(Clone)]
pub(crate) struct Client {
    channel: Channel,
}

impl Client {
    pub(crate) async fn connect(url: &str) -> Self {
        Self { channel: Endpoint::from_shared(url.to_owned()).unwrap().connect().await.unwrap() }
    }

    pub(crate) fn over(channel: Channel) -> Self {
        Self { channel }
    }

    pub(crate) async fn unix(path: PathBuf) -> Self {
        let connector = tower::service_fn(move |_: http::Uri| {
            let path = path.clone();
            async move { tokio::net::UnixStream::connect(path).await.map(hyper_util::rt::TokioIo::new) }
        });
        let endpoint = Endpoint::from_static("http://localhost");
        Self { channel: endpoint.connect_with_connector(connector).await.unwrap() }
    }

    /// Calls e.g. `KV/Range`.
    pub(crate) async fn call<Q, A>(&self, method: &'static str, request: Q) -> Result<A, Status>
    where
        Q: Message + 'static,
        A: Message + Default + 'static,
    {
        let mut grpc = self.ready().await;
        let codec = ProstCodec::<Q, A>::default();
        grpc.unary(Request::new(request), path(method), codec).await.map(tonic::Response::into_inner)
    }

    /// Opens a stream of responses to one request.
    pub(crate) async fn stream<Q, A>(&self, method: &'static str, request: Q) -> Result<Streaming<A>, Status>
    where
        Q: Message + 'static,
        A: Message + Default + 'static,
    {
        let mut grpc = self.ready().await;
        let codec = ProstCodec::<Q, A>::default();
        grpc.server_streaming(Request::new(request), path(method), codec)
            .await
            .map(tonic::Response::into_inner)
    }

    /// Opens a stream in both directions.
    pub(crate) async fn talk<Q, A>(&self, method: &'static str) -> (mpsc::Sender<Q>, Streaming<A>)
    where
        Q: Message + 'static,
        A: Message + Default + 'static,
    {
        let mut grpc = self.ready().await;
        let (sender, receiver) = mpsc::channel(16);
        let codec = ProstCodec::<Q, A>::default();
        let request = Request::new(ReceiverStream::new(receiver));
        let answers = grpc.streaming(request, path(method), codec).await.unwrap().into_inner();
        (sender, answers)
    }

    async fn ready(&self) -> Grpc<Channel> {
        let mut grpc = Grpc::new(self.channel.clone()).max_decoding_message_size(usize::MAX);
        grpc.ready().await.unwrap();
        grpc
    }
}

fn path(method: &'static str) -> PathAndQuery {
    format!("/etcdserverpb.{method}").parse().unwrap()
}
