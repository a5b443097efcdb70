use std::convert::Infallible;
use std::time::{Duration, SystemTime};

use futures::future::BoxFuture;
use futures::stream::{FuturesUnordered, StreamExt as _};
use rand::Rng as _;
use sui_rpc::field::{FieldMask, FieldMaskUtil as _};
use sui_rpc::proto::sui::rpc::v2 as proto;
use sui_sdk_types::Address;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;

use crate::checkpoint::{Checkpoint, MASK, decode};
use crate::tracker::Tracker;
use crate::{Client, Cursor, Error, FollowError, Reachability, ServiceInfo};

/// Checkpoints held while one before them is missing.
const WINDOW: u64 = 256;
/// Checkpoints fetched at a time.
const FETCHES: usize = 16;
/// Checkpoints that wait for a slow consumer.
const QUEUE: usize = 64;
/// How often a silent endpoint is asked whether it is still there.
const PULSE: Duration = Duration::from_secs(1);
/// The longest wait for the answer to that.
const PULSE_TIMEOUT: Duration = Duration::from_secs(5);
/// The pause before a checkpoint is asked for again that one node knows and another does not yet.
const LAG: Duration = Duration::from_millis(200);
const FIRST_BACKOFF: Duration = Duration::from_millis(100);
const MAX_BACKOFF: Duration = Duration::from_secs(5);

/// Follows a package's events checkpoint by checkpoint, from a cursor on.
///
/// Every checkpoint comes once and in order, with or without events of ours. When the endpoint is lost
/// the follower tries again with growing pauses, for ever, and says so in [`Follower::reachability`]. It
/// ends only when going on would lose something: the chain was reset, or the endpoint has dropped the
/// checkpoints that come next.
pub struct Follower {
    items: mpsc::Receiver<Result<Checkpoint, FollowError>>,
    reachability: watch::Receiver<Reachability>,
    task: JoinHandle<()>,
}

impl Client {
    /// Follows the events of `package` from `cursor` on.
    pub fn follow(&self, package: Address, cursor: Cursor) -> Follower {
        let (sender, items) = mpsc::channel(QUEUE);
        let (status, reachability) = watch::channel(Reachability::unknown(SystemTime::now()));
        let shell = Shell {
            client: self.clone(),
            package,
            tracker: Tracker::new(cursor.next, WINDOW),
            chain_id: cursor.chain_id,
            sender,
            status,
            backoff: FIRST_BACKOFF,
        };
        Follower { items, reachability, task: tokio::spawn(shell.run()) }
    }
}

impl Follower {
    /// The next checkpoint. Cancel-safe.
    ///
    /// # Errors
    /// [`FollowError`], after which there are no more checkpoints.
    pub async fn next(&mut self) -> Result<Checkpoint, FollowError> {
        self.items.recv().await.unwrap_or(Err(FollowError::Ended))
    }

    /// Whether the endpoint answers; changes wake the receiver only when the answer changes.
    pub fn reachability(&self) -> watch::Receiver<Reachability> {
        self.reachability.clone()
    }
}

impl Drop for Follower {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl std::fmt::Debug for Follower {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Follower").field("reachability", &*self.reachability.borrow()).finish_non_exhaustive()
    }
}

struct Shell {
    client: Client,
    package: Address,
    chain_id: String,
    tracker: Tracker<Checkpoint>,
    sender: mpsc::Sender<Result<Checkpoint, FollowError>>,
    status: watch::Sender<Reachability>,
    backoff: Duration,
}

/// Why one connection's work ended.
enum End {
    /// Try again after a pause.
    Lost(Error),
    /// Going on would lose checkpoints.
    Fatal(FollowError),
    /// Nobody listens any more.
    Unwanted,
}

impl From<Error> for End {
    fn from(error: Error) -> End {
        End::Lost(error)
    }
}

/// What a concurrent request brought.
enum Arrival {
    Fetched(u64, Result<Checkpoint, Error>),
    Pulse(Result<ServiceInfo, Error>),
}

impl Shell {
    async fn run(mut self) {
        loop {
            let Err(end) = self.session().await;
            match end {
                End::Unwanted => return,
                End::Fatal(error) => {
                    self.lost(&error);
                    // The receiver may be gone by now, and then nobody misses it.
                    let _ = self.sender.send(Err(error)).await;
                    return;
                }
                End::Lost(error) => {
                    self.tracker.disconnected();
                    self.lost(&error);
                    let pause = self.backoff.mul_f64(rand::rng().random_range(0.8..1.2));
                    self.backoff = (self.backoff * 2).min(MAX_BACKOFF);
                    tokio::select! {
                        () = tokio::time::sleep(pause) => {}
                        () = self.sender.closed() => return,
                    }
                }
            }
        }
    }

