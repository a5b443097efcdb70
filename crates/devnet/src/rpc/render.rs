//! Turns what the ledger holds into messages, as far as a read mask asks for it.

use std::collections::BTreeMap;

use sui_rpc::field::FieldMaskTree;
use sui_rpc::merge::Merge;
use sui_rpc::proto::sui::rpc::v2 as proto;
use sui_sdk_types::{
    Address, BalanceChange, ObjectIn, ObjectOut, ObjectType, Owner, TransactionEffects, TypeTag,
    UnchangedConsensusKind, Version,
};

use super::timestamp;
use crate::ledger::{Checkpoint, ExecutedTransaction, Ledger, StoredObject, coin};

pub(super) fn object(stored: &StoredObject, mask: &FieldMaskTree) -> proto::Object {
    let source = stored.object();
    let mut message = proto::Object::merge_from(source.clone(), &without_digest(mask));
    if mask.contains("digest") {
        message.digest = Some(stored.digest().to_string());
    }
    if mask.contains("balance")
        && let Some((_, balance)) = coin::of_object(source)
    {
        message.balance = Some(balance);
    }
    message
}

/// The same mask without the digest, which the ledger knows already.
fn without_digest(mask: &FieldMaskTree) -> FieldMaskTree {
    const OTHERS: [&str; 11] = [
        "bcs",
        "object_id",
        "version",
        "owner",
        "object_type",
        "has_public_transfer",
        "contents",
        "package",
        "previous_transaction",
        "storage_rebate",
        "balance",
    ];
    let mut without = FieldMaskTree::default();
    for field in OTHERS.iter().filter(|field| mask.contains(field)) {
        without.add_field_path(field);
    }
    without
}

pub(super) fn checkpoint(ledger: &Ledger, source: &Checkpoint, mask: &FieldMaskTree) -> proto::Checkpoint {
    let mut message = proto::Checkpoint::merge_from(&source.summary, mask);
    if mask.contains("contents") {
        message.merge(source.contents.clone(), mask);
    }
    if let Some(mask) = mask.subtree("transactions") {
        message.transactions =
            source.transactions.iter().map(|executed| transaction(ledger, executed, &mask)).collect();
    }
    if let Some(mask) = mask.subtree("objects") {
        let mut set = proto::ObjectSet::default();
        if let Some(mask) = mask.subtree("objects") {
            let mut objects = BTreeMap::new();
            for executed in &source.transactions {
                objects.extend(touched(ledger, executed));
            }
            set.objects = objects.values().map(|stored| object(stored, &mask)).collect();
        }
        message.objects = Some(set);
    }
    message
}

pub(super) fn transaction(
    ledger: &Ledger,
    source: &ExecutedTransaction,
    mask: &FieldMaskTree,
) -> proto::ExecutedTransaction {
    let mut message = proto::ExecutedTransaction::default();
    if mask.contains("digest") {
        message.digest = Some(source.digest.to_string());
    }
    if let Some(mask) = mask.subtree("transaction") {
        let transaction = source.signed.transaction.clone();
        message.transaction = Some(proto::Transaction::merge_from(transaction, &mask));
    }
    if let Some(mask) = mask.subtree("signatures") {
        message.signatures = source
            .signed
            .signatures
            .iter()
            .map(|signature| proto::UserSignature::merge_from(signature.clone(), &mask))
            .collect();
    }
    if let Some(mask) = mask.subtree("effects") {
        let type_of = |id: &Address, version| object_type(ledger, source, id, version);
        message.effects = Some(effects(&source.effects, &mask, type_of));
    }
    if let (Some(mask), Some(events)) = (mask.subtree("events"), &source.events) {
        message.events = Some(proto::TransactionEvents::merge_from(events.clone(), &mask));
    }
    if mask.contains("checkpoint") {
        message.checkpoint = Some(source.checkpoint);
    }
    if mask.contains("timestamp") {
        message.timestamp = Some(timestamp(source.timestamp_ms));
    }
    if mask.contains("transaction_index") {
        message.transaction_index = Some(source.index);
    }
    if mask.contains("balance_changes") {
        message.balance_changes = balance_changes(ledger, source);
    }
    if let Some(mask) = mask.subtree("objects") {
        let mut set = proto::ObjectSet::default();
        if let Some(mask) = mask.subtree("objects") {
            let objects: BTreeMap<_, _> = touched(ledger, source).collect();
            set.objects = objects.values().map(|stored| object(stored, &mask)).collect();
        }
        message.objects = Some(set);
    }
    message
}

