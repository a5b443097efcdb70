use std::time::SystemTime;

/// Whether an endpoint answers, since when, and why not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reachability {
    /// Whether the last attempt succeeded.
    pub reachable: bool,
    /// Since when `reachable` is what it is.
    pub since: SystemTime,
    /// The last success.
    pub last_contact: Option<SystemTime>,
    /// The highest checkpoint known to exist. Who has worked off this one has caught up.
    pub height: Option<u64>,
    /// Why the last attempt failed.
    pub error: Option<String>,
}

impl Reachability {
    pub(crate) fn unknown(now: SystemTime) -> Reachability {
        Reachability { reachable: false, since: now, last_contact: None, height: None, error: None }
    }

    /// Notes a success; gives whether that is news.
    pub(crate) fn contact(&mut self, now: SystemTime, height: Option<u64>) -> bool {
        let news = !self.reachable;
        if news {
            self.since = now;
        }
        self.reachable = true;
        self.last_contact = Some(now);
        self.height = self.height.max(height);
        self.error = None;
        news
    }

    /// Notes a failure; gives whether that is news.
    pub(crate) fn lost(&mut self, now: SystemTime, error: String) -> bool {
        let news = self.reachable || self.error.as_ref() != Some(&error);
        if self.reachable {
            self.since = now;
        }
        self.reachable = false;
        self.error = Some(error);
        news
    }
}

/// Why following ended for good.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum FollowError {
    /// The endpoint serves another chain: a development chain was reset, or the URL changed.
    #[error(
        "the endpoint serves chain {found}, not {expected}; if the chain was reset, everything on it has to be set up again"
    )]
    ChainChanged {
        /// Identifier that the cursor belongs to.
        expected: String,
        /// Identifier that the endpoint gives.
        found: String,
    },
    /// The endpoint no longer has the checkpoints that come next.
    #[error(
        "the endpoint has dropped checkpoints before {lowest}, but {next} comes next; use an archive endpoint"
    )]
    Pruned {
        /// The checkpoint that was needed.
        next: u64,
        /// The oldest that is left.
        lowest: u64,
    },
    /// The follower was asked again after its last error.
    #[error("following the chain has ended")]
    Ended,
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn only_news_is_news() {
        let start = SystemTime::UNIX_EPOCH;
        let later = start + Duration::from_secs(9);
        let mut status = Reachability::unknown(start);
        assert!(status.contact(start, None));
        assert!(!status.contact(later, Some(3)));
        assert_eq!((status.since, status.last_contact), (start, Some(later)));
        assert!(status.lost(later, "refused".into()));
        assert!(!status.lost(later + Duration::from_secs(1), "refused".into()));
        assert_eq!(status.since, later);
        assert!(status.contact(later, Some(3)));
        assert_eq!(status.error, None);
    }
}
