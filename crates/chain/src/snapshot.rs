use futures::stream::{self, StreamExt as _, TryStreamExt as _};
use serde::Deserialize;
use sui_sdk_types::{Address, StructTag, TypeTag};

use crate::checkpoint::Checkpoint;
use crate::{Applied, Client, Cursor, Error, Names, State};

/// Checkpoints fetched at a time.
const FETCHES: usize = 16;

impl Client {
    /// Where the history of a package begins: the checkpoint that published it.
    ///
    /// # Errors
    /// [`Error::NotFound`] when there is no such package or the endpoint has dropped its publication, and
    /// when the endpoint does not answer.
    pub async fn start_of(&self, package: Address) -> Result<Cursor, Error> {
        let object = self.object(package).await?;
        if object.as_struct().is_some() {
            let found = object.object_type();
            return Err(Error::WrongType {
                id: package,
                expected: "package".into(),
                found: format!("{found:?}"),
            });
        }
        // A package is never changed, so the transaction that wrote it last is the one that made it.
        let publication = self.transaction(object.previous_transaction()).await?;
        let next = publication.checkpoint.unwrap_or_default();
        Ok(Cursor { chain_id: self.chain_id().await?, next })
    }

    /// Reads on from `cursor` to the present height and folds what has happened into `state`. Gives the
    /// cursor behind it. A new state starts at [`Client::start_of`] its package.
    ///
    /// Only checkpoints with events of the package are transferred, where the endpoint can select them.
    ///
    /// # Errors
    /// [`Error::WrongChain`] when the cursor belongs to another chain, [`Error::Behind`] when every endpoint is
    /// before the cursor, [`Error::Pruned`] when every endpoint has
    /// dropped what comes next (see [`Client::rebuild`]), and when no endpoint answers.
    /// `state` is left as it was.
    pub async fn catch_up(
        &self,
        package: Address,
        state: &mut State,
        cursor: &Cursor,
    ) -> Result<Cursor, Error> {
        let (folded, cursor) =
            self.anywhere(|at| at.catch_up_here(package, state.clone(), cursor.clone())).await?;
        *state = folded;
        Ok(cursor)
    }

    async fn catch_up_here(
        self,
        package: Address,
        mut folded: State,
        cursor: Cursor,
    ) -> Result<(State, Cursor), Error> {
        let info = self.service_info().await?;
        if info.chain_id != cursor.chain_id {
            return Err(Error::WrongChain { expected: cursor.chain_id, found: info.chain_id });
        }
        if info.lowest_available_checkpoint > cursor.next {
            return Err(Error::Pruned { next: cursor.next, lowest: info.lowest_available_checkpoint });
        }
        let end = info.checkpoint_height.saturating_add(1);
        if end < cursor.next {
            return Err(Error::Behind {
                url: self.url().to_owned(),
                height: info.checkpoint_height,
                followed: cursor.next - 1,
            });
        }
        let mut selected_to = cursor.next;
        let mut pieces = self.selected(package, cursor.next, end);
        while let Some(piece) = pieces.try_next().await? {
            selected_to = piece.covered;
            if let Some(checkpoint) = &piece.checkpoint {
                fold(&mut folded, checkpoint);
            }
        }
        // What the endpoint has not indexed yet, or all of it when it has no index.
        let mut rest = stream::iter(selected_to..end)
            .map(|sequence| self.checkpoint(package, sequence))
            .buffered(FETCHES);
        while let Some(checkpoint) = rest.try_next().await? {
            fold(&mut folded, &checkpoint);
        }
        Ok((folded, Cursor { chain_id: info.chain_id, next: end }))
    }

    /// The stake that a node name is pinned to.
    ///
    /// # Errors
    /// When the endpoint does not answer.
    pub async fn pinned_stake(&self, names: &Names, node_name: &str) -> Result<Option<Address>, Error> {
        /// `0x2::dynamic_field::Field<String, ID>`.
        #[derive(Deserialize)]
        struct Field {
            _id: Address,
            _name: String,
            value: Address,
        }
        let text = |name: &str| {
            sui_sdk_types::Identifier::new(name).map_err(|error| Error::Build(error.to_string()))
        };
        let string = StructTag::new(Address::from_static("0x1"), text("string")?, text("String")?, vec![]);
        let key = bcs::to_bytes(node_name).map_err(|error| Error::Build(error.to_string()))?;
        let id = names.table.derive_dynamic_child_id(&TypeTag::from(string), &key);
        let Some(object) = self.objects(&[id]).await?.remove(&id) else {
            return Ok(None);
        };
        let data = object.as_struct().ok_or_else(|| Error::malformed("dynamic field", "it is a package"))?;
        let field: Field =
            bcs::from_bytes(data.contents()).map_err(|error| Error::malformed("dynamic field", error))?;
        Ok(Some(field.value))
    }
}

fn fold(state: &mut State, checkpoint: &Checkpoint) {
    for at in &checkpoint.events {
        if let Applied::Unexpected(reason) = state.apply(&at.event) {
            tracing::warn!(checkpoint = checkpoint.sequence, reason, "an event was left out");
        }
    }
}
