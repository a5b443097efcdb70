use std::sync::Arc;

use axum::extract::{DefaultBodyLimit, Path, Query, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, put};
use axum::{Json, Router};
use bytes::Bytes;
use serde::Deserialize;
use serde_json::json;
use tokio::sync::Mutex;

use super::shelf::{Record, Shelf, ShelfError};
use super::{Config, now_ms};
use crate::answer::{Answer, BlobObject, Certified, Created, StorageResource};
use crate::blob_id::BlobId;
use crate::encoding::Encoding;
use crate::merkle;

/// What the routes share. One blob is stored at a time.
#[derive(Debug)]
pub(super) struct Service {
    shelf: Mutex<Shelf>,
    encoding: Encoding,
    max_blob: usize,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Terms {
    epochs: Option<u32>,
    permanent: bool,
    deletable: bool,
}

/// The API's refusals.
#[derive(Debug)]
struct Refusal {
    status: StatusCode,
    message: String,
}

/// As on mainnet.
const MAX_EPOCHS: u32 = 53;
const MARK: (HeaderName, HeaderValue) = (
    HeaderName::from_static("x-k3s-daas-simulated"),
    HeaderValue::from_static("walrus-dev: one directory, no storage nodes"),
);

impl Service {
    pub(super) fn new(shelf: Shelf, config: &Config) -> Self {
        Self { shelf: Mutex::new(shelf), encoding: config.encoding, max_blob: config.max_blob }
    }

    async fn store(&self, blob: Bytes, terms: &Terms) -> Result<Answer, Refusal> {
        let epochs = terms.epochs.unwrap_or(1);
        if !(1..=MAX_EPOCHS).contains(&epochs) {
            return Err(Refusal::bad(format!("epochs is from 1 to {MAX_EPOCHS}")));
        }
        if terms.permanent && terms.deletable {
            return Err(Refusal::bad("a blob is permanent or deletable, not both"));
        }
        let encoding = self.encoding;
        let bytes = blob.clone();
        let id = tokio::task::spawn_blocking(move || encoding.blob_id(&bytes))
            .await
            .map_err(Refusal::internal)?
            .map_err(|error| Refusal::bad(error.to_string()))?;

        let shelf = self.shelf.lock().await;
        let now = now_ms();
        let epoch = shelf.epoch(now);
        let before = shelf.record(&id, now)?;
        let deletable = !terms.permanent;
        if let Some(before) = before
            && before.end_epoch >= epoch.saturating_add(epochs)
            && (deletable || !before.deletable)
        {
            let blob_id = id.to_string();
            return Ok(Answer::AlreadyCertified(Certified { blob_id, end_epoch: before.end_epoch }));
        }
        let kept_until = before.map_or(0, |before| before.end_epoch);
        let record =
            Record { start_epoch: epoch, end_epoch: kept_until.max(epoch.saturating_add(epochs)), deletable };
        shelf.keep(&id, &blob, record)?;
        self.created(&id, blob.len() as u64, record)
    }

