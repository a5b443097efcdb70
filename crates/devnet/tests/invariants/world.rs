//! A ledger of its own with the contracts on it, and calls on it: bytecode, without network or signatures.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Arc, OnceLock};

use devnet::ledger::{Batch, Genesis, Ledger, ObjectSource, Outcome, StoredObject, VerifiedTransaction};
use devnet::vm::Vm;
use ed25519_dalek::{Signer, SigningKey};
use serde::Serialize;
use sui_sdk_types::{
    Address, Argument, Command, ExecutionError, ExecutionStatus, GasPayment, IdOperation, Input, MoveCall,
    ObjectIn, Owner, ProgrammableTransaction, Publish, SharedInput, SignedTransaction, SplitCoins,
    Transaction, TransactionEffects, TransactionExpiration, TransactionKind, TransferObjects,
};

use crate::objects::{self, kind, money};

pub(crate) const SUI: u64 = 1_000_000_000;
pub(crate) const MINUTE_MS: u64 = 60_000;
pub(crate) const HOUR_MS: u64 = 60 * MINUTE_MS;
pub(crate) const DAY_MS: u64 = 24 * HOUR_MS;
const CLOCK: Address = Address::from_static("0x6");
const START_MS: u64 = 1_700_000_000_000;
/// Accounts that play; the first is the operator.
pub(crate) const ACTORS: usize = 6;

/// An argument of a call.
#[derive(Clone, Debug)]
pub(crate) enum Arg {
    Pure(Vec<u8>),
    /// A shared object to be changed, or one that the sender owns.
    Object(Address),
    /// A shared object to be read.
    Read(Address),
    /// A coin of this much, split off the sender's.
    Coin(u64),
}

pub(crate) fn pure<T: Serialize>(value: &T) -> Arg {
    Arg::Pure(bcs::to_bytes(value).unwrap())
}

pub(crate) fn clock() -> Arg {
    Arg::Read(CLOCK)
}

/// What a call came to.
#[derive(Debug)]
pub(crate) struct Done {
    /// Module and code of the abort, or what else was wrong.
    pub(crate) refused: Option<String>,
    pub(crate) created: Vec<Arc<StoredObject>>,
    /// MIST that each actor has more, what gas cost not counted.
    pub(crate) received: Vec<i128>,
    /// Units of computation, and MIST altogether.
    pub(crate) gas: (u64, i64),
}

impl Done {
    pub(crate) fn ok(&self) -> bool {
        self.refused.is_none()
    }

    /// The object of this type that the call made.
    pub(crate) fn made<T: for<'a> serde::Deserialize<'a>>(&self, module: &str, name: &str) -> T {
        objects::decode(self.find(module, name))
    }

    /// Its identifier.
    pub(crate) fn made_id(&self, module: &str, name: &str) -> Address {
        self.find(module, name).object().object_id()
    }

    fn find(&self, module: &str, name: &str) -> &StoredObject {
        let found = self.created.iter().find(|object| kind(object) == (module, name));
        found.unwrap_or_else(|| panic!("no {module}::{name} was made"))
    }
}

#[derive(Clone)]
pub(crate) struct World {
    vm: Arc<Vm>,
    pub(crate) ledger: Ledger,
    pub(crate) now: u64,
    pub(crate) package: Address,
    pub(crate) cluster: Address,
    pub(crate) governance: Address,
    pub(crate) registry: Address,
    pub(crate) names: Address,
    pub(crate) pool: Address,
    pub(crate) insurance: Address,
    pub(crate) cap: Address,
    gas: Vec<Address>,
    /// What was called, by function.
    pub(crate) counts: Counts,
}

pub(crate) type Counts = BTreeMap<String, Count>;

/// What came of the calls of one function.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Count {
    pub(crate) succeeded: u64,
    pub(crate) refused: u64,
    /// Most units of computation of a call that succeeded, and most MIST that one cost altogether.
    pub(crate) units: u64,
    pub(crate) mist: i64,
}

impl Count {
    pub(crate) fn add(&mut self, other: Self) {
        self.refused += other.refused;
        if other.succeeded > 0 {
            self.units = self.units.max(other.units);
            self.mist = if self.succeeded == 0 { other.mist } else { self.mist.max(other.mist) };
        }
        self.succeeded += other.succeeded;
    }
}

pub(crate) fn actor(index: usize) -> Address {
    let mut bytes = [0xac; 32];
    bytes[31] = index as u8;
    Address::new(bytes)
}

pub(crate) fn key(seed: u8) -> SigningKey {
    SigningKey::from_bytes(&[seed; 32])
}

pub(crate) fn public(key: &SigningKey) -> Vec<u8> {
    key.verifying_key().to_bytes().to_vec()
}

/// Signs the BCS of a message.
pub(crate) fn sign<T: Serialize>(key: &SigningKey, message: &T) -> Vec<u8> {
    key.sign(&bcs::to_bytes(message).unwrap()).to_bytes().to_vec()
}

