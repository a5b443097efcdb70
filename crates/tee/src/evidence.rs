use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_bytes::ByteBuf;

use crate::{PlatformKind, TeeError};

/// The largest encoded evidence: 256 KiB. A TDX quote with its collateral is a tenth of that.
pub const MAX_EVIDENCE_BYTES: usize = 256 << 10;

/// The media type of encoded evidence.
pub const EVIDENCE_MEDIA_TYPE: &str = "application/vnd.k3s-daas.evidence+cbor";

const VERSION: u8 = 2;
const MAX_PARTS: usize = 16;
const MAX_PART_NAME: usize = 32;

/// What a platform says about the code that runs, not yet verified: named byte strings in the platform's
/// own formats.
///
/// Encoded as a CBOR (RFC 8949) map `{"version": 2, "media_type": text, "platform": text, "parts": {text: bytes}}`;
/// version 1, without a media type, is still read.
///
/// | platform | parts |
/// |---|---|
/// | `sgx`, `tdx` | `quote`; `collateral` (Intel's, JSON), optional |
/// | `sev-snp` | `report`; `certs` (configfs-tsm's `auxblob`: GHCB certificate table) or `vcek` (DER), optional |
/// | `nitro` | `document` (COSE_Sign1) |
/// | `tpm` | `quote` (TPMS_ATTEST), `signature` (TPMT_SIGNATURE), `pcrs` (CBOR `{bank: {index: digest}}`), `ak-public` (TPMT_PUBLIC); `ak-cert` (DER) and `eventlog` (TCG), optional |
/// | `trustzone` | `token` (PSA, RFC 9783) |
/// | `cca` | `token` (CCA collection of platform and realm token) |
/// | `simulated` | `claims`, `public-key`, `signature` |
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Evidence {
    version: u8,
    platform: PlatformKind,
    parts: BTreeMap<String, Vec<u8>>,
}

impl Evidence {
    /// Wraps what a platform gave. Each platform documents its parts.
    pub fn new(platform: PlatformKind, parts: BTreeMap<String, Vec<u8>>) -> Self {
        Self { version: VERSION, platform, parts }
    }

    /// The platform that it claims to come from.
    pub fn platform(&self) -> PlatformKind {
        self.platform
    }

    /// One part, by its name on that platform.
    pub fn part(&self, name: &str) -> Option<&[u8]> {
        self.parts.get(name).map(Vec::as_slice)
    }

    pub(crate) fn set_part(&mut self, name: &str, bytes: Vec<u8>) {
        self.parts.insert(name.to_owned(), bytes);
    }

    pub(crate) fn remove_part(&mut self, name: &str) {
        self.parts.remove(name);
    }

    /// As CBOR.
    pub fn encode(&self) -> Vec<u8> {
        let parts = self.parts.iter().map(|(name, bytes)| (name.clone(), ByteBuf::from(bytes.clone())));
        let wire = Wire {
            version: self.version,
            media_type: (self.version > 1).then(|| EVIDENCE_MEDIA_TYPE.to_owned()),
            platform: self.platform.to_string(),
            parts: parts.collect(),
        };
        let mut bytes = Vec::new();
        ciborium::into_writer(&wire, &mut bytes).expect("writing to memory does not fail");
        bytes
    }

    /// Reads what [`Self::encode`] wrote; refuses more than [`MAX_EVIDENCE_BYTES`], trailing bytes, unknown
    /// fields, later versions, and every other way to write the same.
    pub fn decode(bytes: &[u8]) -> Result<Self, TeeError> {
        let refuse = |why: String| Err(TeeError::Evidence(why));
        if bytes.len() > MAX_EVIDENCE_BYTES {
            return refuse(format!("{} bytes, at most {MAX_EVIDENCE_BYTES} are read", bytes.len()));
        }
        let wire: Wire = match read_cbor(bytes) {
            Ok(wire) => wire,
            Err(why) => return refuse(why),
        };
        if wire.version == 0 || wire.version > VERSION {
            return refuse(format!("version {}, this program reads up to {VERSION}", wire.version));
        }
        if wire.version > 1 && wire.media_type.as_deref() != Some(EVIDENCE_MEDIA_TYPE) {
            return refuse(format!("its media type is not {EVIDENCE_MEDIA_TYPE}"));
        }
        if wire.parts.len() > MAX_PARTS || wire.parts.keys().any(|name| name.len() > MAX_PART_NAME) {
            return refuse(format!("more than {MAX_PARTS} parts, or a part's name is too long"));
        }
        let parts = wire.parts.into_iter().map(|(name, bytes)| (name, bytes.into_vec())).collect();
        let evidence = Self { version: wire.version, platform: wire.platform.parse()?, parts };
        // CBOR has many spellings (a text where bytes are meant, longer lengths); evidence has one.
        if evidence.encode() != bytes {
            return refuse("not in the one form that it is written in".to_owned());
        }
        Ok(evidence)
    }
}

