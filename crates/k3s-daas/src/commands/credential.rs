use serde_json::json;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use super::verify_master::check_pin;
use super::{Context, now_ms};
use crate::cli::Credential;
use crate::deployment::Deployment;
use crate::failure::{Context as _, Failure, Result};
use crate::pin::Pin;
use crate::tokens::Token;

/// How long one proof serves kubectl before client-go asks for the next.
const TTL_MS: u64 = 240_000;
/// Where client-go puts what it knows of the cluster.
const EXEC_INFO: &str = "KUBERNETES_EXEC_INFO";
/// The largest that is read: CA bundle and pin.
const MAX_EXEC_INFO: usize = 1 << 20;

/// `k3s-daas credential`: client-go's exec credential protocol, `client.authentication.k8s.io/v1`.
/// Needs neither chain nor master, unless the kubeconfig pins what the master has to prove.
pub(crate) async fn run(context: &Context, args: &Credential) -> Result<()> {
    if args.pinned {
        check_pin(context, &pinned(std::env::var(EXEC_INFO).ok().as_deref())?).await?;
    }
    let token = Token::load(&context.state, &args.token)?;
    let audience = Deployment::load(&context.state)?.audience()?;
    let now = now_ms();
    let proof = token.mint(&context.state, audience, now, TTL_MS)?;
    // client-go renews at this time: a little before the proof ends.
    let expires = rfc3339((now + TTL_MS - 10_000) / 1000)?;
    let credential = json!({
        "apiVersion": "client.authentication.k8s.io/v1",
        "kind": "ExecCredential",
        "status": { "token": proof.to_string(), "expirationTimestamp": expires },
    });
    let text = serde_json::to_string(&credential).context("encoding the credential")?;
    crate::output::print(crate::cli::Output::Text, &(), |()| text)
}

/// The pin in what kubectl says of the cluster: the kubeconfig's extension for this plugin.
fn pinned(exec_info: Option<&str>) -> Result<Pin> {
    let without = || {
        Failure::usage(format!(
            "--pinned, but kubectl gives no pin in {EXEC_INFO}: write the kubeconfig anew with `k3s-daas kubeconfig --pin`"
        ))
    };
    let info = exec_info.filter(|info| info.len() <= MAX_EXEC_INFO).ok_or_else(without)?;
    let info: serde_json::Value = serde_json::from_str(info).context(format_args!("reading {EXEC_INFO}"))?;
    let pin = info.pointer("/spec/cluster/config").filter(|pin| pin.is_object()).ok_or_else(without)?;
    Pin::from_json(&pin.to_string())
}

/// Seconds since the Unix epoch as RFC 3339 in UTC.
pub(crate) fn rfc3339(seconds: u64) -> Result<String> {
    let seconds = i64::try_from(seconds).context("reading the clock")?;
    let time = OffsetDateTime::from_unix_timestamp(seconds).context("reading the clock")?;
    time.format(&Rfc3339).context("writing the time")
}

#[cfg(test)]
mod tests {
    use super::{pinned, rfc3339};

    #[test]
    fn a_pin_that_is_missing_or_garbled_is_an_error_and_never_no_pin() {
        for (info, words) in [
            (None, "kubectl gives no pin"),
            (Some("{}"), "kubectl gives no pin"),
            (Some(r#"{"spec":{"cluster":{"server":"https://a"}}}"#), "kubectl gives no pin"),
            (Some(r#"{"spec":{"cluster":{"config":null}}}"#), "kubectl gives no pin"),
            (Some(r#"{"spec":{"cluster":{"config":{}}}}"#), "missing field"),
            (Some("pin"), "reading KUBERNETES_EXEC_INFO"),
        ] {
            let failure = pinned(info).unwrap_err().to_string();
            assert!(failure.contains(words), "{info:?}: {failure}");
        }
    }

    #[test]
    fn times_are_rfc_3339() {
        assert_eq!(rfc3339(951_782_400).unwrap(), "2000-02-29T00:00:00Z");
    }
}
