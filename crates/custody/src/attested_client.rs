use std::sync::Arc;
use std::time::Duration;

use ring::digest::{SHA256, digest};
use rustls::client::{Resumption, WebPkiServerVerifier};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::{ClientConfig, RootCertStore};
use tee::{AttestedPeer, Clock, Policy, Trusted};

use crate::error::Error;
use crate::http_client::{builder, join, send};
use crate::on_chain::{Facts, tcb_bounds};

const MAX_CA_BYTES: usize = 64 << 10;

/// A client that talks to the master at `url` alone, and only while it proves by its certificate (RA-TLS) that it is code which the chain
/// allows now, under the CA whose hash is on chain. `trust` may demand more.
///
/// # Errors
/// That the master cannot be asked, or shows another CA.
pub(crate) async fn attested_client(
    url: &str,
    facts: &Facts,
    trust: &Trusted,
    clock: &Clock,
    limit: Duration,
) -> Result<reqwest::Client, Error> {
    let nonsense = |what: &str| Error::Nonsense { url: url.to_owned(), what: what.to_owned() };
    let local = |what: &str| Error::Unreachable { url: url.to_owned(), why: what.to_owned() };
    if !url.starts_with("https://") {
        return Err(local("a master's URL is https://HOST[:PORT]"));
    }
    // Not verified by TLS: the hash on chain verifies what it gives.
    let open = builder().timeout(limit).tls_danger_accept_invalid_certs(true).build();
    let open = open.map_err(|error| local(&error.to_string()))?;
    let pem = send(url, open.get(join(url, "/cacerts")), MAX_CA_BYTES).await?;
    let mut authorities = CertificateDer::pem_slice_iter(&pem);
    let (Some(Ok(ca)), None) = (authorities.next(), authorities.next()) else {
        return Err(nonsense("something else than one CA certificate"));
    };
    if digest(&SHA256, &ca).as_ref() != &facts.cluster.ca_hash[..] {
        return Err(nonsense("a CA that is not the one on chain: it is not this cluster's master"));
    }
    let mut roots = RootCertStore::empty();
    roots.add(ca).map_err(|_| nonsense("a CA certificate that is none"))?;
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let ordinary = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider.clone())
        .build()
        .map_err(|error| local(&error.to_string()))?;
    let policy = policy(facts, trust, clock());
    let peer = AttestedPeer::new(policy, trust.anchors.clone(), trust.collateral.clone(), clock.clone());
    let mut tls = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| local(&error.to_string()))?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(peer.and(ordinary)))
        .with_no_client_auth();
    // A session that is resumed would not be verified again.
    tls.resumption = Resumption::disabled();
    let attested = builder().timeout(limit).tls_backend_preconfigured(tls).build();
    attested.map_err(|error| local(&error.to_string()))
}

/// Code that the chain allows now, and everything else as the policy of `trust` says. A policy narrows what the chain allows.
fn policy(facts: &Facts, trust: &Trusted, now_ms: u64) -> Policy {
    let terms = facts.terms(false, now_ms);
    let own = trust.policy.clone();
    let allow_simulated = terms.allow_simulated && own.as_ref().is_none_or(|own| own.allow_simulated);
    let own = own.unwrap_or_default();
    let allowed = terms.allowed.iter().filter(|(platform, code)| own.rules_in(*platform, code));
    let allowed = allowed.cloned().collect();
    Policy { allowed, allow_simulated, any_code: false, ..own }.bounded(tcb_bounds(&facts.registry))
}
