use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use sui_rpc::field::{FieldMask, FieldMaskUtil as _};
use sui_rpc::proto::sui::rpc::v2 as proto;
use sui_sdk_types::{
    Address, ExecutionError, ExecutionStatus, GasPayment, ObjectChange, ProgrammableTransaction,
    SignedTransaction, Transaction, TransactionExpiration, TransactionKind,
};
use tokio::sync::OwnedMutexGuard;

use crate::dry_run::{Changes, DryRun};
use crate::receipt::{Executed, failure};
use crate::submission::{Looked, Sent, Step, Submission};
use crate::{Client, Draft, Error, Parties, Receipt, Signed, gas};

/// How long a doubtful transaction is pursued before the caller hears that its outcome is unknown.
const PATIENCE: Duration = Duration::from_secs(30);
/// How long to wait for the checkpoint after execution.
const CHECKPOINT_PATIENCE: Duration = Duration::from_secs(30);
/// How often a transaction is built anew after the chain provably refused the one before.
const REBUILDS: usize = 5;

/// How many transactions of a coin are looked at to find who consumed a version of it.
const MAX_COIN_STEPS: usize = 100;

const EXECUTED: [&str; 5] = ["digest", "effects.bcs", "events.bcs", "checkpoint", "timestamp"];

impl Client {
    /// Builds, dry-runs, signs and submits a transaction, and waits for the checkpoint that holds it.
    ///
    /// It takes effect at most once: a new transaction is built only after proof that the one before was
    /// not and will not be executed. Calls of one wallet through one client wait
    /// for each other. `parties` is a [`Signer`] that pays for itself, or a sender and a sponsor.
    ///
    /// # Errors
    /// [`Error::Refused`] when a contract says no (found by the dry run: no gas is lost),
    /// [`Error::InsufficientGas`], [`Error::Signer`] when there is no signature, [`Error::Unreachable`] before
    /// anything was sent, [`Error::Uncertain`] after.
    pub async fn execute<'a>(
        &self,
        parties: impl Into<Parties<'a>>,
        draft: &Draft,
    ) -> Result<Receipt, Error> {
        let parties = parties.into();
        let _one_at_a_time = self.lock(parties.sender.address(), parties.payer().address()).await;
        let mut rebuilt = 0;
        loop {
            let outcome = match self.prepare_locked(parties, draft).await {
                Ok(signed) => self.drive(&signed, false).await,
                Err(error) => Err(error),
            };
            match outcome {
                Err(Error::Rejected { digest, reason }) if rebuilt < REBUILDS => {
                    rebuilt += 1;
                    tracing::debug!(%digest, reason, "the chain refused a transaction before execution, building it anew");
                    tokio::time::sleep(Duration::from_millis(100 << rebuilt)).await;
                }
                other => return other,
            }
        }
    }

    /// Builds, dry-runs and signs a transaction without sending it. Write the result to disk, then
    /// [`Client::submit`] it.
    ///
    /// # Errors
    /// As [`Client::execute`], nothing having been sent.
    pub async fn prepare<'a>(&self, parties: impl Into<Parties<'a>>, draft: &Draft) -> Result<Signed, Error> {
        let parties = parties.into();
        let _one_at_a_time = self.lock(parties.sender.address(), parties.payer().address()).await;
        self.prepare_locked(parties, draft).await
    }

    /// Submits a signed transaction, which may have been submitted before, and waits for its checkpoint.
    ///
    /// # Errors
    /// [`Error::Rejected`] with proof that it will never be executed: prepare a new one.
    /// [`Error::Uncertain`] when nothing is known: submit the same again.
    pub async fn submit(&self, signed: &Signed) -> Result<Receipt, Error> {
        let _one_at_a_time = self.lock(signed.sender(), signed.payer()).await;
        self.drive(signed, true).await
    }

    /// Runs a draft on the chain's present state without signing or executing it; gives what it would
    /// change and cost.
    ///
    /// # Errors
    /// As [`Client::execute`].
    pub async fn dry_run(&self, sender: Address, payer: Address, draft: &Draft) -> Result<DryRun, Error> {
        let plan = self.plan(sender, payer, draft).await?;
        let changes = plan.changes;
        Ok(DryRun { receipt: plan.dry_run.receipt()?, changes })
    }

    /// The draft with what the chain says about its objects, for others to try: nothing pays for it and nobody sends it.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::Build`], and when the endpoint does not answer.
    pub async fn program(&self, draft: &Draft) -> Result<ProgrammableTransaction, Error> {
        draft.resolve(&self.locate(&draft.objects()).await?, None)
    }

    async fn prepare_locked(&self, parties: Parties<'_>, draft: &Draft) -> Result<Signed, Error> {
        let chain_id = self.chain_id().await?;
        let payer = parties.payer().address();
        let plan = self.plan(parties.sender.address(), payer, draft).await?;
        if let Some(error) = failure(&plan.dry_run.effects) {
            return Err(match plan.dry_run.effects.status() {
                ExecutionStatus::Failure { error: ExecutionError::InsufficientGas, .. } => plan.more_gas(),
                _ => error,
            });
        }
        let mut transaction = plan.transaction;
        let used = plan.dry_run.effects.gas_summary();
        transaction.gas_payment.budget = plan.payment.budget(payer, used, transaction.gas_payment.price)?;
        let mut signatures = vec![parties.sender.sign_transaction(&transaction).await?];
        if let Some(sponsor) = parties.sponsor.filter(|sponsor| sponsor.address() != transaction.sender) {
            signatures.push(sponsor.sign_transaction(&transaction).await?);
        }
        let signed = SignedTransaction { transaction, signatures };
        Ok(Signed::new(chain_id, plan.expires_epoch, signed))
    }

    async fn plan(&self, sender: Address, payer: Address, draft: &Draft) -> Result<Plan, Error> {
        let objects = draft.objects();
        let ((epoch, price), coins, located) =
            tokio::try_join!(self.epoch(), self.gas_coins(payer), self.locate(&objects))?;
        let free = |coin: &gas::GasCoin| !objects.contains(coin.reference.object_id());
        // What a sponsored sender spends is the sender's own; the sponsor pays for gas alone.
        let (purse, from_gas) = if payer == sender || draft.spends() == 0 {
            (None, draft.spends())
        } else {
            let own = self.gas_coins(sender).await?.into_iter().filter(free).collect();
            (Some(gas::purse(sender, own, draft.spends())?), 0)
        };
        let program = draft.resolve(&located, purse)?;
        let coins = coins.into_iter().filter(free).collect();
        let payment = gas::select(payer, coins, from_gas, price)?;
        // One epoch of slack: enough to outlast the turn of an epoch, short enough that a lost
        // transaction is soon proven lost.
        let expires_epoch = epoch.saturating_add(1);
        let transaction = Transaction {
            kind: TransactionKind::ProgrammableTransaction(program),
            sender,
            gas_payment: GasPayment {
                objects: payment.coins.clone(),
                owner: payer,
                price,
                budget: payment.probe_budget,
            },
            expiration: TransactionExpiration::Epoch(expires_epoch),
        };
        let (dry_run, changes) = self.simulate(&transaction).await?;
        Ok(Plan { transaction, payment, expires_epoch, dry_run, changes, spends: from_gas })
    }

    async fn simulate(&self, transaction: &Transaction) -> Result<(Executed, Changes), Error> {
        self.anywhere(|at| async move { at.simulate_here(transaction).await }).await
    }

    async fn simulate_here(&self, transaction: &Transaction) -> Result<(Executed, Changes), Error> {
        let mask = EXECUTED.iter().chain(&Changes::MASK).map(|path| format!("transaction.{path}"));
        let mask: Vec<String> = mask.collect();
        let request = proto::SimulateTransactionRequest::new(encode(transaction)?)
            .with_read_mask(FieldMask::from_paths(mask))
            .with_do_gas_selection(false);
        let answer = self
            .rpc()
            .execution_client()
            .simulate_transaction(request)
            .await
            .map_err(|status| match refusal_before_execution(&status) {
                Some(reason) => Error::Rejected { digest: transaction.digest(), reason },
                None => self.error("SimulateTransaction", None, status),
            })?
            .into_inner();
        let changes = Changes::decode("SimulateTransaction", answer.transaction.as_ref())?;
        Ok((Executed::decode("SimulateTransaction", answer.transaction)?, changes))
    }

    async fn drive(&self, signed: &Signed, sent_before: bool) -> Result<Receipt, Error> {
        let digest = signed.digest();
        if sent_before {
            let found = self.chain_id().await?;
            if found != signed.chain_id() {
                return Err(Error::WrongChain { expected: signed.chain_id().to_owned(), found });
            }
        }
        let start = Instant::now();
        let now_ms = || u64::try_from(start.elapsed().as_millis()).unwrap_or(u64::MAX);
        let (mut submission, mut step) =
            Submission::new(signed.expires_epoch(), sent_before, now_ms(), PATIENCE);
        let mut executed = None;
        loop {
            step = match step {
                Step::WaitAndSend(wait) => {
                    tokio::time::sleep(wait).await;
                    Step::Send
                }
                Step::Send => {
                    let at = self.pin();
                    let outcome = match at.send(signed).await {
                        Ok(answer) => {
                            executed = Some(answer);
                            Sent::Executed
                        }
                        Err(outcome) => {
                            if let Sent::Doubtful(reason) = &outcome {
                                at.silent(reason);
                            }
                            outcome
                        }
                    };
                    submission.sent(outcome)
                }
                Step::Lookup => {
                    // All of one endpoint: what one knows says nothing about the epoch of another.
                    let at = self.pin();
                    let outcome = match at.look_up(signed).await {
                        Ok(answer) => {
                            executed = Some(answer);
                            Looked::Executed
                        }
                        Err(outcome) => {
                            if let Looked::Silent(reason) = &outcome {
                                at.silent(reason);
                            }
                            outcome
                        }
                    };
                    submission.looked(outcome, now_ms())
                }
                Step::Finish => break,
                Step::Reject(reason) => return Err(Error::Rejected { digest, reason }),
                Step::GiveUp(reason) => return Err(Error::Uncertain { digest, reason }),
            };
        }
        let executed = executed.ok_or_else(|| Error::malformed("ExecuteTransaction", "no transaction"))?;
        self.checkpointed(signed, executed).await?.receipt()
    }

    /// Leaves an endpoint that gave no answer for the next.
    fn silent(&self, reason: &str) {
        let status = tonic::Status::unavailable(reason);
        self.failed(&self.error("ExecuteTransaction", None, status));
    }

    async fn send(&self, signed: &Signed) -> Result<Executed, Sent> {
        let SignedTransaction { transaction, signatures } = signed.transaction();
        let transaction = encode(transaction).map_err(|error| Sent::Refused(error.to_string()))?;
        let request = proto::ExecuteTransactionRequest::new(transaction)
            .with_signatures(signatures.iter().cloned().map(Into::into).collect())
            .with_read_mask(FieldMask::from_paths(EXECUTED));
        let answer = self.rpc().execution_client().execute_transaction(request).await.map_err(|status| {
            match refusal_before_execution(&status) {
                Some(reason) => Sent::Refused(reason),
                None => Sent::Doubtful(crate::error::transport_reason(&status)),
            }
        })?;
        // Executed for certain, but an answer that cannot be read has to be looked up.
        Executed::decode("ExecuteTransaction", answer.into_inner().transaction)
            .map_err(|error| Sent::Doubtful(error.to_string()))
    }

    /// The epoch is read before the digest, so that absence proves something; see [`Submission::looked`].
    async fn look_up(&self, signed: &Signed) -> Result<Executed, Looked> {
        let silent = |error: Error| Looked::Silent(error.to_string());
        let (epoch, _) = self.epoch().await.map_err(silent)?;
        match self.transaction(signed.digest()).await {
            Ok(executed) => Ok(executed),
            Err(Error::NotFound { .. }) => {
                let consumed = self.coin_consumed(signed).await.map_err(silent)?;
                Err(Looked::Absent { epoch, consumed })
            }
            Err(error) => Err(silent(error)),
        }
    }

    /// Whether another transaction has consumed the version of the coin that `signed` pays with: walks back
    /// from the coin's present version, through the transactions that wrote it. `false` when it cannot tell.
    async fn coin_consumed(&self, signed: &Signed) -> Result<bool, Error> {
        let Some(coin) = signed.transaction().transaction.gas_payment.objects.first() else {
            return Ok(false);
        };
        let id = *coin.object_id();
        let mut object = match self.object(id).await {
            Ok(object) => object,
            // Merged into another coin; who did that is not said.
            Err(Error::NotFound { .. }) => return Ok(false),
            Err(error) => return Err(error),
        };
        for _ in 0..MAX_COIN_STEPS {
            if object.version() <= coin.version() {
                return Ok(false);
            }
            let writer = object.previous_transaction();
            if writer == signed.digest() {
                return Ok(false);
            }
            let effects = self.transaction(writer).await?.effects;
            let before = effects.object_changes().find_map(|change| match change {
                ObjectChange::Mutated { object_id, input_version, .. } if *object_id == id => input_version,
                _ => None,
            });
            match before {
                Some(version) if version == coin.version() => return Ok(true),
                Some(version) if version > coin.version() => object = self.object_at(id, version).await?,
                _ => return Ok(false),
            }
        }
        Ok(false)
    }

    pub(crate) async fn transaction(&self, digest: sui_sdk_types::Digest) -> Result<Executed, Error> {
        self.anywhere(|at| async move { at.transaction_here(digest).await }).await
    }

    async fn transaction_here(&self, digest: sui_sdk_types::Digest) -> Result<Executed, Error> {
        let request =
            proto::GetTransactionRequest::new(&digest).with_read_mask(FieldMask::from_paths(EXECUTED));
        let answer = self.rpc().ledger_client().get_transaction(request).await.map_err(|status| {
            self.error("GetTransaction", Some(("transaction", digest.to_string())), status)
        })?;
        Executed::decode("GetTransaction", answer.into_inner().transaction)
    }

    async fn checkpointed(&self, signed: &Signed, mut executed: Executed) -> Result<Executed, Error> {
        let deadline = Instant::now() + CHECKPOINT_PATIENCE;
        let mut wait = Duration::from_millis(10);
        while executed.checkpoint.is_none() {
            if Instant::now() >= deadline {
                let reason = format!("it was executed but is in no checkpoint after {CHECKPOINT_PATIENCE:?}");
                return Err(Error::Uncertain { digest: signed.digest(), reason });
            }
            tokio::time::sleep(wait).await;
            wait = (wait * 2).min(Duration::from_millis(500));
            match self.transaction(signed.digest()).await {
                Ok(answer) => executed = answer,
                // It was executed, so neither silence nor a node that lags behind is an answer.
                Err(error) => {
                    tracing::debug!(digest = %signed.digest(), %error, "waiting for the checkpoint");
                }
            }
        }
        Ok(executed)
    }

    /// Makes everybody else wait who uses one of these wallets. Always in the same order, so that nobody waits
    /// for each other.
    async fn lock(&self, sender: Address, payer: Address) -> Vec<OwnedMutexGuard<()>> {
        let mut guards = Vec::new();
        for wallet in BTreeSet::from([sender, payer]) {
            let lock = self.inner.wallets.lock().entry(wallet).or_default().clone();
            guards.push(lock.lock_owned().await);
        }
        guards
    }
}

