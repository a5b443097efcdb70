//! The shell around the [`Ledger`]: one thread that executes, journals and publishes.
//!
//! Whatever waits in the queue goes into one checkpoint, so that many senders share one fsync.
//! Readers see a checkpoint only after it is durable.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::{RwLock, RwLockReadGuard};
use sui_sdk_types::Address;
use tokio::sync::{mpsc, oneshot, watch};
use x509_parser::prelude::{FromDer as _, X509Certificate};

use crate::config::Config;
use crate::error::{DevnetError, JournalError};
use crate::journal::Journal;
use crate::ledger::{
    Batch, Checkpoint, Commit, ExecutedTransaction, Execution, Genesis, Ledger, Outcome, Piece, Rejection,
    StoredObject, VerifiedTransaction,
};
use crate::time::Clock;
use crate::vm::Vm;
use crate::{framework, introspect};

/// Most transactions in one checkpoint.
const MAX_BATCH: usize = 256;
/// Most requests that one checkpoint looks at, those that are refused included.
const MAX_REQUESTS: usize = 2 * MAX_BATCH;
/// Transactions that may wait; further senders wait to get into the queue.
const QUEUE: usize = 4_096;

/// Why a transaction has no effects.
#[derive(Clone, Debug, thiserror::Error)]
pub enum SubmitError {
    /// It was refused and not executed.
    #[error(transparent)]
    Rejected(#[from] Rejection),
    /// The chain has stopped, and whether the transaction was executed is not known.
    #[error("the chain has stopped")]
    Stopped,
}

/// A running chain.
///
/// Its thread ends when the last handle is dropped, or by [`Node::stop`].
pub struct Node {
    shared: Arc<Shared>,
    seed: [u8; 32],
    queue: mpsc::Sender<Job>,
    height: watch::Receiver<u64>,
}

/// What the node's handles and its thread have in common.
struct Shared {
    ledger: RwLock<Ledger>,
    vm: Vm,
    clock: Clock,
}

/// One record of the journal.
#[derive(serde::Serialize, serde::Deserialize)]
enum Record {
    /// The first: what the chain's keys are derived from.
    Start { seed: [u8; 32] },
    /// One checkpoint.
    Commit(Box<Commit>),
    /// Instead of all checkpoints up to one: what they led to.
    Snapshot(Piece),
}

enum Job {
    Execute(Box<VerifiedTransaction>, oneshot::Sender<Result<Arc<ExecutedTransaction>, SubmitError>>),
    Checkpoint { ends_epoch: bool, answer: oneshot::Sender<Arc<Checkpoint>> },
    Stop(oneshot::Sender<()>),
}

impl Node {
    /// Opens the chain in the configured directory, or makes a new one, and starts its thread.
    ///
    /// # Errors
    ///
    /// When the framework or the journal cannot be used.
    pub fn start(config: &Config) -> Result<Arc<Self>, DevnetError> {
        let framework = framework::load(&config.framework)?;
        let vm = match &config.simulated_nitro_root {
            Some(root) => {
                if !matches!(X509Certificate::from_der(root), Ok(([], _))) {
                    return Err(DevnetError::NitroRoot);
                }
                tracing::warn!("SIMULATED Nitro: documents under a root that is not AWS's are taken");
                Vm::new().with_simulated_nitro_root(root)
            }
            None => Vm::new(),
        };
        let mut ledger = Ledger::default();
        let mut seed = None;
        let mut journal = match &config.dir {
            Some(dir) => Some(reopen(dir, &mut ledger, &mut seed)?),
            None => None,
        };
        let clock = Clock::default();
        let seed = seed.or(config.seed).unwrap_or_else(rand::random);
        if ledger.history().tip().is_none() {
            let genesis = Genesis {
                packages: introspect::framework_packages(&vm, framework)?,
                faucet: crate::faucet::address(&seed),
                seed: public_seed(&seed),
                timestamp_ms: config.genesis_ms.unwrap_or_else(|| clock.now_ms()),
            }
            .checkpoint();
            if let Some(journal) = &mut journal {
                journal.append(&encode(&Record::Start { seed })?)?;
                record(journal, &genesis)?;
            }
            ledger.apply(genesis);
        }
        if let Some(keep) = config.keep_checkpoints {
            ledger.prune(keep);
        }
        clock.catch_up(ledger.timestamp_ms());
        let (queue, jobs) = mpsc::channel(QUEUE);
        let (publish, height) = watch::channel(ledger.height());
        let shared = Arc::new(Shared { ledger: RwLock::new(ledger), vm, clock });
        let executor = Executor {
            shared: shared.clone(),
            journal,
            publish,
            seed,
            idle: config.idle_checkpoint,
            keep: config.keep_checkpoints,
            compact_above: config.compact_above,
            epoch: config.epoch,
        };
        std::thread::Builder::new()
            .name("devnet-executor".to_owned())
            .stack_size(8 << 20)
            .spawn(move || executor.run(jobs))
            .map_err(DevnetError::Thread)?;
        Ok(Arc::new(Self { shared, seed, queue, height }))
    }

