use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::{JoinHandle, JoinSet};

/// What a proxy does to the request that it waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Loss {
    /// It never arrives, and the connection breaks.
    Request,
    /// It arrives, but the connection breaks before the answer.
    Answer,
}

#[derive(Clone, Debug, Default)]
struct Rules {
    /// Refuses connections.
    down: bool,
    /// Counts cuts: a connection lives only in the generation in which it was made.
    generation: u64,
    /// Loses the request that brings the marker for the n-th time from now.
    trap: Option<(Vec<u8>, usize, Loss)>,
    sprung: usize,
}

/// A TCP proxy that loses things on command.
pub(crate) struct Proxy {
    address: SocketAddr,
    rules: Arc<watch::Sender<Rules>>,
    task: JoinHandle<()>,
}

impl Proxy {
    pub(crate) async fn start(upstream: SocketAddr) -> Proxy {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let rules = Arc::new(watch::channel(Rules::default()).0);
        let shared = rules.clone();
        let task = tokio::spawn(async move {
            let mut connections = JoinSet::new();
            while let Ok((client, _)) = listener.accept().await {
                connections.spawn(serve(client, upstream, shared.clone()));
                while connections.try_join_next().is_some() {}
            }
        });
        Proxy { address, rules, task }
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Loses the request that holds `marker`, when it passes for the `nth` time from now (1 is the next).
    pub(crate) fn trap(&self, marker: &[u8], nth: usize, loss: Loss) {
        self.rules.send_modify(|rules| rules.trap = Some((marker.to_vec(), nth, loss)));
    }

    /// How often a trap caught something.
    pub(crate) fn sprung(&self) -> usize {
        self.rules.borrow().sprung
    }

    /// Breaks every open connection.
    pub(crate) fn cut(&self) {
        self.rules.send_modify(|rules| rules.generation += 1);
    }

    /// Breaks every connection and makes no more, or makes them again.
    pub(crate) fn set_down(&self, down: bool) {
        self.rules.send_modify(|rules| {
            rules.down = down;
            rules.generation += 1;
        });
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn serve(client: TcpStream, upstream: SocketAddr, rules: Arc<watch::Sender<Rules>>) {
    let (down, generation) = {
        let rules = rules.borrow();
        (rules.down, rules.generation)
    };
    if down {
        return;
    }
    let Ok(server) = TcpStream::connect(upstream).await else {
        return;
    };
    let (client_read, client_write) = client.into_split();
    let (server_read, server_write) = server.into_split();
    let mute = AtomicBool::new(false);
    let mut changes = rules.subscribe();
    let cut = async move {
        while changes.borrow_and_update().generation == generation && changes.changed().await.is_ok() {}
    };
    tokio::select! {
        () = requests(client_read, server_write, rules, &mute) => {}
        () = answers(server_read, client_write, &mute) => {}
        () = cut => {}
    }
}

async fn requests(
    mut from: OwnedReadHalf,
    mut to: OwnedWriteHalf,
    rules: Arc<watch::Sender<Rules>>,
    mute: &AtomicBool,
) {
    let mut buffer = vec![0; 64 << 10];
    // The end of what was read before, in case a marker was torn apart.
    let mut tail: Vec<u8> = Vec::new();
    while let Ok(read @ 1..) = from.read(&mut buffer).await {
        let bytes = &buffer[..read];
        let mut loss = None;
        rules.send_if_modified(|rules| {
            if let Some((marker, left, kind)) = &mut rules.trap {
                let text = [&tail, bytes].concat();
                let seen = text.windows(marker.len()).filter(|window| window == marker).count();
                tail = text[text.len().saturating_sub(marker.len() - 1)..].to_vec();
                *left = left.saturating_sub(seen);
                if *left == 0 {
                    loss = Some(*kind);
                    rules.trap = None;
                    rules.sprung += 1;
                }
            }
            false
        });
        if loss == Some(Loss::Answer) {
            mute.store(true, Ordering::SeqCst);
        }
        if loss == Some(Loss::Request) || to.write_all(bytes).await.is_err() {
            return;
        }
        if loss == Some(Loss::Answer) {
            // The request is worked off while nobody listens; then the connection breaks.
            tokio::time::sleep(Duration::from_millis(300)).await;
            return;
        }
    }
}

async fn answers(mut from: OwnedReadHalf, mut to: OwnedWriteHalf, mute: &AtomicBool) {
    let mut buffer = vec![0; 64 << 10];
    while let Ok(read @ 1..) = from.read(&mut buffer).await {
        if !mute.load(Ordering::SeqCst) && to.write_all(&buffer[..read]).await.is_err() {
            return;
        }
    }
}
