use chain::{Address, Anchor};
use store::mvcc::AnchorNote;
use store::root::Hash;

/// What a store that was just opened says about itself.
#[derive(Clone, Debug)]
pub struct Local {
    /// Its revision.
    pub revision: i64,
    /// The root of its state at the revision that the chain knows; `None` when it is not there yet or compacted.
    pub root_then: Option<Hash>,
    /// Generation of its keys.
    pub key_epoch: u32,
    /// Points of it that were anchored, or were about to be.
    pub notes: Vec<AnchorNote>,
}

/// That a store may serve.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Admitted {
    /// The revision that the chain knows; 0 before the first anchor.
    pub anchored: i64,
    /// Revisions after it, which no anchor protects yet.
    pub unprotected: i64,
    /// Whether the root was made again from history and compared; otherwise it is compacted, and the note in the sealed
    /// log speaks for it.
    pub root_compared: bool,
}

/// Why a store may not serve.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Refused {
    /// The chain knows a later state.
    #[error(
        "this is an older copy of the cluster's state: the chain knows revision {known}, the directory ends at {have}. \
         Put back the newest copy of the master's directory, or restore a snapshot that holds revision {known} or a \
         later one"
    )]
    Older {
        /// Revision here.
        have: i64,
        /// Revision on chain.
        known: i64,
    },
    /// The history here is not the one that was anchored.
    #[error(
        "this is another history of the cluster's state: the chain knows revision {known}, and the directory, which \
         ends at {have}, never was in the state that was anchored then. Put back the copy that the cluster last ran \
         on, or restore a snapshot that was made from it at revision {known} or later"
    )]
    Forked {
        /// Revision here.
        have: i64,
        /// Revision on chain.
        known: i64,
    },
    /// The log says it is the anchored history, and the state is another one.
    #[error(
        "the state at revision {known} is not the one that the chain knows: its root is {found} instead of {expected}. \
         Keep the directory for an examination, and put back another copy, or restore a snapshot that holds revision \
         {known} or a later one"
    )]
    Different {
        /// Revision on chain.
        known: i64,
        /// Root made from the state.
        found: String,
        /// Root on chain.
        expected: String,
    },
    /// The directory belongs to another cluster.
    #[error("the directory holds the state of cluster {found}, and this is the master of cluster {expected}")]
    OtherCluster {
        /// Whose it is.
        found: String,
        /// Whose it should be.
        expected: String,
    },
    /// Its keys are of an earlier generation than those the chain knows of.
    #[error(
        "the files are sealed under generation {have} of the keys, and the chain knows generation {known}: this is a \
         copy from before the keys were rotated. Put back the newest copy of the master's directory"
    )]
    OlderKeys {
        /// Generation here.
        have: u32,
        /// Generation on chain.
        known: u64,
    },
}

