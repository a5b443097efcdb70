use serde::{Deserialize, Serialize};
use sui_sdk_types::Address;
use sui_sdk_types::hash::Hasher;

use crate::{Client, Cursor, Error, State};

/// Changes whenever the form of [`State`] does: an index of another form is read anew from the chain.
const FORM: u32 = 1;
/// A hundred thousand stakes have some 40 MB.
const MAX_BYTES: usize = 512 << 20;

/// What is known of a cluster up to a checkpoint: write it down, and go on from there.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Index {
    form: u32,
    /// The contracts.
    pub package: Address,
    /// Everything that has happened before the cursor.
    pub state: State,
    /// Where to go on.
    pub cursor: Cursor,
}

/// How [`Index::advance`] came to the present.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Advance {
    /// By the events since the cursor.
    Followed,
    /// By reading objects, as events were dropped; see [`Rebuilt::unseen`](crate::Rebuilt::unseen).
    Rebuilt {
        /// Checkpoints whose events nobody has.
        unseen: Option<(u64, u64)>,
    },
}

impl Index {
    /// Nothing is known yet; `cursor` is where the package was published.
    pub fn new(package: Address, cluster: Address, cursor: Cursor) -> Index {
        Index { form: FORM, package, state: State::new(cluster), cursor }
    }

    /// Reads what [`Index::to_bytes`] gave.
    ///
    /// # Errors
    /// [`Error::Invalid`] when it is damaged, too large, or of another form: then begin anew.
    pub fn from_bytes(bytes: &[u8]) -> Result<Index, Error> {
        let invalid = |reason: &str| Error::Invalid(format!("the index cannot be used: {reason}"));
        if bytes.len() > MAX_BYTES {
            return Err(invalid("it is too large"));
        }
        let (checksum, body) = bytes.split_at_checked(32).ok_or_else(|| invalid("it is too short"))?;
        if Hasher::digest(body).into_inner() != checksum {
            return Err(invalid("it is damaged"));
        }
        let index: Index = bcs::from_bytes(body).map_err(|_| invalid("it is of another form"))?;
        if index.form != FORM {
            return Err(invalid("it is of another form"));
        }
        Ok(index)
    }

    /// The index behind its checksum.
    ///
    /// # Errors
    /// [`Error::Build`] when it has no BCS form.
    pub fn to_bytes(&self) -> Result<Vec<u8>, Error> {
        let body = bcs::to_bytes(self).map_err(|error| Error::Build(error.to_string()))?;
        let mut bytes = Hasher::digest(&body).into_inner().to_vec();
        bytes.extend(body);
        Ok(bytes)
    }

    /// Goes on to the present: by events, and where those were dropped by objects.
    ///
    /// # Errors
    /// [`Error::WrongChain`] when the endpoint serves another chain, and as [`Client::rebuild`].
    pub async fn advance(&mut self, client: &Client) -> Result<Advance, Error> {
        match client.catch_up(self.package, &mut self.state, &self.cursor).await {
            Ok(cursor) => {
                self.cursor = cursor;
                Ok(Advance::Followed)
            }
            Err(Error::Pruned { .. }) => {
                // Rare and large: it shall not make every future that holds this one large.
                let rebuilding = client.rebuild(self.package, &self.state, self.cursor.next);
                let rebuilt = Box::pin(rebuilding).await?;
                (self.state, self.cursor) = (rebuilt.state, rebuilt.cursor);
                Ok(Advance::Rebuilt { unseen: rebuilt.unseen })
            }
            Err(error) => Err(error),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_damage_is_noticed() {
        let cursor = Cursor { chain_id: "c".into(), next: 7 };
        let index = Index::new(Address::TWO, Address::ZERO, cursor);
        let bytes = index.to_bytes().unwrap();
        assert_eq!(Index::from_bytes(&bytes).unwrap(), index);
        for at in 0..bytes.len() {
            let mut bad = bytes.clone();
            bad[at] ^= 1;
            assert!(Index::from_bytes(&bad).is_err(), "byte {at}");
            assert!(Index::from_bytes(&bytes[..at]).is_err(), "cut at {at}");
        }
    }
}
