//! The JSON of a publisher. Fields that nobody here reads are left out, and unknown ones are passed over.

use serde::{Deserialize, Serialize};

/// What `PUT /v1/blobs` answers.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) enum Answer {
    /// Stored, and paid for.
    NewlyCreated(Created),
    /// It was there for long enough; nothing was paid.
    AlreadyCertified(Certified),
    /// The network holds it to be inconsistently coded.
    MarkedInvalid(Invalid),
    /// One of several blobs failed; not seen for single ones.
    Error(Message),
}

#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Created {
    pub(crate) blob_object: BlobObject,
    /// FROST.
    pub(crate) cost: u64,
}

#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct BlobObject {
    /// The object on Sui.
    pub(crate) id: String,
    pub(crate) registered_epoch: u32,
    pub(crate) blob_id: String,
    /// Bytes before coding.
    pub(crate) size: u64,
    pub(crate) encoding_type: String,
    pub(crate) certified_epoch: Option<u32>,
    pub(crate) storage: StorageResource,
    pub(crate) deletable: bool,
}

#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct StorageResource {
    pub(crate) id: String,
    pub(crate) start_epoch: u32,
    /// The first in which it is no longer there.
    pub(crate) end_epoch: u32,
    /// Bytes after coding.
    pub(crate) storage_size: u64,
}

#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Certified {
    pub(crate) blob_id: String,
    pub(crate) end_epoch: u32,
}

#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Invalid {
    pub(crate) blob_id: String,
}

#[derive(Clone, Debug, Deserialize, Serialize)]
pub(crate) struct Message {
    #[serde(default, alias = "errorMsg")]
    pub(crate) message: String,
}
