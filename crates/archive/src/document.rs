use chain::{Address, Anchor};
use serde::{Deserialize, Serialize};
use store::root::{End, Entry, Hash, Leaf, Proof, ProofError};

/// The largest document that is read, bytes; a value may be in it.
const MAX_BYTES: usize = 8 << 20;
const FORMAT: &str = "k3s-daas/proof/1";

/// A proof about one key, as a file: what `k3s-daas prove` prints and `k3s-daas verify-proof` reads.
///
/// It says nothing about itself that has to be believed: only what is checked against the anchor on chain.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ProofDocument {
    /// `k3s-daas/proof/1`.
    pub format: String,
    /// The cluster, its id on chain.
    pub cluster: Address,
    /// Version of the cluster's anchor object that holds the state root, when the prover knew it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub anchor_version: Option<u64>,
    /// Revision of the state.
    pub revision: i64,
    /// How many keys existed then.
    pub keys: u64,
    /// The key, hexadecimal.
    pub key_hex: String,
    /// What it had; absent when it did not exist.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub present: Option<ProvenLeaf>,
    /// Its value, hexadecimal; left out unless asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub value_hex: Option<String>,
    /// Another key in its place, when it did not exist and its place was not empty.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub instead: Option<ProvenAbsence>,
    /// The path to the root, from the top down, hexadecimal.
    pub siblings: Vec<String>,
}

/// What a key had.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ProvenLeaf {
    /// Revision at which this life of the key began.
    pub create_revision: i64,
    /// Revision of its latest version.
    pub mod_revision: i64,
    /// Number of the version in this life.
    pub version: i64,
    /// Lease that holds it, or 0.
    pub lease: i64,
    /// SHA-256 of the value, hexadecimal.
    pub value_sha256: String,
}

/// The key in another key's place.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ProvenAbsence {
    /// SHA-256 of the key, hexadecimal.
    pub key_sha256: String,
    /// Hash over what it has, hexadecimal.
    pub body_sha256: String,
}

/// What a document has shown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verified {
    /// The key.
    pub key: Vec<u8>,
    /// What it had; `None` when it did not exist.
    pub leaf: Option<Leaf>,
    /// Its value, if the document has it.
    pub value: Option<Vec<u8>>,
    /// When the state was anchored, milliseconds since the Unix epoch.
    pub anchored_ms: u64,
}

/// Why a document shows nothing.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DocumentError {
    /// Too large.
    #[error("more than {MAX_BYTES} bytes: this is no proof")]
    TooLarge,
    /// No proof of this form.
    #[error("this is no proof: {0}")]
    Json(#[from] serde_json::Error),
    /// A form that this program does not know.
    #[error("the proof has format {0:?} and this program reads {FORMAT:?}: a newer k3s-daas made it")]
    Format(String),
    /// A field is not what it has to be.
    #[error("{0}")]
    Field(&'static str),
    /// For another cluster.
    #[error("the proof is about cluster {document}, and the anchor is that of {anchor}")]
    OtherCluster {
        /// In the document.
        document: Address,
        /// On chain.
        anchor: Address,
    },
    /// The anchor is of another revision.
    #[error(
        "the proof is about revision {document}, and the chain's anchor is at {anchor}: make the proof again, or give \
         an endpoint that still has the older anchor"
    )]
    OtherRevision {
        /// In the document.
        document: i64,
        /// On chain.
        anchor: u64,
    },
    /// The proof does not lead to the anchored root.
    #[error(transparent)]
    Proof(#[from] ProofError),
}

impl ProofDocument {
    /// A document of a proof about `key`, with its value if that is to be shown.
    pub fn new(cluster: Address, key: &[u8], proof: &Proof, value: Option<&[u8]>) -> Self {
        let (present, instead) = match &proof.end {
            End::Key(leaf) => (Some(ProvenLeaf::from(leaf)), None),
            End::Other(other) => (None, Some(ProvenAbsence::from(other))),
            End::Empty => (None, None),
        };
        Self {
            format: FORMAT.to_owned(),
            cluster,
            anchor_version: None,
            revision: proof.revision,
            keys: proof.keys,
            key_hex: hex::encode(key),
            present,
            value_hex: value.map(hex::encode),
            instead,
            siblings: proof.siblings.iter().map(hex::encode).collect(),
        }
    }

