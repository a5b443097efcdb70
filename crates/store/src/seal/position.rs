use ring::digest::{Context, SHA256};

use super::TAG_BYTES;

/// A point in the log: how many frames there are, the tag of the last one, and a hash over all of them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Position {
    /// Sequence number of the last frame; 0 when there is none.
    pub(crate) sequence: u64,
    /// Tag of the last frame.
    pub(crate) tag: [u8; TAG_BYTES],
    /// Hash over all frames; what anchors hold.
    pub(crate) chain: [u8; 32],
}

impl Position {
    /// The position after one more frame.
    pub(crate) fn next(&self, tag: [u8; TAG_BYTES]) -> Self {
        let mut context = Context::new(&SHA256);
        context.update(&self.chain);
        context.update(&tag);
        let mut chain = [0; 32];
        chain.copy_from_slice(context.finish().as_ref());
        Self { sequence: self.sequence + 1, tag, chain }
    }
}
