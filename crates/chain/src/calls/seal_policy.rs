use sui_sdk_types::Address;

use super::Calls;
use crate::{Draft, EnclaveStatement, Sealing};

impl Calls {
    /// `seal_policy::seal`: keeps on the anchor what an enclave encrypted to key servers of Seal, in place of what was there.
    pub fn seal(&self, anchor: Address, registry: Address, stated: &EnclaveStatement<Sealing>) -> Draft {
        self.entry("seal_policy", "seal")
            .write(anchor)
            .read(registry)
            .write(stated.enclave)
            .pure(&stated.statement.object)
            .pure(&stated.timestamp_ms)
            .pure(&stated.signature)
            .at_now()
    }

    /// `seal_policy::seal_approve`: what key servers try before they give the key of `id` to the enclave that asks.
    pub fn seal_approve(&self, id: &[u8], enclave: Address, registry: Address) -> Draft {
        self.entry("seal_policy", "seal_approve").pure(id).read(enclave).read(registry).at_now()
    }
}
