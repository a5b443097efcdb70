//! Proofs on the way between processes.

use super::entry::{Entry, Hash, Leaf};
use super::proof::{End, Proof};
use crate::proto::{ProveResponse, ProvenEntry, ProvenLeaf};

impl From<Proof> for ProveResponse {
    fn from(proof: Proof) -> Self {
        let (leaf, other) = match proof.end {
            End::Key(leaf) => (Some(leaf), None),
            End::Other(other) => (None, Some(other)),
            End::Empty => (None, None),
        };
        Self {
            revision: proof.revision,
            keys: proof.keys,
            siblings: proof.siblings.iter().map(|sibling| sibling.to_vec()).collect(),
            leaf: leaf.map(|leaf| ProvenLeaf {
                create_revision: leaf.create_revision,
                mod_revision: leaf.mod_revision,
                version: leaf.version,
                lease: leaf.lease,
                value: leaf.value.to_vec(),
            }),
            other: other.map(|other| ProvenEntry { key: other.key.to_vec(), body: other.body.to_vec() }),
            value: bytes::Bytes::new(),
        }
    }
}

impl TryFrom<ProveResponse> for Proof {
    type Error = &'static str;

    fn try_from(wire: ProveResponse) -> Result<Self, Self::Error> {
        if wire.siblings.len() > Self::MAX_SIBLINGS {
            return Err("the path of the proof is longer than 256 steps");
        }
        let end = match (wire.leaf, wire.other) {
            (Some(leaf), None) => End::Key(Leaf {
                create_revision: leaf.create_revision,
                mod_revision: leaf.mod_revision,
                version: leaf.version,
                lease: leaf.lease,
                value: hash(leaf.value)?,
            }),
            (None, Some(other)) => End::Other(Entry { key: hash(other.key)?, body: hash(other.body)? }),
            (None, None) => End::Empty,
            (Some(_), Some(_)) => return Err("the proof ends at two keys"),
        };
        let siblings = wire.siblings.into_iter().map(hash).collect::<Result<_, _>>()?;
        Ok(Self { revision: wire.revision, keys: wire.keys, siblings, end })
    }
}

fn hash(bytes: Vec<u8>) -> Result<Hash, &'static str> {
    bytes.try_into().map_err(|_| "a hash of the proof is not 32 bytes")
}
