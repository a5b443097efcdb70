//! What `dcap-qvl` found, in our words. It reports errors as text alone; the tests reach every kind that is told apart here,
//! so that an upgrade which words them differently is noticed.

use crate::{Refusal, TcbStatus};

/// Whether webpki refused a certificate chain.
pub(super) fn is_about_a_chain(message: &str) -> bool {
    ["UnknownIssuer", "InvalidSignatureForPublicKey", "CertExpired", "CertNotValidYet", "BadDer"]
        .iter()
        .any(|word| message.contains(word))
}

/// The refusal that an error message means.
pub(super) fn refusal(message: &str) -> Refusal {
    let what = message.to_owned();
    let says = |words: &[&str]| words.iter().any(|word| message.contains(word));
    if says(&["TCB status is invalid: Revoked"]) {
        Refusal::TcbStatus { status: TcbStatus::Revoked }
    } else if says(&["No matching TCB level"]) {
        // Below every level that Intel still lists.
        Refusal::TcbStatus { status: TcbStatus::OutOfDate }
    } else if says(&["CertRevoked"]) {
        Refusal::Revoked { what: "a certificate of the quote or of its collateral".to_owned() }
    } else if says(&["xpired"]) {
        Refusal::Expired { what: format!("collateral ({message})"), not_after: 0 }
    } else if says(&["in the future", "NotValidYet"]) {
        Refusal::NotYetValid { what: format!("collateral ({message})"), not_before: 0 }
    } else if says(&["ISV enclave report signature", "qe_report in quote"]) {
        Refusal::BadSignature { what }
    } else if says(&["QE report hash mismatch"]) {
        Refusal::Binding { what: "the quoting enclave did not vouch for this attestation key".to_owned() }
    } else if says(&["TD migration", "SERVTD", "service TD", "SEPT_VE", "TD attributes"]) {
        Refusal::Configuration { what }
    } else if says(&["QE Identity id", "in the collateral"]) {
        Refusal::Collateral { what }
    } else if says(&[
        "Failed to decode quote",
        "quote version",
        "vendor ID",
        "TEE type",
        "key type",
        "PCK",
        "in quote",
    ]) {
        Refusal::Malformed { what: format!("quote: {message}") }
    } else {
        Refusal::Collateral { what }
    }
}

/// Intel's verdict in our type.
pub(super) fn status(status: dcap_qvl::TcbStatus) -> TcbStatus {
    use dcap_qvl::TcbStatus as Theirs;
    match status {
        Theirs::UpToDate => TcbStatus::UpToDate,
        Theirs::SWHardeningNeeded => TcbStatus::SwHardeningNeeded,
        Theirs::ConfigurationNeeded => TcbStatus::ConfigurationNeeded,
        Theirs::ConfigurationAndSWHardeningNeeded => TcbStatus::ConfigurationAndSwHardeningNeeded,
        Theirs::TDRelaunchAdvised => TcbStatus::TdRelaunchAdvised,
        Theirs::TDRelaunchAdvisedConfigurationNeeded => TcbStatus::TdRelaunchAdvisedConfigurationNeeded,
        Theirs::OutOfDate => TcbStatus::OutOfDate,
        Theirs::OutOfDateConfigurationNeeded => TcbStatus::OutOfDateConfigurationNeeded,
        Theirs::Revoked => TcbStatus::Revoked,
    }
}