    /// Reads a file.
    ///
    /// # Errors
    /// It is too large, no proof, or of a newer format.
    pub fn parse(bytes: &[u8]) -> Result<Self, DocumentError> {
        #[derive(Deserialize)]
        struct Named {
            format: String,
        }
        if bytes.len() > MAX_BYTES {
            return Err(DocumentError::TooLarge);
        }
        let named: Named = serde_json::from_slice(bytes)?;
        if named.format != FORMAT {
            return Err(DocumentError::Format(named.format));
        }
        Ok(serde_json::from_slice(bytes)?)
    }

    /// Checks everything against the cluster's anchor as it is on chain.
    ///
    /// # Errors
    /// The anchor is another cluster's or of another revision, or does not agree with what the document says.
    pub fn verify(&self, anchor: &Anchor) -> Result<Verified, DocumentError> {
        if self.cluster != anchor.cluster {
            return Err(DocumentError::OtherCluster { document: self.cluster, anchor: anchor.cluster });
        }
        if u64::try_from(self.revision) != Ok(anchor.revision) {
            let (document, anchor) = (self.revision, anchor.revision);
            return Err(DocumentError::OtherRevision { document, anchor });
        }
        let root: Hash = anchor.state_root.as_slice().try_into().map_err(|_| {
            DocumentError::Field("the anchor on chain has no state root: nothing was anchored yet")
        })?;
        let key =
            hex::decode(&self.key_hex).map_err(|_| DocumentError::Field("keyHex is not hexadecimal"))?;
        let proof = self.proof()?;
        proof.check(&key, &root)?;
        let value = self.value_hex.as_deref().map(hex::decode).transpose();
        let value = value.map_err(|_| DocumentError::Field("valueHex is not hexadecimal"))?;
        match (&value, proof.leaf()) {
            (Some(value), Some(leaf)) if Leaf::hash_value(value) != leaf.value => {
                return Err(DocumentError::Field("valueHex is not the value whose hash was anchored"));
            }
            (Some(_), None) => {
                return Err(DocumentError::Field("a value is given for a key that did not exist"));
            }
            _ => {}
        }
        Ok(Verified { key, leaf: proof.leaf().copied(), value, anchored_ms: anchor.anchored_ms })
    }

    fn proof(&self) -> Result<Proof, DocumentError> {
        if self.siblings.len() > Proof::MAX_SIBLINGS {
            return Err(ProofError::TooLong.into());
        }
        let end = match (&self.present, &self.instead) {
            (Some(leaf), None) => End::Key(Leaf {
                create_revision: leaf.create_revision,
                mod_revision: leaf.mod_revision,
                version: leaf.version,
                lease: leaf.lease,
                value: hash(&leaf.value_sha256, "present.valueSha256 is not 64 hexadecimal digits")?,
            }),
            (None, Some(other)) => End::Other(Entry {
                key: hash(&other.key_sha256, "instead.keySha256 is not 64 hexadecimal digits")?,
                body: hash(&other.body_sha256, "instead.bodySha256 is not 64 hexadecimal digits")?,
            }),
            (None, None) => End::Empty,
            (Some(_), Some(_)) => return Err(DocumentError::Field("both present and instead are given")),
        };
        let siblings = self.siblings.iter().map(|text| hash(text, "a sibling is not 64 hexadecimal digits"));
        let siblings = siblings.collect::<Result<_, _>>()?;
        Ok(Proof { revision: self.revision, keys: self.keys, siblings, end })
    }
}

impl From<&Leaf> for ProvenLeaf {
    fn from(leaf: &Leaf) -> Self {
        Self {
            create_revision: leaf.create_revision,
            mod_revision: leaf.mod_revision,
            version: leaf.version,
            lease: leaf.lease,
            value_sha256: hex::encode(leaf.value),
        }
    }
}

impl From<&Entry> for ProvenAbsence {
    fn from(entry: &Entry) -> Self {
        Self { key_sha256: hex::encode(entry.key), body_sha256: hex::encode(entry.body) }
    }
}

fn hash(text: &str, problem: &'static str) -> Result<Hash, DocumentError> {
    let mut hash = [0; 32];
    hex::decode_to_slice(text, &mut hash).map_err(|_| DocumentError::Field(problem))?;
    Ok(hash)
}
