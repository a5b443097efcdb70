use sui_rpc::proto::sui::rpc::v2 as proto;
use sui_rpc::proto::sui::rpc::v2::changed_object::{IdOperation, OutputObjectState};
use sui_sdk_types::Address;

use crate::client::parse;
use crate::{Error, Receipt};

/// What a transaction would do, as the chain works it out without executing it.
#[derive(Clone, Debug, PartialEq)]
pub struct DryRun {
    /// Its effects, events and gas. It has no checkpoint, and its digest is that of no transaction.
    pub receipt: Receipt,
    /// What it would change.
    pub changes: Changes,
}

/// Balances and objects that a transaction changes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Changes {
    /// Balances of addresses, gas included.
    pub balances: Vec<BalanceChange>,
    /// Objects written or deleted.
    pub objects: Vec<TouchedObject>,
}

/// How the balance of an address changes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BalanceChange {
    /// Whose.
    pub address: Address,
    /// Type of the coin, e.g. `0x2::sui::SUI`.
    pub coin: String,
    /// By how much, in the coin's smallest unit (MIST for SUI).
    pub amount: i128,
}

/// An object that a transaction changes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TouchedObject {
    /// Its id; that of a created object is another when the transaction is executed.
    pub id: Address,
    /// Its type, e.g. `0x2::coin::Coin<0x2::sui::SUI>`, or `package`.
    pub type_: String,
    /// What happens to it.
    pub kind: ObjectKind,
}

/// What happens to an object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ObjectKind {
    /// It is made.
    Created,
    /// It is changed.
    Mutated,
    /// It is no more, or inside another object.
    Deleted,
}

impl ObjectKind {
    /// `created`, `mutated` or `deleted`.
    pub fn as_str(self) -> &'static str {
        match self {
            ObjectKind::Created => "created",
            ObjectKind::Mutated => "mutated",
            ObjectKind::Deleted => "deleted",
        }
    }
}

impl Changes {
    pub(crate) const MASK: [&str; 2] = ["balance_changes", "effects.changed_objects"];

    pub(crate) fn decode(
        call: &'static str,
        answer: Option<&proto::ExecutedTransaction>,
    ) -> Result<Changes, Error> {
        let Some(answer) = answer else { return Ok(Changes::default()) };
        let balances = answer
            .balance_changes
            .iter()
            .map(|change| {
                Ok(BalanceChange {
                    address: parse(call, change.address.as_deref())?,
                    coin: change.coin_type.clone().unwrap_or_default(),
                    amount: parse(call, change.amount.as_deref())?,
                })
            })
            .collect::<Result<_, Error>>()?;
        let changed = answer.effects.iter().flat_map(|effects| &effects.changed_objects);
        let objects = changed.map(|object| touched(call, object)).collect::<Result<_, Error>>()?;
        Ok(Changes { balances, objects })
    }
}

fn touched(call: &'static str, object: &proto::ChangedObject) -> Result<TouchedObject, Error> {
    let kind = match (object.id_operation(), object.output_state()) {
        (IdOperation::Created, _) => ObjectKind::Created,
        (IdOperation::Deleted, _) | (_, OutputObjectState::DoesNotExist) => ObjectKind::Deleted,
        _ => ObjectKind::Mutated,
    };
    Ok(TouchedObject {
        id: parse(call, object.object_id.as_deref())?,
        type_: object.object_type.clone().unwrap_or_default(),
        kind,
    })
}