fn modules() -> Vec<Vec<u8>> {
    let default = concat!(env!("CARGO_MANIFEST_DIR"), "/../../contracts/build");
    let dir = std::env::var_os("K3S_DAAS_CONTRACTS").map_or_else(|| default.into(), PathBuf::from);
    let mut files: Vec<_> = std::fs::read_dir(&dir)
        .unwrap_or_else(|error| panic!("{}: {error}", dir.display()))
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "mv"))
        .collect();
    files.sort();
    files.iter().map(|file| std::fs::read(file).unwrap()).collect()
}

fn framework() -> PathBuf {
    let default = concat!(env!("CARGO_MANIFEST_DIR"), "/../../.cache/framework.bcs");
    std::env::var_os("K3S_DAAS_FRAMEWORK").map_or_else(|| default.into(), PathBuf::from)
}

impl World {
    /// A fresh cluster; the work of making it is done once.
    pub(crate) fn fresh() -> Self {
        static FRESH: OnceLock<World> = OnceLock::new();
        FRESH.get_or_init(Self::make).clone()
    }

    fn make() -> Self {
        let vm = Arc::new(Vm::new());
        let framework = devnet::framework::load(&framework()).unwrap();
        let packages = devnet::framework_packages(&vm, framework).unwrap();
        let genesis = Genesis { packages, faucet: actor(0), seed: [7; 32], timestamp_ms: START_MS };
        let mut ledger = Ledger::default();
        ledger.apply(genesis.checkpoint());
        let coins: Vec<Address> =
            ledger.objects().owned_by(&actor(0)).map(|object| object.object().object_id()).collect();
        let nothing = Address::ZERO;
        let mut world = Self {
            vm,
            ledger,
            now: START_MS,
            package: nothing,
            cluster: nothing,
            governance: nothing,
            registry: nothing,
            names: nothing,
            pool: nothing,
            insurance: nothing,
            cap: nothing,
            gas: vec![coins[0]],
            counts: Counts::new(),
        };
        for index in 1..ACTORS {
            let split =
                Command::SplitCoins(SplitCoins { coin: Argument::Gas, amounts: vec![Argument::Input(0)] });
            let send = Command::TransferObjects(TransferObjects {
                objects: vec![Argument::Result(0)],
                address: Argument::Input(1),
            });
            let inputs = vec![
                Input::Pure(bcs::to_bytes(&(1_000_000 * SUI)).unwrap()),
                Input::Pure(bcs::to_bytes(&actor(index)).unwrap()),
            ];
            let done = world.execute(0, inputs, vec![split, send]);
            world.gas.push(done.created[0].object().object_id());
        }
        let dependencies = vec![Address::from_static("0x1"), Address::TWO];
        let publish = Command::Publish(Publish { modules: modules(), dependencies });
        let send = Command::TransferObjects(TransferObjects {
            objects: vec![Argument::Result(0)],
            address: Argument::Input(0),
        });
        let done =
            world.execute(0, vec![Input::Pure(bcs::to_bytes(&actor(0)).unwrap())], vec![publish, send]);
        assert!(done.ok(), "{:?}", done.refused);
        let package = done.created.iter().find(|object| object.object().as_struct().is_none());
        world.package = package.unwrap().object().object_id();
        let done = world.call(0, "k8s_gateway", "create_cluster", vec![pure(&"test"), pure(&true)]);
        assert!(done.ok(), "{:?}", done.refused);
        for object in &done.created {
            let place = match kind(object) {
                ("k8s_gateway", "Cluster") => &mut world.cluster,
                ("k8s_gateway", "Names") => &mut world.names,
                ("governance", "Governance") => &mut world.governance,
                ("governance", "AdminCap") => &mut world.cap,
                ("enclave", "Registry") => &mut world.registry,
                ("rewards", "Pool") => &mut world.pool,
                ("insurance", "Insurance") => &mut world.insurance,
                _ => continue,
            };
            *place = object.object().object_id();
        }
        world
    }

    /// Calls a function of the contracts as `sender`.
    pub(crate) fn call(&mut self, sender: usize, module: &str, function: &str, arguments: Vec<Arg>) -> Done {
        let mut inputs = Vec::new();
        let mut commands = Vec::new();
        let mut passed = Vec::new();
        for argument in arguments {
            let input = match argument {
                Arg::Coin(amount) => {
                    inputs.push(Input::Pure(bcs::to_bytes(&amount).unwrap()));
                    let amounts = vec![Argument::Input(inputs.len() as u16 - 1)];
                    commands.push(Command::SplitCoins(SplitCoins { coin: Argument::Gas, amounts }));
                    passed.push(Argument::NestedResult(commands.len() as u16 - 1, 0));
                    continue;
                }
                Arg::Pure(bytes) => Input::Pure(bytes),
                Arg::Object(id) => self.object(id, true),
                Arg::Read(id) => self.object(id, false),
            };
            inputs.push(input);
            passed.push(Argument::Input(inputs.len() as u16 - 1));
        }
        commands.push(Command::MoveCall(MoveCall {
            package: self.package,
            module: module.parse().unwrap(),
            function: function.parse().unwrap(),
            type_arguments: Vec::new(),
            arguments: passed,
        }));
        let done = self.execute(sender, inputs, commands);
        let (succeeded, refused) = (u64::from(done.ok()), u64::from(!done.ok()));
        let (units, mist) = if done.ok() { done.gas } else { (0, 0) };
        let count = Count { succeeded, refused, units, mist };
        self.counts.entry(format!("{module}::{function}")).or_default().add(count);
        done
    }

