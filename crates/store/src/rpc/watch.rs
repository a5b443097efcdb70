use futures::{Stream, StreamExt, stream};
use tokio_util::sync::CancellationToken;
use tonic::{Status, Streaming};

use super::dispatch::{Context, HttpRequest, HttpResponse, streaming, unknown};
use crate::proto::{WatchRequest, WatchResponse};
use crate::{EtcdError, Store, WatchStream};

/// Service `etcdserverpb.Watch`.
pub(super) async fn call(context: Context, method: &str, request: HttpRequest) -> HttpResponse {
    match method {
        "Watch" => streaming(request, |requests| responses(&context.store, requests, context.stop)).await,
        _ => unknown("etcdserverpb.Watch", method),
    }
}

/// Responses are made as the client takes them; requests are read in between.
fn responses(
    store: &Store,
    requests: Streaming<WatchRequest>,
    stop: CancellationToken,
) -> impl Stream<Item = Result<WatchResponse, Status>> + Send + use<> {
    let open = Open { watches: store.watch(), requests, stop };
    stream::unfold(Some(open), |open| async move {
        let mut open = open?;
        open.next().await.map(|item| {
            let rest = item.is_ok().then_some(open);
            (item, rest)
        })
    })
}

struct Open {
    watches: WatchStream,
    requests: Streaming<WatchRequest>,
    stop: CancellationToken,
}

impl Open {
    async fn next(&mut self) -> Option<Result<WatchResponse, Status>> {
        loop {
            tokio::select! {
                () = self.stop.cancelled() => return Some(Err(EtcdError::Stopped.into())),
                response = self.watches.next() => return Some(Ok(response)),
                request = self.requests.next() => match request {
                    Some(Ok(request)) => self.watches.request(&request),
                    // The client is done or gone: so is the stream.
                    Some(Err(_)) | None => return None,
                },
            }
        }
    }
}
