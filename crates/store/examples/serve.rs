//! Serves a store from a directory on loopback or a unix socket: `serve DATA_DIR URL [ANCHOR_FILE]`.
//!
//! For trying things by hand and for the crash test. The key is fixed, so nothing is secret here; `k3s-daas store`
//! gets its key from the platform.
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "a tool for the terminal")]

#[cfg(feature = "fault-injection")]
#[path = "support/lazy_disk.rs"]
mod lazy_disk;

use std::process::ExitCode;
use std::time::Duration;

use store::{Config, Listener, Server, Store};

#[tokio::main]
async fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match run(&arguments).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:?}");
            ExitCode::FAILURE
        }
    }
}

async fn run(arguments: &[String]) -> Result<(), Box<dyn std::error::Error>> {
    let [dir, urls, rest @ ..] = arguments else {
        return Err("usage: serve DATA_DIR URL [ANCHOR_FILE]".into());
    };
    let mut config = Config::new(dir, tee::SealingKey::from_bytes([42; 32]));
    #[cfg(feature = "fault-injection")]
    if std::env::var("STORE_FAULT").is_ok_and(|fault| fault == "unsynced-ack") {
        config.disk = std::sync::Arc::new(lazy_disk::LazyDisk);
    }
    if let [anchor, ..] = rest {
        config = config.with_anchor_file(anchor);
    }
    let number = |name| std::env::var(name).ok().and_then(|value: String| value.parse().ok());
    config.segment_bytes = number("SEGMENT_BYTES").unwrap_or(config.segment_bytes);
    config.snapshot_log_bytes = number("SNAPSHOT_LOG_BYTES").unwrap_or(config.snapshot_log_bytes);
    config.quota_bytes = number("QUOTA_BYTES").unwrap_or(config.quota_bytes);
    config.progress_interval =
        number("PROGRESS_INTERVAL_MS").map_or(config.progress_interval, Duration::from_millis);

    let store = tokio::task::spawn_blocking(move || Store::open(config)).await??;
    let server = Server::bind(store.clone(), Listener::parse_urls(urls, None)?).await?;
    println!("{}", server.urls().join(","));
    let stopped = async {
        let _signal = tokio::signal::ctrl_c().await;
    };
    server.run(stopped).await?;
    store.close();
    Ok(())
}
