//! Nitro documents of no enclave: a root of its own, and documents signed under it.

use ciborium::Value;
use rcgen::{
    BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, KeyUsagePurpose,
    PKCS_ECDSA_P384_SHA384,
};
use ring::rand::SystemRandom;
use ring::signature::{ECDSA_P384_SHA384_FIXED_SIGNING, EcdsaKeyPair};

/// Algorithm (1) is ECDSA with SHA-384 (-35), the only protected header of a Nitro document.
const PROTECTED: [(i64, i64); 1] = [(1, -35)];
const SIGN_TAG: u64 = 18;
const REGISTERS: u8 = 16;
const REGISTER_BYTES: usize = 48;

/// Something that signs attestation documents as AWS's hypervisor does, under a root of its own. A chain takes them only
/// when it was told to ([`Config::simulated_nitro_root`](crate::Config::simulated_nitro_root)).
pub struct SimulatedNitro {
    root: Vec<u8>,
    certificate: Vec<u8>,
    signer: EcdsaKeyPair,
}

/// What a document says.
#[derive(Clone, Debug)]
pub struct SimulatedDocument {
    /// When it was made, milliseconds since the Unix epoch.
    pub timestamp_ms: u64,
    /// Registers 0, 1 and 2: image, kernel and application. All others are zero.
    pub code: [[u8; REGISTER_BYTES]; 3],
    /// The enclave's key.
    pub public_key: Option<Vec<u8>>,
    /// What the enclave adds.
    pub user_data: Option<Vec<u8>>,
}

/// Why no document can be made.
#[derive(Debug, thiserror::Error)]
pub enum SimulatedNitroError {
    /// A certificate.
    #[error("a certificate cannot be made")]
    Certificate(#[from] rcgen::Error),
    /// The signer's key.
    #[error("the signer's key cannot be used: {0}")]
    Key(ring::error::KeyRejected),
    /// The signature.
    #[error("the document cannot be signed")]
    Signature,
    /// The document.
    #[error("the document cannot be encoded")]
    Encoding,
}

impl SimulatedNitro {
    /// A root and a signer under it, both new.
    ///
    /// # Errors
    /// [`SimulatedNitroError`] when the system has no randomness.
    pub fn generate() -> Result<Self, SimulatedNitroError> {
        let root_key = KeyPair::generate_for(&PKCS_ECDSA_P384_SHA384)?;
        let mut params = named("SIMULATED nitro-enclaves root");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
        let root = params.self_signed(&root_key)?.der().to_vec();
        let key = KeyPair::generate_for(&PKCS_ECDSA_P384_SHA384)?;
        let mut leaf = named("SIMULATED nitro-enclaves signer");
        leaf.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        let certificate = leaf.signed_by(&key, &Issuer::new(params, root_key))?.der().to_vec();
        let random = SystemRandom::new();
        let signer =
            EcdsaKeyPair::from_pkcs8(&ECDSA_P384_SHA384_FIXED_SIGNING, &key.serialize_der(), &random)
                .map_err(SimulatedNitroError::Key)?;
        Ok(Self { root, certificate, signer })
    }

    /// The root's certificate, DER.
    pub fn root(&self) -> &[u8] {
        &self.root
    }

    /// A signed document, as the hypervisor would give it: a COSE_Sign1 (RFC 9052).
    ///
    /// # Errors
    /// [`SimulatedNitroError`].
    pub fn document(&self, document: &SimulatedDocument) -> Result<Vec<u8>, SimulatedNitroError> {
        let protected = encode(&map(PROTECTED.map(|(key, value)| (key.into(), value.into()))))?;
        let payload = encode(&self.payload(document))?;
        let signed = Value::Array(vec![
            "Signature1".into(),
            protected.clone().into(),
            Value::Bytes(Vec::new()),
            payload.clone().into(),
        ]);
        let signature = self.signer.sign(&SystemRandom::new(), &encode(&signed)?);
        let signature = signature.map_err(|_| SimulatedNitroError::Signature)?.as_ref().to_vec();
        let parts = vec![protected.into(), map([]), payload.into(), signature.into()];
        encode(&Value::Tag(SIGN_TAG, Box::new(Value::Array(parts))))
    }

    fn payload(&self, document: &SimulatedDocument) -> Value {
        let register = |index: u8| {
            let value = document.code.get(usize::from(index)).copied().unwrap_or([0; REGISTER_BYTES]);
            (index.into(), value.to_vec().into())
        };
        let optional = |bytes: &Option<Vec<u8>>| bytes.clone().map_or(Value::Null, Value::Bytes);
        map([
            ("module_id".into(), "SIMULATED".into()),
            ("digest".into(), "SHA384".into()),
            ("timestamp".into(), document.timestamp_ms.into()),
            ("pcrs".into(), Value::Map((0..REGISTERS).map(register).collect())),
            ("certificate".into(), self.certificate.clone().into()),
            ("cabundle".into(), Value::Array(vec![self.root.clone().into()])),
            ("public_key".into(), optional(&document.public_key)),
            ("user_data".into(), optional(&document.user_data)),
            ("nonce".into(), Value::Null),
        ])
    }
}

fn named(name: &str) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name.push(DnType::CommonName, name);
    params
}

fn map<const N: usize>(entries: [(Value, Value); N]) -> Value {
    Value::Map(entries.into())
}

fn encode(value: &Value) -> Result<Vec<u8>, SimulatedNitroError> {
    let mut bytes = Vec::new();
    ciborium::into_writer(value, &mut bytes).map_err(|_| SimulatedNitroError::Encoding)?;
    Ok(bytes)
}
