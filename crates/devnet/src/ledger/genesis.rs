//! The first checkpoint: the framework, the clock, and all SUI in the faucet's hands.

use std::sync::Arc;

use sui_sdk_types::{
    Address, ChangedObject, CheckpointContents, CheckpointSummary, CheckpointTransactionInfo, Digest,
    ExecutionStatus, GasCostSummary, GasPayment, GenesisObject, GenesisTransaction, IdOperation, Identifier,
    MovePackage, MoveStruct, Object, ObjectData, ObjectIn, ObjectOut, Owner, SignedTransaction, StructTag,
    Transaction, TransactionEffects, TransactionEffectsV2, TransactionExpiration, TransactionKind,
};

use super::history::{Checkpoint, ExecutedTransaction};
use super::objects::StoredObject;
use super::{CLOCK, coin, gas};

/// MIST that exist on this chain.
pub const SUPPLY_MIST: u64 = 10_000_000_000_000_000_000;
/// The supply lies in this many coins, so that as many faucet payments can be under way at once.
const FAUCET_COINS: u64 = 8;
const GENESIS_VERSION: u64 = 1;
const FIRST_EPOCH: u64 = 0;

/// What a chain starts from.
#[derive(Clone, Debug)]
pub struct Genesis {
    /// The framework's packages.
    pub packages: Vec<MovePackage>,
    /// Who owns all SUI.
    pub faucet: Address,
    /// Makes the chain's identifier unlike any other's.
    pub seed: [u8; 32],
    /// Time of the first checkpoint, milliseconds since the Unix epoch.
    pub timestamp_ms: u64,
}

impl Genesis {
    /// The first checkpoint, whose digest is the chain's identifier.
    pub fn checkpoint(self) -> Arc<Checkpoint> {
        let timestamp_ms = self.timestamp_ms;
        let seed = self.seed;
        let objects = self.objects();
        let genesis = GenesisTransaction { objects: objects.clone() };
        let transaction = system_transaction(TransactionKind::Genesis(genesis));
        let digest = transaction.digest();
        let written: Vec<_> = objects
            .into_iter()
            .map(|object| StoredObject::new(Object::new(object.data().clone(), *object.owner(), digest, 0)))
            .collect();
        let effects = effects(digest, &written);
        let effects_digest = effects.digest();
        let contents = CheckpointContents::new_v1(vec![CheckpointTransactionInfo::new(
            digest,
            effects_digest,
            Vec::new(),
        )]);
        let summary = CheckpointSummary {
            epoch: FIRST_EPOCH,
            sequence_number: 0,
            network_total_transactions: 1,
            content_digest: contents.digest(),
            previous_digest: None,
            epoch_rolling_gas_cost_summary: GasCostSummary::default(),
            timestamp_ms,
            checkpoint_commitments: Vec::new(),
            end_of_epoch_data: None,
            version_specific_data: seed.to_vec(),
        };
        Arc::new(Checkpoint {
            digest: summary.digest(),
            summary,
            contents,
            transactions: vec![Arc::new(ExecutedTransaction {
                digest,
                signed: SignedTransaction { transaction, signatures: Vec::new() },
                effects,
                effects_digest,
                events: None,
                written,
                checkpoint: 0,
                index: 0,
                timestamp_ms,
            })],
        })
    }

    fn objects(self) -> Vec<GenesisObject> {
        let faucet = self.faucet;
        let clock = clock_object(self.timestamp_ms);
        let coins = (0..FAUCET_COINS).filter_map(|index| {
            let id = Address::derive_id(Digest::new(self.seed), index);
            let contents = coin::contents(id, SUPPLY_MIST / FAUCET_COINS);
            let data = MoveStruct::new(StructTag::gas_coin(), true, GENESIS_VERSION, contents)?;
            Some(GenesisObject::new(ObjectData::Struct(data), Owner::Address(faucet)))
        });
        let packages = self
            .packages
            .into_iter()
            .map(|package| GenesisObject::new(ObjectData::Package(package), Owner::Immutable));
        packages.chain(clock).chain(coins).collect()
    }
}

/// The bytes of the clock at a time.
pub(super) fn clock_contents(timestamp_ms: u64) -> Vec<u8> {
    coin::contents(CLOCK, timestamp_ms)
}

/// The clock's type.
pub(super) fn clock_type() -> StructTag {
    StructTag::new(
        Address::TWO,
        Identifier::from_static("clock"),
        Identifier::from_static("Clock"),
        Vec::new(),
    )
}

/// A transaction that nobody sent or pays for.
pub(super) fn system_transaction(kind: TransactionKind) -> Transaction {
    Transaction {
        kind,
        sender: Address::ZERO,
        gas_payment: GasPayment {
            objects: Vec::new(),
            owner: Address::ZERO,
            price: gas::REFERENCE_GAS_PRICE,
            budget: 0,
        },
        expiration: TransactionExpiration::None,
    }
}

fn clock_object(timestamp_ms: u64) -> Option<GenesisObject> {
    let contents = clock_contents(timestamp_ms);
    let clock = MoveStruct::new(clock_type(), false, GENESIS_VERSION, contents)?;
    Some(GenesisObject::new(ObjectData::Struct(clock), Owner::Shared(GENESIS_VERSION)))
}

fn effects(digest: Digest, written: &[Arc<StoredObject>]) -> TransactionEffects {
    let mut changed_objects: Vec<_> = written
        .iter()
        .map(|object| ChangedObject {
            object_id: object.object().object_id(),
            input_state: ObjectIn::NotExist,
            output_state: match object.object().data() {
                ObjectData::Struct(_) => {
                    ObjectOut::ObjectWrite { digest: object.digest(), owner: *object.object().owner() }
                }
                ObjectData::Package(package) => {
                    ObjectOut::PackageWrite { version: package.version, digest: object.digest() }
                }
            },
            id_operation: IdOperation::Created,
        })
        .collect();
    changed_objects.sort_by_key(|changed| changed.object_id);
    TransactionEffects::V2(Box::new(TransactionEffectsV2 {
        status: ExecutionStatus::Success,
        epoch: FIRST_EPOCH,
        gas_used: GasCostSummary::default(),
        transaction_digest: digest,
        gas_object_index: None,
        events_digest: None,
        dependencies: Vec::new(),
        lamport_version: GENESIS_VERSION,
        changed_objects,
        unchanged_consensus_objects: Vec::new(),
        auxiliary_data_digest: None,
    }))
}
