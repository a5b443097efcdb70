use std::collections::BTreeMap;

use serde::de::DeserializeOwned;
use sui_sdk_types::{Address, Identifier, Object, StructTag};

use crate::{
    AdminCap, Anchor, Case, Client, Cluster, Enclave, Epoch, Error, Escrow, Governance, Grant, Insurance,
    Names, Pool, Registry, SealToken, Shard, Stake, Upgrader,
};

/// An object type of the contracts.
pub trait MoveObject: DeserializeOwned {
    /// Module that declares it.
    const MODULE: &'static str;
    /// Its name there.
    const NAME: &'static str;

    /// Its type in `package`.
    ///
    /// # Errors
    /// Never for the types of this crate, whose names are Move identifiers.
    fn type_in(package: Address) -> Result<StructTag, Error> {
        let name = |text| Identifier::new(text).map_err(|error| Error::Build(format!("{error}")));
        Ok(StructTag::new(package, name(Self::MODULE)?, name(Self::NAME)?, vec![]))
    }
}

macro_rules! move_objects {
    ($($type:ident in $module:literal),* $(,)?) => {
        $(impl MoveObject for $type {
            const MODULE: &'static str = $module;
            const NAME: &'static str = stringify!($type);
        })*

        /// Every object type that is read: module, name, fields.
        #[cfg(test)]
        pub(crate) fn known() -> Vec<(&'static str, &'static str, &'static [&'static str])> {
            vec![$(($module, stringify!($type), crate::layout::fields::<$type>())),*]
        }
    };
}

move_objects! {
    AdminCap in "governance",
    Anchor in "anchor",
    Case in "slashing",
    Cluster in "k8s_gateway",
    Enclave in "enclave",
    Epoch in "rewards",
    Escrow in "usage",
    Governance in "governance",
    Grant in "k8s_gateway",
    Insurance in "insurance",
    Names in "k8s_gateway",
    Pool in "rewards",
    Registry in "enclave",
    SealToken in "seal_token",
    Shard in "rewards",
    Stake in "staking",
    Upgrader in "upgrade",
}

impl Client {
    /// One object of the contracts in `package`, as it is now.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::WrongType`] when the id belongs to something else, and when the endpoint
    /// does not answer.
    pub async fn read<T: MoveObject>(&self, package: Address, id: Address) -> Result<T, Error> {
        decode(package, &self.object(id).await?)
    }

    /// As [`Client::read`], with the version of the object.
    ///
    /// # Errors
    /// As [`Client::read`].
    pub async fn read_with_version<T: MoveObject>(
        &self,
        package: Address,
        id: Address,
    ) -> Result<(T, u64), Error> {
        let object = self.object(id).await?;
        Ok((decode(package, &object)?, object.version()))
    }

    /// One object of the contracts in `package`, as it was at a version.
    ///
    /// # Errors
    /// As [`Client::read`]; [`Error::NotFound`] also when the endpoint no longer has it.
    pub async fn read_at<T: MoveObject>(
        &self,
        package: Address,
        id: Address,
        version: u64,
    ) -> Result<T, Error> {
        decode(package, &self.object_at(id, version).await?)
    }

    /// The package whose type an object has: that of the contracts, when it is one of theirs.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::WrongType`] when it is a package itself, and when the endpoint does not answer.
    pub async fn package_of(&self, id: Address) -> Result<Address, Error> {
        let object = self.object(id).await?;
        let data = object.as_struct().ok_or_else(|| Error::WrongType {
            id,
            expected: "an object".to_owned(),
            found: "package".to_owned(),
        })?;
        Ok(*data.object_type().address())
    }

    /// Many objects of one type. Those that do not exist are left out.
    ///
    /// # Errors
    /// As [`Client::read`].
    pub async fn read_all<T: MoveObject>(
        &self,
        package: Address,
        ids: &[Address],
    ) -> Result<BTreeMap<Address, T>, Error> {
        let objects = self.objects(ids).await?;
        objects.into_iter().map(|(id, object)| Ok((id, decode(package, &object)?))).collect()
    }

    /// All objects of one type that `owner` owns.
    ///
    /// # Errors
    /// As [`Client::read`].
    pub async fn read_owned<T: MoveObject>(
        &self,
        package: Address,
        owner: Address,
    ) -> Result<BTreeMap<Address, T>, Error> {
        let ids = self.owned(owner, &T::type_in(package)?).await?;
        self.read_all(package, &ids).await
    }
}

pub(crate) fn decode<T: MoveObject>(package: Address, object: &Object) -> Result<T, Error> {
    let id = object.object_id();
    let wrong =
        |found: String| Error::WrongType { id, expected: format!("{}::{}", T::MODULE, T::NAME), found };
    let data = object.as_struct().ok_or_else(|| wrong("package".to_owned()))?;
    let type_ = data.object_type();
    if *type_ != T::type_in(package)? {
        return Err(wrong(type_.to_string()));
    }
    bcs::from_bytes(data.contents()).map_err(|error| Error::malformed(T::NAME, error))
}
