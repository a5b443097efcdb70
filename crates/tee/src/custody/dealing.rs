use std::collections::BTreeSet;

use ed25519_dalek::{Signature, VerifyingKey};
use ring::digest;
use serde::{Deserialize, Serialize};
use serde_bytes::{ByteArray, ByteBuf};
use zeroize::Zeroizing;

use super::request::{from_cbor, to_cbor};
use super::shamir::{self, Share};
use super::{ClusterSecret, CustodyError, Recipient, Sealed};
use crate::{EnclaveKey, intent_message};

/// The largest committee.
pub const MAX_HOLDERS: usize = 32;
/// The largest encoded [`Dealing`].
pub const MAX_DEALING_BYTES: usize = 64 << 10;
/// Intent of the enclave's signature under a dealing; the contracts know none with this number.
pub const INTENT_DEALING: u8 = 128;

const VERSION: u8 = 1;
const MAX_NAME: usize = 64;
const MAX_URL: usize = 512;
const INFO: &[u8] = b"k3s-daas/committee-share/v1";
const COMMITMENT: &[u8] = b"k3s-daas/committee-share/v1/commitment\0";
const CONTEXT: &[u8] = b"k3s-daas/committee-share/v1/context\0";

/// Somebody who shall hold a share.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Member {
    /// For people.
    pub name: String,
    /// Where its service answers.
    pub url: String,
    /// Its X25519 key.
    pub key: ByteArray<32>,
}

/// A cluster's secret, dealt to a committee: a public file, signed by the enclave that dealt. Any `threshold` of the holders can give the secret to an
/// enclave that satisfies them. Encoded as CBOR.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Dealing {
    body: Body,
    /// The dealer's ed25519 signature over the body's CBOR.
    signature: ByteBuf,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Body {
    version: u8,
    cluster: ByteArray<32>,
    threshold: u8,
    /// [`ClusterSecret::commitment`].
    secret: ByteArray<32>,
    holders: Vec<Holder>,
    /// The enclave's ed25519 key.
    dealer: ByteArray<32>,
    made_ms: u64,
}

/// A member with its share.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Holder {
    /// Who it is.
    pub member: Member,
    /// The share, for this holder's key alone.
    sealed: Sealed,
    /// SHA-256 of the share in its place: what a holder gives out later is compared with it.
    commitment: ByteArray<32>,
}

impl Dealing {
    /// Deals `secret` of `cluster` to `members`, of whom any `threshold` give it back.
    ///
    /// # Errors
    /// [`CustodyError::Committee`] for a committee that cannot be, [`CustodyError::PublicKey`].
    pub fn deal(
        secret: &ClusterSecret,
        cluster: [u8; 32],
        threshold: u8,
        members: Vec<Member>,
        dealer: &EnclaveKey,
        now_ms: u64,
    ) -> Result<Self, CustodyError> {
        check_committee(threshold, members.iter())?;
        let count =
            u8::try_from(members.len()).map_err(|_| CustodyError::Committee("too large".to_owned()))?;
        let shares = shamir::split(secret.bytes(), threshold, count)?;
        let holders = members.into_iter().zip(&shares).map(|(member, share)| {
            let context = context(&cluster, threshold, now_ms, share.index, &member.key);
            let sealed = Recipient::seal(&member.key, INFO, &context, &share.values[..])?;
            Ok(Holder { member, sealed, commitment: ByteArray::new(commitment(&context, share)) })
        });
        let body = Body {
            version: VERSION,
            cluster: ByteArray::new(cluster),
            threshold,
            secret: ByteArray::new(secret.commitment()),
            holders: holders.collect::<Result<_, CustodyError>>()?,
            dealer: ByteArray::new(dealer.public_key()),
            made_ms: now_ms,
        };
        let signature = dealer.sign(INTENT_DEALING, now_ms, &to_cbor(&body));
        Ok(Self { body, signature: ByteBuf::from(signature.to_vec()) })
    }

