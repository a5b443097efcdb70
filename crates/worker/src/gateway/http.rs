use std::time::Duration;

use reqwest::{Client, RequestBuilder, redirect};
use rustls::ClientConfig;

use super::GatewayError;

/// The longest wait for a connection.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// The longest wait for a whole answer.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(15);
/// Idle connections are given up before the gateway does so in the middle of a request.
const IDLE_TIMEOUT: Duration = Duration::from_secs(4);
/// The largest answer that is read: evidence of 256 KiB in base64, with room.
const MAX_ANSWER_BYTES: usize = 1 << 20;

/// A client that follows no redirect and no proxy: it talks to the endpoint on chain or to nobody.
pub(super) fn client(tls: ClientConfig) -> Result<Client, GatewayError> {
    Client::builder()
        .tls_backend_preconfigured(tls)
        .redirect(redirect::Policy::none())
        .no_proxy()
        .https_only(true)
        .connect_timeout(CONNECT_TIMEOUT)
        .timeout(ANSWER_TIMEOUT)
        .pool_idle_timeout(IDLE_TIMEOUT)
        .user_agent(concat!("k3s-daas-worker/", env!("CARGO_PKG_VERSION")))
        .build()
        .map_err(|error| GatewayError::Local(format!("cannot make an HTTP client: {error}")))
}

/// Base URL without a trailing slash, if `endpoint` is `https://host[:port]` and nothing more.
pub(super) fn base_url(endpoint: &str) -> Result<String, GatewayError> {
    let refused = || GatewayError::Endpoint { endpoint: endpoint.chars().take(128).collect() };
    let url = reqwest::Url::parse(endpoint).map_err(|_| refused())?;
    let plain = url.scheme() == "https"
        && url.has_host()
        && url.username().is_empty()
        && url.password().is_none()
        && url.path() == "/"
        && url.query().is_none()
        && url.fragment().is_none();
    if plain { Ok(url.as_str().trim_end_matches('/').to_owned()) } else { Err(refused()) }
}

/// Sends, and reads a bounded body of a success; anything else becomes an error with the body's reason.
pub(super) async fn fetch(
    what: &'static str,
    base: &str,
    request: RequestBuilder,
) -> Result<Vec<u8>, GatewayError> {
    let transport = |error| GatewayError::transport(base, error);
    let mut response = request.send().await.map_err(transport)?;
    let status = response.status();
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(transport)? {
        if body.len() + chunk.len() > MAX_ANSWER_BYTES {
            let problem = format!("more than {MAX_ANSWER_BYTES} bytes");
            return Err(GatewayError::Malformed { what, problem });
        }
        body.extend_from_slice(&chunk);
    }
    if status.is_success() {
        return Ok(body);
    }
    let (reason, message) = match serde_json::from_slice::<api::ErrorBody>(&body) {
        Ok(error) => (printable(&error.reason, 64), printable(&error.message, 512)),
        Err(_) => ("no_reason".to_owned(), format!("it gave no reason for {what}")),
    };
    let status = status.as_u16();
    Err(match status {
        401 | 403 => GatewayError::Refused { status, reason, message },
        _ => GatewayError::Answer { status, reason, message },
    })
}

/// A stranger's text, fit for a log line.
fn printable(text: &str, max_chars: usize) -> String {
    text.chars().filter(|c| !c.is_control()).take(max_chars).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn endpoints_are_bare_https_origins() {
        assert_eq!(base_url("https://127.0.0.1:9345").unwrap(), "https://127.0.0.1:9345");
        assert_eq!(base_url("https://master.example:9345/").unwrap(), "https://master.example:9345");
        assert_eq!(base_url("https://[::1]:9345").unwrap(), "https://[::1]:9345");
        for bad in [
            "",
            "127.0.0.1:9345",
            "http://127.0.0.1:9345",
            "https://",
            "https://user@host:9345",
            "https://host:9345/path",
            "https://host:9345/?q",
            "https://host:9345/#f",
            "file:///etc/passwd",
        ] {
            assert!(matches!(base_url(bad), Err(GatewayError::Endpoint { .. })), "{bad}");
        }
    }
}
