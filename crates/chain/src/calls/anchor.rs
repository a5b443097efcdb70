use sui_sdk_types::Address;

use super::Calls;
use crate::{Draft, EnclaveStatement, Point, Unanchored};

impl Calls {
    /// `anchor::record`: anchors a point that is after the last one.
    pub fn record(&self, anchor: Address, registry: Address, stated: &EnclaveStatement<Point>) -> Draft {
        let point = &stated.statement;
        self.entry("anchor", "record")
            .write(anchor)
            .read(registry)
            .write(stated.enclave)
            .pure(&point.revision)
            .pure(&point.state_root)
            .pure(&point.log_hash)
            .pure(&point.blob)
            .pure(&point.key_epoch)
            .pure(&stated.timestamp_ms)
            .pure(&stated.signature)
            .at_now()
    }

    /// `anchor::declare_unanchored`: declares that an enclave has served a state before it could read the anchor.
    pub fn declare_unanchored(
        &self,
        anchor: Address,
        registry: Address,
        stated: &EnclaveStatement<Unanchored>,
    ) -> Draft {
        let opened = &stated.statement;
        self.entry("anchor", "declare_unanchored")
            .read(anchor)
            .read(registry)
            .write(stated.enclave)
            .pure(&opened.revision)
            .pure(&opened.state_root)
            .pure(&opened.opened_ms)
            .pure(&stated.timestamp_ms)
            .pure(&stated.signature)
            .at_now()
    }
}
