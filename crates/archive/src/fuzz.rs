//! What the fuzz targets call. Not an interface.

use chain::{Address, Anchor};
use store::root::{Leaf, Tree};

use crate::cold::{ColdKeys, piece};
use crate::{HistoryDocument, Kind, ProofDocument};

/// Bytes as a piece of a snapshot: as they are, and as what a good seal holds, cut into index and records.
pub fn piece(bytes: &[u8]) {
    piece::read_bytes(bytes, &ColdKeys::new(tee::SealingKey::from_bytes([5; 32])));
    let Some((&cut, bytes)) = bytes.split_first() else { return };
    let (index, records) = bytes.split_at(usize::from(cut).min(bytes.len()));
    piece::read_text(index, records);
}

/// Bytes as a proof or as a history with proofs: read, checked against an anchor that they cannot fit, and made again from what was read.
pub fn proof(bytes: &[u8]) {
    if let Ok(document) = HistoryDocument::parse(bytes) {
        history(&document);
    }
    let Ok(document) = ProofDocument::parse(bytes) else { return };
    // Whoever reaches this root has proven that some other key is absent from a tree of one key, and nothing else.
    if let Ok(verified) = document.verify(&unknown(document.cluster, document.revision)) {
        assert!(verified.leaf.is_none(), "a key is proven that was never put");
    }
    let again = serde_json::to_vec(&document).unwrap_or_default();
    assert_eq!(ProofDocument::parse(&again).ok(), Some(document), "what was read is written back the same");
}

fn history(document: &HistoryDocument) {
    for (at, version) in document.versions.iter().enumerate() {
        let revision = version.proof.as_ref().map_or(0, |proof| proof.revision);
        if let Ok(Some(shown)) = document.verify(at, &unknown(document.cluster, revision)) {
            assert_eq!(shown.kind, Kind::Delete, "a version is proven that was never put");
        }
    }
    let again = serde_json::to_vec(document).unwrap_or_default();
    assert_eq!(HistoryDocument::parse(&again).ok().as_ref(), Some(document));
}

/// The anchor of a state that holds one key.
fn unknown(cluster: Address, revision: i64) -> Anchor {
    let mut tree = Tree::default();
    let leaf = Leaf { create_revision: 2, mod_revision: 2, version: 1, lease: 0, value: [1; 32] };
    tree.insert(leaf.entry(b"a key that no fuzzer knows: 8c5f2f0b-5b6e-4c1f"));
    Anchor {
        id: Address::ZERO,
        version: 1,
        cluster,
        revision: u64::try_from(revision).unwrap_or_default(),
        state_root: tree.root(revision).to_vec(),
        log_hash: vec![0; 32],
        blob: Vec::new(),
        key_epoch: 0,
        enclave: None,
        anchored_ms: 0,
    }
}
