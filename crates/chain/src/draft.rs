use std::collections::BTreeMap;

use sui_sdk_types::{
    Address, Argument, Command, Digest, Identifier, Input, MakeMoveVector, MoveCall, Mutability,
    ObjectReference, Owner, ProgrammableTransaction, Publish, SharedInput, SplitCoins, TransferObjects,
    TypeTag, Upgrade,
};

use crate::Error;

/// Sui refuses a programmable transaction with more inputs or commands.
const MAX_PARTS: usize = 1024;

/// A programmable transaction whose objects are named by id only; versions, gas and sender are filled in
/// when it is prepared, so the same draft can be prepared again after a conflict.
#[derive(Clone, Debug, Default)]
pub struct Draft {
    inputs: Vec<DraftInput>,
    commands: Vec<Command>,
    spends: u64,
    fault: Option<String>,
}

#[derive(Clone, Debug)]
enum DraftInput {
    Pure(Vec<u8>),
    Object { id: Address, mutable: bool },
}

/// What the chain says about an object that a draft names.
#[derive(Clone, Debug)]
pub(crate) struct Located {
    pub(crate) reference: ObjectReference,
    pub(crate) owner: Owner,
}

impl Located {
    pub(crate) fn new(id: Address, version: u64, digest: Digest, owner: Owner) -> Located {
        Located { reference: ObjectReference::new(id, version, digest), owner }
    }
}

impl Draft {
    /// An empty draft.
    pub fn new() -> Draft {
        Draft::default()
    }

    /// Adds a plain value, BCS-encoded.
    pub fn pure<T: serde::Serialize + ?Sized>(&mut self, value: &T) -> Argument {
        let bytes = bcs::to_bytes(value).unwrap_or_else(|error| {
            self.fault.get_or_insert(format!("an argument cannot be encoded: {error}"));
            Vec::new()
        });
        self.inputs.push(DraftInput::Pure(bytes));
        self.last_input()
    }

    /// Adds an object that is read (`&T`), or an owned object taken by value.
    pub fn object(&mut self, id: Address) -> Argument {
        self.add_object(id, false)
    }

    /// Adds an object that is changed (`&mut T`), or a shared object taken by value.
    pub fn object_mut(&mut self, id: Address) -> Argument {
        self.add_object(id, true)
    }

    /// Calls a Move function; gives its first result.
    pub fn call(
        &mut self,
        package: Address,
        module: &str,
        function: &str,
        type_arguments: Vec<TypeTag>,
        arguments: Vec<Argument>,
    ) -> Argument {
        let (Ok(module), Ok(function)) = (Identifier::new(module), Identifier::new(function)) else {
            self.fault.get_or_insert(format!("`{module}::{function}` is not a Move function's name"));
            return Argument::Gas;
        };
        self.push(Command::MoveCall(MoveCall { package, module, function, type_arguments, arguments }))
    }

    /// Takes `mist` MIST from the gas coin as a new `Coin<SUI>`.
    pub fn split_gas(&mut self, mist: u64) -> Argument {
        match self.spends.checked_add(mist) {
            Some(total) => self.spends = total,
            None => drop(self.fault.get_or_insert("the amounts add up to more MIST than there are".into())),
        }
        let amount = self.pure(&mist);
        let index = self.commands.len();
        self.push(Command::SplitCoins(SplitCoins { coin: Argument::Gas, amounts: vec![amount] }));
        Argument::NestedResult(u16::try_from(index).unwrap_or(u16::MAX), 0)
    }

    /// Gives objects to an address.
    pub fn transfer(&mut self, objects: Vec<Argument>, to: Address) {
        let address = self.pure(&to);
        self.push(Command::TransferObjects(TransferObjects { objects, address }));
    }

    /// Makes a Move vector.
    pub fn vector(&mut self, type_: Option<TypeTag>, elements: Vec<Argument>) -> Argument {
        self.push(Command::MakeMoveVector(MakeMoveVector { type_, elements }))
    }

    /// Publishes modules; gives the `UpgradeCap`.
    pub fn publish(&mut self, modules: Vec<Vec<u8>>, dependencies: Vec<Address>) -> Argument {
        self.push(Command::Publish(Publish { modules, dependencies }))
    }

    /// Upgrades `package`; takes the ticket for it and gives the `UpgradeReceipt`.
    pub fn upgrade(
        &mut self,
        modules: Vec<Vec<u8>>,
        dependencies: Vec<Address>,
        package: Address,
        ticket: Argument,
    ) -> Argument {
        self.push(Command::Upgrade(Upgrade { modules, dependencies, package, ticket }))
    }

    /// MIST taken out of the gas coin, besides gas.
    pub fn spends(&self) -> u64 {
        self.spends
    }

    /// Ids of the objects that have to be looked up.
    pub(crate) fn objects(&self) -> Vec<Address> {
        self.inputs
            .iter()
            .filter_map(|input| match input {
                DraftInput::Object { id, .. } => Some(*id),
                DraftInput::Pure(_) => None,
            })
            .collect()
    }

