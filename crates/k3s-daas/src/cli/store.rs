use std::path::PathBuf;

use clap::Args;

/// Flags as etcd names them.
#[derive(Clone, Debug, Args)]
pub(crate) struct Store {
    /// Directory of the sealed log and snapshots
    #[arg(long, value_name = "DIR")]
    pub(crate) data_dir: PathBuf,
    /// Comma-separated URLs: http:// on loopback only, https://, unix://
    #[arg(long, default_value = "http://127.0.0.1:2379", value_delimiter = ',', value_name = "URLS")]
    pub(crate) listen_client_urls: Vec<String>,
    /// Comma-separated URLs on which only metrics and health are served; http:// may be on any address
    #[arg(long, value_delimiter = ',', value_name = "URLS")]
    pub(crate) listen_metrics_urls: Vec<String>,
    /// Server certificate, PEM
    #[arg(long, value_name = "FILE")]
    pub(crate) cert_file: Option<PathBuf>,
    /// Server key, PEM
    #[arg(long, value_name = "FILE")]
    pub(crate) key_file: Option<PathBuf>,
    /// CA that client certificates must be signed by, PEM
    #[arg(long, value_name = "FILE")]
    pub(crate) trusted_ca_file: Option<PathBuf>,
    /// Demand client certificates; always so with https, as there is no other way in
    #[arg(long)]
    pub(crate) client_cert_auth: bool,
    /// How --auto-compaction-retention counts: periodic (time) or revision
    #[arg(long, default_value = "periodic", value_name = "MODE")]
    pub(crate) auto_compaction_mode: String,
    /// History that is kept, e.g. 1h or 1000; 0 keeps all
    #[arg(long, default_value = "0", value_name = "RETENTION")]
    pub(crate) auto_compaction_retention: String,
    /// Size at which the store raises NOSPACE, bytes
    #[arg(long, default_value_t = 2 * 1024 * 1024 * 1024, value_name = "BYTES")]
    pub(crate) quota_backend_bytes: u64,
    /// Size of a request at most, bytes
    #[arg(long, default_value_t = store::RequestLimits::DEFAULT_MAX_REQUEST_BYTES, value_name = "BYTES")]
    pub(crate) max_request_bytes: usize,
    /// Operations in a transaction at most
    #[arg(long, default_value_t = store::RequestLimits::DEFAULT_MAX_TXN_OPS, value_name = "NUMBER")]
    pub(crate) max_txn_ops: usize,
    /// Streams that a client may have open on a connection
    #[arg(long, default_value_t = store::RequestLimits::DEFAULT_MAX_CONCURRENT_STREAMS, value_name = "NUMBER")]
    pub(crate) max_concurrent_streams: u32,
}