    /// Works on one connection until it breaks.
    async fn session(&mut self) -> Result<Infallible, End> {
        let info = self.client.service_info().await?;
        self.check(&info)?;
        let mut stream = self.subscribe().await?;
        // Read after subscribing: what came before the stream began is now known to exist.
        let info = self.client.service_info().await?;
        self.check(&info)?;
        self.contact();

        let sender = self.sender.clone();
        let mut requests: FuturesUnordered<BoxFuture<'static, Arrival>> = FuturesUnordered::new();
        let mut pulse = tokio::time::interval_at(tokio::time::Instant::now() + PULSE, PULSE);
        pulse.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        let mut pulsing = false;
        loop {
            for sequence in self.tracker.fetch(FETCHES) {
                requests.push(Box::pin(fetch(self.client.clone(), self.package, sequence, Duration::ZERO)));
            }
            tokio::select! {
                permit = sender.reserve(), if self.tracker.has_next() => {
                    let permit = permit.map_err(|_| End::Unwanted)?;
                    if let Some((_, checkpoint)) = self.tracker.deliver() {
                        permit.send(Ok(checkpoint));
                    }
                }
                item = stream.next() => {
                    let answer = match item {
                        Some(Ok(answer)) => answer,
                        Some(Err(status)) => return Err(self.client.error("SubscribeCheckpoints", None, status).into()),
                        None => {
                            let status = tonic::Status::unavailable("the endpoint closed the stream");
                            return Err(self.client.error("SubscribeCheckpoints", None, status).into());
                        }
                    };
                    // A frame without a checkpoint only says how far the chain is.
                    match answer.checkpoint {
                        Some(checkpoint) => {
                            let checkpoint = decode(self.package, checkpoint)?;
                            self.tracker.arrived(checkpoint.sequence, checkpoint);
                        }
                        None => self.tracker.height(answer.cursor.unwrap_or_default()),
                    }
                    self.contact();
                }
                Some(arrival) = requests.next(), if !requests.is_empty() => match arrival {
                    Arrival::Fetched(sequence, Ok(checkpoint)) => {
                        self.tracker.fetched(sequence, checkpoint);
                        self.contact();
                    }
                    // Behind one URL there may be several nodes, of which some lag.
                    Arrival::Fetched(sequence, Err(Error::NotFound { .. })) => {
                        requests.push(Box::pin(fetch(self.client.clone(), self.package, sequence, LAG)));
                    }
                    Arrival::Fetched(sequence, Err(error)) => {
                        self.tracker.fetch_failed(sequence);
                        return Err(error.into());
                    }
                    Arrival::Pulse(info) => {
                        pulsing = false;
                        self.check(&info?)?;
                        self.contact();
                    }
                },
                _ = pulse.tick(), if !pulsing => {
                    pulsing = true;
                    requests.push(Box::pin(ask(self.client.clone())));
                }
                () = sender.closed() => return Err(End::Unwanted),
            }
        }
    }

    async fn subscribe(&self) -> Result<tonic::Streaming<proto::SubscribeCheckpointsResponse>, Error> {
        let request =
            proto::SubscribeCheckpointsRequest::default().with_read_mask(FieldMask::from_paths(MASK));
        let answer = self
            .client
            .rpc()
            .subscription_client()
            .subscribe_checkpoints(request)
            .await
            .map_err(|status| self.client.error("SubscribeCheckpoints", None, status))?;
        Ok(answer.into_inner())
    }

    /// Refuses a chain on which going on would be wrong.
    fn check(&mut self, info: &ServiceInfo) -> Result<(), End> {
        let next = self.tracker.next();
        if info.chain_id != self.chain_id {
            return Err(End::Fatal(FollowError::ChainChanged {
                expected: self.chain_id.clone(),
                found: info.chain_id.clone(),
            }));
        }
        if info.lowest_available_checkpoint > next {
            return Err(End::Fatal(FollowError::Pruned { next, lowest: info.lowest_available_checkpoint }));
        }
        if info.checkpoint_height.saturating_add(1) < next {
            // A full node that lags, or a chain restored from an old copy: wait for it to come back.
            return Err(End::Lost(Error::Behind {
                url: self.client.url().to_owned(),
                height: info.checkpoint_height,
                followed: next - 1,
            }));
        }
        self.tracker.height(info.checkpoint_height);
        Ok(())
    }

    fn contact(&mut self) {
        self.backoff = FIRST_BACKOFF;
        let (now, height) = (SystemTime::now(), self.tracker.highest());
        self.status.send_if_modified(|status| status.contact(now, height));
    }

    fn lost(&self, error: &dyn std::error::Error) {
        let now = SystemTime::now();
        let changed = self.status.send_if_modified(|status| status.lost(now, error.to_string()));
        if changed {
            tracing::warn!(url = self.client.url(), %error, "the chain cannot be followed");
        }
    }
}

async fn ask(client: Client) -> Arrival {
    let answer = tokio::time::timeout(PULSE_TIMEOUT, client.service_info()).await.unwrap_or_else(|_| {
        let status = tonic::Status::deadline_exceeded(format!("no answer within {PULSE_TIMEOUT:?}"));
        Err(client.error("GetServiceInfo", None, status))
    });
    Arrival::Pulse(answer)
}

async fn fetch(client: Client, package: Address, sequence: u64, after: Duration) -> Arrival {
    tokio::time::sleep(after).await;
    Arrival::Fetched(sequence, client.checkpoint(package, sequence).await)
}

impl Client {
    /// One checkpoint with the events of `package`.
    ///
    /// # Errors
    /// [`Error::NotFound`] when the chain is not there yet or the endpoint has dropped it.
    pub async fn checkpoint(&self, package: Address, sequence: u64) -> Result<Checkpoint, Error> {
        let request = proto::GetCheckpointRequest::by_sequence_number(sequence)
            .with_read_mask(FieldMask::from_paths(MASK));
        let answer = self
            .rpc()
            .ledger_client()
            .get_checkpoint(request)
            .await
            .map_err(|status| {
                self.error("GetCheckpoint", Some(("checkpoint", sequence.to_string())), status)
            })?
            .into_inner();
        let checkpoint =
            answer.checkpoint.ok_or_else(|| Error::malformed("GetCheckpoint", "no checkpoint"))?;
        let checkpoint = decode(package, checkpoint)?;
        if checkpoint.sequence != sequence {
            return Err(Error::malformed(
                "GetCheckpoint",
                format!("asked for {sequence}, got {}", checkpoint.sequence),
            ));
        }
        Ok(checkpoint)
    }
}
