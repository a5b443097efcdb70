use std::fmt;

use crate::blob_id::BlobId;
use crate::encoding::EncodingError;

/// Why a blob was not stored or not read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum WalrusError {
    /// The blob has no code.
    #[error(transparent)]
    Encoding(#[from] EncodingError),
    /// No endpoint did what was asked of it. Each says why, in the order they were asked.
    #[error("{what}: {}", list(complaints))]
    Exhausted {
        /// What was tried.
        what: String,
        /// One for each attempt.
        complaints: Vec<Complaint>,
    },
    /// Every aggregator that answered says that there is no such blob.
    #[error("no aggregator has blob {0}: it was never stored, or its epochs have passed")]
    NotFound(BlobId),
    /// A configuration that cannot work.
    #[error("{0}")]
    Config(String),
}

/// What was wrong with one endpoint's answer.
#[derive(Debug)]
pub struct Complaint {
    /// The endpoint's URL.
    pub endpoint: String,
    /// What was wrong.
    pub wrong: Wrong,
}

/// How an endpoint can fail.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Wrong {
    /// It could not be reached, or the connection broke.
    #[error("cannot be reached")]
    Transport(#[source] reqwest::Error),
    /// It refused.
    #[error("answers HTTP status {status}: {text}")]
    Status {
        /// HTTP's.
        status: u16,
        /// The beginning of what it said.
        text: String,
    },
    /// It sends more than it should.
    #[error("sends more than {most} bytes")]
    TooLong {
        /// The bound.
        most: usize,
    },
    /// Its answer is not the API's.
    #[error("answers with something else than Walrus's API does: {0}")]
    Answer(String),
    /// It names or hands out another blob. It is broken or lies.
    #[error("LIES: this is blob {right}, and it says or sends {said}")]
    AnotherBlob {
        /// Computed here.
        right: BlobId,
        /// What it said, or what its bytes are.
        said: String,
    },
    /// It stored under other terms than were asked for.
    #[error("stored it under other terms: {0}")]
    Terms(String),
}

impl Wrong {
    /// Whether asking the same endpoint again could help.
    pub(crate) fn may_pass(&self) -> bool {
        match self {
            Wrong::Transport(_) => true,
            Wrong::Status { status, .. } => matches!(status, 408 | 425 | 429 | 500..=599),
            Wrong::TooLong { .. } | Wrong::Answer(_) | Wrong::AnotherBlob { .. } | Wrong::Terms(_) => false,
        }
    }
}

impl fmt::Display for Complaint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.endpoint, self.wrong)
    }
}

fn list(complaints: &[Complaint]) -> String {
    complaints.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")
}
