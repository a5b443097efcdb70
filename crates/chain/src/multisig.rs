use futures::future::BoxFuture;
use sui_crypto::multisig::MultisigAggregator;
use sui_sdk_types::{
    Address, MultisigCommittee, MultisigMember, MultisigMemberPublicKey, Transaction, UserSignature,
};

use crate::keypair::reason;
use crate::{Error, Signer};

/// An address of a committee: members with weights, of whom enough must sign.
///
/// Those members sign that are at hand here, in the order in which they were given, until the threshold
/// is reached; the others are not asked.
pub struct Multisig {
    committee: MultisigCommittee,
    members: Vec<Box<dyn Signer>>,
}

impl Multisig {
    /// A committee of public keys with weights, and those of its members that can sign here.
    ///
    /// # Errors
    /// [`Error::Invalid`] for a committee that Sui refuses: none or more than ten members, a weight of
    /// zero, a key twice, a threshold of zero or out of reach.
    pub fn new(
        members: Vec<(MultisigMemberPublicKey, u8)>,
        threshold: u16,
        signers: Vec<Box<dyn Signer>>,
    ) -> Result<Multisig, Error> {
        let members = members.into_iter().map(|(key, weight)| MultisigMember::new(key, weight)).collect();
        let committee = MultisigCommittee::new(members, threshold);
        if !committee.is_valid() {
            return Err(Error::Invalid(
                "a multisig has 1 to 10 different keys, each of weight 1 to 255, and a threshold that they can reach"
                    .to_owned(),
            ));
        }
        Ok(Multisig { committee, members: signers })
    }
}

impl Signer for Multisig {
    fn address(&self) -> Address {
        self.committee.derive_address()
    }

    fn sign_transaction<'a>(
        &'a self,
        transaction: &'a Transaction,
    ) -> BoxFuture<'a, Result<UserSignature, Error>> {
        Box::pin(async move {
            let failed = |reason| Error::Signer { address: self.address(), reason };
            let mut aggregator =
                MultisigAggregator::new_with_transaction(self.committee.clone(), transaction);
            for member in &self.members {
                let signature = member.sign_transaction(transaction).await?;
                aggregator
                    .add_signature(signature)
                    .map_err(|error| failed(format!("member {}: {}", member.address(), reason(&error))))?;
                if let Ok(signature) = aggregator.finish() {
                    return Ok(UserSignature::Multisig(signature));
                }
            }
            Err(failed(format!(
                "the members at hand do not reach the threshold of {}",
                self.committee.threshold()
            )))
        })
    }
}

impl std::fmt::Debug for Multisig {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Multisig")
            .field("address", &self.address())
            .field("threshold", &self.committee.threshold())
            .finish_non_exhaustive()
    }
}
