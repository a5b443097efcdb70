use std::collections::{BTreeMap, BTreeSet};

use blstrs::G2Affine;
use group::Curve;
use group::prime::PrimeCurveAffine;
use ring::rand::{SecureRandom, SystemRandom};
use serde::{Deserialize, Serialize};
use sha3::{Digest, Sha3_256};
use zeroize::Zeroizing;

use super::curve::{g2, pairing, random_scalar, scalar};
use super::ibe::{self, Place, mask};
use super::{IdentityKey, ServerKey, dem};
use crate::TeeError;
use crate::custody::shamir::{self, Share};
use crate::custody::{ClusterSecret, CustodyError, MAX_HOLDERS};

/// The largest encoded [`EncryptedObject`].
pub const MAX_OBJECT_BYTES: usize = 4096;

const WHAT: &str = "an object encrypted for Seal";
const DERIVE: &[u8] = b"SUI-SEAL-IBE-BLS12381-H3-00";
const FOR_RANDOMNESS: u8 = 0;
const FOR_DATA: u8 = 1;
const MAX_ID: usize = 128;

/// A cluster's secret, encrypted so that the keys of any threshold of key servers for one identity open it. Public. In BCS it is what Seal's own
/// SDKs call `EncryptedObject`: identity-based encryption of shares (`BonehFranklinBLS12381`), the data under `Hmac256Ctr`. The
/// authenticated data beside it is the secret's commitment.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct EncryptedObject {
    version: u8,
    package: [u8; 32],
    id: Vec<u8>,
    /// Each key server's object, and the index of its share.
    services: Vec<([u8; 32], u8)>,
    threshold: u8,
    shares: Shares,
    ciphertext: Ciphertext,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
enum Shares {
    BonehFranklinBls12381 {
        /// A compressed point of G2, in thirds, since arrays have no length in BCS.
        nonce: [[u8; 32]; 3],
        encrypted: Vec<[u8; 32]>,
        randomness: [u8; 32],
    },
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
enum Ciphertext {
    Aes256Gcm { blob: Vec<u8>, aad: Option<Vec<u8>> },
    Hmac256Ctr { blob: Vec<u8>, aad: Option<Vec<u8>>, mac: [u8; 32] },
    Plain {},
}

struct Data<'a> {
    blob: &'a [u8],
    aad: &'a [u8],
    mac: &'a [u8; 32],
}

/// What an object is encrypted for.
#[derive(Clone, Debug)]
pub struct Identity {
    /// First version of the package whose `seal_approve` decides.
    pub package: [u8; 32],
    /// What `seal_approve` is asked about.
    pub id: Vec<u8>,
}

impl Identity {
    /// What key servers derive a key for.
    #[must_use]
    pub fn full(&self) -> Vec<u8> {
        [&self.package[..], &self.id].concat()
    }
}

impl EncryptedObject {
    /// Encrypts `secret` to `servers`, of whom any `threshold` open it.
    ///
    /// # Errors
    /// [`CustodyError::Committee`] for servers or a threshold that cannot be, [`TeeError::Random`].
    pub fn encrypt(
        secret: &ClusterSecret,
        identity: &Identity,
        servers: &[([u8; 32], ServerKey)],
        threshold: u8,
    ) -> Result<Self, CustodyError> {
        check_servers(threshold, servers.iter().map(|(object, _)| object))?;
        let count = u8::try_from(servers.len()).map_err(|_| no_committee("too many key servers"))?;
        let mut base = Zeroizing::new([0; 32]);
        SystemRandom::new().fill(&mut base[..]).map_err(|_| TeeError::Random)?;
        let (random, random_bytes) = random_scalar()?;
        let nonce = (G2Affine::generator() * random).to_affine();
        let full = identity.full();
        let blinded = (ibe::identity(&full) * random).to_affine();
        let mut encrypted = Vec::with_capacity(servers.len());
        for (share, (object, key)) in shamir::split(&base, threshold, count)?.iter().zip(servers) {
            let shared = Zeroizing::new(pairing(&blinded, &key.0).to_bendian());
            let masked = mask(&shared, &nonce, &full, Place { server: object, index: share.index });
            encrypted.push(*xor(&share.values, &masked));
        }
        let services: Vec<_> = servers.iter().map(|(object, _)| *object).zip(1..=count).collect();
        let derive = |purpose| derive(&base, purpose, threshold, &encrypted, &services);
        let randomness = *xor(&random_bytes, &derive(FOR_RANDOMNESS));
        let (data, aad) = (derive(FOR_DATA), secret.commitment().to_vec());
        let blob = dem::mask(&data, &secret.bytes()[..]).to_vec();
        let mac = dem::authenticate(&data, &aad, &blob);
        let nonce = thirds(&nonce.to_compressed());
        Ok(Self {
            version: 0,
            package: identity.package,
            id: identity.id.clone(),
            services,
            threshold,
            shares: Shares::BonehFranklinBls12381 { nonce, encrypted, randomness },
            ciphertext: Ciphertext::Hmac256Ctr { blob, aad: Some(aad), mac },
        })
    }

