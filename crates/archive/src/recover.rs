use chain::{Address, Anchor};
use store::mvcc::AnchorNote;
use store::{Config, EtcdError, Store, StoreError};

/// How far a recovered store moves on: beyond every revision that clients may have seen after the snapshot.
const GAP: i64 = 1_000_000_000;

/// A store that was restored from a snapshot, ready to take the place of the one that is lost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Resumed {
    /// Revision of the snapshot: what came later is lost.
    pub restored: i64,
    /// Revision that the chain knows.
    pub anchored: i64,
    /// Revision from which the store goes on.
    pub resumes_at: i64,
    /// The latest anchored revision whose root was made again from the restored history and compared; `None` when its
    /// history is compacted.
    pub root_compared: Option<i64>,
}

/// Why a restored store may not go on.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ResumeError {
    /// It does not open.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// It does not write.
    #[error("the restored store cannot be written: {0}")]
    Write(#[from] EtcdError),
    /// It was taken of another cluster.
    #[error("the snapshot is of cluster {found}, and {expected} is to be recovered")]
    OtherCluster {
        /// In the snapshot.
        found: String,
        /// As asked.
        expected: Address,
    },
    /// The restored history is not the one that was anchored.
    #[error(
        "the snapshot is not of the history that was anchored: at revision {revision} its root is {found} instead of {expected}"
    )]
    Different {
        /// The anchored revision.
        revision: i64,
        /// Root made from the snapshot.
        found: String,
        /// Root that was anchored.
        expected: String,
    },
    /// A thread broke off.
    #[error("the restored store could not be read")]
    Broken,
}

/// Lets a restored store go on in place of the lost one: its roots are compared with those that were anchored, and its revision
/// is moved beyond every one that was given out, with no history left, so that no client takes new for old. The chain's
/// anchor is noted in it, which makes [`crate::admit`] take it for what came after that anchor; so this is only for who
/// decided to recover. Done twice it does nothing more.
///
/// # Errors
/// The store is another cluster's or another history's, or does not open or write. Nothing is changed then.
pub async fn resume(config: Config, cluster: Address, anchor: &Anchor) -> Result<Resumed, ResumeError> {
    let min_key_epoch = u32::try_from(anchor.key_epoch).unwrap_or(u32::MAX).max(config.min_key_epoch);
    let config = Config { min_key_epoch, ..config };
    let store = tokio::task::spawn_blocking(move || Store::open(config));
    let store = store.await.map_err(|_| ResumeError::Broken)??;
    let outcome = resume_open(&store, cluster, anchor).await;
    let closed = tokio::task::spawn_blocking(move || store.close());
    closed.await.map_err(|_| ResumeError::Broken)?;
    outcome
}

async fn resume_open(store: &Store, cluster: Address, anchor: &Anchor) -> Result<Resumed, ResumeError> {
    let id = cluster.into_inner();
    let notes = store.anchor_notes();
    if let Some(other) = notes.iter().find(|note| note.cluster != id) {
        let found = format!("0x{}", hex::encode(&other.cluster));
        return Err(ResumeError::OtherCluster { found, expected: cluster });
    }
    let anchored = i64::try_from(anchor.revision).unwrap_or(i64::MAX);
    let restored = store.revision();
    let again = notes.iter().find(|note| note.resumes_at != 0 && note.log_hash == anchor.log_hash);
    if let Some(again) = again {
        return Ok(Resumed { restored, anchored, resumes_at: again.resumes_at, root_compared: None });
    }
    // The chain's own first, then what the store itself noted, the latest first.
    let on_chain = (anchored, anchor.state_root.clone());
    let known = notes.iter().rev().map(|note| (note.revision, note.state_root.clone()));
    let mut root_compared = None;
    for (revision, expected) in [on_chain].into_iter().chain(known) {
        let reader = store.clone();
        let root = tokio::task::spawn_blocking(move || reader.state_root_at(revision).ok());
        let Some(root) = root.await.map_err(|_| ResumeError::Broken)? else { continue };
        if revision < 1 {
            continue;
        }
        if root[..] != expected[..] {
            let (found, expected) = (hex::encode(root), hex::encode(expected));
            return Err(ResumeError::Different { revision, found, expected });
        }
        root_compared = Some(revision);
        break;
    }
    let resumes_at = restored.max(anchored).saturating_add(GAP);
    let note = AnchorNote {
        cluster: id.to_vec(),
        revision: anchored,
        state_root: anchor.state_root.clone(),
        log_hash: anchor.log_hash.clone(),
        confirmed: anchored,
        resumes_at,
        confirmed_version: 0,
    };
    store.note_anchor(note).await?;
    Ok(Resumed { restored, anchored, resumes_at, root_compared })
}