/// Effects with the types of the objects, which effects themselves do not hold.
pub(super) fn effects(
    source: &TransactionEffects,
    mask: &FieldMaskTree,
    type_of: impl Fn(&Address, Version) -> Option<String>,
) -> proto::TransactionEffects {
    let mut message = proto::TransactionEffects::merge_from(source, mask);
    let TransactionEffects::V2(v2) = source else { return message };
    let type_of_change = |index: usize| {
        let changed = v2.changed_objects.get(index)?;
        let version = match (&changed.output_state, &changed.input_state) {
            (ObjectOut::ObjectWrite { .. }, _) => v2.lamport_version,
            (ObjectOut::PackageWrite { version, .. }, _) => *version,
            (_, ObjectIn::Exist { version, .. }) => *version,
            _ => return None,
        };
        type_of(&changed.object_id, version)
    };
    for (index, changed) in message.changed_objects.iter_mut().enumerate() {
        changed.object_type = type_of_change(index);
    }
    if let Some(gas) = &mut message.gas_object
        && let Some(index) = v2.gas_object_index
    {
        gas.object_type = type_of_change(index as usize);
    }
    for (unchanged, message) in
        v2.unchanged_consensus_objects.iter().zip(&mut message.unchanged_consensus_objects)
    {
        if let UnchangedConsensusKind::ReadOnlyRoot { version, .. } = &unchanged.kind {
            message.object_type = type_of(&unchanged.object_id, *version);
        }
    }
    message
}

/// The text of an object's type.
pub(super) fn type_name(stored: &StoredObject) -> String {
    match stored.object().object_type() {
        ObjectType::Package => "package".to_owned(),
        ObjectType::Struct(tag) => tag.to_string(),
    }
}

fn object_type(
    ledger: &Ledger,
    executed: &ExecutedTransaction,
    id: &Address,
    version: Version,
) -> Option<String> {
    let written = executed
        .written
        .iter()
        .find(|stored| stored.object().object_id() == *id && stored.object().version() == version);
    written.or_else(|| ledger.objects().version(id, version)).map(|stored| type_name(stored))
}

/// Objects that a transaction read as input or wrote, by identifier and version.
fn touched<'a>(
    ledger: &'a Ledger,
    executed: &'a ExecutedTransaction,
) -> impl Iterator<Item = ((Address, Version), &'a StoredObject)> {
    let before = inputs_of(ledger, executed);
    let after = executed.written.iter().map(|stored| &**stored);
    before.chain(after).map(|stored| ((stored.object().object_id(), stored.object().version()), stored))
}

fn inputs_of<'a>(
    ledger: &'a Ledger,
    executed: &'a ExecutedTransaction,
) -> impl Iterator<Item = &'a StoredObject> {
    let changed = match &executed.effects {
        TransactionEffects::V2(effects) => effects.changed_objects.as_slice(),
        TransactionEffects::V1(_) => &[],
    };
    changed.iter().filter_map(|changed| match changed.input_state {
        ObjectIn::Exist { version, .. } => {
            ledger.objects().version(&changed.object_id, version).map(|stored| &**stored)
        }
        _ => None,
    })
}

fn balance_changes(ledger: &Ledger, executed: &ExecutedTransaction) -> Vec<proto::BalanceChange> {
    let mut changes: BTreeMap<(Address, TypeTag), i128> = BTreeMap::new();
    let mut add = |stored: &StoredObject, sign: i128| {
        if let Owner::Address(owner) = stored.object().owner()
            && let Some((money, balance)) = coin::of_object(stored.object())
        {
            *changes.entry((*owner, money.clone())).or_default() += sign * i128::from(balance);
        }
    };
    inputs_of(ledger, executed).for_each(|stored| add(stored, -1));
    executed.written.iter().for_each(|stored| add(stored, 1));
    changes
        .into_iter()
        .filter(|(_, amount)| *amount != 0)
        .map(|((address, coin_type), amount)| BalanceChange { address, coin_type, amount }.into())
        .collect()
}
