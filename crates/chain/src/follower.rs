use std::collections::BTreeMap;
use std::convert::Infallible;
use std::time::{Duration, SystemTime};

use futures::future::BoxFuture;
use futures::stream::{FuturesUnordered, StreamExt as _, TryStreamExt as _};
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
/// A gap of this many checkpoints is read by the endpoint's index instead of one by one.
const LEAP: u64 = 64;

/// Follows a package's events checkpoint by checkpoint, from a cursor on.
///
/// Every checkpoint comes once and in order, with or without events of ours; of a long stretch that was
/// missed only those with events come, and its last. When an endpoint is lost the next one is taken, and when
/// all are lost the follower tries again with growing pauses, for ever, and says so in
/// [`Follower::reachability`]. It ends only when going on would lose something at every endpoint: the chain
/// was reset, or the checkpoints that come next were dropped.
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
            failures: 0,
            refused: BTreeMap::new(),
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
    /// Failures in a row.
    failures: usize,
    /// Endpoints at which going on would lose something.
    refused: BTreeMap<usize, FollowError>,
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
            let at = self.client.pin();
            let Err(end) = self.session(&at).await;
            self.tracker.disconnected();
            match end {
                End::Unwanted => return,
                End::Fatal(error) if self.is_the_last_to_refuse(&at, &error) => {
                    self.lost(&error);
                    // The receiver may be gone by now, and then nobody misses it.
                    let _ = self.sender.send(Err(error)).await;
                    return;
                }
                End::Fatal(error) => {
                    at.failed(&Error::malformed("GetServiceInfo", &error));
                    self.lost(&error);
                }
                End::Lost(error) => {
                    at.failed(&error);
                    self.refused.remove(&at.index());
                    // The next endpoint may answer at once, and then nothing was lost.
                    if at.count() == 1 || self.failures > 0 {
                        self.lost(&error);
                    }
                }
            }
            self.failures += 1;
            if self.failures.is_multiple_of(at.count()) && self.pause().await.is_none() {
                return;
            }
        }
    }

    /// Waits a while before everything is tried again; `None` when nobody listens any more.
    async fn pause(&mut self) -> Option<()> {
        let pause = self.backoff.mul_f64(rand::rng().random_range(0.8..1.2));
        self.backoff = (self.backoff * 2).min(MAX_BACKOFF);
        tokio::select! {
            () = tokio::time::sleep(pause) => Some(()),
            () = self.sender.closed() => None,
        }
    }

    /// Whether no endpoint is left that could go on.
    fn is_the_last_to_refuse(&mut self, at: &Client, error: &FollowError) -> bool {
        self.refused.insert(at.index(), error.clone());
        self.refused.len() == at.count()
    }

    /// Works on one connection to one endpoint until it breaks.
    async fn session(&mut self, at: &Client) -> Result<Infallible, End> {
        let info = at.service_info().await?;
        self.check(at, &info)?;
        self.contact(at);
        self.leap(at, info.checkpoint_height).await?;
        let mut stream = subscribe(at).await?;
        // Read after subscribing: what came before the stream began is now known to exist.
        let info = at.service_info().await?;
        self.check(at, &info)?;
        self.contact(at);

        let sender = self.sender.clone();
        let mut requests: FuturesUnordered<BoxFuture<'static, Arrival>> = FuturesUnordered::new();
        let mut pulse = tokio::time::interval_at(tokio::time::Instant::now() + PULSE, PULSE);
        pulse.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        let mut pulsing = false;
        loop {
            for sequence in self.tracker.fetch(FETCHES) {
                requests.push(Box::pin(fetch(at.clone(), self.package, sequence, Duration::ZERO)));
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
                        Some(Err(status)) => return Err(at.error("SubscribeCheckpoints", None, status).into()),
                        None => {
                            let status = tonic::Status::unavailable("the endpoint closed the stream");
                            return Err(at.error("SubscribeCheckpoints", None, status).into());
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
                    self.contact(at);
                }
                Some(arrival) = requests.next(), if !requests.is_empty() => match arrival {
                    Arrival::Fetched(sequence, Ok(checkpoint)) => {
                        self.tracker.fetched(sequence, checkpoint);
                        self.contact(at);
                    }
                    // Behind one URL there may be several nodes, of which some lag.
                    Arrival::Fetched(sequence, Err(Error::NotFound { .. })) => {
                        requests.push(Box::pin(fetch(at.clone(), self.package, sequence, LAG)));
                    }
                    Arrival::Fetched(sequence, Err(error)) => {
                        self.tracker.fetch_failed(sequence);
                        return Err(error.into());
                    }
                    Arrival::Pulse(info) => {
                        pulsing = false;
                        self.check(at, &info?)?;
                        self.contact(at);
                    }
                },
                _ = pulse.tick(), if !pulsing => {
                    pulsing = true;
                    requests.push(Box::pin(ask(at.clone())));
                }
                () = sender.closed() => return Err(End::Unwanted),
            }
        }
    }

    /// Passes over a long gap, up to but not including the checkpoint at `height`: only what has events of ours
    /// is transferred. Where the endpoint has no index the gap is left to be fetched.
    async fn leap(&mut self, at: &Client, height: u64) -> Result<(), End> {
        let next = self.tracker.next();
        if height.saturating_sub(next) < LEAP {
            return Ok(());
        }
        let mut pieces = at.selected(self.package, next, height);
        while let Some(piece) = pieces.try_next().await? {
            if let Some(checkpoint) = piece.checkpoint {
                self.sender.send(Ok(checkpoint)).await.map_err(|_| End::Unwanted)?;
            }
            self.tracker.jump(piece.covered);
            self.contact(at);
        }
        Ok(())
    }

    /// Refuses a chain on which going on would be wrong.
    fn check(&mut self, at: &Client, info: &ServiceInfo) -> Result<(), End> {
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
                url: at.url().to_owned(),
                height: info.checkpoint_height,
                followed: next - 1,
            }));
        }
        self.tracker.height(info.checkpoint_height);
        Ok(())
    }

    fn contact(&mut self, at: &Client) {
        self.backoff = FIRST_BACKOFF;
        self.failures = 0;
        self.refused.clear();
        at.worked();
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

async fn subscribe(at: &Client) -> Result<tonic::Streaming<proto::SubscribeCheckpointsResponse>, Error> {
    let request = proto::SubscribeCheckpointsRequest::default().with_read_mask(FieldMask::from_paths(MASK));
    let answer = at
        .rpc()
        .subscription_client()
        .subscribe_checkpoints(request)
        .await
        .map_err(|status| at.error("SubscribeCheckpoints", None, status))?;
    Ok(answer.into_inner())
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
        self.anywhere(|at| async move { at.checkpoint_here(package, sequence).await }).await
    }

    async fn checkpoint_here(&self, package: Address, sequence: u64) -> Result<Checkpoint, Error> {
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
