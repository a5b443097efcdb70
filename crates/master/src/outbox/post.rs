use std::sync::Arc;

use chain::{Client, Draft, Keypair, Receipt, Signed};

use super::Drawer;
use crate::error::MasterError;

/// Puts transactions on chain so that none takes effect twice, whenever the process is killed.
///
/// The signed bytes are on disk before they are sent the first time, and until their outcome is noted every
/// later run sends the same bytes: one digest takes effect at most once.
#[derive(Clone)]
pub(crate) struct Post {
    pub(crate) client: Client,
    pub(crate) wallet: Arc<Keypair>,
    pub(crate) drawer: Drawer,
    pub(crate) witness: Witness,
}

/// Is told of every step before it is taken: metrics in a master, a killer in tests.
pub(crate) type Witness = Arc<dyn Fn(Step) + Send + Sync>;

/// What is about to be done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    /// What is to be said goes to disk.
    Note,
    /// The enclave signs, and the transaction is made.
    Prepare,
    /// The signed transaction goes to disk.
    Seal,
    /// It is sent.
    Send,
    /// Its outcome goes to disk.
    Settle,
    /// What is to be said is forgotten.
    Forget,
    /// The signed transaction is forgotten.
    Clear,
}

impl Step {
    pub(crate) const ALL: [Step; 7] =
        [Step::Note, Step::Prepare, Step::Seal, Step::Send, Step::Settle, Step::Forget, Step::Clear];

    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Step::Note => "note",
            Step::Prepare => "prepare",
            Step::Seal => "seal",
            Step::Send => "send",
            Step::Settle => "settle",
            Step::Forget => "forget",
            Step::Clear => "clear",
        }
    }
}

impl Post {
    /// Executes what `draft` makes, at most once for a `key` until [`Post::clear`]. `draft` is asked only when
    /// nothing was signed under the key yet.
    ///
    /// # Errors
    /// When [`chain::Error::took_no_effect`], the next call asks `draft` again; else it sends the same bytes.
    pub(crate) async fn once<F>(&self, key: &str, draft: impl FnOnce() -> F) -> Result<Receipt, MasterError>
    where
        F: Future<Output = Result<Draft, MasterError>>,
    {
        let signed = match self.drawer.get(key)? {
            Some(bytes) => Signed::from_bytes(&bytes)?,
            None => {
                (self.witness)(Step::Prepare);
                let signed = self.client.prepare(&*self.wallet, &draft().await?).await?;
                (self.witness)(Step::Seal);
                self.drawer.put(key, &signed.to_bytes()?)?;
                signed
            }
        };
        (self.witness)(Step::Send);
        match self.client.submit(&signed).await {
            Ok(receipt) => Ok(receipt),
            Err(error) => {
                if error.took_no_effect() {
                    self.drawer.remove(key)?;
                }
                Err(error.into())
            }
        }
    }

    /// Whether something was signed under `key` whose outcome is not noted.
    pub(crate) fn is_open(&self, key: &str) -> Result<bool, MasterError> {
        Ok(self.drawer.get(key)?.is_some())
    }

    /// The outcome is noted: the key may be used anew.
    pub(crate) fn clear(&self, key: &str) -> Result<(), MasterError> {
        (self.witness)(Step::Clear);
        self.drawer.remove(key)
    }
}
