//! Filters over transactions and events: a disjunction of conjunctions of predicates.

use sui_rpc::proto::sui::rpc::v2 as proto;
use sui_rpc::proto::sui::rpc::v2::{event_literal, transaction_literal};
use sui_sdk_types::{
    Address, Command, Event, ObjectIn, ObjectOut, Owner, StructTag, TransactionEffects, TransactionKind,
};
use tonic::Status;

use super::parse;
use crate::ledger::ExecutedTransaction;

const MAX_LITERALS: usize = 64;

/// A predicate, possibly negated.
#[derive(Clone, Debug)]
struct Literal {
    negated: bool,
    predicate: Predicate,
}

#[derive(Clone, Debug)]
enum Predicate {
    Sender(Address),
    AffectedAddress(Address),
    AffectedObject(Address),
    MoveCall(Path),
    EmitModule(Path),
    EventType(EventType),
    PackageWrite,
}

/// `package`, `package::module` or `package::module::function`.
#[derive(Clone, Debug)]
struct Path {
    package: Address,
    names: Vec<String>,
}

/// A package, a module, a type without parameters (any parameters match), or an exact type.
#[derive(Clone, Debug)]
enum EventType {
    Prefix(Path),
    Exact(StructTag),
}

/// What to let through.
#[derive(Clone, Debug)]
pub(super) struct Filter {
    terms: Vec<Vec<Literal>>,
}

impl Filter {
    pub(super) fn transactions(filter: &proto::TransactionFilter) -> Result<Self, Status> {
        use transaction_literal::Predicate as P;
        let terms = filter
            .terms
            .iter()
            .map(|term| {
                term.literals
                    .iter()
                    .map(|literal| {
                        let predicate = match &literal.predicate {
                            Some(P::Sender(sender)) => sender_is(sender.address.as_deref())?,
                            Some(P::AffectedAddress(filter)) => Predicate::AffectedAddress(parse::address(
                                "affected_address",
                                filter.address.as_deref(),
                            )?),
                            Some(P::AffectedObject(filter)) => Predicate::AffectedObject(parse::address(
                                "affected_object",
                                filter.object_id.as_deref(),
                            )?),
                            Some(P::MoveCall(filter)) => {
                                Predicate::MoveCall(path("move_call", filter.function.as_deref(), 2)?)
                            }
                            Some(P::EmitModule(filter)) => {
                                Predicate::EmitModule(path("emit_module", filter.module.as_deref(), 1)?)
                            }
                            Some(P::EventType(filter)) => event_type(filter.event_type.as_deref())?,
                            Some(P::PackageWrite(_)) => Predicate::PackageWrite,
                            _ => return Err(unsupported()),
                        };
                        Ok(Literal { negated: literal.negated, predicate })
                    })
                    .collect()
            })
            .collect::<Result<_, _>>()?;
        Self::new(terms)
    }

    pub(super) fn events(filter: &proto::EventFilter) -> Result<Self, Status> {
        use event_literal::Predicate as P;
        let terms = filter
            .terms
            .iter()
            .map(|term| {
                term.literals
                    .iter()
                    .map(|literal| {
                        let predicate = match &literal.predicate {
                            Some(P::Sender(sender)) => sender_is(sender.address.as_deref())?,
                            Some(P::EmitModule(filter)) => {
                                Predicate::EmitModule(path("emit_module", filter.module.as_deref(), 1)?)
                            }
                            Some(P::EventType(filter)) => event_type(filter.event_type.as_deref())?,
                            _ => return Err(unsupported()),
                        };
                        Ok(Literal { negated: literal.negated, predicate })
                    })
                    .collect()
            })
            .collect::<Result<_, _>>()?;
        Self::new(terms)
    }

    fn new(terms: Vec<Vec<Literal>>) -> Result<Self, Status> {
        if terms.is_empty() || terms.iter().any(Vec::is_empty) {
            return Err(Status::invalid_argument("filter: an empty filter or term"));
        }
        if terms.iter().map(Vec::len).sum::<usize>() > MAX_LITERALS {
            return Err(Status::invalid_argument(format!("filter: more than {MAX_LITERALS} predicates")));
        }
        Ok(Self { terms })
    }

    pub(super) fn matches_transaction(&self, transaction: &ExecutedTransaction) -> bool {
        self.matches(|predicate| predicate.matches_transaction(transaction))
    }