    /// Executes a transaction and returns once its checkpoint is durable. One that was executed
    /// before returns what it did then.
    ///
    /// # Errors
    ///
    /// [`SubmitError`] when it was refused, or when the chain has stopped.
    pub async fn submit(
        &self,
        transaction: VerifiedTransaction,
    ) -> Result<Arc<ExecutedTransaction>, SubmitError> {
        let (answer, answered) = oneshot::channel();
        let job = Job::Execute(Box::new(transaction), answer);
        self.queue.send(job).await.map_err(|_| SubmitError::Stopped)?;
        answered.await.map_err(|_| SubmitError::Stopped)?
    }

    /// Makes a checkpoint now, even an empty one.
    ///
    /// # Errors
    ///
    /// [`SubmitError::Stopped`].
    pub async fn checkpoint(&self) -> Result<Arc<Checkpoint>, SubmitError> {
        self.make_checkpoint(false).await
    }

    /// Makes a checkpoint now, the last of its epoch.
    ///
    /// # Errors
    ///
    /// [`SubmitError::Stopped`].
    pub async fn end_epoch(&self) -> Result<Arc<Checkpoint>, SubmitError> {
        self.make_checkpoint(true).await
    }

    async fn make_checkpoint(&self, ends_epoch: bool) -> Result<Arc<Checkpoint>, SubmitError> {
        let (answer, answered) = oneshot::channel();
        let job = Job::Checkpoint { ends_epoch, answer };
        self.queue.send(job).await.map_err(|_| SubmitError::Stopped)?;
        answered.await.map_err(|_| SubmitError::Stopped)
    }

    /// Writes the chain as of the latest durable checkpoint into `dir`.
    ///
    /// # Errors
    ///
    /// When the directory holds a chain already or cannot be written.
    pub fn snapshot(&self, dir: &Path) -> Result<(), DevnetError> {
        // The copy shares everything with the chain, which goes on meanwhile.
        let ledger = self.shared.ledger.read().clone();
        Ok(Journal::create(dir, &mut snapshot(&self.seed, &ledger))?)
    }

    /// Executes a transaction as if it came now and `extra` existed, and forgets it.
    pub(crate) fn simulate_with(
        &self,
        transaction: &VerifiedTransaction,
        extra: Option<Arc<StoredObject>>,
    ) -> Result<Execution, Rejection> {
        let ledger = self.shared.ledger.read();
        let mut batch = Batch::new(&ledger, &self.shared.vm, self.clock().now_ms());
        batch.suppose(extra);
        batch.simulate(transaction)
    }

    /// The chain as of the latest durable checkpoint. Do not hold it across an `await`.
    pub fn ledger(&self) -> RwLockReadGuard<'_, Ledger> {
        self.shared.ledger.read()
    }

