//! What was served unanchored comes to the chain, whenever the master ended in between.

use std::path::{Path, PathBuf};

use archive::{AnchorConfig, Refused};
use tee::SealingKey;

use crate::anchor_tests::{Town, until};
use crate::undeclared::Undeclared;

fn files(dir: &Path) -> Vec<PathBuf> {
    let mut files: Vec<PathBuf> =
        std::fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    files
}

#[tokio::test(flavor = "multi_thread")]
async fn starts_that_end_before_the_chain_comes_back_are_declared_by_the_next() {
    let town = Town::new().await;
    let life = town.start("a").await.unwrap();
    life.put("k", "1").await;
    life.anchor().await;
    life.end().await;

    // One start is stopped, one is killed: what a killed one leaves is what is on disk while it serves.
    let accept = AnchorConfig { accept_unanchored: true, ..town.config.clone() };
    let life = town.start_with("a", Town::nobody(), &accept).await.unwrap();
    let first = life.store.revision();
    life.put("k", "2").await;
    life.end().await;
    let life = town.start_with("a", Town::nobody(), &accept).await.unwrap();
    let second = life.store.revision();
    assert_eq!(life.board.read().anchor.undeclared, 2);
    town.copy("a", "killed");
    life.end().await;
    assert_eq!(files(&town.state("killed/undeclared")).len(), 2);

    let life = town.start("killed").await.unwrap();
    assert!(life.board.read().anchor.unanchored.is_none());
    until("declared on chain", async || life.board.read().anchor.undeclared == 0).await;
    assert_eq!(u64::try_from(second).unwrap(), life.board.read().anchor.declared_unanchored.unwrap());
    life.end().await;
    let both = [first, second].map(|revision| u64::try_from(revision).unwrap());
    assert_eq!(town.declared().await, both);
    assert!(files(&town.state("killed/undeclared")).is_empty());

    // Not again.
    let life = town.start("killed").await.unwrap();
    life.put("k", "3").await;
    life.anchor().await;
    life.end().await;
    assert_eq!(town.declared().await, both);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_old_copy_that_was_served_is_declared_by_the_start_that_is_refused() {
    let town = Town::new().await;
    let life = town.start("a").await.unwrap();
    life.put("k", "1").await;
    let old = life.anchor().await;
    life.end().await;
    town.copy("a", "old");
    let life = town.start("a").await.unwrap();
    life.put("k", "2").await;
    let known = life.anchor().await;
    life.end().await;

    let accept = AnchorConfig { accept_unanchored: true, ..town.config.clone() };
    town.start_with("old", Town::nobody(), &accept).await.unwrap().end().await;
    assert_eq!(town.refusal("old").await, Refused::Older { have: old, known });
    assert_eq!(town.declared().await, [u64::try_from(old).unwrap()]);
}

#[test]
fn a_file_that_is_not_ours_is_left_and_keeps_nobody_from_serving() {
    let dir = tempfile::tempdir().unwrap();
    let opened = |opened_ms| chain::Unanchored {
        cluster: chain::Address::new([1; 32]),
        revision: 7,
        state_root: vec![2; 32],
        opened_ms,
    };
    let key = SealingKey::from_bytes([3; 32]);
    let mut undeclared = Undeclared::open(dir.path(), &key).unwrap();
    undeclared.note(opened(20)).unwrap();
    undeclared.note(opened(9)).unwrap();
    let kept = files(dir.path());
    // The bytes of one under the name of the other, and garbage.
    std::fs::copy(&kept[0], &kept[1]).unwrap();
    std::fs::write(dir.path().join("x.sealed"), b"garbage").unwrap();
    assert_eq!(Undeclared::open(dir.path(), &key).unwrap().len(), 1);
    assert_eq!(files(dir.path()).len(), 3);
    assert_eq!(Undeclared::open(dir.path(), &SealingKey::from_bytes([4; 32])).unwrap().len(), 0);
}
