use chain::sui::TypeTag;
use chain::{Address, Client};
use walrus::{System, SystemError};

/// Why the price is not known.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PriceError {
    /// Sui.
    #[error(transparent)]
    Chain(#[from] chain::Error),
    /// Something else is there than Walrus's system.
    #[error("object {object} on Sui {source}")]
    System {
        /// Its id.
        object: Address,
        /// What is wrong.
        source: SystemError,
    },
}

/// Walrus's epoch and prices, from its system object on Sui. Most of it lies in a dynamic field of the object, which is named by
/// the object's version.
///
/// # Errors
/// [`PriceError`].
pub async fn walrus_price(client: &Client, system: Address) -> Result<System, PriceError> {
    let version = read(client, system, System::version).await?;
    let field = system.derive_dynamic_child_id(&TypeTag::U64, &version.to_le_bytes());
    read(client, field, System::from_field).await
}

async fn read<T>(
    client: &Client,
    object: Address,
    read: impl FnOnce(&[u8]) -> Result<T, SystemError>,
) -> Result<T, PriceError> {
    let found = client.object(object).await?;
    let content = found.as_struct().map_or(&[][..], |data| data.contents());
    read(content).map_err(|source| PriceError::System { object, source })
}