    /// The interpreter.
    pub fn vm(&self) -> &Vm {
        &self.shared.vm
    }

    /// The chain's source of time.
    pub fn clock(&self) -> &Clock {
        &self.shared.clock
    }

    /// The seed that the faucet's key is derived from.
    pub(crate) fn seed(&self) -> &[u8; 32] {
        &self.seed
    }

    /// Follows the sequence number of the latest durable checkpoint.
    pub fn height(&self) -> watch::Receiver<u64> {
        self.height.clone()
    }

    /// Stops the thread; transactions still in the queue are not executed.
    pub async fn stop(&self) {
        let (answer, answered) = oneshot::channel();
        if self.queue.send(Job::Stop(answer)).await.is_ok() {
            let _ = answered.await;
        }
    }
}

struct Executor {
    shared: Arc<Shared>,
    journal: Option<Journal>,
    publish: watch::Sender<u64>,
    seed: [u8; 32],
    idle: Duration,
    keep: Option<u64>,
    compact_above: u64,
    epoch: Option<Duration>,
}

impl Executor {
    fn run(mut self, mut jobs: mpsc::Receiver<Job>) {
        let runtime = match tokio::runtime::Builder::new_current_thread().enable_time().build() {
            Ok(runtime) => runtime,
            Err(error) => {
                tracing::error!(%error, "the executor cannot start; the chain stops");
                return;
            }
        };
        loop {
            let waited = runtime.block_on(async { tokio::time::timeout(self.idle, jobs.recv()).await });
            let first = match waited {
                Ok(None) => return,
                Ok(Some(Job::Stop(done))) => {
                    jobs.close();
                    drop(self.journal.take());
                    let _ = done.send(());
                    return;
                }
                Ok(Some(job)) => Some(job),
                Err(_) => None,
            };
            match self.checkpoint(first, &mut jobs) {
                Ok(None) => {}
                Ok(Some(stop)) => {
                    jobs.close();
                    drop(self.journal.take());
                    let _ = stop.send(());
                    return;
                }
                Err(error) => {
                    let error = &error as &dyn std::error::Error;
                    tracing::error!(error, "the journal cannot be written; the chain stops");
                    return;
                }
            }
        }
    }

    /// Makes one checkpoint of `first` and what else waits; returns whom to tell if it is the last.
    fn checkpoint(
        &mut self,
        first: Option<Job>,
        jobs: &mut mpsc::Receiver<Job>,
    ) -> Result<Option<oneshot::Sender<()>>, JournalError> {
        let shared = self.shared.clone();
        let ledger = shared.ledger.upgradable_read();
        let mut batch = Batch::new(&ledger, &shared.vm, shared.clock.now_ms());
        let mut waiting = Vec::new();
        let mut watchers = Vec::new();
        let mut stop = None;
        let mut next = first;
        let forced = next.is_none();
        let mut requests = 0;
        while let Some(job) = next.take().or_else(|| jobs.try_recv().ok()) {
            match job {
                Job::Execute(transaction, answer) => match batch.execute(&transaction) {
                    Ok(Outcome::New(index)) => waiting.push((index, answer)),
                    Ok(Outcome::Known(known)) => {
                        let _ = answer.send(Ok(known));
                    }
                    Err(rejection) => {
                        let _ = answer.send(Err(rejection.into()));
                    }
                },
                Job::Checkpoint { ends_epoch, answer } => {
                    watchers.push(answer);
                    if ends_epoch {
                        batch.end_epoch();
                        break;
                    }
                }
                Job::Stop(done) => {
                    stop = Some(done);
                    break;
                }
            }
            requests += 1;
            if batch.len() >= MAX_BATCH || requests >= MAX_REQUESTS {
                break;
            }
        }
        if batch.is_empty() && watchers.is_empty() && !forced {
            return Ok(stop);
        }
        let due = |epoch: Duration| u128::from(ledger.epoch_start_ms()) + epoch.as_millis();
        if self.epoch.is_some_and(|epoch| u128::from(batch.timestamp_ms()) >= due(epoch)) {
            batch.end_epoch();
        }
        let checkpoint = batch.seal();
        if let Some(journal) = &mut self.journal {
            record(journal, &checkpoint)?;
        }
        let height = checkpoint.summary.sequence_number;
        {
            let mut ledger = parking_lot::RwLockUpgradableReadGuard::upgrade(ledger);
            ledger.apply(checkpoint.clone());
            if let Some(keep) = self.keep {
                ledger.prune(keep);
            }
        }
        self.publish.send_replace(height);
        for (index, answer) in waiting {
            let executed = checkpoint.transactions.get(index).cloned();
            let _ = answer.send(executed.ok_or(SubmitError::Stopped));
        }
        for answer in watchers {
            let _ = answer.send(checkpoint.clone());
        }
        self.compact(&shared)?;
        Ok(stop)
    }
}

