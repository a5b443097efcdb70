use std::time::Duration;

use http_body_util::{BodyExt as _, Full, Limited};
use hyper::body::Bytes;
use hyper::{Method, Request, StatusCode, Uri};
use hyper_util::rt::TokioIo;
use serde_json::json;
use sui_sdk_types::Address;

use crate::{Client, Error};

const TIMEOUT: Duration = Duration::from_secs(10);
const MAX_ANSWER_BYTES: usize = 64 << 10;

impl Client {
    /// Asks a development chain's faucet for SUI; `mist` MIST, or what it usually gives.
    ///
    /// # Errors
    /// [`Error::Invalid`] on every chain that is not K3s-DaaS's own, or when the faucet declines;
    /// [`Error::Unreachable`] when nothing answers.
    pub async fn faucet(&self, recipient: Address, mist: Option<u64>) -> Result<(), Error> {
        if !self.is_devnet().await? {
            return Err(Error::Invalid(format!(
                "{} is no K3s-DaaS development chain and has no faucet; send SUI to {recipient}",
                self.url()
            )));
        }
        let (status, answer) = tokio::time::timeout(TIMEOUT, post(self.url(), recipient, mist))
            .await
            .unwrap_or_else(|_| Err(format!("no answer within {TIMEOUT:?}")))
            .map_err(|reason| self.error("faucet", None, tonic::Status::unavailable(reason)))?;
        if status.is_success() {
            return Ok(());
        }
        let answer: String = String::from_utf8_lossy(&answer).chars().take(500).collect();
        Err(Error::Invalid(format!("the faucet declined ({status}): {answer}")))
    }
}

/// One request of Sui's faucet protocol over plain HTTP/1.1, which is all that a development chain serves.
async fn post(url: &str, recipient: Address, mist: Option<u64>) -> Result<(StatusCode, Bytes), String> {
    let uri: Uri = format!("{}/v2/gas", url.trim_end_matches('/')).parse().map_err(text)?;
    let authority = uri.authority().ok_or("the URL has no host")?.clone();
    let stream = tokio::net::TcpStream::connect((
        authority.host().trim_matches(['[', ']']),
        authority.port_u16().unwrap_or(80),
    ))
    .await
    .map_err(text)?;
    let (mut sender, connection) =
        hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.map_err(text)?;
    let driver = tokio::spawn(connection);
    let mut request = json!({ "recipient": recipient });
    if let Some(mist) = mist {
        request["amount"] = mist.into();
    }
    let request = Request::builder()
        .method(Method::POST)
        .uri(uri.path())
        .header("host", authority.as_str())
        .header("content-type", "application/json")
        .body(Full::new(Bytes::from(json!({ "FixedAmountRequest": request }).to_string())))
        .map_err(text)?;
    let answer = sender.send_request(request).await.map_err(text)?;
    let status = answer.status();
    let body = Limited::new(answer.into_body(), MAX_ANSWER_BYTES).collect().await.map_err(text)?.to_bytes();
    driver.abort();
    Ok((status, body))
}

#[expect(clippy::needless_pass_by_value, reason = "used with map_err")]
fn text<E: ToString>(error: E) -> String {
    error.to_string()
}
