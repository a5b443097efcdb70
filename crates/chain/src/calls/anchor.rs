use sui_sdk_types::Address;

use super::Calls;
use crate::{Draft, EnclaveStatement, Point};

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
}
