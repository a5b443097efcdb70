//! A ledger in pieces, to be written down and put together again.
//!
//! What a snapshot holds is the live objects, which identifiers are gone, the epochs, and the checkpoints
//! that are kept. Everything before those is left out: starting from a snapshot takes as long as there is
//! state, and not as long as there was history.

use std::sync::Arc;

use sui_sdk_types::{Address, Digest, Object, Version};

use super::Ledger;
use super::history::{Checkpoint, Commit, Epoch, History};
use super::objects::StoredObject;
use super::replay::{self, ReplayError};

/// Objects and identifiers in one piece, at most; a record of the journal must have room for them.
const IN_A_PIECE: usize = 256;

/// What a snapshot starts with.
#[derive(Clone, Debug, serde::Serialize, serde::Deserialize)]
pub struct Base {
    /// Digest of the first checkpoint ever.
    pub chain_id: Digest,
    /// Sequence number of the latest checkpoint in it.
    pub height: u64,
    /// All epochs that began.
    pub epochs: Vec<Epoch>,
}

/// A piece of a snapshot.
#[derive(Clone, Debug, serde::Serialize, serde::Deserialize)]
pub enum Piece {
    /// The first.
    Base(Base),
    /// Live objects.
    Live(Vec<Object>),
    /// Identifiers of objects that are gone, and since when.
    Removed(Vec<(Address, Version)>),
    /// A checkpoint that is kept, in order.
    Past(Box<Commit>),
}

impl Ledger {
    /// The ledger in pieces; nothing if there is no checkpoint yet.
    pub fn pieces(&self) -> impl Iterator<Item = Piece> {
        let base = self.history().genesis().map(|chain_id| {
            let epochs = self.history().epochs().to_vec();
            Piece::Base(Base { chain_id, height: self.height(), epochs })
        });
        let live: Vec<&Arc<StoredObject>> = self.objects().iter().collect();
        let removed: Vec<(Address, Version)> = self.objects().all_removed().collect();
        let live = chunks(live, |object| object.object().clone()).map(Piece::Live);
        let removed = chunks(removed, |gone| gone).map(Piece::Removed);
        let past =
            self.history().checkpoints().map(|checkpoint| Piece::Past(Box::new(Commit::of(checkpoint))));
        base.into_iter().chain(live).chain(removed).chain(past)
    }

    /// Adds a piece. The pieces of a snapshot must come in order, the base first.
    ///
    /// # Errors
    ///
    /// [`ReplayError`] if it does not fit what is there; the ledger is as it was.
    pub fn add(&mut self, piece: Piece) -> Result<(), ReplayError> {
        match piece {
            Piece::Base(base) => {
                if self.history().genesis().is_some() {
                    return Err(ReplayError::Snapshot("it does not come first"));
                }
                self.history = History::resume(base.chain_id, base.epochs);
            }
            Piece::Live(objects) => {
                for object in objects {
                    self.objects.write(StoredObject::new(object));
                }
            }
            Piece::Removed(gone) => {
                gone.into_iter().for_each(|(id, version)| self.objects.keep_removed(id, version));
            }
            Piece::Past(commit) => {
                let checkpoint = replay::check(*commit, self.history().tip())?;
                self.keep(checkpoint)?;
            }
        }
        Ok(())
    }

    /// Takes a checkpoint whose outcome is in the live objects already.
    fn keep(&mut self, checkpoint: Checkpoint) -> Result<(), ReplayError> {
        let Some(genesis) = self.history().genesis() else {
            return Err(ReplayError::Snapshot("it has no base"));
        };
        if checkpoint.summary.sequence_number == 0 && checkpoint.digest != genesis {
            return Err(ReplayError::Snapshot("its first checkpoint is another chain's"));
        }
        for transaction in &checkpoint.transactions {
            transaction.written.iter().for_each(|object| self.objects.keep(object.clone()));
        }
        self.history.keep(Arc::new(checkpoint));
        Ok(())
    }
}

fn chunks<T, U>(items: Vec<T>, mut each: impl FnMut(T) -> U) -> impl Iterator<Item = Vec<U>> {
    let mut items = items.into_iter();
    std::iter::from_fn(move || {
        let chunk: Vec<U> = items.by_ref().take(IN_A_PIECE).map(&mut each).collect();
        (!chunk.is_empty()).then_some(chunk)
    })
}
