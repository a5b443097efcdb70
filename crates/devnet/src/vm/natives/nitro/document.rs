//! What is in an attestation document, before anything of it is believed.
//!
//! A document is a COSE_Sign1 (RFC 9052) with ECDSA-384, its payload a CBOR map; AWS's "Verifying the
//! root of trust" says which fields it has and how long they may be.

use std::collections::BTreeMap;

use ciborium::Value;

/// Tag of a COSE_Sign1; it may be left out.
const COSE_SIGN1: u64 = 18;
/// The one protected header: algorithm (1) is ECDSA with SHA-384 (-35).
const ALGORITHM: (i128, i128) = (1, -35);
const SIGNATURE_BYTES: usize = 96;
const MAX_PAYLOAD_BYTES: usize = 16 * 1024;
const MAX_FIELD_BYTES: usize = 1024;
const MAX_NONCE_BYTES: usize = 512;
const MAX_PCRS: i128 = 32;
/// Registers that are given even when they are zero; the others only when they are not.
const ALWAYS: [u8; 6] = [0, 1, 2, 3, 4, 8];

/// A document that was read and not verified.
#[derive(Debug)]
pub(super) struct Document {
    pub(super) module_id: String,
    pub(super) timestamp_ms: u64,
    pub(super) digest: String,
    pub(super) pcrs: BTreeMap<u8, Vec<u8>>,
    pub(super) public_key: Option<Vec<u8>>,
    pub(super) user_data: Option<Vec<u8>>,
    pub(super) nonce: Option<Vec<u8>>,
    /// Certificate of the key that signed, DER.
    pub(super) certificate: Vec<u8>,
    /// Its issuers, the root first, DER.
    pub(super) issuers: Vec<Vec<u8>>,
    /// What was signed.
    pub(super) signed: Vec<u8>,
    /// The signature: `r` and `s`.
    pub(super) signature: Vec<u8>,
}

type Parsed<T> = Result<T, &'static str>;

impl Document {
    pub(super) fn parse(bytes: &[u8]) -> Parsed<Self> {
        let fields = match decode(bytes)? {
            Value::Tag(COSE_SIGN1, inner) => *inner,
            other => other,
        };
        let Value::Array(fields) = fields else { return Err("it is no COSE_Sign1") };
        let [Value::Bytes(protected), Value::Map(_), Value::Bytes(payload), Value::Bytes(signature)] =
            &fields[..]
        else {
            return Err("it is no COSE_Sign1");
        };
        check_algorithm(protected)?;
        if payload.is_empty() || payload.len() > MAX_PAYLOAD_BYTES || signature.len() != SIGNATURE_BYTES {
            return Err("payload or signature have an impossible length");
        }
        let mut document = Self::payload(&decode(payload)?)?;
        document.signed = signed(protected, payload)?;
        document.signature.clone_from(signature);
        Ok(document)
    }

    fn payload(payload: &Value) -> Parsed<Self> {
        let map = Map(payload.as_map().ok_or("the payload is no map")?);
        let digest = map.text("digest")?;
        if digest != "SHA384" {
            return Err("the digest is not SHA384");
        }
        Ok(Self {
            module_id: map.text("module_id")?,
            timestamp_ms: map.number("timestamp")?,
            digest,
            pcrs: map.pcrs()?,
            public_key: map.optional("public_key", MAX_FIELD_BYTES)?,
            user_data: map.optional("user_data", MAX_NONCE_BYTES)?,
            nonce: map.optional("nonce", MAX_NONCE_BYTES)?,
            certificate: certificate(map.get("certificate")?)?,
            issuers: match map.get("cabundle")? {
                Value::Array(bundle) => bundle.iter().map(certificate).collect::<Parsed<_>>()?,
                _ => return Err("cabundle is no list"),
            },
            signed: Vec::new(),
            signature: Vec::new(),
        })
    }
}

/// Fields by name.
struct Map<'a>(&'a [(Value, Value)]);

impl Map<'_> {
    fn find(&self, name: &str) -> Option<&Value> {
        self.0.iter().find(|(key, _)| key.as_text() == Some(name)).map(|(_, value)| value)
    }

    fn get(&self, name: &str) -> Parsed<&Value> {
        self.find(name).ok_or("a field is missing")
    }

    fn text(&self, name: &str) -> Parsed<String> {
        match self.get(name)? {
            Value::Text(text) if !text.is_empty() && text.len() <= MAX_FIELD_BYTES => Ok(text.clone()),
            _ => Err("a field is no text, or too long"),
        }
    }

    fn number(&self, name: &str) -> Parsed<u64> {
        let number = self.get(name)?.as_integer().ok_or("a field is no number")?;
        u64::try_from(number).map_err(|_| "a number is out of range")
    }

    fn optional(&self, name: &str, most: usize) -> Parsed<Option<Vec<u8>>> {
        match self.find(name) {
            None | Some(Value::Null) => Ok(None),
            Some(Value::Bytes(bytes)) if bytes.len() <= most => Ok(Some(bytes.clone())),
            Some(_) => Err("a field is not bytes, or too long"),
        }
    }

    fn pcrs(&self) -> Parsed<BTreeMap<u8, Vec<u8>>> {
        let registers = self.get("pcrs")?.as_map().ok_or("pcrs is no map")?;
        let mut pcrs = BTreeMap::new();
        for (index, value) in registers {
            let index = index.as_integer().map(i128::from).filter(|index| (0..MAX_PCRS).contains(index));
            let index = index.and_then(|index| u8::try_from(index).ok()).ok_or("a PCR has no index")?;
            let Value::Bytes(value) = value else { return Err("a PCR is not bytes") };
            if ![32, 48, 64].contains(&value.len()) {
                return Err("a PCR has an impossible length");
            }
            let given = ALWAYS.contains(&index) || value.iter().any(|byte| *byte != 0);
            if given && pcrs.insert(index, value.clone()).is_some() {
                return Err("a PCR is there twice");
            }
        }
        if ALWAYS.iter().all(|index| pcrs.contains_key(index)) { Ok(pcrs) } else { Err("a PCR is missing") }
    }
}

fn decode(bytes: &[u8]) -> Parsed<Value> {
    ciborium::from_reader(bytes).map_err(|_| "it is no CBOR")
}

fn check_algorithm(protected: &[u8]) -> Parsed<()> {
    let header = decode(protected)?;
    let [(Value::Integer(key), Value::Integer(algorithm))] = header.as_map().map_or(&[][..], Vec::as_slice)
    else {
        return Err("the protected header is not one number");
    };
    if (i128::from(*key), i128::from(*algorithm)) == ALGORITHM {
        Ok(())
    } else {
        Err("the algorithm is not ECDSA with SHA-384")
    }
}

fn certificate(value: &Value) -> Parsed<Vec<u8>> {
    match value {
        Value::Bytes(der) if !der.is_empty() && der.len() <= MAX_FIELD_BYTES => Ok(der.clone()),
        _ => Err("a certificate is not bytes, or too long"),
    }
}

/// The `Sig_structure` of RFC 9052, section 4.4.
fn signed(protected: &[u8], payload: &[u8]) -> Parsed<Vec<u8>> {
    let structure = Value::Array(vec![
        Value::Text("Signature1".to_owned()),
        Value::Bytes(protected.to_vec()),
        Value::Bytes(Vec::new()),
        Value::Bytes(payload.to_vec()),
    ]);
    let mut bytes = Vec::with_capacity(protected.len() + payload.len() + 32);
    ciborium::into_writer(&structure, &mut bytes).map_err(|_| "it cannot be encoded")?;
    Ok(bytes)
}
