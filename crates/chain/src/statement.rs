use serde::{Deserialize, Serialize};
use sui_sdk_types::Address;

use crate::{Error, Keypair, Measurement};

/// The form of every statement that the contracts check a signature over: BCS of
/// `enclave::IntentMessage<T>`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct IntentMessage<T> {
    /// What kind of statement it is; one of the `INTENT_*` constants.
    pub intent: u8,
    /// When it was made, milliseconds since the Unix epoch.
    pub timestamp_ms: u64,
    /// What is stated.
    pub payload: T,
}

/// Intent of [`EnclaveClaims`].
pub const INTENT_REGISTER: u8 = 0;
/// Intent of [`Place`].
pub const INTENT_ENDPOINT: u8 = 1;
/// Intent of [`possession_message`].
pub const INTENT_POSSESSION: u8 = 2;

impl<T: Serialize> IntentMessage<T> {
    /// The bytes to sign.
    ///
    /// # Errors
    /// [`Error::Build`] when the payload has no BCS form.
    pub fn to_bytes(&self) -> Result<Vec<u8>, Error> {
        bcs::to_bytes(self).map_err(|error| Error::Build(error.to_string()))
    }
}

/// `enclave::Claims`: what verifiers sign after they checked an enclave's evidence.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct EnclaveClaims {
    /// The cluster that the enclave shall serve.
    pub cluster: Address,
    /// The code that it runs.
    pub measurement: Measurement,
    /// Its ed25519 public key, 32 bytes.
    pub public_key: Vec<u8>,
    /// When the registration shall end, milliseconds since the Unix epoch; at most 30 days ahead.
    pub expires_ms: u64,
}

/// Claims with the signatures of verifiers, ready for registration.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct VerifiedClaims {
    /// The claims.
    pub claims: EnclaveClaims,
    /// When they were signed; all verifiers sign the same time.
    pub timestamp_ms: u64,
    /// Public key and signature of each verifier.
    pub signatures: Vec<(Vec<u8>, Vec<u8>)>,
}

impl EnclaveClaims {
    /// Signs as one verifier. Only after the enclave's evidence has been verified: this *is* the verdict.
    ///
    /// # Errors
    /// [`Error::Build`] when the claims have no BCS form.
    pub fn sign(&self, verifier: &Keypair, timestamp_ms: u64) -> Result<[u8; 64], Error> {
        let message = IntentMessage { intent: INTENT_REGISTER, timestamp_ms, payload: self };
        Ok(verifier.sign(&message.to_bytes()?))
    }

    /// Signs with every given verifier.
    ///
    /// # Errors
    /// As [`EnclaveClaims::sign`].
    pub fn sign_all(self, verifiers: &[&Keypair], timestamp_ms: u64) -> Result<VerifiedClaims, Error> {
        let signatures = verifiers
            .iter()
            .map(|verifier| Ok((verifier.public_key().to_vec(), self.sign(verifier, timestamp_ms)?.to_vec())))
            .collect::<Result<_, Error>>()?;
        Ok(VerifiedClaims { claims: self, timestamp_ms, signatures })
    }
}

/// `k8s_gateway::Place`: what an enclave signs to say where the cluster is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Place {
    /// The cluster.
    pub cluster: Address,
    /// URL of the gateway.
    pub gateway: String,
    /// URL of kube-apiserver.
    pub apiserver: String,
    /// SHA-256 of the cluster CA's DER, 32 bytes.
    pub ca_hash: Vec<u8>,
}

impl Place {
    /// What the enclave registered as `enclave` states, in BCS: the payload of the [`IntentMessage`] that it
    /// signs. Bound to the registration, so that another one with the same key cannot replay it.
    ///
    /// # Errors
    /// [`Error::Build`] when the place has no BCS form.
    pub fn payload(&self, enclave: Address) -> Result<Vec<u8>, Error> {
        bcs::to_bytes(&(enclave, self)).map_err(|error| Error::Build(error.to_string()))
    }

    /// The bytes that the key of the enclave registered as `enclave` signs. `timestamp_ms` has to be later
    /// than in every statement of this intent before, and near the chain's clock.
    ///
    /// # Errors
    /// [`Error::Build`] when the place has no BCS form.
    pub fn message(&self, enclave: Address, timestamp_ms: u64) -> Result<Vec<u8>, Error> {
        IntentMessage { intent: INTENT_ENDPOINT, timestamp_ms, payload: (enclave, self) }.to_bytes()
    }
}

/// The bytes that a new key signs to replace the key of `token` (`seal_token::Possession`). `generation` is
/// the one that the change leads to: the stake's present generation plus one.
///
/// # Errors
/// [`Error::Build`] when it has no BCS form.
pub fn possession_message(token: Address, generation: u64, public_key: &[u8; 32]) -> Result<Vec<u8>, Error> {
    bcs::to_bytes(&(INTENT_POSSESSION, generation, token, public_key.as_slice()))
        .map_err(|error| Error::Build(error.to_string()))
}
