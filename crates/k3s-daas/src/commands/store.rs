use super::Context;
use crate::cli::Store;
use crate::failure::{Context as _, Failure, Result};
use crate::output::say;

/// `k3s-daas store`: the sealed etcd store alone, with etcd's flag names.
pub(crate) async fn run(context: &Context, args: Store) -> Result<()> {
    if args.client_cert_auth && args.trusted_ca_file.is_none() {
        return Err(Failure::usage("--client-cert-auth needs --trusted-ca-file"));
    }
    let tls = match (args.cert_file, args.key_file, args.trusted_ca_file) {
        (Some(cert), Some(key), Some(client_ca)) => Some(store::TlsFiles { cert, key, client_ca }),
        _ => None,
    };
    let listeners = store::Listener::parse_urls(&args.listen_client_urls.join(","), tls.as_ref())
        .map_err(Failure::usage)?;
    let pages = store::Listener::parse_metrics_urls(&args.listen_metrics_urls.join(","), tls.as_ref())
        .map_err(Failure::usage)?;
    let limits =
        store::RequestLimits::new(args.max_request_bytes, args.max_txn_ops, args.max_concurrent_streams)
            .map_err(Failure::usage)?;
    let key = super::attest::platform(context, &args.data_dir.join("tee"))?
        .sealing_key(tee::KeyPolicy::Signer)
        .context("getting the sealing key")?;
    let mut config =
        store::Config::new(args.data_dir.join("log"), key).with_anchor_file(args.data_dir.join("anchor"));
    config.quota_bytes = args.quota_backend_bytes;
    config.limits = limits;
    config.auto_compaction =
        store::AutoCompaction::parse(&args.auto_compaction_mode, &args.auto_compaction_retention)
            .map_err(Failure::usage)?;
    let opened = store::Store::open(config).context("opening the store")?;
    let server = store::Server::bind(opened.clone(), listeners).await.context("listening")?;
    let server = server.with_pages(pages).await.context("listening for metrics")?;
    if !server.page_urls().is_empty() {
        say(format_args!("metrics and health: {}", server.page_urls().join(", ")));
    }
    say(format_args!(
        "serving etcd's v3 API at revision {}: {}",
        opened.revision(),
        server.urls().join(", ")
    ));
    server.run(super::asked_to_stop()).await.context("serving")?;
    opened.close();
    Ok(())
}