    fn created(&self, id: &BlobId, size: u64, record: Record) -> Result<Answer, Refusal> {
        let storage_size =
            self.encoding.encoded_length(size).map_err(|error| Refusal::bad(error.to_string()))?;
        let object = |kind: &[u8]| format!("0x{}", hex::encode(merkle::hash(&[kind, &id.0])));
        Ok(Answer::NewlyCreated(Created {
            blob_object: BlobObject {
                id: object(b"simulated blob"),
                registered_epoch: record.start_epoch,
                blob_id: id.to_string(),
                size,
                encoding_type: "RS2".to_owned(),
                certified_epoch: Some(record.start_epoch),
                storage: StorageResource {
                    id: object(b"simulated storage"),
                    start_epoch: record.start_epoch,
                    end_epoch: record.end_epoch,
                    storage_size,
                },
                deletable: record.deletable,
            },
            cost: 0,
        }))
    }
}

pub(super) fn routes(service: Arc<Service>) -> Router {
    let limit = DefaultBodyLimit::max(service.max_blob);
    Router::new()
        .route("/v1/blobs", put(store))
        .route("/v1/blobs/{id}", get(read))
        .route("/status", get(|| async { ([MARK], "OK") }))
        .layer(limit)
        .with_state(service)
}

async fn store(
    State(service): State<Arc<Service>>,
    Query(terms): Query<Terms>,
    blob: Bytes,
) -> Result<Response, Refusal> {
    let answer = service.store(blob, &terms).await?;
    Ok(([MARK], Json(answer)).into_response())
}

async fn read(
    State(service): State<Arc<Service>>,
    Path(id): Path<String>,
    headers: HeaderMap,
) -> Result<Response, Refusal> {
    let id: BlobId = id.parse().map_err(|error| Refusal::bad(format!("{error}")))?;
    let blob = service.shelf.lock().await.blob(&id, now_ms())?;
    let Some(blob) = blob else {
        let message = "the requested blob ID does not exist on Walrus, ensure that it was entered correctly";
        return Err(Refusal { status: StatusCode::NOT_FOUND, message: message.to_owned() });
    };
    let kind = (header::CONTENT_TYPE, HeaderValue::from_static("application/octet-stream"));
    let Some(range) = headers.get(header::RANGE) else {
        return Ok(([kind, MARK], blob).into_response());
    };
    let Some((from, to)) = range.to_str().ok().and_then(|text| span(text, blob.len())) else {
        let message = format!("no such range of {} bytes", blob.len());
        return Err(Refusal { status: StatusCode::RANGE_NOT_SATISFIABLE, message });
    };
    let place = format!("bytes {from}-{}/{}", to - 1, blob.len());
    let place = (header::CONTENT_RANGE, HeaderValue::try_from(place).map_err(Refusal::internal)?);
    Ok((StatusCode::PARTIAL_CONTENT, [kind, place, MARK], blob.slice(from..to)).into_response())
}

/// `bytes=FROM-`, `bytes=FROM-TO` or `bytes=-LAST` (RFC 9110, 14.1.2), one of them, as start and end.
fn span(text: &str, length: usize) -> Option<(usize, usize)> {
    let (from, to) = text.strip_prefix("bytes=")?.split_once('-')?;
    let (from, to) = match (from, to) {
        ("", last) => (length.saturating_sub(last.parse().ok()?), length),
        (from, "") => (from.parse().ok()?, length),
        (from, to) => (from.parse().ok()?, to.parse::<usize>().ok()?.saturating_add(1).min(length)),
    };
    (from < to).then_some((from, to))
}

impl Refusal {
    fn bad(message: impl Into<String>) -> Self {
        Self { status: StatusCode::BAD_REQUEST, message: message.into() }
    }

    fn internal(error: impl std::fmt::Display) -> Self {
        tracing::error!("walrus-dev (simulated): {error}");
        let message = "an internal error has occurred".to_owned();
        Self { status: StatusCode::INTERNAL_SERVER_ERROR, message }
    }
}

impl From<ShelfError> for Refusal {
    fn from(error: ShelfError) -> Self {
        Self::internal(error)
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let status = match self.status {
            StatusCode::NOT_FOUND => "NOT_FOUND",
            StatusCode::BAD_REQUEST => "INVALID_ARGUMENT",
            StatusCode::RANGE_NOT_SATISFIABLE => "OUT_OF_RANGE",
            _ => "INTERNAL",
        };
        let code = self.status.as_u16();
        let error =
            json!({ "error": { "status": status, "code": code, "message": self.message, "details": [] } });
        (self.status, [MARK], Json(error)).into_response()
    }
}

#[cfg(test)]
mod tests {
    use super::span;

    #[test]
    fn ranges() {
        assert_eq!(span("bytes=0-0", 10), Some((0, 1)));
        assert_eq!(span("bytes=3-", 10), Some((3, 10)));
        assert_eq!(span("bytes=-4", 10), Some((6, 10)));
        assert_eq!(span("bytes=-40", 10), Some((0, 10)));
        assert_eq!(span("bytes=5-18446744073709551615", 10), Some((5, 10)));
        for wrong in ["bytes=10-", "bytes=5-4", "bytes=-0", "bytes=-", "bytes=a-b", "lines=0-1", ""] {
            assert_eq!(span(wrong, 10), None, "{wrong}");
        }
    }
}