    /// Fills in what the chain says about the objects.
    /// What is spent comes out of `purse`, or out of the gas coin when there is none.
    pub(crate) fn resolve(
        &self,
        located: &BTreeMap<Address, Located>,
        purse: Option<ObjectReference>,
    ) -> Result<ProgrammableTransaction, Error> {
        if let Some(fault) = &self.fault {
            return Err(Error::Build(fault.clone()));
        }
        if self.inputs.len() > MAX_PARTS || self.commands.len() > MAX_PARTS {
            return Err(Error::Build(format!("more than {MAX_PARTS} inputs or commands; split the work")));
        }
        let mut inputs = self
            .inputs
            .iter()
            .map(|input| match input {
                DraftInput::Pure(bytes) => Ok(Input::Pure(bytes.clone())),
                DraftInput::Object { id, mutable } => resolve_object(*id, *mutable, located.get(id)),
            })
            .collect::<Result<Vec<_>, _>>()?;
        let mut commands = self.commands.clone();
        if let Some(purse) = purse {
            let coin = Argument::Input(u16::try_from(inputs.len()).unwrap_or(u16::MAX));
            inputs.push(Input::ImmutableOrOwned(purse));
            for command in &mut commands {
                if let Command::SplitCoins(split) = command {
                    split.coin = coin;
                }
            }
        }
        Ok(ProgrammableTransaction { inputs, commands })
    }

    fn add_object(&mut self, id: Address, mutable: bool) -> Argument {
        // An object may be an input only once; the stronger use wins.
        for (index, input) in self.inputs.iter_mut().enumerate() {
            if let DraftInput::Object { id: known, mutable: known_mutable } = input
                && *known == id
            {
                *known_mutable |= mutable;
                return Argument::Input(u16::try_from(index).unwrap_or(u16::MAX));
            }
        }
        self.inputs.push(DraftInput::Object { id, mutable });
        self.last_input()
    }

    fn last_input(&self) -> Argument {
        // `resolve` refuses more than MAX_PARTS, long before this saturates.
        Argument::Input(u16::try_from(self.inputs.len() - 1).unwrap_or(u16::MAX))
    }

    fn push(&mut self, command: Command) -> Argument {
        self.commands.push(command);
        Argument::Result(u16::try_from(self.commands.len() - 1).unwrap_or(u16::MAX))
    }
}

fn resolve_object(id: Address, mutable: bool, located: Option<&Located>) -> Result<Input, Error> {
    let located = located.ok_or_else(|| Error::NotFound { what: "object", id: id.to_string() })?;
    match &located.owner {
        Owner::Shared(version) => {
            Ok(Input::Shared(SharedInput::new(id, *version, Mutability::from(mutable))))
        }
        Owner::ConsensusAddress { start_version, .. } => {
            Ok(Input::Shared(SharedInput::new(id, *start_version, Mutability::from(mutable))))
        }
        Owner::Address(_) | Owner::Immutable => Ok(Input::ImmutableOrOwned(located.reference.clone())),
        other => Err(Error::Build(format!("object {id} cannot be used directly: it is owned by {other:?}"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(byte: u8) -> Address {
        Address::new([byte; 32])
    }

    #[test]
    fn an_object_used_twice_is_one_input_with_the_stronger_use() {
        let mut draft = Draft::new();
        let first = draft.object(address(1));
        let second = draft.object_mut(address(1));
        assert_eq!(first, second);
        let located =
            BTreeMap::from([(address(1), Located::new(address(1), 9, Digest::ZERO, Owner::Shared(3)))]);
        let resolved = draft.resolve(&located, None).unwrap();
        assert_eq!(resolved.inputs, [Input::Shared(SharedInput::new(address(1), 3, true))]);
    }

    #[test]
    fn a_sponsored_draft_spends_its_senders_coin() {
        let mut draft = Draft::new();
        let coin = draft.split_gas(5);
        draft.transfer(vec![coin], address(3));
        let purse = ObjectReference::new(address(7), 1, Digest::ZERO);
        let resolved = draft.resolve(&BTreeMap::new(), Some(purse.clone())).unwrap();
        assert_eq!(resolved.inputs.last(), Some(&Input::ImmutableOrOwned(purse)));
        let Command::SplitCoins(split) = &resolved.commands[0] else { panic!("{resolved:?}") };
        assert_eq!(split.coin, Argument::Input(2));
    }

    #[test]
    fn a_missing_object_is_named() {
        let mut draft = Draft::new();
        draft.object(address(2));
        let error = draft.resolve(&BTreeMap::new(), None).unwrap_err().to_string();
        assert!(error.contains(&address(2).to_string()), "{error}");
    }

    #[test]
    fn an_objects_child_cannot_be_an_input() {
        let mut draft = Draft::new();
        draft.object(address(2));
        let located = BTreeMap::from([(
            address(2),
            Located::new(address(2), 1, Digest::ZERO, Owner::Object(address(3))),
        )]);
        assert!(matches!(draft.resolve(&located, None), Err(Error::Build(_))));
    }

    #[test]
    fn spending_is_added_up_and_overflow_refused() {
        let mut draft = Draft::new();
        draft.split_gas(5);
        draft.split_gas(7);
        assert_eq!(draft.spends(), 12);
        draft.split_gas(u64::MAX);
        assert!(matches!(draft.resolve(&BTreeMap::new(), None), Err(Error::Build(_))));
    }

    #[test]
    fn a_bad_name_is_refused_when_resolved() {
        let mut draft = Draft::new();
        draft.call(address(1), "1bad", "f", vec![], vec![]);
        assert!(draft.resolve(&BTreeMap::new(), None).unwrap_err().to_string().contains("1bad"));
    }
}