/// Whether a store is the cluster's state as the chain knows it, or what came after it.
///
/// A revision that is high enough proves nothing: whoever puts back an old copy can let it run on. What proves descent is
/// the note of the anchored point, which only the history that was anchored has in its log, and the root, made again
/// from history while that is there.
///
/// # Errors
/// It is older, or another history, or another cluster's.
pub fn admit(cluster: Address, anchor: &Anchor, local: &Local) -> Result<Admitted, Refused> {
    let id = cluster.into_inner();
    if let Some(other) = local.notes.iter().find(|note| note.cluster != id) {
        let found = format!("0x{}", hex::encode(&other.cluster));
        return Err(Refused::OtherCluster { found, expected: cluster.to_string() });
    }
    let known = i64::try_from(anchor.revision).unwrap_or(i64::MAX);
    let have = local.revision;
    if known == 0 {
        return Ok(Admitted { anchored: 0, unprotected: have, root_compared: false });
    }
    if have < known {
        return Err(Refused::Older { have, known });
    }
    let noted = local.notes.iter().any(|note| {
        note.revision == known && note.state_root == anchor.state_root && note.log_hash == anchor.log_hash
    });
    if !noted {
        return Err(Refused::Forked { have, known });
    }
    if let Some(root) = local.root_then.filter(|root| root[..] != anchor.state_root[..]) {
        let (found, expected) = (hex::encode(root), hex::encode(&anchor.state_root));
        return Err(Refused::Different { known, found, expected });
    }
    if u64::from(local.key_epoch) < anchor.key_epoch {
        return Err(Refused::OlderKeys { have: local.key_epoch, known: anchor.key_epoch });
    }
    Ok(Admitted { anchored: known, unprotected: have - known, root_compared: local.root_then.is_some() })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const CLUSTER: Address = Address::new([5; 32]);

    fn note(revision: i64, history: u8) -> AnchorNote {
        AnchorNote {
            cluster: CLUSTER.into_inner().to_vec(),
            revision,
            state_root: vec![history; 32],
            log_hash: vec![history.wrapping_add(1); 32],
            confirmed: 0,
            resumes_at: 0,
            confirmed_version: 0,
        }
    }

    fn anchor(revision: u64, history: u8) -> Anchor {
        Anchor {
            id: Address::new([6; 32]),
            version: 1,
            cluster: CLUSTER,
            revision,
            state_root: vec![history; 32],
            log_hash: vec![history.wrapping_add(1); 32],
            blob: Vec::new(),
            key_epoch: 1,
            enclave: None,
            anchored_ms: 0,
        }
    }

    fn local(revision: i64, notes: Vec<AnchorNote>) -> Local {
        Local { revision, root_then: None, key_epoch: 1, notes }
    }

    #[test]
    fn what_was_anchored_and_what_came_after_it_serves() {
        let good = local(12, vec![note(8, 1), note(10, 1), note(12, 1)]);
        let admitted = admit(CLUSTER, &anchor(10, 1), &good).unwrap();
        assert_eq!(admitted, Admitted { anchored: 10, unprotected: 2, root_compared: false });
        let compared = Local { root_then: Some([1; 32]), ..good };
        assert!(admit(CLUSTER, &anchor(10, 1), &compared).unwrap().root_compared);
        let fresh = admit(CLUSTER, &anchor(0, 1), &local(1, Vec::new())).unwrap();
        assert_eq!(fresh, Admitted { anchored: 0, unprotected: 1, root_compared: false });
    }

    #[test]
    fn every_other_state_is_refused_for_its_own_reason() {
        let notes = || vec![note(8, 1), note(10, 1)];
        let refused = |anchor: &Anchor, local: &Local| admit(CLUSTER, anchor, local).unwrap_err();
        let known = anchor(10, 1);
        assert_eq!(refused(&known, &local(9, vec![note(8, 1)])), Refused::Older { have: 9, known: 10 });
        assert_eq!(refused(&known, &local(1, Vec::new())), Refused::Older { have: 1, known: 10 });
        // An old copy that ran on: far enough, but it never was in the anchored state.
        let forked = Refused::Forked { have: 30, known: 10 };
        assert_eq!(refused(&known, &local(30, vec![note(8, 1)])), forked);
        assert_eq!(refused(&known, &local(30, vec![note(8, 1), note(10, 9)])), forked);
        let mut other_root = note(10, 1);
        other_root.state_root = vec![7; 32];
        assert_eq!(refused(&known, &local(30, vec![other_root])), forked);
        let different = Local { root_then: Some([9; 32]), ..local(30, notes()) };
        assert!(matches!(refused(&known, &different), Refused::Different { known: 10, .. }));
        let mut foreign = note(10, 1);
        foreign.cluster = vec![8; 32];
        let foreign = local(30, vec![foreign]);
        assert!(matches!(refused(&known, &foreign), Refused::OtherCluster { .. }));
        assert!(matches!(refused(&anchor(0, 1), &foreign), Refused::OtherCluster { .. }));
        let older_keys = Local { key_epoch: 0, ..local(30, notes()) };
        assert_eq!(refused(&known, &older_keys), Refused::OlderKeys { have: 0, known: 1 });
    }

    proptest! {
        /// Histories branch: each step anchors, copies the directory, or puts a copy back and goes on. Whatever happened,
        /// only what descends from the latest anchored point serves.
        #[test]
        fn only_descendants_of_the_anchored_point_serve(
            steps in proptest::collection::vec((0_u8..4, any::<u8>()), 1..60),
        ) {
            #[derive(Clone, Default)]
            struct Copy { revision: i64, history: Vec<u32>, notes: Vec<AnchorNote> }
            let hash = |history: &[u32]| -> Vec<u8> {
                let mut hash = [0_u8; 32];
                history.iter().enumerate().for_each(|(at, step)| {
                    hash[at % 28..][..4].iter_mut().zip(step.to_le_bytes()).for_each(|(h, s)| *h ^= s);
                });
                hash.to_vec()
            };
            let mut copies = vec![Copy { revision: 1, ..Copy::default() }];
            let mut on_chain = (anchor(0, 0), Vec::new());
            let mut unique = 0_u32;
            for (step, which) in steps {
                let at = usize::from(which) % copies.len();
                match step {
                    0 | 1 => {
                        unique += 1;
                        copies[at].history.push(unique);
                        copies[at].revision += 1;
                    }
                    2 => {
                        let copy = copies[at].clone();
                        copies.push(copy);
                    }
                    _ => {
                        let copy = &mut copies[at];
                        let log_hash = hash(&copy.history);
                        copy.notes.push(AnchorNote { log_hash: log_hash.clone(), ..note(copy.revision, 1) });
                        // The contract takes only what is later.
                        if copy.revision > i64::try_from(on_chain.0.revision).unwrap() {
                            let revision = u64::try_from(copy.revision).unwrap();
                            on_chain = (Anchor { log_hash, ..anchor(revision, 1) }, copy.history.clone());
                        }
                    }
                }
                for copy in &copies {
                    let serves = admit(CLUSTER, &on_chain.0, &local(copy.revision, copy.notes.clone())).is_ok();
                    let descends = on_chain.0.revision == 0 || copy.history.starts_with(&on_chain.1);
                    // Who descends and lacks the note was copied between anchoring's note and post, or before.
                    prop_assert!(!serves || descends, "{:?} serves on {:?}", copy.history, on_chain.1);
                }
            }
        }
    }
}
