use std::time::Duration;

use axum::body::Body;
use bytes::{Bytes, BytesMut};
use http::{HeaderMap, header};
use http_body_util::BodyExt;
use serde::de::DeserializeOwned;
use tokio::time::{Instant, timeout_at};

use super::limits::GatewayLimits;
use super::problem::Problem;

/// A body that is too large is read on and thrown away up to this many times the limit, so that the peer
/// gets to see the answer instead of a reset connection.
const DRAIN_FACTOR: usize = 4;

/// Reads a JSON body of at most [`GatewayLimits::max_body_bytes`].
pub(super) async fn json<T: DeserializeOwned>(
    limits: &GatewayLimits,
    headers: &HeaderMap,
    body: Body,
) -> Result<T, Problem> {
    require_type(headers, &["application/json"], false, "application/json")?;
    let bytes = read(limits.max_body_bytes, limits.body_timeout_ms, headers, body).await?;
    // The error says where and what was expected; serde_json quotes no string of the body but unknown field
    // names, which are cut.
    serde_json::from_slice(&bytes)
        .map_err(|error| Problem::BadJson { problem: error.to_string().chars().take(200).collect() })
}

/// Reads a PKCS#10 request, DER or PEM, of at most [`GatewayLimits::max_csr_bytes`]; returns DER.
pub(super) async fn csr(limits: &GatewayLimits, headers: &HeaderMap, body: Body) -> Result<Vec<u8>, Problem> {
    const TYPES: [&str; 5] = [
        "application/pkcs10",
        "application/octet-stream",
        "application/x-pem-file",
        "application/x-www-form-urlencoded",
        "text/plain",
    ];
    // An unmodified K3s agent names no type, and curl by default names that of a form.
    require_type(headers, &TYPES, true, "application/pkcs10")?;
    let bytes = read(limits.max_csr_bytes, limits.body_timeout_ms, headers, body).await?;
    if !bytes.starts_with(b"-----") {
        return Ok(bytes.to_vec());
    }
    match rustls_pemfile::csr(&mut &bytes[..]) {
        Ok(Some(der)) => Ok(der.to_vec()),
        _ => Err(Problem::BadCsr { problem: "no CERTIFICATE REQUEST in the PEM".to_owned() }),
    }
}

fn require_type(
    headers: &HeaderMap,
    types: &[&str],
    optional: bool,
    expected: &'static str,
) -> Result<(), Problem> {
    let Some(value) = headers.get(header::CONTENT_TYPE) else {
        return if optional { Ok(()) } else { Err(Problem::ContentType { expected }) };
    };
    let essence = value.to_str().unwrap_or_default().split(';').next().unwrap_or_default().trim();
    match types.iter().any(|known| known.eq_ignore_ascii_case(essence)) {
        true => Ok(()),
        false => Err(Problem::ContentType { expected }),
    }
}

async fn read(limit: usize, timeout_ms: u64, headers: &HeaderMap, mut body: Body) -> Result<Bytes, Problem> {
    let deadline = Instant::now() + Duration::from_millis(timeout_ms);
    let declared =
        headers.get(header::CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse::<u64>().ok());
    let too_long = declared.is_some_and(|length| length > limit as u64);
    let mut bytes = BytesMut::new();
    let mut total = 0usize;
    loop {
        let frame = match timeout_at(deadline, body.frame()).await {
            Ok(None) => break,
            Ok(Some(Ok(frame))) => frame,
            Ok(Some(Err(_))) => return Err(Problem::BodyBroken),
            Err(_) if too_long || total > limit => break,
            Err(_) => return Err(Problem::BodyTimeout),
        };
        let Ok(data) = frame.into_data() else { continue };
        total = total.saturating_add(data.len());
        if total > limit.saturating_mul(DRAIN_FACTOR) {
            break;
        }
        if !too_long && total <= limit {
            bytes.extend_from_slice(&data);
        }
    }
    if too_long || total > limit { Err(Problem::BodyTooLarge { limit }) } else { Ok(bytes.freeze()) }
}
