use super::{RecordWire, State};
use crate::proto::{HistoryRequest, HistoryResponse};

/// An answer is closed when it has this many bytes of keys and values.
const PAGE_BYTES: u64 = 2 << 20;

impl State {
    /// The versions of one key that are in memory, compacted or not, the newest first; deletions are versions too. A revision is never
    /// torn apart: `limit` may be exceeded by what is of the same one.
    pub fn key_history(&self, request: &HistoryRequest) -> HistoryResponse {
        let until = if request.until > 0 { request.until } else { i64::MAX };
        let limit = usize::try_from(request.limit).ok().filter(|limit| *limit > 0).unwrap_or(usize::MAX);
        let (mut versions, mut bytes, mut more) = (Vec::<RecordWire>::new(), 0, false);
        let all = self.keys.get(&request.key).into_iter().flat_map(|history| history.versions().rev());
        let wanted = |revision: i64| request.from <= revision && revision <= until;
        for record in all.filter(|record| wanted(record.mod_revision)) {
            let new = versions.last().is_some_and(|last| last.mod_revision != record.mod_revision);
            if new && (versions.len() >= limit || bytes >= PAGE_BYTES) {
                more = true;
                break;
            }
            bytes += record.weight();
            versions.push(RecordWire::from(&**record));
        }
        HistoryResponse {
            revision: self.revision,
            compact_revision: self.compact_revision,
            kept_from: self.kept_from.max(1),
            versions,
            more,
            anchors: self.anchors.iter().cloned().collect(),
        }
    }
}
