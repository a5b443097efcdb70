/// Whether a blob can be taken away before its time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lifetime {
    /// Stays until its epochs have passed, whoever owns it: what a backup wants.
    Permanent,
    /// Its owner can delete it and have the rest of its storage back. Walrus's default, and for that reason never ours.
    Deletable,
}

/// How to store a blob. There are no defaults: Walrus's own, one epoch and deletable, lose backups.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoreOptions {
    /// How many epochs from now on it is kept (mainnet: two weeks each; at most 53).
    pub epochs: u32,
    /// Whether it can be deleted before.
    pub lifetime: Lifetime,
    /// The Sui address that is to own the blob's object; without it the publisher's wallet does.
    pub send_object_to: Option<String>,
}

impl StoreOptions {
    /// The query of a publisher's `PUT /v1/blobs`.
    pub(crate) fn query(&self) -> Vec<(&'static str, String)> {
        let lifetime = match self.lifetime {
            Lifetime::Permanent => "permanent",
            Lifetime::Deletable => "deletable",
        };
        let mut query = vec![("epochs", self.epochs.to_string()), (lifetime, "true".to_owned())];
        if let Some(owner) = &self.send_object_to {
            query.push(("send_object_to", owner.clone()));
        }
        query
    }
}
