use std::time::Duration;

use tokio::time::Instant;

use super::error::ControlPlaneError;
use crate::pki::Identity;

/// An answer that is not a yes is quoted up to here, bytes.
const MAX_QUOTE: usize = 500;

pub(crate) async fn wait(
    url: &str,
    ca: &str,
    admin: &Identity,
    limit: Duration,
) -> Result<(), ControlPlaneError> {
    let client = reqwest::Client::builder()
        .tls_backend_preconfigured(crate::tls::client(ca, Some(admin))?)
        .timeout(Duration::from_secs(5))
        .no_proxy()
        .build()?;
    let started = Instant::now();
    loop {
        let last = match client.get(format!("{url}/readyz")).send().await {
            Ok(reply) if reply.status().is_success() => return Ok(()),
            Ok(reply) => {
                let status = reply.status();
                let body = reply.text().await.unwrap_or_default();
                format!("{status}: {}", body.chars().take(MAX_QUOTE).collect::<String>())
            }
            Err(error) => error.to_string(),
        };
        if started.elapsed() >= limit {
            return Err(ControlPlaneError::NotReady { seconds: limit.as_secs(), last });
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}
