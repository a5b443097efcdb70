use sui_sdk_types::{Address, Digest};

use crate::Refusal;

/// Why a call to the chain did not give what was asked.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// Nothing answers at the endpoint, or it stopped answering in the middle.
    #[error(
        "the Sui endpoint {url} does not answer ({reason}); check that it runs and that --chain is right"
    )]
    Unreachable {
        /// Endpoint without credentials.
        url: String,
        /// What the transport said.
        reason: String,
        /// The transport's error.
        source: Box<tonic::Status>,
    },
    /// The text given as the endpoint is not a URL that can be dialled.
    #[error("`{url}` is not a Sui endpoint: {reason}; give a URL like http://127.0.0.1:9000")]
    Endpoint {
        /// What was given.
        url: String,
        /// What is wrong with it.
        reason: String,
    },
    /// The endpoint answered a read with an error.
    #[error("the Sui endpoint refused {call}: {}", .status.message())]
    Rpc {
        /// Name of the remote procedure.
        call: &'static str,
        /// Its answer.
        status: Box<tonic::Status>,
    },
    /// A contract refused the call: a Move abort.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// The transaction was executed and failed for another reason than a contract's refusal.
    #[error("the transaction failed{}: {reason}", at(*.command))]
    Failed {
        /// Index of the command that failed.
        command: Option<u64>,
        /// What Sui said.
        reason: String,
    },
    /// The wallet's SUI do not cover what the transaction spends plus its gas.
    #[error("wallet {address} has {have} MIST, the transaction needs {need} MIST; send SUI to it and retry")]
    InsufficientGas {
        /// The wallet.
        address: Address,
        /// MIST in coins that can be used.
        have: u64,
        /// MIST needed for spending and gas budget.
        need: u64,
    },
    /// A sponsored sender has no single coin that covers what the transaction spends.
    #[error(
        "the largest coin of {address} has {have} MIST, the sponsored transaction spends {need} MIST from one coin; merge coins or send SUI and retry"
    )]
    NoCoin {
        /// The sender.
        address: Address,
        /// MIST in the largest coin.
        have: u64,
        /// MIST that are spent.
        need: u64,
    },
    /// A transaction was not signed.
    #[error("there is no signature of {address}: {reason}")]
    Signer {
        /// Whose signature was asked for.
        address: Address,
        /// Why there is none.
        reason: String,
    },
    /// There is no such object, transaction or checkpoint.
    #[error("there is no {what} {id} on this chain")]
    NotFound {
        /// What kind of thing was looked for.
        what: &'static str,
        /// Its identifier.
        id: String,
    },
    /// An object is there, and is something else.
    #[error("object {id} is a {found}, not a {expected}")]
    WrongType {
        /// The object.
        id: Address,
        /// Type that was expected.
        expected: String,
        /// Type that it has.
        found: String,
    },
    /// The endpoint answered with something that cannot be decoded.
    #[error("the Sui endpoint's answer to {what} cannot be understood: {reason}")]
    Malformed {
        /// What was asked for.
        what: &'static str,
        /// What is wrong with the answer.
        reason: String,
    },
    /// The transaction was refused before execution and can never be executed as it is; a new one may be built.
    #[error("the transaction {digest} was refused before execution: {reason}")]
    Rejected {
        /// Its digest.
        digest: Digest,
        /// What the endpoint said.
        reason: String,
    },
    /// The transaction was sent and it is not known whether it was executed. Submit the same
    /// [`Signed`](crate::Signed) again; a rebuilt transaction could take effect twice.
    #[error(
        "it is not known whether transaction {digest} was executed ({reason}); submit the same signed transaction again"
    )]
    Uncertain {
        /// Its digest.
        digest: Digest,
        /// The last thing that went wrong.
        reason: String,
    },
    /// The endpoint serves another chain than the one that was expected.
    #[error(
        "the endpoint serves chain {found}, not {expected}; check --chain, or set up again if the chain was reset"
    )]
    WrongChain {
        /// Identifier of the expected chain.
        expected: String,
        /// Identifier of the chain that answers.
        found: String,
    },
    /// The endpoint does not have what was already read from it.
    #[error(
        "the Sui endpoint {url} is at checkpoint {height} only, {followed} was already read; waiting for it to catch up"
    )]
    Behind {
        /// Endpoint without credentials.
        url: String,
        /// Its latest checkpoint.
        height: u64,
        /// The latest checkpoint that was read.
        followed: u64,
    },
    /// The endpoint has dropped checkpoints that are needed.
    #[error(
        "the Sui endpoint has dropped the checkpoints before {lowest}, but {next} comes next; use an archive endpoint, or rebuild from objects"
    )]
    Pruned {
        /// The checkpoint that was needed.
        next: u64,
        /// The oldest that is left.
        lowest: u64,
    },
    /// A value cannot be put into a transaction.
    #[error("cannot build the transaction: {0}")]
    Build(String),
    /// An argument to this library is out of its bounds.
    #[error("{0}")]
    Invalid(String),
    /// The committed contract build cannot be used.
    #[error("the compiled contracts in {path} cannot be read: {reason}")]
    Package {
        /// Directory.
        path: String,
        /// What is wrong.
        reason: String,
    },
}

