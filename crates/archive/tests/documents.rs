//! Proofs of a real store, as files.
#![allow(clippy::unwrap_used, reason = "a test")]

mod support;

use archive::{DocumentError, ProofDocument};
use chain::{Address, Anchor};
use store::proto::PutRequest;
use store::root::{ProofError, StateRoot};
use store::{Config, Store};
use support::{CLUSTER, anchor};

async fn filled(dir: &std::path::Path) -> (Store, StateRoot) {
    let store = Store::open(Config::new(dir, tee::SealingKey::from_bytes([7; 32]))).unwrap();
    for key in 0..50 {
        let (key, value) = (format!("key/{key}").into(), format!("value {key}").into());
        store.put(PutRequest { key, value, ..PutRequest::default() }).await.unwrap();
    }
    let root = store.state_root();
    (store, root)
}

fn document(store: &Store, root: &StateRoot, key: &str) -> ProofDocument {
    let (proof, value) = store.prove(&key.to_owned().into(), root.point.revision).unwrap();
    let made = ProofDocument::new(CLUSTER, key.as_bytes(), &proof, value.as_deref());
    let text = serde_json::to_vec_pretty(&made).unwrap();
    let read = ProofDocument::parse(&text).unwrap();
    assert_eq!(read, made);
    read
}

#[tokio::test]
async fn a_stranger_learns_what_a_key_had_and_that_another_was_not_there() {
    let dir = tempfile::tempdir().unwrap();
    let (store, root) = filled(dir.path()).await;
    let shown = document(&store, &root, "key/7").verify(&anchor(&root)).unwrap();
    assert_eq!(
        (shown.key.as_slice(), shown.value.as_deref()),
        (b"key/7".as_ref(), Some(b"value 7".as_ref()))
    );
    assert_eq!((shown.leaf.unwrap().version, shown.anchored_ms), (1, 77));
    for absent in ["key/50", "other", "key/"] {
        assert_eq!(document(&store, &root, absent).verify(&anchor(&root)).unwrap().leaf, None);
    }
}

#[tokio::test]
async fn whatever_is_changed_in_a_proof_is_found() {
    let dir = tempfile::tempdir().unwrap();
    let (store, root) = filled(dir.path()).await;
    let good = document(&store, &root, "key/7");
    let known = anchor(&root);
    let refused = |change: &dyn Fn(&mut ProofDocument)| {
        let mut changed = good.clone();
        change(&mut changed);
        changed.verify(&known).unwrap_err()
    };
    let wrong_root = |error: DocumentError| matches!(error, DocumentError::Proof(ProofError::WrongRoot));
    assert!(wrong_root(refused(&|d| d.key_hex = hex::encode("key/8"))));
    assert!(wrong_root(refused(&|d| d.keys += 1)));
    assert!(wrong_root(refused(&|d| d.siblings.reverse())));
    assert!(wrong_root(refused(&|d| drop(d.siblings.pop()))));
    assert!(wrong_root(refused(&|d| d.present.as_mut().unwrap().mod_revision += 1)));
    assert!(wrong_root(refused(&|d| d.present.as_mut().unwrap().value_sha256 = "00".repeat(32))));
    assert!(wrong_root(refused(&|d| {
        d.present = None;
        d.value_hex = None;
    })));
    assert!(matches!(refused(&|d| d.value_hex = Some("00".to_owned())), DocumentError::Field(_)));
    assert!(matches!(refused(&|d| d.siblings[0] = "0".repeat(63)), DocumentError::Field(_)));
    assert!(matches!(
        refused(&|d| d.siblings = vec!["00".repeat(32); 257]),
        DocumentError::Proof(ProofError::TooLong)
    ));
    assert!(matches!(refused(&|d| d.cluster = Address::ZERO), DocumentError::OtherCluster { .. }));
    assert!(matches!(refused(&|d| d.revision += 1), DocumentError::OtherRevision { .. }));
    let negative = refused(&|d| d.revision = -1);
    assert!(matches!(negative, DocumentError::OtherRevision { .. }), "{negative}");
    // The anchor of another history at the same revision.
    let other = Anchor { state_root: vec![9; 32], ..known.clone() };
    assert!(wrong_root(good.verify(&other).unwrap_err()));
    let nothing = Anchor { state_root: Vec::new(), ..known };
    assert!(matches!(good.verify(&nothing).unwrap_err(), DocumentError::Field(_)));
}

#[test]
fn what_is_no_proof_or_of_a_newer_form_is_said_in_a_sentence() {
    let newer = ProofDocument::parse(br#"{"format":"k3s-daas/proof/2","more":1}"#).unwrap_err().to_string();
    assert!(newer.contains("a newer k3s-daas made it"), "{newer}");
    assert!(matches!(ProofDocument::parse(b"[]"), Err(DocumentError::Json(_))));
    assert!(matches!(ProofDocument::parse(&vec![b' '; 9 << 20]), Err(DocumentError::TooLarge)));
}
