use std::io::Read;

use futures::{Stream, stream};
use tonic::Status;

use super::dispatch::{Context, HttpRequest, HttpResponse, server_streaming, unary, unknown};
use super::{ETCD_VERSION, STORAGE_VERSION};
use crate::disk::DiskStream;
use crate::proto::{
    AlarmType, AnyRequest, DefragmentRequest, DefragmentResponse, DowngradeInfo, HashKvRequest,
    HashKvResponse, HashRequest, HashResponse, HeaderResponse, MoveLeaderRequest, ResponseHeader,
    SnapshotRequest, SnapshotResponse, StatusRequest, StatusResponse,
};
use crate::{EtcdError, Store};

const BLOB_BYTES: usize = 256 << 10;

/// Service `etcdserverpb.Maintenance`.
pub(super) async fn call(context: Context, method: &str, request: HttpRequest) -> HttpResponse {
    let store = context.store;
    match method {
        "Status" => unary(request, |_: StatusRequest| async move { Ok(status(&store)) }).await,
        "Alarm" => unary(request, |q| async move { store.alarm(q).await }).await,
        "Defragment" => {
            unary(request, |_: DefragmentRequest| async move {
                store.defragment().await?;
                Ok(DefragmentResponse { header: Some(store.header(store.revision())) })
            })
            .await
        }
        "Hash" => {
            unary(request, |_: HashRequest| async move {
                let (hash, _, revision) = hash(&store, 0).await?;
                Ok(HashResponse { header: Some(store.header(revision)), hash })
            })
            .await
        }
        "HashKV" => {
            unary(request, |q: HashKvRequest| async move {
                let (hash, compact_revision, hash_revision) = hash(&store, q.revision).await?;
                let header = Some(store.header(store.revision()));
                Ok(HashKvResponse { header, hash, compact_revision, hash_revision })
            })
            .await
        }
        "Snapshot" => {
            server_streaming(request, |_: SnapshotRequest| async move { snapshot(&store).await }).await
        }
        "MoveLeader" => {
            unary(request, |_: MoveLeaderRequest| async {
                Err::<HeaderResponse, _>(EtcdError::BadLeaderTransferee)
            })
            .await
        }
        "Downgrade" => {
            const REFUSED: EtcdError =
                EtcdError::Unsupported("the store's format cannot be changed to etcd's");
            unary(request, |_: AnyRequest| async { Err::<HeaderResponse, _>(REFUSED) }).await
        }
        _ => unknown(method),
    }
}

/// A hash takes long: it gets a thread of its own.
async fn hash(store: &Store, revision: i64) -> Result<(u32, i64, i64), EtcdError> {
    let store = store.clone();
    let hash = tokio::task::spawn_blocking(move || store.hash_kv(revision)).await;
    hash.map_err(|error| EtcdError::Failed(error.to_string()))?
}

fn status(store: &Store) -> StatusResponse {
    let status = store.status();
    let (_, member_id) = store.ids();
    let signed = |bytes: u64| i64::try_from(bytes).unwrap_or(i64::MAX);
    let alarm = || format!("memberID:{member_id} alarm:{:?} ", AlarmType::Nospace).to_uppercase();
    StatusResponse {
        header: Some(store.header(status.revision)),
        version: ETCD_VERSION.to_owned(),
        db_size: signed(status.disk_bytes.max(status.used_bytes)),
        leader: member_id,
        raft_index: status.applied,
        raft_term: crate::store::RAFT_TERM,
        raft_applied_index: status.applied,
        errors: if status.full { vec![alarm()] } else { Vec::new() },
        db_size_in_use: signed(status.used_bytes),
        is_learner: false,
        storage_version: STORAGE_VERSION.to_owned(),
        db_size_quota: signed(status.quota_bytes),
        downgrade_info: Some(DowngradeInfo::default()),
    }
}

async fn snapshot(
    store: &Store,
) -> Result<impl Stream<Item = Result<SnapshotResponse, Status>> + Send + use<>, EtcdError> {
    let (file, bytes, revision) = store.snapshot().await?;
    let header = store.header(revision);
    Ok(stream::try_unfold((file, bytes), move |(file, remaining)| async move {
        if remaining == 0 {
            return Ok(None);
        }
        let read = tokio::task::spawn_blocking(move || blob(file, remaining, header)).await;
        let (response, file) = read.map_err(|error| Status::internal(error.to_string()))??;
        let rest = response.remaining_bytes;
        Ok(Some((response, (file, rest))))
    }))
}

fn blob(
    mut file: DiskStream,
    remaining: u64,
    header: ResponseHeader,
) -> Result<(SnapshotResponse, DiskStream), Status> {
    let mut blob = vec![0; BLOB_BYTES];
    let read = file.read(&mut blob).map_err(|error| Status::internal(error.to_string()))?;
    blob.truncate(read);
    let remaining_bytes = remaining.saturating_sub(read as u64);
    if read == 0 {
        return Err(Status::internal("the snapshot ended early"));
    }
    let response = SnapshotResponse {
        header: Some(header),
        remaining_bytes,
        blob: blob.into(),
        version: ETCD_VERSION.to_owned(),
    };
    Ok((response, file))
}
