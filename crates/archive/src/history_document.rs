use chain::{Address, Anchor};
use serde::{Deserialize, Serialize};
use store::root::Leaf;

use crate::document::{DocumentError, ProofDocument, Verified};
use crate::history::{Found, Past};

/// The largest document that is read, bytes: values may be in it.
const MAX_BYTES: usize = 64 << 20;
const FORMAT: &str = "k3s-daas/history/1";

/// One key's past as a file: what `k3s-daas history` prints and, if it has proofs, `k3s-daas verify-proof` reads.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct HistoryDocument {
    /// `k3s-daas/history/1`.
    pub format: String,
    /// The cluster, its id on chain.
    pub cluster: Address,
    /// The key, for people.
    pub key: String,
    /// The key, hexadecimal.
    pub key_hex: String,
    /// The first revision that was asked for.
    pub from: i64,
    /// The last one; absent for now.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<i64>,
    /// Oldest first.
    pub versions: Vec<Version>,
    /// What nobody knows, in order.
    pub gaps: Vec<Gap>,
    /// Whether a limit left older versions out.
    pub truncated: bool,
}

/// What a version did.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Kind {
    /// The key has a value from here on.
    Put,
    /// It does not exist from here on.
    Delete,
}

/// One version.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Version {
    /// Its revision.
    pub revision: i64,
    /// What it did.
    pub kind: Kind,
    /// Revision at which this life of the key began; 0 for a deletion, and so are the next two.
    pub create_revision: i64,
    /// Number of the version in this life.
    pub version: i64,
    /// Lease that held it, or 0.
    pub lease: i64,
    /// Bytes of the value.
    pub value_bytes: usize,
    /// SHA-256 of the value, hexadecimal; absent for a deletion.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub value_sha256: Option<String>,
    /// The value, hexadecimal; left out unless asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub value_hex: Option<String>,
    /// The snapshot that it was read from; absent when it was the store.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub snapshot: Option<String>,
    /// When the last snapshot before it was taken, milliseconds since the Unix epoch.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after_ms: Option<u64>,
    /// When the first snapshot that has it was taken, milliseconds since the Unix epoch.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub before_ms: Option<u64>,
    /// That it was the key's latest version at an anchored revision, or for a deletion that the key did not exist then.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub proof: Option<ProofDocument>,
    /// Why there is none, though proofs were asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unproven: Option<String>,
}

/// Revisions at which the key may have changed, and nobody knows.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Gap {
    /// The first.
    pub from: i64,
    /// The last; absent for whatever came after.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub to: Option<i64>,
    /// Why.
    pub why: String,
}

/// What the proof of one version has shown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shown {
    /// The version's revision.
    pub revision: i64,
    /// What it did.
    pub kind: Kind,
    /// The anchored revision at which it was the latest.
    pub anchored_revision: i64,
    /// When that was anchored, milliseconds since the Unix epoch.
    pub anchored_ms: u64,
}

impl HistoryDocument {
    /// A document without proofs; with values if they are to be shown. `taken` are the snapshots' revisions and times, oldest first.
    pub fn new(
        cluster: Address,
        key: &[u8],
        (from, until): (i64, Option<i64>),
        past: Past,
        taken: &[(i64, u64)],
        with_values: bool,
    ) -> Self {
        let versions = past.versions.into_iter().map(|found| Version::of(found, taken, with_values));
        let gaps = past.missing.into_iter();
        Self {
            format: FORMAT.to_owned(),
            cluster,
            key: String::from_utf8_lossy(key).into_owned(),
            key_hex: hex::encode(key),
            from,
            until,
            versions: versions.collect(),
            gaps: gaps.map(|missing| Gap { from: missing.from, to: missing.to, why: missing.why }).collect(),
            truncated: past.truncated,
        }
    }

    /// Whether a file says that it is such a document; it may be none all the same.
    pub fn is_named_in(bytes: &[u8]) -> bool {
        #[derive(Deserialize)]
        struct Named {
            format: String,
        }
        bytes.len() <= MAX_BYTES
            && serde_json::from_slice::<Named>(bytes).is_ok_and(|named| named.format.contains("/history/"))
    }