/// Reads exactly one CBOR item that fills `bytes`; nesting is bounded.
pub(crate) fn read_cbor<T: for<'de> Deserialize<'de>>(bytes: &[u8]) -> Result<T, String> {
    const MAX_NESTING: usize = 8;
    let mut rest = bytes;
    let value = ciborium::de::from_reader_with_recursion_limit(&mut rest, MAX_NESTING)
        .map_err(|error| format!("bad CBOR: {error}"))?;
    if rest.is_empty() { Ok(value) } else { Err(format!("{} bytes after the end", rest.len())) }
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Wire {
    version: u8,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    media_type: Option<String>,
    platform: String,
    parts: BTreeMap<String, ByteBuf>,
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn encode(wire: &Wire) -> Vec<u8> {
        let mut bytes = Vec::new();
        ciborium::into_writer(wire, &mut bytes).unwrap();
        bytes
    }

    fn evidence(kind: usize, parts: BTreeMap<String, Vec<u8>>) -> Evidence {
        Evidence::new(PlatformKind::ALL[kind], parts)
    }

    #[test]
    fn refuses_by_name() {
        let decode = |bytes: &[u8]| Evidence::decode(bytes).unwrap_err().to_string();
        let good = evidence(7, BTreeMap::new()).encode();
        assert!(decode(&vec![0; MAX_EVIDENCE_BYTES + 1]).contains("at most 262144"));
        assert!(decode(&[&good[..], &[0]].concat()).contains("1 bytes after the end"));
        assert!(decode(&[0x81; 5000]).contains("bad CBOR"));

        let wire = |version, platform: &str, names: usize| {
            let parts = (0..names).map(|n| (n.to_string(), ByteBuf::new())).collect();
            encode(&Wire { version, media_type: None, platform: platform.into(), parts })
        };
        assert!(Evidence::decode(&wire(1, "tpm", 16)).is_ok());
        assert!(decode(&wire(0, "tpm", 0)).contains("version 0"));
        assert!(decode(&wire(3, "tpm", 0)).contains("version 3"));
        assert!(decode(&wire(2, "tpm", 0)).contains("media type"));
        assert!(decode(&wire(1, "abacus", 0)).contains("\"abacus\""));
        assert!(decode(&wire(1, "tpm", 17)).contains("more than 16 parts"));
    }

    #[test]
    fn version_1_is_still_read_and_stays_as_it_was() {
        let parts = BTreeMap::from([("quote".to_owned(), ByteBuf::from(vec![1]))]);
        let bytes = encode(&Wire { version: 1, media_type: None, platform: "tdx".into(), parts });
        let old = Evidence::decode(&bytes).unwrap();
        assert_eq!(old.encode(), bytes);
        assert_eq!(old.part("quote"), Some(&[1][..]));
    }

    #[test]
    fn a_length_beyond_the_input_allocates_nothing() {
        // A byte string that claims 2^62 bytes inside a well-formed start.
        let mut bytes = evidence(7, BTreeMap::from([("a".into(), vec![])])).encode();
        bytes.pop();
        bytes.extend_from_slice(&[0x5b, 0x40, 0, 0, 0, 0, 0, 0, 0]);
        assert!(Evidence::decode(&bytes).unwrap_err().to_string().contains("bad CBOR"));
    }

    proptest! {
        #[test]
        fn round_trips(
            kind in 0usize..8,
            parts in prop::collection::btree_map("[a-z]{1,32}", prop::collection::vec(any::<u8>(), 0..99), 0..16),
        ) {
            let evidence = evidence(kind, parts);
            prop_assert_eq!(Evidence::decode(&evidence.encode()).unwrap(), evidence);
        }

        #[test]
        fn garbage_never_panics(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let _ = Evidence::decode(&bytes);
        }

        #[test]
        fn damaged_evidence_never_panics(at in any::<prop::sample::Index>(), byte in any::<u8>()) {
            let mut bytes = evidence(7, BTreeMap::from([("claims".into(), vec![1; 60])])).encode();
            let at = at.index(bytes.len());
            bytes[at] = byte;
            let _ = Evidence::decode(&bytes);
        }
    }
}
