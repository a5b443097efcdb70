use super::State;

/// Notes that are kept at most. Each point that may be on chain is among them, unless this many were noted after it
/// without one being confirmed.
const MAX_NOTES: usize = 1024;

/// That a point of this log was about to be anchored. It is in the log before the point is anywhere else, so a store
/// that lacks the note of an anchored point is not the one that was anchored, however far it is.
#[derive(Clone, PartialEq, Eq, Hash, prost::Message)]
pub struct AnchorNote {
    /// The cluster, as it is named on chain; 32 bytes.
    #[prost(bytes = "vec", tag = "1")]
    pub cluster: Vec<u8>,
    /// Revision of the point.
    #[prost(int64, tag = "2")]
    pub revision: i64,
    /// Root of the state at it.
    #[prost(bytes = "vec", tag = "3")]
    pub state_root: Vec<u8>,
    /// Hash over the log up to it.
    #[prost(bytes = "vec", tag = "4")]
    pub log_hash: Vec<u8>,
    /// The revision that was anchored for certain when this was noted; notes of earlier ones can go.
    #[prost(int64, tag = "5")]
    pub confirmed: i64,
    /// Not 0: this store was recovered from a snapshot that is older than the point, and goes on from this revision. What is
    /// younger than the snapshot is lost; its revisions are never given out again.
    #[prost(int64, tag = "6")]
    pub resumes_at: i64,
    /// Version of the anchor on chain that has the `confirmed` revision; 0 when it is not known.
    #[prost(uint64, tag = "7")]
    pub confirmed_version: u64,
}

impl State {
    /// Points that were anchored, or were about to be, oldest first.
    pub fn anchors(&self) -> impl DoubleEndedIterator<Item = &AnchorNote> {
        self.anchors.iter()
    }

    pub(super) fn note_anchor(&mut self, note: AnchorNote) {
        if note.resumes_at > self.revision {
            // As etcdutl does with --bump-revision and --mark-compacted: no client's cache fits any more, and none is believed.
            self.revision = note.resumes_at;
            self.compact_revision = note.resumes_at;
            // What a copy has of the lost revisions is another history: changes are told from here on only.
            self.kept_from = note.resumes_at;
        }
        self.anchors.retain(|known| known.revision >= note.confirmed);
        self.anchors.push_back(note);
        if self.anchors.len() > MAX_NOTES {
            self.anchors.pop_front();
        }
    }
}
