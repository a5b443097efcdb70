use serde::{Deserialize, Serialize};

use crate::TeeError;

/// The largest collateral bundle: 4 MiB. Intel's for one platform is 25 KiB, AMD's largest list 50 KiB.
pub const MAX_COLLATERAL_BYTES: usize = 4 << 20;
/// How many certificates or lists one bundle holds.
const MAX_ITEMS: usize = 64;
const VERSION: u32 = 1;

/// What platforms' makers publish about a platform: not secret and not trusted, since a maker's key signed all of it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Collateral {
    /// Intel's for SGX and TDX: the JSON of `dcap_qvl::QuoteCollateralV3`.
    pub dcap: Option<Vec<u8>>,
    /// Certificates between the signing key and the anchor, DER, in any order.
    pub certificates: Vec<Vec<u8>>,
    /// Certificate revocation lists, DER.
    pub crls: Vec<Vec<u8>>,
}

/// The bundle in a file: JSON, so that people can look into it.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Bundle {
    version: u32,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    dcap: Option<serde_json::Value>,
    /// Hexadecimal DER.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    certificates: Vec<String>,
    /// Hexadecimal DER.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    crls: Vec<String>,
}

impl Collateral {
    /// Reads what [`Self::to_json`] wrote, or Intel's collateral alone, as verification tools exchange it
    /// (`tcb_info`, `qe_identity`, … in one JSON object).
    ///
    /// # Errors
    ///
    /// [`TeeError::Collateral`] when it is neither, or larger than [`MAX_COLLATERAL_BYTES`].
    pub fn from_json(bytes: &[u8]) -> Result<Self, TeeError> {
        let refuse = |why: String| TeeError::Collateral(why);
        if bytes.len() > MAX_COLLATERAL_BYTES {
            return Err(refuse(format!("{} bytes, at most {MAX_COLLATERAL_BYTES} are read", bytes.len())));
        }
        let json: serde_json::Value =
            serde_json::from_slice(bytes).map_err(|error| refuse(error.to_string()))?;
        if json.get("tcb_info").is_some() {
            return Ok(Self { dcap: Some(bytes.to_vec()), ..Self::default() });
        }
        let bundle: Bundle = serde_json::from_value(json).map_err(|error| refuse(error.to_string()))?;
        if bundle.version != VERSION {
            return Err(refuse(format!("version {}, this program reads {VERSION}", bundle.version)));
        }
        if bundle.certificates.len() > MAX_ITEMS || bundle.crls.len() > MAX_ITEMS {
            return Err(refuse(format!("more than {MAX_ITEMS} certificates or revocation lists")));
        }
        let decode = |items: Vec<String>| -> Result<Vec<Vec<u8>>, TeeError> {
            items.iter().map(|item| hex::decode(item).map_err(|error| refuse(error.to_string()))).collect()
        };
        Ok(Self {
            dcap: bundle.dcap.map(|json| json.to_string().into_bytes()),
            certificates: decode(bundle.certificates)?,
            crls: decode(bundle.crls)?,
        })
    }

    /// The offline bundle: one JSON object with a version.
    pub fn to_json(&self) -> String {
        let encode = |items: &[Vec<u8>]| items.iter().map(hex::encode).collect();
        let bundle = Bundle {
            version: VERSION,
            dcap: self.dcap.as_deref().and_then(|bytes| serde_json::from_slice(bytes).ok()),
            certificates: encode(&self.certificates),
            crls: encode(&self.crls),
        };
        serde_json::to_string_pretty(&bundle).expect("strings and numbers are always JSON")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bundle_round_trips() {
        let collateral = Collateral {
            dcap: Some(br#"{"tcb_info":"{}"}"#.to_vec()),
            certificates: vec![vec![1, 2], vec![]],
            crls: vec![vec![3]],
        };
        assert_eq!(Collateral::from_json(collateral.to_json().as_bytes()).unwrap(), collateral);
        let intel_alone = br#"{"tcb_info":"{}"}"#;
        assert_eq!(Collateral::from_json(intel_alone).unwrap().dcap.unwrap(), intel_alone);
    }

    #[test]
    fn what_is_no_bundle_is_named() {
        let refused = |text: &str| Collateral::from_json(text.as_bytes()).unwrap_err().to_string();
        assert!(refused("{").starts_with("not attestation collateral: "));
        assert!(refused("{\"version\":2}").contains("version 2"));
        assert!(refused("{\"version\":1,\"certs\":[]}").contains("certs"));
        assert!(refused("{\"version\":1,\"crls\":[\"0g\"]}").contains("Invalid character"));
        let many = serde_json::json!({"version": 1, "crls": vec![""; MAX_ITEMS + 1]}).to_string();
        assert!(refused(&many).contains("more than 64"));
        assert!(refused(&" ".repeat(MAX_COLLATERAL_BYTES + 1)).contains("at most"));
    }
}
