use sui_rpc::proto::proto_to_timestamp_ms;
use sui_rpc::proto::sui::rpc::v2 as proto;
use sui_sdk_types::{
    Address, Digest, ExecutionError, ExecutionStatus, GasCostSummary, IdOperation, ObjectChange, ObjectOut,
    Owner, TransactionEffects, TransactionEvents,
};

use crate::client::{decode_bcs, parse_digest};
use crate::{Admin, ClusterCreated, Error, Event, Refusal};

/// Proof that a transaction took effect, and what it did.
#[derive(Clone, Debug, PartialEq)]
pub struct Receipt {
    /// The transaction's digest.
    pub digest: Digest,
    /// The checkpoint that holds it. Absent only while it is not yet in one.
    pub checkpoint: Option<u64>,
    /// Time of that checkpoint, milliseconds since the Unix epoch.
    pub timestamp_ms: Option<u64>,
    /// Everything it changed.
    pub effects: TransactionEffects,
    /// All events as they are on chain, in order; [`Receipt::events_of`] gives them typed.
    pub raw_events: Vec<sui_sdk_types::Event>,
}

/// An object that a transaction created.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Created {
    /// Its id.
    pub id: Address,
    /// Who owns it.
    pub owner: Owner,
}

impl Receipt {
    /// Objects that were created, packages left out.
    pub fn created(&self) -> Vec<Created> {
        self.effects
            .object_changes()
            .filter_map(|change| match change {
                ObjectChange::Created { object_id, output_owner, .. } => {
                    Some(Created { id: *object_id, owner: *output_owner })
                }
                _ => None,
            })
            .filter(|created| self.package() != Some(created.id))
            .collect()
    }

    /// The package that was published.
    pub fn package(&self) -> Option<Address> {
        let TransactionEffects::V2(effects) = &self.effects else {
            return None;
        };
        effects
            .changed_objects
            .iter()
            .find(|change| {
                matches!(change.output_state, ObjectOut::PackageWrite { .. })
                    && matches!(change.id_operation, IdOperation::Created)
            })
            .map(|change| change.object_id)
    }

    /// Gas that was paid.
    pub fn gas(&self) -> &GasCostSummary {
        self.effects.gas_summary()
    }

    /// The cluster that this transaction made with the contracts in `package`, and its maker's right to it.
    pub fn founded(&self, package: Address) -> Option<(ClusterCreated, Admin)> {
        let (mut created, mut cap) = (None, None);
        for event in self.events_of(package) {
            match event {
                Event::ClusterCreated(event) => created = Some(event),
                Event::CapIssued(event) => cap = Some(event.cap),
                _ => {}
            }
        }
        let created = created?;
        let admin = Admin { governance: created.governance, cap: cap? };
        Some((created, admin))
    }

    /// Events of the contracts in `package`, typed and in order.
    pub fn events_of(&self, package: Address) -> Vec<Event> {
        self.raw_events.iter().filter(|event| event.type_.address() == &package).map(Event::decode).collect()
    }
}

/// A transaction as an endpoint reports it, decoded.
#[derive(Clone, Debug)]
pub(crate) struct Executed {
    pub(crate) digest: Digest,
    pub(crate) effects: TransactionEffects,
    events: Vec<sui_sdk_types::Event>,
    pub(crate) checkpoint: Option<u64>,
    timestamp_ms: Option<u64>,
}

impl Executed {
    pub(crate) fn decode(
        call: &'static str,
        answer: Option<proto::ExecutedTransaction>,
    ) -> Result<Executed, Error> {
        let answer = answer.ok_or_else(|| Error::malformed(call, "no transaction"))?;
        let effects: TransactionEffects =
            decode_bcs(call, answer.effects.and_then(|effects| effects.bcs).as_ref())?;
        let events = decode_events(call, answer.events.as_ref())?;
        if events.is_empty() && effects.events_digest().is_some() {
            return Err(Error::malformed(call, "events were left out"));
        }
        let digest = match &answer.digest {
            Some(text) => parse_digest(call, Some(text))?,
            None => *effects.transaction_digest(),
        };
        let timestamp_ms = answer
            .timestamp
            .map(proto_to_timestamp_ms)
            .transpose()
            .map_err(|error| Error::malformed(call, error))?;
        Ok(Executed { digest, effects, events, checkpoint: answer.checkpoint, timestamp_ms })
    }

    /// The receipt of a success, or why it failed.
    pub(crate) fn receipt(self) -> Result<Receipt, Error> {
        if let Some(error) = failure(&self.effects) {
            return Err(error);
        }
        Ok(Receipt {
            digest: self.digest,
            checkpoint: self.checkpoint,
            timestamp_ms: self.timestamp_ms,
            effects: self.effects,
            raw_events: self.events,
        })
    }
}

pub(crate) fn decode_events(
    call: &'static str,
    events: Option<&proto::TransactionEvents>,
) -> Result<Vec<sui_sdk_types::Event>, Error> {
    match events.and_then(|events| events.bcs.as_ref()) {
        Some(bcs) if bcs.value.as_ref().is_some_and(|value| !value.is_empty()) => {
            Ok(decode_bcs::<TransactionEvents>(call, Some(bcs))?.0)
        }
        _ => Ok(Vec::new()),
    }
}

/// Why executed effects are a failure, if they are one.
pub(crate) fn failure(effects: &TransactionEffects) -> Option<Error> {
    let ExecutionStatus::Failure { error, command } = effects.status() else {
        return None;
    };
    Some(match error {
        ExecutionError::MoveAbort { location, code } => Refusal::new(location, *code).into(),
        // Cancelled, not run: nothing took effect, and a new transaction is the way on.
        ExecutionError::ExecutionCanceledDueToConsensusObjectCongestion { .. } => Error::Rejected {
            digest: *effects.transaction_digest(),
            reason: "the shared objects it uses are congested".to_owned(),
        },
        other => Error::Failed { command: *command, reason: format!("{other:?}") },
    })
}
