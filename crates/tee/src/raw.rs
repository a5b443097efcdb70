use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;
use serde_bytes::ByteBuf;

use crate::verify::REPORT_BYTES;
use crate::{Evidence, MAX_EVIDENCE_BYTES, PlatformKind, TeeError};

/// Evidence as text takes twice its bytes, and some white space.
const MAX_RAW_BYTES: usize = 2 * MAX_EVIDENCE_BYTES + 4096;
/// The shortest quote: header and an enclave's report.
const QUOTE_BYTES: usize = 48 + 384;

impl Evidence {
    /// Reads what `platform` itself gives out (a quote, an SNP report, a Nitro document, a token), or an encoded
    /// [`Evidence`]. Both may be binary, hexadecimal or base64. A TPM has no one form: it is a JSON object of `quote`,
    /// `signature`, `ak_public`, `ak_cert`, `eventlog` (base64 or hexadecimal) and `pcrs`
    /// (`{"sha256": {"0": hexadecimal}}`).
    ///
    /// # Errors
    ///
    /// [`TeeError::Evidence`] when it has not the shape of any of these. Whether it is genuine is not looked at.
    pub fn from_raw(platform: PlatformKind, bytes: &[u8]) -> Result<Self, TeeError> {
        if bytes.len() > MAX_RAW_BYTES {
            let why = format!("{} bytes, at most {MAX_RAW_BYTES} are read", bytes.len());
            return Err(TeeError::Evidence(why));
        }
        let decoded = of_text(bytes);
        let bytes = decoded.as_deref().unwrap_or(bytes);
        match Self::decode(bytes) {
            Ok(evidence) if evidence.platform() == platform => return Ok(evidence),
            Ok(evidence) => {
                let why = format!("it is of platform {}, not {platform}", evidence.platform());
                return Err(TeeError::Evidence(why));
            }
            Err(_) if bytes.len() <= MAX_EVIDENCE_BYTES => {}
            Err(error) => return Err(error),
        }
        let part = match platform {
            PlatformKind::Sgx | PlatformKind::Tdx if bytes.len() >= QUOTE_BYTES => "quote",
            PlatformKind::SevSnp if bytes.len() == REPORT_BYTES => "report",
            PlatformKind::Nitro if is_cose_sign1(bytes) => "document",
            PlatformKind::TrustZone if is_cose_sign1(bytes) => "token",
            // Tags 399 and 907 in two bytes.
            PlatformKind::Cca if bytes.first() == Some(&0xd9) => "token",
            PlatformKind::Tpm => return tpm_bundle(bytes).map_err(TeeError::Evidence),
            _ => {
                return Err(TeeError::Evidence(format!(
                    "{} bytes that are no evidence of {platform}",
                    bytes.len()
                )));
            }
        };
        Ok(Self::new(platform, BTreeMap::from([(part.to_owned(), bytes.to_vec())])))
    }

    /// The same with one more part, e.g. the certificates that came beside a report.
    #[must_use]
    pub fn with_part(mut self, name: &str, bytes: Vec<u8>) -> Self {
        self.set_part(name, bytes);
        self
    }
}

/// An array of four with or without tag 18 (RFC 9052, section 4.2).
fn is_cose_sign1(bytes: &[u8]) -> bool {
    matches!(bytes, [0x84, ..] | [0xd2, 0x84, ..])
}

/// The bytes that hexadecimal or base64 text stands for; none when it is not such a text.
fn of_text(bytes: &[u8]) -> Option<Vec<u8>> {
    if !bytes.iter().all(|byte| byte.is_ascii_alphanumeric() || b"+/= \t\r\n".contains(byte)) {
        return None;
    }
    let text: Vec<u8> = bytes.iter().copied().filter(|byte| !byte.is_ascii_whitespace()).collect();
    hex::decode(&text).ok().or_else(|| STANDARD.decode(&text).ok())
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct TpmBundle {
    quote: String,
    signature: String,
    pcrs: BTreeMap<String, BTreeMap<u8, String>>,
    ak_public: Option<String>,
    ak_cert: Option<String>,
    eventlog: Option<String>,
}

fn tpm_bundle(json: &[u8]) -> Result<Evidence, String> {
    let bundle: TpmBundle =
        serde_json::from_slice(json).map_err(|error| format!("no quote bundle of a TPM in JSON: {error}"))?;
    let decode = |name: &str, text: &str| {
        of_text(text.as_bytes()).ok_or_else(|| format!("{name} is neither hexadecimal nor base64"))
    };
    let mut parts = BTreeMap::new();
    let texts = [
        ("quote", Some(bundle.quote)),
        ("signature", Some(bundle.signature)),
        ("ak-public", bundle.ak_public),
        ("ak-cert", bundle.ak_cert),
        ("eventlog", bundle.eventlog),
    ];
    for (name, text) in texts {
        if let Some(text) = text {
            parts.insert(name.to_owned(), decode(name, &text)?);
        }
    }
    let mut registers: BTreeMap<String, BTreeMap<u8, ByteBuf>> = BTreeMap::new();
    for (bank, values) in bundle.pcrs {
        for (index, value) in values {
            let value = hex::decode(&value).map_err(|error| format!("register {bank} {index}: {error}"))?;
            registers.entry(bank.clone()).or_default().insert(index, ByteBuf::from(value));
        }
    }
    let mut pcrs = Vec::new();
    ciborium::into_writer(&registers, &mut pcrs).map_err(|error| error.to_string())?;
    parts.insert("pcrs".to_owned(), pcrs);
    Ok(Evidence::new(PlatformKind::Tpm, parts))
}