    /// As BCS.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        // Its types have no form that BCS refuses.
        bcs::to_bytes(self).unwrap_or_default()
    }

    /// Reads what [`Self::encode`] or Seal's own SDK gave.
    ///
    /// # Errors
    /// [`CustodyError::Malformed`], [`CustodyError::Committee`].
    pub fn decode(bytes: &[u8]) -> Result<Self, CustodyError> {
        if bytes.len() > MAX_OBJECT_BYTES {
            return Err(malformed(&format!("{} bytes", bytes.len())));
        }
        let object: Self = bcs::from_bytes(bytes).map_err(|error| malformed(&error.to_string()))?;
        if object.version != 0 {
            return Err(malformed(&format!("version {}, this program reads 0", object.version)));
        }
        if object.id.is_empty() || object.id.len() > MAX_ID {
            return Err(malformed(&format!("an identity of {} bytes", object.id.len())));
        }
        check_servers(object.threshold, object.services.iter().map(|(server, _)| server))?;
        let indices: BTreeSet<u8> = object.services.iter().map(|(_, index)| *index).collect();
        let Shares::BonehFranklinBls12381 { encrypted, .. } = &object.shares;
        let count = object.services.len();
        if encrypted.len() != count || indices.len() != count || indices.contains(&0) {
            return Err(malformed("shares that do not fit its key servers"));
        }
        object.data()?;
        Ok(object)
    }

    /// What it is encrypted for.
    #[must_use]
    pub fn identity(&self) -> Identity {
        Identity { package: self.package, id: self.id.clone() }
    }

    /// The key servers' objects, in the order of their shares.
    pub fn servers(&self) -> impl ExactSizeIterator<Item = [u8; 32]> {
        self.services.iter().map(|(server, _)| *server)
    }

    /// How many key servers it takes.
    #[must_use]
    pub fn threshold(&self) -> usize {
        usize::from(self.threshold)
    }

    /// The secret, from the keys of enough servers by their place. The caller has verified each key.
    ///
    /// # Errors
    /// [`CustodyError::NotForUs`] when they do not open it, [`CustodyError::WrongSecret`] when it holds another secret than it says.
    pub fn open(&self, keys: &BTreeMap<usize, IdentityKey>) -> Result<ClusterSecret, CustodyError> {
        let (data, aad) = self.decrypt(keys)?;
        let secret = <[u8; 32]>::try_from(&data[..]).map_err(|_| CustodyError::WrongSecret)?;
        let secret = ClusterSecret::from_bytes(Zeroizing::new(secret));
        if secret.commitment()[..] == *aad { Ok(secret) } else { Err(CustodyError::WrongSecret) }
    }

    /// The data, and what is authenticated beside it.
    pub(super) fn decrypt(
        &self,
        keys: &BTreeMap<usize, IdentityKey>,
    ) -> Result<(Zeroizing<Vec<u8>>, &[u8]), CustodyError> {
        let Shares::BonehFranklinBls12381 { nonce, encrypted, randomness } = &self.shares;
        let nonce = g2(&nonce.concat()).ok_or_else(|| malformed("a nonce that is no point of G2"))?;
        let full = self.identity().full();
        let mut shares = Vec::new();
        for (at, key) in keys.iter().take(self.threshold()) {
            let (Some((server, index)), Some(share)) = (self.services.get(*at), encrypted.get(*at)) else {
                return Err(CustodyError::NotForUs);
            };
            let place = Place { server, index: *index };
            let masked = key.mask(&nonce, &full, place).ok_or(CustodyError::NotForUs)?;
            shares.push(Share { index: *index, values: xor(share, &masked) });
        }
        if shares.len() < self.threshold() {
            return Err(CustodyError::NotForUs);
        }
        let base = shamir::combine(&shares.iter().collect::<Vec<_>>());
        let derive = |purpose| derive(&base, purpose, self.threshold, encrypted, &self.services);
        // Whoever made the nonce knew the base key: nobody changed it or a share on the way.
        let random = scalar(&xor(randomness, &derive(FOR_RANDOMNESS))).ok_or(CustodyError::NotForUs)?;
        if (G2Affine::generator() * random).to_affine() != nonce {
            return Err(CustodyError::NotForUs);
        }
        let Data { blob, aad, mac } = self.data()?;
        let data = derive(FOR_DATA);
        if !dem::is_authentic(&data, aad, blob, mac) {
            return Err(CustodyError::NotForUs);
        }
        Ok((dem::mask(&data, blob), aad))
    }

    fn data(&self) -> Result<Data<'_>, CustodyError> {
        match &self.ciphertext {
            Ciphertext::Hmac256Ctr { blob, aad, mac } => {
                Ok(Data { blob, aad: aad.as_deref().unwrap_or_default(), mac })
            }
            Ciphertext::Aes256Gcm { .. } => {
                Err(malformed("data under Aes256Gcm, this program reads Hmac256Ctr"))
            }
            Ciphertext::Plain {} => Err(malformed("no data")),
        }
    }
}