    pub(super) fn matches_event(&self, event: &Event) -> bool {
        self.matches(|predicate| predicate.matches_event(event))
    }

    fn matches(&self, holds: impl Fn(&Predicate) -> bool) -> bool {
        self.terms.iter().any(|term| term.iter().all(|l| holds(&l.predicate) != l.negated))
    }
}

impl Predicate {
    fn matches_transaction(&self, transaction: &ExecutedTransaction) -> bool {
        let events = || transaction.events.iter().flat_map(|events| &events.0);
        match self {
            Self::Sender(sender) => transaction.signed.transaction.sender == *sender,
            Self::AffectedAddress(address) => affects(transaction, address),
            Self::AffectedObject(id) => changed(transaction).iter().any(|changed| changed.object_id == *id),
            Self::MoveCall(path) => match &transaction.signed.transaction.kind {
                TransactionKind::ProgrammableTransaction(programmable) => {
                    programmable.commands.iter().any(|command| match command {
                        Command::MoveCall(call) => {
                            path.matches(&call.package, &[call.module.as_str(), call.function.as_str()])
                        }
                        _ => false,
                    })
                }
                _ => false,
            },
            Self::EmitModule(_) | Self::EventType(_) => events().any(|event| self.matches_event(event)),
            Self::PackageWrite => changed(transaction)
                .iter()
                .any(|changed| matches!(changed.output_state, ObjectOut::PackageWrite { .. })),
        }
    }

    fn matches_event(&self, event: &Event) -> bool {
        match self {
            Self::Sender(sender) => event.sender == *sender,
            Self::EmitModule(path) => path.matches(&event.package_id, &[event.module.as_str()]),
            Self::EventType(EventType::Exact(tag)) => event.type_ == *tag,
            Self::EventType(EventType::Prefix(path)) => path.matches(
                event.type_.address(),
                &[event.type_.module().as_str(), event.type_.name().as_str()],
            ),
            _ => false,
        }
    }
}

impl Path {
    fn matches(&self, package: &Address, names: &[&str]) -> bool {
        self.package == *package
            && self.names.len() <= names.len()
            && self.names.iter().zip(names).all(|(wanted, found)| wanted == found)
    }
}

fn changed(transaction: &ExecutedTransaction) -> &[sui_sdk_types::ChangedObject] {
    match &transaction.effects {
        TransactionEffects::V2(effects) => &effects.changed_objects,
        TransactionEffects::V1(_) => &[],
    }
}

fn affects(transaction: &ExecutedTransaction, address: &Address) -> bool {
    let unsigned = &transaction.signed.transaction;
    let owns = |owner: &Owner| matches!(owner, Owner::Address(owner) if owner == address);
    unsigned.sender == *address
        || unsigned.gas_payment.owner == *address
        || changed(transaction).iter().any(|changed| {
            matches!(&changed.input_state, ObjectIn::Exist { owner, .. } if owns(owner))
                || matches!(&changed.output_state, ObjectOut::ObjectWrite { owner, .. } if owns(owner))
        })
}

fn sender_is(address: Option<&str>) -> Result<Predicate, Status> {
    Ok(Predicate::Sender(parse::address("sender", address)?))
}

fn path(field: &str, text: Option<&str>, most_names: usize) -> Result<Path, Status> {
    let text = text.ok_or_else(|| Status::invalid_argument(format!("{field} is missing")))?;
    let mut parts = text.split("::");
    let package = parse::address(field, parts.next())?;
    let names: Vec<_> = parts.map(str::to_owned).collect();
    if names.len() > most_names || names.iter().any(String::is_empty) {
        return Err(Status::invalid_argument(format!("{field}: {text:?} is not a path")));
    }
    Ok(Path { package, names })
}

fn event_type(text: Option<&str>) -> Result<Predicate, Status> {
    let text = text.ok_or_else(|| Status::invalid_argument("event_type is missing"))?;
    Ok(Predicate::EventType(if text.contains('<') {
        EventType::Exact(parse::struct_tag("event_type", text)?)
    } else {
        EventType::Prefix(path("event_type", Some(text), 2)?)
    }))
}

fn unsupported() -> Status {
    Status::invalid_argument("filter: a predicate is missing, or not known to this server")
}
