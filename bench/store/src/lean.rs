//! A load generator that leaves the machine to the server: one thread, a few connections, calls in closed loops.

use std::cell::Cell;
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::{Duration, Instant};

use anyhow::{bail, ensure};
use tokio::task::LocalSet;

use crate::grpc::{Connection, Sink};
use crate::stats::Latencies;

/// Callers that send their next request when they have the answer to their last.
#[derive(Clone, Copy)]
pub(crate) struct Load {
    pub(crate) address: SocketAddr,
    pub(crate) path: &'static str,
    pub(crate) connections: usize,
    /// On all connections together.
    pub(crate) clients: usize,
    /// Requests of all clients together.
    pub(crate) total: u64,
}

pub(crate) struct Outcome {
    pub(crate) seconds: f64,
    pub(crate) latencies: Latencies,
}

/// Runs the load; `message(n)` makes request number `n`.
pub(crate) async fn closed_loop(
    load: Load,
    message: impl Fn(u64) -> Vec<u8> + 'static,
) -> anyhow::Result<Outcome> {
    let mut connections = Vec::new();
    for _ in 0..load.connections {
        connections.push(Connection::open(load.address, load.path).await?);
    }
    let message = Rc::new(message);
    let issued = Rc::new(Cell::new(0));
    let started = Instant::now();
    let tasks = LocalSet::new();
    let running: Vec<_> = connections
        .into_iter()
        .enumerate()
        .map(|(index, connection)| {
            let clients =
                load.clients / load.connections + usize::from(index < load.clients % load.connections);
            let (message, issued) = (Rc::clone(&message), Rc::clone(&issued));
            tasks.spawn_local(drive(connection, clients, load.total, issued, message))
        })
        .collect();
    tasks.await;
    let seconds = started.elapsed().as_secs_f64();
    let mut latencies = Latencies::default();
    for connection in running {
        latencies.merge(connection.await??);
    }
    ensure!(latencies.count() as u64 == load.total, "{} of {} calls", latencies.count(), load.total);
    Ok(Outcome { seconds, latencies })
}

/// One call on a connection of its own: the answer's message.
pub(crate) async fn once(address: SocketAddr, path: &str, message: &[u8]) -> anyhow::Result<Vec<u8>> {
    let call = async {
        let mut connection = Connection::open(address, path).await?;
        unary(&mut connection, message).await
    };
    tokio::time::timeout(Duration::from_secs(5), call).await?
}

/// One call, alone on the connection: the answer's message.
pub(crate) async fn unary(connection: &mut Connection, message: &[u8]) -> anyhow::Result<Vec<u8>> {
    let mut answer = Answer::default();
    while !connection.has_room(message.len()) {
        connection.turn(&mut answer).await?;
    }
    connection.call(message, true);
    while !answer.ended {
        connection.turn(&mut answer).await?;
    }
    ensure!(answer.message.len() >= 5, "the server answered with an error");
    Ok(answer.message.split_off(5))
}

#[derive(Default)]
struct Answer {
    message: Vec<u8>,
    ended: bool,
}

impl Sink for Answer {
    fn data(&mut self, _stream: u32, bytes: &[u8]) {
        self.message.extend_from_slice(bytes);
    }

    fn end(&mut self, _stream: u32) {
        self.ended = true;
    }
}

/// Calls under way on one connection.
#[derive(Default)]
struct UnderWay {
    calls: Vec<Call>,
    ended: Vec<Call>,
}

#[derive(Clone, Copy)]
struct Call {
    stream: u32,
    started: Instant,
    answered: bool,
}

impl Sink for UnderWay {
    fn data(&mut self, stream: u32, bytes: &[u8]) {
        if let Some(call) = self.calls.iter_mut().find(|call| call.stream == stream) {
            call.answered |= !bytes.is_empty();
        }
    }

    fn end(&mut self, stream: u32) {
        if let Some(index) = self.calls.iter().position(|call| call.stream == stream) {
            self.ended.push(self.calls.swap_remove(index));
        }
    }
}

async fn drive(
    mut connection: Connection,
    clients: usize,
    total: u64,
    issued: Rc<Cell<u64>>,
    message: Rc<impl Fn(u64) -> Vec<u8>>,
) -> anyhow::Result<Latencies> {
    let mut under_way = UnderWay::default();
    let mut latencies = Latencies::default();
    loop {
        let now = Instant::now();
        for call in under_way.ended.drain(..) {
            if !call.answered {
                bail!("the server answered a call with an error");
            }
            latencies.add(now - call.started);
        }
        while under_way.calls.len() < clients && issued.get() < total {
            let request = message(issued.get());
            if !connection.has_room(request.len()) {
                break;
            }
            issued.set(issued.get() + 1);
            let stream = connection.call(&request, true);
            under_way.calls.push(Call { stream, started: now, answered: false });
        }
        if under_way.calls.is_empty() {
            return Ok(latencies);
        }
        connection.turn(&mut under_way).await?;
    }
}
