use std::collections::VecDeque;

use super::beat::{Contradiction, Sender, Verified};

/// How many statements of a node are remembered.
const KEPT: usize = 8;

/// The last statements of one node, to find two that contradict each other.
#[derive(Clone, Debug, Default)]
pub(super) struct Statements(VecDeque<Stated>);

#[derive(Clone, Debug)]
struct Stated {
    instance: String,
    sequence: u64,
    digest: [u8; 32],
    signature: [u8; 64],
    public_key: [u8; 32],
}

impl Statements {
    /// Compares with what is remembered, and remembers.
    pub(super) fn check(&mut self, sender: Sender<'_>, said: &Verified<'_>) -> Option<Contradiction> {
        let beat = said.beat;
        let same = |known: &&Stated| {
            known.sequence == beat.timestamp_ms
                && known.instance == beat.instance.id
                && known.public_key == said.public_key
        };
        if let Some(known) = self.0.iter().find(same) {
            return (known.digest != said.digest).then(|| Contradiction {
                stake: sender.stake,
                token: sender.token,
                public_key: said.public_key,
                subject: beat.subject(),
                sequence: beat.timestamp_ms,
                statements: [(known.digest, known.signature), (said.digest, said.signature)],
            });
        }
        if self.0.len() == KEPT {
            self.0.pop_front();
        }
        self.0.push_back(Stated {
            instance: beat.instance.id.clone(),
            sequence: beat.timestamp_ms,
            digest: said.digest,
            signature: said.signature,
            public_key: said.public_key,
        });
        None
    }
}
