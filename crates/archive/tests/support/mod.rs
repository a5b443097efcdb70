use chain::{Address, Anchor};
use store::root::StateRoot;

pub(crate) const CLUSTER: Address = Address::new([5; 32]);

/// The anchor that has this root.
pub(crate) fn anchor(root: &StateRoot) -> Anchor {
    Anchor {
        id: Address::new([6; 32]),
        version: 1,
        cluster: CLUSTER,
        revision: u64::try_from(root.point.revision).unwrap(),
        state_root: root.root.to_vec(),
        log_hash: root.point.chain.to_vec(),
        blob: Vec::new(),
        key_epoch: 1,
        enclave: None,
        anchored_ms: 77,
    }
}
