//! Hands out the chain's money to whoever asks.

use std::sync::Arc;

use parking_lot::Mutex;
use sui_crypto::SuiSigner;
use sui_crypto::ed25519::Ed25519PrivateKey;
use sui_sdk_types::{
    Address, Argument, Command, Digest, ExecutionStatus, GasPayment, IdOperation, Input, ObjectOut,
    ObjectReference, Owner, ProgrammableTransaction, SignedTransaction, SplitCoins, Transaction,
    TransactionEffects, TransactionExpiration, TransactionKind, TransferObjects,
};
use tokio::sync::Semaphore;

use crate::ledger::{ExecutedTransaction, ObjectSource, VerifiedTransaction, coin, gas};
use crate::node::{Node, SubmitError};

/// MIST that a payment may cost the faucet.
const BUDGET: u64 = 100_000_000;
/// Most MIST given away at once: a million SUI.
pub const MAX_PAYMENT_MIST: u64 = 1_000_000_000_000_000;

/// Pays from the coins that the chain started with.
pub(crate) struct Faucet {
    node: Arc<Node>,
    key: Ed25519PrivateKey,
    coins: Mutex<Vec<Address>>,
    free: Semaphore,
}

/// A coin that the faucet sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Payment {
    /// The new coin.
    pub coin: ObjectReference,
    /// MIST in it.
    pub amount: u64,
    /// The transaction that made it.
    pub transaction: Digest,
}

/// Why the faucet did not pay.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FaucetError {
    /// More than [`MAX_PAYMENT_MIST`], or nothing, was asked for.
    #[error("the faucet pays between 1 and {MAX_PAYMENT_MIST} MIST at once, not {0}")]
    Amount(u64),
    /// The faucet has given everything away.
    #[error("the faucet is empty")]
    Empty,
    /// The payment was executed and failed.
    #[error("the payment {0} failed")]
    Failed(Digest),
    /// The payment was not executed.
    #[error(transparent)]
    Submit(#[from] SubmitError),
}

/// The faucet's address on the chain with this seed.
pub(crate) fn address(seed: &[u8; 32]) -> Address {
    key(seed).public_key().derive_address()
}

fn key(seed: &[u8; 32]) -> Ed25519PrivateKey {
    let mut hasher = sui_sdk_types::hash::Hasher::new();
    hasher.update("k3s-daas-devnet faucet");
    hasher.update(seed);
    Ed25519PrivateKey::new(hasher.finalize().into_inner())
}

impl Faucet {
    /// The faucet of a chain.
    pub(crate) fn new(node: Arc<Node>) -> Self {
        let key = key(node.seed());
        let owner = key.public_key().derive_address();
        let coins: Vec<_> = node
            .ledger()
            .objects()
            .owned_by(&owner)
            .filter(|object| coin::of_object(object.object()).is_some())
            .map(|object| object.object().object_id())
            .collect();
        let free = Semaphore::new(coins.len());
        Self { node, key, coins: Mutex::new(coins), free }
    }

    /// Sends `amount` MIST in one coin to `recipient`.
    ///
    /// # Errors
    ///
    /// [`FaucetError`].
    pub(crate) async fn pay(&self, recipient: Address, amount: u64) -> Result<Payment, FaucetError> {
        if !(1..=MAX_PAYMENT_MIST).contains(&amount) {
            return Err(FaucetError::Amount(amount));
        }
        let _permit = self.free.acquire().await.map_err(|_| SubmitError::Stopped)?;
        let borrowed = Borrowed::take(&self.coins).ok_or(FaucetError::Empty)?;
        let transaction = self.transaction(borrowed.coin, recipient, amount)?;
        let signature =
            self.key.sign_transaction(&transaction).map_err(|_| FaucetError::Failed(transaction.digest()))?;
        let signed = SignedTransaction { transaction, signatures: vec![signature] };
        let verified = VerifiedTransaction::verify(signed).map_err(SubmitError::from)?;
        let executed = self.node.submit(verified).await?;
        let failed = FaucetError::Failed(executed.digest);
        if *executed.effects.status() != ExecutionStatus::Success {
            return Err(failed);
        }
        let coin = created_coin(&executed, recipient).ok_or(failed)?;
        Ok(Payment { coin, amount, transaction: executed.digest })
    }

    fn transaction(
        &self,
        gas_coin: Address,
        recipient: Address,
        amount: u64,
    ) -> Result<Transaction, FaucetError> {
        let gas_coin = self.node.ledger().objects().live(&gas_coin).ok_or(FaucetError::Empty)?.reference();
        let sender = self.key.public_key().derive_address();
        Ok(Transaction {
            kind: TransactionKind::ProgrammableTransaction(ProgrammableTransaction {
                inputs: vec![
                    Input::Pure(amount.to_le_bytes().to_vec()),
                    Input::Pure(recipient.as_bytes().to_vec()),
                ],
                commands: vec![
                    Command::SplitCoins(SplitCoins {
                        coin: Argument::Gas,
                        amounts: vec![Argument::Input(0)],
                    }),
                    Command::TransferObjects(TransferObjects {
                        objects: vec![Argument::NestedResult(0, 0)],
                        address: Argument::Input(1),
                    }),
                ],
            }),
            sender,
            gas_payment: GasPayment {
                objects: vec![gas_coin],
                owner: sender,
                price: gas::REFERENCE_GAS_PRICE,
                budget: BUDGET,
            },
            expiration: TransactionExpiration::None,
        })
    }
}

/// A coin that nobody else pays from; given back when dropped.
struct Borrowed<'a> {
    pool: &'a Mutex<Vec<Address>>,
    coin: Address,
}

impl<'a> Borrowed<'a> {
    fn take(pool: &'a Mutex<Vec<Address>>) -> Option<Self> {
        let coin = pool.lock().pop()?;
        Some(Self { pool, coin })
    }
}

impl Drop for Borrowed<'_> {
    fn drop(&mut self) {
        self.pool.lock().push(self.coin);
    }
}

fn created_coin(executed: &ExecutedTransaction, owner: Address) -> Option<ObjectReference> {
    let TransactionEffects::V2(effects) = &executed.effects else { return None };
    effects.changed_objects.iter().find_map(|changed| match changed.output_state {
        ObjectOut::ObjectWrite { digest, owner: Owner::Address(to) }
            if to == owner && changed.id_operation == IdOperation::Created =>
        {
            Some(ObjectReference::new(changed.object_id, effects.lamport_version, digest))
        }
        _ => None,
    })
}
