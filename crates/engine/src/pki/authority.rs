use rcgen::{
    BasicConstraints, CertificateParams, CustomExtension, DistinguishedName, DnType, IsCa, Issuer, KeyPair,
    KeyUsagePurpose, PublicKeyData,
};
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;
use zeroize::{Zeroize, ZeroizeOnDrop, Zeroizing};

use super::error::{PkiError, failed};
use super::identity::Identity;
use super::profile::{Profile, serial, validity};

const YEAR_SECONDS: u64 = 365 * 24 * 3600;
/// A certificate authority outlives the machine it was made on.
const LIFETIME_SECONDS: u64 = 10 * YEAR_SECONDS;

/// One certificate authority: its certificate and its private key, PEM.
#[derive(Serialize, Deserialize, Zeroize, ZeroizeOnDrop)]
pub(crate) struct Authority {
    #[zeroize(skip)]
    certificate: String,
    key: String,
}

impl Authority {
    pub(crate) fn generate(name: &str, now_ms: u64) -> Result<Self, PkiError> {
        let key = KeyPair::generate().map_err(failed("make a CA key"))?;
        let mut params = CertificateParams::default();
        let mut subject = DistinguishedName::new();
        subject.push(DnType::CommonName, name);
        params.distinguished_name = subject;
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        params.key_usages =
            vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign, KeyUsagePurpose::DigitalSignature];
        params.serial_number = Some(serial()?);
        (params.not_before, params.not_after) = validity(now_ms, LIFETIME_SECONDS)?;
        let certificate = params.self_signed(&key).map_err(failed("sign a CA certificate"))?;
        Ok(Self { certificate: certificate.pem(), key: key.serialize_pem() })
    }

    /// The certificate, PEM.
    pub(crate) fn pem(&self) -> &str {
        &self.certificate
    }

    /// The private key, PEM, PKCS#8.
    pub(crate) fn key(&self) -> &str {
        &self.key
    }

    /// A new key and a certificate for it.
    pub(crate) fn issue(&self, profile: &Profile<'_>, now_ms: u64) -> Result<Identity, PkiError> {
        let key = KeyPair::generate().map_err(failed("make a key"))?;
        let certificate = self.sign(&key, profile, now_ms, None)?;
        Ok(Identity { certificate, key: Zeroizing::new(key.serialize_pem()) })
    }

    /// Signs `public_key` for `profile`; PEM.
    pub(crate) fn sign(
        &self,
        public_key: &impl PublicKeyData,
        profile: &Profile<'_>,
        now_ms: u64,
        extension: Option<CustomExtension>,
    ) -> Result<String, PkiError> {
        let key = KeyPair::from_pem(&self.key).map_err(failed("read a CA key"))?;
        let issuer =
            Issuer::from_ca_cert_pem(&self.certificate, key).map_err(failed("read a CA certificate"))?;
        let mut params = profile.params(now_ms)?;
        params.custom_extensions.extend(extension);
        let certificate = params.signed_by(public_key, &issuer).map_err(failed("sign a certificate"))?;
        Ok(certificate.pem())
    }
}

/// Milliseconds since the Unix epoch as a certificate writes them.
pub(crate) fn time(seconds: u64) -> Result<OffsetDateTime, PkiError> {
    let bad = |reason: String| PkiError::BadName { value: seconds.to_string(), reason };
    let signed = i64::try_from(seconds).map_err(|error| bad(error.to_string()))?;
    OffsetDateTime::from_unix_timestamp(signed).map_err(|error| bad(error.to_string()))
}
