use api::ErrorBody;
use axum::Json;
use axum::response::{IntoResponse, Response};
use http::{HeaderValue, StatusCode, header};
use seal_token::Proof;

use crate::Id;
use crate::attestations::EvidenceRefusal;
use crate::health::BeatError;
use crate::membership::Refusal;

/// Why a request gets no success. The HTTP status is decided here and nowhere else.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Problem {
    #[error("{refusal}")]
    Refused { refusal: Refusal, token: Option<Id> },
    #[error(transparent)]
    Beat(#[from] BeatError),
    #[error("{refusal}")]
    Evidence { refusal: EvidenceRefusal, node: String, news: bool },
    #[error("the request body is larger than {limit} bytes; send less")]
    BodyTooLarge { limit: usize },
    #[error("the request body did not arrive in time; send it without pauses")]
    BodyTimeout,
    #[error("the request body ended early; send it again")]
    BodyBroken,
    #[error("content type is not {expected}; set Content-Type and send that")]
    ContentType { expected: &'static str },
    #[error("the body is not valid JSON for this call: {problem}")]
    BadJson { problem: String },
    #[error("the certificate request is not usable: {problem}")]
    BadCsr { problem: String },
    #[error("header {name} {problem}")]
    BadHeader { name: &'static str, problem: &'static str },
    #[error("the query is not usable: {problem}")]
    BadQuery { problem: String },
    #[error("there is nothing at this path; see /v1-k3s/, /api/v1/, /healthz, /readyz, /metrics")]
    UnknownPath,
    #[error("this path does not take this method")]
    Method,
    #[error("only the cluster's apiserver may call this, with its client certificate")]
    NotTheApiserver,
    #[error("{0}")]
    NotKept(&'static str),
    #[error("this master may not sign certificates now: {0}")]
    NoRight(&'static str),
    #[error("the master is starting and has not opened what it keeps yet; try again in a second")]
    Starting,
    #[error("too many requests; try again in a second")]
    TooMany,
    #[error("the master failed: {0}; its log says more")]
    Internal(&'static str),
}

/// Left in a response for [`super::report`] to log and count.
#[derive(Clone, Debug)]
pub(super) struct Reported(pub(super) Problem);

impl Problem {
    /// A refusal of whoever showed `proof`.
    pub(super) fn refused(proof: &Proof) -> impl FnOnce(Refusal) -> Self {
        let token = Some(Id(proof.claims.token_id));
        move |refusal| Self::Refused { refusal, token }
    }

    /// Stable name in snake_case.
    pub(super) fn reason(&self) -> &'static str {
        match self {
            Self::Refused { refusal, .. } => refusal.reason(),
            Self::Beat(error) => error.reason(),
            Self::Evidence { refusal, .. } => refusal.reason(),
            Self::BodyTooLarge { .. } => "body_too_large",
            Self::BodyTimeout => "body_timeout",
            Self::BodyBroken => "body_broken",
            Self::ContentType { .. } => "unsupported_media_type",
            Self::BadJson { .. } => "malformed_json",
            Self::BadCsr { .. } => "bad_certificate_request",
            Self::BadHeader { .. } => "bad_header",
            Self::BadQuery { .. } => "bad_query",
            Self::UnknownPath => "unknown_path",
            Self::Method => "method_not_allowed",
            Self::NotTheApiserver => "not_the_apiserver",
            Self::NotKept(_) => "not_kept",
            Self::NoRight(_) => "enclave_not_in_standing",
            Self::Starting => "starting",
            Self::TooMany => "too_many_requests",
            Self::Internal(_) => "internal",
        }
    }

    pub(super) fn status(&self) -> StatusCode {
        match self {
            Self::Refused { refusal, .. } => refusal_status(refusal),
            Self::Evidence { refusal, .. } => evidence_status(refusal),
            Self::Beat(BeatError::Stale | BeatError::Fenced | BeatError::Contradiction) => {
                StatusCode::CONFLICT
            }
            Self::Beat(BeatError::Flooding) => StatusCode::TOO_MANY_REQUESTS,
            Self::Beat(_)
            | Self::BodyBroken
            | Self::BadJson { .. }
            | Self::BadCsr { .. }
            | Self::BadHeader { .. }
            | Self::BadQuery { .. } => StatusCode::BAD_REQUEST,
            Self::BodyTooLarge { .. } => StatusCode::PAYLOAD_TOO_LARGE,
            Self::BodyTimeout => StatusCode::REQUEST_TIMEOUT,
            Self::ContentType { .. } => StatusCode::UNSUPPORTED_MEDIA_TYPE,
            Self::UnknownPath | Self::NotKept(_) => StatusCode::NOT_FOUND,
            Self::Method => StatusCode::METHOD_NOT_ALLOWED,
            Self::NotTheApiserver => StatusCode::FORBIDDEN,
            Self::NoRight(_) | Self::Starting => StatusCode::SERVICE_UNAVAILABLE,
            Self::TooMany => StatusCode::TOO_MANY_REQUESTS,
            Self::Internal(_) => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }
}

/// 401 for what another credential would mend, 403 for what it would not, 503 for what time will.
fn refusal_status(refusal: &Refusal) -> StatusCode {
    match refusal {
        Refusal::NotANodeToken
        | Refusal::KeyNotAttested
        | Refusal::BadNodeName
        | Refusal::NodeNameMismatch { .. }
        | Refusal::NotANodeCertificate => StatusCode::FORBIDDEN,
        Refusal::TooManyProofs => StatusCode::TOO_MANY_REQUESTS,
        Refusal::ChainUnreachable | Refusal::ChainNotSynced => StatusCode::SERVICE_UNAVAILABLE,
        Refusal::MissingCredential
        | Refusal::Proof(_)
        | Refusal::ProofReplayed
        | Refusal::CertificateRevoked => StatusCode::UNAUTHORIZED,
    }
}

fn evidence_status(refusal: &EvidenceRefusal) -> StatusCode {
    match refusal {
        EvidenceRefusal::NotTaken => StatusCode::NOT_FOUND,
        EvidenceRefusal::Stale | EvidenceRefusal::NonceExpired => StatusCode::CONFLICT,
        EvidenceRefusal::Flooding => StatusCode::TOO_MANY_REQUESTS,
        EvidenceRefusal::Malformed(_) => StatusCode::BAD_REQUEST,
        EvidenceRefusal::OtherKey
        | EvidenceRefusal::OtherNode
        | EvidenceRefusal::Unbound
        | EvidenceRefusal::NotAllowed(_)
        | EvidenceRefusal::Expired(_)
        | EvidenceRefusal::Refused(_) => StatusCode::FORBIDDEN,
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let status = self.status();
        let body = ErrorBody { reason: self.reason().to_owned(), message: self.to_string() };
        let mut response = (status, Json(body)).into_response();
        let headers = response.headers_mut();
        match status {
            StatusCode::UNAUTHORIZED => {
                headers
                    .insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Basic realm=\"k3s-daas\""));
            }
            StatusCode::SERVICE_UNAVAILABLE | StatusCode::TOO_MANY_REQUESTS => {
                headers.insert(header::RETRY_AFTER, HeaderValue::from_static("2"));
            }
            _ => {}
        }
        response.extensions_mut().insert(Reported(self));
        response
    }
}
