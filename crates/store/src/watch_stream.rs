use std::sync::Arc;

use tokio::sync::Notify;

use crate::proto::{WatchRequest, WatchRequestUnion, WatchResponse};
use crate::store::Store;
use crate::watch::{Polled, StreamId};

/// One stream of watches of a [`Store`]; closes when dropped.
///
/// Responses are made when they are asked for: a reader that does not ask costs bounded memory.
#[derive(Debug)]
pub struct WatchStream {
    store: Store,
    id: StreamId,
    wake: Arc<Notify>,
}

impl WatchStream {
    pub(crate) fn open(store: Store) -> Self {
        let wake = Arc::new(Notify::new());
        let id = store.shared().hub.lock().open(wake.clone());
        Self { store, id, wake }
    }

    /// Creates or cancels a watch, or asks for progress; the answer comes with [`WatchStream::next`].
    pub fn request(&self, request: &WatchRequest) {
        let mut hub = self.store.shared().hub.lock();
        match &request.request_union {
            Some(WatchRequestUnion::Create(create)) => hub.create(self.id, create),
            Some(WatchRequestUnion::Cancel(cancel)) => hub.cancel(self.id, cancel.watch_id),
            Some(WatchRequestUnion::Progress(_)) => hub.request_progress(self.id),
            None => return,
        }
        drop(hub);
        self.wake.notify_one();
    }

    /// The next response. Nothing is lost when the future is dropped.
    pub async fn next(&self) -> WatchResponse {
        loop {
            match self.poll() {
                Polled::Response(mut response) => {
                    self.store.fill(&mut response.header);
                    return response;
                }
                Polled::Again => tokio::task::yield_now().await,
                Polled::Idle => self.wake.notified().await,
            }
        }
    }

    fn poll(&self) -> Polled {
        let shared = self.store.shared();
        let mut hub = shared.hub.lock();
        if hub.needs_history(self.id) {
            let state = shared.state.read();
            hub.poll(self.id, Some(&state))
        } else {
            hub.poll(self.id, None)
        }
    }
}

impl Drop for WatchStream {
    fn drop(&mut self) {
        self.store.shared().hub.lock().close(self.id);
    }
}
