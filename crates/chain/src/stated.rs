use serde::{Deserialize, Serialize};
use sui_sdk_types::Address;

use crate::{
    Error, Evidence, IntentMessage, Keypair, NodeStatement, Place, Point, Sealing, Shares, Unanchored,
};

/// What enclaves state about their cluster, each kind under an intent of its own.
pub trait EnclavePayload: Serialize {
    /// The intent that its signature is for.
    const INTENT: u8;

    /// What the enclave registered as `enclave` signs under the intent and a time.
    ///
    /// # Errors
    /// [`Error::Build`] when the statement has no BCS form.
    fn payload(&self, enclave: Address) -> Result<Vec<u8>, Error> {
        bcs::to_bytes(&(enclave, self)).map_err(|error| Error::Build(error.to_string()))
    }
}

impl EnclavePayload for Place {
    const INTENT: u8 = crate::INTENT_ENDPOINT;
}

impl EnclavePayload for Point {
    const INTENT: u8 = 3;
}

impl EnclavePayload for Unanchored {
    const INTENT: u8 = 7;
}

impl EnclavePayload for Sealing {
    const INTENT: u8 = 8;
}

impl EnclavePayload for Shares {
    const INTENT: u8 = 4;
}

impl EnclavePayload for Evidence {
    const INTENT: u8 = 5;
}

/// Intent of a [`NodeStatement`].
const INTENT_NODE: u8 = 6;

/// A statement with the enclave's signature, as it is handed to the contracts. In JSON its bytes are
/// hexadecimal: that is the file that the command line takes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct EnclaveStatement<T> {
    /// The registered enclave that signs: the signature is bound to its registration.
    pub enclave: Address,
    /// When it was signed, milliseconds since the Unix epoch.
    pub timestamp_ms: u64,
    /// What is stated.
    pub statement: T,
    /// The enclave's ed25519 signature, 64 bytes.
    #[serde(with = "crate::hex_bytes")]
    pub signature: Vec<u8>,
}

impl<T: EnclavePayload> EnclaveStatement<T> {
    /// Signs as the enclave registered as `enclave`.
    ///
    /// # Errors
    /// [`Error::Build`] when the statement has no BCS form.
    pub fn sign(
        statement: T,
        enclave: Address,
        timestamp_ms: u64,
        key: &Keypair,
    ) -> Result<EnclaveStatement<T>, Error> {
        let message = message(&statement, enclave, timestamp_ms)?;
        Ok(EnclaveStatement { enclave, timestamp_ms, statement, signature: key.sign(&message).to_vec() })
    }
}

/// The bytes that the key of the enclave registered as `enclave` signs.
///
/// # Errors
/// [`Error::Build`] when the statement has no BCS form.
pub fn message<T: EnclavePayload>(
    statement: &T,
    enclave: Address,
    timestamp_ms: u64,
) -> Result<Vec<u8>, Error> {
    IntentMessage { intent: T::INTENT, timestamp_ms, payload: (enclave, statement) }.to_bytes()
}

impl NodeStatement {
    /// The bytes that the token's holder signs.
    ///
    /// # Errors
    /// [`Error::Build`] when the statement has no BCS form.
    pub fn message(&self, timestamp_ms: u64) -> Result<Vec<u8>, Error> {
        IntentMessage { intent: INTENT_NODE, timestamp_ms, payload: self }.to_bytes()
    }
}

/// A node's statement with the signature of the staker's key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SignedNodeStatement {
    /// When it was signed, milliseconds since the Unix epoch.
    pub timestamp_ms: u64,
    /// What is stated.
    pub statement: NodeStatement,
    /// The ed25519 signature of the token's holder, 64 bytes.
    #[serde(with = "crate::hex_bytes")]
    pub signature: Vec<u8>,
}

impl SignedNodeStatement {
    /// Signs as the holder of the token.
    ///
    /// # Errors
    /// [`Error::Build`] when the statement has no BCS form.
    pub fn sign(
        statement: NodeStatement,
        timestamp_ms: u64,
        key: &Keypair,
    ) -> Result<SignedNodeStatement, Error> {
        let message = statement.message(timestamp_ms)?;
        Ok(SignedNodeStatement { timestamp_ms, statement, signature: key.sign(&message).to_vec() })
    }
}
