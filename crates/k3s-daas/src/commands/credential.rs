use serde_json::json;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use super::{Context, now_ms};
use crate::cli::Credential;
use crate::deployment::Deployment;
use crate::failure::{Context as _, Result};
use crate::tokens::Token;

/// How long one proof serves kubectl before client-go asks for the next.
const TTL_MS: u64 = 240_000;

/// `k3s-daas credential`: client-go's exec credential protocol, `client.authentication.k8s.io/v1`.
/// Needs neither chain nor master.
pub(crate) fn run(context: &Context, args: &Credential) -> Result<()> {
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

/// Seconds since the Unix epoch as RFC 3339 in UTC.
pub(crate) fn rfc3339(seconds: u64) -> Result<String> {
    let seconds = i64::try_from(seconds).context("reading the clock")?;
    let time = OffsetDateTime::from_unix_timestamp(seconds).context("reading the clock")?;
    time.format(&Rfc3339).context("writing the time")
}

#[cfg(test)]
mod tests {
    use super::rfc3339;

    #[test]
    fn times_are_rfc_3339() {
        assert_eq!(rfc3339(951_782_400).unwrap(), "2000-02-29T00:00:00Z");
    }
}
