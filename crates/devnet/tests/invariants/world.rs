//! A ledger of its own with the contracts on it, and calls on it: bytecode, without network or signatures.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

use devnet::ledger::{Batch, Genesis, Ledger, ObjectSource, Outcome, StoredObject, VerifiedTransaction};
use devnet::vm::Vm;
use ed25519_dalek::{Signer, SigningKey};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use serde::Serialize;
use sui_sdk_types::hash::Hasher;
use sui_sdk_types::{
    Address, Argument, Command, ExecutionError, ExecutionStatus, GasPayment, IdOperation, Input, MoveCall,
    ObjectIn, Owner, ProgrammableTransaction, Publish, SharedInput, SignedTransaction, SplitCoins,
    Transaction, TransactionEffects, TransactionExpiration, TransactionKind, TransferObjects, Upgrade,
};

use crate::enclaves;
use crate::objects::{self, kind, money};

pub(crate) const SUI: u64 = 1_000_000_000;
pub(crate) const MINUTE_MS: u64 = 60_000;
pub(crate) const HOUR_MS: u64 = 60 * MINUTE_MS;
pub(crate) const DAY_MS: u64 = 24 * HOUR_MS;
const CLOCK: Address = Address::from_static("0x6");
/// One in this many calls is tried with another cluster's object first.
const CONFUSED: u32 = 7;
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
    /// A Nitro document that the framework has verified.
    Nitro(Vec<u8>),
}

impl Arg {
    fn id(&self) -> Option<Address> {
        match self {
            Self::Object(id) | Self::Read(id) => Some(*id),
            _ => None,
        }
    }

    /// The same with another object.
    fn with(&self, id: Address) -> Self {
        if matches!(self, Self::Read(_)) { Self::Read(id) } else { Self::Object(id) }
    }
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

    /// The package that was published.
    pub(crate) fn package(&self) -> Address {
        let package = self.created.iter().find(|object| object.object().as_struct().is_none());
        package.unwrap().object().object_id()
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
    pub(crate) anchor: Address,
    pub(crate) upgrade_cap: Address,
    /// Our cluster's objects, and those of another cluster in their place; the same account governs both.
    elsewhere: Vec<(Address, Address)>,
    dice: StdRng,
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

fn contracts() -> PathBuf {
    let default = concat!(env!("CARGO_MANIFEST_DIR"), "/../../contracts/build");
    std::env::var_os("K3S_DAAS_CONTRACTS").map_or_else(|| default.into(), PathBuf::from)
}

fn modules() -> Vec<Vec<u8>> {
    read_modules(&contracts()).into_values().collect()
}

/// The same with the next version: what differs is in `next`.
fn next_modules() -> Vec<Vec<u8>> {
    let mut modules = read_modules(&contracts());
    modules.extend(read_modules(&contracts().join("next")));
    modules.into_values().collect()
}

/// Compiled modules by file name.
fn read_modules(dir: &Path) -> BTreeMap<OsString, Vec<u8>> {
    std::fs::read_dir(dir)
        .unwrap_or_else(|error| panic!("{}: {error}", dir.display()))
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "mv"))
        .map(|path| (path.file_name().unwrap().to_owned(), std::fs::read(&path).unwrap()))
        .collect()
}

fn dependencies() -> Vec<Address> {
    vec![Address::from_static("0x1"), Address::TWO]
}

/// The place of an input; an object has one.
fn put(inputs: &mut Vec<Input>, input: Input) -> Argument {
    let known = inputs.iter().position(|known| *known == input && !matches!(input, Input::Pure(_)));
    let at = known.unwrap_or_else(|| {
        inputs.push(input);
        inputs.len() - 1
    });
    Argument::Input(at as u16)
}

fn call(package: Address, module: &str, function: &str, arguments: Vec<Argument>) -> Command {
    let (module, function) = (module.parse().unwrap(), function.parse().unwrap());
    Command::MoveCall(MoveCall { package, module, function, type_arguments: Vec::new(), arguments })
}

fn framework() -> PathBuf {
    let default = concat!(env!("CARGO_MANIFEST_DIR"), "/../../.cache/framework.bcs");
    std::env::var_os("K3S_DAAS_FRAMEWORK").map_or_else(|| default.into(), PathBuf::from)
}

impl World {
    /// A fresh cluster; the work of making it is done once.
    pub(crate) fn fresh(seed: u64) -> Self {
        static FRESH: OnceLock<World> = OnceLock::new();
        Self { dice: StdRng::seed_from_u64(!seed), ..FRESH.get_or_init(Self::make).clone() }
    }

    fn make() -> Self {
        let vm = Arc::new(Vm::new().with_simulated_nitro_root(enclaves::nitro().root()));
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
            anchor: nothing,
            upgrade_cap: nothing,
            elsewhere: Vec::new(),
            dice: StdRng::seed_from_u64(0),
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
        let publish = Command::Publish(Publish { modules: modules(), dependencies: dependencies() });
        let send = Command::TransferObjects(TransferObjects {
            objects: vec![Argument::Result(0)],
            address: Argument::Input(0),
        });
        let done =
            world.execute(0, vec![Input::Pure(bcs::to_bytes(&actor(0)).unwrap())], vec![publish, send]);
        assert!(done.ok(), "{:?}", done.refused);
        world.package = done.package();
        world.upgrade_cap = done.made_id("package", "UpgradeCap");
        let ours = world.create_cluster("test");
        let theirs = world.create_cluster("other");
        world.elsewhere = ours.into_iter().zip(theirs).collect();
        [
            world.cluster,
            world.names,
            world.governance,
            world.cap,
            world.registry,
            world.pool,
            world.insurance,
            world.anchor,
        ] = ours;
        world
    }

