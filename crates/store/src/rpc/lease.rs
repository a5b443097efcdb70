use futures::StreamExt;
use tonic::{Status, Streaming};

use super::dispatch::{Context, HttpRequest, HttpResponse, streaming, unary, unknown};
use crate::proto::{LeaseKeepAliveRequest, LeaseLeasesRequest, LeaseLeasesResponse, LeaseStatus};

/// Service `etcdserverpb.Lease`.
pub(super) async fn call(context: Context, method: &str, request: HttpRequest) -> HttpResponse {
    let store = context.store;
    match method {
        "LeaseGrant" => unary(request, |q| async move { store.lease_grant(q).await }).await,
        "LeaseRevoke" => unary(request, |q| async move { store.lease_revoke(q).await }).await,
        "LeaseTimeToLive" => unary(request, |q| async move { Ok(store.lease_time_to_live(q)) }).await,
        "LeaseLeases" => {
            unary(request, |_: LeaseLeasesRequest| async move {
                let leases = store.leases().into_iter().map(|id| LeaseStatus { id }).collect();
                Ok(LeaseLeasesResponse { header: Some(store.header(store.revision())), leases })
            })
            .await
        }
        "LeaseKeepAlive" => {
            let stop = context.stop;
            streaming(request, |requests: Streaming<LeaseKeepAliveRequest>| {
                requests
                    .map(move |request| Ok::<_, Status>(store.lease_keep_alive(request?.id)))
                    .take_until(stop.cancelled_owned())
            })
            .await
        }
        _ => unknown("etcdserverpb.Lease", method),
    }
}
