use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use crate::seal::{Header, Keyring, Kind, Position};

/// What all files of a store share. Clones share the epoch.
#[derive(Clone)]
pub(crate) struct Identity {
    pub(crate) store_id: [u8; 16],
    pub(crate) anchored: bool,
    pub(crate) keyring: Keyring,
    epoch: Arc<AtomicU32>,
}

impl Identity {
    pub(crate) fn new(store_id: [u8; 16], anchored: bool, keyring: Keyring, epoch: u32) -> Self {
        Self { store_id, anchored, keyring, epoch: Arc::new(AtomicU32::new(epoch)) }
    }

    /// Generation of the keys that new files get.
    pub(crate) fn epoch(&self) -> u32 {
        self.epoch.load(Ordering::Relaxed)
    }

    /// Begins the next generation and tells its number.
    pub(crate) fn begin_epoch(&self) -> u32 {
        self.epoch.fetch_add(1, Ordering::Relaxed).saturating_add(1)
    }

    /// A header for a new file.
    pub(crate) fn header(&self, kind: Kind, number: u64, start: Position) -> Header {
        Header {
            kind,
            anchored: self.anchored,
            key_epoch: self.epoch(),
            store_id: self.store_id,
            salt: rand::random(),
            number,
            start,
            root: 0,
        }
    }
}
