use std::io::Read;

use futures::{Stream, stream};
use tonic::Status;

use super::dispatch::{Context, HttpRequest, HttpResponse, server_streaming, unary, unknown};
use super::{CLUSTER_VERSION, ETCD_VERSION, STORAGE_VERSION};
use crate::disk::DiskStream;
use crate::proto::{
    AlarmMember, AlarmType, AnyResponse, DefragmentRequest, DefragmentResponse, DowngradeAction,
    DowngradeInfo, DowngradeRequest, DowngradeResponse, HashKvRequest, HashKvResponse, HashRequest,
    HashResponse, MoveLeaderRequest, SnapshotRequest, SnapshotResponse, StatusRequest, StatusResponse,
};
use crate::{EtcdError, Store};

const BLOB_BYTES: usize = 256 << 10;
/// SHA-256 behind a snapshot.
const CHECKSUM_BYTES: u64 = 32;

/// Service `etcdserverpb.Maintenance`.
pub(super) async fn call(context: Context, method: &str, request: HttpRequest) -> HttpResponse {
    let store = context.store;
    match method {
        "Status" => unary(request, |_: StatusRequest| async move { Ok(status(&store)) }).await,
        "Alarm" => unary(request, |q| async move { store.alarm(q).await }).await,
        "Defragment" => {
            unary(request, |_: DefragmentRequest| async move {
                store.defragment().await?;
                Ok(DefragmentResponse { header: None })
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
            unary(request, |q: MoveLeaderRequest| async move {
                let (_, ours) = store.ids();
                let answer = AnyResponse {};
                if q.target_id == ours { Ok(answer) } else { Err(EtcdError::BadLeaderTransferee) }
            })
            .await
        }
        "Downgrade" => unary(request, |q| async move { downgrade(&store, &q) }).await,
        _ => unknown("etcdserverpb.Maintenance", method),
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
    // As Go prints the message.
    let alarm =
        |alarm: &AlarmMember| format!("memberID:{} alarm:{} ", alarm.member_id, alarm_name(alarm.alarm));
    StatusResponse {
        header: Some(store.header(status.revision)),
        version: ETCD_VERSION.to_owned(),
        db_size: signed(status.disk_bytes.max(status.used_bytes)),
        leader: member_id,
        raft_index: status.applied,
        raft_term: crate::store::RAFT_TERM,
        raft_applied_index: status.applied,
        errors: store.alarms().iter().map(alarm).collect(),
        db_size_in_use: signed(status.used_bytes),
        is_learner: false,
        storage_version: STORAGE_VERSION.to_owned(),
        db_size_quota: signed(status.quota_bytes),
        downgrade_info: Some(DowngradeInfo::default()),
    }
}

/// etcd's name of an alarm.
pub(super) fn alarm_name(alarm: i32) -> String {
    match AlarmType::try_from(alarm) {
        Ok(AlarmType::None) => "NONE".to_owned(),
        Ok(AlarmType::Nospace) => "NOSPACE".to_owned(),
        Ok(AlarmType::Corrupt) => "CORRUPT".to_owned(),
        Err(_) => alarm.to_string(),
    }
}

/// The store's format is not etcd's, so there is nothing to downgrade to.
fn downgrade(store: &Store, request: &DowngradeRequest) -> Result<DowngradeResponse, EtcdError> {
    const REFUSED: EtcdError = EtcdError::Unsupported("the store's format cannot be changed to etcd's");
    match DowngradeAction::try_from(request.action) {
        Ok(DowngradeAction::Cancel) => Ok(DowngradeResponse {
            header: Some(store.header(store.revision())),
            version: CLUSTER_VERSION.to_owned(),
        }),
        Ok(DowngradeAction::Validate | DowngradeAction::Enable) => {
            let mut parts = request.version.split('.').map(|part| part.parse::<u16>().ok());
            match (parts.next().flatten(), parts.next().flatten()) {
                (Some(3), Some(5)) => Err(REFUSED),
                (Some(_), Some(_)) => Err(EtcdError::InvalidDowngradeTargetVersion),
                _ => Err(EtcdError::WrongDowngradeVersionFormat),
            }
        }
        Err(_) => Err(EtcdError::UnknownMethod),
    }
}

async fn snapshot(
    store: &Store,
) -> Result<impl Stream<Item = Result<SnapshotResponse, Status>> + Send + use<>, EtcdError> {
    let (file, bytes, revision) = store.snapshot().await?;
    tracing::info!(bytes, revision, "sending a sealed snapshot to a client");
    Ok(stream::try_unfold((file, bytes), move |(file, remaining)| async move {
        if remaining == 0 {
            return Ok(None);
        }
        let read = tokio::task::spawn_blocking(move || blob(file, remaining)).await;
        let (response, rest, file) = read.map_err(|error| Status::internal(error.to_string()))??;
        Ok(Some((response, (file, rest))))
    }))
}

fn blob(mut file: DiskStream, remaining: u64) -> Result<(SnapshotResponse, u64, DiskStream), Status> {
    // The checksum comes alone, as in etcd.
    let wanted = if remaining > CHECKSUM_BYTES { remaining - CHECKSUM_BYTES } else { remaining };
    let mut blob = vec![0; usize::try_from(wanted).unwrap_or(BLOB_BYTES).min(BLOB_BYTES)];
    let read = file.read(&mut blob).map_err(|error| Status::internal(error.to_string()))?;
    blob.truncate(read);
    let left = remaining.saturating_sub(read as u64);
    if read == 0 {
        return Err(Status::internal("the snapshot ended early"));
    }
    let response = SnapshotResponse {
        header: None,
        // etcd does not count the checksum.
        remaining_bytes: left.saturating_sub(CHECKSUM_BYTES),
        blob: blob.into(),
        version: STORAGE_VERSION.to_owned(),
    };
    Ok((response, left, file))
}
