use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::{JoinHandle, JoinSet};

/// What the proxy does with bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Weather {
    /// Passes everything on.
    Fine,
    /// Accepts requests and throws them away: they never arrive.
    RequestsLost,
    /// Passes requests on and throws the answers away: they arrive, and nobody hears back.
    AnswersLost,
    /// Closes every connection at once.
    Down,
}

/// A TCP proxy that loses things on command.
pub struct Proxy {
    address: SocketAddr,
    control: Arc<watch::Sender<(Weather, u64)>>,
    task: JoinHandle<()>,
}

impl Proxy {
    pub async fn start(upstream: SocketAddr) -> Proxy {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let control = Arc::new(watch::channel((Weather::Fine, 0)).0);
        let receiver = control.subscribe();
        let task = tokio::spawn(async move {
            let mut connections = JoinSet::new();
            while let Ok((client, _)) = listener.accept().await {
                connections.spawn(serve(client, upstream, receiver.clone()));
                while connections.try_join_next().is_some() {}
            }
        });
        Proxy { address, control, task }
    }

    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Changes the weather for open and new connections.
    pub fn set(&self, weather: Weather) {
        self.control.send_modify(|state| state.0 = weather);
    }

    /// Closes every open connection.
    pub fn cut(&self) {
        self.control.send_modify(|state| state.1 += 1);
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn serve(client: TcpStream, upstream: SocketAddr, mut control: watch::Receiver<(Weather, u64)>) {
    let generation = control.borrow().1;
    if control.borrow().0 == Weather::Down {
        return;
    }
    let Ok(server) = TcpStream::connect(upstream).await else {
        return;
    };
    let (client_read, client_write) = client.into_split();
    let (server_read, server_write) = server.into_split();
    let to_server = copy(client_read, server_write, control.clone(), Weather::RequestsLost);
    let to_client = copy(server_read, client_write, control.clone(), Weather::AnswersLost);
    let gone = async move {
        loop {
            let (weather, now) = *control.borrow_and_update();
            if weather == Weather::Down || now != generation || control.changed().await.is_err() {
                return;
            }
        }
    };
    tokio::select! {
        () = to_server => {}
        () = to_client => {}
        () = gone => {}
    }
}

async fn copy(
    mut from: tokio::net::tcp::OwnedReadHalf,
    mut to: tokio::net::tcp::OwnedWriteHalf,
    control: watch::Receiver<(Weather, u64)>,
    loses: Weather,
) {
    let mut buffer = vec![0; 64 << 10];
    while let Ok(read @ 1..) = from.read(&mut buffer).await {
        if control.borrow().0 == loses {
            continue;
        }
        if to.write_all(&buffer[..read]).await.is_err() {
            return;
        }
    }
    tokio::time::sleep(Duration::from_millis(1)).await;
}
