use serde::{Deserialize, Serialize};
use sui_sdk_types::{Address, Identifier, StructTag, TypeTag};

use crate::{Client, Error};

/// `seal_policy::Sealed`: a cluster's secret, encrypted to key servers of Seal. A dynamic field of the cluster's anchor.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sealed {
    /// Seal's `EncryptedObject`, in BCS.
    pub object: Vec<u8>,
    /// The enclave that encrypted it.
    pub enclave: Address,
    /// When, milliseconds since the Unix epoch.
    pub sealed_ms: u64,
}

/// `0x2::dynamic_field::Field<Slot, Sealed>`; a struct without fields has a byte in BCS.
#[derive(Deserialize)]
struct Field {
    _id: Address,
    _slot: bool,
    value: Sealed,
}

impl Client {
    /// What an enclave encrypted to key servers of Seal, of the cluster whose anchor is `anchor`; none when none did.
    ///
    /// # Errors
    /// [`Error::WrongType`] when something else is there, and when the endpoint does not answer.
    pub async fn sealed(&self, package: Address, anchor: Address) -> Result<Option<Sealed>, Error> {
        let name = |text| Identifier::new(text).map_err(|error| Error::Build(format!("{error}")));
        let slot = StructTag::new(package, name("seal_policy")?, name("Slot")?, vec![]);
        let id = anchor.derive_dynamic_child_id(&TypeTag::from(slot), &[0]);
        let object = match self.object(id).await {
            Ok(object) => object,
            Err(error) if error.is_not_found() => return Ok(None),
            Err(error) => return Err(error),
        };
        let field = object.as_struct().and_then(|data| bcs::from_bytes::<Field>(data.contents()).ok());
        let field = field.ok_or_else(|| Error::WrongType {
            id,
            expected: "seal_policy::Sealed".to_owned(),
            found: "something else".to_owned(),
        })?;
        Ok(Some(field.value))
    }
}