    fn object(&self, id: Address, mutable: bool) -> Input {
        let Some(object) = self.ledger.objects().live(&id) else {
            // What is gone cannot be named; a stale reference makes the ledger say so.
            return Input::Shared(SharedInput::new(id, 1, mutable));
        };
        match object.object().owner() {
            Owner::Shared(version) => Input::Shared(SharedInput::new(id, *version, mutable)),
            _ => Input::ImmutableOrOwned(object.reference()),
        }
    }

    fn execute(&mut self, sender: usize, inputs: Vec<Input>, commands: Vec<Command>) -> Done {
        let gas = self.ledger.objects().live(&self.gas[sender]).unwrap();
        let transaction = Transaction {
            kind: TransactionKind::ProgrammableTransaction(ProgrammableTransaction { inputs, commands }),
            sender: actor(sender),
            gas_payment: GasPayment {
                objects: vec![gas.reference()],
                owner: actor(sender),
                price: 1_000,
                budget: 5 * SUI,
            },
            expiration: TransactionExpiration::None,
        };
        let signed = SignedTransaction { transaction, signatures: Vec::new() };
        let mut batch = Batch::new(&self.ledger, &self.vm, self.now);
        let index = match batch.execute(&VerifiedTransaction::unverified(signed)) {
            Ok(Outcome::New(index)) => index,
            Ok(Outcome::Known(_)) => panic!("the same call twice"),
            Err(rejection) => {
                let refused = Some(rejection.to_string());
                return Done { refused, created: Vec::new(), received: vec![0; ACTORS], gas: (0, 0) };
            }
        };
        let checkpoint = batch.seal();
        let executed = checkpoint.transactions[index].clone();
        let TransactionEffects::V2(effects) = &executed.effects else { panic!("effects of version 1") };
        let refused = match &effects.status {
            ExecutionStatus::Success => None,
            ExecutionStatus::Failure { error, .. } => Some(explain(error)),
        };
        // Conservation: what all objects hold changes by what gas cost, to the unit.
        let mut change: i128 = effects.gas_used.net_gas_usage().into();
        let mut received = vec![0i128; ACTORS];
        received[sender] += i128::from(effects.gas_used.net_gas_usage());
        let credit = |received: &mut Vec<i128>, object: &StoredObject, sign: i128| {
            if let Owner::Address(owner) = object.object().owner() {
                let held = money(object) as i128;
                if let Some(index) = (0..ACTORS).find(|index| actor(*index) == *owner) {
                    received[index] += sign * held;
                }
            }
        };
        let mut created = Vec::new();
        for changed in &effects.changed_objects {
            if let ObjectIn::Exist { .. } = changed.input_state {
                let before = self.ledger.objects().live(&changed.object_id).unwrap();
                change -= money(&before) as i128;
                credit(&mut received, &before, -1);
            }
        }
        for object in &executed.written {
            change += money(object) as i128;
            credit(&mut received, object, 1);
            let id = object.object().object_id();
            let new = effects
                .changed_objects
                .iter()
                .any(|changed| changed.object_id == id && changed.id_operation == IdOperation::Created);
            if new {
                created.push(object.clone());
            }
        }
        assert_eq!(change, 0, "MIST came from nowhere or went there");
        self.ledger.apply(checkpoint);
        self.ledger.prune(1);
        let gas = (effects.gas_used.computation_cost / 1_000, effects.gas_used.net_gas_usage());
        Done { refused, created, received, gas }
    }

    /// A live object of the contracts.
    pub(crate) fn read<T: for<'a> serde::Deserialize<'a>>(&self, id: Address) -> Option<T> {
        self.ledger.objects().live(&id).map(|object| objects::decode(&object))
    }

    /// All live objects of a type.
    pub(crate) fn all<T: for<'a> serde::Deserialize<'a>>(&self, module: &str, name: &str) -> Vec<T> {
        let objects = self.ledger.objects().iter().filter(|object| kind(object) == (module, name));
        objects.map(|object| objects::decode(object)).collect()
    }
}

fn explain(error: &ExecutionError) -> String {
    match error {
        ExecutionError::MoveAbort { location, code } => format!("{}:{code}", location.module),
        other => format!("{other:?}"),
    }
}