impl Executor {
    /// Writes the journal anew when most of it is history that is not kept any more.
    fn compact(&mut self, shared: &Shared) -> Result<(), JournalError> {
        let Some(journal) = self
            .journal
            .as_mut()
            .filter(|journal| self.keep.is_some() && journal.is_longer_than(self.compact_above))
        else {
            return Ok(());
        };
        let before = journal.length();
        journal.rewrite(&mut snapshot(&self.seed, &shared.ledger.read()))?;
        tracing::info!(before, after = journal.length(), "compacted the journal");
        Ok(())
    }
}

/// The records of a journal that starts from this state.
fn snapshot<'l>(
    seed: &[u8; 32],
    ledger: &'l Ledger,
) -> impl Iterator<Item = Result<Vec<u8>, JournalError>> + use<'l> {
    let start = Record::Start { seed: *seed };
    let pieces = ledger.pieces().map(Record::Snapshot);
    std::iter::once(start).chain(pieces).map(|record| encode(&record))
}

fn reopen(dir: &Path, ledger: &mut Ledger, seed: &mut Option<[u8; 32]>) -> Result<Journal, DevnetError> {
    let mut snapshot_height = 0;
    let journal = Journal::open(dir, |payload| {
        let record = bcs::from_bytes(payload)
            .map_err(|error| DevnetError::Inconsistent(format!("unreadable record: {error}")))?;
        match record {
            Record::Start { seed: recorded } => *seed = Some(recorded),
            Record::Commit(commit) => {
                ledger.replay(*commit).map_err(|error| DevnetError::Inconsistent(error.to_string()))?;
            }
            Record::Snapshot(piece) => {
                if let Piece::Base(base) = &piece {
                    snapshot_height = base.height;
                }
                ledger.add(piece).map_err(|error| DevnetError::Inconsistent(error.to_string()))?;
            }
        }
        Ok::<_, DevnetError>(())
    })?;
    if ledger.height() < snapshot_height {
        return Err(DevnetError::Inconsistent("the snapshot it starts with is not whole".to_owned()));
    }
    Ok(journal)
}

fn record(journal: &mut Journal, checkpoint: &Checkpoint) -> Result<(), JournalError> {
    journal.append(&encode(&Record::Commit(Box::new(Commit::of(checkpoint))))?)
}

fn encode(record: &Record) -> Result<Vec<u8>, JournalError> {
    bcs::to_bytes(record).map_err(JournalError::Encode)
}

/// What of the seed everybody may see: it is part of the first checkpoint.
fn public_seed(seed: &[u8; 32]) -> [u8; 32] {
    let mut hasher = sui_sdk_types::hash::Hasher::new();
    hasher.update("k3s-daas-devnet chain");
    hasher.update(seed);
    hasher.finalize().into_inner()
}

impl Node {
    /// Address of the account that owns the chain's money.
    pub fn faucet_address(&self) -> Address {
        crate::faucet::address(&self.seed)
    }
}