    /// As CBOR.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        to_cbor(self)
    }

    /// Reads what [`Self::encode`] gave and checks the signature. Whether the dealer was an enclave of the cluster, the chain says.
    ///
    /// # Errors
    /// [`CustodyError::Malformed`], [`CustodyError::Committee`], [`CustodyError::Signature`].
    pub fn decode(bytes: &[u8]) -> Result<Self, CustodyError> {
        const WHAT: &str = "a dealing of a cluster's secret";
        let dealing: Self = from_cbor(WHAT, bytes, MAX_DEALING_BYTES)?;
        let body = &dealing.body;
        if body.version != VERSION {
            let why = format!("version {}, this program reads {VERSION}", body.version);
            return Err(CustodyError::Malformed { what: WHAT, why });
        }
        check_committee(body.threshold, body.holders.iter().map(|holder| &holder.member))?;
        let message = intent_message(INTENT_DEALING, body.made_ms, &to_cbor(body));
        let signature = Signature::from_slice(&dealing.signature).map_err(|_| CustodyError::Signature)?;
        VerifyingKey::from_bytes(&body.dealer)
            .and_then(|key| key.verify_strict(&message, &signature))
            .map_err(|_| CustodyError::Signature)?;
        Ok(dealing)
    }

    /// The cluster.
    #[must_use]
    pub fn cluster(&self) -> [u8; 32] {
        *self.body.cluster
    }

    /// How many holders it takes.
    #[must_use]
    pub fn threshold(&self) -> usize {
        usize::from(self.body.threshold)
    }

    /// Everybody, in the order of their shares.
    #[must_use]
    pub fn holders(&self) -> &[Holder] {
        &self.body.holders
    }

    /// ed25519 key of the enclave that dealt.
    #[must_use]
    pub fn dealer(&self) -> [u8; 32] {
        *self.body.dealer
    }

    /// When it was dealt, milliseconds since the Unix epoch.
    #[must_use]
    pub fn made_ms(&self) -> u64 {
        self.body.made_ms
    }

    /// Commitment of the secret, as [`ClusterSecret::commitment`].
    #[must_use]
    pub fn secret_commitment(&self) -> [u8; 32] {
        *self.body.secret
    }

    /// The share that was dealt to `holder`.
    ///
    /// # Errors
    /// [`CustodyError::WrongShare`] when it is no holder, [`CustodyError::NotForUs`], or when the dealer gave another share than it
    /// committed to.
    pub fn share_of(&self, holder: &Recipient) -> Result<Share, CustodyError> {
        let key = holder.public_key();
        let at = self.body.holders.iter().position(|known| *known.member.key == key);
        let at = at.ok_or(CustodyError::WrongShare)?;
        let known = &self.body.holders[at];
        // `check_committee` bounds the number of holders.
        let index = u8::try_from(at + 1).map_err(|_| CustodyError::WrongShare)?;
        let values = holder.open(INFO, &self.context(index, known), &known.sealed)?;
        let values = <[u8; 32]>::try_from(&values[..]).map_err(|_| CustodyError::WrongShare)?;
        let share = Share { index, values: Zeroizing::new(values) };
        if self.is_dealt(&share) { Ok(share) } else { Err(CustodyError::WrongShare) }
    }

    /// Whether it is the share that was dealt to the holder of its index.
    pub(super) fn is_dealt(&self, share: &Share) -> bool {
        let holder = usize::from(share.index).checked_sub(1).and_then(|at| self.body.holders.get(at));
        holder
            .is_some_and(|holder| *holder.commitment == commitment(&self.context(share.index, holder), share))
    }

    fn context(&self, index: u8, holder: &Holder) -> [u8; 32] {
        let body = &self.body;
        context(&body.cluster, body.threshold, body.made_ms, index, &holder.member.key)
    }
}

fn check_committee<'a>(
    threshold: u8,
    members: impl ExactSizeIterator<Item = &'a Member>,
) -> Result<(), CustodyError> {
    let refuse = |why: String| Err(CustodyError::Committee(why));
    let count = members.len();
    if count == 0 || count > MAX_HOLDERS {
        return refuse(format!("{count} members; there are 1 to {MAX_HOLDERS}"));
    }
    if threshold == 0 || usize::from(threshold) > count {
        return refuse(format!("a threshold of {threshold} with {count} members"));
    }
    let mut keys = BTreeSet::new();
    for member in members {
        if member.name.is_empty() || member.name.len() > MAX_NAME || member.url.len() > MAX_URL {
            return refuse(format!("names have 1 to {MAX_NAME} bytes, URLs at most {MAX_URL}"));
        }
        if !keys.insert(*member.key) {
            return refuse(format!("{:?} has the key of another member", member.name));
        }
    }
    Ok(())
}

