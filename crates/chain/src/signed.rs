use serde::{Deserialize, Serialize};
use sui_sdk_types::{Address, Digest, SignedTransaction};

use crate::Error;

/// A signed transaction that can be submitted any number of times and takes effect at most once.
///
/// Write [`Signed::to_bytes`] to disk before the first submission, and a crash between sending and
/// hearing back costs nothing: the next run submits the same bytes again.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Signed {
    chain_id: String,
    expires_epoch: u64,
    transaction: SignedTransaction,
}

/// A signed transaction is at most this long; Sui's own limit is 128 KiB and publishing needs most of it.
const MAX_BYTES: usize = 512 << 10;

impl Signed {
    pub(crate) fn new(chain_id: String, expires_epoch: u64, transaction: SignedTransaction) -> Signed {
        Signed { chain_id, expires_epoch, transaction }
    }

    /// Reads what [`Signed::to_bytes`] gave.
    ///
    /// # Errors
    /// [`Error::Invalid`] when it is something else.
    pub fn from_bytes(bytes: &[u8]) -> Result<Signed, Error> {
        if bytes.len() > MAX_BYTES {
            return Err(Error::Invalid(format!("a signed transaction is at most {MAX_BYTES} bytes long")));
        }
        bcs::from_bytes(bytes).map_err(|error| Error::Invalid(format!("not a signed transaction: {error}")))
    }

    /// The transaction, its signature and what is needed to submit it safely.
    ///
    /// # Errors
    /// [`Error::Build`] when it cannot be encoded.
    pub fn to_bytes(&self) -> Result<Vec<u8>, Error> {
        bcs::to_bytes(self).map_err(|error| Error::Build(error.to_string()))
    }

    /// The transaction's digest, fixed since it was built.
    pub fn digest(&self) -> Digest {
        self.transaction.transaction.digest()
    }

    /// The wallet that signed.
    pub fn sender(&self) -> Address {
        self.transaction.transaction.sender
    }

    /// The wallet that pays for gas.
    pub fn payer(&self) -> Address {
        self.transaction.transaction.gas_payment.owner
    }

    /// Identifier of the chain that it was made for.
    pub fn chain_id(&self) -> &str {
        &self.chain_id
    }

    /// The last epoch in which it can be executed.
    pub fn expires_epoch(&self) -> u64 {
        self.expires_epoch
    }

    pub(crate) fn transaction(&self) -> &SignedTransaction {
        &self.transaction
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn any_bytes_are_read_or_refused(bytes: Vec<u8>) {
            if let Ok(signed) = Signed::from_bytes(&bytes) {
                prop_assert_eq!(signed.to_bytes().unwrap(), bytes);
            }
        }
    }

    #[test]
    fn a_file_without_end_is_refused() {
        assert!(matches!(Signed::from_bytes(&vec![0; MAX_BYTES + 1]), Err(Error::Invalid(_))));
    }
}
