//! What makers' services would answer, made of recorded collateral.

use std::fmt::Write as _;

use tee::CollateralResponse;

use crate::cases::Case;

/// The answer at `url`; none when there is nothing.
pub(crate) fn answer(case: &Case, url: &str) -> Option<CollateralResponse> {
    if url.contains("/vcek/v1/Milan/") {
        let body = if url.ends_with("/crl") {
            crate::issued::snp::issue("", &crate::issued::snp::Wanted::default()).crls(2090, false).remove(0)
        } else {
            case.collateral.certificates[0].clone()
        };
        return Some(CollateralResponse { body, issuer_chain: None });
    }
    let dcap: serde_json::Value = serde_json::from_slice(case.collateral.dcap.as_ref()?).unwrap();
    let text = |name: &str| dcap[name].as_str().unwrap();
    let signed = |name: &str, document: &str, chain: &str| {
        let signature = bytes_text(&dcap[&format!("{document}_signature")]);
        let body = format!("{{\"{name}\":{},\"signature\":\"{signature}\"}}", text(document));
        Some(CollateralResponse { body: body.into_bytes(), issuer_chain: Some(percent_encoded(text(chain))) })
    };
    let list = |name: &str| {
        Some(CollateralResponse {
            body: bytes_text(&dcap[name]).into_bytes(),
            issuer_chain: Some(String::new()),
        })
    };
    match url {
        url if url.contains("/tcb?fmspc=") => signed("tcbInfo", "tcb_info", "tcb_info_issuer_chain"),
        url if url.ends_with("/qe/identity") => {
            signed("enclaveIdentity", "qe_identity", "qe_identity_issuer_chain")
        }
        url if url.contains("/pckcrl?ca=") => list("pck_crl"),
        url if url.ends_with("/rootcacrl") => list("root_ca_crl"),
        _ => None,
    }
}

/// Hexadecimal of a byte string in JSON, whichever way it is written there.
fn bytes_text(value: &serde_json::Value) -> String {
    match value {
        serde_json::Value::String(text) => text.clone(),
        other => hex::encode(serde_json::from_value::<Vec<u8>>(other.clone()).unwrap()),
    }
}

fn percent_encoded(text: &str) -> String {
    let mut encoded = String::new();
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() {
            encoded.push(char::from(byte));
        } else {
            write!(encoded, "%{byte:02X}").unwrap();
        }
    }
    encoded
}
