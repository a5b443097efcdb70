use std::time::Duration;

use api::ErrorBody;
use reqwest::{Client, ClientBuilder, RequestBuilder, StatusCode};

use crate::error::Error;

const CONNECT: Duration = Duration::from_secs(5);
const WHOLE: Duration = Duration::from_secs(30);
const MAX_ERROR_BYTES: usize = 16 << 10;
/// What is told of why a connection failed, characters.
const MAX_WORDS: usize = 600;

/// A client that waits for nobody for long, and follows nobody elsewhere.
pub(crate) fn client() -> Result<Client, Error> {
    let built = builder().build();
    built.map_err(|error| Error::Unreachable { url: String::new(), why: error.to_string() })
}

/// The same, for TLS of one's own.
pub(crate) fn builder() -> ClientBuilder {
    Client::builder().connect_timeout(CONNECT).timeout(WHOLE).redirect(reqwest::redirect::Policy::none())
}

/// Sends `request`; gives the answer, of at most `at_most` bytes when it is a successful one.
pub(crate) async fn receive(
    url: &str,
    request: RequestBuilder,
    at_most: usize,
) -> Result<(StatusCode, Vec<u8>), Error> {
    let unreachable = |error: reqwest::Error| {
        // Its own words repeat the URL; the causes are what helps.
        let error = error.without_url();
        let mut why = error.to_string();
        let mut cause = std::error::Error::source(&error);
        while let Some(error) = cause {
            let text = error.to_string();
            if !why.contains(&text) {
                why.push_str(": ");
                why.push_str(&text);
            }
            cause = error.source();
        }
        Error::Unreachable { url: url.to_owned(), why: why.chars().take(MAX_WORDS).collect() }
    };
    let mut response = request.send().await.map_err(unreachable)?;
    let status = response.status();
    let limit = if status.is_success() { at_most } else { MAX_ERROR_BYTES };
    let mut bytes = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(unreachable)? {
        if bytes.len() + chunk.len() > limit {
            let what = format!("more than {limit} bytes");
            return Err(Error::Nonsense { url: url.to_owned(), what });
        }
        bytes.extend_from_slice(&chunk);
    }
    Ok((status, bytes))
}

/// Sends `request`; gives a successful answer of at most `at_most` bytes.
pub(crate) async fn send(url: &str, request: RequestBuilder, at_most: usize) -> Result<Vec<u8>, Error> {
    let (status, bytes) = receive(url, request, at_most).await?;
    if status.is_success() {
        return Ok(bytes);
    }
    let body = serde_json::from_slice::<ErrorBody>(&bytes).ok();
    let text = |text: String| -> String { text.chars().filter(|c| !c.is_control()).take(1_000).collect() };
    match (body, status) {
        (Some(body), StatusCode::FORBIDDEN) => Err(Error::Refused {
            url: url.to_owned(),
            reason: text(body.reason),
            message: text(body.message),
        }),
        (Some(body), _) => Err(Error::Unreachable { url: url.to_owned(), why: text(body.message) }),
        (None, _) => Err(Error::Unreachable { url: url.to_owned(), why: format!("HTTP status {status}") }),
    }
}

pub(crate) fn join(url: &str, path: &str) -> String {
    format!("{}{path}", url.trim_end_matches('/'))
}