fn at(command: Option<u64>) -> String {
    command.map(|index| format!(" in command {index}")).unwrap_or_default()
}

impl Error {
    /// True when trying the same again later can help: the endpoint was not there or was overloaded.
    pub fn is_transient(&self) -> bool {
        match self {
            Error::Unreachable { .. } | Error::Behind { .. } => true,
            Error::Rpc { status, .. } => matches!(
                status.code(),
                tonic::Code::ResourceExhausted | tonic::Code::Aborted | tonic::Code::Internal
            ),
            _ => false,
        }
    }

    /// True when another endpoint of the same chain may do better.
    pub(crate) fn is_of_the_endpoint(&self) -> bool {
        match self {
            Error::Unreachable { .. }
            | Error::Behind { .. }
            | Error::Malformed { .. }
            | Error::Pruned { .. }
            | Error::WrongChain { .. } => true,
            Error::Rpc { status, .. } => !matches!(
                status.code(),
                tonic::Code::InvalidArgument | tonic::Code::NotFound | tonic::Code::FailedPrecondition
            ),
            _ => false,
        }
    }

    /// True when this, as the outcome of [`Client::submit`](crate::Client::submit), proves that the
    /// transaction took no effect and never will: forget it, and build a new one if it is still wanted.
    pub fn took_no_effect(&self) -> bool {
        matches!(
            self,
            Error::Rejected { .. } | Error::Refused(_) | Error::Failed { .. } | Error::WrongChain { .. }
        )
    }

    /// True when what was asked for does not exist.
    pub fn is_not_found(&self) -> bool {
        matches!(self, Error::NotFound { .. })
    }

    #[expect(clippy::needless_pass_by_value, reason = "callers pass texts and errors alike")]
    pub(crate) fn malformed(what: &'static str, reason: impl ToString) -> Error {
        Error::Malformed { what, reason: reason.to_string() }
    }

    /// What a failed call means. `what` and `id` name the thing that was looked for.
    pub(crate) fn from_status(
        url: &str,
        call: &'static str,
        looked_for: Option<(&'static str, String)>,
        status: tonic::Status,
    ) -> Error {
        use tonic::Code;
        match (status.code(), looked_for) {
            (Code::NotFound, Some((what, id))) => Error::NotFound { what, id },
            (Code::Unavailable | Code::DeadlineExceeded | Code::Cancelled | Code::Unknown, _) => {
                Error::Unreachable {
                    url: url.to_owned(),
                    reason: transport_reason(&status),
                    source: Box::new(status),
                }
            }
            _ => Error::Rpc { call, status: Box::new(status) },
        }
    }
}

/// The innermost cause, which is what a person can act on ("connection refused"), not "transport error".
pub(crate) fn transport_reason(status: &tonic::Status) -> String {
    let mut cause: &dyn std::error::Error = status;
    while let Some(next) = cause.source() {
        cause = next;
    }
    if std::ptr::addr_eq(std::ptr::from_ref(cause), std::ptr::from_ref(status)) {
        return status.message().to_owned();
    }
    cause.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn not_found_is_only_for_what_was_looked_for() {
        let status = || tonic::Status::not_found("x");
        let found = Error::from_status("u", "GetObject", Some(("object", "0x1".into())), status());
        assert!(found.is_not_found());
        let other = Error::from_status("u", "GetEpoch", None, status());
        assert!(matches!(other, Error::Rpc { call: "GetEpoch", .. }));
    }

    #[test]
    fn silence_is_unreachable_and_transient() {
        let error = Error::from_status("http://u", "GetEpoch", None, tonic::Status::unavailable("gone"));
        assert!(error.is_transient());
        assert!(error.to_string().contains("http://u"));
        assert!(error.to_string().contains("gone"));
    }
}
