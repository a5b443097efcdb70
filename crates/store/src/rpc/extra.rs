use futures::{Stream, stream};
use tonic::Status;

use super::dispatch::{Context, HttpRequest, HttpResponse, server_streaming, streaming, unary, unknown};
use super::reflection;
use crate::proto::{
    AnchorNowRequest, AnchorNowResponse, CopyNowRequest, CopyNowResponse, HealthCheckRequest,
    HealthCheckResponse, HistoryRequest, ProveRequest, ProveResponse, RotateKeyRequest, RotateKeyResponse,
    ServingStatus,
};
use crate::{EtcdError, Store};

/// The services beside etcd's own; `None` for others.
pub(super) async fn call(
    context: &Context,
    service: &str,
    method: &str,
    request: HttpRequest,
) -> Option<HttpResponse> {
    let store = context.store.clone();
    Some(match (service, method) {
        ("grpc.health.v1.Health", "Check") => {
            unary(request, |q: HealthCheckRequest| async move { check(&store, &q) }).await
        }
        ("grpc.health.v1.Health", "Watch") => {
            let stop = context.stop.clone();
            server_streaming(request, |q: HealthCheckRequest| async move {
                let watched = stream::StreamExt::take_until(watch(store, &q), stop.cancelled_owned());
                Ok::<_, EtcdError>(watched)
            })
            .await
        }
        ("k3s_daas.store.v1.Admin", "RotateKey") => {
            unary(request, |_: RotateKeyRequest| async move {
                Ok(RotateKeyResponse { key_epoch: store.rotate_key().await? })
            })
            .await
        }
        ("k3s_daas.store.v1.Admin", "Prove") => {
            unary(request, |q: ProveRequest| async move {
                let work = move || prove(&store, &q);
                tokio::task::spawn_blocking(work).await.map_err(|_| EtcdError::Stopped)?
            })
            .await
        }
        ("k3s_daas.store.v1.Admin", "Anchor") => {
            unary(request, |_: AnchorNowRequest| async move {
                Ok(AnchorNowResponse { revision: store.request_anchor().await? })
            })
            .await
        }
        ("k3s_daas.store.v1.Admin", "History") => {
            unary(request, |q: HistoryRequest| async move { store.key_history(&q) }).await
        }
        ("k3s_daas.store.v1.Admin", "Copy") => {
            unary(request, |_: CopyNowRequest| async move {
                Ok(CopyNowResponse { name: store.request_copy().await? })
            })
            .await
        }
        (
            "grpc.reflection.v1.ServerReflection" | "grpc.reflection.v1alpha.ServerReflection",
            "ServerReflectionInfo",
        ) => {
            let stop = context.stop.clone();
            streaming(request, |requests| {
                stream::StreamExt::take_until(reflection::answers(requests), stop.cancelled_owned())
            })
            .await
        }
        ("grpc.health.v1.Health" | "k3s_daas.store.v1.Admin", _) => unknown(service, method),
        _ => return None,
    })
}

fn prove(store: &Store, request: &ProveRequest) -> Result<ProveResponse, EtcdError> {
    let revision = match (request.revision, store.anchored_revision()) {
        (0, 0) => store.revision(),
        (0, anchored) => anchored,
        (revision, _) => revision,
    };
    let (proof, value) = store.prove(&request.key, revision)?;
    Ok(ProveResponse { value: value.unwrap_or_default(), ..proof.into() })
}

/// As in etcd there is one service, the server as a whole.
fn check(store: &Store, request: &HealthCheckRequest) -> Result<HealthCheckResponse, EtcdError> {
    if !request.service.is_empty() {
        return Err(EtcdError::UnknownService);
    }
    Ok(now(store))
}

fn now(store: &Store) -> HealthCheckResponse {
    let status = if store.alive().is_ok() { ServingStatus::Serving } else { ServingStatus::NotServing };
    HealthCheckResponse { status: status as i32 }
}

/// The status now, and once more when the store stops.
fn watch(
    store: Store,
    request: &HealthCheckRequest,
) -> impl Stream<Item = Result<HealthCheckResponse, Status>> + Send + use<> {
    let known = request.service.is_empty();
    stream::unfold(0, move |told| {
        let store = store.clone();
        async move {
            let response = match told {
                0 if known => now(&store),
                0 => HealthCheckResponse { status: ServingStatus::ServiceUnknown as i32 },
                1 if known => {
                    store.failed().await;
                    HealthCheckResponse { status: ServingStatus::NotServing as i32 }
                }
                _ => std::future::pending().await,
            };
            Some((Ok(response), told + 1))
        }
    })
}
