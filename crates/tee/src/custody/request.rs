use ring::digest;
use serde::{Deserialize, Serialize};
use serde_bytes::{ByteArray, ByteBuf};
use zeroize::Zeroizing;

use super::shamir::Share;
use super::{ClusterSecret, CustodyError, Recipient, Sealed};
use crate::evidence::read_cbor;
use crate::{Evidence, MAX_EVIDENCE_BYTES, Platform, TeeError};

/// The largest encoded [`Request`]: the largest evidence and what is around it.
pub const MAX_REQUEST_BYTES: usize = MAX_EVIDENCE_BYTES + 1024;

/// Report data of a request is never mistaken for any other.
const DOMAIN: &[u8] = b"k3s-daas/key-release/v1\0";
const SHARE: &[u8] = b"k3s-daas/key-release/v1/share";
const SECRET: &[u8] = b"k3s-daas/key-release/v1/secret";

/// An enclave asks for a secret or a share. Encoded as CBOR.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Request {
    /// The cluster.
    pub(super) cluster: ByteArray<32>,
    /// As the one who is asked gave it out.
    pub(super) nonce: ByteArray<32>,
    /// X25519 key for the answer, made for this request.
    pub(super) recipient: ByteArray<32>,
    /// The enclave's ed25519 key, as it is registered on chain or will be.
    pub(super) enclave: ByteArray<32>,
    /// Evidence over all of these.
    pub(super) evidence: ByteBuf,
}

/// A request under way: what it takes to read the answer.
#[derive(Debug)]
pub struct Pending {
    recipient: Recipient,
    context: [u8; 64],
}

/// What the one who was asked gives. Encoded as CBOR.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Answer {
    sealed: Sealed,
}

impl Request {
    /// Asks for `cluster`'s, with the `nonce` of the one who will be asked, as the enclave with the ed25519 key `enclave`. Blocks
    /// for as long as the platform attests.
    ///
    /// # Errors
    /// The platform's.
    pub fn make(
        platform: &dyn Platform,
        cluster: [u8; 32],
        nonce: [u8; 32],
        enclave: [u8; 32],
        now_ms: u64,
    ) -> Result<(Self, Pending), TeeError> {
        let recipient = Recipient::generate()?;
        let context = report_data(&cluster, &nonce, &recipient.public_key(), &enclave);
        let evidence = platform.attest(&context, now_ms)?.encode();
        let request = Self {
            cluster: ByteArray::new(cluster),
            nonce: ByteArray::new(nonce),
            recipient: ByteArray::new(recipient.public_key()),
            enclave: ByteArray::new(enclave),
            evidence: ByteBuf::from(evidence),
        };
        Ok((request, Pending { recipient, context }))
    }

    /// As CBOR.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        to_cbor(self)
    }

    /// Reads what [`Self::encode`] gave, at most [`MAX_REQUEST_BYTES`].
    ///
    /// # Errors
    /// [`CustodyError::Malformed`].
    pub fn decode(bytes: &[u8]) -> Result<Self, CustodyError> {
        from_cbor("a request for a key", bytes, MAX_REQUEST_BYTES)
    }

    /// The nonce that it was made for.
    #[must_use]
    pub fn nonce(&self) -> &[u8; 32] {
        &self.nonce
    }

    /// The evidence, not yet verified.
    ///
    /// # Errors
    /// [`TeeError::Evidence`].
    pub fn evidence(&self) -> Result<Evidence, TeeError> {
        Evidence::decode(&self.evidence)
    }

    /// What the evidence has to be over.
    pub(super) fn report_data(&self) -> [u8; 64] {
        report_data(&self.cluster, &self.nonce, &self.recipient, &self.enclave)
    }
}

impl Answer {
    /// A share, for whoever made `request` and no one else. Only after a [`super::Gatekeeper`] has admitted it.
    ///
    /// # Errors
    /// [`CustodyError::PublicKey`].
    pub fn share(request: &Request, share: &Share) -> Result<Self, CustodyError> {
        let mut plaintext = Zeroizing::new(vec![share.index]);
        plaintext.extend_from_slice(&share.values[..]);
        Self::seal(request, SHARE, &plaintext)
    }

    /// The secret itself, for whoever made `request` and no one else. Only after a [`super::Gatekeeper`] has admitted it.
    ///
    /// # Errors
    /// [`CustodyError::PublicKey`].
    pub fn secret(request: &Request, secret: &ClusterSecret) -> Result<Self, CustodyError> {
        Self::seal(request, SECRET, &secret.bytes()[..])
    }

    /// As CBOR.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        to_cbor(self)
    }

    /// Reads what [`Self::encode`] gave.
    ///
    /// # Errors
    /// [`CustodyError::Malformed`].
    pub fn decode(bytes: &[u8]) -> Result<Self, CustodyError> {
        from_cbor("an answer with a key", bytes, 1024)
    }

    fn seal(request: &Request, info: &[u8], plaintext: &[u8]) -> Result<Self, CustodyError> {
        let sealed = Recipient::seal(&request.recipient, info, &request.report_data(), plaintext)?;
        Ok(Self { sealed })
    }
}

impl Pending {
    /// The share in an answer to this request.
    ///
    /// # Errors
    /// [`CustodyError::NotForUs`] for an answer to another request, or with something else in it.
    pub fn share(&self, answer: &Answer) -> Result<Share, CustodyError> {
        let bytes = self.recipient.open(SHARE, &self.context, &answer.sealed)?;
        let (index, values) = bytes.split_first().ok_or(CustodyError::NotForUs)?;
        let values = <[u8; 32]>::try_from(values).map_err(|_| CustodyError::NotForUs)?;
        Ok(Share { index: *index, values: Zeroizing::new(values) })
    }

    /// The secret in an answer to this request. Whether it is the cluster's, its commitment says.
    ///
    /// # Errors
    /// [`CustodyError::NotForUs`] for an answer to another request, or with something else in it.
    pub fn secret(&self, answer: &Answer) -> Result<ClusterSecret, CustodyError> {
        let bytes = self.recipient.open(SECRET, &self.context, &answer.sealed)?;
        let bytes = <[u8; 32]>::try_from(&bytes[..]).map_err(|_| CustodyError::NotForUs)?;
        Ok(ClusterSecret::from_bytes(Zeroizing::new(bytes)))
    }
}

fn report_data(cluster: &[u8; 32], nonce: &[u8; 32], recipient: &[u8; 32], enclave: &[u8; 32]) -> [u8; 64] {
    let mut context = digest::Context::new(&digest::SHA512);
    for part in [DOMAIN, cluster, nonce, recipient, enclave] {
        context.update(part);
    }
    let mut bytes = [0; 64];
    bytes.copy_from_slice(context.finish().as_ref());
    bytes
}

pub(super) fn to_cbor<T: Serialize>(value: &T) -> Vec<u8> {
    let mut bytes = Vec::new();
    ciborium::into_writer(value, &mut bytes).expect("writing to memory does not fail");
    bytes
}

pub(super) fn from_cbor<T: for<'de> Deserialize<'de>>(
    what: &'static str,
    bytes: &[u8],
    at_most: usize,
) -> Result<T, CustodyError> {
    if bytes.len() > at_most {
        let why = format!("{} bytes, at most {at_most} are read", bytes.len());
        return Err(CustodyError::Malformed { what, why });
    }
    read_cbor(bytes).map_err(|why| CustodyError::Malformed { what, why })
}
