use api::ErrorBody;
use axum::Json;
use axum::response::{IntoResponse, Response};
use http::{HeaderValue, StatusCode, header};
use tee::Refusals;
use tee::custody::{CustodyError, ReleaseRefusal};

/// Why a request gets no success. The HTTP status is decided here and nowhere else.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Problem {
    #[error("{0}")]
    Refused(#[from] ReleaseRefusal),
    #[error("the evidence is refused: {0}")]
    Evidence(Refusals),
    #[error("{message}")]
    NotSigned { reason: &'static str, message: String },
    #[error("{0}")]
    Bad(String),
    #[error("the dealing is refused: {0}")]
    Dealing(String),
    #[error("nothing is kept here yet")]
    Empty,
    #[error("too many requests; try again in a second")]
    TooMany,
    #[error("the chain cannot be read now; try again")]
    Chain,
    #[error("the service failed: {0}; its log says more")]
    Internal(&'static str),
}

impl Problem {
    pub(crate) fn reason(&self) -> &'static str {
        match self {
            Self::Refused(refusal) => refusal.reason(),
            Self::Evidence(_) => "evidence_refused",
            Self::NotSigned { reason, .. } => reason,
            Self::Bad(_) => "bad_request",
            Self::Dealing(_) => "dealing_refused",
            Self::Empty => "empty",
            Self::TooMany => "too_many_requests",
            Self::Chain => "chain_unreachable",
            Self::Internal(_) => "internal",
        }
    }

    fn status(&self) -> StatusCode {
        match self {
            // Asked again with a fresh nonce it may pass.
            Self::Refused(ReleaseRefusal::Nonce) => StatusCode::CONFLICT,
            Self::Refused(_) | Self::Evidence(_) | Self::NotSigned { .. } | Self::Dealing(_) => {
                StatusCode::FORBIDDEN
            }
            Self::Bad(_) => StatusCode::BAD_REQUEST,
            Self::Empty => StatusCode::NOT_FOUND,
            Self::TooMany => StatusCode::TOO_MANY_REQUESTS,
            Self::Chain => StatusCode::SERVICE_UNAVAILABLE,
            Self::Internal(_) => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }
}

impl From<CustodyError> for Problem {
    fn from(error: CustodyError) -> Self {
        Self::Bad(error.to_string())
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let body = ErrorBody { reason: self.reason().to_owned(), message: self.to_string() };
        let status = self.status();
        let mut response = (status, Json(body)).into_response();
        if matches!(status, StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE) {
            response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from_static("2"));
        }
        response
    }
}
