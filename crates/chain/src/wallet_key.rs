use std::fmt;

use futures::future::BoxFuture;
use sui_crypto::SuiSigner as _;
use sui_crypto::simple::SimpleKeypair;
use sui_sdk_types::{Address, MultisigMemberPublicKey, Transaction, UserSignature};
use zeroize::Zeroizing;

use crate::keypair::reason;
use crate::{Error, Keypair, KeystoreError, Signer};

/// A private key of any scheme that the Sui CLI makes: ed25519, secp256k1 or secp256r1. It signs
/// transactions; what else our protocols sign takes a [`Keypair`](crate::Keypair).
///
/// The secret is wiped from memory on drop and never printed.
#[derive(Clone)]
pub struct WalletKey {
    key: SimpleKeypair,
}

impl WalletKey {
    /// Reads a `suiprivkey1…` string as `sui keytool export` prints it.
    ///
    /// # Errors
    /// [`KeystoreError::Secret`] when it is not one. The text itself is never part of the error.
    pub fn from_bech32(text: &str) -> Result<WalletKey, KeystoreError> {
        SimpleKeypair::from_suiprivkey(text.trim())
            .map(|key| WalletKey { key })
            .map_err(|error| KeystoreError::Secret(reason(&error)))
    }

    /// Reads one entry of `sui.keystore`: base64 of flag ‖ 32-byte secret.
    ///
    /// # Errors
    /// [`KeystoreError::Secret`] when it is not one. The text itself is never part of the error.
    pub fn from_entry(text: &str) -> Result<WalletKey, KeystoreError> {
        SimpleKeypair::from_base64(text.trim())
            .map(|key| WalletKey { key })
            .map_err(|error| KeystoreError::Secret(reason(&error)))
    }

    /// `ed25519`, `secp256k1` or `secp256r1`.
    pub fn scheme(&self) -> &'static str {
        self.key.scheme().name()
    }

    /// The public key, as a member of a multisig committee is named.
    pub fn public_key(&self) -> MultisigMemberPublicKey {
        self.key.public_key()
    }

    /// The key pair, when it is one of ed25519.
    pub(crate) fn to_keypair(&self) -> Result<Keypair, KeystoreError> {
        let text = self.key.to_suiprivkey().map(Zeroizing::new);
        Keypair::from_bech32(&text.map_err(|error| KeystoreError::Secret(reason(&error)))?)
    }

    /// One entry of `sui.keystore`.
    pub(crate) fn to_entry(&self) -> Zeroizing<String> {
        Zeroizing::new(self.key.to_base64())
    }
}

impl Signer for WalletKey {
    fn address(&self) -> Address {
        self.key.verifying_key().derive_address()
    }

    fn sign_transaction<'a>(
        &'a self,
        transaction: &'a Transaction,
    ) -> BoxFuture<'a, Result<UserSignature, Error>> {
        Box::pin(async move {
            self.key
                .sign_transaction(transaction)
                .map_err(|error| Error::Signer { address: self.address(), reason: reason(&error) })
        })
    }
}

impl fmt::Debug for WalletKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WalletKey")
            .field("scheme", &self.scheme())
            .field("address", &self.address())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_of_suis_own_tools_have_suis_addresses() {
        // Published test vectors of Sui's TypeScript SDK.
        let vectors = [
            (
                "secp256k1",
                "suiprivkey1qyqr6yvxdqkh32ep4pk9caqvphmk9epn6rhkczcrhaeermsyvwsg783y9am",
                "0x9e8f732575cc5386f8df3c784cd3ed1b53ce538da79926b2ad54dcc1197d2532",
            ),
            (
                "ed25519",
                "suiprivkey1qzdvpa77ct272ultqcy20dkw78dysnfyg90fhcxkdm60el0qht9mvzlsh4j",
                "0x1ada6e6f3f3e4055096f606c746690f1108fcc2ca479055cc434a3e1d3f758aa",
            ),
        ];
        for (scheme, text, address) in vectors {
            let key = WalletKey::from_bech32(text).unwrap();
            assert_eq!((key.scheme(), key.address().to_string().as_str()), (scheme, address));
            assert_eq!(WalletKey::from_entry(&key.to_entry()).unwrap().address(), key.address());
        }
    }

    #[test]
    fn neither_debug_nor_errors_show_the_secret() {
        let text = "suiprivkey1qyqr6yvxdqkh32ep4pk9caqvphmk9epn6rhkczcrhaeermsyvwsg783y9am";
        let key = WalletKey::from_bech32(text).unwrap();
        assert!(!format!("{key:?}").contains("suiprivkey"));
        let error = WalletKey::from_bech32(&text.replace("yvwsg", "yvwsq")).unwrap_err().to_string();
        assert!(!error.contains("qyqr6yvx"), "{error}");
    }
}
