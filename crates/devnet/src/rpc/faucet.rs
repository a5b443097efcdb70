//! The faucet's HTTP, as Sui's own faucet speaks it: `POST /v2/gas` and `/v1/gas` with
//! `{"FixedAmountRequest": {"recipient": "0x…"}}`.

use std::sync::Arc;

use axum::Json;
use axum::Router;
use axum::extract::rejection::JsonRejection;
use axum::extract::{DefaultBodyLimit, State};
use axum::http::StatusCode;
use axum::routing::post;
use serde::{Deserialize, Serialize};
use sui_sdk_types::{Address, Digest};

use crate::faucet::{Faucet, FaucetError};

const MAX_BODY_BYTES: usize = 16 * 1024;

#[derive(Deserialize)]
enum GasRequest {
    FixedAmountRequest(FixedAmountRequest),
}

#[derive(Deserialize)]
struct FixedAmountRequest {
    recipient: Address,
    /// Not in Sui's faucet: MIST to pay, for tests that need a certain amount.
    amount: Option<u64>,
}

#[derive(Serialize)]
struct GasResponse {
    status: GasStatus,
    coins_sent: Option<Vec<CoinInfo>>,
}

#[derive(Serialize)]
enum GasStatus {
    Success,
    Failure(GasFailure),
}

#[derive(Serialize)]
enum GasFailure {
    Internal(String),
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct CoinInfo {
    amount: u64,
    id: Address,
    transfer_tx_digest: Digest,
}

#[derive(Clone)]
struct Tap {
    faucet: Arc<Faucet>,
    mist: u64,
}

pub(super) fn routes(faucet: Arc<Faucet>, mist: u64) -> Router {
    Router::new()
        .route("/v1/gas", post(gas))
        .route("/v2/gas", post(gas))
        .route("/gas", post(gas))
        .layer(DefaultBodyLimit::max(MAX_BODY_BYTES))
        .with_state(Tap { faucet, mist })
}

async fn gas(
    State(tap): State<Tap>,
    request: Result<Json<GasRequest>, JsonRejection>,
) -> (StatusCode, Json<GasResponse>) {
    let request = match request {
        Ok(Json(GasRequest::FixedAmountRequest(request))) => request,
        Err(rejection) => return failure(rejection.status(), rejection.body_text()),
    };
    let amount = request.amount.unwrap_or(tap.mist);
    // A payment is finished even if whoever asked for it hangs up.
    let payment = tokio::spawn(async move { tap.faucet.pay(request.recipient, amount).await }).await;
    match payment {
        Ok(Ok(payment)) => {
            let coin = CoinInfo {
                amount: payment.amount,
                id: *payment.coin.object_id(),
                transfer_tx_digest: payment.transaction,
            };
            let response = GasResponse { status: GasStatus::Success, coins_sent: Some(vec![coin]) };
            (StatusCode::CREATED, Json(response))
        }
        Ok(Err(error @ FaucetError::Amount(_))) => failure(StatusCode::BAD_REQUEST, error.to_string()),
        Ok(Err(error)) => failure(StatusCode::SERVICE_UNAVAILABLE, error.to_string()),
        Err(_) => failure(StatusCode::INTERNAL_SERVER_ERROR, "the payment broke off".to_owned()),
    }
}

fn failure(code: StatusCode, reason: String) -> (StatusCode, Json<GasResponse>) {
    let status = GasStatus::Failure(GasFailure::Internal(reason));
    (code, Json(GasResponse { status, coins_sent: None }))
}