/// One share's place: cluster, committee, holder.
fn context(cluster: &[u8; 32], threshold: u8, made_ms: u64, index: u8, key: &[u8; 32]) -> [u8; 32] {
    sha256(&[CONTEXT, cluster, &[threshold], &made_ms.to_be_bytes(), &[index], key])
}

fn commitment(context: &[u8; 32], share: &Share) -> [u8; 32] {
    sha256(&[COMMITMENT, context, &share.values[..]])
}

fn sha256(parts: &[&[u8]]) -> [u8; 32] {
    let mut hash = digest::Context::new(&digest::SHA256);
    parts.iter().for_each(|part| hash.update(part));
    let mut bytes = [0; 32];
    bytes.copy_from_slice(hash.finish().as_ref());
    bytes
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::SealingKey;

    pub(crate) fn dealt(threshold: u8, count: u8) -> (ClusterSecret, Vec<Recipient>, Dealing) {
        let dir = tempfile::tempdir().unwrap();
        let dealer =
            EnclaveKey::open_or_create(&dir.path().join("key"), &SealingKey::from_bytes([1; 32])).unwrap();
        let holders: Vec<Recipient> = (1..=count).map(|seed| Recipient::from_seed([seed; 32])).collect();
        let secret = ClusterSecret::generate().unwrap();
        let dealing = Dealing::deal(&secret, [3; 32], threshold, members(&holders), &dealer, 1_000).unwrap();
        (secret, holders, dealing)
    }

    fn members(holders: &[Recipient]) -> Vec<Member> {
        let member = |(at, holder): (usize, &Recipient)| Member {
            name: format!("holder {}", at + 1),
            url: String::new(),
            key: ByteArray::new(holder.public_key()),
        };
        holders.iter().enumerate().map(member).collect()
    }

    #[test]
    fn each_holder_finds_its_share_and_strangers_find_none() {
        let (secret, holders, dealing) = dealt(2, 3);
        let dealing = Dealing::decode(&dealing.encode()).unwrap();
        let shares: Vec<Share> = holders.iter().map(|holder| dealing.share_of(holder).unwrap()).collect();
        assert_eq!(shares.iter().map(Share::index).collect::<Vec<_>>(), [1, 2, 3]);
        let two = shamir::combine(&[&shares[2], &shares[0]]);
        assert_eq!(ClusterSecret::from_bytes(two).commitment(), secret.commitment());
        assert!(matches!(dealing.share_of(&Recipient::from_seed([9; 32])), Err(CustodyError::WrongShare)));
    }

    #[test]
    fn every_byte_of_a_dealing_counts() {
        let (.., dealing) = dealt(2, 3);
        let bytes = dealing.encode();
        for at in 0..bytes.len() {
            let mut changed = bytes.clone();
            changed[at] ^= 1;
            assert!(Dealing::decode(&changed).is_err(), "byte {at}");
        }
        assert!(Dealing::decode(&vec![0; MAX_DEALING_BYTES + 1]).is_err());
    }

    #[test]
    fn a_committee_that_cannot_be_is_refused() {
        let holders: Vec<Recipient> = (1..=3).map(|seed| Recipient::from_seed([seed; 32])).collect();
        let all = members(&holders);
        let check = |threshold, members: &[Member]| check_committee(threshold, members.iter());
        check(3, &all).unwrap();
        for (threshold, members) in [(0, &all[..]), (4, &all), (1, &[])] {
            assert!(check(threshold, members).is_err(), "{threshold} of {}", members.len());
        }
        let twice = [all[0].clone(), Member { name: "again".to_owned(), ..all[0].clone() }];
        assert!(check(1, &twice).unwrap_err().to_string().contains("again"));
        let many: Vec<Member> = (0..=MAX_HOLDERS as u8)
            .map(|n| Member { key: ByteArray::new([n; 32]), ..all[0].clone() })
            .collect();
        assert!(check(1, &many).is_err());
    }
}
