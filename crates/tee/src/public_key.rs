use ring::{digest, signature};
use x509_parser::prelude::FromDer;
use x509_parser::public_key::PublicKey as Parsed;
use x509_parser::x509::SubjectPublicKeyInfo;

/// A key that signs evidence.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum PublicKey {
    /// NIST P-256: the uncompressed point, 65 bytes.
    P256(Vec<u8>),
    /// NIST P-384: the uncompressed point, 97 bytes.
    P384(Vec<u8>),
    /// RSA of at least 2,048 bits: `RSAPublicKey` of RFC 8017, DER.
    Rsa(Vec<u8>),
}

/// How a signature was made, where the key alone does not tell. ECDSA signatures are r ‖ s of fixed length.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Scheme {
    EcdsaSha256,
    EcdsaSha384,
    RsaPkcs1Sha256,
    RsaPkcs1Sha384,
    RsaPkcs1Sha512,
    RsaPssSha256,
    RsaPssSha384,
    RsaPssSha512,
}

impl PublicKey {
    /// Reads a `SubjectPublicKeyInfo` (RFC 5280), DER.
    pub fn from_spki(der: &[u8]) -> Option<Self> {
        let (rest, spki) = SubjectPublicKeyInfo::from_der(der).ok()?;
        rest.is_empty().then(|| Self::from_parsed(&spki)).flatten()
    }

    pub(crate) fn from_parsed(spki: &SubjectPublicKeyInfo) -> Option<Self> {
        match spki.parsed().ok()? {
            Parsed::EC(point) => Self::from_point(point.data()),
            Parsed::RSA(_) => Some(Self::Rsa(spki.subject_public_key.data.to_vec())),
            _ => None,
        }
    }

    /// An uncompressed point of P-256 or P-384, told apart by its length.
    pub(crate) fn from_point(point: &[u8]) -> Option<Self> {
        match (point.first(), point.len()) {
            (Some(4), 65) => Some(Self::P256(point.to_vec())),
            (Some(4), 97) => Some(Self::P384(point.to_vec())),
            _ => None,
        }
    }

    /// From the two coordinates, big-endian; leading zeros may be missing, as TPMs leave them out.
    pub(crate) fn from_coordinates(x: &[u8], y: &[u8], length: usize) -> Option<Self> {
        let pad = |coordinate: &[u8]| -> Option<Vec<u8>> {
            let zeros = length.checked_sub(coordinate.len())?;
            Some([&vec![0; zeros], coordinate].concat())
        };
        Self::from_point(&[&[4][..], &pad(x)?, &pad(y)?].concat())
    }

    /// SHA-256 of the key as this type holds it.
    pub fn sha256(&self) -> [u8; 32] {
        let (Self::P256(bytes) | Self::P384(bytes) | Self::Rsa(bytes)) = self;
        let mut sha256 = [0; 32];
        sha256.copy_from_slice(digest::digest(&digest::SHA256, bytes).as_ref());
        sha256
    }

    /// What kind of key it is, for people.
    pub(crate) fn kind(&self) -> &'static str {
        match self {
            Self::P256(_) => "P-256 key",
            Self::P384(_) => "P-384 key",
            Self::Rsa(_) => "RSA key",
        }
    }

    pub(crate) fn verify(&self, scheme: Scheme, message: &[u8], signed: &[u8]) -> bool {
        let (algorithm, key): (&dyn signature::VerificationAlgorithm, _) = match (self, scheme) {
            (Self::P256(key), Scheme::EcdsaSha256) => (&signature::ECDSA_P256_SHA256_FIXED, key),
            (Self::P384(key), Scheme::EcdsaSha384) => (&signature::ECDSA_P384_SHA384_FIXED, key),
            (Self::Rsa(key), Scheme::RsaPkcs1Sha256) => (&signature::RSA_PKCS1_2048_8192_SHA256, key),
            (Self::Rsa(key), Scheme::RsaPkcs1Sha384) => (&signature::RSA_PKCS1_2048_8192_SHA384, key),
            (Self::Rsa(key), Scheme::RsaPkcs1Sha512) => (&signature::RSA_PKCS1_2048_8192_SHA512, key),
            (Self::Rsa(key), Scheme::RsaPssSha256) => (&signature::RSA_PSS_2048_8192_SHA256, key),
            (Self::Rsa(key), Scheme::RsaPssSha384) => (&signature::RSA_PSS_2048_8192_SHA384, key),
            (Self::Rsa(key), Scheme::RsaPssSha512) => (&signature::RSA_PSS_2048_8192_SHA512, key),
            _ => return false,
        };
        signature::UnparsedPublicKey::new(algorithm, key).verify(message, signed).is_ok()
    }
}
