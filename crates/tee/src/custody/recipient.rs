use std::fmt;

use hpke::aead::AesGcm256;
use hpke::kdf::HkdfSha256;
use hpke::kem::X25519HkdfSha256;
use hpke::{Deserializable, Kem, OpModeR, OpModeS, Serializable, single_shot_open, single_shot_seal};
use ring::rand::{SecureRandom, SystemRandom};
use serde::{Deserialize, Serialize};
use serde_bytes::{ByteArray, ByteBuf};
use zeroize::Zeroizing;

use super::CustodyError;
use crate::TeeError;

type PrivateKey = <X25519HkdfSha256 as Kem>::PrivateKey;
type PublicKey = <X25519HkdfSha256 as Kem>::PublicKey;
type EncappedKey = <X25519HkdfSha256 as Kem>::EncappedKey;

/// What is sealed to a recipient is 33 bytes here; nobody has to read much more.
const MAX_CIPHERTEXT: usize = 256;

/// An X25519 key to which secrets are encrypted (HPKE, base mode). The private half is wiped when dropped; never printed.
#[derive(Clone)]
pub struct Recipient {
    seed: Zeroizing<[u8; 32]>,
}

/// Bytes that only one recipient reads.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Sealed {
    /// The encapsulated key.
    key: ByteArray<32>,
    ciphertext: ByteBuf,
}

impl Recipient {
    /// A fresh one.
    ///
    /// # Errors
    /// [`TeeError::Random`].
    pub fn generate() -> Result<Self, TeeError> {
        let mut seed = Zeroizing::new([0; 32]);
        SystemRandom::new().fill(&mut seed[..]).map_err(|_| TeeError::Random)?;
        Ok(Self { seed })
    }

    /// The recipient of 32 secret bytes that are kept somewhere: RFC 9180's `DeriveKeyPair` of them.
    #[must_use]
    pub fn from_seed(seed: [u8; 32]) -> Self {
        Self { seed: Zeroizing::new(seed) }
    }

    /// The secret bytes, to be kept where nobody else reads them.
    #[must_use]
    pub fn seed(&self) -> &[u8; 32] {
        &self.seed
    }

    /// The public half.
    #[must_use]
    pub fn public_key(&self) -> [u8; 32] {
        self.pair().1.to_bytes().into()
    }

    /// Encrypts `plaintext` to `public_key`, for `info` (the protocol) and bound to `context`.
    ///
    /// # Errors
    /// [`CustodyError::PublicKey`] for a point of small order.
    pub fn seal(
        public_key: &[u8; 32],
        info: &[u8],
        context: &[u8],
        plaintext: &[u8],
    ) -> Result<Sealed, CustodyError> {
        let recipient = PublicKey::from_bytes(public_key).map_err(|_| CustodyError::PublicKey)?;
        let (key, ciphertext) = single_shot_seal::<AesGcm256, HkdfSha256, X25519HkdfSha256, _>(
            &OpModeS::Base,
            &recipient,
            info,
            plaintext,
            context,
            &mut rand::rng(),
        )
        .map_err(|_| CustodyError::PublicKey)?;
        let key: [u8; 32] = key.to_bytes().into();
        Ok(Sealed { key: ByteArray::new(key), ciphertext: ByteBuf::from(ciphertext) })
    }

    /// Decrypts what was sealed to this key for `info` and `context`.
    ///
    /// # Errors
    /// [`CustodyError::NotForUs`].
    pub fn open(
        &self,
        info: &[u8],
        context: &[u8],
        sealed: &Sealed,
    ) -> Result<Zeroizing<Vec<u8>>, CustodyError> {
        let refuse = |_| CustodyError::NotForUs;
        if sealed.ciphertext.len() > MAX_CIPHERTEXT {
            return Err(CustodyError::NotForUs);
        }
        let key = EncappedKey::from_bytes(&sealed.key[..]).map_err(refuse)?;
        single_shot_open::<AesGcm256, HkdfSha256, X25519HkdfSha256>(
            &OpModeR::Base,
            &self.pair().0,
            &key,
            info,
            &sealed.ciphertext,
            context,
        )
        .map(Zeroizing::new)
        .map_err(refuse)
    }

    fn pair(&self) -> (PrivateKey, PublicKey) {
        X25519HkdfSha256::derive_keypair(&self.seed[..])
    }
}

impl fmt::Debug for Recipient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Recipient({})", hex::encode(self.public_key()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_recipient_reads_it_and_only_in_its_place() {
        let (ours, other) = (Recipient::from_seed([1; 32]), Recipient::from_seed([2; 32]));
        let sealed = Recipient::seal(&ours.public_key(), b"info", b"context", b"secret").unwrap();
        assert_eq!(&ours.open(b"info", b"context", &sealed).unwrap()[..], b"secret");
        assert!(other.open(b"info", b"context", &sealed).is_err());
        assert!(ours.open(b"other", b"context", &sealed).is_err());
        assert!(ours.open(b"info", b"other", &sealed).is_err());
        let mut changed = sealed;
        changed.ciphertext[0] ^= 1;
        assert!(ours.open(b"info", b"context", &changed).is_err());
        assert!(!format!("{ours:?}").contains(&hex::encode([1; 32])));
    }

    #[test]
    fn a_point_of_small_order_is_no_recipient() {
        assert!(matches!(Recipient::seal(&[0; 32], b"", b"", b"x"), Err(CustodyError::PublicKey)));
    }

    #[test]
    fn rfc_9180_derives_this_pair() {
        // Appendix A.1.1: ikmE and pkEm of the base setup with DHKEM(X25519, HKDF-SHA256).
        let mut seed = [0; 32];
        hex::decode_to_slice("7268600d403fce431561aef583ee1613527cff655c1343f29812e66706df3234", &mut seed)
            .unwrap();
        let public_key = hex::encode(Recipient::from_seed(seed).public_key());
        assert_eq!(public_key, "37fda3567bdbd628e88668c3c8d7e97d1d1253b6d4ea6d44c150f741f1bf4431");
    }
}