fn check_servers<'a>(
    threshold: u8,
    servers: impl ExactSizeIterator<Item = &'a [u8; 32]>,
) -> Result<(), CustodyError> {
    let count = servers.len();
    if count == 0 || count > MAX_HOLDERS {
        return Err(no_committee(&format!("{count} key servers; there are 1 to {MAX_HOLDERS}")));
    }
    if threshold == 0 || usize::from(threshold) > count {
        return Err(no_committee(&format!("a threshold of {threshold} with {count} key servers")));
    }
    if servers.collect::<BTreeSet<_>>().len() < count {
        return Err(no_committee("a key server is named twice"));
    }
    Ok(())
}

fn derive(
    base: &[u8; 32],
    purpose: u8,
    threshold: u8,
    encrypted: &[[u8; 32]],
    services: &[([u8; 32], u8)],
) -> Zeroizing<[u8; 32]> {
    let mut hash = Sha3_256::new();
    hash.update(DERIVE);
    hash.update(base);
    hash.update([purpose, threshold]);
    encrypted.iter().for_each(|share| hash.update(share));
    services.iter().for_each(|(server, _)| hash.update(server));
    Zeroizing::new(hash.finalize().into())
}

fn xor(a: &[u8; 32], b: &[u8; 32]) -> Zeroizing<[u8; 32]> {
    Zeroizing::new(std::array::from_fn(|at| a[at] ^ b[at]))
}

fn thirds(point: &[u8; 96]) -> [[u8; 32]; 3] {
    std::array::from_fn(|third| std::array::from_fn(|at| point[32 * third + at]))
}

fn malformed(why: &str) -> CustodyError {
    CustodyError::Malformed { what: WHAT, why: why.to_owned() }
}

fn no_committee(why: &str) -> CustodyError {
    CustodyError::Committee(why.to_owned())
}