struct Plan {
    transaction: Transaction,
    payment: gas::Payment,
    expires_epoch: u64,
    dry_run: Executed,
    changes: Changes,
    /// MIST taken out of the gas coins besides gas.
    spends: u64,
}

impl Plan {
    fn more_gas(&self) -> Error {
        let have = self.spends.saturating_add(self.payment.limit);
        Error::InsufficientGas {
            address: self.transaction.gas_payment.owner,
            have,
            need: have.saturating_add(self.payment.probe_budget),
        }
    }
}

/// The transaction in its BCS form alone: what was signed, and half the bytes of sending its fields too.
fn encode(transaction: &Transaction) -> Result<proto::Transaction, Error> {
    let bcs = proto::Bcs::serialize(transaction).map_err(|error| Error::Build(error.to_string()))?;
    Ok(proto::Transaction::default().with_bcs(bcs))
}

/// The reason, when a status means that the transaction was refused and not executed. Everything that
/// can also come from a broken connection, an overloaded node or a lost answer is not one.
fn refusal_before_execution(status: &tonic::Status) -> Option<String> {
    use tonic::Code;
    match status.code() {
        Code::InvalidArgument | Code::FailedPrecondition | Code::NotFound | Code::OutOfRange => {
            Some(status.message().to_owned())
        }
        _ => None,
    }
}
