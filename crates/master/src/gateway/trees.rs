use std::collections::BTreeMap;
use std::sync::Arc;

use chain::{Address, RewardTree};
use parking_lot::Mutex;

/// So many epochs, the newest ones: what stakers ask for. A tree of 65,536 shares, the most that there can be, takes 5 MB.
const KEPT: usize = 3;

/// The tree of an epoch that was posted, which never changes.
pub(crate) struct EpochTree {
    /// The epoch's object on chain.
    pub(crate) epoch: Address,
    /// Its shares.
    pub(crate) tree: RewardTree,
}

/// Trees of the newest epochs that were asked for, so that a proof hashes one shard and not all that were ever earned in the epoch.
#[derive(Default)]
pub(crate) struct Trees {
    kept: Mutex<BTreeMap<u64, Arc<EpochTree>>>,
    /// Held while one is made, which takes some ten milliseconds of a processor: once is enough, whoever asks.
    pub(crate) making: tokio::sync::Mutex<()>,
}

impl Trees {
    pub(crate) fn get(&self, number: u64) -> Option<Arc<EpochTree>> {
        self.kept.lock().get(&number).cloned()
    }

    /// Keeps it, unless there are newer ones enough.
    pub(crate) fn keep(&self, number: u64, tree: Arc<EpochTree>) {
        let mut kept = self.kept.lock();
        kept.insert(number, tree);
        while kept.len() > KEPT {
            kept.pop_first();
        }
    }
}

#[cfg(test)]
mod tests {
    use chain::Share;

    use super::*;

    #[test]
    fn the_newest_are_kept_whatever_is_asked_for() {
        let trees = Trees::default();
        let share = Share { stake: Address::ZERO, owner: Address::ZERO, weight: 1 };
        let tree = |number| {
            let tree = RewardTree::new(Address::ZERO, number, vec![share]).unwrap();
            Arc::new(EpochTree { epoch: Address::ZERO, tree })
        };
        for number in [5, 9, 1, 8, 2, 7, 3] {
            trees.keep(number, tree(number));
        }
        let kept: Vec<u64> = (0..10).filter(|number| trees.get(*number).is_some()).collect();
        assert_eq!(kept, [7, 8, 9]);
    }
}