    /// Makes a cluster: its objects, in one order.
    fn create_cluster(&mut self, name: &str) -> [Address; 8] {
        let done = self.call(0, "k8s_gateway", "create_cluster", vec![pure(&name), pure(&true)]);
        assert!(done.ok(), "{:?}", done.refused);
        [
            ("k8s_gateway", "Cluster"),
            ("k8s_gateway", "Names"),
            ("governance", "Governance"),
            ("governance", "AdminCap"),
            ("enclave", "Registry"),
            ("rewards", "Pool"),
            ("insurance", "Insurance"),
            ("anchor", "Anchor"),
        ]
        .map(|(module, name)| done.made_id(module, name))
    }

    /// Calls a function of the contracts as `sender`. Some calls are tried with an object of another cluster first.
    pub(crate) fn call(&mut self, sender: usize, module: &str, function: &str, arguments: Vec<Arg>) -> Done {
        if self.dice.random_range(0..CONFUSED) == 0 {
            self.confuse(sender, module, function, &arguments);
        }
        let done = self.attempt(sender, module, function, arguments);
        self.count(&format!("{module}::{function}"), &done);
        done
    }

    fn count(&mut self, function: &str, done: &Done) {
        let (succeeded, refused) = (u64::from(done.ok()), u64::from(!done.ok()));
        let (units, mist) = if done.ok() { done.gas } else { (0, 0) };
        self.counts.entry(function.to_owned()).or_default().add(Count { succeeded, refused, units, mist });
    }

    /// The same call with one object of the other cluster among ours: whatever it is, it is refused.
    fn confuse(&mut self, sender: usize, module: &str, function: &str, arguments: &[Arg]) {
        let objects = arguments.iter().filter(|argument| argument.id().is_some_and(|id| id != CLOCK)).count();
        let other =
            |id: Address| self.elsewhere.iter().find(|(ours, _)| *ours == id).map(|(_, other)| *other);
        let places: Vec<_> = arguments
            .iter()
            .enumerate()
            .filter_map(|(at, argument)| Some((at, argument.with(other(argument.id()?)?))))
            .collect();
        if objects < 2 || places.is_empty() {
            return;
        }
        let (at, foreign) = places[self.dice.random_range(0..places.len())].clone();
        let mut confused = arguments.to_vec();
        confused[at] = foreign;
        let done = self.attempt(sender, module, function, confused);
        assert!(!done.ok(), "{module}::{function} takes argument {at} of another cluster");
    }

    fn attempt(&mut self, sender: usize, module: &str, function: &str, arguments: Vec<Arg>) -> Done {
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
                Arg::Nitro(document) => {
                    let document = Input::Pure(bcs::to_bytes(&document).unwrap());
                    let clock = self.object(CLOCK, false);
                    let arguments = vec![put(&mut inputs, document), put(&mut inputs, clock)];
                    let (module, function) = ("nitro_attestation", "load_nitro_attestation");
                    commands.push(call(Address::TWO, module, function, arguments));
                    passed.push(Argument::NestedResult(commands.len() as u16 - 1, 0));
                    continue;
                }
                Arg::Pure(bytes) => Input::Pure(bytes),
                Arg::Object(id) => self.object(id, true),
                Arg::Read(id) => self.object(id, false),
            };
            passed.push(put(&mut inputs, input));
        }
        commands.push(call(self.package, module, function, passed));
        self.execute(sender, inputs, commands)
    }

    /// Upgrades the package to the next version, in one transaction with the upgrader's ticket and receipt.
    pub(crate) fn upgrade(&mut self, sender: usize, upgrader: Address) -> Done {
        let inputs = vec![self.object(upgrader, true), self.object(CLOCK, false)];
        let upgrade = Upgrade {
            modules: next_modules(),
            dependencies: dependencies(),
            package: self.package,
            ticket: Argument::Result(0),
        };
        let commands = vec![
            call(self.package, "upgrade", "authorize", vec![Argument::Input(0), Argument::Input(1)]),
            Command::Upgrade(upgrade),
            call(self.package, "upgrade", "commit", vec![Argument::Input(0), Argument::Result(1)]),
        ];
        let done = self.execute(sender, inputs, commands);
        for function in ["upgrade::authorize", "upgrade::commit"] {
            self.count(function, &done);
        }
        done
    }

    /// The digest by which the next version is announced, as Sui computes it.
    pub(crate) fn next_digest(&self) -> Vec<u8> {
        let modules = next_modules();
        let mut parts: Vec<Vec<u8>> =
            modules.iter().map(|module| Hasher::digest(module).inner().to_vec()).collect();
        parts.extend(dependencies().iter().map(|id| id.as_bytes().to_vec()));
        parts.sort_unstable();
        Hasher::digest(parts.concat()).inner().to_vec()
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

    /// Identifiers of all live objects of a type.
    pub(crate) fn ids(&self, module: &str, name: &str) -> Vec<Address> {
        let objects = self.ledger.objects().iter().filter(|object| kind(object) == (module, name));
        objects.map(|object| object.object().object_id()).collect()
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
