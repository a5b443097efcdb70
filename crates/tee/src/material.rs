use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::Deserialize;
use x509_parser::certificate::X509Certificate;
use x509_parser::pem::Pem;
use x509_parser::prelude::FromDer;
use x509_parser::revocation_list::CertificateRevocationList;

use crate::{PublicKey, TeeError, TrustedKey};

/// The largest file of certificates and keys: 1 MiB.
const MAX_BYTES: usize = 1 << 20;
/// How many of them one file holds.
const MAX_ITEMS: usize = 64;

/// What a file of certificates and keys holds.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Material {
    /// A certificate, DER.
    Certificate(Vec<u8>),
    /// A certificate revocation list, DER.
    Crl(Vec<u8>),
    /// A public key.
    Key(TrustedKey),
}

/// Reads certificates, revocation lists and public keys in any usual form: PEM (several may follow each other), DER, a
/// JSON Web Key, a JSON list of endorsed Arm platform keys (`instance-id`, `implementation-id`, `pkey`), or a TPM's
/// public area (TPMT_PUBLIC or TPM2B_PUBLIC).
///
/// # Errors
///
/// [`TeeError::Material`] when it is none of these, or larger than 1 MiB.
pub fn read_material(bytes: &[u8]) -> Result<Vec<Material>, TeeError> {
    let refuse = |why: &str| Err(TeeError::Material(why.to_owned()));
    if bytes.len() > MAX_BYTES {
        return refuse("more than 1 MiB");
    }
    let text = bytes.trim_ascii_start();
    if text.starts_with(b"-----BEGIN ") {
        let items: Result<Vec<_>, _> = Pem::iter_from_buffer(text)
            .take(MAX_ITEMS + 1)
            .map(|pem| match pem {
                Ok(pem) => of_der(&pem.contents)
                    .ok_or_else(|| TeeError::Material(format!("PEM block {:?} is not readable", pem.label))),
                Err(error) => Err(TeeError::Material(error.to_string())),
            })
            .collect();
        return items.and_then(|items| {
            if items.len() > MAX_ITEMS { refuse("more than 64 items") } else { Ok(items) }
        });
    }
    if text.starts_with(b"{") || text.starts_with(b"[") {
        return of_json(text).map_err(TeeError::Material);
    }
    match of_der(bytes).or_else(|| of_tpm(bytes)) {
        Some(item) => Ok(vec![item]),
        None => refuse("neither PEM, DER, JSON nor a TPM public area"),
    }
}

/// Whether a certificate (DER) names itself as its issuer, as roots do.
pub fn is_self_signed(der: &[u8]) -> bool {
    matches!(X509Certificate::from_der(der), Ok((_, certificate)) if certificate.subject() == certificate.issuer())
}

fn of_der(der: &[u8]) -> Option<Material> {
    if matches!(X509Certificate::from_der(der), Ok((rest, _)) if rest.is_empty()) {
        Some(Material::Certificate(der.to_vec()))
    } else if matches!(CertificateRevocationList::from_der(der), Ok((rest, _)) if rest.is_empty()) {
        Some(Material::Crl(der.to_vec()))
    } else {
        PublicKey::from_spki(der).map(trusted)
    }
}

fn of_tpm(bytes: &[u8]) -> Option<Material> {
    let unsized_area = || {
        let (length, area) = bytes.split_first_chunk::<2>()?;
        (usize::from(u16::from_be_bytes(*length)) == area.len()).then_some(area)
    };
    let pinned = |area: &[u8]| {
        let key = crate::verify::tpm_public_key(area)?;
        let tpm_public = Some(area.to_vec());
        Some(Material::Key(TrustedKey { key, tpm_public, instance_id: None, implementation_id: None }))
    };
    pinned(bytes).or_else(|| pinned(unsized_area()?))
}

fn trusted(key: PublicKey) -> Material {
    Material::Key(TrustedKey { key, tpm_public: None, instance_id: None, implementation_id: None })
}

/// A key as RFC 7517 and RFC 7518 write it.
#[derive(Deserialize)]
struct Jwk {
    kty: String,
    crv: String,
    x: String,
    y: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Endorsement {
    instance_id: Option<String>,
    implementation_id: Option<String>,
    pkey: Jwk,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Json {
    Endorsements(Vec<Endorsement>),
    Endorsement(Endorsement),
    Key(Jwk),
}

fn of_json(text: &[u8]) -> Result<Vec<Material>, String> {
    let endorsements = match serde_json::from_slice(text) {
        Ok(Json::Endorsements(many)) if many.len() <= MAX_ITEMS => many,
        Ok(Json::Endorsements(_)) => return Err(format!("more than {MAX_ITEMS} keys")),
        Ok(Json::Endorsement(one)) => vec![one],
        Ok(Json::Key(pkey)) => vec![Endorsement { instance_id: None, implementation_id: None, pkey }],
        Err(_) => {
            return Err(
                "JSON, but no JSON Web Key of an elliptic curve and no list of endorsed keys".to_owned()
            );
        }
    };
    endorsements.into_iter().map(|endorsement| endorsement.into_key().map(Material::Key)).collect()
}

impl Endorsement {
    fn into_key(self) -> Result<TrustedKey, String> {
        let id = |text: Option<String>| -> Result<_, String> {
            text.map(hex::decode).transpose().map_err(|error| format!("id: {error}"))
        };
        Ok(TrustedKey {
            key: self.pkey.into_key()?,
            tpm_public: None,
            instance_id: id(self.instance_id)?,
            implementation_id: id(self.implementation_id)?,
        })
    }
}

impl Jwk {
    fn into_key(self) -> Result<PublicKey, String> {
        let length = match (self.kty.as_str(), self.crv.as_str()) {
            ("EC", "P-256") => 32,
            ("EC", "P-384") => 48,
            (kty, crv) => return Err(format!("keys of type {kty:?}, curve {crv:?} are not supported")),
        };
        let decode =
            |text: &str| URL_SAFE_NO_PAD.decode(text).map_err(|error| format!("coordinate: {error}"));
        PublicKey::from_coordinates(&decode(&self.x)?, &decode(&self.y)?, length)
            .ok_or_else(|| "a coordinate is too long for its curve".to_owned())
    }
}
