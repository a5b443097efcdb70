use serde::{Deserialize, Serialize};
use sui_sdk_types::Address;
use sui_sdk_types::hash::Hasher;

use crate::Error;

/// Claims of one shard, and shards of one epoch: a tree of height eight.
const WIDTH: usize = 256;
/// First byte of what is hashed, as in `rewards`.
const DOMAIN_SHARD: u8 = 0;
const DOMAIN_CLAIM: u8 = 1;
const DOMAIN_INNER: u8 = 2;

type Hash = [u8; 32];

/// What one stake has earned in an epoch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Share {
    /// The stake.
    pub stake: Address,
    /// Its owner, who is paid.
    pub owner: Address,
    /// Its weight, of which amounts are made on chain.
    pub weight: u64,
}

/// Leads from a shard to the root of its epoch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ShardProof {
    /// Its place among the shards.
    pub index: u8,
    /// Sum of its weights.
    pub weight: u64,
    /// Root of its claims.
    pub root: Vec<u8>,
    /// Siblings from leaf to root.
    pub proof: Vec<Vec<u8>>,
}

/// Leads from a claim to the root of its shard.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClaimProof {
    /// Its place in the shard.
    pub index: u8,
    /// The claim.
    pub share: Share,
    /// Siblings from leaf to root.
    pub proof: Vec<Vec<u8>>,
}

/// The tree of shares of an epoch, of which the contracts see the root: shards of up to 256 claims each. Making it hashes every share;
/// a proof afterwards hashes one shard's.
#[derive(Clone, Debug)]
pub struct RewardTree {
    cluster: Address,
    number: u64,
    shards: Vec<Vec<Share>>,
    /// Of each shard the root of its claims, and what stands for it in the epoch's tree.
    roots: Vec<Hash>,
    leaves: Vec<Hash>,
}

impl RewardTree {
    /// The tree of epoch `number`. Shares are ordered by stake, so that everybody who has the same shares gets
    /// the same root.
    ///
    /// # Errors
    /// [`Error::Invalid`] when there are none or more than 65,536, a stake twice, a weight of zero, or weights
    /// that add up to more than a `u64` holds.
    pub fn new(cluster: Address, number: u64, mut shares: Vec<Share>) -> Result<RewardTree, Error> {
        let invalid = |reason: &str| Err(Error::Invalid(format!("the shares of an epoch: {reason}")));
        if shares.is_empty() || shares.len() > WIDTH * WIDTH {
            return invalid("there have to be between 1 and 65,536");
        }
        shares.sort_by_key(|share| share.stake);
        if shares.windows(2).any(|pair| pair[0].stake == pair[1].stake) {
            return invalid("a stake is in them twice");
        }
        if shares.iter().any(|share| share.weight == 0) {
            return invalid("a weight is zero");
        }
        if shares.iter().try_fold(0u64, |sum, share| sum.checked_add(share.weight)).is_none() {
            return invalid("the weights add up to too much");
        }
        let shards: Vec<_> = shares.chunks(WIDTH).map(<[Share]>::to_vec).collect();
        let mut tree = RewardTree { cluster, number, shards, roots: Vec::new(), leaves: Vec::new() };
        tree.roots = tree.shards.iter().map(|shard| root(tree.claim_leaves(shard))).collect();
        let roots = tree.shards.iter().zip(&tree.roots);
        let shard_leaf = |(shard, root): (&Vec<Share>, &Hash)| {
            leaf(&(DOMAIN_SHARD, cluster, number, weight_of(shard), root.as_slice()))
        };
        tree.leaves = roots.map(shard_leaf).collect();
        Ok(tree)
    }

    /// Sum of all weights.
    pub fn weight(&self) -> u64 {
        self.shards.iter().flatten().map(|share| share.weight).sum()
    }

    /// What the enclave signs.
    pub fn root(&self) -> Vec<u8> {
        root(self.leaves.clone()).to_vec()
    }

    /// How many shards there are.
    pub fn shards(&self) -> usize {
        self.shards.len()
    }

    /// Opens the shard at a place.
    pub fn shard(&self, index: u8) -> Option<ShardProof> {
        let shard = self.shards.get(usize::from(index))?;
        Some(ShardProof {
            index,
            weight: weight_of(shard),
            root: self.roots.get(usize::from(index))?.to_vec(),
            proof: proof(self.leaves.clone(), usize::from(index)),
        })
    }