    /// Reads a file.
    ///
    /// # Errors
    /// It is too large, no history, or of a newer format.
    pub fn parse(bytes: &[u8]) -> Result<Self, DocumentError> {
        if bytes.len() > MAX_BYTES {
            return Err(DocumentError::TooLarge);
        }
        let document: Self = serde_json::from_slice(bytes)?;
        if document.format != FORMAT {
            return Err(DocumentError::Format(document.format));
        }
        Ok(document)
    }

    /// The first revision after a version at which the document says that the key changed again; `None` for the last one.
    fn next(&self, at: usize) -> Option<i64> {
        let revision = self.versions[at].revision;
        self.versions[at..].iter().map(|version| version.revision).find(|next| *next > revision)
    }

    /// The anchored revisions at which a version would be the latest: from its own to the one before the next version.
    pub fn reign(&self, at: usize) -> (i64, i64) {
        (self.versions[at].revision, self.next(at).map_or(i64::MAX, |next| next - 1))
    }

    /// Checks one version's proof against the anchor that it is about, as it is or was on chain, and the version against its proof.
    ///
    /// # Errors
    /// The proof is not good, or the version is another one than it proves.
    pub fn verify(&self, at: usize, anchor: &Anchor) -> Result<Option<Shown>, DocumentError> {
        let version = &self.versions[at];
        let Some(proof) = &version.proof else { return Ok(None) };
        if proof.cluster != self.cluster || proof.key_hex != self.key_hex {
            return Err(DocumentError::Field("a proof is about another cluster or key than the history"));
        }
        let (first, last) = self.reign(at);
        if proof.revision < first || proof.revision > last {
            return Err(DocumentError::Field(
                "a version has the proof of a revision at which it was not the latest",
            ));
        }
        let verified = proof.verify(anchor)?;
        version.must_be(&verified)?;
        Ok(Some(Shown {
            revision: version.revision,
            kind: version.kind,
            anchored_revision: proof.revision,
            anchored_ms: verified.anchored_ms,
        }))
    }
}

impl Gap {
    /// Whether a revision is in it.
    pub fn has(&self, revision: i64) -> bool {
        self.from <= revision && self.to.is_none_or(|to| revision <= to)
    }
}

impl Version {
    fn of(found: Found, taken: &[(i64, u64)], with_value: bool) -> Self {
        let record = found.record;
        let gone = record.is_tombstone();
        let revision = record.mod_revision;
        Self {
            revision,
            kind: if gone { Kind::Delete } else { Kind::Put },
            create_revision: record.create_revision,
            version: record.version,
            lease: record.lease,
            value_bytes: record.value.len(),
            value_sha256: (!gone).then(|| hex::encode(Leaf::hash_value(&record.value))),
            value_hex: (with_value && !gone).then(|| hex::encode(&record.value)),
            snapshot: found.snapshot,
            after_ms: taken.iter().rev().find(|(taken, _)| *taken < revision).map(|(_, ms)| *ms),
            before_ms: taken.iter().find(|(taken, _)| *taken >= revision).map(|(_, ms)| *ms),
            proof: None,
            unproven: None,
        }
    }

    /// Whether the version is what was proven.
    fn must_be(&self, proven: &Verified) -> Result<(), DocumentError> {
        let what = "a version is not what its proof shows";
        let matches = match (self.kind, &proven.leaf) {
            (Kind::Delete, None) => self.value_sha256.is_none() && self.value_hex.is_none(),
            (Kind::Put, Some(leaf)) => {
                let numbers = (leaf.mod_revision, leaf.create_revision, leaf.version, leaf.lease);
                let value = self.value_hex.as_deref().map(hex::decode).transpose();
                let value = value.map_err(|_| DocumentError::Field("valueHex is not hexadecimal"))?;
                numbers == (self.revision, self.create_revision, self.version, self.lease)
                    && self.value_sha256 == Some(hex::encode(leaf.value))
                    && value.as_ref().is_none_or(|value| {
                        Leaf::hash_value(value) == leaf.value && value.len() == self.value_bytes
                    })
            }
            _ => false,
        };
        if matches { Ok(()) } else { Err(DocumentError::Field(what)) }
    }
}
