//! The `sui.rpc.v2` gRPC services and the faucet's HTTP, over a [`Node`].

mod descriptor;
mod execution;
mod faucet;
mod fields;
mod filter;
mod ledger;
mod package;
mod page;
mod parse;
mod render;
mod resolve;
mod scan;
mod signature;
mod state;
mod subscription;

use std::sync::Arc;
use std::time::Duration;

use sui_rpc::headers;
use sui_rpc::proto::sui::rpc::v2 as proto;
use tokio::net::TcpListener;
use tonic::codec::CompressionEncoding;
use tonic::metadata::{AsciiMetadataValue, MetadataMap};
use tonic::{Response, Status};

use crate::faucet::Faucet;
use crate::ledger::{Ledger, Rejection};
use crate::node::{Node, SubmitError};

/// The largest request message: a publish fits well, anything larger is a mistake.
const MAX_REQUEST_BYTES: usize = 1 << 20;
/// Pages end before they exceed this: clients accept 4 MiB unless told otherwise.
const MAX_PAGE_BYTES: usize = 3 << 20;
/// A batch that would exceed this is refused.
const MAX_BATCH_BYTES: usize = 32 << 20;
const MAX_STREAMS_PER_CONNECTION: u32 = 256;
const KEEPALIVE: Duration = Duration::from_secs(30);

/// The chain's name, as clients see it.
pub const CHAIN_NAME: &str = "devnet-embedded";
/// The server's version string.
pub const SERVER: &str =
    concat!("k3s-daas-devnet/", env!("CARGO_PKG_VERSION"), " (development chain, not a validator)");
/// What a chain adds to it that takes simulated Nitro documents.
const SIMULATED_NITRO: &str = " (SIMULATED Nitro root)";

/// Serves requests.
#[derive(Clone)]
pub(crate) struct Api {
    node: Arc<Node>,
}

/// Serves on `listener` until `shutdown` completes.
pub(crate) async fn serve(
    node: Arc<Node>,
    faucet: Arc<Faucet>,
    faucet_mist: u64,
    listener: TcpListener,
    shutdown: impl Future<Output = ()> + Send,
) -> Result<(), tonic::transport::Error> {
    let api = Api { node };
    macro_rules! service {
        ($module:ident, $server:ident) => {
            proto::$module::$server::new(api.clone())
                .max_decoding_message_size(MAX_REQUEST_BYTES)
                .max_encoding_message_size(2 * MAX_BATCH_BYTES)
                .accept_compressed(CompressionEncoding::Gzip)
                .send_compressed(CompressionEncoding::Gzip)
        };
    }
    let routes = tonic::service::Routes::from(faucet::routes(faucet, faucet_mist))
        .add_service(service!(ledger_service_server, LedgerServiceServer))
        .add_service(service!(state_service_server, StateServiceServer))
        .add_service(service!(transaction_execution_service_server, TransactionExecutionServiceServer))
        .add_service(service!(subscription_service_server, SubscriptionServiceServer))
        .add_service(service!(move_package_service_server, MovePackageServiceServer))
        .add_service(service!(signature_verification_service_server, SignatureVerificationServiceServer));
    let incoming = tonic::transport::server::TcpIncoming::from(listener).with_nodelay(Some(true));
    tonic::transport::Server::builder()
        .accept_http1(true)
        .max_concurrent_streams(MAX_STREAMS_PER_CONNECTION)
        .http2_keepalive_interval(Some(KEEPALIVE))
        .add_routes(routes)
        .serve_with_incoming_shutdown(incoming, shutdown)
        .await
}

impl Api {
    /// Wraps a message with the headers that say which chain answered.
    fn respond<T>(&self, message: T) -> Response<T> {
        let ledger = self.node.ledger();
        let mut response = Response::new(message);
        describe(response.metadata_mut(), &ledger);
        response
    }
}

fn describe(metadata: &mut MetadataMap, ledger: &Ledger) {
    let mut insert = |name: &'static str, value: String| {
        if let Ok(value) = AsciiMetadataValue::try_from(value) {
            metadata.insert(name, value);
        }
    };
    insert(headers::X_SUI_CHAIN_ID, ledger.chain_id().to_string());
    insert(headers::X_SUI_CHAIN, CHAIN_NAME.to_owned());
    insert(headers::X_SUI_EPOCH, ledger.epoch().to_string());
    insert(headers::X_SUI_CHECKPOINT_HEIGHT, ledger.height().to_string());
    let lowest = ledger.history().lowest().to_string();
    insert(headers::X_SUI_LOWEST_AVAILABLE_CHECKPOINT, lowest.clone());
    insert(headers::X_SUI_LOWEST_AVAILABLE_CHECKPOINT_OBJECTS, lowest);
    insert(headers::X_SUI_TIMESTAMP_MS, ledger.timestamp_ms().to_string());
}

fn timestamp(ms: u64) -> prost_types::Timestamp {
    sui_rpc::proto::timestamp_ms_to_proto(ms)
}

/// The answer about a checkpoint that was forgotten.
fn pruned(number: u64, lowest: u64) -> Status {
    Status::not_found(format!("checkpoint {number} was pruned; the lowest available is {lowest}"))
}

/// A stale transaction is a failed precondition (build it anew), a wrong one an invalid argument.
fn rejected(rejection: &Rejection) -> Status {
    if rejection.is_stale() {
        Status::failed_precondition(rejection.to_string())
    } else {
        Status::invalid_argument(rejection.to_string())
    }
}

fn refused(error: &SubmitError) -> Status {
    match error {
        SubmitError::Rejected(rejection) => rejected(rejection),
        SubmitError::Stopped => Status::unavailable("the chain has stopped"),
    }
}
