use serde::{Deserialize, Serialize};

/// Body of every answer of the REST API that is not a success.
#[derive(Clone, Debug, Serialize, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct ErrorBody {
    /// Stable, snake_case, for programs: `token_expired`, `body_too_large`, `chain_unreachable` …
    pub reason: String,
    /// One sentence for people: what was wrong and what to do. Never contains a secret.
    pub message: String,
}
