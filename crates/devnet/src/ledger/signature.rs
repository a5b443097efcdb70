//! Who authorised a transaction.

use std::collections::BTreeSet;

use sui_crypto::{SuiVerifier, UserSignatureVerifier};
use sui_sdk_types::{Address, Digest, SignedTransaction, UserSignature};

use super::rejection::Rejection;

/// A transaction whose signatures were found to be those of its sender and its gas owner.
#[derive(Clone, Debug)]
pub struct VerifiedTransaction {
    signed: SignedTransaction,
    digest: Digest,
}

impl VerifiedTransaction {
    /// Verifies the signatures of `signed`.
    ///
    /// Ed25519, secp256k1, secp256r1 and multisigs of them are known here; zkLogin and passkeys are refused by name.
    ///
    /// # Errors
    ///
    /// [`Rejection::Signature`] when a signature is missing, superfluous, repeated or wrong.
    pub fn verify(signed: SignedTransaction) -> Result<Self, Rejection> {
        let transaction = &signed.transaction;
        let mut needed = BTreeSet::from([transaction.sender, transaction.gas_payment.owner]);
        if signed.signatures.len() != needed.len() {
            return Err(Rejection::Signature(format!(
                "{} signatures given, {} needed: one each by {}",
                signed.signatures.len(),
                needed.len(),
                needed.iter().map(Address::to_string).collect::<Vec<_>>().join(" and ")
            )));
        }
        for signature in &signed.signatures {
            let signer = signer(signature)?;
            if !needed.remove(&signer) {
                return Err(Rejection::Signature(format!(
                    "{signer} signed, but is neither sender nor gas owner, or signed twice"
                )));
            }
            UserSignatureVerifier::new()
                .verify_transaction(transaction, signature)
                .map_err(|_| Rejection::Signature(format!("the signature of {signer} is wrong")))?;
        }
        Ok(Self::unverified(signed))
    }

    /// Takes the signatures as given, or none: for simulations, and for tests that drive a ledger of
    /// their own. A node is never given one.
    pub fn unverified(signed: SignedTransaction) -> Self {
        let digest = signed.transaction.digest();
        Self { signed, digest }
    }

    /// The transaction and its signatures.
    pub fn signed(&self) -> &SignedTransaction {
        &self.signed
    }

    /// The transaction's digest.
    pub fn digest(&self) -> Digest {
        self.digest
    }
}

/// The address that a signature claims to be by.
fn signer(signature: &UserSignature) -> Result<Address, Rejection> {
    match signature {
        UserSignature::Simple(simple) => Ok(simple.derive_address()),
        UserSignature::Multisig(multisig) => Ok(multisig.committee().derive_address()),
        other => Err(Rejection::Signature(format!(
            "scheme {} is not supported by the development chain; sign with ed25519, secp256k1, secp256r1 or a multisig",
            other.scheme().name()
        ))),
    }
}
