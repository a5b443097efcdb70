use futures::future::BoxFuture;
use sui_sdk_types::{Address, Transaction, UserSignature};

use crate::{Error, Keypair};

/// Whoever can sign transactions for one address: a key in memory, a committee, or a program.
///
/// Signing may take as long as a person needs to press a button, so it is asynchronous.
pub trait Signer: Send + Sync {
    /// The address that it signs for.
    fn address(&self) -> Address;

    /// Signs a transaction, whose sender or gas owner is this address.
    ///
    /// # Errors
    /// [`Error::Signer`] when there is no signature.
    fn sign_transaction<'a>(
        &'a self,
        transaction: &'a Transaction,
    ) -> BoxFuture<'a, Result<UserSignature, Error>>;
}

/// Who a transaction is by, and who pays for its gas.
#[derive(Clone, Copy)]
pub struct Parties<'a> {
    /// Whose transaction it is, and whose SUI it spends.
    pub sender: &'a dyn Signer,
    /// Who pays for its gas; the sender when there is none.
    pub sponsor: Option<&'a dyn Signer>,
}

impl<'a> Parties<'a> {
    /// A transaction of `sender` whose gas `sponsor` pays.
    pub fn sponsored(sender: &'a dyn Signer, sponsor: &'a dyn Signer) -> Parties<'a> {
        Parties { sender, sponsor: Some(sponsor) }
    }

    /// Who pays for gas.
    pub fn payer(&self) -> &'a dyn Signer {
        self.sponsor.unwrap_or(self.sender)
    }
}

impl<'a, S: Signer> From<&'a S> for Parties<'a> {
    fn from(sender: &'a S) -> Parties<'a> {
        Parties { sender, sponsor: None }
    }
}

impl<'a> From<&'a dyn Signer> for Parties<'a> {
    fn from(sender: &'a dyn Signer) -> Parties<'a> {
        Parties { sender, sponsor: None }
    }
}

impl Signer for Keypair {
    fn address(&self) -> Address {
        Keypair::address(self)
    }

    fn sign_transaction<'a>(
        &'a self,
        transaction: &'a Transaction,
    ) -> BoxFuture<'a, Result<UserSignature, Error>> {
        Box::pin(async move { self.sign_as_sender(transaction) })
    }
}