    /// Claims what a stake has earned; the shard's place comes with it.
    pub fn claim(&self, stake: Address) -> Option<(u8, ClaimProof)> {
        // Shares are in the order of their stakes, over the shards too.
        let place = self.shards.partition_point(|shard| shard.last().is_some_and(|last| last.stake < stake));
        let shard = self.shards.get(place)?;
        let index = shard.binary_search_by_key(&stake, |share| share.stake).ok()?;
        let claim = ClaimProof {
            index: u8::try_from(index).ok()?,
            share: shard[index],
            proof: proof(self.claim_leaves(shard), index),
        };
        Some((u8::try_from(place).ok()?, claim))
    }

    fn claim_leaves(&self, shard: &[Share]) -> Vec<Hash> {
        let of = |share: &Share| {
            leaf(&(DOMAIN_CLAIM, self.cluster, self.number, share.stake, share.owner, share.weight))
        };
        shard.iter().map(of).collect()
    }
}

fn weight_of(shard: &[Share]) -> u64 {
    shard.iter().map(|share| share.weight).sum()
}

fn leaf<T: Serialize>(value: &T) -> Hash {
    // Numbers, ids and bytes always have a BCS form.
    let bytes = bcs::to_bytes(value).unwrap_or_default();
    let mut hasher = Hasher::new();
    hasher.update(bytes);
    hasher.finalize().into_inner()
}

fn inner(left: &Hash, right: &Hash) -> Hash {
    let mut hasher = Hasher::new();
    hasher.update([DOMAIN_INNER]);
    hasher.update(left);
    hasher.update(right);
    hasher.finalize().into_inner()
}

/// One level up. A level of odd length is filled up with a node of zeros, which is the hash of nothing.
fn up(level: &[Hash]) -> Vec<Hash> {
    level.chunks(2).map(|pair| inner(&pair[0], pair.get(1).unwrap_or(&[0; 32]))).collect()
}

fn root(mut level: Vec<Hash>) -> Hash {
    while level.len() > 1 {
        level = up(&level);
    }
    level.first().copied().unwrap_or_default()
}

fn proof(mut level: Vec<Hash>, mut index: usize) -> Vec<Vec<u8>> {
    let mut siblings = Vec::new();
    while level.len() > 1 {
        siblings.push(level.get(index ^ 1).unwrap_or(&[0; 32]).to_vec());
        level = up(&level);
        index /= 2;
    }
    siblings
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// `rewards::check_proof`.
    fn leads(mut node: Hash, index: u8, proof: &[Vec<u8>], root: &[u8]) -> bool {
        let mut place = index;
        for sibling in proof {
            let sibling: Hash = sibling.as_slice().try_into().unwrap();
            node = if place.is_multiple_of(2) { inner(&node, &sibling) } else { inner(&sibling, &node) };
            place /= 2;
        }
        place == 0 && node == root
    }

    proptest! {
        #[test]
        fn every_share_leads_to_the_root(count in 1usize..700, seed: u8) {
            let cluster = Address::new([seed; 32]);
            let shares: Vec<_> = (0..count).map(|i| {
                let mut id = [seed; 32];
                id[..8].copy_from_slice(&(i as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15).to_le_bytes());
                Share { stake: Address::new(id), owner: Address::new([i as u8; 32]), weight: i as u64 + 1 }
            }).collect();
            let tree = RewardTree::new(cluster, 3, shares.clone()).unwrap();
            let mut back = shares.clone();
            back.reverse();
            prop_assert_eq!(RewardTree::new(cluster, 3, back).unwrap().root(), tree.root());
            prop_assert_eq!(tree.shards(), count.div_ceil(WIDTH));
            let mut weight = 0;
            for index in 0..tree.shards() {
                let shard = tree.shard(index as u8).unwrap();
                weight += shard.weight;
                let of = leaf(&(DOMAIN_SHARD, cluster, 3u64, shard.weight, shard.root.as_slice()));
                prop_assert!(leads(of, shard.index, &shard.proof, &tree.root()));
            }
            prop_assert_eq!(weight, tree.weight());
            for share in shares.iter().step_by(37) {
                let (place, claim) = tree.claim(share.stake).unwrap();
                prop_assert_eq!(claim.share, *share);
                prop_assert!(claim.proof.len() <= 8);
                let of = leaf(&(DOMAIN_CLAIM, cluster, 3u64, share.stake, share.owner, share.weight));
                prop_assert!(leads(of, claim.index, &claim.proof, &tree.shard(place).unwrap().root));
            }
        }
    }

    #[test]
    fn bad_shares_are_refused() {
        let share = |byte, weight| Share { stake: Address::new([byte; 32]), owner: Address::ZERO, weight };
        for shares in
            [vec![], vec![share(1, 0)], vec![share(1, 1), share(1, 2)], vec![share(1, u64::MAX), share(2, 1)]]
        {
            assert!(matches!(RewardTree::new(Address::ZERO, 1, shares), Err(Error::Invalid(_))));
        }
    }
}
