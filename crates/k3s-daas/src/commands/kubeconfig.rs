use base64::Engine as _;
use serde_json::json;

use super::{Context, verify_master};
use crate::cli::Kubeconfig;
use crate::deployment::Deployment;
use crate::failure::{Context as _, Failure, Result};
use crate::output::say;
use crate::pin::Pin;
use crate::state_dir::write_file;
use crate::tokens::Token;

/// Largest CA bundle that is taken from a gateway, bytes.
const MAX_CA: usize = 64 * 1024;

/// The extension of a cluster that client-go passes to an exec plugin (`client.authentication.k8s.io/v1`).
const PLUGIN_EXTENSION: &str = "client.authentication.k8s.io/exec";

/// `k3s-daas kubeconfig`: a kubeconfig whose user is our exec credential plugin.
pub(crate) async fn run(context: &Context, args: Kubeconfig) -> Result<()> {
    if args.pin {
        verify_master::pin(context, &Deployment::load(&context.state)?).await?.save(&context.state)?;
    } else if let Some(pin) = Pin::find(&context.state)? {
        verify_master::check_pin(context, &pin).await?;
    }
    let text = render(context, &args.token).await?;
    match args.write {
        None => crate::output::print(crate::cli::Output::Text, &(), |()| text),
        Some(path) => {
            write_file(&path, text.as_bytes()).context(format_args!("writing {}", path.display()))?;
            say(format_args!("use it with: kubectl --kubeconfig {} get nodes", path.display()));
            Ok(())
        }
    }
}

/// The kubeconfig of a token, as YAML (written as JSON values, which YAML includes).
pub(crate) async fn render(context: &Context, token: &str) -> Result<String> {
    let state = &context.state;
    Token::load(state, token)?;
    let deployment = Deployment::load(state)?;
    let ca = cluster_ca(context).await?;
    let own = std::env::current_exe().context("finding this binary")?;
    let server = deployment.apiserver.as_deref().ok_or_else(|| {
        Failure::not_ready(
            "the cluster has no address yet: wait until `k3s-daas up` says that the master runs",
        )
    })?;
    let data = base64::engine::general_purpose::STANDARD.encode(ca);
    let quoted = |value: &str| json!(value).to_string();
    // Where client-go hands an extension of the cluster on to the plugin.
    let (extension, flag, provide) = match Pin::find(state)? {
        Some(pin) => {
            let pin = serde_json::to_string(&pin).context("encoding the pin")?;
            let entry = format!("\n    extensions:\n    - name: {PLUGIN_EXTENSION}\n      extension: {pin}");
            (entry, ", --pinned", "\n      provideClusterInfo: true")
        }
        None => (String::new(), "", ""),
    };
    Ok(format!(
        "apiVersion: v1
kind: Config
current-context: k3s-daas
clusters:
- name: k3s-daas
  cluster:
    server: {server}
    certificate-authority-data: {data}{extension}
contexts:
- name: k3s-daas
  context:
    cluster: k3s-daas
    user: {user}
users:
- name: {user}
  user:
    exec:
      apiVersion: client.authentication.k8s.io/v1
      interactiveMode: Never{provide}
      command: {command}
      args: [credential, --token, {token}, --state-dir, {dir}{flag}]
      installHint: k3s-daas is needed to sign in with a seal token
",
        server = quoted(server),
        user = quoted(token),
        command = quoted(&own.to_string_lossy()),
        token = quoted(token),
        dir = quoted(&state.root().to_string_lossy()),
    ))
}

/// The CA's PEM, checked against the hash on chain; kept for when the gateway is away.
pub(crate) async fn cluster_ca(context: &Context) -> Result<Vec<u8>> {
    let state = &context.state;
    let deployment = Deployment::load(state)?;
    let audience = deployment.audience()?;
    if let Ok(pem) = std::fs::read(state.path("cluster-ca.crt"))
        && der_hash(&pem) == Some(audience)
    {
        return Ok(pem);
    }
    let gateway = deployment.gateway.as_deref().ok_or_else(|| {
        Failure::not_ready(
            "the cluster has no gateway yet: wait until `k3s-daas up` says that the master runs",
        )
    })?;
    let url = format!("{gateway}/cacerts");
    // Not verified by TLS: the hash from the chain is what verifies it.
    let http = reqwest::Client::builder()
        .tls_danger_accept_invalid_certs(true)
        .timeout(std::time::Duration::from_secs(10))
        .build()
        .context("making an HTTPS client")?;
    let reply = http.get(&url).send().await.context(format_args!("fetching {url}"))?;
    let pem = reply.bytes().await.context(format_args!("fetching {url}"))?;
    if pem.len() > MAX_CA || der_hash(&pem) != Some(audience) {
        return Err(Failure::refused(format!(
            "{url} serves a CA whose hash is not the one on chain ({}): this is not the cluster's master",
            hex::encode(audience)
        )));
    }
    state.write("cluster-ca.crt", &pem)?;
    Ok(pem.to_vec())
}

/// SHA-256 of the PEM as it is served: what a K10 token carries.
pub(crate) fn pem_hash(pem: &[u8]) -> [u8; 32] {
    use sha2::Digest;
    sha2::Sha256::digest(pem).into()
}

/// SHA-256 of the first certificate's DER.
fn der_hash(pem: &[u8]) -> Option<[u8; 32]> {
    use rustls::pki_types::CertificateDer;
    use rustls::pki_types::pem::PemObject;
    use sha2::Digest;
    let der = CertificateDer::from_pem_slice(pem).ok()?;
    Some(sha2::Sha256::digest(&der).into())
}
